//! An instance as a caller sees it: where it is, what the registry says of it, what is under way there, how fast it answered lately, and its breaker.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sextant_sdk::opentelemetry::KeyValue;
use tokio::time::Instant;

use super::balance::{Candidate, PeakEwma};
use super::breaker::Breaker;
use super::health::Health;
use super::instance::{Listed, Load};
use super::signals::Instruments;
use crate::config::ServiceName;

/// See above.
#[derive(Debug)]
pub(crate) struct Backend {
    instance: String,
    address: SocketAddr,
    active: AtomicUsize,
    response: Mutex<PeakEwma>,
    told: Mutex<Told>,
    breaker: Arc<Breaker>,
}

/// What the registry says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) weight: u32,
    pub(crate) load: Load,
    pub(crate) health: Health,
}

impl Told {
    fn of(listed: &Listed) -> Self {
        Self { weight: listed.weight, load: listed.load, health: listed.health }
    }
}

impl Backend {
    pub(crate) fn new(service: ServiceName, listed: &Listed, instruments: Instruments) -> Self {
        Self {
            instance: listed.instance.clone(),
            address: listed.address,
            active: AtomicUsize::new(0),
            response: Mutex::new(PeakEwma::default()),
            told: Mutex::new(Told::of(listed)),
            breaker: Arc::new(Breaker::new(service.as_str(), listed.instance.clone(), instruments)),
        }
    }

    /// Whether the registry speaks of this one, and not of another that has its name now.
    pub(crate) fn is(&self, listed: &Listed) -> bool {
        self.instance == listed.instance && self.address == listed.address
    }

    pub(crate) fn tell(&self, listed: &Listed) {
        *lock(&self.told) = Told::of(listed);
    }

    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Service and instance.
    pub(crate) fn attributes(&self) -> &[KeyValue; 2] {
        self.breaker.attributes()
    }

    pub(crate) fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    pub(crate) fn told(&self) -> Told {
        *lock(&self.told)
    }

    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// How long it took lately, once it has answered.
    pub(crate) fn response_s(&self) -> Option<f64> {
        lock(&self.response).latest_s()
    }

    /// What a balancer looks at.
    pub(crate) fn candidate(&self) -> Candidate<'_> {
        let told = self.told();
        Candidate {
            instance: &self.instance,
            weight: told.weight,
            active: self.active(),
            response_s: lock(&self.response).now_s(Instant::now()),
            load: told.load,
        }
    }

    /// Counts a request as under way there until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.active.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// It took so long to answer, or to fail.
    pub(crate) fn took(&self, time: Duration) {
        lock(&self.response).observe(Instant::now(), time);
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Backend>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
