//! Operators between two vectors with `fill`: a series without a counterpart meets a number instead.

use std::collections::HashMap;

use model::Labels;

use super::grouped::{Ones, Seen, not_unique, with_included};
use super::matching::{Candidates, Clash, check_clashes, many_to_one};
use super::{Evaluator, Result, SeriesStream, in_order};
use crate::promql::plan::{Fill, ManySide, Match};
use crate::promql::value::{Column, Series, StepSet};

impl<'a> Evaluator<'a> {
    pub(super) fn matched_filled(self, node: &'a Match) -> Result<SeriesStream<'a>> {
        let results = match &node.many {
            None => self.filled(node)?,
            Some(many) => self.filled_with_many(node, many)?,
        };
        self.unique(Box::new(results.into_iter().filter(|series| !series.column.is_empty()).map(Ok)), false)
    }

    fn filled(self, node: &'a Match) -> Result<Vec<Series>> {
        let steps = self.steps.count();
        let mut right = self.candidates(node)?;
        let clashes: Vec<Clash> = right.values_mut().filter_map(|found| found.clash.take()).collect();
        let mut results = Vec::new();
        for series in self.vector(&node.left)? {
            let series = series?;
            check_clashes(&clashes, &series, "right")?;
            let found = right.entry(node.on.of(&series.labels)).or_insert_with(|| Candidates {
                first: series.labels.clone(),
                column: Column::holes(steps),
                clash: None,
                taken: StepSet::none(steps),
            });
            self.charge(steps)?;
            let mut counterpart = found.column.clone();
            for index in series.column.occupied() {
                if !counterpart.has(index) {
                    counterpart.set(index, node.fill.right);
                }
                if counterpart.has(index) && !found.taken.insert(index) {
                    return Err(many_to_one());
                }
            }
            let column = self.columns(node.operator, node.return_bool, node.position, series.column, &counterpart);
            let (labels, name_goes) = self.result_labels(node, &series.labels, series.name_goes);
            results.push(Series { labels, column, name_goes });
        }
        let Some(fill) = node.fill.left else { return Ok(results) };
        for (key, found) in in_order(right) {
            let column = self.without_left(node, fill, found.column, &found.taken);
            results.push(Series { labels: key, column, name_goes: false });
        }
        Ok(results)
    }

    // The right side where the left has nothing.
    fn without_left(self, node: &Match, fill: f64, right: Column, taken: &StepSet) -> Column {
        let right = right.filter(|index| !taken.contains(index));
        let mut left = Column::holes(self.steps.count());
        right.occupied().for_each(|index| left.set(index, Some(fill)));
        self.columns(node.operator, node.return_bool, node.position, left, &right)
    }

    fn filled_with_many(self, node: &'a Match, many: &'a ManySide) -> Result<Vec<Series>> {
        let steps = self.steps.count();
        let (many_vector, one_vector) =
            if many.is_left { (&node.left, &node.right) } else { (&node.right, &node.left) };
        // As in Prometheus, `fill_left` is about the many also where they stand right.
        let Fill { left: fill_many, right: fill_one } = node.fill;
        let mut ones: HashMap<Labels, Ones> = HashMap::new();
        for series in self.vector(one_vector)? {
            self.add_one(&mut ones, node, series?)?;
        }
        let clashes: Vec<Clash> = ones.values_mut().filter_map(|ones| ones.clash.take()).collect();
        let side = if many.is_left { "right" } else { "left" };
        let (mut seen, mut results) = (Seen::new(), Vec::new());
        // By signature, the steps at which there is any of the many.
        let mut met: HashMap<Labels, StepSet> = HashMap::new();
        for series in self.vector(many_vector)? {
            let series = series?;
            check_clashes(&clashes, &series, side)?;
            let key = node.on.of(&series.labels);
            let steps_met = met.entry(key.clone()).or_insert_with(|| StepSet::none(steps));
            for index in series.column.occupied() {
                steps_met.insert(index);
            }
            if let Some(ones) = ones.get(&key) {
                results.extend(self.pairs(node, many, &series, &ones.series, &mut seen)?);
            }
            if let Some(fill) = fill_one {
                let (labels, name_goes) = self.labels_of_many(node, many, &series, &Labels::empty());
                let taken = ones.get(&key).map(|ones| &ones.taken);
                let left_over = series.column.filter(|index| taken.is_none_or(|taken| !taken.contains(index)));
                let one = self.in_place(&left_over, fill);
                self.note_seen(&mut seen, &key, &labels, &left_over)?;
                results.push(Series { labels, column: self.of_sides(node, many, left_over, one), name_goes });
            }
        }
        let Some(fill) = fill_many else { return Ok(results) };
        for (key, ones) in in_order(ones) {
            for one in ones.series {
                let met = met.get(&key);
                let left_over = one.column.filter(|index| met.is_none_or(|met| !met.contains(index)));
                let of_many = self.in_place(&left_over, fill);
                let (labels, name_goes) = self.own_labels(node, &key, false);
                let labels = with_included(many, labels, &one.labels);
                results.push(Series { labels, column: self.of_sides(node, many, of_many, left_over), name_goes });
            }
        }
        Ok(results)
    }

    // The number wherever the column has something.
    fn in_place(self, column: &Column, fill: f64) -> Column {
        let mut filled = Column::holes(self.steps.count());
        column.occupied().for_each(|index| filled.set(index, Some(fill)));
        filled
    }

    fn of_sides(self, node: &Match, many: &ManySide, of_many: Column, of_one: Column) -> Column {
        let (left, right) = if many.is_left { (of_many, of_one) } else { (of_one, of_many) };
        self.columns(node.operator, node.return_bool, node.position, left, &right)
    }

    fn note_seen(self, seen: &mut Seen, key: &Labels, labels: &Labels, column: &Column) -> Result<()> {
        let count = self.steps.count();
        let steps = seen.entry((key.clone(), labels.clone())).or_insert_with(|| StepSet::none(count));
        if column.occupied().all(|index| steps.insert(index)) { Ok(()) } else { Err(not_unique()) }
    }
}
