//! What becomes of a message that could not be worked on: exponential backoff with jitter, and an end to it.

use std::time::Duration;

use super::Failure;
use crate::limits::{ATTEMPT_PAUSE, ATTEMPT_PAUSE_MAX, ATTEMPTS_MAX};

/// What is next for a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    Retry(Duration),
    DeadLetter,
}

/// After this attempt, with a random number between 0 and 1.
pub(super) fn next(failure: &Failure, attempt: u32, random: f64) -> Next {
    match failure {
        Failure::Poison(_) => Next::DeadLetter,
        Failure::Passing(_) if attempt >= ATTEMPTS_MAX => Next::DeadLetter,
        Failure::Passing(_) => Next::Retry(pause(attempt, random)),
    }
}

/// Doubled each time. Half of it is random, so that messages which failed together do not come again together.
fn pause(attempt: u32, random: f64) -> Duration {
    let doubled = ATTEMPT_PAUSE.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    doubled.min(ATTEMPT_PAUSE_MAX).mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_with_jitter_until_the_message_is_dead() {
        let passing = Failure::Passing("busy".to_owned());
        for (attempt, random, expected) in [
            (1, 0.0, Next::Retry(Duration::from_millis(125))),
            (1, 1.0, Next::Retry(Duration::from_millis(250))),
            (2, 0.5, Next::Retry(Duration::from_millis(375))),
            (4, 1.0, Next::Retry(Duration::from_secs(2))),
            (5, 0.0, Next::DeadLetter),
            (6, 0.0, Next::DeadLetter),
        ] {
            assert_eq!(next(&passing, attempt, random), expected, "{attempt} {random}");
        }
        assert_eq!(next(&Failure::Poison("no JSON".to_owned()), 1, 0.0), Next::DeadLetter);
        assert_eq!(pause(u32::MAX, 1.0), ATTEMPT_PAUSE_MAX, "no overflow");
    }
}
