//! Asks DuckDB which records the parts of a data directory hold, and compares that with the sender's book: the files have to say the
//! same as the answers to whoever has nothing but them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use model::Signal;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::census::{Findings, compare};
use crate::ledger::Ledger;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients/held.py");

/// A Python interpreter with DuckDB, which is asked again and again. Begun when it is asked first.
#[derive(Debug)]
pub struct Reader {
    python: PathBuf,
    process: Mutex<Option<Process>>,
}

#[derive(Debug)]
struct Process {
    _child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

// The first and the last of some numbers that follow each other, and how often each is there.
type Run = (i64, i64, u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Numbers { logs: Vec<Run>, spans: Vec<Run>, points: Vec<Run> },
    Error { error: String },
}

impl Reader {
    /// With this interpreter.
    pub fn new(python: &Path) -> Self {
        Self { python: python.to_owned(), process: Mutex::default() }
    }

    /// Compares the live parts of a server that has ended and left nothing in its log.
    pub async fn take(&self, data_directory: &Path, ledger: &Ledger) -> anyhow::Result<Findings> {
        let (entries, end) = (ledger.entries(), usize::try_from(ledger.end())?);
        let mut all = Findings::default();
        for (signal, runs) in self.ask(data_directory).await? {
            let mut seen = vec![0u8; end];
            for (first, last, times) in runs {
                all.rows += u64::try_from(last - first + 1)? * times;
                for number in first..=last {
                    match usize::try_from(number).ok().and_then(|place| seen.get_mut(place)) {
                        Some(seen) => *seen = u8::try_from(times).unwrap_or(u8::MAX),
                        None => all.unknown.push(number.cast_unsigned()),
                    }
                }
            }
            compare(signal, &entries, &mut seen, &mut all);
        }
        Ok(all)
    }

    async fn ask(&self, data_directory: &Path) -> anyhow::Result<[(Signal, Vec<Run>); 3]> {
        let mut process = self.process.lock().await;
        let process = match &mut *process {
            Some(process) => process,
            None => process.insert(self.start()?),
        };
        let question = format!("{}\n", data_directory.display());
        process.questions.write_all(question.as_bytes()).await.context("the reader of parts has ended")?;
        let line = process.answers.next_line().await?.context("the reader of parts has ended")?;
        let said = || format!("the reader of parts said {:.200}", line);
        match serde_json::from_str(&line).with_context(said)? {
            Answer::Numbers { logs, spans, points } => {
                Ok([(Signal::Logs, logs), (Signal::Spans, spans), (Signal::Points, points)])
            }
            Answer::Error { error } => bail!("DuckDB cannot read {}: {error}", data_directory.display()),
        }
    }

    fn start(&self) -> anyhow::Result<Process> {
        let mut command = Command::new(&self.python);
        command.arg(PROGRAM).env("PYTHONDONTWRITEBYTECODE", "1");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = child.with_context(|| format!("cannot start {}", self.python.display()))?;
        let questions = child.stdin.take().context("the reader of parts has no stdin")?;
        let answers = child.stdout.take().context("the reader of parts has no stdout")?;
        Ok(Process { _child: child, questions, answers: BufReader::new(answers).lines() })
    }
}
