//! What a process notices about itself and says in its log: that it takes the processor, that it grows, that its runtime is late. The metrics say it as well; a line in the log says
//! it to whoever reads the log of an instance.

use std::time::Duration;

use tokio::time::Instant;

use crate::context::Context;
use crate::limits::{BUSY_CORES, GROWTH_BYTES, LATE, WATCH_PERIOD};

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(250);

/// Watches until the service stops.
pub(crate) fn begin(context: &Context) {
    let tasks = context.tasks.clone();
    context.tasks.spawn(async move {
        let mut last = Reading::now();
        while !tasks.is_stopping() {
            let latest = watch_period(&tasks).await;
            let now = Reading::now();
            if let (Some(last), Some(now)) = (last, now) {
                tell(&last, &now, latest);
            }
            last = now;
        }
    });
}

// How late the latest tick of a period was.
async fn watch_period(tasks: &crate::context::Tasks) -> Duration {
    let begun = Instant::now();
    let mut latest = Duration::ZERO;
    while begun.elapsed() < WATCH_PERIOD && !tasks.is_stopping() {
        let due = Instant::now() + TICK;
        tasks.pause(TICK).await;
        latest = latest.max(Instant::now().saturating_duration_since(due));
    }
    latest
}

fn tell(last: &Reading, now: &Reading, latest: Duration) {
    let seconds = now.at.duration_since(last.at).as_secs_f64();
    let cores = (now.processor_s - last.processor_s) / seconds.max(1e-3);
    if cores > BUSY_CORES {
        tracing::warn!(
            name: "process.busy",
            { shop.cores = cores, shop.threads = now.threads },
            "this process has kept {cores:.2} cores busy for {seconds:.0} s"
        );
    }
    let grown = now.memory_bytes.saturating_sub(last.memory_bytes);
    if grown > GROWTH_BYTES {
        let (grown, memory) = (grown >> 20, now.memory_bytes >> 20);
        tracing::warn!(
            name: "process.growing",
            { shop.grown_mib = grown, shop.memory_mib = memory },
            "this process has grown by {grown} MiB within {seconds:.0} s, to {memory} MiB"
        );
    }
    if latest > LATE {
        let late_s = latest.as_secs_f64();
        tracing::warn!(name: "runtime.late", { shop.late_s = late_s }, "a task waited {late_s:.2} s for the processor");
    }
}

#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    processor_s: f64,
    memory_bytes: u64,
    threads: u64,
}

impl Reading {
    /// From procfs; none where there is none.
    fn now() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // Behind the name in parentheses: state, ppid, ...; utime and stime are the 12th and 13th of these, num_threads the 18th, rss the 22nd.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number)?.parse::<u64>().ok();
        // Linux has counted a hundred of them a second since for ever, and pages have 4 KiB where the shop runs.
        let processor_s = (field(11)? + field(12)?) as f64 / 100.0;
        Some(Self { at: Instant::now(), processor_s, memory_bytes: field(21)? * 4_096, threads: field(17)? })
    }
}
