//! `campaign R01 --trials 50 [--seed S] [--json]`: builds the release binary and runs a campaign against it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use campaign::figures::Figures;
use campaign::report::{Report, Trial};
use campaign::{a01, binary, r01, r11, r12, r14, r17};
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
    /// R11: seconds without and with the attack. R14: seconds of overload.
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
    /// kill -9 at random moments around the transitions of alerts and their notifications.
    A01,
    /// 1,000 connections that send heads and bodies in drops, or read their answers so.
    R11,
    /// Bombs: bodies that grow, lie and nest, on both transports.
    R12,
    /// Twice the load that can be taken, in 512 MiB.
    R14,
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
    let patience = Duration::from_secs(arguments.seconds);
    let figures = match arguments.campaign {
        Name::R11 => Some(r11::run(&binary, &r11::Plan { seconds: patience, ..r11::Plan::default() }).await?),
        Name::R12 => Some(r12::run(&binary, trials, arguments.large_mib).await?),
        Name::R14 => Some(r14::run(&binary, patience, seed).await?),
        _ => None,
    };
    if let Some(figures) = figures {
        progress.finish_and_clear();
        return tell_figures(&figures, arguments.json);
    }
    let report = match arguments.campaign {
        Name::R11 | Name::R12 | Name::R14 => unreachable!("they have figures"),
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
