//! What stays in memory of the files of parts: Parquet footers and indexes, bounded in bytes, those that were asked for last. Shared by
//! all parts of a store.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use model::stats::{Counter, Seconds, Stats};

use super::PartName;
use super::reader::Footer;
use super::sums::Sums;
use crate::limits;
use crate::text::Index;

/// What is open of a store's parts, and what opening and making them came to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(super) footers: Cache<Footer>,
    // `None`: the index is of no use, and this has been said.
    pub(super) indexes: Cache<Option<Index>>,
    pub(super) sums: Cache<Sums>,
    // Time to make the index of a part.
    pub(super) index_seconds: Seconds,
    // Numbers of parts that somebody could not read as they should be.
    suspects: Mutex<BTreeSet<u64>>,
}

impl Opened {
    /// Nothing yet, and at most so many bytes.
    pub(crate) fn new(bytes_max: u64, stats: &Stats) -> Self {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let whole: usize = limits::CACHE_SHARES.iter().sum();
        let [footers, indexes, sums] = limits::CACHE_SHARES.map(|share| bytes_max / whole * share);
        Self {
            footers: Cache::new(footers, stats, "footers"),
            indexes: Cache::new(indexes, stats, "indexes"),
            sums: Cache::new(sums, stats, "checksums"),
            index_seconds: stats.seconds("sextant_index_seconds", "Time to make the index of one part", &[]),
            suspects: Mutex::default(),
        }
    }

    /// Forgets a part whose files go.
    pub(crate) fn forget(&self, name: &PartName) {
        self.footers.lock().remove(name.number);
        self.indexes.lock().remove(name.number);
        self.sums.lock().remove(name.number);
    }

    /// Somebody met damage in a part: housekeeping will look.
    pub(super) fn suspect(&self, number: u64) {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
    }

    /// The parts in which somebody met damage since this was asked last.
    pub(crate) fn take_suspects(&self) -> BTreeSet<u64> {
        std::mem::take(&mut *self.suspects.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bytes of footers, of indexes and of checksums, roughly.
    pub(crate) fn bytes(&self) -> [u64; 3] {
        [self.footers.lock().bytes, self.indexes.lock().bytes, self.sums.lock().bytes].map(|bytes| bytes as u64)
    }
}

/// Values by the numbers of parts.
pub(super) struct Cache<V> {
    entries: Mutex<Entries<V>>,
    bytes_max: usize,
    hits: Counter,
    misses: Counter,
}

struct Entries<V> {
    values: HashMap<u64, Entry<V>>,
    bytes: usize,
    // Grows with each use.
    now: u64,
}

struct Entry<V> {
    value: Arc<V>,
    bytes: usize,
    used: u64,
}

impl<V> Cache<V> {
    fn new(bytes_max: usize, stats: &Stats, of: &str) -> Self {
        let counter = |result| {
            let help = "What was wanted of parts' files, and whether it was still in memory";
            stats.counter("sextant_store_cache_requests_total", help, &[("of", of), ("result", result)])
        };
        let (hits, misses) = (counter("hit"), counter("miss"));
        Self { entries: Mutex::new(Entries { values: HashMap::new(), bytes: 0, now: 0 }), bytes_max, hits, misses }
    }

    /// The value of a part; made, with its size in bytes, if it is not there. Not locked while it is made: two who ask at once may
    /// both make it.
    pub(super) fn get<E>(&self, number: u64, make: impl FnOnce() -> Result<(V, usize), E>) -> Result<Arc<V>, E> {
        if let Some(known) = self.lock().get(number) {
            self.hits.add(1);
            return Ok(known);
        }
        self.misses.add(1);
        let (value, bytes) = make()?;
        let value = Arc::new(value);
        let mut entries = self.lock();
        entries.remove(number);
        while entries.bytes + bytes > self.bytes_max && entries.remove_oldest() {}
        entries.now += 1;
        let used = entries.now;
        entries.bytes += bytes;
        entries.values.insert(number, Entry { value: Arc::clone(&value), bytes, used });
        Ok(value)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Entries<V> {
    fn get(&mut self, number: u64) -> Option<Arc<V>> {
        self.now += 1;
        let entry = self.values.get_mut(&number)?;
        entry.used = self.now;
        Some(Arc::clone(&entry.value))
    }

    fn remove(&mut self, number: u64) {
        if let Some(entry) = self.values.remove(&number) {
            self.bytes -= entry.bytes;
        }
    }

    fn remove_oldest(&mut self) -> bool {
        let oldest = self.values.iter().min_by_key(|(_, entry)| entry.used).map(|(number, _)| *number);
        oldest.map(|number| self.remove(number)).is_some()
    }
}

impl<V> std::fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({} of {} bytes)", self.lock().bytes, self.bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let cache = Cache::new(100, &Stats::new(), "numbers");
        let get = |number: u64| {
            let mut made = false;
            let value = cache.get(number, || {
                made = true;
                Ok::<_, ()>((number, 40))
            });
            assert_eq!(value.map(|value| *value), Ok(number));
            made
        };
        assert!(get(1));
        assert!(get(2));
        assert!(!get(1));
        assert!(get(3), "takes the place of 2");
        assert!(!get(1));
        assert!(get(2), "takes the place of 3");
        assert!(get(3));
        assert_eq!(cache.lock().bytes, 80);
        assert_eq!((cache.hits.get(), cache.misses.get()), (2, 5));
        assert_eq!(cache.get(4, || Err("no")), Err("no"));
        // Larger than everything: kept alone, until the next comes.
        assert_eq!(cache.get(5, || Ok::<_, ()>((5, 1_000))).map(|value| *value), Ok(5));
        assert_eq!(cache.lock().values.len(), 1);
        assert!(get(1));
        assert_eq!(cache.lock().bytes, 40);
    }
}
