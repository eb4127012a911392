//! What `main` holds on to: its drop sends what still waits, within a bound, whatever runtime it happens in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::metrics::SdkMeterProvider;

use crate::export::tally::Tally;
use crate::export::thread::ExportThread;
use crate::limits::WAIT_MAX;

/// The telemetry of this process. Dropping it sends what still waits, for at most three seconds or what [`crate::Builder::shutdown_within`] says; what was not taken by then is
/// lost, and one line on stderr says how much.
#[must_use = "telemetry ends when the guard is dropped: `let _guard = sextant_sdk::init(..)?`"]
pub struct Guard {
    parts: Option<Parts>,
    shutdown_max: Duration,
}

struct Parts {
    thread: Option<ExportThread>,
    metrics: Option<SdkMeterProvider>,
    /// Shared with the metrics' exporter.
    stop_by: Arc<Mutex<Option<tokio::time::Instant>>>,
    tally: Arc<Tally>,
}

impl Guard {
    pub(crate) fn new(
        thread: Option<ExportThread>,
        metrics: Option<SdkMeterProvider>,
        stop_by: Arc<Mutex<Option<tokio::time::Instant>>>,
        tally: Arc<Tally>,
        shutdown_max: Duration,
    ) -> Self {
        Self { parts: Some(Parts { thread, metrics, stop_by, tally }), shutdown_max: shutdown_max.min(WAIT_MAX) }
    }

    /// Sends what waits now, and says whether all of it was taken or refused in that time. Blocks until then: in async code, call it where blocking is allowed.
    pub fn flush(&self, within: Duration) -> bool {
        let Some(parts) = &self.parts else { return true };
        let (begun, within) = (Instant::now(), within.min(WAIT_MAX));
        // The official reader has five seconds of its own; a thread waits for it, so that nobody else does.
        let metrics = parts
            .metrics
            .clone()
            .is_none_or(|metrics| bounded(within, move || metrics.force_flush().is_ok()).unwrap_or(false));
        let rest = within.saturating_sub(begun.elapsed());
        parts.thread.as_ref().is_none_or(|thread| thread.flush(rest)) && metrics
    }

    /// Sends what still waits and ends; as the drop does, but without blocking the runtime. Whether everything was sent in time.
    pub async fn shutdown(mut self) -> bool {
        let Some(parts) = self.parts.take() else { return true };
        let within = self.shutdown_max;
        let (done, ended) = tokio::sync::oneshot::channel();
        let thread =
            std::thread::Builder::new().name("sextant-sdk-end".to_owned()).spawn(move || done.send(parts.end(within)));
        // Where no thread can be had, the parts are gone with the closure, and what waited is lost.
        thread.is_ok() && ended.await.unwrap_or(false)
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("shutdown_max", &self.shutdown_max).finish_non_exhaustive()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            parts.end(self.shutdown_max);
        }
    }
}

impl Parts {
    fn end(self, within: Duration) -> bool {
        let Self { thread, metrics, stop_by, tally } = self;
        let begun = Instant::now();
        // Half the time for the metrics at most, so that a collector that never answers leaves some for what waits.
        let half = within / 2;
        *stop_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::time::Instant::now() + half);
        let measured = metrics.is_none_or(|metrics| bounded(half, move || metrics.shutdown().is_ok()).unwrap_or(false));
        tally.report_at_the_end();
        let sent = thread.as_ref().is_none_or(|thread| thread.stop(within.saturating_sub(begun.elapsed())));
        tally.say_what_stayed();
        measured && sent
    }
}

/// Does something that may take longer than wanted on a thread of its own. `None` if it did.
fn bounded<T: Send + 'static>(within: Duration, act: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("sextant-sdk-flush".to_owned());
    thread.spawn(move || done.try_send(act())).ok()?;
    result.recv_timeout(within).ok()
}
