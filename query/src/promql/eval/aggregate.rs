//! Aggregations over groups of series, folded as the series come: a group costs one state per step, however many series it has.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Evaluator, Result, SeriesStream, in_order};
use crate::promql::function::{During, Remark, Remarks};
use crate::promql::histogram::Histogram;
use crate::promql::plan::{Aggregate, Aggregation};
use crate::promql::summation::{Mean, compensated};
use crate::promql::value::{Column, Series};

/// What is known of a group: of its numbers at each step, and of its histograms at those steps that have some.
struct Group {
    states: Vec<State>,
    histograms: HashMap<usize, HistogramState>,
    name: String,
    // Whether that of any of its series goes.
    name_goes: bool,
}

impl<'a> Evaluator<'a> {
    pub(super) fn aggregate(self, node: &'a Aggregate) -> Result<SeriesStream<'a>> {
        let steps = self.steps.count();
        let mut groups: HashMap<model::Labels, Group> = HashMap::new();
        for series in self.vector(&node.vector)? {
            self.add_series(node, &mut groups, series?)?;
        }
        let groups = in_order(groups).into_iter().map(move |(labels, group)| {
            let mut column = Column::holes(steps);
            for (index, state) in group.states.iter().enumerate() {
                column.set(index, state.result(node.operation));
            }
            let name_goes = group.name_goes;
            for (index, state) in group.histograms {
                self.put_histogram(node, &mut column, index, state, &group.name);
            }
            Ok(Series { labels, column, name_goes })
        });
        Ok(Box::new(groups))
    }

    fn add_series(self, node: &Aggregate, groups: &mut HashMap<model::Labels, Group>, series: Series) -> Result<()> {
        let Series { labels, column, name_goes } = series;
        let steps = self.steps.count();
        let key = node.by.of(&labels);
        if !groups.contains_key(&key) {
            // A state is wider than a number, and the budget counts numbers.
            self.charge(steps * size_of::<State>() / size_of::<f64>())?;
        }
        let group = groups.entry(key).or_insert_with(|| Group {
            states: vec![State::default(); steps],
            histograms: HashMap::new(),
            name: labels.metric_name().unwrap_or("").to_owned(),
            name_goes: false,
        });
        group.name_goes |= name_goes;
        for (index, value) in column.present() {
            group.states[index].add(node.operation, value);
        }
        for (index, histogram) in column.histograms() {
            self.add_histogram(node, group, index, histogram)?;
        }
        Ok(())
    }

    fn add_histogram(
        self,
        node: &Aggregate,
        group: &mut Group,
        index: usize,
        histogram: &Arc<Histogram>,
    ) -> Result<()> {
        match node.operation {
            Aggregation::Count | Aggregation::Group => group.states[index].count += 1.0,
            Aggregation::Sum | Aggregation::Avg => {
                let state = group.histograms.entry(index).or_default();
                if state.count == 0.0 {
                    self.charge(histogram.size())?;
                }
                state.add(histogram);
            }
            _ => self.inform_of_ignored(node.operation.word(), node.position),
        }
        Ok(())
    }

    fn put_histogram(self, node: &Aggregate, column: &mut Column, index: usize, mut state: HistogramState, name: &str) {
        self.remark(state.remarks.take(), name, node.position);
        if column.has(index) {
            column.set(index, None);
            let text = "PromQL warning: encountered a mix of histograms and floats for aggregation";
            self.warn(node.position, text.to_owned());
        } else if let (Some(sum), false) = (state.sum, state.failed) {
            let sum = if node.operation == Aggregation::Avg && state.count > 1.0 {
                Arc::new(sum.over(state.count))
            } else {
                sum
            };
            column.set_histogram(index, sum);
        }
    }
}

/// What one group knows of its histograms at one step.
#[derive(Debug, Default)]
struct HistogramState {
    sum: Option<Arc<Histogram>>,
    count: f64,
    remarks: Remarks,
    // Whether they have no sum.
    failed: bool,
}

impl HistogramState {
    fn add(&mut self, histogram: &Arc<Histogram>) {
        self.count += 1.0;
        let Some(sum) = &self.sum else {
            self.sum = Some(Arc::clone(histogram));
            return;
        };
        match self.remarks.combined(sum.plus(histogram), During::Aggregation) {
            Ok(sum) => self.sum = Some(Arc::new(sum)),
            Err(_) => {
                self.failed = true;
                self.remarks.note(Remark::MixedSchemas);
            }
        }
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
