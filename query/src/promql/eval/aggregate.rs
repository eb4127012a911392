//! Aggregations over groups of series, folded as the series come: a group costs one state per step, however many series it has.

use std::collections::HashMap;

use super::{Evaluator, Result, SeriesStream};
use crate::promql::plan::{Aggregate, Aggregation};
use crate::promql::value::{Column, Series};

impl Evaluator<'_> {
    pub(super) fn aggregate<'s>(&'s self, node: &'s Aggregate) -> Result<SeriesStream<'s>> {
        let steps = self.steps.count();
        let mut groups: HashMap<model::Labels, Vec<State>> = HashMap::new();
        for series in self.vector(&node.vector)? {
            let Series { labels, column } = series?;
            let key = node.by.of(&labels);
            if !groups.contains_key(&key) {
                // A state is wider than a number, and the budget counts numbers.
                self.budget.charge(steps * size_of::<State>() / size_of::<f64>())?;
            }
            let states = groups.entry(key).or_insert_with(|| vec![State::default(); steps]);
            for (index, value) in column.present() {
                states[index].add(node.operation, value);
            }
        }
        let groups = groups.into_iter().map(move |(labels, states)| {
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
    // The sum, the least or the greatest so far; the mean once `is_mean` is set.
    value: f64,
    // What rounding has taken from `value`.
    compensation: f64,
    // A sum that would overflow is carried on as a mean, so that the average of huge numbers stays finite.
    is_mean: bool,
}

impl State {
    fn add(&mut self, operation: Aggregation, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.value = value;
            return;
        }
        match operation {
            Aggregation::Count => {}
            Aggregation::Sum => (self.value, self.compensation) = compensated(value, self.value, self.compensation),
            Aggregation::Avg => self.add_to_average(value),
            // A NaN gives way to any number, but a number never to a NaN.
            Aggregation::Min if value < self.value || self.value.is_nan() => self.value = value,
            Aggregation::Max if value > self.value || self.value.is_nan() => self.value = value,
            Aggregation::Min | Aggregation::Max => {}
        }
    }

    fn add_to_average(&mut self, value: f64) {
        if !self.is_mean {
            let (sum, compensation) = compensated(value, self.value, self.compensation);
            if !sum.is_infinite() {
                (self.value, self.compensation) = (sum, compensation);
                return;
            }
            self.is_mean = true;
            self.value /= self.count - 1.0;
            self.compensation /= self.count - 1.0;
        }
        let share = (self.count - 1.0) / self.count;
        (self.value, self.compensation) =
            compensated(value / self.count, share * self.value, share * self.compensation);
    }

    fn result(&self, operation: Aggregation) -> Option<f64> {
        if self.count == 0.0 {
            return None;
        }
        Some(match operation {
            Aggregation::Count => self.count,
            Aggregation::Sum => self.value + self.compensation,
            Aggregation::Avg if self.is_mean => self.value + self.compensation,
            Aggregation::Avg => self.value / self.count + self.compensation / self.count,
            Aggregation::Min | Aggregation::Max => self.value,
        })
    }
}

/// Neumaier's variant of Kahan's summation: the new sum, and what rounding has taken from it.
fn compensated(value: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + value;
    let compensation = if total.is_infinite() {
        0.0
    } else if sum.abs() >= value.abs() {
        compensation + ((sum - total) + value)
    } else {
        compensation + ((value - total) + sum)
    };
    (total, compensation)
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
        use Aggregation::{Avg, Count, Max, Min, Sum};
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
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(State::default().result(Aggregation::Count), None);
    }
}
