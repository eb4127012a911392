//! Counts of the last seconds: a ring of one-second buckets, so that what is old goes by itself and a window costs the same whatever happens in it.

use tokio::time::Instant;

/// The seconds that are looked at.
const SECONDS: usize = 10;

/// Two counts a second: of all, and of those that matter to whoever counts.
#[derive(Debug)]
pub(crate) struct Window {
    origin: Instant,
    /// The second that was counted last, from the origin.
    latest: u64,
    buckets: [Counts; SECONDS],
}

/// What happened within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) all: u64,
    pub(crate) marked: u64,
}

impl Window {
    #[cfg(test)]
    pub(crate) const LENGTH: std::time::Duration = std::time::Duration::from_secs(SECONDS as u64);

    pub(crate) fn new(now: Instant) -> Self {
        Self { origin: now, latest: 0, buckets: [Counts::default(); SECONDS] }
    }

    /// Adds to the current second.
    pub(crate) fn add(&mut self, now: Instant, counts: Counts) {
        self.turn(now);
        let bucket = &mut self.buckets[(self.latest % SECONDS as u64) as usize];
        bucket.all += counts.all;
        bucket.marked += counts.marked;
    }

    /// What happened in the last seconds.
    pub(crate) fn sum(&mut self, now: Instant) -> Counts {
        self.turn(now);
        self.buckets.iter().fold(Counts::default(), |sum, bucket| Counts {
            all: sum.all + bucket.all,
            marked: sum.marked + bucket.marked,
        })
    }

    /// Forgets what is older than the window.
    fn turn(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.origin).as_secs();
        let passed = second.saturating_sub(self.latest).min(SECONDS as u64);
        for step in 1..=passed {
            self.buckets[((self.latest + step) % SECONDS as u64) as usize] = Counts::default();
        }
        if passed == SECONDS as u64 {
            self.buckets = [Counts::default(); SECONDS];
        }
        self.latest = self.latest.max(second);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let begun = Instant::now();
        let at = |seconds: f64| begun + Duration::from_secs_f64(seconds);
        let mut window = Window::new(begun);
        let one = Counts { all: 1, marked: 0 };
        for (second, all) in [(0.0, 1), (0.9, 2), (5.0, 3), (9.9, 4), (10.5, 3), (15.5, 3), (100.0, 1), (101.0, 2)] {
            window.add(at(second), one);
            assert_eq!(window.sum(at(second)).all, all, "{second}");
        }
        assert_eq!(window.sum(at(120.0)), Counts::default());
        assert_eq!(window.sum(at(3.0)).all, 0, "a clock that seems to go back harms nothing");
    }
}
