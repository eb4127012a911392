//! The server beside a benchmark: this program again, in a directory of its own, on ports of its own; and the records that are
//! sent to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use model::{Clock, SystemClock};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tui::Client;
use tui::client::{Params, Settings};

/// Replay of a GiB takes seconds; this bounds a machine that is very busy.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

const DOORS: [&str; 3] = ["otlp_grpc", "otlp_http", "http"];

/// A server process. Ended when it is dropped.
pub struct Background {
    child: Child,
    directory: TempDir,
    doors: BTreeMap<String, SocketAddr>,
}

impl Background {
    /// Starts one and waits until it is ready.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with these settings in its environment.
    pub async fn start_with(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("sextant-bench-").tempdir();
        Self::start_in(directory.context("cannot make a directory for the server's data")?, settings).await
    }

    /// Kills the server and starts one with these settings on what it has left.
    pub async fn killed_and_started_with(mut self, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        self.child.kill().await.context("cannot kill the server")?;
        Self::start_in(self.directory, settings).await
    }

    async fn start_in(directory: TempDir, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--data-dir").arg(directory.path().join("data")).current_dir(directory.path());
        for door in DOORS {
            command.arg(format!("--{}", door.replace('_', "-"))).arg("127.0.0.1:0");
        }
        command.envs(settings.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = child.context("cannot start a server")?;
        let stdout = child.stdout.take().context("the server has no stdout")?;
        let doors = announced(BufReader::new(stdout)).await?;
        let background = Self { child, directory, doors };
        let client = background.client()?;
        let ready = async {
            while !client.fetch("/readyz", &Params::new()).await.is_ok_and(|answer| answer.status == 200) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(READY_TIMEOUT, ready).await.context("the server does not become ready")?;
        Ok(background)
    }

    /// A client of the answering door.
    pub fn client(&self) -> anyhow::Result<Client> {
        self.client_of("http")
    }

    /// Where its data is.
    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The process.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// A client of a door: `otlp_http` or `http`.
    pub fn client_of(&self, door: &str) -> anyhow::Result<Client> {
        self.patient_client_of(door, Settings::default().silence_max)
    }

    /// The same, that waits so long for an answer.
    pub fn patient_client_of(&self, door: &str, silence_max: Duration) -> anyhow::Result<Client> {
        let address = self.doors.get(door).with_context(|| format!("the server has no door {door}"))?;
        Ok(Client::new(&format!("http://{address}"), Settings { silence_max, ..Settings::default() })?)
    }

    /// Sends log records at this rate until the answer is dropped; it counts those that were stored.
    pub fn flood(&self, per_second: u64) -> anyhow::Result<Flood> {
        let client = self.client_of("otlp_http")?;
        let stored = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&stored);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / REQUESTS_PER_SECOND));
            let mut number = 0;
            loop {
                ticks.tick().await;
                let records = per_second / REQUESTS_PER_SECOND;
                let body = log_request(number, records);
                number += records;
                let answer = client.post("/v1/logs", "application/json", body.into()).await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    count.fetch_add(records, Ordering::Relaxed);
                }
            }
        });
        Ok(Flood { stored, task })
    }
}

async fn announced(stdout: BufReader<tokio::process::ChildStdout>) -> anyhow::Result<BTreeMap<String, SocketAddr>> {
    let mut lines = stdout.lines();
    let mut doors = BTreeMap::new();
    while doors.len() < DOORS.len() {
        let line = lines.next_line().await?.context("the server ended before it was ready")?;
        let (name, address) = line.split_once(' ').ok_or_else(|| anyhow!("the server said {line:?}"))?;
        doors.insert(name.to_owned(), address.parse().with_context(|| format!("{address:?} is no address"))?);
    }
    Ok(doors)
}

/// Requests that carry a flood: small enough to come evenly, large enough to cost little.
const REQUESTS_PER_SECOND: u64 = 20;

/// Records on their way.
pub struct Flood {
    stored: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Flood {
    /// Records that the server has acknowledged.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// OTLP/JSON: `records` records of one service, numbered from `first`.
fn log_request(first: u64, records: u64) -> String {
    use std::fmt::Write as _;

    const LEVELS: [(u64, &str); 4] = [(9, "INFO"), (9, "INFO"), (13, "WARN"), (17, "ERROR")];
    let now = SystemClock::new().now().as_nanos();
    let mut body = String::with_capacity(256 + 320 * usize::try_from(records).unwrap_or(0));
    body.push_str(
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}}]},"scopeLogs":[{"logRecords":["#,
    );
    for number in first..first + records {
        let (severity, level) = LEVELS[(number % 4) as usize];
        let separator = if number == first { "" } else { "," };
        // Writing into a String cannot fail.
        let _ = write!(
            body,
            r#"{separator}{{"timeUnixNano":"{now}","severityNumber":{severity},"severityText":"{level}","body":{{"stringValue":"order {number} went through the checkout in {} ms"}},"attributes":[{{"key":"http.route","value":{{"stringValue":"/orders/{{id}}"}}}},{{"key":"order.id","value":{{"stringValue":"order-{number}"}}}}],"traceId":"{:032x}","spanId":"{:016x}"}}"#,
            number % 977,
            number + 1,
            number + 1,
        );
    }
    body.push_str("]}]}]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_json_with_as_many_records_as_asked_for() {
        let request: serde_json::Value = serde_json::from_str(&log_request(5, 3)).expect("JSON");
        let records = &request["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
        assert_eq!(records.as_array().map(Vec::len), Some(3));
        assert_eq!(records[0]["attributes"][1]["value"]["stringValue"], "order-5");
    }
}
