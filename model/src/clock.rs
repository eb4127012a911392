//! The only place that reads the time. Everything that needs a clock is handed a [`Clock`], so that a test can own time.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Timestamp;

/// What [`Clock::sleep_until`] returns: done when the moment has come.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Wall time, monotonic time and sleeping.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since the Unix epoch. May jump in either direction.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment in the life of this process. Never goes back.
    fn monotonic(&self) -> Duration;

    /// Completes once [`Clock::monotonic`] has reached `moment`.
    fn sleep_until(&self, moment: Duration) -> Sleep<'_>;
}

/// The machine's own clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_nanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep_until(&self, moment: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep_until((self.started + moment).into()))
    }
}

/// A clock that moves only when it is told to. Wall time and monotonic time move together with [`ManualClock::advance`];
/// [`ManualClock::set_wall`] makes the wall clock jump alone.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<ManualState>,
}

#[derive(Debug)]
struct ManualState {
    wall: Timestamp,
    monotonic: Duration,
    // Wakers by the moment they wait for; the number makes each entry unique.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    next_sleeper: u64,
}

impl ManualClock {
    /// A clock that shows `wall` and stands still.
    pub fn new(wall: Timestamp) -> Self {
        Self {
            state: Mutex::new(ManualState {
                wall,
                monotonic: Duration::ZERO,
                sleepers: BTreeMap::new(),
                next_sleeper: 0,
            }),
        }
    }

    /// Moves both clocks forward and wakes whoever waited for a moment that has come.
    pub fn advance(&self, by: Duration) {
        let woken: Vec<Waker> = {
            let mut state = self.lock();
            state.monotonic += by;
            let nanos = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
            state.wall = Timestamp::from_nanos(state.wall.as_nanos().saturating_add(nanos));
            let reached = state.monotonic;
            let later = state.sleepers.split_off(&(reached, u64::MAX));
            std::mem::replace(&mut state.sleepers, later).into_values().collect()
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Makes the wall clock jump; monotonic time goes on as if nothing had happened.
    pub fn set_wall(&self, wall: Timestamp) {
        self.lock().wall = wall;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().wall
    }

    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }

    fn sleep_until(&self, moment: Duration) -> Sleep<'_> {
        Box::pin(ManualSleep { clock: self, moment })
    }
}

struct ManualSleep<'a> {
    clock: &'a ManualClock,
    moment: Duration,
}

impl Future for ManualSleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.monotonic >= self.moment {
            return Poll::Ready(());
        }
        let number = state.next_sleeper;
        state.next_sleeper += 1;
        state.sleepers.insert((self.moment, number), context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn manual_clock_wakes_sleepers_in_time() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(5)));
        let sleeper = tokio::spawn({
            let clock = Arc::clone(&clock);
            async move { clock.sleep_until(Duration::from_secs(2)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.expect("the sleeper ends");
        assert_eq!(clock.now(), Timestamp::from_nanos(2_000_000_005));
    }
}
