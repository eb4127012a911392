//! The circuit breaker: a callee that fails too often is left alone for a while and then tried by a few, so that nobody waits for what will not come and it can recover.
//!
//! [`Machine`] decides over given times; [`Breaker`] is one that callers share, and says in the log and in metrics what it does. Each instance of a callee has one, and whatever else
//! is called from here may have its own, as the bank.

mod machine;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sextant_sdk::opentelemetry::KeyValue;
use tokio::time::Instant;

use super::signals::Instruments;
use crate::limits::BREAKER_OPEN;

pub(crate) use machine::State;

use machine::Machine;

/// A breaker that callers share.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// Service and instance.
    attributes: [KeyValue; 2],
    machine: Mutex<Machine>,
    instruments: Instruments,
}

impl Breaker {
    /// One of its own, closed. [`super::Peers::breaker`] makes one whose state is observed.
    pub(crate) fn new(service: &'static str, instance: impl Into<Cow<'static, str>>, instruments: Instruments) -> Self {
        let instance = instance.into();
        Self {
            attributes: [
                KeyValue::new("shop.backend.service", service),
                KeyValue::new("shop.backend.instance", instance),
            ],
            machine: Mutex::new(Machine::new(Instant::now())),
            instruments,
        }
    }

    pub(crate) fn attributes(&self) -> &[KeyValue; 2] {
        &self.attributes
    }

    pub(crate) fn state(&self) -> State {
        self.machine().state()
    }

    /// Whether [`Breaker::enter`] would let a call through.
    pub(crate) fn admits(&self) -> bool {
        self.machine().admits(Instant::now())
    }

    /// Lets a call through, whose result the permit is then told; `None` while it is open.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Permit> {
        let era = self.change(|machine| machine.enter(Instant::now()))?;
        Some(Permit { breaker: Arc::clone(self), era, ended: false })
    }

    /// Counts a call that was not let through.
    pub(crate) fn reject(&self) {
        self.instruments.rejections.add(1, &self.attributes[..1]);
    }

    /// Changes the machine, and says so if its state is another one then.
    fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let (before, after, changed) = {
            let mut machine = self.machine();
            let before = machine.state();
            let changed = change(&mut machine);
            (before, machine.state(), changed)
        };
        if before != after {
            self.say(after);
        }
        changed
    }

    fn say(&self, state: State) {
        let [service, instance] = &self.attributes;
        self.instruments.transitions.add(1, &[service.clone(), instance.clone(), KeyValue::new("to", state.as_str())]);
        let (service, instance) = (service.value.as_str(), instance.value.as_str());
        match state {
            State::Open => tracing::warn!(
                name: "breaker.opened",
                { shop.backend.service = %service, shop.backend.instance = %instance, open_s = BREAKER_OPEN.as_secs_f64() },
                "too many calls of {instance} failed: it is left alone for a while"
            ),
            State::HalfOpen => tracing::info!(
                name: "breaker.half_opened",
                { shop.backend.service = %service, shop.backend.instance = %instance },
                "a few calls of {instance} are let through, to see how they fare"
            ),
            State::Closed => tracing::info!(
                name: "breaker.closed",
                { shop.backend.service = %service, shop.backend.instance = %instance },
                "{instance} answers again"
            ),
        }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        // Nothing panics half-way through a change.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was let through. Dropped before its end is known, it was cancelled, which says nothing of the callee.
#[derive(Debug)]
#[must_use = "the breaker learns from what becomes of the call"]
pub(crate) struct Permit {
    breaker: Arc<Breaker>,
    era: u64,
    ended: bool,
}

impl Permit {
    /// The callee did what it should, or not.
    pub(crate) fn ended(mut self, good: bool) {
        self.end(Some(good));
    }

    fn end(&mut self, good: Option<bool>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.breaker.change(|machine| machine.ended(Instant::now(), self.era, good));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(None);
    }
}
