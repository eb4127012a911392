//! What one query may cost: samples, time, and somebody still waiting for it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use model::Clock;

use crate::admission::Cancel;
use crate::promql::error::PromqlError;

/// Counts down while a query runs. Asked once per series, so that one series is the longest it can be overrun by.
pub struct Budget {
    samples: u64,
    samples_left: Cell<u64>,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    cancel: Cancel,
}

impl Budget {
    /// A budget of samples, and of time from now on.
    pub fn new(samples: u64, timeout: Duration, clock: Arc<dyn Clock>, cancel: Cancel) -> Self {
        let deadline = clock.monotonic().saturating_add(timeout);
        Self { samples, samples_left: Cell::new(samples), clock, deadline, cancel }
    }

    /// The time of the clock that the deadline goes by.
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// How many samples were taken off.
    pub fn spent(&self) -> u64 {
        self.samples - self.samples_left.get()
    }

    /// Takes `samples` off, or says why the query has to end.
    pub fn charge(&self, samples: usize) -> Result<(), PromqlError> {
        let left = self.samples_left.get().checked_sub(samples as u64).ok_or(PromqlError::TooManySamples)?;
        self.samples_left.set(left);
        if self.cancel.is_cancelled() {
            return Err(PromqlError::Canceled);
        }
        if self.clock.monotonic() >= self.deadline {
            return Err(PromqlError::Timeout);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn ends_by_samples_time_and_cancellation() {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let cancel = Cancel::default();
        let budget = Budget::new(10, Duration::from_secs(1), clock.clone(), cancel.clone());
        assert!(budget.charge(6).is_ok());
        assert!(matches!(budget.charge(6), Err(PromqlError::TooManySamples)));
        assert!(budget.charge(4).is_ok());
        clock.advance(Duration::from_secs(2));
        assert!(matches!(budget.charge(0), Err(PromqlError::Timeout)));
        cancel.cancel();
        assert!(matches!(budget.charge(0), Err(PromqlError::Canceled)));
    }
}
