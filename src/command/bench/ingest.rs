//! `sextant bench ingest`: what the write path costs. A server of its own for each signal is sent requests that follow from
//! their number; its processor time is read at the last acknowledgement, and again when everything is in parts and it is
//! idle. Beside it stands what prost alone takes to decode the same bytes: machines differ and are busy with other things,
//! ratios hold.

mod figures;
pub mod load;
pub mod payload;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use model::Signal;
use model::wire::status::Status;

use self::figures::Figures;
use self::load::Plan;
use super::background::Background;
use super::process;
use crate::report::{Exit, Outcome};

/// What is sent, and how the figures are written.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Signals to measure, separated by commas; all three if none is named.
    #[arg(long, value_name = "SIGNAL", value_delimiter = ',', value_parser = signal)]
    signal: Vec<Signal>,
    /// Log records to send, in requests of 1,000.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    logs: u64,
    /// Spans to send, in requests of 1,000.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    spans: u64,
    /// Points to send, in requests of 1,032.
    #[arg(long, value_name = "N", default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    points: u64,
    /// Connections that send at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    connections: u64,
    /// Seconds after which sending ends, however much was sent; waiting until the server is idle ends after as many more.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3_600))]
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

/// What the server tells of itself would be among what is measured. What stays in memory goes to parts soon after the last request, yet not before
/// a head is full while requests come.
pub const SETTINGS: [(&str, &str); 3] =
    [("SEXTANT_OWN_METRICS_INTERVAL_S", "0"), ("SEXTANT_OWN_RECORDS", "off"), ("SEXTANT_STORE_FLUSH_INTERVAL_S", "15")];

/// Between two looks at a server that is to become idle.
const LOOK: Duration = Duration::from_millis(250);

/// A server is idle once all rows are in parts, the parts stay as they are, and it has used no more than a twentieth of a
/// core for so long.
const QUIET: Duration = Duration::from_secs(4);

/// Requests that the yardstick decodes, before the load and again after it.
const YARDSTICK_REQUESTS: u64 = 250;

/// Measures and prints.
pub fn run(args: &IngestArgs) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let outcome = runtime.block_on(measure_all(args));
    runtime.shutdown_background();
    outcome
}

/// The signal of this name.
pub fn signal(word: &str) -> Result<Signal, String> {
    let found = Signal::ALL.into_iter().find(|signal| signal.as_str() == word);
    found.ok_or_else(|| format!("there is no signal {word:?}: write logs, spans or points"))
}

async fn measure_all(args: &IngestArgs) -> Outcome {
    let mut measured = Vec::new();
    for signal in Signal::ALL.into_iter().filter(|signal| args.signal.is_empty() || args.signal.contains(signal)) {
        let items = match signal {
            Signal::Logs => args.logs,
            Signal::Spans => args.spans,
            Signal::Points => args.points,
        };
        let time_max = Duration::from_secs(args.seconds_max);
        measured.push(measure(Plan { signal, begin: 0, items, connections: args.connections, time_max }).await?);
    }
    match args.format {
        Format::Table => figures::print_table(&measured)?,
        Format::Json => println!("{}", figures::to_json(&measured)),
    }
    Ok(Exit::Done)
}

async fn measure(plan: Plan) -> anyhow::Result<Figures> {
    let progress = progress(plan)?;
    progress.set_message("yardstick");
    let mut yardstick = Yardstick::default();
    yardstick.decode(plan.signal)?;
    let server = Background::start_with(&SETTINGS).await?;
    let process = server.id()?;
    let before = process::processor_time(process)?;
    progress.set_message("sending");
    let sent = load::send(&server, plan, &progress).await?;
    let acknowledged = process::processor_time(process)?.saturating_sub(before);
    ensure!(sent.items > 0, "nothing was sent in {} s", plan.time_max.as_secs());
    progress.set_message("waiting until it is idle");
    let idle = Idle::wait(&server, process, plan.time_max).await?;
    let peak_kib = process::peak_memory_kib(process)?;
    drop(server);
    progress.set_message("yardstick");
    yardstick.decode(plan.signal)?;
    progress.finish_and_clear();
    let rows = idle.status.tables.get(plan.signal.as_str()).map_or(0, |table| table.part_rows + table.head_rows);
    ensure!(rows == sent.items, "{} {} were acknowledged, {rows} are stored", sent.items, plan.signal);
    Ok(Figures {
        signal: plan.signal,
        sent,
        acknowledged,
        idle: idle.processor.saturating_sub(before),
        is_idle: idle.is_idle,
        yardstick: yardstick.time.as_secs_f64() / yardstick.items as f64,
        bytes_at_rest: idle.status.tables.values().map(|table| table.part_bytes).sum(),
        parts: idle.status.tables.values().map(|table| table.parts).sum(),
        peak_kib,
    })
}

/// A bar of the items of a plan.
pub fn progress(plan: Plan) -> anyhow::Result<ProgressBar> {
    let style = "{prefix:<7} {bar:30} {human_pos} of {human_len}, {per_sec}, {msg}";
    let style = ProgressStyle::with_template(style).context("the progress bar's template is wrong")?;
    let bar = ProgressBar::new(plan.items).with_style(style).with_prefix(plan.signal.as_str());
    bar.enable_steady_tick(Duration::from_millis(120));
    Ok(bar)
}

// What decoding takes, measured beside the load so that what else the machine does disturbs both.
#[derive(Default)]
struct Yardstick {
    time: Duration,
    items: usize,
}

impl Yardstick {
    fn decode(&mut self, signal: Signal) -> anyhow::Result<()> {
        let requests: Vec<Vec<u8>> =
            (0..YARDSTICK_REQUESTS).map(|number| payload::request(signal, number).body).collect();
        // A thread of its own: the kernel counts by thread, and rounds to hundredths of a second.
        let decode = move || -> anyhow::Result<(Duration, usize)> {
            let (began, mut items) = (process::own_thread_time()?, 0);
            for _ in 0..3 {
                for request in &requests {
                    items += collector::convert::yardstick(signal, request).context("a request is not OTLP")?;
                }
            }
            Ok((process::own_thread_time()?.saturating_sub(began), items))
        };
        let joined = std::thread::spawn(decode).join().map_err(|_| anyhow::anyhow!("the yardstick panicked"))?;
        let (time, items) = joined?;
        self.time += time;
        self.items += items;
        Ok(())
    }
}

/// A server that has done all it had to do, or was given up.
pub struct Idle {
    /// Whether it has nothing left to do.
    pub is_idle: bool,
    /// Its processor time when it became quiet, not when that was certain.
    pub processor: Duration,
    /// What it says of itself.
    pub status: Status,
}

impl Idle {
    /// Waits for that.
    pub async fn wait(server: &Background, process: u32, time_max: Duration) -> anyhow::Result<Self> {
        let client = server.client()?;
        let began = Instant::now();
        let (mut since, mut then) = (Instant::now(), (process::processor_time(process)?, shape(&Status::default())));
        loop {
            tokio::time::sleep(LOOK).await;
            let status = client.status().await?;
            let now = (process::processor_time(process)?, shape(&status));
            let allowed = since.elapsed() / 20 + Duration::from_millis(10);
            let is_quiet = now.1 == then.1 && now.0.saturating_sub(then.0) <= allowed;
            if !is_quiet {
                (since, then) = (Instant::now(), now);
            }
            let is_idle = is_quiet && since.elapsed() >= QUIET && then.1.0 == 0;
            if is_idle || began.elapsed() >= time_max {
                return Ok(Self { is_idle, processor: then.0, status });
            }
        }
    }
}

// Rows in memory; parts and their bytes.
fn shape(status: &Status) -> (u64, u64, u64) {
    status.tables.values().fold((0, 0, 0), |(rows, parts, bytes), table| {
        (rows + table.head_rows, parts + table.parts, bytes + table.part_bytes)
    })
}
