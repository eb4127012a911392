//! The store's own thread for what must not wait in the way of an acknowledgement: flushing heads that are full or old. What may
//! take longer, and must not wait in the way of a flush, has a thread beside it: see `housekeeping`.
//!
//! Nothing is locked while it reads or writes: the store hands out chunks, goes on answering from them, and swaps them for
//! the parts in one step when these are durable. A flush that fails is counted and tried again; its rows stay in the head.

mod expiry;
mod housekeeping;
mod scrub;
mod space;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use model::stats::{Counter, Seconds, Stats};
use model::{Clock, Signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::disk::Disk;
use crate::flush::{self, Round, Target};
use crate::head::Chunk;
use crate::part::{INDEX_FILE, Opened, Part, Place};
use crate::store::Setup;
use crate::{Config, StoreError, limits};
pub(crate) use housekeeping::Housekeeping;

/// How often the heads are looked at without being asked to.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Wait after a first failure; doubled after each further one.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest wait between failures.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// What upkeep needs of the store.
pub(crate) trait Flushable: Send + Sync + 'static {
    /// What a signal's head holds now.
    fn head(&self, signal: Signal) -> HeadState;

    /// All chunks that a signal's head holds, and the number up to which they hold every row. They stay in the head until
    /// they are published.
    fn seal(&self, signal: Signal) -> (Vec<Arc<Chunk>>, u64);

    /// Lists the parts in the manifest and swaps them for the rows of the signal's head up to `up_to_seq`.
    fn publish(&self, signal: Signal, parts: Vec<Arc<Part>>, up_to_seq: u64) -> Result<(), StoreError>;

    /// A number that no other part has.
    fn next_part_number(&self) -> u64;

    /// What is open of the parts.
    fn opened(&self) -> &Arc<Opened>;
}

/// Size and age of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadState {
    /// Bytes in memory, once queries have expanded what they want.
    pub(crate) bytes: u64,
    /// Bytes that a flush has to write.
    pub(crate) bytes_to_write: u64,
    /// When the oldest chunk was committed, on the clock's monotonic time. `None` if there is none.
    pub(crate) oldest: Option<Duration>,
}

/// The running thread. Dropped without [`Upkeep::stop`] it ends by itself, at the latest after the flush it is in.
#[derive(Debug)]
pub(crate) struct Upkeep {
    requests: UnboundedSender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Request {
    /// Look now: a head has grown.
    Look,
    /// Flush everything, say how it went.
    Flush(mpsc::Sender<Result<(), StoreError>>),
    /// Flush nothing more.
    Stop,
}

impl Upkeep {
    /// Starts the thread.
    pub(crate) fn start(setup: &Setup, store: Arc<dyn Flushable>) -> Result<Upkeep, StoreError> {
        let (requests, received) = unbounded_channel();
        let worker = Worker::new(setup, store);
        let failed =
            |source| StoreError::Disk { operation: "start a thread for", path: setup.directory.clone(), source };
        // Time-outs come from the clock, whose own are tokio's: the thread brings a small runtime of its own.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name("upkeep".to_owned())
            .spawn(move || runtime.block_on(worker.run(received)))
            .map_err(failed)?;
        Ok(Upkeep { requests, thread: Mutex::new(Some(thread)) })
    }

    /// Asks for a look at the heads, now rather than within a second: one has passed the bytes that it may have.
    pub(crate) fn look(&self) {
        // It fails only when the thread has ended, and then the store is closing.
        let _ = self.requests.send(Request::Look);
    }

    /// Flushes all heads, whatever their size. Blocks until their parts are published.
    pub(crate) fn flush_now(&self) -> Result<(), StoreError> {
        let (reply, answer) = mpsc::channel();
        let closed = || StoreError::Closed { reason: "its upkeep has ended".to_owned() };
        self.requests.send(Request::Flush(reply)).map_err(|_| closed())?;
        answer.recv().map_err(|_| closed())?
    }

    /// Ends the thread, after the flush it is in. What is not flushed is in the WAL.
    pub(crate) fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.requests.send(Request::Stop);
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the upkeep thread ended by a panic");
        }
    }
}

struct Worker {
    store: Arc<dyn Flushable>,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    config: Config,
    signals: [SignalState; 3],
}

// What the worker remembers of a signal.
struct SignalState {
    signal: Signal,
    counters: Counters,
    // After a failure: how long it waits, and until when.
    backoff: Duration,
    retry_at: Duration,
}

impl Worker {
    fn new(setup: &Setup, store: Arc<dyn Flushable>) -> Self {
        let state = |signal| SignalState {
            signal,
            counters: Counters::new(&setup.stats, signal),
            backoff: Duration::ZERO,
            retry_at: Duration::ZERO,
        };
        Self {
            store,
            clock: Arc::clone(&setup.clock),
            disk: Arc::clone(&setup.disk),
            directory: setup.directory.clone(),
            config: setup.config.clone(),
            signals: Signal::ALL.map(state),
        }
    }

    async fn run(mut self, mut requests: UnboundedReceiver<Request>) {
        loop {
            let look_at = self.clock.monotonic() + LOOK_EVERY;
            let request = tokio::select! {
                request = requests.recv() => request.unwrap_or(Request::Stop),
                () = self.clock.sleep_until(look_at) => Request::Look,
            };
            match request {
                Request::Look => self.look(),
                Request::Flush(reply) => {
                    // Nobody may be waiting any more; the flush was worth it all the same.
                    let _ = reply.send(self.flush_all());
                }
                Request::Stop => return,
            }
        }
    }

    fn look(&mut self) {
        for place in 0..self.signals.len() {
            let now = self.clock.monotonic();
            let state = &self.signals[place];
            if now >= state.retry_at && is_due(self.store.head(state.signal), &self.config, now) {
                // Counted and logged where it happened; the next look tries again.
                let _ = self.flush(place);
            }
        }
    }

    fn flush_all(&mut self) -> Result<(), StoreError> {
        let results: Vec<Result<(), StoreError>> = (0..self.signals.len()).map(|place| self.flush(place)).collect();
        results.into_iter().collect()
    }

    fn flush(&mut self, place: usize) -> Result<(), StoreError> {
        let (chunks, up_to_seq) = self.store.seal(self.signals[place].signal);
        // A head that is due has a little more than what makes it due.
        let due = self.config.flush_bytes.min(self.config.head_bytes_max / 4);
        let bytes_max =
            usize::try_from(due.saturating_add(due / 4)).unwrap_or(usize::MAX).min(limits::FLUSH_ROUND_BYTES);
        // A round is published, and its chunks given back, before the next is written.
        let mut rounds = flush::rounds(chunks, up_to_seq, bytes_max).into_iter();
        rounds.try_for_each(|round| self.flush_round(place, &round))
    }

    fn flush_round(&mut self, place: usize, round: &Round) -> Result<(), StoreError> {
        let started = self.clock.monotonic();
        let signal = self.signals[place].signal;
        let rows: usize = round.chunks.iter().map(|chunk| chunk.rows()).sum();
        let _span = span_of(rows, || tracing::info_span!("flush", %signal, rows)).entered();
        // A defect that one head's rows bring to light must not end the flushing of the others, nor that of this one for good:
        // nothing is left half changed, a part that is not published is removed at the next start.
        let attempt = AssertUnwindSafe(|| self.write_and_publish(signal, &round.chunks, round.up_to_seq));
        let result = catch_unwind(attempt).unwrap_or_else(|_| Err(StoreError::Panicked { operation: "flush a head" }));
        let now = self.clock.monotonic();
        let state = &mut self.signals[place];
        match &result {
            Ok(parts) => {
                state.backoff = Duration::ZERO;
                state.retry_at = Duration::ZERO;
                state.counters.count(parts, now.saturating_sub(started));
            }
            Err(error) => {
                state.backoff = (state.backoff * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
                state.retry_at = now + state.backoff;
                state.counters.failures.add(1);
                let retry_s = state.backoff.as_secs();
                tracing::error!(%signal, error = error as &dyn std::error::Error, retry_s, "a flush failed, its rows stay in the head");
            }
        }
        result.map(|_| ())
    }

    fn write_and_publish(
        &self,
        signal: Signal,
        chunks: &[Arc<Chunk>],
        up_to_seq: u64,
    ) -> Result<Vec<Arc<Part>>, StoreError> {
        let target = Target {
            place: Place {
                disk: &self.disk,
                clock: &self.clock,
                data_directory: &self.directory,
                opened: self.store.opened(),
            },
            now: self.clock.now(),
            next_number: &|| self.store.next_part_number(),
        };
        let parts = flush::write(&target, chunks)?;
        self.store.publish(signal, parts.clone(), up_to_seq)?;
        Ok(parts)
    }
}

/// The span of work on so many rows; none for a few. Where spans are stored in this very store, those few may be the last such span.
pub(crate) fn span_of(rows: usize, span: impl FnOnce() -> tracing::Span) -> tracing::Span {
    if rows < limits::SPAN_ROWS_MIN { tracing::Span::none() } else { span() }
}

/// Whether a head is to be flushed.
fn is_due(head: HeadState, config: &Config, now: Duration) -> bool {
    let age = head.oldest.map(|oldest| now.saturating_sub(oldest));
    is_full(head, config) || age.is_some_and(|age| age >= Duration::from_secs(config.flush_interval_s))
}

/// Whether a head has as many bytes as are to be written at a time, or so many in memory that three of them would soon have more than
/// all may have.
pub(crate) fn is_full(head: HeadState, config: &Config) -> bool {
    head.bytes_to_write >= config.flush_bytes || head.bytes >= config.head_bytes_max / 4
}

struct Counters {
    seconds: Seconds,
    failures: Counter,
    parts: Counter,
    rows: Counter,
    bytes: Counter,
    index_bytes: Counter,
}

impl Counters {
    fn new(stats: &Stats, signal: Signal) -> Self {
        let labels: &[(&str, &str)] = &[("signal", signal.as_str())];
        let counter = |name, help| stats.counter(name, help, labels);
        Self {
            seconds: stats.seconds("sextant_flush_seconds", "Time to write and publish the parts of one flush", labels),
            failures: counter("sextant_flush_failures_total", "Flushes that failed and are tried again"),
            parts: counter("sextant_flush_parts_total", "Parts written by flushes"),
            rows: counter("sextant_flush_rows_total", "Rows written by flushes"),
            bytes: counter("sextant_flush_bytes_total", "Bytes of parts written by flushes, indexes included"),
            index_bytes: counter("sextant_flush_index_bytes_total", "Bytes of indexes written by flushes"),
        }
    }

    fn count(&self, parts: &[Arc<Part>], took: Duration) {
        self.seconds.observe(took);
        for part in parts {
            self.parts.add(1);
            self.rows.add(part.rows());
            self.bytes.add(part.bytes());
            self.index_bytes.add(part.meta().files.get(INDEX_FILE).map_or(0, |file| file.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use model::{ManualClock, Timestamp};

    use super::*;
    use crate::disk::RealDisk;
    use crate::schema::{LogColumns, LogRow, ResourceRow, ScopeRow};

    // A store of one chunk of logs, whose manifest refuses as often as it is told to.
    struct OneChunk {
        chunk: Mutex<Option<Arc<Chunk>>>,
        refusals: AtomicU64,
        panics: AtomicU64,
        published: Mutex<Vec<Arc<Part>>>,
        numbers: AtomicU64,
        opened: Arc<Opened>,
    }

    impl OneChunk {
        fn refusing(times: u64) -> Arc<Self> {
            let mut columns = LogColumns::default();
            let envelope = columns.envelopes.push(&ResourceRow::default(), &ScopeRow::default());
            columns.push(&LogRow { envelope, ..LogRow::default() }, &[]);
            let chunk = Chunk::of_batch(columns.finish(), 1).expect("a batch of one record").pop().map(Arc::new);
            Arc::new(Self {
                chunk: Mutex::new(chunk),
                refusals: AtomicU64::new(times),
                panics: AtomicU64::new(0),
                published: Mutex::default(),
                numbers: AtomicU64::new(1),
                opened: Arc::new(Opened::new(0, &Stats::new())),
            })
        }
    }

    impl Flushable for OneChunk {
        fn head(&self, signal: Signal) -> HeadState {
            let holds = signal == Signal::Logs && self.chunk.lock().expect("no test panics").is_some();
            let bytes = u64::from(holds);
            HeadState { bytes, bytes_to_write: bytes, oldest: holds.then_some(Duration::ZERO) }
        }

        fn seal(&self, signal: Signal) -> (Vec<Arc<Chunk>>, u64) {
            let chunk = self.chunk.lock().expect("no test panics").clone().filter(|_| signal == Signal::Logs);
            (chunk.into_iter().collect(), 1)
        }

        fn publish(&self, _: Signal, parts: Vec<Arc<Part>>, _: u64) -> Result<(), StoreError> {
            let refuses = |left: u64| left.checked_sub(1);
            assert!(
                self.panics.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuses).is_err(),
                "the test says so"
            );
            if self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuses).is_ok() {
                return Err(StoreError::Closed { reason: "the test says so".into() });
            }
            self.chunk.lock().expect("no test panics").take();
            self.published.lock().expect("no test panics").extend(parts);
            Ok(())
        }

        fn next_part_number(&self) -> u64 {
            self.numbers.fetch_add(1, Ordering::Relaxed)
        }

        fn opened(&self) -> &Arc<Opened> {
            &self.opened
        }
    }

    fn worker(directory: &tempfile::TempDir, store: Arc<OneChunk>) -> (Worker, Arc<ManualClock>, Stats) {
        let (clock, stats) = (Arc::new(ManualClock::new(Timestamp::from_nanos(5))), Stats::new());
        let setup = Setup {
            directory: directory.path().to_path_buf(),
            config: Config { flush_interval_s: 10, ..Config::default() },
            clock: clock.clone(),
            disk: Arc::new(RealDisk),
            stats: stats.clone(),
        };
        (Worker::new(&setup, store), clock, stats)
    }

    #[test]
    fn a_failed_flush_is_counted_and_tried_again_later_and_later() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = OneChunk::refusing(3);
        let (mut worker, clock, stats) = worker(&directory, Arc::clone(&store));
        let failures = stats.counter("sextant_flush_failures_total", "", &[("signal", "logs")]);
        let mut attempts = Vec::new();
        for second in 0..40 {
            let before = failures.get();
            worker.look();
            if failures.get() > before {
                attempts.push(second);
            }
            clock.advance(Duration::from_secs(1));
        }
        // Due after ten seconds, then after waits of one, two and four.
        assert_eq!(attempts, [10, 11, 13]);
        let published = store.published.lock().expect("no test panics");
        assert_eq!(published.len(), 1);
        assert_eq!(published[0].rows(), 1);
        let rows = stats.counter("sextant_flush_rows_total", "", &[("signal", "logs")]);
        assert_eq!(rows.get(), 1);
    }

    #[test]
    fn a_flush_that_is_asked_for_says_how_it_went_and_does_not_wait() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = OneChunk::refusing(1);
        let (mut worker, _clock, _stats) = worker(&directory, Arc::clone(&store));
        assert!(worker.flush_all().is_err());
        assert!(worker.flush_all().is_ok());
        assert!(worker.flush_all().is_ok(), "nothing is left to do");
        assert_eq!(store.published.lock().expect("no test panics").len(), 1);
    }

    #[test]
    fn a_flush_that_panics_is_a_failed_one() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = OneChunk::refusing(0);
        store.panics.store(1, Ordering::Relaxed);
        let (mut worker, _clock, _stats) = worker(&directory, Arc::clone(&store));
        assert!(matches!(worker.flush_all(), Err(StoreError::Panicked { .. })));
        assert!(worker.flush_all().is_ok());
        assert_eq!(store.published.lock().expect("no test panics").len(), 1);
    }

    #[test]
    fn a_head_is_due_when_it_is_large_or_old() {
        let config = Config { flush_bytes: 100, head_bytes_max: 1_000, flush_interval_s: 10, ..Config::default() };
        let head = |bytes_to_write, oldest_s: Option<u64>| HeadState {
            bytes: 249,
            bytes_to_write,
            oldest: oldest_s.map(Duration::from_secs),
        };
        for (head, due) in [
            (head(0, None), false),
            (head(99, Some(11)), false),
            (head(99, Some(10)), true),
            (head(100, Some(20)), true),
            (HeadState { bytes: 250, ..head(1, Some(20)) }, true),
        ] {
            assert_eq!(is_due(head, &config, Duration::from_secs(20)), due, "{head:?}");
        }
    }
}
