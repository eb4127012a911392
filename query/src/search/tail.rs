//! Rows in the order in which they are committed: what a tail sends next, given how far it is. A pure step; `api/tail` repeats it.

use model::TimeRange;
use store::{Snapshot, Table};

use crate::limits::{TAIL_BEHIND_ROWS_MAX, TAIL_STEP_ROWS};
use crate::search::budget::Budget;
use crate::search::execute::{Found, Order, Search, SearchError};
use crate::search::plan::Plan;

/// What a tail does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Numbers that are left out because the tail is too far behind: first and last.
    pub skipped: Option<(u64, u64)>,
    /// Numbers to look at: first and last. `None` if there is nothing new.
    pub look: Option<(u64, u64)>,
}

/// The step of a tail that has seen all rows up to `seen` when those up to `committed` exist.
pub fn step(seen: u64, committed: u64) -> Step {
    let behind = committed.saturating_sub(seen);
    let newest = committed.saturating_sub(TAIL_STEP_ROWS);
    let (skipped, seen) = if behind > TAIL_BEHIND_ROWS_MAX { (Some((seen + 1, newest)), newest) } else { (None, seen) };
    let last = committed.min(seen.saturating_add(TAIL_STEP_ROWS));
    Step { skipped, look: (last > seen).then_some((seen + 1, last)) }
}

/// The rows with these numbers that the plan matches, in the order of their numbers.
pub fn look(
    table: Table,
    plan: &Plan,
    seqs: (u64, u64),
    snapshot: &Snapshot,
    budget: &mut Budget,
) -> Result<Found, SearchError> {
    let search = Search {
        table,
        plan: plan.clone(),
        range: TimeRange::ALL,
        order: Order::Ascending,
        // There are no more rows than numbers.
        limit: usize::try_from(seqs.1 - seqs.0 + 1).unwrap_or(usize::MAX - 1),
        after: None,
        seqs,
    };
    let mut found = search.run(snapshot, budget)?;
    found.hits.sort_by_key(|hit| hit.seq);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_bounded_and_skip_only_when_far_behind() {
        for (seen, committed, skipped, look) in [
            (0, 0, None, None),
            (5, 5, None, None),
            (5, 8, None, Some((6, 8))),
            (0, 50_000, None, Some((1, 10_000))),
            (0, 1_000_000, None, Some((1, 10_000))),
            (0, 1_000_001, Some((1, 990_001)), Some((990_002, 1_000_001))),
            // A cursor of another life of the directory.
            (9, 8, None, None),
        ] {
            assert_eq!(step(seen, committed), Step { skipped, look }, "{seen} {committed}");
        }
    }
}
