//! Aggregations over groups of series, folded as the series come: a group costs one state per step, however many series it has.

use std::collections::HashMap;

use super::{Evaluator, Result, SeriesStream, in_order};
use crate::promql::plan::{Aggregate, Aggregation};
use crate::promql::summation::{Mean, compensated};
use crate::promql::value::{Column, Series};

impl<'a> Evaluator<'a> {
    pub(super) fn aggregate(self, node: &'a Aggregate) -> Result<SeriesStream<'a>> {
        let steps = self.steps.count();
        let mut groups: HashMap<model::Labels, Vec<State>> = HashMap::new();
        for series in self.vector(&node.vector)? {
            let Series { labels, column } = series?;
            let key = node.by.of(&labels);
            if !groups.contains_key(&key) {
                // A state is wider than a number, and the budget counts numbers.
                self.charge(steps * size_of::<State>() / size_of::<f64>())?;
            }
            let states = groups.entry(key).or_insert_with(|| vec![State::default(); steps]);
            for (index, value) in column.present() {
                states[index].add(node.operation, value);
            }
        }
        let groups = in_order(groups).into_iter().map(move |(labels, states)| {
            let mut column = Column::holes(steps);
            for (index, state) in states.iter().enumerate() {
                column.set(index, state.result(node.operation));
            }
            Ok(Series { labels, column })
        });
        Ok(Box::new(groups))
    }
}

/// What one group knows at one step.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    count: f64,
    // The sum, the least or the greatest so far; of a variance the sum of squares.
    value: f64,
    // What rounding has taken from `value`; of a variance the mean.
    aside: f64,
    mean: Mean,
}

impl State {
    fn add(&mut self, operation: Aggregation, value: f64) {
        self.count += 1.0;
        match operation {
            Aggregation::Count | Aggregation::Group => {}
            Aggregation::Avg => self.mean.add(value, self.count),
            Aggregation::Stddev | Aggregation::Stdvar => self.add_to_variance(value),
            Aggregation::Sum | Aggregation::Min | Aggregation::Max if self.count == 1.0 => self.value = value,
            Aggregation::Sum => (self.value, self.aside) = compensated(value, self.value, self.aside),
            // A NaN gives way to any number, but a number never to a NaN.
            Aggregation::Min if value < self.value || self.value.is_nan() => self.value = value,
            Aggregation::Max if value > self.value || self.value.is_nan() => self.value = value,
            Aggregation::Min | Aggregation::Max => {}
        }
    }

    // Welford's algorithm.
    fn add_to_variance(&mut self, value: f64) {
        if self.count == 1.0 {
            self.aside = value;
            self.value = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = value - self.aside;
        self.aside += delta / self.count;
        self.value += delta * (value - self.aside);
    }

    fn result(&self, operation: Aggregation) -> Option<f64> {
        if self.count == 0.0 {
            return None;
        }
        Some(match operation {
            Aggregation::Count => self.count,
            Aggregation::Group => 1.0,
            Aggregation::Sum => self.value + self.aside,
            Aggregation::Avg => self.mean.mean(self.count),
            Aggregation::Min | Aggregation::Max => self.value,
            Aggregation::Stdvar => self.value / self.count,
            Aggregation::Stddev => (self.value / self.count).sqrt(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operation: Aggregation, values: &[f64], expected: f64) {
        let mut state = State::default();
        values.iter().for_each(|value| state.add(operation, *value));
        let got = state.result(operation).expect("there are values");
        assert!(got == expected || (got.is_nan() && expected.is_nan()), "{operation:?} {values:?}: {got}");
    }

    #[test]
    fn aggregates() {
        use Aggregation::{Avg, Count, Group, Max, Min, Stddev, Stdvar, Sum};
        let nan = f64::NAN;
        let inf = f64::INFINITY;
        check(Sum, &[1.0, 1e100, 1.0, -1e100], 2.0);
        check(Sum, &[1e308, 1e308], inf);
        check(Sum, &[inf, -inf], nan);
        check(Avg, &[1e308, 1e308, 1e308], 1e308);
        check(Avg, &[-1e308, -1e308], -1e308);
        check(Avg, &[inf, 1.0], inf);
        check(Avg, &[inf, -inf], nan);
        check(Avg, &[1.0, 2.0, 6.0], 3.0);
        check(Min, &[nan, 3.0, 2.0, nan], 2.0);
        check(Max, &[nan, 3.0, 2.0, nan], 3.0);
        check(Max, &[nan, nan], nan);
        check(Count, &[nan, 3.0], 2.0);
        check(Group, &[nan, 3.0], 1.0);
        check(Stdvar, &[2.0, 4.0, 6.0, 8.0], 5.0);
        check(Stddev, &[1.0, 3.0], 1.0);
        check(Stddev, &[inf], nan);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(State::default().result(Aggregation::Count), None);
    }
}
