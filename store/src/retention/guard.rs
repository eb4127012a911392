//! The time that retention believes. A clock that jumps ten years ahead would expire everything; one that jumps back, nothing for a
//! while. The first is not believed before it has run on for hours, in which time synchronisation or people set it right; the second
//! costs only space.

use std::time::Duration;

use model::Timestamp;

/// How far ahead of what is expected the wall clock may be and be believed at once: what synchronisation corrects in one step.
const SLACK_NANOS: i64 = 300_000_000_000;

/// How long a clock that is further ahead must run on without another jump before it is believed. After a start this is what a long
/// standstill costs: so much later than usual is anything deleted.
const BELIEVED_AFTER: Duration = Duration::from_secs(6 * 3_600);

/// What is known of the time.
#[derive(Debug)]
pub(super) struct Guard {
    trusted: i64,
    // When `trusted` was the time, on the monotonic clock.
    at: Duration,
    // Since when the wall clock has been ahead, and what it said then.
    ahead: Option<(Duration, i64)>,
}

impl Guard {
    /// Begins with a time that was believed.
    pub(super) fn new(trusted: Timestamp, monotonic: Duration) -> Guard {
        Guard { trusted: trusted.as_nanos(), at: monotonic, ahead: None }
    }

    /// Looks at the clocks. Answers the time to count ages to: never later than the wall clock, and never ahead of what is
    /// believed.
    pub(super) fn observe(&mut self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let wall = wall.as_nanos();
        let expected = self.trusted.saturating_add(nanos(monotonic.saturating_sub(self.at)));
        self.at = self.at.max(monotonic);
        if wall <= expected.saturating_add(SLACK_NANOS) {
            self.trusted = expected.max(wall);
            self.ahead = None;
        } else {
            self.trusted = expected;
            let (since, then) = *self.ahead.get_or_insert((monotonic, wall));
            let ran_on = then.saturating_add(nanos(monotonic.saturating_sub(since)));
            if wall.abs_diff(ran_on) > SLACK_NANOS.unsigned_abs() {
                self.ahead = Some((monotonic, wall));
            } else if monotonic.saturating_sub(since) >= BELIEVED_AFTER {
                self.trusted = wall;
                self.ahead = None;
            }
        }
        Timestamp::from_nanos(self.trusted.min(wall))
    }

    /// What is believed.
    pub(super) fn trusted(&self) -> Timestamp {
        Timestamp::from_nanos(self.trusted)
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;
    const YEAR: i64 = 365 * 24 * HOUR;

    #[test]
    fn jumps() {
        // Seconds on the monotonic clock, seconds the wall clock is off, and seconds that the answer may be off what really is.
        type Steps = &'static [(i64, i64, i64)];
        let cases: [(&str, Steps); 7] = [
            ("steady", &[(0, 0, 0), (10, 0, 0), (100_000, 0, 0)]),
            ("synchronised", &[(0, 0, 0), (10, 200, 200), (20, 0, 0), (30, -200, -200)]),
            (
                "an hour ahead, and back",
                &[(0, 0, 0), (10, HOUR, 0), (5 * HOUR, HOUR, 0), (6 * HOUR, 0, 0), (9 * HOUR, 0, 0)],
            ),
            ("ten years ahead, and back", &[(0, 0, 0), (10, 10 * YEAR, 0), (5 * HOUR, 10 * YEAR, 0), (5 * HOUR, 0, 0)]),
            ("ahead for good", &[(0, 0, 0), (10, HOUR, 0), (10 + 6 * HOUR, HOUR, HOUR), (10 * HOUR, HOUR, HOUR)]),
            (
                "jumping again and again",
                &[(0, 0, 0), (HOUR, YEAR, 0), (5 * HOUR, 2 * YEAR, 0), (9 * HOUR, 3 * YEAR, 0)],
            ),
            ("back ten years", &[(0, 0, 0), (10, -10 * YEAR, -10 * YEAR), (20, 0, 0)]),
        ];
        const START: i64 = 50 * YEAR;
        let seconds = |seconds: i64| Timestamp::from_nanos((START + seconds) * 1_000_000_000);
        for (name, steps) in cases {
            let mut guard = Guard::new(seconds(0), Duration::ZERO);
            for (monotonic, off, expected) in steps {
                let answer = guard.observe(seconds(monotonic + off), Duration::from_secs(monotonic.unsigned_abs()));
                assert_eq!(answer, seconds(monotonic + expected), "{name} after {monotonic} s");
            }
        }
    }

    #[test]
    fn after_a_standstill_the_clock_is_believed_later() {
        let year = Timestamp::from_nanos(YEAR * 1_000_000_000);
        let later = |seconds: i64| Timestamp::from_nanos((2 * YEAR + seconds) * 1_000_000_000);
        let mut guard = Guard::new(year, Duration::ZERO);
        assert_eq!(guard.observe(later(0), Duration::ZERO), year);
        let mut answers =
            (0..8).map(|hour| guard.observe(later(hour * HOUR), Duration::from_secs((hour * HOUR) as u64)));
        assert_eq!(answers.by_ref().take(6).filter(|answer| *answer >= later(0)).count(), 0);
        assert_eq!(answers.next(), Some(later(6 * HOUR)));
        assert_eq!(guard.trusted(), later(6 * HOUR));
    }

    #[test]
    fn no_clock_overflows() {
        for known in [Timestamp::MIN, Timestamp::from_nanos(0), Timestamp::from_nanos(i64::MAX)] {
            for wall in [Timestamp::MIN, Timestamp::from_nanos(i64::MAX)] {
                let mut guard = Guard::new(known, Duration::ZERO);
                let answer = guard.observe(wall, Duration::MAX);
                assert!(answer <= wall);
            }
        }
    }
}
