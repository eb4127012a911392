//! What the next snapshot will show. Locked only for as long as it takes to copy or push pointers, never over a read or
//! write of the disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::Signal;

use crate::Missing;
use crate::head::Chunk;
use crate::part::Part;
use crate::schema::Table;

// Chunks of one shared block. A snapshot copies one pointer per block, and the pointers of the block that is being filled:
// a head of many small batches must not make every query wait, nor the commit that waits for the query.
const BLOCK_CHUNKS: usize = 256;

/// The head's chunks in the order of their numbers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunks {
    blocks: Vec<Arc<[Arc<Chunk>]>>,
    last: Vec<Arc<Chunk>>,
}

impl Chunks {
    /// All chunks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Chunk>> {
        self.blocks.iter().flat_map(|block| block.iter()).chain(&self.last)
    }

    fn push(&mut self, chunk: Arc<Chunk>) {
        self.last.push(chunk);
        if self.last.len() == BLOCK_CHUNKS {
            self.blocks.push(self.last.drain(..).collect());
        }
    }
}

impl FromIterator<Arc<Chunk>> for Chunks {
    fn from_iter<I: IntoIterator<Item = Arc<Chunk>>>(chunks: I) -> Self {
        let mut all = Chunks::default();
        chunks.into_iter().for_each(|chunk| all.push(chunk));
        all
    }
}

/// Size of one table's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadSize {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_to_write: u64,
}

/// One version of the head and the parts, and what is counted about the head.
#[derive(Debug, Default)]
pub(crate) struct Visible {
    pub(crate) version: u64,
    pub(crate) last_seq: u64,
    pub(crate) chunks: Chunks,
    pub(crate) parts: Arc<Vec<Arc<Part>>>,
    pub(crate) missing: Arc<Vec<Missing>>,
    // By table, what retention has deleted.
    pub(crate) expired_rows: BTreeMap<String, u64>,
    sizes: [HeadSize; Table::ALL.len()],
    // Monotonic time at which the head of each signal got its first chunk.
    since: [Option<Duration>; Signal::ALL.len()],
}

impl Visible {
    /// What was found when the store was opened, before its log is replayed.
    pub(crate) fn new(parts: Vec<Arc<Part>>, last_seq: u64) -> Visible {
        Visible { last_seq, parts: Arc::new(parts), ..Visible::default() }
    }

    /// Shows a committed batch.
    pub(crate) fn add(&mut self, chunks: Vec<Arc<Chunk>>, last_seq: u64, now: Duration) {
        for chunk in chunks {
            self.count(&chunk);
            self.since[chunk.table().signal() as usize].get_or_insert(now);
            self.chunks.push(chunk);
        }
        self.last_seq = self.last_seq.max(last_seq);
        self.version += 1;
    }

    /// Replaces the chunks of a signal up to a number by parts, in one step.
    pub(crate) fn swap(&mut self, signal: Signal, parts: Vec<Arc<Part>>, up_to_seq: u64, now: Duration) {
        let flushed = |chunk: &Chunk| chunk.table().signal() == signal && chunk.seq_bounds().1 <= up_to_seq;
        let kept: Chunks = self.chunks.iter().filter(|chunk| !flushed(chunk)).cloned().collect();
        self.chunks = kept;
        self.parts = Arc::new(self.parts.iter().cloned().chain(parts).collect());
        self.version += 1;
        self.sizes = Default::default();
        self.since[signal as usize] = None;
        for chunk in self.chunks.clone().iter() {
            self.count(chunk);
            self.since[chunk.table().signal() as usize].get_or_insert(now);
        }
    }

    /// Puts parts in the place of others, in one step.
    pub(crate) fn replace(&mut self, old: &[Arc<Part>], new: Vec<Arc<Part>>) {
        let is_old = |part: &Arc<Part>| old.iter().any(|old| Arc::ptr_eq(old, part));
        self.parts = Arc::new(self.parts.iter().filter(|part| !is_old(part)).cloned().chain(new).collect());
        self.version += 1;
    }

    /// The chunks of a signal, oldest first.
    pub(crate) fn chunks_of(&self, signal: Signal) -> Vec<Arc<Chunk>> {
        self.chunks.iter().filter(|chunk| chunk.table().signal() == signal).cloned().collect()
    }

    /// Size of a table's head.
    pub(crate) fn size(&self, table: Table) -> HeadSize {
        self.sizes[table as usize]
    }

    /// Since when a signal has rows that are not in parts.
    pub(crate) fn since(&self, signal: Signal) -> Option<Duration> {
        self.since[signal as usize]
    }

    fn count(&mut self, chunk: &Chunk) {
        let size = &mut self.sizes[chunk.table() as usize];
        size.rows += chunk.rows() as u64;
        size.bytes += chunk.bytes() as u64;
        size.bytes_to_write += chunk.bytes_to_write() as u64;
    }
}
