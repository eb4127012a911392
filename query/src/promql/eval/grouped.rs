//! Operators between two vectors with `group_left` or `group_right`: many series of one side meet the same one of the other.
//! The side of the one is kept, the side of the many streams through.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use model::Labels;
use model::labels::METRIC_NAME;

use super::matching::{Clash, check_clashes};
use super::{Evaluator, Result, SeriesStream};
use crate::promql::error::PromqlError;
use crate::promql::plan::{ManySide, Match};
use crate::promql::value::{Series, StepSet};

/// The series of the one side with one signature: at each step there may be only one of them.
pub(super) struct Ones {
    pub(super) series: Vec<Series>,
    pub(super) taken: StepSet,
    // The steps at which there is more than one.
    pub(super) clash: Option<Clash>,
}

/// The results there are already, by signature and labels: within one signature none may come twice at a step.
pub(super) type Seen = HashMap<(Labels, Labels), StepSet>;

impl<'a> Evaluator<'a> {
    pub(super) fn matched_with_many(self, node: &'a Match, many: &'a ManySide) -> Result<SeriesStream<'a>> {
        let (many_vector, one_vector) =
            if many.is_left { (&node.left, &node.right) } else { (&node.right, &node.left) };
        let mut ones: HashMap<Labels, Ones> = HashMap::new();
        for series in self.vector(one_vector)? {
            self.add_one(&mut ones, node, series?)?;
        }
        let clashes: Vec<Clash> = ones.values_mut().filter_map(|ones| ones.clash.take()).collect();
        let side = if many.is_left { "right" } else { "left" };
        let mut seen = Seen::new();
        let stream = self.vector(many_vector)?.flat_map(move |series| {
            let results = series.and_then(|series| {
                check_clashes(&clashes, &series, side)?;
                match ones.get(&node.on.of(&series.labels)) {
                    Some(ones) => self.pairs(node, many, &series, &ones.series, &mut seen),
                    None => Ok(Vec::new()),
                }
            });
            match results {
                Ok(results) => results.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        });
        let surely = many.include.is_empty() && (!node.drops_name() || many_vector.is_unique_without_name());
        self.unique(Box::new(stream), surely)
    }

    pub(super) fn add_one(self, ones: &mut HashMap<Labels, Ones>, node: &Match, series: Series) -> Result<()> {
        let key = node.on.of(&series.labels);
        let found = match ones.entry(key.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                self.charge(StepSet::words(self.steps.count()))?;
                entry.insert(Ones { series: Vec::new(), taken: StepSet::none(self.steps.count()), clash: None })
            }
        };
        let met: Vec<usize> = series.column.occupied().filter(|index| !found.taken.insert(*index)).collect();
        if let (Some(step), None) = (met.first(), &found.clash) {
            let other = found.series.iter().find(|other| other.column.has(*step));
            let other = other.map_or_else(|| series.labels.clone(), |other| other.labels.clone());
            found.clash = Some(Clash { key, one: other, two: series.labels.clone(), steps: Vec::new() });
        }
        if let Some(clash) = &mut found.clash {
            clash.steps.extend(met);
        }
        found.series.push(series);
        Ok(())
    }

    // One series of the many with each of the ones that take turns.
    pub(super) fn pairs(
        self,
        node: &Match,
        many: &ManySide,
        series: &Series,
        ones: &[Series],
        seen: &mut Seen,
    ) -> Result<Vec<Series>> {
        let mut results: Vec<Series> = Vec::new();
        for one in ones {
            let (labels, name_goes) = self.labels_of_many(node, many, series, &one.labels);
            let key = (node.on.of(&series.labels), labels.clone());
            if !seen.contains_key(&key) {
                self.charge(StepSet::words(self.steps.count()))?;
            }
            let steps = seen.entry(key).or_insert_with(|| StepSet::none(self.steps.count()));
            self.charge(self.steps.count())?;
            for index in series.column.occupied() {
                // Also where the comparison drops the result: whether there is an error must not depend on the numbers.
                if one.column.has(index) && !steps.insert(index) {
                    return Err(not_unique());
                }
            }
            let column = if many.is_left {
                self.columns(node.operator, node.return_bool, node.position, series.column.clone(), &one.column)
            } else {
                let one = one.column.clone();
                self.columns(node.operator, node.return_bool, node.position, one, &series.column)
            };
            add(&mut results, Series { labels, column, name_goes });
        }
        Ok(results)
    }
}

pub(super) fn not_unique() -> PromqlError {
    PromqlError::Execution("multiple matches for labels: grouping labels must ensure unique matches".to_owned())
}

// Ones that take turns may leave one label set: then it is one series.
pub(super) fn add(results: &mut Vec<Series>, result: Series) {
    match results.iter_mut().find(|other| other.labels == result.labels) {
        Some(other) => {
            let column = &result.column;
            column.occupied().for_each(|index| other.column.put(index, column.element(index)));
        }
        None if result.column.is_empty() => {}
        None => results.push(result),
    }
}

impl Evaluator<'_> {
    /// The labels of a series of the many with those that it is to have of the one, and whether their name goes.
    pub(super) fn labels_of_many(
        self,
        node: &Match,
        many: &ManySide,
        of_many: &Series,
        of_one: &Labels,
    ) -> (Labels, bool) {
        let (labels, name_goes) = self.own_labels(node, &of_many.labels, of_many.name_goes);
        let labels = with_included(many, labels, of_one);
        (labels, name_goes && !many.include.iter().any(|name| name == METRIC_NAME))
    }
}

pub(super) fn with_included(many: &ManySide, labels: Labels, of_one: &Labels) -> Labels {
    many.include.iter().fold(labels, |labels, name| labels.with(name, of_one.get(name).unwrap_or("")))
}
