//! When a target is scraped: always at the same moment of its interval, in milliseconds of the wall clock, whatever happened before. Pure.

use std::hash::BuildHasher as _;

use foldhash::quality::FixedState;

use super::target::Target;
use crate::limits::SCRAPE_TOLERANCE_MS;

/// When within its interval a target is scraped: always the same for the same target, and spread over all of them.
pub(super) fn phase(target: &Target) -> i64 {
    let hash = FixedState::with_seed(0).hash_one((&target.labels, target.url.to_string()));
    (hash % target.interval_ms.unsigned_abs().max(1)).cast_signed()
}

/// The next moment after `now`.
pub(super) fn next_moment(now: i64, interval: i64, phase: i64) -> i64 {
    now + interval - (now - phase).rem_euclid(interval)
}

/// Timers are a little late: regular times take fewer bytes.
pub(super) fn aligned(now: i64, nominal: i64, interval: i64) -> i64 {
    let tolerance = SCRAPE_TOLERANCE_MS.min(interval / 100);
    if (now - nominal).abs() <= tolerance { nominal } else { now }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scrape::config::{Group, Job};
    use crate::scrape::target::{Made, of_group};

    #[test]
    fn moments_are_regular_whatever_the_clock_says() {
        for (now, interval, phase, expected) in [
            (0, 1000, 0, 1000),
            (999, 1000, 0, 1000),
            (1000, 1000, 0, 2000),
            (0, 1000, 400, 400),
            (400, 1000, 400, 1400),
            (-1500, 1000, 400, -600),
        ] {
            assert_eq!(next_moment(now, interval, phase), expected, "{now} {interval} {phase}");
        }
        for (now, nominal, expected) in [(1002, 1000, 1000), (998, 1000, 1000), (1003, 1000, 1003), (0, 1000, 0)] {
            assert_eq!(aligned(now, nominal, 1000), expected);
        }
    }

    #[test]
    fn targets_are_spread_over_the_interval() {
        let job = Arc::new(Job::named("j"));
        let targets = (0..1000).map(|number| format!("host-{number}:9100")).collect();
        let group = Group { targets, labels: Vec::new() };
        let mut tenths = [0; 10];
        for made in of_group(&job, &group) {
            let Made::Kept(_, target) = made else { panic!("{made:?}") };
            let phase = phase(&target);
            assert_eq!(phase, super::phase(&target), "the same target has the same moment");
            tenths[usize::try_from(phase * 10 / target.interval_ms).expect("within the interval")] += 1;
        }
        assert!(tenths.iter().all(|count| (60..=140).contains(count)), "{tenths:?}");
    }
}
