//! Who may query now: a few at a time, each on a blocking thread, a bounded number waiting, everyone else refused at once.
//!
//! Scans are work for the processor. Run on the async threads they would stop every other answer; run without a bound they
//! would take the cores from the write path.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use model::memory::Memory;
use model::stats::{Counter, Gauge, Stats};
use model::threads;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::Config;
use crate::limits::SLOW_CLIENTS_MAX;

/// The door to the blocking threads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission {
    all: Arc<Queue>,
    // Of those, answers without a limit.
    streams: Arc<Queue>,
    refused: Counter,
    memory: Option<Memory>,
    slow: Arc<Semaphore>,
}

/// How much of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A page, a table, a tree: it has a bound, and somebody looks at the screen for it.
    Page,
    /// Everything there is. Such answers take at most half of the threads, all cores but one, and half of the places in the queue, and their threads
    /// stand back.
    Stream,
}

/// Why a query has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many queries are waiting already.
    #[error("too many queries are running")]
    Busy,
    /// The process has no memory left for an answer.
    #[error("the server has reached its memory limit")]
    Memory,
    /// The query's thread ended without a result; a defect, which the log tells.
    #[error("the query ended unexpectedly")]
    Died,
}

/// The right to work. Given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
    _stream: Option<OwnedSemaphorePermit>,
    slow: Arc<Semaphore>,
}

impl Permit {
    /// Gives the permit back for a place among those whose clients are slow: there are more of these, but not many. `None`
    /// if all are taken.
    pub fn into_slow(self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slow).try_acquire_owned().ok()
    }
}

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
        CancelOnDrop(Some(self.clone()))
    }
}

/// See [`Cancel::on_drop`].
#[derive(Debug)]
pub struct CancelOnDrop(Option<Cancel>);

impl CancelOnDrop {
    /// Lets the work go on without anyone waiting: it has found another way to learn that nobody does.
    pub fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(cancel) = &self.0 {
            cancel.cancel();
        }
    }
}

impl Admission {
    /// A door as wide as the configuration says.
    pub fn new(config: &Config, stats: &Stats) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self::on(cores, config, stats)
    }

    fn on(cores: usize, config: &Config, stats: &Stats) -> Self {
        let refused =
            stats.counter("sextant_query_refused_total", "Queries refused because too many were waiting.", &[]);
        let (permits, waiting_max) = (config.concurrent_queries, config.waiting_queries);
        let queue = |extent, permits, waiting_max| {
            let help = "Queries that wait for a thread: all of them, and of these answers without a limit.";
            let waiting = stats.gauge("sextant_query_waiting", help, &[("extent", extent)]);
            Arc::new(Queue::new(permits, waiting_max, waiting))
        };
        Self {
            all: queue("all", permits, waiting_max),
            // On every core but one: what is read of a part at a time takes milliseconds, and a page would wait for it.
            streams: queue("stream", (permits / 2).min(cores.saturating_sub(1).max(1)), waiting_max / 2),
            refused,
            memory: None,
            slow: Arc::new(Semaphore::new(SLOW_CLIENTS_MAX)),
        }
    }

    /// The same in a process that may take so much memory.
    pub fn within(self, memory: Memory) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// Runs `work` on a blocking thread once a permit is free, and waits for its result.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: FnOnce(&Cancel) -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let _guard = self
            .start(Extent::Page, move |cancel, permit| {
                let result = work(cancel);
                drop(permit);
                // Nobody may be waiting any more.
                let _ = sender.send(result);
            })
            .await?;
        receiver.await.map_err(|_| Refused::Died)
    }

    /// Starts `work` on a thread that may block once a permit is free. `work` holds the permit even if the caller has gone: it learns
    /// from `Cancel` that the guard was dropped.
    pub async fn start<F>(&self, extent: Extent, work: F) -> Result<CancelOnDrop, Refused>
    where
        F: FnOnce(&Cancel, Permit) + Send + 'static,
    {
        if !self.memory.as_ref().is_none_or(|memory| memory.may_ask()) {
            return Err(Refused::Memory);
        }
        let permit = self.enter(extent).await.inspect_err(|_| self.refused.add(1))?;
        let cancel = Cancel::default();
        let guard = cancel.on_drop();
        let work = move || work(&cancel, permit);
        match extent {
            Extent::Page => _ = tokio::task::spawn_blocking(work),
            Extent::Stream => aside(work).inspect_err(|_| self.refused.add(1))?,
        }
        Ok(guard)
    }

    async fn enter(&self, extent: Extent) -> Result<Permit, Refused> {
        let stream = match extent {
            Extent::Page => None,
            Extent::Stream => Some(self.streams.enter().await?),
        };
        let permit = self.all.enter().await?;
        Ok(Permit { _permit: permit, _stream: stream, slow: Arc::clone(&self.slow) })
    }
}

// A thread that stands back, and so one for each answer: of the runtime's own somebody would wait for the next page.
fn aside(work: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("stream".to_owned()).spawn(move || {
        threads::stand_back();
        let _runtime = runtime.enter();
        work();
    });
    thread.map(|_| ()).map_err(|error| {
        tracing::warn!("cannot start a thread for an answer without a limit: {error}");
        Refused::Busy
    })
}

// Who works, and a bounded number of others who wait for it.
#[derive(Debug)]
struct Queue {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    gauge: Gauge,
}

impl Queue {
    fn new(permits: usize, waiting_max: usize, gauge: Gauge) -> Self {
        let permits = Arc::new(Semaphore::new(permits.max(1)));
        Self { permits, waiting: AtomicUsize::new(0), waiting_max: waiting_max.max(1), gauge }
    }

    async fn enter(&self) -> Result<OwnedSemaphorePermit, Refused> {
        let _place = Place::take(self)?;
        // The semaphore is never closed.
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Refused::Busy)
    }
}

// A place in the queue, given back when dropped.
struct Place<'a>(&'a Queue);

impl<'a> Place<'a> {
    fn take(queue: &'a Queue) -> Result<Self, Refused> {
        let place = Place(queue);
        queue.gauge.add(1);
        if queue.waiting.fetch_add(1, Ordering::AcqRel) >= queue.waiting_max {
            return Err(Refused::Busy);
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.gauge.sub(1);
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refuses_what_would_wait_too_long_in_line() {
        let config = Config { concurrent_queries: 1, waiting_queries: 1, ..Config::default() };
        let stats = Stats::new();
        let admission = Admission::new(&config, &stats);
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let running = admission.start(Extent::Page, move |_, _permit| finished.recv().unwrap_or_default());
        let running = running.await.expect("the first runs");
        let waits = tokio::spawn({
            let admission = admission.clone();
            async move { admission.run(|cancel| cancel.is_cancelled()).await }
        });
        while admission.all.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(admission.run(|_| ()).await, Err(Refused::Busy));
        let refused = stats.values().into_iter().find(|value| value.0 == "sextant_query_refused_total");
        assert_eq!(refused.map(|value| value.2), Some(1));
        drop(finish);
        assert_eq!(waits.await.expect("joined"), Ok(false));
        running.release();
    }

    #[tokio::test]
    async fn streams_leave_half_of_it_to_pages() {
        let config = Config { concurrent_queries: 4, waiting_queries: 4, ..Config::default() };
        let admission = Admission::on(8, &config, &Stats::new());
        let running = [admission.enter(Extent::Stream).await, admission.enter(Extent::Stream).await];
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let admission = admission.clone();
            waiting.spawn(async move { admission.enter(Extent::Stream).await.is_ok() });
        }
        while admission.streams.waiting.load(Ordering::Acquire) < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(admission.enter(Extent::Stream).await.err(), Some(Refused::Busy));
        assert_eq!(admission.run(|_| 7).await, Ok(7), "a page does not wait for streams");
        drop(running);
        assert_eq!(waiting.join_all().await, [true, true]);
    }

    #[tokio::test]
    async fn streams_leave_a_core_to_pages() {
        let config = Config { concurrent_queries: 4, waiting_queries: 4, ..Config::default() };
        for (cores, at_a_time) in [(1, 1), (2, 1), (3, 2), (64, 2)] {
            let admission = Admission::on(cores, &config, &Stats::new());
            assert_eq!(admission.streams.permits.available_permits(), at_a_time, "{cores} cores");
        }
    }

    #[tokio::test]
    async fn work_learns_that_nobody_waits() {
        let admission = Admission::new(&Config::default(), &Stats::new());
        let (sender, receiver) = oneshot::channel();
        let guard = admission
            .start(Extent::Page, move |cancel, _permit| {
                while !cancel.is_cancelled() {
                    std::thread::yield_now();
                }
                let _ = sender.send(());
            })
            .await
            .expect("it runs");
        drop(guard);
        assert_eq!(receiver.await, Ok(()));
    }
}
