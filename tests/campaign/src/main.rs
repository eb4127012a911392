//! `campaign R01 --trials 50 [--seed S] [--json]`: builds the release binary and runs a campaign against it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use campaign::figures::Figures;
use campaign::report::{Report, Trial};
use campaign::{a01, binary, r01, r02, r07, r10, r11, r12, r14, r16, r17, r18, r19, r22, simulated};
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

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
    /// R17: seconds that the receivers misbehave.
    #[arg(long, default_value_t = 300)]
    outage_s: u64,
    /// R11: seconds without and with the attack. R14: seconds of overload. R22: seconds of load.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
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
    /// Power cuts on a simulated disk.
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
    /// kill -9 at random moments around the transitions of alerts and their notifications.
    A01,
    /// 1,000 connections that send heads and bodies in drops, or read their answers so.
    R11,
    /// Bombs: bodies that grow, lie and nest, on both transports.
    R12,
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

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(row) = arguments.campaign.simulated() {
        let came = simulated::run(row, arguments.trials, arguments.seed.unwrap_or(0)).await?;
        let text = if arguments.json { serde_json::to_string_pretty(&came)? + "\n" } else { came.to_table() };
        print!("{text}");
        return Ok(if came.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let binary = match arguments.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => binary::build_release().await?,
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = arguments.seed.unwrap_or(u64::from(since.subsec_nanos()));
    eprintln!("seed {seed}");

    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} trials  {elapsed}  {msg}")?;
    let progress = ProgressBar::new(arguments.trials).with_style(style);
    let trials = arguments.trials;
    let tell = |what: &'static str| {
        let progress = progress.clone();
        move |trial: &Trial| {
            progress.inc(1);
            progress.set_message(format!("{} {what}", trial.acknowledged));
        }
    };
    let patience = Duration::from_secs(arguments.seconds);
    let figures = match arguments.campaign {
        Name::R11 => Some(r11::run(&binary, &r11::Plan { seconds: patience, ..r11::Plan::default() }).await?),
        Name::R12 => Some(r12::run(&binary, trials, arguments.large_mib).await?),
        Name::R14 => Some(r14::run(&binary, patience, seed).await?),
        Name::R22 => {
            progress.set_length(arguments.seconds);
            progress.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} s")?);
            Some(r22::run(&binary, patience, seed, |passed| progress.set_position(passed.as_secs())).await?)
        }
        _ => None,
    };
    if let Some(figures) = figures {
        progress.finish_and_clear();
        return tell_figures(&figures, arguments.json);
    }
    let report = match arguments.campaign {
        Name::R03 | Name::R04 | Name::R05 | Name::R06 | Name::R15 | Name::R24 => unreachable!("they are simulated"),
        Name::R11 | Name::R12 | Name::R14 | Name::R22 => unreachable!("they have figures"),
        Name::R01 => r01::run(&binary, trials, seed, tell("records acknowledged")).await?,
        Name::R02 => r02::run(&binary, trials, seed, tell("records acknowledged")).await?,
        Name::R07 => r07::run(r07::Row::Full, &binary, trials, seed, tell("records acknowledged")).await?,
        Name::R08 => r07::run(r07::Row::Failing, &binary, trials, seed, tell("records acknowledged")).await?,
        Name::R09 => r07::run(r07::Row::ReadOnly, &binary, trials, seed, tell("records acknowledged")).await?,
        Name::R10 => r10::run(&binary, trials, seed, tell("records acknowledged")).await?,
        Name::R16 => r16::run(&binary, trials, seed, tell("records acknowledged")).await?,
        Name::R18 => r18::run(&binary, trials, seed, tell("records acknowledged")).await?,
        Name::R19 => r19::run(&binary, trials, seed, tell("records acknowledged")).await?,
        Name::A01 => a01::run(&binary, trials, seed, tell("transitions")).await?,
        Name::R17 => {
            let outage = Duration::from_secs(arguments.outage_s);
            r17::run(&binary, trials, seed, outage, tell("transitions")).await?
        }
    };
    progress.finish_and_clear();
    print(&report, arguments.json)?;
    Ok(if report.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell_figures(figures: &Figures, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string_pretty(figures)?)
    } else {
        print!("{}", figures.to_table())
    }
    Ok(if figures.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?)
    } else {
        print!("{}", report.to_table())
    }
    Ok(())
}
