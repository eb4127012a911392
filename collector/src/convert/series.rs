//! How many series there may be: each takes memory in heads and in queries, and senders with an id among their labels make new
//! ones without end.
//!
//! A series is known by its id, a keyed hash of what makes it; one that nobody has sent for one to two periods is forgotten.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Clock;

use crate::limits::SERIES_PERIOD;

/// The series that are known. One for the whole process.
pub struct SeriesGate {
    series_max: usize,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    // Disjoint.
    current: Ids,
    previous: Ids,
    began: Duration,
}

impl fmt::Debug for SeriesGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesGate").field("series_max", &self.series_max).finish_non_exhaustive()
    }
}

impl SeriesGate {
    /// Knows none yet, and at most `series_max`.
    pub fn new(series_max: u64, clock: Arc<dyn Clock>) -> Self {
        let known = Mutex::new(Known { began: clock.monotonic(), ..Known::default() });
        Self { series_max: super::saturated(series_max), clock, known }
    }

    /// How many are known.
    pub fn known(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.current.len() + known.previous.len()
    }

    /// To be called once for each request: periods end.
    pub(super) fn turn(&self) {
        let now = self.clock.monotonic();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(known.began) >= SERIES_PERIOD {
            let idle = now.saturating_sub(known.began) >= 2 * SERIES_PERIOD;
            let last = std::mem::take(&mut known.current);
            known.previous = if idle { Ids::default() } else { last };
            known.began = now;
        }
    }

    /// Whether the series of this id is known or may be.
    pub(super) fn admits(&self, id: u64) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.current.contains(&id) {
            return true;
        }
        if known.previous.remove(&id) || known.current.len() + known.previous.len() < self.series_max {
            known.current.insert(id);
            return true;
        }
        false
    }
}

// Ids are keyed hashes already: a table that hashed them again would only take longer.
type Ids = HashSet<u64, BuildHasherDefault<IdIsHash>>;

#[derive(Debug, Default)]
struct IdIsHash(u64);

impl Hasher for IdIsHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use model::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn known_series_go_on_when_no_new_one_may_come() {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let gate = SeriesGate::new(2, clock.clone());
        let (one, two, three) = (1 << 60, 2, 3 << 33);
        assert!(gate.admits(one) && gate.admits(two));
        assert!(!gate.admits(three));
        assert!(gate.admits(one) && gate.admits(two));
        assert_eq!(gate.known(), 2);
        clock.advance(SERIES_PERIOD);
        gate.turn();
        assert!(gate.admits(one), "of the period before");
        assert!(!gate.admits(three), "two is not forgotten yet");
        clock.advance(SERIES_PERIOD);
        gate.turn();
        assert!(gate.admits(three), "two is forgotten");
        assert!(gate.admits(one) && !gate.admits(two));
    }
}
