//! What the requests of one connection may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes of one connection. Cheap to clone: clones share them. Who serves a door puts one into the extensions of every
/// request of a connection.
#[derive(Clone, Debug)]
pub struct Share {
    bytes: Arc<AtomicU64>,
    bytes_max: u64,
}

impl Share {
    /// A connection whose requests may hold `bytes_max` together.
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes: Arc::default(), bytes_max }
    }

    /// Takes `bytes` more, if they fit.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let fits = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
