//! Functions over ranges of samples: those of a selector, or those a subquery computes at steps of its own.

use std::sync::Arc;

use model::Labels;

use super::select::{advanced, has_elements};
use super::{Evaluator, Result, SeriesStream};
use crate::promql::error::PromqlError;
use crate::promql::function::{Arguments, Numbers, Remarks, Window};
use crate::promql::limits;
use crate::promql::plan::{OverRange, Range, Subquery};
use crate::promql::source::{Samples, StoredSeries};
use crate::promql::staleness::is_stale;
use crate::promql::value::{Column, Element, Points, Sample, Series, Steps};

// A histogram is as much work for a function as so many numbers, by a rough guess.
const HISTOGRAM_WORK: usize = 50;

/// The samples of a window. Windows only move forward: both ends go on from where they were.
#[derive(Clone, Copy, Debug, Default)]
struct Sliding {
    from: usize,
    to: usize,
}

impl Sliding {
    // To the samples in `(start, end]`.
    fn slide(&mut self, times: &[i64], start: i64, end: i64) {
        self.from = advanced(times, self.from, start);
        self.to = advanced(times, self.to.max(self.from), end);
    }

    fn len(self) -> usize {
        self.to - self.from
    }

    fn is_empty(self) -> bool {
        self.from == self.to
    }
}

// With whether the name goes that the series still has.
type StoredStream<'a> = Box<dyn Iterator<Item = Result<(StoredSeries, bool)>> + 'a>;

impl<'a> Evaluator<'a> {
    /// A function of the samples in a range, at each step.
    pub(super) fn over_range(self, node: &'a OverRange) -> Result<SeriesStream<'a>> {
        if let (Range::Select(range), Some(extension)) = (&node.range, node.range.extension()) {
            return self.over_extended(node, range, extension);
        }
        let arguments = node.arguments.iter().map(|argument| self.scalar(argument)).collect::<Result<Vec<Column>>>()?;
        let stream = self.samples(&node.range)?.map(move |stored| {
            let (StoredSeries { labels, samples }, name_goes) = stored?;
            let mut remarks = Remarks::default();
            let column = self.windows(node, &arguments, &samples, &mut remarks)?;
            let name = labels.metric_name().unwrap_or("");
            if node.function.expects_counter && column.present().next().is_some() {
                self.check_counter_name(&node.range, name);
            }
            // Prometheus takes a quantile's first argument for its range here.
            let is_quantile = node.function.numbers == Numbers::Quantile;
            self.remark(remarks.take(), name, if is_quantile { node.position } else { node.range.remarked() });
            if let (Numbers::Quantile, [quantiles], false) =
                (node.function.numbers, arguments.as_slice(), column.is_empty())
            {
                self.check_quantile(quantiles, node.position);
            }
            let (labels, name_goes) =
                if node.function.keeps_name { (labels, name_goes) } else { self.nameless(labels) };
            Ok(Series { labels, column, name_goes })
        });
        let surely = node.function.keeps_name || node.range.is_unique_without_name();
        self.unique(Box::new(stream.filter(has_elements)), surely)
    }

    fn windows(
        self,
        node: &OverRange,
        arguments: &[Column],
        samples: &Samples,
        remarks: &mut Remarks,
    ) -> Result<Column> {
        let mut column = Column::holes(self.steps.count());
        let mut numbers = Vec::with_capacity(arguments.len());
        let (mut floats, mut histograms) = (Sliding::default(), Sliding::default());
        let mut looked_at = 0;
        let range_ms = self.query.length(node.range.range())?;
        let mut before: Option<(i64, Option<Element>)> = None;
        for index in 0..self.steps.count() {
            let end = self.reference_time(node.range.when(), index);
            let start = end.saturating_sub(range_ms);
            floats.slide(samples.times(), start, end);
            histograms.slide(samples.histogram_times(), start, end);
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            if self.query.looked_at.is_some() {
                let histograms = &samples.histograms()[histograms.from..histograms.to];
                let of_histograms: usize = histograms.iter().map(|histogram| histogram.size()).sum();
                self.look_at(index, floats.len() + of_histograms);
            }
            // Behind `@` all windows are one.
            if let (Some((same, result)), true) = (&before, arguments.is_empty())
                && *same == end
            {
                column.put(index, result.clone());
                continue;
            }
            looked_at += floats.len() + HISTOGRAM_WORK * histograms.len();
            if looked_at > limits::WINDOW_SAMPLES_UNCHECKED {
                self.charge(0)?;
                looked_at = 0;
            }
            numbers.clear();
            numbers.extend(arguments.iter().map(|argument| argument.get(index).unwrap_or(f64::NAN)));
            node.function.check(&numbers).map_err(PromqlError::Execution)?;
            let window = Window {
                start,
                end,
                times: &samples.times()[floats.from..floats.to],
                values: &samples.values()[floats.from..floats.to],
                histogram_times: &samples.histogram_times()[histograms.from..histograms.to],
                histograms: &samples.histograms()[histograms.from..histograms.to],
            };
            let result = node.function.of(window, Arguments { at: self.steps.time(index), numbers: &numbers }, remarks);
            column.put(index, result.clone());
            before = Some((end, result));
        }
        Ok(column)
    }

    /// The samples of a range as they are, at the query's only step.
    pub(in crate::promql) fn raw(self, range: &'a Range) -> Result<Vec<(Labels, Points)>> {
        let end = self.reference_time(range.when(), 0);
        let start = end.saturating_sub(self.query.length(range.range())?);
        let mut matrix = Vec::new();
        for stored in self.samples(range)? {
            let (StoredSeries { labels, samples }, name_goes) = stored?;
            let labels = if name_goes { labels.without_name() } else { labels };
            let inside = |time: &i64| start < *time && *time <= end;
            let numbers = samples.times().iter().zip(samples.values()).filter(|(time, _)| inside(time));
            let histograms = samples.histogram_times().iter().zip(samples.histograms());
            let points = Points {
                numbers: numbers.map(|(time, value)| Sample { time: *time, value: *value }).collect(),
                histograms: histograms
                    .filter(|(time, _)| inside(time))
                    .map(|(time, histogram)| (*time, Arc::clone(histogram)))
                    .collect(),
            };
            if !points.is_empty() {
                self.look_at(0, points.numbers.len() + points.histograms.iter().map(|(_, h)| h.size()).sum::<usize>());
                matrix.push((labels, points));
            }
        }
        Ok(matrix)
    }

    // The series of a range with the samples that any step may look at, markers left out.
    fn samples(self, range: &'a Range) -> Result<StoredStream<'a>> {
        match range {
            Range::Select(range) => {
                let stored = self.stored(&range.select, self.query.length(range.range)?)?;
                Ok(Box::new(stored.map(|stored| {
                    let StoredSeries { labels, samples } = stored?;
                    Ok((StoredSeries { labels, samples: without_markers(samples) }, false))
                })))
            }
            Range::Subquery(subquery) => self.computed(subquery),
        }
    }

    fn computed(self, subquery: &'a Subquery) -> Result<StoredStream<'a>> {
        let step = match subquery.step {
            Some(step) => self.query.length(step)?,
            None => self.query.subquery_step_ms,
        };
        let range_ms = self.query.length(subquery.range)?;
        let after = self.reference_time(subquery.when, 0).saturating_sub(range_ms);
        let last = self.reference_time(subquery.when, self.steps.count() - 1);
        let Some(steps) = Steps::aligned(after, last, step) else { return Ok(Box::new(std::iter::empty())) };
        // Before anything as long as these steps is made.
        self.charge(steps.count())?;
        let inner = Evaluator { steps, is_inner: true, ..self };
        Ok(Box::new(inner.vector(&subquery.vector)?.map(move |series| {
            let Series { labels, column, name_goes } = series?;
            self.charge(self.steps.count())?;
            let mut samples = Samples::default();
            column.present().for_each(|(index, value)| samples.push(steps.time(index), value));
            for (index, histogram) in column.histograms() {
                samples.push_histogram(steps.time(index), histogram.compared_anew());
            }
            Ok((StoredSeries { labels, samples }, name_goes))
        })))
    }

    pub(super) fn check_counter_name(self, range: &Range, name: &str) {
        if name.is_empty() || ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
            return;
        }
        let text = format!(
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"
        );
        self.inform(range.remarked(), text);
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
    for (time, histogram) in samples.histogram_times().iter().zip(samples.histograms()) {
        kept.push_histogram(*time, Arc::clone(histogram));
    }
    kept
}
