//! `sextant bench metrics`: what Prometheus's users do. Hours of samples of some thousand series go in by remote write, then the eight queries
//! of a dashboard are asked, first of servers that have just started and then again and again; a server of its own takes one sample of each
//! of a million series. A Prometheus, if there is one, is given the same bytes in the same run and asked the same.

mod figures;
mod payload;
mod peer;
mod questions;
mod side;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use self::figures::{Figures, Of};
use self::payload::{Span, TARGET_SERIES};
use self::peer::Peer;
use self::side::{Kind, Side};
use crate::report::{Exit, Outcome};

/// How much is written and asked, and how the figures are written.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// Series, in targets of 100.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000))]
    series: u64,
    /// Hours of samples.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=48))]
    hours: u64,
    /// Seconds between two samples of a series.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=300))]
    interval_s: u64,
    /// Times that each query is asked of a server that has been asked before.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    asks: u64,
    /// Starts of each server behind which each query is asked once.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    starts: u64,
    /// Series that are alive at a time in a server of their own, for its memory; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(0..=2_000_000))]
    active_series: u64,
    /// The Prometheus beside: its binary, "off" for none.
    #[arg(long, value_name = "BINARY", default_value = "prometheus")]
    prometheus: String,
    /// Connections that send at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    connections: u64,
    /// Seconds after which waiting until a server is idle ends.
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=3_600))]
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

/// Samples of a series in one request.
const STEPS_PER_REQUEST: u64 = 20;

/// Targets in one request of those that are only to be alive.
const ACTIVE_TARGETS_PER_REQUEST: u64 = 20;

/// Measures and prints.
pub fn run(args: &MetricsArgs) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let outcome = runtime.block_on(measure_all(args));
    runtime.shutdown_background();
    outcome
}

async fn measure_all(args: &MetricsArgs) -> Outcome {
    let peer = if args.prometheus == "off" { None } else { Peer::find(&args.prometheus) };
    if peer.is_none() && args.prometheus != "off" {
        eprintln!(
            "there is no {}: Sextant alone is measured; `--prometheus BINARY` names one, such as the one that the differential test unpacks",
            args.prometheus
        );
    }
    let mut kinds = vec![Kind::Sextant];
    kinds.extend(peer.map(Kind::Prometheus));
    let mut of = Vec::new();
    for kind in kinds {
        of.push(measure(args, &kind).await?);
    }
    same_answers(&of)?;
    let figures = Figures { series: targets(args) * TARGET_SERIES, steps: steps(args), of };
    match args.format {
        Format::Table => figures::print_tables(&figures)?,
        Format::Json => println!("{}", figures::to_json(&figures)),
    }
    Ok(Exit::Done)
}

// Who answers with less has less to do.
fn same_answers(of: &[Of]) -> anyhow::Result<()> {
    if let [ours, theirs] = of {
        ensure!(ours.found == theirs.found, "the answers hold other series: {:?}, {:?}", ours.found, theirs.found);
    }
    Ok(())
}

fn targets(args: &MetricsArgs) -> u64 {
    args.series / TARGET_SERIES
}

fn steps(args: &MetricsArgs) -> u64 {
    args.hours * 3_600 / args.interval_s
}

async fn measure(args: &MetricsArgs, kind: &Kind) -> anyhow::Result<Of> {
    let (targets, steps) = (targets(args), steps(args));
    let samples = targets * TARGET_SERIES * steps;
    let bar = progress(kind.name(), samples)?;
    let mut side = Side::start(kind).await?;
    let mut spans = Vec::new();
    for first in (0..steps).step_by(usize::try_from(STEPS_PER_REQUEST)?) {
        let steps = first..(first + STEPS_PER_REQUEST).min(steps);
        spans.push(shards(targets, args.connections, |targets| Span {
            targets,
            steps: steps.clone(),
            interval_s: args.interval_s,
        }));
    }
    bar.set_message("sending");
    let sent = side.send(&spans, &bar).await?;
    bar.set_message("waiting until it is idle");
    let rest = side.at_rest(samples, Duration::from_secs(args.seconds_max)).await?;
    let questions = questions::all(args.hours, args.interval_s);
    let mut cold = vec![Vec::new(); questions.len()];
    for start in 0..args.starts {
        bar.set_message(format!("start {} of {}", start + 1, args.starts));
        side = side.again().await?;
        let client = side.client()?;
        // Each in its turn is the first.
        for turn in 0..questions.len() {
            let place = (turn + usize::try_from(start)?) % questions.len();
            cold[place].push(questions[place].ask(&client).await?.took);
        }
    }
    let (mut warm, mut found) = (vec![Vec::new(); questions.len()], Vec::new());
    let client = side.client()?;
    for (place, question) in questions.iter().enumerate() {
        bar.set_message(question.name);
        // Once without counting.
        found.push(question.ask(&client).await?.series);
        for _ in 0..args.asks {
            warm[place].push(question.ask(&client).await?.took);
        }
    }
    let peak_kib = side.peak_kib()?;
    drop(side);
    bar.set_message("active series");
    let active = if args.active_series > 0 { Some(active(args, kind).await?) } else { None };
    bar.finish_and_clear();
    let names = questions.iter().map(|question| question.name).collect();
    Ok(Of { name: kind.name(), sent, rest, questions: names, found, cold, warm, peak_kib, active })
}

// One sample of each series, in a server of its own.
async fn active(args: &MetricsArgs, kind: &Kind) -> anyhow::Result<figures::Active> {
    let targets = args.active_series.div_ceil(TARGET_SERIES);
    let bar = progress(kind.name(), targets * TARGET_SERIES)?;
    bar.set_message("active series");
    let side = Side::start(kind).await?;
    let one = |targets| Span { targets, steps: 0..1, interval_s: args.interval_s };
    let requests = targets.div_ceil(ACTIVE_TARGETS_PER_REQUEST);
    let spans: Vec<Vec<Span>> = (0..requests)
        .step_by(usize::try_from(args.connections)?)
        .map(|first| {
            let at_once = first..(first + args.connections).min(requests);
            let range = |request: u64| {
                let first = request * ACTIVE_TARGETS_PER_REQUEST;
                first..(first + ACTIVE_TARGETS_PER_REQUEST).min(targets)
            };
            at_once.map(|request| one(range(request))).collect()
        })
        .collect();
    let sent = side.send(&spans, &bar).await?;
    let (resident_kib, peak_kib) = (side.resident_kib()?, side.peak_kib()?);
    bar.finish_and_clear();
    Ok(figures::Active { series: sent.samples, resident_kib, peak_kib, took: sent.took })
}

// The targets in as many parts as there are connections.
fn shards(targets: u64, connections: u64, span: impl Fn(std::ops::Range<u64>) -> Span) -> Vec<Span> {
    let bounds = (0..=connections).map(|connection| targets * connection / connections).collect::<Vec<u64>>();
    bounds.windows(2).filter(|pair| pair[0] < pair[1]).map(|pair| span(pair[0]..pair[1])).collect()
}

fn progress(name: &'static str, samples: u64) -> anyhow::Result<ProgressBar> {
    let style = "{prefix:<10} {bar:30} {human_pos} of {human_len}, {per_sec}, {msg}";
    let style = ProgressStyle::with_template(style).context("the progress bar's template is wrong")?;
    let bar = ProgressBar::new(samples).with_style(style).with_prefix(name);
    bar.enable_steady_tick(Duration::from_millis(120));
    Ok(bar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_in_one_shard() {
        for (targets, connections) in [(100, 4), (10, 4), (3, 64), (7, 1)] {
            let span = |targets| Span { targets, steps: 0..1, interval_s: 15 };
            let all: Vec<u64> = shards(targets, connections, span).into_iter().flat_map(|span| span.targets).collect();
            assert_eq!(all, (0..targets).collect::<Vec<u64>>(), "{targets} over {connections}");
        }
    }
}
