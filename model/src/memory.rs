//! The one memory limit of the process: what it holds, and whether something more may be taken.
//!
//! Who watches the process says what is resident; who takes memory for others asks first. Nothing is kept apart by owner:
//! what the heads, the commit queue and answers hold is resident, and what requests in flight may still take is added to it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::stats::{Counter, Gauge, Stats};

/// The limit's parts that the marks are counted in.
const WHOLE: u64 = 16;

/// Up to this mark a request may become large, and work that can wait is done: beyond it is room for what has begun, for a flush, and for
/// queries, so that a server that is offered more than it can take still works off what it has, and can be looked at.
const BEGIN_MARK: u64 = 12;

/// Up to this mark large requests may go on: a few of them must not keep all small ones out.
const GO_ON_MARK: u64 = 14;

/// Up to this mark small requests are taken.
const SMALL_MARK: u64 = 15;

/// Bytes up to which a request is small: a service's spans or counters of a few seconds. A thousand at a time take 8 MiB, and 24 more until
/// they are stored. With 64 KiB instead R14, which offers requests of about that size, came to 466 MiB where 384 were allowed.
pub const SMALL_REQUEST_BYTES: u64 = 8 << 10;

/// For each byte that a request in flight holds, so many more may follow until it is stored: its decoded form, its columns
/// and its record in the log. What is resident counts the byte itself.
const BYTES_TO_COME: u64 = 3;

/// The memory of a process. Cheap to clone: clones share it.
#[derive(Clone, Debug)]
pub struct Memory {
    limit: u64,
    resident: Arc<AtomicU64>,
    gauge: Gauge,
    refused: Counter,
    caches: Caches,
}

// How each cache is told to forget.
#[derive(Clone, Default)]
struct Caches(Arc<Mutex<Vec<Forget>>>);

type Forget = Arc<dyn Fn() + Send + Sync>;

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caches").finish_non_exhaustive()
    }
}

impl Memory {
    /// A process that may take `limit` bytes; registers what is counted.
    pub fn new(limit: u64, stats: &Stats) -> Self {
        stats.gauge("sextant_memory_limit_bytes", "Bytes that the process may take.", &[]).set(limit);
        let gauge = stats.gauge("sextant_memory_resident_bytes", "Bytes of the process in memory.", &[]);
        let help = "Requests and queries told to come again because of the memory limit.";
        let refused = stats.counter("sextant_memory_refused_total", help, &[]);
        Self { limit, resident: Arc::default(), gauge, refused, caches: Caches::default() }
    }

    /// A process without a limit.
    pub fn unlimited() -> Self {
        Self::new(u64::MAX, &Stats::new())
    }

    /// The limit.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What has to happen when memory is short: `forget` what can be made again.
    pub fn on_shortage(&self, forget: impl Fn() + Send + Sync + 'static) {
        self.caches.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(forget));
    }

    /// Has everything forgotten that can be made again. Takes a while.
    pub fn forget_caches(&self) {
        let caches: Vec<Forget> = self.caches.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        caches.iter().for_each(|forget| forget());
    }

    /// What the process holds, as seen now.
    pub fn saw(&self, resident: u64) {
        self.resident.store(resident, Ordering::Relaxed);
        self.gauge.set(resident);
    }

    /// Whether a request that holds `held` bytes may hold `more`, when all together then hold `in_flight` bytes. What was read of one that
    /// is refused halfway was read in vain.
    pub fn may_take(&self, held: u64, more: u64, in_flight: u64) -> bool {
        let all = held.saturating_add(more);
        if all <= SMALL_REQUEST_BYTES {
            // What large ones may come to is their affair: much of it is there already, or never will be.
            self.has_room(all, SMALL_MARK)
        } else {
            self.has_room(in_flight, if held <= SMALL_REQUEST_BYTES { BEGIN_MARK } else { GO_ON_MARK })
        }
    }

    /// Whether work that can wait should: large requests are refused already.
    pub fn is_short(&self) -> bool {
        self.resident.load(Ordering::Relaxed) > self.limit / WHOLE * BEGIN_MARK
    }

    /// Whether work that waited for memory may go on.
    pub fn has_plenty(&self) -> bool {
        self.resident.load(Ordering::Relaxed) <= self.limit / 2
    }

    /// Whether a query may start.
    pub fn may_ask(&self) -> bool {
        self.has_room(0, WHOLE)
    }

    fn has_room(&self, in_flight: u64, mark: u64) -> bool {
        let resident = self.resident.load(Ordering::Relaxed);
        let room = resident.saturating_add(in_flight.saturating_mul(BYTES_TO_COME)) <= self.limit / WHOLE * mark;
        if !room {
            self.refused.add(1);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_before_the_memory_is_taken() {
        let mib = 1 << 20;
        let memory = Memory::new(16 * mib, &Stats::new());
        memory.saw(10 * mib);
        // What is held, how much more is wanted, and what all together may hold at most: three times as much would follow.
        for ((held, more), room) in [((SMALL_REQUEST_BYTES, 1), 2 * mib), ((mib, 1), 4 * mib)] {
            assert!(memory.may_take(held, more, room / 3), "{more} to {held}");
            assert!(!memory.may_take(held, more, room / 3 + 1), "{more} to {held}");
        }
        assert!(memory.may_take(0, SMALL_REQUEST_BYTES, u64::MAX / 32), "a small one asks for itself alone");
        assert!(!memory.is_short() && !memory.has_plenty());
        memory.saw(12 * mib + 1);
        assert!(memory.is_short());
        assert!(!memory.may_take(0, SMALL_REQUEST_BYTES + 1, 0), "large at once");
        assert!(memory.may_take(0, 1, 1) && memory.may_ask());
        memory.saw(15 * mib - 3);
        assert!(memory.may_take(0, 1, 1) && !memory.may_take(0, 2, 2));
        memory.saw(16 * mib + 1);
        assert!(!memory.may_take(0, 1, 0) && !memory.may_ask());
        memory.saw(8 * mib);
        assert!(memory.has_plenty());
        assert!(Memory::unlimited().may_take(0, 1, u64::MAX / 32));
    }

    #[test]
    fn every_cache_is_told() {
        let memory = Memory::unlimited();
        let told = Arc::new(AtomicU64::new(0));
        for worth in [1, 10] {
            let told = Arc::clone(&told);
            memory.on_shortage(move || _ = told.fetch_add(worth, Ordering::Relaxed));
        }
        memory.clone().forget_caches();
        assert_eq!(told.load(Ordering::Relaxed), 11);
    }
}
