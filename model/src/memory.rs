//! The one memory limit of the process: what it holds, and whether something more may be taken.
//!
//! Who watches the process says what is resident; who takes memory for others asks first. Nothing is kept apart by owner:
//! what the heads, the commit queue and answers hold is resident, and what requests in flight may still take is added to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::stats::{Counter, Gauge, Stats};

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

    /// Whether requests that hold `in_flight` bytes together can be taken to their end.
    pub fn has_room_for(&self, in_flight: u64) -> bool {
        let resident = self.resident.load(Ordering::Relaxed);
        let room = resident.saturating_add(in_flight.saturating_mul(BYTES_TO_COME)) <= self.limit;
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
        assert!(memory.has_room_for(200));
        assert!(!memory.has_room_for(201), "three times as much would follow");
        memory.saw(1_001);
        assert!(!memory.has_room_for(0));
        memory.saw(1_000);
        assert!(memory.has_room_for(0));
        assert!(Memory::unlimited().has_room_for(u64::MAX));
    }
}
