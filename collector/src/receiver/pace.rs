//! The speed of a body that arrives: who sends in drops holds a place and memory for nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use model::Clock;

use crate::{Refusal, limits};

/// How fast one body arrives.
#[derive(Debug)]
pub struct Pace {
    bytes_per_s_min: u64,
    bytes: AtomicU64,
    // The limit that the body is known to exceed, 0 if none: what is left of it is read for the client's sake alone.
    exceeded: AtomicU64,
}

impl Pace {
    /// A body that begins to arrive.
    pub fn new(bytes_per_s_min: u64) -> Self {
        Self { bytes_per_s_min, bytes: AtomicU64::new(0), exceeded: AtomicU64::new(0) }
    }

    /// Counts what has arrived.
    pub fn arrived(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The body is larger than this, however long the rest of it takes.
    pub fn exceeds(&self, bytes_max: u64) {
        self.exceeded.store(bytes_max, Ordering::Relaxed);
    }

    /// The refusal of a body whose time is over: that it is too large, if that is known, else `slow`.
    pub fn verdict(&self, slow: Refusal) -> Refusal {
        match self.exceeded.load(Ordering::Relaxed) {
            0 => slow,
            bytes_max => Refusal::TooLarge { bytes_max },
        }
    }

    /// Returns when the body is too slow.
    pub async fn broken(&self, clock: &dyn Clock) -> Refusal {
        let least = self.bytes_per_s_min.saturating_mul(limits::BODY_WINDOW.as_secs());
        let mut before = 0;
        loop {
            clock.sleep_until(clock.monotonic().saturating_add(limits::BODY_WINDOW)).await;
            let arrived = self.bytes.load(Ordering::Relaxed);
            if arrived - before < least {
                return Refusal::Drips { bytes_per_s: self.bytes_per_s_min };
            }
            before = arrived;
        }
    }
}
