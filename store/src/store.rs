//! The store as its users hold it: one [`Writer`], any number of [`Snapshot`]s. Opens and closes everything in order.

mod core;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use model::Clock;
use model::stats::Stats;

pub(crate) use self::core::Core;
use crate::disk::{Disk, LockGuard};
use crate::manifest::Manifest;
use crate::schema::Table;
use crate::state::StateTable;
use crate::upkeep::{Flushable, Housekeeping, Upkeep};
use crate::writer::{Committer, Queue, Writer};
use crate::{Config, Durability, Snapshot, StoreError, lock};

/// What a store is made from.
#[derive(Clone)]
pub struct Setup {
    /// The data directory.
    pub directory: PathBuf,
    /// Settings.
    pub config: Config,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// Where the store counts.
    pub stats: Stats,
}

/// An open data directory. Cheap to clone. When the last clone is dropped, what is queued is committed and the
/// directory is given back; [`Store::close`] does so at once, and flushes.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    queue: Arc<Queue>,
    upkeep: Arc<Upkeep>,
    housekeeping: Housekeeping,
    writer: Writer,
    commit: Mutex<Option<JoinHandle<()>>>,
    // Held for as long as anything may write.
    lock: Mutex<Option<Box<dyn LockGuard>>>,
}

/// Sizes of what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The highest committed `ingest_seq`; 0 before the first row.
    pub last_seq: u64,
    /// Number of WAL segments.
    pub wal_segments: u64,
    /// Their bytes together.
    pub wal_bytes: u64,
    /// Room where the data directory is; `None` if the system does not say.
    pub disk: Option<DiskRoom>,
    /// Parts that are damaged and out of use.
    pub quarantined_parts: u64,
    /// Their rows together.
    pub quarantined_rows: u64,
    /// Each table, in the order of [`Table::ALL`].
    pub tables: Vec<(Table, TableSize)>,
}

/// Room where the data directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRoom {
    /// What is done about it.
    pub state: DiskState,
    /// Bytes free.
    pub free_bytes: u64,
    /// Below which rows are refused.
    pub free_bytes_min: u64,
}

/// What is done about the room on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskState {
    /// Nothing.
    Ok,
    /// Signals that have a bound of bytes give way.
    NearlyFull,
    /// Rows are refused.
    Full,
}

impl DiskState {
    /// The word of the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            DiskState::Ok => "ok",
            DiskState::NearlyFull => "nearly_full",
            DiskState::Full => "full",
        }
    }
}

impl DiskRoom {
    pub(crate) fn new(config: &Config, free_bytes: u64) -> DiskRoom {
        let state = if free_bytes < config.free_bytes_min {
            DiskState::Full
        } else if free_bytes < config.nearly_full_bytes() {
            DiskState::NearlyFull
        } else {
            DiskState::Ok
        };
        DiskRoom { state, free_bytes, free_bytes_min: config.free_bytes_min }
    }
}

/// Size of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSize {
    /// Rows in memory.
    pub head_rows: u64,
    /// Bytes of them, roughly.
    pub head_bytes: u64,
    /// Number of parts.
    pub parts: u64,
    /// Rows in parts.
    pub part_rows: u64,
    /// Bytes of parts.
    pub part_bytes: u64,
    /// Rows that retention has deleted since the data directory was made.
    pub expired_rows: u64,
}

impl Store {
    /// Opens a data directory: takes its lock, reads the manifest and replays the WAL. Blocks until that is done.
    pub fn open(setup: Setup) -> Result<Store, StoreError> {
        let (disk, directory) = (Arc::clone(&setup.disk), setup.directory.clone());
        disk.create_dir_all(&directory).map_err(StoreError::disk("create", &directory))?;
        sync_names_of(disk.as_ref(), &directory)?;
        let lock = lock::take(disk.as_ref(), &directory)?;
        let manifest = Manifest::open(disk.as_ref(), &directory)?;
        let series_key = manifest.series_key;
        let (core, log, next_seq) = Core::open(setup, manifest)?;
        let core = Arc::new(core);
        let queue = Arc::new(Queue::new(&core.setup.stats));
        let upkeep = Arc::new(Upkeep::start(&core.setup, Arc::clone(&core) as Arc<dyn Flushable>)?);
        let housekeeping = Housekeeping::start(Arc::clone(&core))?;
        let committer = Committer::new(Arc::clone(&core), Arc::clone(&queue), Arc::clone(&upkeep), log, next_seq);
        let commit = spawn_committer(committer)?;
        let inner = Inner {
            writer: Writer::new(Arc::clone(&core), Arc::clone(&queue), series_key),
            core,
            queue,
            upkeep,
            housekeeping,
            commit: Mutex::new(Some(commit)),
            lock: Mutex::new(Some(lock)),
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// The way in.
    pub fn writer(&self) -> Writer {
        self.inner.writer.clone()
    }

    /// Everything that is committed now.
    pub fn snapshot(&self) -> Snapshot {
        self.inner.core.snapshot()
    }

    /// The highest committed `ingest_seq`, as it grows: what a tail waits on.
    pub fn committed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.inner.core.committed.subscribe()
    }

    /// One state table as it is committed now.
    pub fn state(&self, table: &str) -> StateTable {
        self.inner.core.state.lock().unwrap_or_else(PoisonError::into_inner).table(table)
    }

    /// Sizes of what is kept.
    pub fn status(&self) -> Status {
        self.inner.core.status()
    }

    /// When an append is acknowledged.
    pub fn durability(&self) -> Durability {
        self.inner.core.setup.config.durability
    }

    /// Flushes all heads, whatever their size. Blocks until their rows are in parts.
    pub fn flush_now(&self) -> Result<(), StoreError> {
        self.inner.upkeep.flush_now()
    }

    /// Does everything at once that is otherwise done in the background, but for flushes: merges parts until none are left that are
    /// worth it, and removes files that nothing needs. Blocks until that is done. Answers the first error; the rest is done
    /// all the same.
    pub fn tidy_now(&self) -> Result<(), StoreError> {
        self.inner.housekeeping.tidy_now()
    }

    /// Stops merging until it is told otherwise: one that is under way ends without a result. Everything else goes on.
    pub fn pause_merges(&self, paused: bool) {
        self.inner.housekeeping.pause(paused);
    }

    /// Takes nothing more, commits what is queued, flushes the heads, and gives the directory back. Blocks until that is
    /// done. The error of a flush is told, and harmless: the WAL holds the rows, and the next start replays them.
    pub fn close(&self) -> Result<(), StoreError> {
        // A merge may be in the middle of a large part: what it has is worth less than a prompt end.
        self.inner.housekeeping.stop();
        self.inner.stop_commits();
        let flushed = self.flush_now();
        self.inner.stop();
        flushed
    }
}

impl Inner {
    fn stop_commits(&self) {
        self.queue.close();
        let commit = self.commit.lock().unwrap_or_else(PoisonError::into_inner).take();
        if commit.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the commit thread ended by a panic");
        }
    }

    // Nothing writes any more when the lock is given back.
    fn stop(&self) {
        self.housekeeping.stop();
        self.stop_commits();
        self.upkeep.stop();
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

// The directory may be new, and so may those above it. Some of them may be closed to us or on a file system that syncs no
// folders: those we did not make.
fn sync_names_of(disk: &dyn Disk, directory: &Path) -> Result<(), StoreError> {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    for folder in directory.ancestors().skip(1) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match disk.sync_dir(folder) {
            Err(error) if [InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported].contains(&error.kind()) => {
            }
            result => result.map_err(StoreError::disk("sync", folder))?,
        }
    }
    Ok(())
}

fn spawn_committer(committer: Committer) -> Result<JoinHandle<()>, StoreError> {
    let failed = |error: std::io::Error| StoreError::Closed { reason: format!("no thread to commit with: {error}") };
    // Only for its timer and for waiting; it runs nothing else.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let thread = std::thread::Builder::new().name("store-commit".to_owned());
    thread.spawn(move || committer.run(&runtime)).map_err(failed)
}
