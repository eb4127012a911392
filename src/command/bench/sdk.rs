//! `sextant bench sdk`: what `sextant-sdk` costs a service. The same axum handler, bare and observed (one span, three log records, two measurements a request), as a process of its
//! own, asked at a steady rate; with a collector that is there, one that is slow, and none.
//!
//! The runs take turns and each figure is the median of its rounds, since a machine is never quiet for as long as all of them take.

mod load;
mod service;

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use self::load::Latencies;
use super::process::{peak_memory_kib, processor_time_of_living};
use crate::report::{Exit, Outcome};

/// How hard and how long.
#[derive(Debug, Args)]
pub struct SdkArgs {
    /// Requests a second.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// Seconds of each run.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds, in each of which every run has its turn.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// KiB that the handler hashes for each request, in place of what a service does.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(0..=65_536))]
    work: u32,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Be the service that is measured; this program starts itself so.
    #[arg(long, hide = true)]
    serve: Option<Kind>,
}

/// Whether the service is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Bare,
    Observed,
}

/// What the service meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Bare,
    Up,
    Slow,
    Down,
}

impl Case {
    const ALL: [Self; 4] = [Self::Bare, Self::Up, Self::Slow, Self::Down];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Up => "observed, collector up",
            Self::Slow => "observed, collector slow",
            Self::Down => "observed, collector down",
        }
    }
}

/// A collector that is slow answers after so long; the SDK waits for ten seconds.
const SLOW: Duration = Duration::from_secs(3);

/// What one run, or the median of several, showed.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    p50: Duration,
    p99: Duration,
    /// Processor time of a request.
    processor: Duration,
    peak_kib: u64,
}

/// Measures and prints.
pub fn run(args: &SdkArgs) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let outcome = match args.serve {
        Some(kind) => runtime.block_on(service::serve(kind == Kind::Observed, args.work)).map(|()| Exit::Done),
        None => runtime.block_on(measure(args)),
    };
    runtime.shutdown_background();
    Ok(outcome?)
}

async fn measure(args: &SdkArgs) -> anyhow::Result<Exit> {
    let up = collector(Duration::ZERO).await?;
    let slow = collector(SLOW).await?;
    // A port that nobody listens on any more.
    let down = TcpListener::bind("127.0.0.1:0")
        .await
        .and_then(|listener| listener.local_addr())
        .context("cannot find a free port")?;
    let progress = ProgressBar::new(u64::from(args.rounds) * Case::ALL.len() as u64);
    let mut runs: Vec<(Case, Vec<Figures>)> = Case::ALL.map(|case| (case, Vec::new())).into();
    for _ in 0..args.rounds {
        for (case, figures) in &mut runs {
            let collector = match case {
                Case::Bare | Case::Up => up,
                Case::Slow => slow,
                Case::Down => down,
            };
            figures.push(
                one(args, *case, collector).await.with_context(|| format!("the run `{}` failed", case.as_str()))?,
            );
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let medians: Vec<(Case, Figures)> = runs.iter().map(|(case, figures)| (*case, median(figures))).collect();
    if args.json {
        print_json(args, &medians);
    } else {
        print_table(args, &medians);
    }
    Ok(Exit::Done)
}

/// Something that takes whatever is sent, after a time.
async fn collector(answers_after: Duration) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("the collector cannot listen")?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(move |body: axum::body::Bytes| async move {
        drop(body);
        tokio::time::sleep(answers_after).await;
    });
    let router = router.layer(axum::extract::DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// One run against a service of its own.
async fn one(args: &SdkArgs, case: Case, collector: SocketAddr) -> anyhow::Result<Figures> {
    let (child, address) = start(args, case, collector).await?;
    let id = child.id().context("the service has ended")?;
    // Connections, caches and what is made at the first request.
    load::ask(address, args.rate, Duration::from_secs(1)).await?;
    let before = processor_time_of_living(id)?;
    let latencies: Latencies = load::ask(address, args.rate, Duration::from_secs(args.seconds)).await?;
    // What waits is sent within a second, and is part of the price.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let processor = processor_time_of_living(id)?.saturating_sub(before)
        / u32::try_from(latencies.count()).unwrap_or(u32::MAX).max(1);
    let peak_kib = peak_memory_kib(id)?;
    drop(child);
    Ok(Figures { p50: latencies.at(0.5), p99: latencies.at(0.99), processor, peak_kib })
}

async fn start(args: &SdkArgs, case: Case, collector: SocketAddr) -> anyhow::Result<(Child, SocketAddr)> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let kind = if case == Case::Bare { "bare" } else { "observed" };
    let mut command = Command::new(program);
    command.args(["bench", "sdk", "--serve", kind, "--work", &args.work.to_string()]);
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))];
    let child = command
        .env_clear()
        .envs(endpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.context("cannot start a service")?;
    let stdout = child.stdout.take().context("the service has no stdout")?;
    let line = BufReader::new(stdout).lines().next_line().await?.context("the service ended before it listened")?;
    Ok((child, line.parse().with_context(|| format!("{line:?} is no address"))?))
}

/// Of each figure by itself.
fn median(figures: &[Figures]) -> Figures {
    fn of<T: Ord + Copy + Default>(figures: &[Figures], value: impl Fn(&Figures) -> T) -> T {
        let mut values: Vec<T> = figures.iter().map(value).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or_default()
    }
    Figures {
        p50: of(figures, |figures| figures.p50),
        p99: of(figures, |figures| figures.p99),
        processor: of(figures, |figures| figures.processor),
        peak_kib: of(figures, |figures| figures.peak_kib),
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn print_table(args: &SdkArgs, medians: &[(Case, Figures)]) {
    println!(
        "{} requests a second, {} KiB hashed for each; medians of {} runs of {} s",
        args.rate, args.work, args.rounds, args.seconds
    );
    println!("{:<26} {:>9} {:>9} {:>12} {:>8} {:>9}", "", "p50 us", "p99 us", "CPU us/req", "CPU +%", "peak MiB");
    let bare = medians.first().map(|(_, figures)| micros(figures.processor)).unwrap_or_default();
    for (case, figures) in medians {
        let processor = micros(figures.processor);
        println!(
            "{:<26} {:>9.0} {:>9.0} {:>12.1} {:>8.1} {:>9.1}",
            case.as_str(),
            micros(figures.p50),
            micros(figures.p99),
            processor,
            (processor / bare - 1.0) * 100.0,
            figures.peak_kib as f64 / 1024.0
        );
    }
}

fn print_json(args: &SdkArgs, medians: &[(Case, Figures)]) {
    let runs: Vec<_> = medians
        .iter()
        .map(|(case, figures)| {
            json!({
                "run": case.as_str(),
                "p50_us": micros(figures.p50),
                "p99_us": micros(figures.p99),
                "processor_us_per_request": micros(figures.processor),
                "peak_kib": figures.peak_kib,
            })
        })
        .collect();
    println!(
        "{}",
        json!({"rate": args.rate, "work_kib": args.work, "seconds": args.seconds, "rounds": args.rounds, "runs": runs})
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_has_its_own_median() {
        let figures = |p50, p99| Figures {
            p50: Duration::from_micros(p50),
            p99: Duration::from_micros(p99),
            ..Figures::default()
        };
        let median = median(&[figures(1, 30), figures(9, 10), figures(2, 20)]);
        assert_eq!((median.p50, median.p99), (Duration::from_micros(2), Duration::from_micros(20)));
    }
}
