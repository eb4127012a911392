//! Selectors with `anchored` or `smoothed`: they look at samples beside the range, or beside the time.

use super::select::has_elements;
use super::{Evaluator, Result, SeriesStream};
use crate::promql::function::extended::{Extended, interpolated};
use crate::promql::plan::{Extension, OverRange, RangeSelect, Select};
use crate::promql::source::{Samples, StoredSeries};
use crate::promql::staleness::is_stale;
use crate::promql::value::{Column, Series};

impl<'a> Evaluator<'a> {
    /// A function of an extended range. Native histograms in it are left out.
    pub(super) fn over_extended(
        self,
        node: &'a OverRange,
        range: &'a RangeSelect,
        extension: Extension,
    ) -> Result<SeriesStream<'a>> {
        let range_ms = self.query.length(range.range)?;
        let lookback_ms = self.query.lookback_ms;
        let smoothed = extension == Extension::Smoothed;
        let back_ms = range_ms.saturating_add(lookback_ms);
        let ahead_ms = if smoothed { lookback_ms } else { 0 };
        let stream = self.stored_around(&range.select, back_ms, ahead_ms)?.map(move |stored| {
            let StoredSeries { labels, samples } = stored?;
            let (times, values) = numbers(&samples);
            let mut column = Column::holes(self.steps.count());
            for index in 0..self.steps.count() {
                let end = self.reference_time(range.select.when, index);
                let start = end.saturating_sub(range_ms);
                let from = times.partition_point(|time| *time <= start.saturating_sub(lookback_ms));
                let to = times.partition_point(|time| *time <= end.saturating_add(ahead_ms)).max(from);
                let window = Extended { start, end, times: &times[from..to], values: &values[from..to], smoothed };
                self.charge((to - from) / SAMPLES_PER_CHARGE)?;
                column.set(index, window.apply(node.function.name));
            }
            if node.function.expects_counter && !column.is_empty() {
                self.check_counter_name(&node.range, labels.metric_name().unwrap_or(""));
            }
            let (labels, name_goes) = self.nameless(labels);
            Ok(Series { labels, column, name_goes })
        });
        self.unique(Box::new(stream.filter(has_elements)), node.range.is_unique_without_name())
    }

    /// The value at each step, interpolated between the samples around it.
    pub(super) fn smoothed(self, select: &'a Select) -> Result<SeriesStream<'a>> {
        let lookback_ms = self.query.lookback_ms;
        let stream = self.stored_around(select, lookback_ms, lookback_ms)?.map(move |stored| {
            let StoredSeries { labels, samples } = stored?;
            let (times, values) = numbers(&samples);
            let mut column = Column::holes(self.steps.count());
            for index in 0..self.steps.count() {
                let at = self.reference_time(select.when, index);
                let next = times.partition_point(|time| *time <= at);
                let Some(before) = next.checked_sub(1) else { continue };
                if times[before] <= at.saturating_sub(lookback_ms) {
                    continue;
                }
                let is_near = |next: &usize| times[*next] <= at.saturating_add(lookback_ms);
                let value = match Some(next).filter(|next| *next < times.len()).filter(is_near) {
                    Some(next) if times[before] < at => {
                        interpolated((times[before], values[before]), (times[next], values[next]), at)
                    }
                    _ => values[before],
                };
                column.set(index, Some(value));
            }
            Ok(Series { labels, column, name_goes: false })
        });
        Ok(Box::new(stream.filter(has_elements)))
    }
}

// Windows overlap: the budget has counted each sample once already.
const SAMPLES_PER_CHARGE: usize = 1_000;

// Without markers.
fn numbers(samples: &Samples) -> (Vec<i64>, Vec<f64>) {
    let pairs = samples.times().iter().copied().zip(samples.values().iter().copied());
    pairs.filter(|(_, value)| !is_stale(*value)).unzip()
}
