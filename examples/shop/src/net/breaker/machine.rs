//! When a breaker lets calls through, over given times.

use tokio::time::Instant;

use crate::limits::{BREAKER_CALLS_MIN, BREAKER_FAILED_MAX, BREAKER_OPEN, BREAKER_PROBES};
use crate::net::window::{Counts, Window};

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
pub(super) struct Machine {
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
    pub(super) fn new(now: Instant) -> Self {
        Self { now: Now::Closed(Window::new(now)), era: 0 }
    }

    pub(super) fn state(&self) -> State {
        match self.now {
            Now::Closed(_) => State::Closed,
            Now::Open { .. } => State::Open,
            Now::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Whether a call would be let through.
    pub(super) fn admits(&self, now: Instant) -> bool {
        match self.now {
            Now::Closed(_) => true,
            Now::Open { until } => until <= now,
            Now::HalfOpen { under_way, good } => under_way + good < BREAKER_PROBES,
        }
    }

    /// Lets a call through: the era in which it begins.
    pub(super) fn enter(&mut self, now: Instant) -> Option<u64> {
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
    pub(super) fn ended(&mut self, now: Instant, era: u64, good: Option<bool>) {
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
