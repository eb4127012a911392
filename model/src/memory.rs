//! The one memory limit of the process: what it holds, and whether something more may be taken.
//!
//! Who watches the process says what is resident; who takes memory for others asks first. Nothing is kept apart by owner:
//! what the heads, the commit queue and answers hold is resident, and what requests in flight may still take is added to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::stats::{Counter, Gauge, Stats};

/// The share of the limit up to which a request may begin: beyond it is room for what has begun, for a flush, and for queries, so that
/// a server that is offered more than it can take still works off what it has, and can be looked at.
const BEGIN_MARK: (u64, u64) = (3, 4);

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
}

impl Memory {
    /// A process that may take `limit` bytes; registers what is counted.
    pub fn new(limit: u64, stats: &Stats) -> Self {
        stats.gauge("sextant_memory_limit_bytes", "Bytes that the process may take.", &[]).set(limit);
        let gauge = stats.gauge("sextant_memory_resident_bytes", "Bytes of the process in memory.", &[]);
        let help = "Requests and queries told to come again because of the memory limit.";
        let refused = stats.counter("sextant_memory_refused_total", help, &[]);
        Self { limit, resident: Arc::default(), gauge, refused }
    }

    /// A process without a limit.
    pub fn unlimited() -> Self {
        Self::new(u64::MAX, &Stats::new())
    }

    /// The limit.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What the process holds, as seen now.
    pub fn saw(&self, resident: u64) {
        self.resident.store(resident, Ordering::Relaxed);
        self.gauge.set(resident);
    }

    /// Whether one more request may begin, and be taken to its end, when all together hold `in_flight` bytes.
    pub fn may_begin(&self, in_flight: u64) -> bool {
        let (part, whole) = BEGIN_MARK;
        self.has_room(in_flight, self.limit / whole * part)
    }

    /// Whether a request that has begun may hold more: all together then hold `in_flight` bytes. What was read of one that is refused
    /// halfway was read in vain.
    pub fn may_go_on(&self, in_flight: u64) -> bool {
        self.has_room(in_flight, self.limit)
    }

    /// Whether work that can wait should: requests are refused already.
    pub fn is_short(&self) -> bool {
        let (part, whole) = BEGIN_MARK;
        self.resident.load(Ordering::Relaxed) > self.limit / whole * part
    }

    /// Whether work that waited for memory may go on.
    pub fn has_plenty(&self) -> bool {
        self.resident.load(Ordering::Relaxed) <= self.limit / 2
    }

    /// Whether a query may start.
    pub fn may_ask(&self) -> bool {
        self.has_room(0, self.limit)
    }

    fn has_room(&self, in_flight: u64, mark: u64) -> bool {
        let resident = self.resident.load(Ordering::Relaxed);
        let room = resident.saturating_add(in_flight.saturating_mul(BYTES_TO_COME)) <= mark;
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
        let memory = Memory::new(1_000, &Stats::new());
        memory.saw(400);
        assert!(memory.may_go_on(200));
        assert!(!memory.may_go_on(201), "three times as much would follow");
        assert!(memory.may_begin(116));
        assert!(!memory.may_begin(117), "a quarter is for what has begun");
        assert!(!memory.is_short() && memory.has_plenty());
        memory.saw(751);
        assert!(memory.is_short() && !memory.has_plenty());
        assert!(!memory.may_begin(0));
        assert!(memory.may_go_on(83) && memory.may_ask());
        memory.saw(1_001);
        assert!(!memory.may_go_on(0) && !memory.may_ask());
        assert!(Memory::unlimited().may_go_on(u64::MAX));
    }
}
