//! The commit thread: takes everything that has queued up, numbers it, logs it in one write and one fsync, shows it, and
//! answers. There is no artificial delay: a round begins as soon as the one before has returned, so it gathers whatever came
//! during an fsync.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray as _;
use model::Signal;
use model::stats::{Counter, Seconds, Stats};
use tokio::sync::oneshot;

use super::{Content, Pending, Queue, Receipt, Room, series_of};
use crate::head::{Chunk, SeriesTables};
use crate::schema::column;
use crate::schema::hash::ByItself;
use crate::state::StateChange;
use crate::store::Core;
use crate::upkeep::Upkeep;
use crate::wal::record::{Kind, Payload};
use crate::wal::segment::Log;
use crate::{Batch, Durability, StoreError, layout};

/// The commit thread's own.
pub(crate) struct Committer {
    core: Arc<Core>,
    queue: Arc<Queue>,
    upkeep: Arc<Upkeep>,
    log: Log,
    next_seq: u64,
    next_state_seq: u64,
    // The series seen since the store was opened, and those of its log: id to check. One that is only in parts is not known
    // after a restart; with 64 bits and a secret key that is a risk of 3 in 10^8 for a million series, and what it costs
    // is two series shown as one.
    series: HashMap<u64, u64, ByItself>,
    tables: SeriesTables,
    // When what was committed without fsync is to be synced; only if durability is `interval`.
    sync_at: Option<Duration>,
    head_is_full: bool,
    // More in memory than there may be: rows are refused until a flush has made room.
    head_is_over: bool,
    // Free bytes, if they are fewer than have to stay free: rows are refused until there is room.
    too_few_free: Option<u64>,
    // Somebody has removed the data directory: files that are still open have no name, and end with this process.
    directory_is_gone: bool,
    is_failing: bool,
    counts: Counts,
}

struct Counts {
    rounds: Counter,
    records: [Counter; 4],
    bytes: Counter,
    failures: Counter,
    collisions: Counter,
    seconds: Seconds,
}

impl Counts {
    fn new(stats: &Stats) -> Counts {
        let kinds = [Kind::Rows(Signal::Logs), Kind::Rows(Signal::Spans), Kind::Rows(Signal::Points), Kind::State];
        let records = kinds.map(|kind| {
            stats.counter("sextant_wal_records_total", "Records committed to the WAL.", &[("kind", kind.as_str())])
        });
        Counts {
            rounds: stats.counter("sextant_wal_commits_total", "Group commits of the WAL.", &[]),
            records,
            bytes: stats.counter("sextant_wal_bytes_total", "Bytes of payloads committed to the WAL.", &[]),
            failures: stats.counter("sextant_wal_failures_total", "Group commits that the disk refused.", &[]),
            collisions: stats.counter(
                "sextant_store_series_collisions_total",
                "Batches refused because two series have one id.",
                &[],
            ),
            seconds: stats.seconds("sextant_wal_commit_seconds", "Time of a group commit's write and fsync.", &[]),
        }
    }

    fn record(&self, payload: &Payload) {
        let kind = match payload.kind {
            Kind::Rows(signal) => signal as usize,
            Kind::State => 3,
        };
        self.records[kind].add(1);
        self.bytes.add(payload.bytes.len() as u64);
    }
}

// A pending append with its number, and what will be shown of it.
struct Numbered {
    payload: Payload,
    receipt: Receipt,
    shown: Shown,
    answer: oneshot::Sender<Result<Receipt, StoreError>>,
    _room: Room,
}

enum Shown {
    Rows(Vec<Arc<Chunk>>),
    State(Vec<StateChange>),
}

impl Committer {
    pub(crate) fn new(core: Arc<Core>, queue: Arc<Queue>, upkeep: Arc<Upkeep>, log: Log, next_seq: u64) -> Committer {
        let next_state_seq = core.state_seq() + 1;
        let counts = Counts::new(&core.setup().stats);
        let mut committer = Committer {
            core,
            queue,
            upkeep,
            log,
            next_seq,
            next_state_seq,
            series: HashMap::default(),
            tables: SeriesTables::default(),
            sync_at: None,
            head_is_full: false,
            head_is_over: false,
            too_few_free: None,
            directory_is_gone: false,
            is_failing: false,
            counts,
        };
        committer.learn_series();
        committer
    }

    fn learn_series(&mut self) {
        for chunk in self.core.chunks_of(Signal::Points) {
            // Chunks of points had their series read before they were logged.
            self.series.extend(series_of(chunk.batch()).unwrap_or_default());
        }
    }

    /// Commits until the queue is closed and empty.
    pub(crate) fn run(mut self, runtime: &tokio::runtime::Runtime) {
        loop {
            let (pending, closed) = self.queue.take();
            if pending.is_empty() {
                if closed {
                    break;
                }
                self.wait(runtime);
            } else {
                self.round(pending);
            }
            self.sync_if_due();
        }
        if let Err(error) = self.log.sync() {
            report_lost_sync(&error);
        }
    }

    fn wait(&self, runtime: &tokio::runtime::Runtime) {
        let arrived = self.queue.arrived.notified();
        runtime.block_on(async {
            match self.sync_at {
                None => arrived.await,
                Some(moment) => tokio::select! {
                    () = arrived => {}
                    () = self.core.setup().clock.sleep_until(moment) => {}
                },
            }
        });
    }

    fn sync_if_due(&mut self) {
        if self.sync_at.is_some_and(|moment| self.core.setup().clock.monotonic() >= moment) {
            self.sync_at = None;
            if let Err(error) = self.log.sync() {
                self.counts.failures.add(1);
                report_lost_sync(&error);
            }
        }
    }

    fn round(&mut self, pending: Vec<Pending>) {
        let before = (self.next_seq, self.next_state_seq);
        self.head_is_over = self.head_is_over_its_bound();
        self.look_for_space();
        let numbered: Vec<Numbered> = pending.into_iter().filter_map(|pending| self.number(pending)).collect();
        if numbered.is_empty() {
            return;
        }
        let clock = Arc::clone(&self.core.setup().clock);
        let started = clock.monotonic();
        let result = self.write(&numbered, before.0);
        self.counts.seconds.observe(clock.monotonic().saturating_sub(started));
        match result {
            Ok(()) => self.show(numbered),
            Err(error) => self.refuse(numbered, &error),
        }
    }

    // Gives an append its numbers, or refuses it. Everything that could fail but for the disk fails here: what is logged
    // can be shown. Numbers of what the disk refuses are not given again.
    fn number(&mut self, pending: Pending) -> Option<Numbered> {
        let Pending { payload, content, answer, _room } = pending;
        let rows = u64::from(payload.rows);
        let (first_seq, shown) = match content {
            Content::Rows { batch, series } => match self.chunks(batch, &series) {
                Ok(chunks) => (self.next_seq, Shown::Rows(chunks)),
                Err(error) => {
                    // A caller that is gone needs no answer, here and below.
                    let _ = answer.send(Err(error));
                    return None;
                }
            },
            Content::State(changes) => (self.next_state_seq, Shown::State(changes)),
        };
        match payload.kind {
            Kind::Rows(_) => self.next_seq += rows,
            Kind::State => self.next_state_seq += rows,
        }
        Some(Numbered { payload, receipt: Receipt { first_seq, rows }, shown, answer, _room })
    }

    // Asked at every round: it costs a microsecond, and what is committed between two rounds is bounded.
    fn look_for_space(&mut self) {
        let setup = self.core.setup();
        let limit = setup.config.free_bytes_min;
        // Asked of the lock, which is there as long as the directory is the one that was opened.
        let free = setup.disk.free_space(&setup.directory.join(layout::LOCK));
        self.directory_is_gone = free.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let too_few = free.ok().filter(|free| *free < limit);
        match (self.too_few_free, too_few) {
            (None, Some(free)) => {
                tracing::error!(free, limit, "the disk is nearly full; rows are refused until there is room")
            }
            (Some(_), None) => tracing::info!("there is room on the disk again; rows are taken"),
            _ => {}
        }
        self.too_few_free = too_few;
    }

    fn head_is_over_its_bound(&self) -> bool {
        self.core.all_head_bytes() >= self.core.setup().config.head_bytes_max
    }

    fn chunks(&mut self, mut batch: Batch, series: &[(u64, u64)]) -> Result<Vec<Arc<Chunk>>, StoreError> {
        if self.head_is_over {
            return Err(StoreError::HeadFull);
        }
        if let Some(free) = self.too_few_free {
            return Err(StoreError::DiskFull { free, limit: self.core.setup().config.free_bytes_min });
        }
        if let Some(shared) = self.tables.share(&mut batch) {
            // These series have been looked at.
            return Ok(Chunk::with_series(batch, self.next_seq, Some(shared))?.into_iter().map(Arc::new).collect());
        }
        for (row, (id, check)) in series.iter().enumerate() {
            match self.series.entry(*id) {
                Entry::Vacant(entry) => {
                    entry.insert(*check);
                }
                Entry::Occupied(known) if known.get() != check => {
                    self.counts.collisions.add(1);
                    let metrics = batch.shared.column_by_name(column::METRIC);
                    let metric = metrics.and_then(|column| column.as_string_opt::<i32>());
                    let metric = metric.map_or_else(String::new, |metrics| metrics.value(row).to_owned());
                    return Err(StoreError::SeriesCollision { id: *id, metric });
                }
                Entry::Occupied(_) => {}
            }
        }
        let chunks: Vec<Arc<Chunk>> = Chunk::of_batch(batch, self.next_seq)?.into_iter().map(Arc::new).collect();
        if let Some(chunk) = chunks.first() {
            self.tables.learn(chunk.batch(), chunk.expanded_series());
        }
        Ok(chunks)
    }

    fn write(&mut self, numbered: &[Numbered], next_seq: u64) -> Result<(), StoreError> {
        if self.directory_is_gone {
            let path = self.core.setup().directory.join(layout::LOCK);
            return Err(StoreError::Disk { operation: "find", path, source: io::ErrorKind::NotFound.into() });
        }
        self.log.prepare(next_seq)?;
        let records: Vec<(&Payload, u64)> =
            numbered.iter().map(|numbered| (&numbered.payload, numbered.receipt.first_seq)).collect();
        let config = &self.core.setup().config;
        self.log.commit(&records, config.durability == Durability::Always)?;
        if config.durability == Durability::Interval && self.sync_at.is_none() {
            let interval = Duration::from_millis(config.durability_interval_ms);
            self.sync_at = Some(self.core.setup().clock.monotonic() + interval);
        }
        Ok(())
    }

    fn show(&mut self, numbered: Vec<Numbered>) {
        self.counts.rounds.add(1);
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("commits succeed again");
        }
        let mut chunks = Vec::new();
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(numbered.len());
        let mut last_seq = 0;
        for Numbered { payload, receipt, shown, answer, _room } in numbered {
            self.counts.record(&payload);
            match shown {
                Shown::Rows(rows) => {
                    chunks.extend(rows);
                    last_seq = receipt.first_seq + receipt.rows - 1;
                }
                Shown::State(change) => changes.push((change, receipt.first_seq)),
            }
            answers.push((answer, receipt));
        }
        self.core.show(chunks, last_seq, changes);
        self.tell_upkeep();
        for (answer, receipt) in answers {
            let _ = answer.send(Ok(receipt));
        }
    }

    // Once when a head becomes full: what upkeep does about it takes longer than the next commits.
    fn tell_upkeep(&mut self) {
        let is_full = Signal::ALL.iter().any(|signal| self.core.head_is_full(*signal));
        if is_full && !self.head_is_full {
            self.upkeep.look();
        }
        self.head_is_full = is_full;
    }

    fn refuse(&mut self, numbered: Vec<Numbered>, error: &StoreError) {
        self.counts.failures.add(1);
        // Said once: while a disk is full, every retry of every sender fails.
        if !self.is_failing {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a commit failed; appends are refused until one succeeds again"
            );
        }
        self.is_failing = true;
        for Numbered { answer, .. } in numbered {
            let again = match error {
                StoreError::Disk { operation, path, source } => StoreError::disk_again(operation, path, source),
                other => StoreError::Closed { reason: other.to_string() },
            };
            let _ = answer.send(Err(again));
        }
    }
}

// If the thread ends, for whatever reason, nobody may wait for it.
impl Drop for Committer {
    fn drop(&mut self) {
        self.queue.close();
        self.queue.take();
    }
}

fn report_lost_sync(error: &StoreError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "the WAL could not be synced; rows that were acknowledged before their fsync, as configured, may be lost in a power cut until they are flushed"
    );
}
