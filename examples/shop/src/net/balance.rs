//! Which of a service's instances takes the next request: seven ways to choose, pure but for what a balancer remembers of its last choices.

mod hash;
mod response;
mod turn;

use std::cmp::Ordering;

use clap::ValueEnum;

pub(crate) use response::PeakEwma;

use super::instance::Load;
use turn::{Smooth, Turn};

/// How a balancer chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    /// One after the other.
    RoundRobin,
    /// One after the other, each as often as its weight says.
    Weighted,
    /// The one with the fewest requests under way.
    LeastConnections,
    /// The one with the fewest requests under way for its weight.
    WeightedLeastConnections,
    /// The one that has answered fastest lately.
    LeastResponseTime,
    /// Always the same for the same client's address.
    IpHash,
    /// The one that says it has most to spare.
    Resource,
}

impl Algorithm {
    /// The word in attributes.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::LeastConnections => "least_connections",
            Self::WeightedLeastConnections => "weighted_least_connections",
            Self::LeastResponseTime => "least_response_time",
            Self::IpHash => "ip_hash",
            Self::Resource => "resource",
        }
    }
}

/// An instance that may be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) instance: &'a str,
    /// At least 1.
    pub(crate) weight: u32,
    /// This caller's requests under way there.
    pub(crate) active: usize,
    /// How long it took lately; zero when that is not known.
    pub(crate) response_s: f64,
    /// What it says of itself.
    pub(crate) load: Load,
}

/// Chooses among the instances of one service.
#[derive(Debug)]
pub(crate) struct Balancer {
    algorithm: Algorithm,
    turn: Turn,
    smooth: Smooth,
}

impl Balancer {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, turn: Turn::default(), smooth: Smooth::default() }
    }

    /// The place of the chosen one among the candidates, which are in the order of their names; `None` if there are none. `client` is the address of whoever asks, where that is
    /// known: without it [`Algorithm::IpHash`] takes one after the other.
    pub(crate) fn choose(&mut self, candidates: &[Candidate<'_>], client: Option<&str>) -> Option<usize> {
        let all = 0..candidates.len();
        match (self.algorithm, client) {
            (Algorithm::RoundRobin, _) | (Algorithm::IpHash, None) => self.turn.next(candidates, all),
            (Algorithm::Weighted, _) => self.smooth.next(candidates, all, |candidate| u64::from(candidate.weight)),
            // Where several are as good as each other they take turns, or the first of an idle service had all the work.
            (Algorithm::LeastConnections, _) => {
                let least = all_least(candidates, |a, b| a.active.cmp(&b.active));
                self.turn.next(candidates, least)
            }
            (Algorithm::WeightedLeastConnections, _) => {
                let product = |a: &Candidate<'_>, b: &Candidate<'_>| a.active as u64 * u64::from(b.weight);
                let least = all_least(candidates, |a, b| product(a, b).cmp(&product(b, a)));
                self.smooth.next(candidates, least, |candidate| u64::from(candidate.weight))
            }
            (Algorithm::LeastResponseTime, _) => {
                let cost = |candidate: &Candidate<'_>| response::cost_s(candidate.response_s, candidate.active);
                let least = all_least(candidates, |a, b| cost(a).total_cmp(&cost(b)));
                self.turn.next(candidates, least)
            }
            (Algorithm::IpHash, Some(client)) => {
                all.max_by_key(|place| hash::score(client, candidates[*place].instance))
            }
            // All of it to the least busy one would make it the busiest until it says so: each gets as much as it has to spare.
            (Algorithm::Resource, _) => self.smooth.next(candidates, all, |candidate| to_spare(candidate.load)),
        }
    }
}

/// What an instance has to spare, in thousandths: the processors that it leaves idle, shared by the requests that it has already.
fn to_spare(load: Load) -> u64 {
    let spare = 1_000.0 * (1.0 - load.cpu) / (1.0 + load.active as f64);
    // Somebody who has nothing to spare is asked now and then.
    spare.max(1.0) as u64
}

/// The places of those of which none is less.
fn all_least<'a>(
    candidates: &'a [Candidate<'a>],
    compare: impl Fn(&Candidate<'a>, &Candidate<'a>) -> Ordering + Copy + 'a,
) -> impl Iterator<Item = usize> + 'a {
    let least = candidates.iter().min_by(|a, b| compare(a, b));
    let is_least = move |candidate| least.is_some_and(|least| compare(candidate, least).is_eq());
    candidates.iter().enumerate().filter(move |(_, candidate)| is_least(candidate)).map(|(place, _)| place)
}

#[cfg(test)]
mod tests;
