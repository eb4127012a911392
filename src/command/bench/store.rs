//! `sextant bench store`: what data costs once it is acknowledged. Of each signal a server of its own is sent items, then nine times as
//! many more; after each load it is waited until it is idle, and asked for needles and for counts of everything. What its threads took
//! for flushes and merges is read from the kernel, what each column takes from the files, and how long a start replays a large
//! log from a server that was killed with it.

mod figures;
mod questions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::store::disk::{Disk, RealDisk};
use ::store::{Table, TableBytes};
use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use model::Signal;
use tui::Client;
use tui::client::Params;

use self::figures::{Figures, Replay, Stage};
use self::questions::Question;
use super::background::Background;
use super::ingest::load::{self, Plan};
use super::ingest::{Idle, SETTINGS, progress, signal};
use super::process;
use crate::report::{Exit, Outcome};

/// How much is stored, and how the figures are written.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// Signals to measure, separated by commas; all three if none is named.
    #[arg(long, value_name = "SIGNAL", value_delimiter = ',', value_parser = signal)]
    signal: Vec<Signal>,
    /// Items of each signal when it is asked first; the second time there are ten times as many.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    items: u64,
    /// Mebibytes of write-ahead log that a start replays, of the first signal; 0 for no replay.
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(0..=16_384))]
    wal_mib: u64,
    /// Connections that send at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    connections: u64,
    /// Seconds after which a load ends, however much was sent; waiting until the server is idle ends after as many more.
    #[arg(long, value_name = "N", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=7_200))]
    seconds_max: u64,
    /// How the figures are written.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// By how much the second load makes the rows more.
const GROWTH: u64 = 10;

/// How often a needle is looked for, of several in turn, and how often everything is counted.
const NEEDLES: usize = 40;
const SCANS: usize = 5;

/// For a server that shall keep everything in its log and in memory.
const NEVER_FLUSHES: [(&str, &str); 6] = [
    ("SEXTANT_OWN_METRICS_INTERVAL_S", "0"),
    ("SEXTANT_OWN_RECORDS", "off"),
    ("SEXTANT_MEMORY_BYTES_MAX", "1099511627776"),
    ("SEXTANT_STORE_FLUSH_BYTES", "34359738368"),
    ("SEXTANT_STORE_FLUSH_INTERVAL_S", "86400"),
    ("SEXTANT_STORE_HEAD_BYTES_MAX", "34359738368"),
];

/// Measures and prints.
pub fn run(args: &StoreArgs) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let outcome = runtime.block_on(measure_all(args));
    runtime.shutdown_background();
    outcome
}

async fn measure_all(args: &StoreArgs) -> Outcome {
    let is_wanted = |signal: &Signal| args.signal.is_empty() || args.signal.contains(signal);
    let signals: Vec<Signal> = Signal::ALL.into_iter().filter(is_wanted).collect();
    let mut measured = Vec::new();
    for signal in &signals {
        measured.push(measure(args, *signal).await?);
    }
    let replay = match signals.first() {
        Some(signal) if args.wal_mib > 0 => Some(replay(args, *signal).await?),
        _ => None,
    };
    match args.format {
        Format::Table => figures::print_tables(&measured, replay.as_ref())?,
        Format::Json => println!("{}", figures::to_json(&measured, replay.as_ref())),
    }
    Ok(Exit::Done)
}

async fn measure(args: &StoreArgs, signal: Signal) -> anyhow::Result<Figures> {
    // Answers take as long as they take.
    let settings: Vec<(&str, &str)> =
        SETTINGS.into_iter().chain([("SEXTANT_QUERY_TIME_BUDGET_MS", "600000")]).collect();
    let server = Background::start_with(&settings).await?;
    let plan = |begin, items| Plan {
        signal,
        begin,
        items,
        connections: args.connections,
        time_max: Duration::from_secs(args.seconds_max),
    };
    let first = plan(0, args.items);
    let second = plan(args.items, args.items * (GROWTH - 1));
    let bar = progress(Plan { items: args.items * GROWTH, ..first })?;
    let mut stages = Vec::new();
    let mut questions = Vec::new();
    for plan in [first, second] {
        let mut stage = fill(&server, plan, &bar).await?;
        if questions.is_empty() {
            questions = questions::choose(&server.client()?, signal).await?;
        }
        stage.answers = ask(&server.client()?, &questions, &bar).await?;
        stages.push(stage);
    }
    bar.finish_and_clear();
    let names = questions.into_iter().map(|question| (question.name, question.is_needle)).collect();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let columns: BTreeMap<Table, TableBytes> = ::store::bytes_by_column(&disk, &server.data_directory())?;
    Ok(Figures { signal, questions: names, stages, columns })
}

async fn fill(server: &Background, plan: Plan, bar: &ProgressBar) -> anyhow::Result<Stage> {
    bar.set_message("sending");
    let sent = load::send(server, plan, bar).await?;
    ensure!(sent.items > 0, "nothing was sent in {} s", plan.time_max.as_secs());
    bar.set_message("waiting until it is idle");
    let id = server.id()?;
    let idle = Idle::wait(server, id, plan.time_max).await?;
    let table = idle.status.tables.get(plan.signal.as_str()).cloned().unwrap_or_default();
    let threads = process::thread_times(id)?;
    let took = |name: &str| threads.get(name).copied().unwrap_or_default();
    let counted = Metrics::read(&server.client()?).await?;
    Ok(Stage {
        is_idle: idle.is_idle,
        rows: table.part_rows + table.head_rows,
        parts: idle.status.tables.values().map(|table| table.parts).sum(),
        bytes: idle.status.tables.values().map(|table| table.part_bytes).sum(),
        flush: took("upkeep"),
        merge: took("housekeeping"),
        index: Duration::from_secs_f64(counted.sum("sextant_index_seconds_sum")),
        merged_rows: counted.sum("sextant_merge_rows_total") as u64,
        peak_kib: process::peak_memory_kib(id)?,
        answers: Vec::new(),
    })
}

async fn ask(client: &Client, questions: &[Question], bar: &ProgressBar) -> anyhow::Result<Vec<Vec<Duration>>> {
    let mut answers = Vec::new();
    for question in questions {
        bar.set_message(question.name);
        // Once without counting: what is measured is a server that has been asked before.
        question.ask(client, 0).await?;
        let times = if question.is_needle { NEEDLES } else { SCANS };
        let mut took = Vec::new();
        for number in 0..times {
            let began = Instant::now();
            question.ask(client, number).await?;
            took.push(began.elapsed());
        }
        answers.push(took);
    }
    Ok(answers)
}

// Fills a log, kills its server, and lets one with the settings of everybody find it.
async fn replay(args: &StoreArgs, signal: Signal) -> anyhow::Result<Replay> {
    let server = Background::start_with(&NEVER_FLUSHES).await?;
    let wanted = args.wal_mib << 20;
    let bar = ProgressBar::new(wanted).with_message("filling a log");
    let began = Instant::now();
    let (mut sent, mut wal) = (0, 0);
    while wal < wanted {
        ensure!(began.elapsed().as_secs() < args.seconds_max, "the log is not full after {} s", args.seconds_max);
        let plan = Plan { signal, begin: sent, items: 100_000, connections: args.connections, time_max: Duration::MAX };
        sent += load::send(&server, plan, &ProgressBar::hidden()).await?.items;
        wal = server.client()?.status().await?.wal.bytes;
        bar.set_position(wal.min(wanted));
    }
    bar.set_message("replaying it");
    let restarted = Instant::now();
    let server = server.killed_and_started_with(&SETTINGS).await?;
    let ready = restarted.elapsed();
    let client = server.client()?;
    let seconds = Metrics::read(&client).await?.sum("sextant_wal_replay_seconds_sum");
    let status = client.status().await?;
    let rows = status.tables.get(signal.as_str()).map_or(0, |table| table.part_rows + table.head_rows);
    ensure!(rows == sent, "{sent} {signal} were acknowledged, {rows} are there after the replay");
    bar.finish_and_clear();
    Ok(Replay { signal, wal, rows, ready, seconds, peak_kib: process::peak_memory_kib(server.id()?)? })
}

// The text of `/metrics`.
struct Metrics(String);

impl Metrics {
    async fn read(client: &Client) -> anyhow::Result<Self> {
        let answer = client.fetch("/metrics", &Params::new()).await?;
        ensure!(answer.status == 200, "/metrics answered {}", answer.status);
        Ok(Self(String::from_utf8_lossy(&answer.body).into_owned()))
    }

    // Of all series of this name.
    fn sum(&self, name: &str) -> f64 {
        let of_name = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value = if rest.starts_with('{') { rest.rsplit_once(' ')?.1 } else { rest.strip_prefix(' ')? };
            value.parse::<f64>().ok()
        });
        of_name.fold(0.0, |sum, value| sum + value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_of_its_series() {
        let text = "# TYPE a counter\na 1\nab 7\na{of=\"x y\"} 2.5\n";
        let metrics = Metrics(text.to_owned());
        assert_eq!([metrics.sum("a"), metrics.sum("b")].map(|sum| sum.to_string()), ["3.5", "0"]);
    }
}
