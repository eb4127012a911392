//! Who was sent and what was promised: the sender's own book, kept outside the server that is tested.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use model::Signal;

/// A request: records with consecutive numbers, each number used once in a ledger's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was sent.
    pub signal: Signal,
    /// The number of the first record.
    pub first: u64,
    /// How many records.
    pub count: u64,
    /// Whether the server said that they are stored.
    pub acknowledged: bool,
}

/// Every request that left.
#[derive(Debug)]
pub struct Ledger {
    next: AtomicU64,
    entries: Mutex<Vec<Entry>>,
}

impl Default for Ledger {
    fn default() -> Self {
        // 0 is no valid span id.
        Self { next: AtomicU64::new(1), entries: Mutex::default() }
    }
}

impl Ledger {
    /// Writes down that `count` records are about to be sent. Gives the entry's place, and their first number.
    pub fn open(&self, signal: Signal, count: u64) -> (usize, u64) {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        let mut entries = self.lock();
        entries.push(Entry { signal, first, count, acknowledged: false });
        (entries.len() - 1, first)
    }

    /// Writes down that the server promised to keep an entry.
    pub fn acknowledge(&self, place: usize) {
        self.lock()[place].acknowledged = true;
    }

    /// All entries so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// One more than the greatest number given out.
    pub fn end(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// How many records were promised to be kept.
    pub fn acknowledged(&self) -> u64 {
        self.lock().iter().filter(|entry| entry.acknowledged).map(|entry| entry.count).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
