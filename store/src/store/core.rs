//! What the store's threads share: what is visible, what the manifest says, and the steps between them. Made when a store is
//! opened; used by the commit thread, upkeep, and everyone who asks for a snapshot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use model::Signal;

use super::{Setup, Status, TableSize};
use crate::disk::Disk;
use crate::head::Chunk;
use crate::manifest::{Manifest, PartEntry};
use crate::part::{PARTS_DIR, Part, PartName};
use crate::schema::Table;
use crate::state::{self, State, StateChange};
use crate::upkeep::{Flushable, HeadState};
use crate::visible::Visible;
use crate::wal::record::{Header, Kind};
use crate::wal::replay::{Replay, Replayed};
use crate::wal::segment::{Log, Segments};
use crate::wal::{Malformed, columns};
use crate::{Snapshot, StoreError, layout};

/// What the store's threads share. It outlives no thread, and no thread's handle is in it.
pub(crate) struct Core {
    pub(super) setup: Setup,
    visible: RwLock<Visible>,
    pub(super) committed: tokio::sync::watch::Sender<u64>,
    pub(super) state: Mutex<State>,
    segments: Segments,
    next_part: AtomicU64,
    // Held over the writing of a manifest by whoever publishes; appends and queries never take it.
    published: Mutex<Published>,
}

struct Published {
    manifest: Manifest,
    // Parts and checkpoints of publishings that failed: a manifest that names them may be found after a crash, until
    // another is written. Their numbers are not used again.
    abandoned: Vec<Arc<Part>>,
    checkpoints: Vec<u64>,
}

impl Core {
    pub(super) fn open(setup: Setup, manifest: Manifest) -> Result<(Core, Log, u64), StoreError> {
        let (disk, directory) = (&setup.disk, &setup.directory);
        let parts = open_parts(disk, &setup, &manifest)?;
        let leftover = remove_leftovers(&setup, &manifest)?;
        let mut state = match &manifest.state {
            Some(checkpoint) => State::read(disk.as_ref(), directory, checkpoint)?,
            None => State::default(),
        };
        let flushed = flushed_seqs(&manifest);
        let mut visible = Visible::new(parts, flushed.into_iter().max().unwrap_or(0));
        let now = setup.clock.monotonic();
        let replay = Replay { disk, directory, directory_id: manifest.directory_id, first: manifest.wal_first };
        let Replayed { end, next_seq, damaged, torn_bytes } =
            replay.run(&mut |header, payload| apply(&mut visible, &mut state, &flushed, header, payload, now))?;
        let stats = &setup.stats;
        stats.counter("sextant_wal_damaged_total", "Pieces of the WAL that could not be read.", &[]).add(damaged);
        stats.counter("sextant_wal_torn_bytes_total", "Bytes cut off the WAL's end at start.", &[]).add(torn_bytes);
        let next_seq = next_seq.max(visible.last_seq + 1);
        let segments = end.segments.clone();
        let log = Log::new(Arc::clone(disk), directory, manifest.directory_id, setup.config.wal_segment_bytes, end);
        let core = Core {
            committed: tokio::sync::watch::channel(visible.last_seq).0,
            visible: RwLock::new(visible),
            state: Mutex::new(state),
            segments,
            next_part: AtomicU64::new(manifest.next_part.max(leftover + 1)),
            published: Mutex::new(Published {
                checkpoints: manifest.state.iter().map(|checkpoint| checkpoint.number).collect(),
                manifest,
                abandoned: Vec::new(),
            }),
            setup,
        };
        Ok((core, log, next_seq))
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let visible = self.visible.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            version: visible.version,
            last_seq: visible.last_seq,
            chunks: visible.chunks.clone(),
            parts: Arc::clone(&visible.parts),
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
            let mut visible = self.visible.write().unwrap_or_else(PoisonError::into_inner);
            visible.add(chunks, last_seq, now);
            drop(visible);
            self.committed.send_replace(last_seq);
        }
    }

    pub(crate) fn state_seq(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).seq()
    }

    pub(crate) fn chunks_of(&self, signal: Signal) -> Vec<Arc<Chunk>> {
        self.visible.read().unwrap_or_else(PoisonError::into_inner).chunks_of(signal)
    }

    /// Bytes of a signal's head.
    pub(crate) fn head_bytes(&self, signal: Signal) -> u64 {
        self.head(signal).bytes
    }

    /// Bytes of all heads.
    pub(crate) fn all_head_bytes(&self) -> u64 {
        let visible = self.visible.read().unwrap_or_else(PoisonError::into_inner);
        Table::ALL.into_iter().map(|table| visible.size(table).bytes).sum()
    }

    fn write_manifest(
        &self,
        published: &mut Published,
        signal: Signal,
        parts: &[Arc<Part>],
        up_to_seq: u64,
    ) -> Result<Manifest, StoreError> {
        let (disk, directory) = (self.setup.disk.as_ref(), self.setup.directory.as_path());
        let mut next = published.manifest.clone();
        next.flushed_seq.insert(signal.as_str().to_owned(), up_to_seq);
        next.parts.extend(parts.iter().map(|part| part_entry(part)));
        next.next_part = self.next_part.load(Ordering::Relaxed);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if state.seq() > next.state.map_or(0, |checkpoint| checkpoint.seq) {
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
        files.extend(old.map(|number| layout::checkpoint(directory, number)));
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
            sizes.insert(table, TableSize { head_rows: head.rows, head_bytes: head.bytes, ..TableSize::default() });
        }
        let (parts, last_seq) = (Arc::clone(&visible.parts), visible.last_seq);
        drop(visible);
        for part in parts.iter() {
            let size = sizes.entry(part.table()).or_default();
            size.parts += 1;
            size.part_rows += part.rows();
            size.part_bytes += part.bytes();
        }
        let (wal_segments, wal_bytes) = self.segments.size();
        let free_bytes = self.setup.disk.free_space(&self.setup.directory).ok();
        Status { last_seq, wal_segments, wal_bytes, free_bytes, tables: sizes.into_iter().collect() }
    }
}

impl Flushable for Core {
    fn head(&self, signal: Signal) -> HeadState {
        let visible = self.visible.read().unwrap_or_else(PoisonError::into_inner);
        let tables = Table::ALL.into_iter().filter(|table| table.signal() == signal);
        HeadState { bytes: tables.map(|table| visible.size(table).bytes).sum(), oldest: visible.since(signal) }
    }

    fn seal(&self, signal: Signal) -> (Vec<Arc<Chunk>>, u64) {
        let visible = self.visible.read().unwrap_or_else(PoisonError::into_inner);
        (visible.chunks_of(signal), visible.last_seq)
    }

    fn next_part_number(&self) -> u64 {
        self.next_part.fetch_add(1, Ordering::Relaxed)
    }

    // On an error the new directories must stay: the manifest that names them may be the one that is found after a crash.
    // The next publishing that succeeds removes them.
    fn publish(&self, signal: Signal, parts: Vec<Arc<Part>>, up_to_seq: u64) -> Result<(), StoreError> {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        match self.write_manifest(&mut published, signal, &parts, up_to_seq) {
            Ok(manifest) => published.manifest = manifest,
            Err(error) => {
                published.abandoned.extend(parts);
                return Err(error);
            }
        }
        let now = self.setup.clock.monotonic();
        let mut visible = self.visible.write().unwrap_or_else(PoisonError::into_inner);
        visible.swap(signal, parts, up_to_seq, now);
        drop(visible);
        self.remove_unneeded(&mut published);
        Ok(())
    }
}

// Shows a record of the log, unless what it holds is in the parts or in the checkpoint already.
fn apply(
    visible: &mut Visible,
    state: &mut State,
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
            visible.add(chunks.into_iter().map(Arc::new).collect(), last, now);
            Ok(())
        }
        Kind::State if first <= state.seq() => Ok(()),
        Kind::State => {
            state.apply(state::decode(payload)?, first);
            Ok(())
        }
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
    }
}

fn open_parts(disk: &Arc<dyn Disk>, setup: &Setup, manifest: &Manifest) -> Result<Vec<Arc<Part>>, StoreError> {
    let mut parts = Vec::with_capacity(manifest.parts.len());
    for entry in &manifest.parts {
        let name: PartName = entry.name.parse().map_err(|()| StoreError::Damaged {
            path: setup.directory.join(layout::MANIFEST),
            what: format!("it lists {:?}, which is no name of a part; put it back from a copy", entry.name),
        })?;
        let part = Part::open(disk, &setup.directory, name)?;
        if part_entry(&part) != *entry {
            let what = "it is not the part that the manifest lists; put it back from a copy".to_owned();
            return Err(StoreError::Damaged { path: part.directory().to_path_buf(), what });
        }
        parts.push(part);
    }
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
                if name.parse::<PartName>().is_ok() && manifest.parts.iter().all(|entry| entry.name != name) {
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
