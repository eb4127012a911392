//! What bounds the requests in flight: the bytes they hold together, and the door that closes once.
//!
//! A request reserves its bytes as they arrive, and those of its decompressed form as they appear; what does not fit is
//! refused at once, with an answer that says to try again. Nothing waits in a queue here.

use std::sync::{Arc, Mutex, PoisonError};

use model::stats::Gauge;
use tokio::sync::{Notify, watch};

use crate::Refusal;

/// The requests in flight.
#[derive(Debug)]
pub struct Pipeline {
    bytes_max: u64,
    state: Mutex<State>,
    // Told when the last passage ends.
    idle: Notify,
    closed: watch::Sender<bool>,
    gauge: Gauge,
}

#[derive(Debug, Default)]
struct State {
    bytes: u64,
    passages: u64,
    closed: bool,
}

impl Pipeline {
    /// An open pipeline whose requests may hold `bytes_max` together, shown in `gauge`.
    pub fn new(bytes_max: u64, gauge: Gauge) -> Arc<Self> {
        let (closed, _) = watch::channel(false);
        Arc::new(Self { bytes_max, state: Mutex::default(), idle: Notify::new(), closed, gauge })
    }

    /// An empty reservation for a request that begins to arrive.
    pub fn reserve(self: &Arc<Self>) -> Result<Reservation, Refusal> {
        if self.lock().closed {
            return Err(Refusal::Closed);
        }
        Ok(Reservation { pipeline: Arc::clone(self), bytes: 0 })
    }

    /// Lets a request that has arrived go on to conversion and the store. [`Pipeline::close`] waits for it.
    pub fn enter(self: &Arc<Self>) -> Result<Passage, Refusal> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::Closed);
        }
        state.passages += 1;
        Ok(Passage { pipeline: Arc::clone(self) })
    }

    /// Refuses everything from now on, and returns when every request that entered has been answered.
    pub async fn close(&self) {
        self.lock().closed = true;
        self.closed.send_replace(true);
        loop {
            let idle = self.idle.notified();
            if self.lock().passages == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Returns when [`Pipeline::close`] was called.
    pub async fn closed(&self) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes that one request holds. Given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    pipeline: Arc<Pipeline>,
    bytes: u64,
}

impl Reservation {
    /// Holds `bytes` more, if they fit.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let bytes = bytes as u64;
        let mut state = self.pipeline.lock();
        if state.bytes.saturating_add(bytes) > self.pipeline.bytes_max {
            return Err(Refusal::Overloaded);
        }
        state.bytes += bytes;
        self.bytes += bytes;
        self.pipeline.gauge.set(state.bytes);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.pipeline.lock();
        state.bytes -= self.bytes;
        self.pipeline.gauge.set(state.bytes);
    }
}

/// A request that is being converted and stored.
#[derive(Debug)]
pub struct Passage {
    pipeline: Arc<Pipeline>,
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut state = self.pipeline.lock();
        state.passages -= 1;
        if state.passages == 0 {
            self.pipeline.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use model::stats::Stats;

    use super::*;

    fn pipeline(bytes_max: u64) -> (Arc<Pipeline>, Gauge) {
        let gauge = Stats::new().gauge("sextant_test_bytes", "A test.", &[]);
        (Pipeline::new(bytes_max, gauge.clone()), gauge)
    }

    #[test]
    fn bytes_are_given_back() {
        let (pipeline, gauge) = pipeline(10);
        let mut first = pipeline.reserve().expect("open");
        let mut second = pipeline.reserve().expect("open");
        first.grow(6).expect("it fits");
        second.grow(4).expect("it fits to the byte");
        assert!(matches!(second.grow(1), Err(Refusal::Overloaded)));
        assert_eq!(gauge.get(), 10);
        drop(first);
        second.grow(6).expect("it fits again");
        drop(second);
        assert_eq!(gauge.get(), 0);
    }

    #[tokio::test]
    async fn close_refuses_and_waits_for_what_entered() {
        let (pipeline, _) = pipeline(10);
        let passage = pipeline.enter().expect("open");
        let closing = tokio::spawn({
            let pipeline = Arc::clone(&pipeline);
            async move { pipeline.close().await }
        });
        pipeline.closed().await;
        assert!(matches!(pipeline.enter(), Err(Refusal::Closed)));
        assert!(matches!(pipeline.reserve(), Err(Refusal::Closed)));
        assert!(!closing.is_finished());
        drop(passage);
        closing.await.expect("it returns");
    }
}
