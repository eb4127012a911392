//! How long an instance takes: an average that follows a rise at once and a fall slowly (the "peak EWMA" of Finagle and Linkerd). One that turns slow is left alone after one answer,
//! and as time passes it is believed a little more again, until it is asked how it is now.

use std::time::Duration;

use tokio::time::Instant;

/// After so long an old measurement counts for a third.
const DECAY: Duration = Duration::from_secs(10);

/// What a request costs that goes to an instance which has not answered yet, though it was asked.
const UNKNOWN_S: f64 = 60.0;

/// The average.
#[derive(Debug, Default)]
pub(crate) struct PeakEwma(Option<(Instant, f64)>);

impl PeakEwma {
    /// Another answer took so long.
    pub(crate) fn observe(&mut self, now: Instant, time: Duration) {
        let taken = time.as_secs_f64();
        let average = match self.0 {
            Some((at, average)) if taken < average => {
                let old = share_of_old(at, now);
                average * old + taken * (1.0 - old)
            }
            _ => taken,
        };
        self.0 = Some((now, average));
    }

    /// The average as it was at the last answer.
    pub(crate) fn latest_s(&self) -> Option<f64> {
        self.0.map(|(_, average)| average)
    }

    /// The average now: it fades while nobody asks, and is zero if nobody ever did.
    pub(crate) fn now_s(&self, now: Instant) -> f64 {
        self.0.map_or(0.0, |(at, average)| average * share_of_old(at, now))
    }
}

fn share_of_old(at: Instant, now: Instant) -> f64 {
    (-now.saturating_duration_since(at).as_secs_f64() / DECAY.as_secs_f64()).exp()
}

/// What one more request there is expected to cost.
pub(super) fn cost_s(response_s: f64, active: usize) -> f64 {
    if response_s == 0.0 && active > 0 { UNKNOWN_S + active as f64 } else { response_s * (active + 1) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_is_followed_at_once_and_a_fall_slowly() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut average = PeakEwma::default();
        assert_eq!((average.latest_s(), average.now_s(at(0))), (None, 0.0));
        average.observe(at(0), Duration::from_millis(100));
        average.observe(at(1), Duration::from_millis(500));
        assert_eq!(average.latest_s(), Some(0.5));
        average.observe(at(2), Duration::from_millis(100));
        let soon = average.latest_s().expect("measured");
        assert!((0.45..0.5).contains(&soon), "{soon}");
        assert!(average.now_s(at(12)) < soon * 0.4, "it fades");
        average.observe(at(100), Duration::from_millis(100));
        let late = average.latest_s().expect("measured");
        assert!((0.1..0.11).contains(&late), "{late}");
    }
}
