//! Taking turns: plainly, and smoothly by weight.

use std::collections::BTreeMap;

use super::Candidate;

/// Whose turn it is. It remembers a name and not a number: when one goes or comes, nobody is left out.
#[derive(Debug, Default)]
pub(super) struct Turn(String);

impl Turn {
    /// The next of these places, which ascend, as the candidates' names do.
    pub(super) fn next(&mut self, candidates: &[Candidate<'_>], places: impl Iterator<Item = usize>) -> Option<usize> {
        let (mut first, mut next) = (None, None);
        for place in places {
            first = first.or(Some(place));
            if candidates[place].instance > self.0.as_str() {
                next = Some(place);
                break;
            }
        }
        let chosen = next.or(first)?;
        candidates[chosen].instance.clone_into(&mut self.0);
        Some(chosen)
    }
}

/// Smooth weighted round robin, as nginx does it: each gains its weight at every choice, the richest is chosen and pays what all gained. Five, one, one is `aabacaa` and not `aaaaabc`.
#[derive(Debug, Default)]
pub(super) struct Smooth(BTreeMap<String, i64>);

impl Smooth {
    /// The next of these places.
    pub(super) fn next(
        &mut self,
        candidates: &[Candidate<'_>],
        places: impl Iterator<Item = usize>,
        weight: impl Fn(&Candidate<'_>) -> u64,
    ) -> Option<usize> {
        // Who is gone is forgotten; who is passed over keeps what it has.
        self.0.retain(|name, _| candidates.iter().any(|candidate| candidate.instance == name));
        let mut total = 0;
        let mut richest: Option<(usize, i64)> = None;
        for place in places {
            // Weights are bounded far below where this matters.
            let gain = i64::try_from(weight(&candidates[place])).unwrap_or(i64::from(u32::MAX));
            total += gain;
            let wealth = self.0.entry(candidates[place].instance.to_owned()).or_default();
            *wealth += gain;
            if richest.is_none_or(|(_, most)| *wealth > most) {
                richest = Some((place, *wealth));
            }
        }
        let (chosen, _) = richest?;
        if let Some(wealth) = self.0.get_mut(candidates[chosen].instance) {
            *wealth -= total;
        }
        Some(chosen)
    }
}
