//! How far a replica is behind, from heartbeats: rows with ascending numbers that the primary got at known times, of which the replica shows the latest that it has.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::{HEARTBEATS_MAX, REPLICA_LAG_MAX};

/// Knows how far it is behind once it has shown a first heartbeat of this process, or should have long ago.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// The heartbeats that the replica has not shown yet, with milliseconds since 1970 for numbers.
    missing: VecDeque<i64>,
    has_shown: bool,
}

impl Lag {
    /// The primary has this one now.
    pub(super) fn beaten(&mut self, beat: i64) {
        // The oldest that is missing says the lag. Those after it are for when it arrives, and come again.
        if self.missing.len() < HEARTBEATS_MAX {
            self.missing.push_back(beat);
        }
    }

    /// The replica shows this one: how long the oldest that it does not show has been missing.
    pub(super) fn seen(&mut self, beat: i64, now: i64) -> Option<Duration> {
        while self.missing.front().is_some_and(|oldest| *oldest <= beat) {
            self.missing.pop_front();
            self.has_shown = true;
        }
        let missing = self.missing.front().map_or(0, |oldest| now.saturating_sub(*oldest).max(0));
        let lag = Duration::from_millis(missing.unsigned_abs());
        (self.has_shown || lag > REPLICA_LAG_MAX).then_some(lag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_the_age_of_the_oldest_heartbeat_that_is_missing() {
        let mut lag = Lag::default();
        assert_eq!(lag.seen(900, 950), None, "nothing is known of what was before");
        lag.beaten(1_000);
        assert_eq!(lag.seen(900, 1_200), None, "nor before it has shown something");
        let mut seen = |beaten: &[i64], shown, now, expected: u64| {
            beaten.iter().for_each(|beat| lag.beaten(*beat));
            assert_eq!(lag.seen(shown, now), Some(Duration::from_millis(expected)), "at {now}");
        };
        seen(&[], 1_000, 1_400, 0);
        seen(&[2_000, 3_000, 4_000], 1_000, 4_500, 2_500);
        seen(&[], 2_000, 4_600, 1_600);
        seen(&[], 4_000, 4_700, 0);
        // Another instance's, which is later.
        seen(&[5_000], 5_100, 5_200, 0);
        seen(&[6_000], 5_100, 5_900, 0);
    }

    #[test]
    fn a_long_lag_takes_no_memory() {
        let mut lag = Lag::default();
        (1..100_000).for_each(|second| lag.beaten(second * 1_000));
        assert_eq!(lag.missing.len(), HEARTBEATS_MAX);
        assert_eq!(lag.seen(0, 100_000_000), Some(Duration::from_secs(99_999)), "it should have shown something");
    }
}
