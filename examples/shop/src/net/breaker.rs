//! The circuit breaker: a callee that fails too often is left alone for a while and then tried by a few, so that nobody waits for what will not come and it can recover.
//!
//! [`Machine`] decides over given times; [`Breaker`] is one that callers share, and says in the log and in metrics what it does. Each instance of a callee has one, and whatever else
//! is called from here may have its own, as the bank.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sextant_sdk::opentelemetry::KeyValue;
use tokio::time::Instant;

use super::signals::Instruments;
use super::window::{Counts, Window};
use crate::limits::{BREAKER_CALLS_MIN, BREAKER_FAILED_MAX, BREAKER_OPEN, BREAKER_PROBES};

/// Whether calls are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// All are.
    Closed,
    /// None is.
    Open,
    /// A few are, to see how they fare.
    HalfOpen,
}

impl State {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The word in attributes.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The decisions.
#[derive(Debug)]
struct Machine {
    now: Now,
    /// Grows with each change of state: what was begun before one says nothing thereafter.
    era: u64,
}

#[derive(Debug)]
enum Now {
    Closed(Window),
    Open { until: Instant },
    HalfOpen { under_way: u32, good: u32 },
}

impl Machine {
    fn new(now: Instant) -> Self {
        Self { now: Now::Closed(Window::new(now)), era: 0 }
    }

    fn state(&self) -> State {
        match self.now {
            Now::Closed(_) => State::Closed,
            Now::Open { .. } => State::Open,
            Now::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Whether a call would be let through.
    fn admits(&self, now: Instant) -> bool {
        match self.now {
            Now::Closed(_) => true,
            Now::Open { until } => until <= now,
            Now::HalfOpen { under_way, good } => under_way + good < BREAKER_PROBES,
        }
    }

    /// Lets a call through: the era in which it begins.
    fn enter(&mut self, now: Instant) -> Option<u64> {
        if !self.admits(now) {
            return None;
        }
        if matches!(self.now, Now::Open { .. }) {
            self.become_(Now::HalfOpen { under_way: 0, good: 0 });
        }
        if let Now::HalfOpen { under_way, .. } = &mut self.now {
            *under_way += 1;
        }
        Some(self.era)
    }

    /// A call ended: well, badly, or, with `None`, without a result.
    fn ended(&mut self, now: Instant, era: u64, good: Option<bool>) {
        if era != self.era {
            return;
        }
        match &mut self.now {
            Now::Closed(window) => {
                let Some(good) = good else { return };
                window.add(now, Counts { all: 1, marked: u64::from(!good) });
                let lately = window.sum(now);
                if lately.all >= BREAKER_CALLS_MIN && lately.marked as f64 >= BREAKER_FAILED_MAX * lately.all as f64 {
                    self.become_(Now::Open { until: now + BREAKER_OPEN });
                }
            }
            Now::HalfOpen { under_way, good: so_far } => {
                *under_way = under_way.saturating_sub(1);
                match good {
                    Some(false) => self.become_(Now::Open { until: now + BREAKER_OPEN }),
                    Some(true) => {
                        *so_far += 1;
                        if *so_far >= BREAKER_PROBES {
                            self.become_(Now::Closed(Window::new(now)));
                        }
                    }
                    None => {}
                }
            }
            // Its era began with nothing under way.
            Now::Open { .. } => {}
        }
    }

    fn become_(&mut self, now: Now) {
        self.now = now;
        self.era += 1;
    }
}

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Calls that end at once. `+` good, `-` bad, `.` cancelled.
    fn calls(machine: &mut Machine, now: Instant, results: &str) -> usize {
        let entered = |result| {
            let era = machine.enter(now)?;
            let good = match result {
                '+' => Some(true),
                '-' => Some(false),
                _ => None,
            };
            machine.ended(now, era, good);
            Some(())
        };
        results.chars().filter_map(entered).count()
    }

    #[test]
    fn it_opens_when_half_of_enough_calls_failed_and_not_before() {
        for (results, state) in [
            ("---------", State::Closed),
            ("----------", State::Open),
            ("+-+-+-+-+-", State::Open),
            ("++++++----", State::Closed),
            ("++++++++++++++++++++-------------------", State::Closed),
            ("++++++++++++++++++++--------------------", State::Open),
            (".................-........", State::Closed),
        ] {
            let now = Instant::now();
            let mut machine = Machine::new(now);
            calls(&mut machine, now, results);
            assert_eq!(machine.state(), state, "{results}");
        }
    }

    #[test]
    fn failures_of_long_ago_do_not_open_it() {
        let now = Instant::now();
        let mut machine = Machine::new(now);
        calls(&mut machine, now, "---------");
        calls(&mut machine, now + Window::LENGTH + Duration::from_secs(1), "-");
        assert_eq!(machine.state(), State::Closed);
    }

    #[test]
    fn open_it_lets_nothing_through_then_a_few_and_then_all() {
        let mut now = Instant::now();
        let mut machine = Machine::new(now);
        calls(&mut machine, now, "----------");
        assert_eq!(calls(&mut machine, now, "+++++"), 0, "open");
        now += BREAKER_OPEN;
        let probes: Vec<_> = (0..10).filter_map(|_| machine.enter(now)).collect();
        assert_eq!(probes.len(), BREAKER_PROBES as usize);
        assert_eq!(machine.state(), State::HalfOpen);
        // One is given up: another may go in its place.
        machine.ended(now, probes[0], None);
        assert_eq!(calls(&mut machine, now, "+++"), 1);
        for probe in &probes[1..] {
            machine.ended(now, *probe, Some(true));
        }
        assert_eq!(machine.state(), State::Closed);
        assert_eq!(calls(&mut machine, now, "---------"), 9, "what was before is forgotten");
        assert_eq!(machine.state(), State::Closed);
    }

    #[test]
    fn a_probe_that_fails_opens_it_again() {
        let mut now = Instant::now();
        let mut machine = Machine::new(now);
        let old = machine.enter(now).expect("closed");
        calls(&mut machine, now, "----------");
        now += BREAKER_OPEN;
        assert_eq!(calls(&mut machine, now, "-"), 1);
        assert_eq!(machine.state(), State::Open);
        assert_eq!(calls(&mut machine, now + BREAKER_OPEN / 2, "+"), 0);
        now += BREAKER_OPEN;
        let probe = machine.enter(now).expect("a probe");
        machine.ended(now, old, Some(false));
        assert_eq!(machine.state(), State::HalfOpen, "what began before it opened says nothing of now");
        machine.ended(now, probe, Some(true));
        assert_eq!(calls(&mut machine, now, "++"), 2);
        assert_eq!(machine.state(), State::Closed);
    }
}
