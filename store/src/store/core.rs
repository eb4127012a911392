//! What the store's threads share: what is visible, what the manifest says, and the steps between them. Made when a store is
//! opened; used by the commit thread, upkeep, and everyone who asks for a snapshot.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use model::stats::{Counter, Gauge, Stats};
use model::{Signal, Timestamp};

use super::{DiskRoom, Setup, Status, TableSize};
use crate::disk::Disk;
use crate::head::{Accumulators, Chunk, Outcomes, advance};
use crate::manifest::{Manifest, PartEntry};
use crate::part::{Opened, PARTS_DIR, Part, PartName, discard};
use crate::partition::Partition;
use crate::retention::{Cutoffs, Retention};
use crate::schema::Table;
use crate::state::{self, State, StateChange, StateTable};
use crate::upkeep::{self, Flushable, HeadState};
use crate::visible::Visible;
use crate::wal::record::{Header, Kind};
use crate::wal::replay::{Replay, Replayed};
use crate::wal::segment::{Log, Segments};
use crate::wal::{Malformed, columns};
use crate::{Missing, Snapshot, StoreError, layout};

/// What the store's threads share. It outlives no thread, and no thread's handle is in it.
pub(crate) struct Core {
    pub(super) setup: Setup,
    visible: RwLock<Visible>,
    pub(super) committed: tokio::sync::watch::Sender<u64>,
    pub(super) state: Mutex<State>,
    // The totals of series with deltas, as they are behind the last commit. Held while one is counted.
    accumulators: Mutex<Accumulators>,
    delta_points: DeltaPoints,
    segments: Segments,
    next_part: AtomicU64,
    pub(super) retention: Retention,
    opened: Arc<Opened>,
    // Parts that no manifest lists any more, until the last snapshot that shows them is gone.
    retired: Mutex<Vec<Arc<Part>>>,
    // When a flush last added to a partition, on the clock's monotonic time; forgotten after [`FED_FOR`].
    fed: Mutex<BTreeMap<(Table, Partition), Duration>>,
    // Held over the writing of a manifest by whoever publishes; appends and queries never take it.
    published: Mutex<Published>,
}

/// How long a partition counts as fed after a flush has added to it: two of the longest times between flushes, as they are by default.
const FED_FOR: Duration = Duration::from_secs(600);

struct Published {
    manifest: Manifest,
    // Parts and checkpoints of publishings that failed: a manifest that names them may be found after a crash, until
    // another is written. Their numbers are not used again.
    abandoned: Vec<Arc<Part>>,
    checkpoints: Vec<u64>,
    // The totals as they are behind the last point that is in parts: a replay goes on from there.
    totals: StateTable,
}

/// The table of a checkpoint that the totals are in.
const TOTALS: &str = "store.totals";

impl Core {
    pub(super) fn open(setup: Setup, mut manifest: Manifest) -> Result<(Core, Log, u64), StoreError> {
        let (disk, directory) = (&setup.disk, &setup.directory);
        let opened = Arc::new(Opened::new(setup.config.cache_bytes_max, &setup.stats));
        let parts = open_parts(disk, &setup, &mut manifest, &opened)?;
        let leftover = remove_leftovers(&setup, &manifest)?;
        let mut state = match &manifest.state {
            Some(checkpoint) => State::read(disk.as_ref(), directory, checkpoint)?,
            None => State::default(),
        };
        let totals = state.take_table(TOTALS);
        let flushed = flushed_seqs(&manifest);
        let mut visible = Visible::new(parts, flushed.into_iter().max().unwrap_or(0));
        visible.missing = Arc::new(missing(&manifest));
        visible.expired_rows = manifest.expired_rows.clone();
        let now = setup.clock.monotonic();
        let mut accumulators = Accumulators::of_table(&totals, now);
        let replay = Replay { disk, directory, directory_id: manifest.directory_id, first: manifest.wal_first };
        let Replayed { end, next_seq, damaged, torn_bytes } = tracing::info_span!("replay").in_scope(|| {
            replay.run(&mut |header, payload| {
                let mut shown = Shown { visible: &mut visible, state: &mut state, accumulators: &mut accumulators };
                shown.apply(&flushed, header, payload, now)
            })
        })?;
        let stats = &setup.stats;
        let took = setup.clock.monotonic().saturating_sub(now);
        stats.seconds("sextant_wal_replay_seconds", "Time it took at start to read the WAL.", &[]).observe(took);
        stats.counter("sextant_wal_damaged_total", "Pieces of the WAL that could not be read.", &[]).add(damaged);
        stats.counter("sextant_wal_torn_bytes_total", "Bytes cut off the WAL's end at start.", &[]).add(torn_bytes);
        let next_seq = next_seq.max(visible.last_seq + 1);
        let segments = end.segments.clone();
        let log = Log::new(Arc::clone(disk), directory, manifest.directory_id, setup.config.wal_segment_bytes, end);
        let core = Core {
            committed: tokio::sync::watch::channel(visible.last_seq).0,
            visible: RwLock::new(visible),
            state: Mutex::new(state),
            accumulators: Mutex::new(accumulators),
            delta_points: DeltaPoints::new(stats),
            segments,
            next_part: AtomicU64::new(manifest.next_part.max(leftover + 1)),
            retention: Retention::new(
                &setup.config,
                Arc::clone(&setup.clock),
                manifest.believed_time.map(Timestamp::from_nanos),
            ),
            opened,
            retired: Mutex::default(),
            fed: Mutex::default(),
            published: Mutex::new(Published {
                checkpoints: manifest.state.iter().map(|checkpoint| checkpoint.number).collect(),
                manifest,
                abandoned: Vec::new(),
                totals,
            }),
            setup,
        };
        Ok((core, log, next_seq))
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let cutoffs = self.retention.cutoffs();
        let visible = self.visible.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            cutoffs,
            version: visible.version,
            last_seq: visible.last_seq,
            chunks: visible.chunks.clone(),
            parts: Arc::clone(&visible.parts),
            missing: Arc::clone(&visible.missing),
        }
    }

    /// Shows what was committed.
    pub(crate) fn show(&self, chunks: Vec<Arc<Chunk>>, last_seq: u64, changes: Vec<(Vec<StateChange>, u64)>) {
        if !changes.is_empty() {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            changes.into_iter().for_each(|(changes, seq)| state.apply(changes, seq));
        }
        if !chunks.is_empty() {
            let now = self.setup.clock.monotonic();
            self.count_deltas(&chunks, now);
            let mut visible = self.visible.write().unwrap_or_else(PoisonError::into_inner);
            visible.add(chunks, last_seq, now);
            drop(visible);
            self.committed.send_replace(last_seq);
        }
    }

    fn count_deltas(&self, chunks: &[Arc<Chunk>], now: Duration) {
        let mut outcomes = Outcomes::default();
        let mut accumulators = self.accumulators.lock().unwrap_or_else(PoisonError::into_inner);
        chunks.iter().for_each(|chunk| chunk.count(&mut accumulators, now, &mut outcomes));
        self.delta_points.add(outcomes, accumulators.len());
    }

    // What the totals are behind the points up to a number, which are in parts then; nothing if they are what they were.
    fn totals_behind(&self, totals: &StateTable, up_to_seq: u64) -> Option<StateTable> {
        let now = self.setup.clock.monotonic();
        let forgotten = self.accumulators.lock().unwrap_or_else(PoisonError::into_inner).forget(now);
        let mut chunks = self.chunks_of(Signal::Points);
        chunks.retain(|chunk| chunk.totals().is_some() && chunk.seq_bounds().1 <= up_to_seq);
        if chunks.is_empty() && forgotten.is_empty() {
            return None;
        }
        let mut behind = totals.clone();
        advance(&mut behind, chunks.iter().filter_map(|chunk| Some((chunk.batch(), chunk.totals()?))));
        forgotten.iter().for_each(|key| drop(behind.remove(key)));
        Some(behind)
    }

    pub(crate) fn state_seq(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).seq()
    }

    pub(crate) fn chunks_of(&self, signal: Signal) -> Vec<Arc<Chunk>> {
        self.visible.read().unwrap_or_else(PoisonError::into_inner).chunks_of(signal)
    }

    /// Whether a signal's head is to be flushed because of its size.
    pub(crate) fn head_is_full(&self, signal: Signal) -> bool {
        upkeep::is_full(self.head(signal), &self.setup().config)
    }

    /// All parts that are live.
    pub(crate) fn parts(&self) -> Arc<Vec<Arc<Part>>> {
        Arc::clone(&self.visible.read().unwrap_or_else(PoisonError::into_inner).parts)
    }

    /// Puts parts in the place of others of the same rows, in one step: a crash leaves either. `expired` rows of the table are gone with
    /// it. The files of what was replaced go when no snapshot shows them any more.
    pub(crate) fn replace(
        &self,
        table: Table,
        old: &[Arc<Part>],
        new: Vec<Arc<Part>>,
        expired: u64,
    ) -> Result<(), StoreError> {
        let names: HashSet<String> = old.iter().map(|part| part.name().to_string()).collect();
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let change = |manifest: &mut Manifest| {
            manifest.parts.retain(|entry| !names.contains(&entry.name));
            *manifest.expired_rows.entry(table.as_str().to_owned()).or_default() += expired;
        };
        self.publish_change(&mut published, new.clone(), change)?;
        let mut visible = self.visible.write().unwrap_or_else(PoisonError::into_inner);
        visible.replace(old, new);
        visible.expired_rows = published.manifest.expired_rows.clone();
        drop(visible);
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).extend(old.iter().cloned());
        self.remove_unneeded(&mut published);
        Ok(())
    }

    /// How long rows are kept.
    pub(crate) fn retention(&self) -> &Retention {
        &self.retention
    }

    /// Bytes free where the data directory is; `None` if the system does not say.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        self.setup.disk.free_space(&self.setup.directory).ok()
    }

    /// Bytes of parts that are replaced and still shown by a snapshot.
    pub(crate) fn retired_bytes(&self) -> u64 {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|part| part.bytes()).sum()
    }

    // Whether there was one.
    fn give_up_reserve(&self) -> bool {
        let given_up = self.setup.disk.remove(&self.setup.directory.join(layout::RESERVE)).is_ok();
        if given_up {
            tracing::warn!("the disk is full, and the space reserved for this is given up");
        }
        given_up
    }

    /// Removes the files of replaced parts that nothing shows any more.
    pub(crate) fn remove_retired(&self) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can get one who does not have it: it is in no list that anyone sees.
        let gone: Vec<Arc<Part>> = retired.extract_if(.., |part| Arc::strong_count(part) == 1).collect();
        drop(retired);
        for part in gone {
            self.opened.forget(part.name());
            if let Err(error) = self.setup.disk.remove_dir_all(part.directory()) {
                tracing::warn!(path = %part.directory().display(), %error, "cannot remove a part that was replaced; the next start does");
            }
        }
    }

    /// Takes a damaged part out of use: its rows are not shown any more, its files are kept, and snapshots say that it is missing.
    pub(crate) fn quarantine(&self, part: &Arc<Part>) -> Result<(), StoreError> {
        let entry = part_entry(part);
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        self.publish_change(&mut published, Vec::new(), |manifest| {
            manifest.parts.retain(|known| known.name != entry.name);
            manifest.quarantined.push(entry.clone());
        })?;
        let mut visible = self.visible.write().unwrap_or_else(PoisonError::into_inner);
        visible.replace(std::slice::from_ref(part), Vec::new());
        visible.missing = Arc::new(missing(&published.manifest));
        drop(visible);
        self.opened.forget(part.name());
        self.remove_unneeded(&mut published);
        Ok(())
    }

    /// Forgets damaged parts of which every row is expired before its table's time in `cutoffs`. Answers the rows that are gone, by table.
    pub(crate) fn forget_quarantined(&self, cutoffs: &Cutoffs) -> Result<Vec<(Table, u64)>, StoreError> {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |entry: &PartEntry| {
            let name = entry.name.parse::<PartName>().ok()?;
            (entry.time_max < cutoffs.certain(name.table.signal())).then_some(name)
        };
        let gone: Vec<(PartName, u64)> =
            published.manifest.quarantined.iter().filter_map(|entry| Some((named(entry)?, entry.rows))).collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        self.publish_change(&mut published, Vec::new(), |manifest| {
            manifest.quarantined.retain(|entry| named(entry).is_none());
            for (name, rows) in &gone {
                *manifest.expired_rows.entry(name.table.as_str().to_owned()).or_default() += rows;
            }
        })?;
        let mut visible = self.visible.write().unwrap_or_else(PoisonError::into_inner);
        visible.missing = Arc::new(missing(&published.manifest));
        visible.expired_rows = published.manifest.expired_rows.clone();
        drop(visible);
        for (name, _) in &gone {
            discard(self.setup.disk.as_ref(), &name.directory(&self.setup.directory));
        }
        self.remove_unneeded(&mut published);
        Ok(gone.into_iter().map(|(name, rows)| (name.table, rows)).collect())
    }

    /// What is open of the parts.
    pub(crate) fn opened(&self) -> &Arc<Opened> {
        &self.opened
    }

    // Writes the next manifest, with these parts and a change. On an error the new directories must stay: the manifest that names them
    // may be the one that is found after a crash. The next publishing that succeeds removes them.
    fn publish_change(
        &self,
        published: &mut Published,
        parts: Vec<Arc<Part>>,
        change: impl Fn(&mut Manifest),
    ) -> Result<(), StoreError> {
        self.publish_with_totals(published, parts, change, None)
    }

    fn publish_with_totals(
        &self,
        published: &mut Published,
        parts: Vec<Arc<Part>>,
        change: impl Fn(&mut Manifest),
        totals: Option<StateTable>,
    ) -> Result<(), StoreError> {
        let mut written = self.write_manifest(published, &parts, &change, totals.as_ref());
        if written.as_ref().is_err_and(StoreError::is_out_of_space) && self.give_up_reserve() {
            // It may be the manifest without which nothing can be deleted.
            written = self.write_manifest(published, &parts, &change, totals.as_ref());
        }
        match written {
            Ok(manifest) => {
                published.manifest = manifest;
                if let Some(totals) = totals {
                    published.totals = totals;
                }
            }
            Err(error) => {
                published.abandoned.extend(parts);
                return Err(error);
            }
        }
        Ok(())
    }

    // Remembers which partitions flushes add to.
    fn note_fed(&self, parts: &[Arc<Part>], now: Duration) {
        let mut fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        fed.retain(|_, at| now.saturating_sub(*at) < FED_FOR);
        fed.extend(parts.iter().map(|part| ((part.name().table, part.name().partition), now)));
    }

    /// Whether flushes have added to a partition lately.
    pub(crate) fn is_fed(&self, table: Table, partition: Partition) -> bool {
        let now = self.setup.clock.monotonic();
        let fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        fed.get(&(table, partition)).is_some_and(|at| now.saturating_sub(*at) < FED_FOR)
    }

    /// Bytes of all heads.
    pub(crate) fn all_head_bytes(&self) -> u64 {
        let visible = self.visible.read().unwrap_or_else(PoisonError::into_inner);
        Table::ALL.into_iter().map(|table| visible.size(table).bytes).sum()
    }

    fn write_manifest(
        &self,
        published: &mut Published,
        parts: &[Arc<Part>],
        change: &impl Fn(&mut Manifest),
        totals: Option<&StateTable>,
    ) -> Result<Manifest, StoreError> {
        let (disk, directory) = (self.setup.disk.as_ref(), self.setup.directory.as_path());
        let mut next = published.manifest.clone();
        change(&mut next);
        next.parts.extend(parts.iter().map(|part| part_entry(part)));
        next.believed_time = Some(self.retention.to_remember().as_nanos());
        next.next_part = self.next_part.load(Ordering::Relaxed);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if totals.is_some() || state.seq() > next.state.map_or(0, |checkpoint| checkpoint.seq) {
            state.put_table(TOTALS, totals.unwrap_or(&published.totals).clone());
            let number = published.checkpoints.last().map_or(1, |number| number + 1);
            published.checkpoints.push(number);
            next.state = Some(state.write(disk, directory, number)?);
        }
        if let Some(first) = self.segments.first_needed(flushed_seqs(&next), state.seq()) {
            next.wal_first = first;
        }
        next.write(disk, directory)?;
        Ok(next)
    }

    // What the manifest no longer needs goes. If that fails the next start tries again.
    fn remove_unneeded(&self, published: &mut Published) {
        let (disk, directory) = (&self.setup.disk, &self.setup.directory);
        let segments = self.segments.forget_before(published.manifest.wal_first);
        let mut files: Vec<PathBuf> = segments.into_iter().map(|number| layout::segment(directory, number)).collect();
        let current = published.manifest.state.map(|checkpoint| checkpoint.number);
        let old = published.checkpoints.extract_if(.., |number| Some(*number) != current);
        let both = |number| [layout::checkpoint(directory, number), layout::checkpoint_copy(directory, number)];
        files.extend(old.flat_map(both));
        for path in files {
            if let Err(error) = crate::disk::remove_if_there(disk.as_ref(), &path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a file that is no longer needed");
            }
        }
        for part in published.abandoned.drain(..) {
            if let Err(error) = disk.remove_dir_all(part.directory()) {
                tracing::warn!(path = %part.directory().display(), %error, "cannot remove a part that was not published");
            }
        }
    }

    pub(super) fn status(&self) -> Status {
        let visible = self.visible.read().unwrap_or_else(PoisonError::into_inner);
        let mut sizes: BTreeMap<Table, TableSize> = BTreeMap::new();
        for table in Table::ALL {
            let head = visible.size(table);
            let expired_rows = visible.expired_rows.get(table.as_str()).copied().unwrap_or(0);
            let size = TableSize { head_rows: head.rows, head_bytes: head.bytes, expired_rows, ..TableSize::default() };
            sizes.insert(table, size);
        }
        let (parts, last_seq) = (Arc::clone(&visible.parts), visible.last_seq);
        let quarantined_parts = visible.missing.len() as u64;
        let quarantined_rows = visible.missing.iter().map(|part| part.rows).sum();
        drop(visible);
        for part in parts.iter() {
            let size = sizes.entry(part.table()).or_default();
            size.parts += 1;
            size.part_rows += part.rows();
            size.part_bytes += part.bytes();
        }
        let (wal_segments, wal_bytes) = self.segments.size();
        Status {
            last_seq,
            wal_segments,
            wal_bytes,
            disk: self.free_bytes().map(|free| DiskRoom::new(&self.setup.config, free)),
            quarantined_parts,
            quarantined_rows,
            tables: sizes.into_iter().collect(),
        }
    }
}

impl Flushable for Core {
    fn head(&self, signal: Signal) -> HeadState {
        let visible = self.visible.read().unwrap_or_else(PoisonError::into_inner);
        let tables = Table::ALL.into_iter().filter(|table| table.signal() == signal);
        let sizes: Vec<_> = tables.map(|table| visible.size(table)).collect();
        HeadState {
            bytes: sizes.iter().map(|size| size.bytes).sum(),
            bytes_to_write: sizes.iter().map(|size| size.bytes_to_write).sum(),
            oldest: visible.since(signal),
        }
    }

    fn seal(&self, signal: Signal) -> (Vec<Arc<Chunk>>, u64) {
        let visible = self.visible.read().unwrap_or_else(PoisonError::into_inner);
        (visible.chunks_of(signal), visible.last_seq)
    }

    fn next_part_number(&self) -> u64 {
        self.next_part.fetch_add(1, Ordering::Relaxed)
    }

    fn publish(&self, signal: Signal, parts: Vec<Arc<Part>>, up_to_seq: u64) -> Result<(), StoreError> {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let change = |manifest: &mut Manifest| {
            manifest.flushed_seq.insert(signal.as_str().to_owned(), up_to_seq);
        };
        let totals = match signal {
            Signal::Points => self.totals_behind(&published.totals, up_to_seq),
            Signal::Logs | Signal::Spans => None,
        };
        self.publish_with_totals(&mut published, parts.clone(), change, totals)?;
        let now = self.setup.clock.monotonic();
        self.note_fed(&parts, now);
        let mut visible = self.visible.write().unwrap_or_else(PoisonError::into_inner);
        visible.swap(signal, parts, up_to_seq, now);
        drop(visible);
        self.remove_unneeded(&mut published);
        Ok(())
    }

    fn opened(&self) -> &Arc<Opened> {
        &self.opened
    }
}

// What a replay brings back.
struct Shown<'s> {
    visible: &'s mut Visible,
    state: &'s mut State,
    accumulators: &'s mut Accumulators,
}

impl Shown<'_> {
    // Shows a record of the log, unless what it holds is in the parts or in the checkpoint already.
    fn apply(
        &mut self,
        flushed: &[u64; Signal::ALL.len()],
        header: &Header,
        payload: &[u8],
        now: Duration,
    ) -> Result<(), Malformed> {
        let (first, last) = (header.place.seq_base, header.seq_last());
        match header.kind {
            Kind::Rows(signal) if last <= flushed[signal as usize] => Ok(()),
            Kind::Rows(signal) => {
                let batch = columns::decode(signal, payload)?;
                if batch.len() as u64 != u64::from(header.rows) {
                    return Err(Malformed("it has another number of rows than its header says"));
                }
                let chunks = Chunk::of_batch(batch, first).map_err(|_| Malformed("it lacks columns of its table"))?;
                // They were counted in the statistics when they were committed.
                chunks.iter().for_each(|chunk| chunk.count(self.accumulators, now, &mut Outcomes::default()));
                self.visible.add(chunks.into_iter().map(Arc::new).collect(), last, now);
                Ok(())
            }
            Kind::State if first <= self.state.seq() => Ok(()),
            Kind::State => {
                self.state.apply(state::decode(payload)?, first);
                Ok(())
            }
        }
    }
}

// What became of points with deltas, on `/metrics`.
struct DeltaPoints {
    outcomes: [Counter; 7],
    series: Gauge,
}

impl DeltaPoints {
    fn new(stats: &Stats) -> Self {
        let help = "Points of series with delta temporality, by what their total made of them.";
        let outcome = |outcome| stats.counter("sextant_store_delta_points_total", help, &[("outcome", outcome)]);
        let words = ["added", "gap", "overlap", "restart", "duplicate", "late", "too_many_series"];
        let series = stats.gauge("sextant_store_delta_series", "Series with delta temporality that have a total.", &[]);
        Self { outcomes: words.map(outcome), series }
    }

    fn add(&self, outcomes: Outcomes, series: usize) {
        let Outcomes { added, gaps, overlaps, restarts, duplicates, late, too_many } = outcomes;
        let counts = [added, gaps, overlaps, restarts, duplicates, late, too_many];
        self.outcomes.iter().zip(counts).for_each(|(counter, count)| counter.add(count));
        self.series.set(series as u64);
    }
}

fn flushed_seqs(manifest: &Manifest) -> [u64; Signal::ALL.len()] {
    Signal::ALL.map(|signal| manifest.flushed_seq.get(signal.as_str()).copied().unwrap_or(0))
}

fn part_entry(part: &Part) -> PartEntry {
    let (time_min, time_max) = part.time_bounds();
    let (seq_min, seq_max) = part.seq_bounds();
    PartEntry {
        name: part.name().to_string(),
        rows: part.rows(),
        bytes: part.bytes(),
        time_min: time_min.as_nanos(),
        time_max: time_max.as_nanos(),
        seq_min,
        seq_max,
        meta_crc32: Some(part.meta_crc32()),
    }
}

// What the quarantined parts held, so that answers can say what they lack.
fn missing(manifest: &Manifest) -> Vec<Missing> {
    let named = manifest.quarantined.iter().filter_map(|entry| Some((entry.name.parse::<PartName>().ok()?, entry)));
    let missing = named.map(|(name, entry)| Missing {
        name,
        rows: entry.rows,
        time: (Timestamp::from_nanos(entry.time_min), Timestamp::from_nanos(entry.time_max)),
        seq: (entry.seq_min, entry.seq_max),
    });
    missing.collect()
}

// Opens the parts. Those that are damaged are quarantined, and those of the quarantine that somebody has put back whole are taken into use
// again: in memory, and with the next manifest on the disk.
fn open_parts(
    disk: &Arc<dyn Disk>,
    setup: &Setup,
    manifest: &mut Manifest,
    opened: &Arc<Opened>,
) -> Result<Vec<Arc<Part>>, StoreError> {
    let open = |entry: &PartEntry| {
        let name: PartName = entry.name.parse().map_err(|()| StoreError::Damaged {
            path: setup.directory.join(layout::MANIFEST),
            what: format!("it lists {:?}, which is no name of a part; put it back from a copy", entry.name),
        })?;
        let part = Part::open(disk, &setup.directory, name, entry.meta_crc32, opened)?;
        if (PartEntry { meta_crc32: entry.meta_crc32, ..part_entry(&part) }) != *entry {
            let what = "it is not the part that the manifest lists".to_owned();
            return Err(StoreError::Damaged { path: part.directory().to_path_buf(), what });
        }
        Ok(part)
    };
    let mut parts = Vec::with_capacity(manifest.parts.len());
    let (mut healthy, mut damaged) = (Vec::new(), Vec::new());
    for entry in std::mem::take(&mut manifest.parts) {
        match open(&entry) {
            Ok(part) => {
                parts.push(part);
                healthy.push(entry);
            }
            Err(error @ StoreError::Damaged { .. }) => {
                let rows = entry.rows;
                tracing::error!(
                    part = entry.name,
                    rows,
                    error = &error as &dyn std::error::Error,
                    "a part is damaged and taken out of use; its files are kept"
                );
                damaged.push(entry);
            }
            Err(error) => return Err(error),
        }
    }
    for entry in std::mem::take(&mut manifest.quarantined) {
        match open(&entry).and_then(|part| part.verify().map(|()| part)) {
            Ok(part) => {
                tracing::info!(part = entry.name, "a part that was damaged is whole, and used again");
                parts.push(part);
                healthy.push(entry);
            }
            Err(StoreError::Version { path, found, read }) => return Err(StoreError::Version { path, found, read }),
            Err(_) => damaged.push(entry),
        }
    }
    (manifest.parts, manifest.quarantined) = (healthy, damaged);
    Ok(parts)
}

// Removes directories of parts and checkpoints that the manifest does not name: a crash came before they were published, or
// before they were removed. Answers the highest number that any part had.
fn remove_leftovers(setup: &Setup, manifest: &Manifest) -> Result<u64, StoreError> {
    let (disk, directory) = (setup.disk.as_ref(), setup.directory.as_path());
    let checkpoints = directory.join(layout::STATE);
    for entry in list_if_there(disk, &checkpoints)? {
        let number = layout::checkpoint_number(&entry.path);
        if number.is_some() && number != manifest.state.map(|checkpoint| checkpoint.number) {
            disk.remove(&entry.path).map_err(StoreError::disk("remove", &entry.path))?;
        }
    }
    let parts = directory.join(PARTS_DIR);
    let mut highest = 0;
    for table in list_if_there(disk, &parts)?.iter().filter(|entry| entry.is_dir) {
        for partition in list_if_there(disk, &table.path)?.iter().filter(|entry| entry.is_dir) {
            for part in list_if_there(disk, &partition.path)?.iter().filter(|entry| entry.is_dir) {
                let name = part.path.strip_prefix(&parts).ok().and_then(|name| name.to_str()).unwrap_or_default();
                highest = highest.max(name.parse::<PartName>().map_or(0, |name| name.number));
                let is_known = manifest.parts.iter().chain(&manifest.quarantined).any(|entry| entry.name == name);
                if name.parse::<PartName>().is_ok() && !is_known {
                    tracing::info!(path = %part.path.display(), "removing a part that was never published");
                    disk.remove_dir_all(&part.path).map_err(StoreError::disk("remove", &part.path))?;
                }
            }
        }
    }
    Ok(highest)
}

fn list_if_there(disk: &dyn Disk, folder: &Path) -> Result<Vec<crate::disk::DirEntry>, StoreError> {
    match disk.list(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.map_err(StoreError::disk("list", folder)),
    }
}
