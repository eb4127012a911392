//! Operators between two vectors, one series with one. The right side is kept, the left side streams through.

use std::collections::HashMap;

use model::Labels;

use super::{Evaluator, Result, SeriesStream, operator};
use crate::promql::error::PromqlError;
use crate::promql::plan::{Grouping, Match};
use crate::promql::value::{Column, Series};

/// The right side's series with one signature: different ones may take turns, but not meet at a step.
struct Candidates {
    first: Labels,
    column: Column,
    clash: Option<Clash>,
    // The steps at which a left series has already been matched.
    taken: Column,
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
                pair(node, &mut right, series)
            });
            paired.transpose()
        });
        let surely =
            node.on == Grouping::Without(Vec::new()) && (!node.drops_name() || node.left.is_unique_without_name());
        self.unique(Box::new(stream), surely)
    }

    fn candidates(self, node: &'a Match) -> Result<HashMap<Labels, Candidates>> {
        let steps = self.steps.count();
        let mut right: HashMap<Labels, Candidates> = HashMap::new();
        for series in self.vector(&node.right)? {
            let Series { labels, column } = series?;
            let key = node.on.of(&labels);
            let Some(found) = right.get_mut(&key) else {
                self.charge(2 * steps)?;
                let candidates = Candidates { first: labels, column, clash: None, taken: Column::holes(steps) };
                right.insert(key, candidates);
                continue;
            };
            let mut met = Vec::new();
            for (index, value) in column.present() {
                if found.column.get(index).is_some() {
                    met.push(index);
                }
                found.column.set(index, Some(value));
            }
            if !met.is_empty() {
                let (one, two) = (found.first.clone(), labels.clone());
                found.clash.get_or_insert_with(|| Clash { key, one, two, steps: Vec::new() }).steps.extend(met);
            }
        }
        Ok(right)
    }
}

pub(super) fn check_clashes(clashes: &[Clash], series: &Series, side: &str) -> Result<()> {
    for Clash { key, one, two, steps } in clashes {
        if steps.iter().any(|index| series.column.get(*index).is_some()) {
            let (one, two) = if one <= two { (one, two) } else { (two, one) };
            return Err(PromqlError::Execution(format!(
                "found duplicate series for the match group {key} on the {side} hand-side of the operation: [{one}, {two}];\
                 many-to-many matching not allowed: matching labels must be unique on one side"
            )));
        }
    }
    Ok(())
}

fn pair(node: &Match, right: &mut HashMap<Labels, Candidates>, series: Series) -> Result<Option<Series>> {
    let Some(found) = right.get_mut(&node.on.of(&series.labels)) else { return Ok(None) };
    for (index, _) in series.column.present() {
        if found.column.get(index).is_none() {
            continue;
        }
        // Also where the comparison drops the result: whether there is an error must not depend on the numbers.
        if found.taken.get(index).is_some() {
            return Err(PromqlError::Execution(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                    .to_owned(),
            ));
        }
        found.taken.set(index, Some(0.0));
    }
    let column = series.column.map(|index, left| {
        let right = found.column.get(index)?;
        operator::vector_element(node.operator, node.return_bool, left, right, left)
    });
    Ok(Some(Series { labels: result_labels(node, &series.labels), column }))
}

fn result_labels(node: &Match, left: &Labels) -> Labels {
    let labels = if node.drops_name() { left.without_name() } else { left.clone() };
    match &node.on {
        Grouping::Only(names) => labels.filter(|name| names.iter().any(|n| n == name)),
        Grouping::Without(names) => labels.filter(|name| !names.iter().any(|n| n == name)),
    }
}
