//! Selectors: from stored samples to numbers at steps.

use crate::promql::error::line_column;
use crate::promql::function::{RangeFunction, Window};
use crate::promql::plan::{At, RangeSelect, Select};
use crate::promql::source::{MillisRange, Samples, StoredSeries};
use crate::promql::staleness::is_stale;
use crate::promql::value::{Column, Sample, Series};

use super::{Evaluator, Result, SeriesStream};

impl Evaluator<'_> {
    /// The newest sample within the lookback, at each step.
    pub(super) fn select<'s>(&'s self, select: &'s Select) -> Result<SeriesStream<'s>> {
        let stream = self.stored(select, self.lookback_ms)?.map(move |stored| {
            let StoredSeries { labels, samples } = stored?;
            Ok(Series { labels, column: self.newest(select, &samples) })
        });
        Ok(Box::new(stream.filter(has_numbers)))
    }

    fn newest(&self, select: &Select, samples: &Samples) -> Column {
        let mut column = Column::holes(self.steps.count());
        let mut end = 0;
        for index in 0..self.steps.count() {
            let time = self.reference_time(select, index);
            end += samples.times()[end..].partition_point(|sample| *sample <= time);
            let Some(newest) = end.checked_sub(1) else { continue };
            // The window is open on the left: a sample exactly one lookback old is too old.
            if samples.times()[newest] > time.saturating_sub(self.lookback_ms) {
                column.set(index, Some(samples.values()[newest]));
            }
        }
        column
    }

    /// A function of the samples in a range, at each step.
    pub(super) fn over_range<'s>(
        &'s self,
        function: RangeFunction,
        range: &'s RangeSelect,
    ) -> Result<SeriesStream<'s>> {
        let stream = self.stored(&range.select, range.range_ms)?.map(move |stored| {
            let StoredSeries { labels, samples } = stored?;
            let samples = without_markers(samples);
            if function.expects_counter() && !samples.is_empty() {
                self.check_counter_name(&range.select, labels.metric_name().unwrap_or(""));
            }
            Ok(Series { labels: labels.without_name(), column: self.windows(function, range, &samples) })
        });
        Ok(Box::new(stream.filter(has_numbers)))
    }

    fn windows(&self, function: RangeFunction, range: &RangeSelect, samples: &Samples) -> Column {
        let mut column = Column::holes(self.steps.count());
        let (mut from, mut to) = (0, 0);
        for index in 0..self.steps.count() {
            let end = self.reference_time(&range.select, index);
            let start = end.saturating_sub(range.range_ms);
            // Windows only move forward: both ends go on from where they were.
            from += samples.times()[from..].partition_point(|time| *time <= start);
            to = to.max(from);
            to += samples.times()[to..].partition_point(|time| *time <= end);
            let window = Window { start, end, times: &samples.times()[from..to], values: &samples.values()[from..to] };
            column.set(index, function.apply(window));
        }
        column
    }

    /// The samples of a range selector as they are, at the query's only step.
    pub(in crate::promql) fn raw(&self, range: &RangeSelect) -> Result<Vec<(model::Labels, Vec<Sample>)>> {
        let mut matrix = Vec::new();
        for stored in self.stored(&range.select, range.range_ms)? {
            let StoredSeries { labels, samples } = stored?;
            let samples = without_markers(samples);
            let pairs = samples.times().iter().zip(samples.values());
            let samples: Vec<Sample> = pairs.map(|(time, value)| Sample { time: *time, value: *value }).collect();
            if !samples.is_empty() {
                matrix.push((labels, samples));
            }
        }
        Ok(matrix)
    }

    // The series of a selector with the samples that any step may look at.
    fn stored<'s>(
        &'s self,
        select: &Select,
        back_ms: i64,
    ) -> Result<impl Iterator<Item = Result<StoredSeries>> + use<'s>> {
        let first = self.reference_time(select, 0).saturating_sub(back_ms).saturating_add(1);
        let last = self.reference_time(select, self.steps.count() - 1);
        let selection = self.source.select(&select.matchers, MillisRange { first, last }, self.budget)?;
        selection.warnings.into_iter().for_each(|warning| self.warn(warning));
        Ok(selection.series.map(|stored| {
            let stored = stored?;
            self.budget.charge(stored.samples.len() + self.steps.count())?;
            Ok(stored)
        }))
    }

    fn reference_time(&self, select: &Select, index: usize) -> i64 {
        let time = match select.at {
            None => self.steps.time(index),
            Some(At::Time(time)) => time,
            Some(At::Start) => self.steps.first(),
            Some(At::End) => self.steps.last(),
        };
        time.saturating_sub(select.offset_ms)
    }

    fn check_counter_name(&self, select: &Select, name: &str) {
        if name.is_empty() || ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
            return;
        }
        let place = select.position.map_or_else(String::new, |at| format!(" ({})", line_column(self.query, at)));
        self.inform(format!(
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}{place}"
        ));
    }
}

fn has_numbers(series: &Result<Series>) -> bool {
    series.as_ref().map_or(true, |series| !series.column.is_empty())
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
