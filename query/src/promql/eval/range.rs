//! Functions over ranges of samples: those of a selector, or those a subquery computes at steps of its own.

use model::Labels;

use super::select::has_numbers;
use super::{Evaluator, Result, SeriesStream};
use crate::promql::error::PromqlError;
use crate::promql::function::{Arguments, Numbers, Window};
use crate::promql::limits;
use crate::promql::plan::{OverRange, Range, Subquery};
use crate::promql::source::{Samples, StoredSeries};
use crate::promql::staleness::is_stale;
use crate::promql::value::{Column, Sample, Series, Steps};

type StoredStream<'a> = Box<dyn Iterator<Item = Result<StoredSeries>> + 'a>;

impl<'a> Evaluator<'a> {
    /// A function of the samples in a range, at each step.
    pub(super) fn over_range(self, node: &'a OverRange) -> Result<SeriesStream<'a>> {
        let arguments = node.arguments.iter().map(|argument| self.scalar(argument)).collect::<Result<Vec<Column>>>()?;
        let stream = self.samples(&node.range)?.map(move |stored| {
            let StoredSeries { labels, samples } = stored?;
            if node.function.expects_counter && !samples.is_empty() {
                self.check_counter_name(&node.range, labels.metric_name().unwrap_or(""));
            }
            let column = self.windows(node, &arguments, &samples)?;
            if let (Numbers::Quantile, [quantiles], false) =
                (node.function.numbers, arguments.as_slice(), column.is_empty())
            {
                self.check_quantile(quantiles, node.position);
            }
            let labels = if node.function.keeps_name { labels } else { labels.without_name() };
            Ok(Series { labels, column })
        });
        let surely = node.function.keeps_name || node.range.is_unique_without_name();
        self.unique(Box::new(stream.filter(has_numbers)), surely)
    }

    fn windows(self, node: &OverRange, arguments: &[Column], samples: &Samples) -> Result<Column> {
        let mut column = Column::holes(self.steps.count());
        let mut numbers = Vec::with_capacity(arguments.len());
        let (mut from, mut to, mut looked_at) = (0, 0, 0);
        let mut before = None;
        for index in 0..self.steps.count() {
            let end = self.reference_time(node.range.when(), index);
            let start = end.saturating_sub(node.range.range_ms());
            // Windows only move forward: both ends go on from where they were.
            from += samples.times()[from..].partition_point(|time| *time <= start);
            to = to.max(from);
            to += samples.times()[to..].partition_point(|time| *time <= end);
            if from == to {
                continue;
            }
            // Behind `@` all windows are one.
            if let (Some((same, result)), true) = (before, arguments.is_empty())
                && same == end
            {
                column.set(index, result);
                continue;
            }
            looked_at += to - from;
            if looked_at > limits::WINDOW_SAMPLES_UNCHECKED {
                self.charge(0)?;
                looked_at = 0;
            }
            numbers.clear();
            numbers.extend(arguments.iter().map(|argument| argument.get(index).unwrap_or(f64::NAN)));
            node.function.check(&numbers).map_err(PromqlError::Execution)?;
            let window = Window { start, end, times: &samples.times()[from..to], values: &samples.values()[from..to] };
            let result = (node.function.apply)(window, Arguments { at: self.steps.time(index), numbers: &numbers });
            column.set(index, result);
            before = Some((end, result));
        }
        Ok(column)
    }

    /// The samples of a range as they are, at the query's only step.
    pub(in crate::promql) fn raw(self, range: &'a Range) -> Result<Vec<(Labels, Vec<Sample>)>> {
        let end = self.reference_time(range.when(), 0);
        let start = end.saturating_sub(range.range_ms());
        let mut matrix = Vec::new();
        for stored in self.samples(range)? {
            let StoredSeries { labels, samples } = stored?;
            let pairs = samples.times().iter().zip(samples.values());
            let inside = pairs.filter(|(time, _)| start < **time && **time <= end);
            let samples: Vec<Sample> = inside.map(|(time, value)| Sample { time: *time, value: *value }).collect();
            if !samples.is_empty() {
                matrix.push((labels, samples));
            }
        }
        Ok(matrix)
    }

    // The series of a range with the samples that any step may look at, markers left out.
    fn samples(self, range: &'a Range) -> Result<StoredStream<'a>> {
        match range {
            Range::Select(range) => {
                let stored = self.stored(&range.select, range.range_ms)?;
                Ok(Box::new(stored.map(|stored| {
                    let StoredSeries { labels, samples } = stored?;
                    Ok(StoredSeries { labels, samples: without_markers(samples) })
                })))
            }
            Range::Subquery(subquery) => self.computed(subquery),
        }
    }

    fn computed(self, subquery: &'a Subquery) -> Result<StoredStream<'a>> {
        let step = subquery.step_ms.unwrap_or(self.query.subquery_step_ms);
        let after = self.reference_time(subquery.when, 0).saturating_sub(subquery.range_ms);
        let last = self.reference_time(subquery.when, self.steps.count() - 1);
        let Some(steps) = Steps::aligned(after, last, step) else { return Ok(Box::new(std::iter::empty())) };
        // Before anything as long as these steps is made.
        self.charge(steps.count())?;
        let inner = Evaluator { steps, ..self };
        Ok(Box::new(inner.vector(&subquery.vector)?.map(move |series| {
            let Series { labels, column } = series?;
            self.charge(self.steps.count())?;
            let mut samples = Samples::default();
            column.present().for_each(|(index, value)| samples.push(steps.time(index), value));
            Ok(StoredSeries { labels, samples })
        })))
    }

    fn check_counter_name(self, range: &Range, name: &str) {
        if name.is_empty() || ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
            return;
        }
        let place = self.place(range.position());
        self.inform(format!(
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}{place}"
        ));
    }
}

fn without_markers(samples: Samples) -> Samples {
    if !samples.values().iter().any(|value| is_stale(*value)) {
        return samples;
    }
    let mut kept = Samples::default();
    for (time, value) in samples.times().iter().zip(samples.values()) {
        if !is_stale(*value) {
            kept.push(*time, *value);
        }
    }
    kept
}
