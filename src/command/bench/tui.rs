//! `sextant bench tui`: what a frame costs, from painting to the bytes for the terminal, and what the dashboard holds in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;
use model::{Clock, SystemClock};
use serde_json::json;
use tokio::sync::mpsc;
use tui::app::Start;
use tui::runtime::once::once;
use tui::runtime::{Figures, moment, run as run_dashboard};
use tui::screen::{self, Spec};
use tui::session::Range;
use tui::terminal::{Blank, Surface as _};
use tui::theme::{Palette, Theme};

use super::background::Background;
use crate::report::{Exit, Outcome};

/// How hard and how long.
#[derive(Debug, Args)]
pub struct TuiArgs {
    /// Log records a second that the dashboard follows.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(20..=100_000))]
    rate: u64,
    /// Seconds that it follows them.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Frames that are drawn of each screen.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: u32,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

// The size that the goals are stated for.
const SIZE: (u16, u16) = (200, 60);

/// Measures and prints.
pub fn run(args: &TuiArgs) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let outcome = runtime.block_on(measure(args));
    runtime.shutdown_background();
    outcome
}

async fn measure(args: &TuiArgs) -> Outcome {
    let server = Background::start().await?;
    let progress = ProgressBar::new_spinner()
        .with_message(format!("following {} records a second for {} s", args.rate, args.seconds));
    progress.enable_steady_tick(Duration::from_millis(120));
    let flood = server.flood(args.rate)?;
    let followed = follow(&server, Duration::from_secs(args.seconds)).await?;
    let stored = flood.stored();
    drop(flood);
    let memory = memory();
    let mut screens = Vec::new();
    for spec in screen::ALL.iter().filter(|spec| !spec.needs_argument) {
        progress.set_message(format!("drawing {}", spec.name));
        screens.push((spec.name, draw(&server, spec, args.frames).await?));
    }
    progress.finish_and_clear();
    if args.json {
        print_json(args, &followed, stored, memory, &screens);
    } else {
        print_table(args, &followed, stored, memory, &screens);
    }
    Ok(Exit::Done)
}

fn start(client: &tui::Client, spec: &'static Spec) -> anyhow::Result<Start> {
    let clock = SystemClock::new();
    let now = moment(&clock);
    let range = Range::parse("15m", clock.now()).map_err(|mistake| anyhow::anyhow!("{mistake}"))?;
    Ok(Start {
        now,
        size: SIZE,
        theme: Theme { palette: Palette::Dark, ascii: false },
        url: client.url().to_string(),
        seed: 1,
        range,
        screen: spec,
        args: screen::Args::default(),
    })
}

// The whole dashboard on its log screen, without a person.
async fn follow(server: &Background, time: Duration) -> anyhow::Result<Figures> {
    let client = server.client()?;
    let spec = screen::spec("logs").context("there is no screen logs")?;
    let start = start(&client, spec)?;
    // Held until the end: a keyboard that is gone ends the dashboard.
    let (keyboard, inputs) = mpsc::channel(1);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut surface = Blank::new(SIZE).context("no surface to draw on")?;
    let stop = tokio::time::sleep(time);
    let figures = run_dashboard(client, clock, start, &mut surface, inputs, stop).await?;
    drop(keyboard);
    Ok(figures)
}

// One screen with its answers, drawn again and again.
async fn draw(server: &Background, spec: &'static Spec, frames: u32) -> anyhow::Result<Vec<Duration>> {
    let client = server.client()?;
    let start = start(&client, spec)?;
    let state = once(client, start).await;
    let mut state = state.map_err(|trouble| anyhow::anyhow!("{}: {}", spec.name, trouble.sentence))?;
    let mut surface = Blank::new(SIZE).context("no surface to draw on")?;
    let mut times = Vec::new();
    for _ in 0..frames {
        let begun = Instant::now();
        surface.draw(&mut |buffer| tui::app::draw(&mut state, buffer))?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// Kibibytes that the process holds now and held at most, as the kernel counts them; `None` where it does not tell.
fn memory() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok()
    };
    Some((field("VmRSS")?, field("VmHWM")?))
}

// The smallest time that this share of the frames did not exceed.
fn quantile(times: &[Duration], share: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let rank = (share * times.len() as f64).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn print_table(
    args: &TuiArgs,
    followed: &Figures,
    stored: u64,
    memory: Option<(u64, u64)>,
    screens: &[(&str, Vec<Duration>)],
) {
    let line = |name: &str, times: &[Duration]| {
        let millis = |share| quantile(times, share).as_secs_f64() * 1e3;
        println!("{name:<24} {:>7} {:>8.2} {:>8.2} {:>8.2}", times.len(), millis(0.5), millis(0.99), millis(1.0));
    };
    println!("{:<24} {:>7} {:>8} {:>8} {:>8}", "200x60", "FRAMES", "p50 (ms)", "p99 (ms)", "max (ms)");
    line("logs, following", &followed.frame_times);
    for (name, times) in screens {
        line(name, times);
    }
    println!(
        "\nfollowed {} s at {} records/s: {stored} stored, {} shown, {} not shown (the newest are shown, all are stored)",
        args.seconds, args.rate, followed.rows_shown, followed.rows_not_shown
    );
    if let Some((now, most)) = memory {
        println!("memory of the dashboard: {} MiB, at most {} MiB", now / 1024, most / 1024);
    }
}

fn print_json(
    args: &TuiArgs,
    followed: &Figures,
    stored: u64,
    memory: Option<(u64, u64)>,
    screens: &[(&str, Vec<Duration>)],
) {
    let times = |times: &[Duration]| {
        let micros = |share| quantile(times, share).as_micros() as u64;
        json!({"frames": times.len(), "p50_us": micros(0.5), "p99_us": micros(0.99), "max_us": micros(1.0)})
    };
    let screens: serde_json::Map<String, serde_json::Value> =
        screens.iter().map(|(name, drawn)| ((*name).to_owned(), times(drawn))).collect();
    let value = json!({
        "size": "200x60",
        "rate": args.rate,
        "seconds": args.seconds,
        "following": times(&followed.frame_times),
        "records_stored": stored,
        "rows_shown": followed.rows_shown,
        "rows_not_shown": followed.rows_not_shown,
        "rss_kib": memory.map(|(now, _)| now),
        "rss_most_kib": memory.map(|(_, most)| most),
        "screens": screens,
    });
    println!("{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&times, 0.5), Duration::from_millis(50));
        assert_eq!(quantile(&times, 0.99), Duration::from_millis(99));
        assert_eq!(quantile(&times, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn the_kernel_tells_the_memory() {
        assert!(memory().is_some_and(|(now, most)| now > 0 && most >= now));
    }
}
