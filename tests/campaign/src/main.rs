//! `campaign R01 --trials 50 [--seed S] [--json]`: builds the release binary and runs a campaign against it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use campaign::binary::Subject;
use campaign::figures::Figures;
use campaign::progress::Progress;
use campaign::report::{Report, Trial};
use campaign::simulated::{self, Simulated};
use campaign::slow::Kind;
use campaign::{a01, binary, f01, r01, r02, r07, r10, r11, r12, r13, r14, r16, r17, r18, r19, r22, r26, s01};
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Ends the real server in the hardest ways and asks it afterwards what it still knows.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which campaign.
    campaign: Name,
    /// How often to try.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    trials: u64,
    /// Where randomness begins; another one each time by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Try this binary instead of building one.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// A Python interpreter that has DuckDB: it reads the parts too, and has to find in them what was acknowledged.
    #[arg(long, value_name = "PYTHON")]
    duckdb: Option<PathBuf>,
    /// R17: seconds that the receivers misbehave.
    #[arg(long, default_value_t = 300)]
    outage_s: u64,
    /// R11: seconds of each attack. R14: seconds of overload. R22: seconds of load. R26: seconds of each flood. F01: seconds of the healthy shop. S01: seconds
    /// without a collector.
    #[arg(long)]
    seconds: Option<u64>,
    /// R11: quiet turns and attacks.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// R11: slow connections at a time.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
    /// R11: only these, to find out what each of them costs.
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// R11: the server's memory limit in mebibytes.
    #[arg(long, default_value_t = 400)]
    memory_mib: u64,
    /// R12: mebibytes that the largest bombs grow to.
    #[arg(long, default_value_t = 4096)]
    large_mib: usize,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Name {
    /// kill -9 at random moments under load on three signals.
    R01,
    /// kill -9 at each place where something changes on disk.
    R02,
    /// Power cuts, on a simulated disk.
    R03,
    /// A log that is cut at every byte.
    R04,
    /// Flipped bits in the log.
    R05,
    /// Flipped bits, cuts and losses of parts, indexes, manifest and checkpoints.
    R06,
    /// A disk that is full from some write on, and has space again later.
    R07,
    /// A disk on which an operation fails, once or for ever.
    R08,
    /// A disk that becomes read-only.
    R09,
    /// A wall clock that jumps by hours and years, and records of times far away.
    R10,
    /// 1,000 connections that send heads and bodies in drops, or read their answers so.
    R11,
    /// Bombs: bodies that grow, lie and nest, on both transports.
    R12,
    /// A million new series of two metrics, ten thousand keys, values of a mebibyte.
    R13,
    /// Twice the load that can be taken, in 512 MiB.
    R14,
    /// Merges and retention that end anywhere.
    R15,
    /// A port that somebody has; as many connections as files may be open.
    R16,
    /// Receivers of notifications that are down, failing, busy, slow or resetting.
    R17,
    /// Two processes on one data directory.
    R18,
    /// SIGTERM under load.
    R19,
    /// Half of what the server can take, for long.
    R22,
    /// Everything at once, on a simulated disk and clock.
    R24,
    /// Floods of HTTP/2 frames.
    R26,
    /// kill -9 at random moments around the transitions of alerts and their notifications.
    A01,
    /// Each fault of the demo's shop, its alert and its cause.
    F01,
    /// The collector of a service under load is killed, and comes back minutes later.
    S01,
}

impl Name {
    // The rows that need no binary.
    fn simulated(self) -> Option<simulated::Row> {
        match self {
            Name::R03 => Some(simulated::R03),
            Name::R04 => Some(simulated::R04),
            Name::R05 => Some(simulated::R05),
            Name::R06 => Some(simulated::R06),
            Name::R15 => Some(simulated::R15),
            Name::R24 => Some(simulated::R24),
            _ => None,
        }
    }
}

// What a campaign comes to.
#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Trials(Report),
    Figures(Figures),
    Simulated(Simulated),
    Faults(f01::Table),
}

impl Outcome {
    fn held(&self) -> bool {
        match self {
            Outcome::Trials(report) => report.failures == 0,
            Outcome::Figures(figures) => figures.wrong.is_empty(),
            Outcome::Simulated(simulated) => simulated.failures.is_empty(),
            Outcome::Faults(table) => table.held(),
        }
    }

    fn to_table(&self) -> String {
        match self {
            Outcome::Trials(report) => report.to_table(),
            Outcome::Figures(figures) => figures.to_table(),
            Outcome::Simulated(simulated) => simulated.to_table(),
            Outcome::Faults(table) => table.to_table(),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = arguments.seed.unwrap_or(u64::from(since.subsec_nanos()));
    eprintln!("seed {seed}");
    let outcome = match arguments.campaign.simulated() {
        Some(row) => Outcome::Simulated(simulated::run(row, arguments.trials, seed).await?),
        None => run(&arguments, seed).await?,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    } else {
        print!("{}", outcome.to_table());
    }
    Ok(if outcome.held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(arguments: &Arguments, seed: u64) -> anyhow::Result<Outcome> {
    let binary = match &arguments.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => binary::build_release().await?,
    };
    let mut subject = Subject::new(binary);
    if let Some(python) = &arguments.duckdb {
        subject = subject.read_by(&std::path::absolute(python)?);
    }
    let trials = arguments.trials;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} trials  {elapsed}  {msg}")?;
    // Drawn with the first trial: campaigns of load and attack draw their own.
    let progress = ProgressBar::new(trials).with_style(style);
    let tell = |what: &'static str| {
        let progress = progress.clone();
        move |trial: &Trial| {
            progress.inc(1);
            progress.set_message(format!("{} {what}", trial.acknowledged));
        }
    };
    let (records, transitions) = (|| tell("records acknowledged"), || tell("transitions"));
    let seconds = |default: u64| Duration::from_secs(arguments.seconds.unwrap_or(default));
    let outcome = match arguments.campaign {
        Name::R01 => Outcome::Trials(r01::run(&subject, trials, seed, records()).await?),
        Name::R02 => Outcome::Trials(r02::run(&subject, trials, seed, records()).await?),
        Name::R07 => Outcome::Trials(r07::run(r07::Row::Full, &subject, trials, seed, records()).await?),
        Name::R08 => Outcome::Trials(r07::run(r07::Row::Failing, &subject, trials, seed, records()).await?),
        Name::R09 => Outcome::Trials(r07::run(r07::Row::ReadOnly, &subject, trials, seed, records()).await?),
        Name::R10 => Outcome::Trials(r10::run(&subject, trials, seed, records()).await?),
        Name::R11 => {
            let (connections, rounds, attack) = (arguments.connections, arguments.rounds, seconds(90));
            let memory_bytes_max = arguments.memory_mib << 20;
            let mut plan = r11::Plan { connections, rounds, attack, memory_bytes_max, ..r11::Plan::default() };
            if !arguments.kinds.is_empty() {
                plan.kinds.clone_from(&arguments.kinds);
            }
            Outcome::Figures(r11::run(&subject, &plan, &Progress::shown()).await?)
        }
        Name::R12 => {
            let plan = r12::Plan { trials, large_mib: arguments.large_mib, ..r12::Plan::default() };
            Outcome::Figures(r12::run(&subject, &plan, &Progress::shown()).await?)
        }
        Name::R13 => Outcome::Figures(r13::run(&subject, &r13::Plan::default(), &Progress::shown()).await?),
        Name::R14 => Outcome::Figures(
            r14::run(&subject, &r14::Plan { seconds: seconds(60), ..r14::Plan::default() }, seed).await?,
        ),
        Name::R16 => Outcome::Trials(r16::run(&subject, trials, seed, records()).await?),
        Name::R17 => {
            let outage = Duration::from_secs(arguments.outage_s);
            Outcome::Trials(r17::run(&subject, trials, seed, outage, transitions()).await?)
        }
        Name::R18 => Outcome::Trials(r18::run(&subject, trials, seed, records()).await?),
        Name::R19 => Outcome::Trials(r19::run(&subject, trials, seed, records()).await?),
        Name::R22 => {
            let plan = r22::Plan { soak: seconds(3_600), ..r22::Plan::default() };
            progress.set_length(plan.soak.as_secs());
            progress.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} s")?);
            Outcome::Figures(r22::run(&subject, &plan, seed, |passed| progress.set_position(passed.as_secs())).await?)
        }
        Name::R26 => {
            let plan = r26::Plan { attack: seconds(6), ..r26::Plan::default() };
            Outcome::Figures(r26::run(&subject, &plan, &Progress::shown()).await?)
        }
        Name::A01 => Outcome::Trials(a01::run(&subject, trials, seed, transitions()).await?),
        Name::F01 => {
            let healthy = seconds(f01::Plan::default().healthy.as_secs());
            let plan = f01::Plan { healthy, ..f01::Plan::default() };
            Outcome::Faults(f01::run(&subject, &plan, &Progress::shown()).await?)
        }
        Name::S01 => {
            let plan = s01::Plan { away: seconds(120), ..s01::Plan::default() };
            Outcome::Figures(s01::run(&subject, &plan, &Progress::shown()).await?)
        }
        Name::R03 | Name::R04 | Name::R05 | Name::R06 | Name::R15 | Name::R24 => {
            anyhow::bail!("{:?} needs no binary", arguments.campaign)
        }
    };
    progress.finish_and_clear();
    Ok(outcome)
}
