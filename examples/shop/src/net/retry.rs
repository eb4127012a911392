//! Trying again: after a pause that grows and is drawn, so that callers do not come back all at once, and out of a budget, so that a callee that fails does not get a multiple of
//! what it could not cope with.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::Counter;
use tokio::time::Instant;

use super::window::{Counts, Window};
use crate::limits::{RETRIES_FREE, RETRIES_MAX, RETRIES_SHARE, RETRY_PAUSE, RETRY_PAUSE_MAX};

/// What may be tried again of a caller's requests to one callee: a share of the first tries of the last seconds, and a few whatever happens.
#[derive(Debug)]
struct Budget(Window);

impl Budget {
    /// A request is tried for the first time.
    fn deposit(&mut self, now: Instant) {
        self.0.add(now, Counts { all: 1, marked: 0 });
    }

    /// Whether one may be tried again, which is then counted.
    fn withdraw(&mut self, now: Instant) -> bool {
        let lately = self.0.sum(now);
        let allowed = RETRIES_FREE as f64 + RETRIES_SHARE * lately.all as f64;
        let granted = (lately.marked as f64) + 1.0 <= allowed;
        if granted {
            self.0.add(now, Counts { all: 0, marked: 1 });
        }
        granted
    }
}

/// The longest pause before this retry: it doubles each time, up to a bound.
fn ceiling(retry: u32) -> Duration {
    RETRY_PAUSE.saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX)).min(RETRY_PAUSE_MAX)
}

/// The retries of a caller's requests to one callee.
#[derive(Debug)]
pub(crate) struct Retries {
    service: &'static str,
    budget: Mutex<Budget>,
    counter: Counter<u64>,
}

impl Retries {
    /// [`super::Peers::retries`] makes them for others than peers.
    pub(crate) fn new(service: &'static str, counter: Counter<u64>) -> Self {
        Self { service, budget: Mutex::new(Budget(Window::new(Instant::now()))), counter }
    }

    /// A request is about to be tried for the first time.
    pub(crate) fn begin(&self) -> Tries<'_> {
        self.budget().deposit(Instant::now());
        Tries { retries: self, made: 0 }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        // Nothing panics half-way through a change.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(crate) struct Tries<'a> {
    retries: &'a Retries,
    made: u32,
}

impl Tries<'_> {
    /// The last try failed for this reason, one of few, and the request may be tried again: how long to wait before that, or `None` when it has been tried often enough, or the
    /// budget is used up.
    pub(crate) fn again(&mut self, reason: &'static str) -> Option<Duration> {
        if self.made >= RETRIES_MAX || !self.retries.budget().withdraw(Instant::now()) {
            return None;
        }
        let pause = ceiling(self.made).mul_f64(fastrand::f64());
        self.made += 1;
        let attributes =
            [KeyValue::new("shop.backend.service", self.retries.service), KeyValue::new("shop.retry.reason", reason)];
        self.retries.counter.add(1, &attributes);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries() -> Retries {
        Retries::new("bank", sextant_sdk::metrics::meter("test").u64_counter("retries").build())
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_tried_again_a_few_times_with_growing_pauses() {
        let mut longest = [Duration::ZERO; RETRIES_MAX as usize];
        for _ in 0..1_000 {
            let retries = retries();
            let mut tries = retries.begin();
            for longest in &mut longest {
                *longest = tries.again("test").expect("within the budget").max(*longest);
            }
            assert_eq!(tries.again("test"), None);
        }
        for (retry, longest) in longest.iter().enumerate() {
            let ceiling = ceiling(retry as u32);
            assert!(*longest <= ceiling && *longest > ceiling.mul_f64(0.9), "{longest:?} of {ceiling:?}");
        }
        assert!(ceiling(1) > ceiling(0) && ceiling(40) == RETRY_PAUSE_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn when_everything_fails_a_fifth_is_tried_again() {
        let retries = retries();
        let mut again = 0;
        for _ in 0..10_000 {
            let mut tries = retries.begin();
            while tries.again("test").is_some() {
                again += 1;
            }
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!((1_900..2_300).contains(&again), "{again}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_with_little_to_do_may_try_again_too() {
        let retries = retries();
        for _ in 0..5 {
            assert!(retries.begin().again("test").is_some());
            tokio::time::advance(Window::LENGTH).await;
        }
    }
}
