//! The faults of a whole process: it crashes, leaks, is kept busy, or is replaced by a worse version of itself.

use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Fault, FaultKind, Faults};
use crate::announce;
use crate::context::Context;
use crate::limits::{FLUSH_MAX, LEAK_BYTES_MAX};

/// The version of a bad deploy.
pub(crate) const BAD_VERSION: &str = "0.2.0-bad";

/// Between two helpings of leaked memory.
const LEAK_STEP: Duration = Duration::from_millis(250);

/// Watches for them until the service stops. Resolves when this process shall end, because another version takes its place.
pub(crate) fn begin(context: &Context) -> impl Future<Output = ()> + Send + 'static {
    let tasks = &context.tasks;
    for task in [crash as fn(Arc<Faults>) -> Task, leak, keep_busy] {
        let (faults, stopping) = (Arc::clone(&context.faults), tasks.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = task(faults) => {}
                () = stopping.stopping() => {}
            }
        });
    }
    redeploy(Arc::clone(&context.faults), context.config.version.clone(), context.config.stop_with_stdin)
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends the process as a bug would, without its flush; what led to it has been sent by then.
fn crash(faults: Arc<Faults>) -> Task {
    Box::pin(async move {
        faults.started(FaultKind::InstanceCrash).await;
        let pause = faults.amount(FaultKind::InstanceCrash).unwrap_or_default();
        tokio::time::sleep(Duration::from_secs_f64(pause)).await;
        if faults.strikes(FaultKind::InstanceCrash) {
            tracing::error!(
                name: "service.crash",
                { shop.fault = FaultKind::InstanceCrash.as_str() },
                "index out of bounds in the order book: the process ends"
            );
            tokio::time::sleep(FLUSH_MAX).await;
            process::abort();
        }
    })
}

/// Keeps what it is given while the fault lasts, up to a bound.
fn leak(faults: Arc<Faults>) -> Task {
    Box::pin(async move {
        loop {
            faults.started(FaultKind::MemoryLeak).await;
            let mut leaked: Vec<Vec<u8>> = Vec::new();
            let mut bytes = 0;
            while let Some(mebibytes) = faults.amount(FaultKind::MemoryLeak) {
                if bytes < LEAK_BYTES_MAX {
                    // The bound is far below what a usize holds.
                    let step = (mebibytes * LEAK_STEP.as_secs_f64() * 1_048_576.0) as usize;
                    // Written, or the kernel would not count it.
                    leaked.push(vec![0x5e; step]);
                    bytes += step;
                    tracing::debug!(leaked_bytes = bytes, buffers = leaked.len(), "leaked");
                }
                tokio::time::sleep(LEAK_STEP).await;
            }
        }
    })
}

/// One thread that computes nothing, at the expense of the runtime's.
fn keep_busy(faults: Arc<Faults>) -> Task {
    Box::pin(async move {
        loop {
            faults.started(FaultKind::NoisyNeighbour).await;
            let neighbour = Arc::clone(&faults);
            let busy = move || {
                while neighbour.amount(FaultKind::NoisyNeighbour).is_some() {
                    let begun = Instant::now();
                    let mut sum = 0_u64;
                    while begun.elapsed() < Duration::from_millis(50) {
                        sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
                    }
                }
            };
            // It ends by itself when the fault does; a panic in it would be its own.
            let _ = tokio::task::spawn_blocking(busy).await;
        }
    })
}

/// With a supervisor, who starts the version that is named in its place, a good version makes room for the bad one when the fault begins, and the bad one for a good one when it ends.
async fn redeploy(faults: Arc<Faults>, version: String, supervised: bool) {
    let next = if is_bad(&version) {
        // The fault reaches it with its first heartbeats.
        let known = tokio::time::timeout(Duration::from_secs(10), faults.started(FaultKind::BadDeploy)).await;
        if known.is_ok() {
            faults.stopped(FaultKind::BadDeploy).await;
        }
        env!("CARGO_PKG_VERSION")
    } else {
        faults.started(FaultKind::BadDeploy).await;
        BAD_VERSION
    };
    if !supervised {
        // It is bad in place, see `is_bad_now`.
        return std::future::pending().await;
    }
    tracing::warn!(
        name: "service.redeployed",
        { shop.version.from = version, shop.version.to = next },
        "another version takes the place of this one"
    );
    announce::redeploy(next);
}

fn is_bad(version: &str) -> bool {
    version == BAD_VERSION
}

/// Whether this version fails this time: the bad one does for the fault's share of the times, also before it has heard of the fault.
pub(crate) fn is_bad_now(context: &Context) -> bool {
    let of_bad = || fastrand::f64() * 100.0 < Fault::new(FaultKind::BadDeploy).amount();
    let heard = context.faults.amount(FaultKind::BadDeploy).is_some();
    let replaceable = context.config.stop_with_stdin;
    match (is_bad(&context.config.version), heard) {
        (true, false) => of_bad(),
        (true, true) => context.faults.strikes(FaultKind::BadDeploy),
        (false, _) => !replaceable && context.faults.strikes(FaultKind::BadDeploy),
    }
}
