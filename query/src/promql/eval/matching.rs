//! Operators between two vectors, one series with one. The right side is kept, the left side streams through.

use std::collections::HashMap;

use model::Labels;

use super::{Evaluator, Result, SeriesStream};
use crate::promql::error::PromqlError;
use crate::promql::plan::{Grouping, Match};
use crate::promql::value::{Column, Series, StepSet};

/// The right side's series with one signature: different ones may take turns, but not meet at a step.
pub(super) struct Candidates {
    pub(super) first: Labels,
    pub(super) column: Column,
    pub(super) clash: Option<Clash>,
    // The steps at which a left series has already been matched.
    pub(super) taken: StepSet,
}

/// Two series of a side that should have one, and the steps at which they met: an error as soon as the other side has
/// anything there.
pub(super) struct Clash {
    pub(super) key: Labels,
    pub(super) one: Labels,
    pub(super) two: Labels,
    pub(super) steps: Vec<usize>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn matched(self, node: &'a Match) -> Result<SeriesStream<'a>> {
        let mut right = self.candidates(node)?;
        let clashes: Vec<Clash> = right.values_mut().filter_map(|found| found.clash.take()).collect();
        let left = self.vector(&node.left)?;
        let stream = left.filter_map(move |series| {
            let paired = series.and_then(|series| {
                check_clashes(&clashes, &series, "right")?;
                self.pair(node, &mut right, series)
            });
            paired.transpose()
        });
        let surely =
            node.on == Grouping::Without(Vec::new()) && (!node.drops_name() || node.left.is_unique_without_name());
        self.unique(Box::new(stream), surely)
    }

    pub(super) fn candidates(self, node: &'a Match) -> Result<HashMap<Labels, Candidates>> {
        let steps = self.steps.count();
        let mut right: HashMap<Labels, Candidates> = HashMap::new();
        for series in self.vector(&node.right)? {
            let Series { labels, column, .. } = series?;
            let key = node.on.of(&labels);
            let Some(found) = right.get_mut(&key) else {
                self.charge(steps + StepSet::words(steps))?;
                let candidates = Candidates { first: labels, column, clash: None, taken: StepSet::none(steps) };
                right.insert(key, candidates);
                continue;
            };
            let mut met = Vec::new();
            for index in column.occupied() {
                if found.column.has(index) {
                    met.push(index);
                }
                found.column.put(index, column.element(index));
            }
            if !met.is_empty() {
                let (one, two) = (found.first.clone(), labels.clone());
                found.clash.get_or_insert_with(|| Clash { key, one, two, steps: Vec::new() }).steps.extend(met);
            }
        }
        Ok(right)
    }

    fn pair(self, node: &Match, right: &mut HashMap<Labels, Candidates>, series: Series) -> Result<Option<Series>> {
        let Some(found) = right.get_mut(&node.on.of(&series.labels)) else { return Ok(None) };
        for index in series.column.occupied() {
            // Also where the comparison drops the result: whether there is an error must not depend on the numbers.
            if found.column.has(index) && !found.taken.insert(index) {
                return Err(many_to_one());
            }
        }
        let column = self.columns(node.operator, node.return_bool, node.position, series.column, &found.column);
        let (labels, name_goes) = self.result_labels(node, &series.labels, series.name_goes);
        Ok(Some(Series { labels, column, name_goes }))
    }
}

pub(super) fn many_to_one() -> PromqlError {
    PromqlError::Execution(
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)".to_owned(),
    )
}

pub(super) fn check_clashes(clashes: &[Clash], series: &Series, side: &str) -> Result<()> {
    for Clash { key, one, two, steps } in clashes {
        if steps.iter().any(|index| series.column.has(*index)) {
            let (one, two) = if one <= two { (one, two) } else { (two, one) };
            return Err(PromqlError::Execution(format!(
                "found duplicate series for the match group {key} on the {side} hand-side of the operation: [{one}, {two}];\
                 many-to-many matching not allowed: matching labels must be unique on one side"
            )));
        }
    }
    Ok(())
}

// Whether the name goes where the query ends.
fn waits(evaluator: Evaluator<'_>, node: &Match) -> bool {
    evaluator.query.delays_names && node.return_bool && !node.makes_other_labels()
}

impl Evaluator<'_> {
    /// The labels of the side that the result takes its own from, and whether their name goes.
    pub(super) fn own_labels(self, node: &Match, labels: &Labels, name_goes: bool) -> (Labels, bool) {
        let waits = waits(self, node);
        let labels = if node.drops_name() && !waits { labels.without_name() } else { labels.clone() };
        (labels, waits || name_goes)
    }

    /// Labels of one with one.
    pub(super) fn result_labels(self, node: &Match, left: &Labels, name_goes: bool) -> (Labels, bool) {
        let (labels, name_goes) = self.own_labels(node, left, name_goes);
        let labels = match &node.on {
            Grouping::Only(names) => labels.filter(|name| names.iter().any(|n| n == name)),
            Grouping::Without(names) => labels.filter(|name| !names.iter().any(|n| n == name)),
        };
        (labels, name_goes)
    }
}
