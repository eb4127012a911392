//! Who may query now: a few at a time, each on a blocking thread, a bounded number waiting, everyone else refused at once.
//!
//! Scans are work for the processor. Run on the async threads they would stop every other answer; run without a bound they
//! would take the cores from the write path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use model::stats::{Counter, Stats};
use tokio::sync::Semaphore;

use crate::Config;

/// The door to the blocking threads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission {
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    refused: Counter,
}

/// Too many queries are waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many queries are running")]
pub struct Refused;

/// Whether anyone still wants the answer. Looked at between two pieces of work.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Whether the work has become pointless.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Says that nobody waits any more.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// A guard that cancels when it is dropped: with the future of a request whose client has gone.
    pub fn on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }
}

/// See [`Cancel::on_drop`].
#[derive(Debug)]
pub struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Admission {
    /// A door as wide as the configuration says.
    pub fn new(config: &Config, stats: &Stats) -> Self {
        let refused =
            stats.counter("sextant_query_refused_total", "Queries refused because too many were waiting.", &[]);
        Self {
            permits: Arc::new(Semaphore::new(config.concurrent_queries.max(1))),
            waiting: Arc::default(),
            waiting_max: config.waiting_queries,
            refused,
        }
    }

    /// Runs `work` on a blocking thread once a permit is free. The permit is held until `work` returns, even if the caller
    /// has gone: `work` learns of that from `Cancel`.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: FnOnce(&Cancel) -> T + Send + 'static,
    {
        let permit = {
            let _place = Place::take(self)?;
            // The semaphore is never closed.
            Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Refused)?
        };
        let cancel = Cancel::default();
        let guard = cancel.on_drop();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&cancel)
        });
        let result = task.await;
        drop(guard);
        match result {
            Ok(value) => Ok(value),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Cancelled only when the runtime shuts down.
            Err(_) => Err(Refused),
        }
    }
}

// A place in the queue, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(admission: &'a Admission) -> Result<Self, Refused> {
        let place = Place(&admission.waiting);
        if admission.waiting.fetch_add(1, Ordering::AcqRel) >= admission.waiting_max.max(1) {
            admission.refused.add(1);
            return Err(Refused);
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
