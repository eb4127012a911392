//! `campaign R01 --trials 50 [--seed S] [--json]`: builds the release binary and runs a campaign against it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use campaign::figures::Figures;
use campaign::progress::Progress;
use campaign::report::{Report, Trial};
use campaign::{a01, binary, r01, r11, r12, r14, r17, r26};
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
    /// R11: seconds of each attack. R14: seconds of overload. R26: seconds of each flood.
    #[arg(long)]
    seconds: Option<u64>,
    /// R11: quiet turns and attacks.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// R11: slow connections at a time.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
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
    /// kill -9 at random moments around the transitions of alerts and their notifications.
    A01,
    /// 1,000 connections that send heads and bodies in drops, or read their answers so.
    R11,
    /// Bombs: bodies that grow, lie and nest, on both transports.
    R12,
    /// Twice the load that can be taken, in 512 MiB.
    R14,
    /// Floods of HTTP/2 frames.
    R26,
    /// Receivers of notifications that are down, failing, busy, slow or resetting.
    R17,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
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
    let seconds = |default: u64| Duration::from_secs(arguments.seconds.unwrap_or(default));
    let figures = match arguments.campaign {
        Name::R11 => {
            let (connections, rounds, attack) = (arguments.connections, arguments.rounds, seconds(90));
            let memory_bytes_max = arguments.memory_mib << 20;
            let plan = r11::Plan { connections, rounds, attack, memory_bytes_max, ..r11::Plan::default() };
            Some(r11::run(&binary, &plan, &Progress::shown()).await?)
        }
        Name::R12 => {
            let plan = r12::Plan { trials, large_mib: arguments.large_mib, ..r12::Plan::default() };
            Some(r12::run(&binary, &plan, &Progress::shown()).await?)
        }
        Name::R14 => Some(r14::run(&binary, seconds(60), seed).await?),
        Name::R26 => {
            let plan = r26::Plan { attack: seconds(6), ..r26::Plan::default() };
            Some(r26::run(&binary, &plan, &Progress::shown()).await?)
        }
        _ => None,
    };
    if let Some(figures) = figures {
        progress.finish_and_clear();
        return tell_figures(&figures, arguments.json);
    }
    let report = match arguments.campaign {
        Name::R11 | Name::R12 | Name::R14 | Name::R26 => unreachable!("they have figures"),
        Name::R01 => r01::run(&binary, trials, seed, tell("records acknowledged")).await?,
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
