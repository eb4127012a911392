//! Selectors: from stored samples to numbers at steps.

use std::sync::Arc;

use super::{Evaluator, Result, SeriesStream, seconds};
use crate::promql::plan::{At, Select, When};
use crate::promql::source::{MillisRange, Samples, StoredSeries};
use crate::promql::staleness::is_stale;
use crate::promql::value::{Column, Series};

impl<'a> Evaluator<'a> {
    /// The newest sample within the lookback, at each step.
    pub(super) fn select(self, select: &'a Select) -> Result<SeriesStream<'a>> {
        if select.extension.is_some() {
            return self.smoothed(select);
        }
        let stream = self.stored(select, self.query.lookback_ms)?.map(move |stored| {
            let StoredSeries { labels, samples } = stored?;
            let mut column = self.newest(select, samples.times(), |index| samples.values()[index]);
            if !samples.histograms().is_empty() {
                self.put_newest(select, &samples, &mut column, |column, step, index| {
                    column.set_histogram(step, Arc::clone(&samples.histograms()[index]));
                });
            }
            self.look_at_all(&column);
            Ok(Series { labels, column, name_goes: false })
        });
        Ok(Box::new(stream.filter(has_elements)))
    }

    /// The time of that sample.
    pub(super) fn sample_times(self, select: &'a Select) -> Result<SeriesStream<'a>> {
        let stream = self.stored(select, self.query.lookback_ms)?.map(move |stored| {
            let StoredSeries { labels, samples } = stored?;
            let time = |index: usize| match samples.values()[index] {
                marker if is_stale(marker) => marker,
                _ => seconds(samples.times()[index]),
            };
            let mut column = self.newest(select, samples.times(), time);
            if !samples.histograms().is_empty() {
                self.put_newest(select, &samples, &mut column, |column, step, index| {
                    column.set(step, Some(seconds(samples.histogram_times()[index])));
                });
            }
            self.look_at_all(&column);
            let (labels, name_goes) = self.nameless(labels);
            Ok(Series { labels, column, name_goes })
        });
        let surely = crate::promql::matcher::only_name(&select.matchers).is_some();
        self.unique(Box::new(stream.filter(has_elements)), surely)
    }

    fn newest(self, select: &Select, times: &[i64], of: impl Fn(usize) -> f64) -> Column {
        let mut column = Column::holes(self.steps.count());
        self.each_newest(select, times, |step, newest| column.set(step, Some(of(newest))));
        column
    }

    // Where a histogram is newer than the newest number, it counts.
    fn put_newest(
        self,
        select: &Select,
        samples: &Samples,
        column: &mut Column,
        put: impl Fn(&mut Column, usize, usize),
    ) {
        let mut numbers = vec![i64::MIN; self.steps.count()];
        self.each_newest(select, samples.times(), |step, newest| numbers[step] = samples.times()[newest]);
        self.each_newest(select, samples.histogram_times(), |step, newest| {
            if samples.histogram_times()[newest] > numbers[step] {
                put(column, step, newest);
            }
        });
    }

    // The newest time within the lookback, at each step that has one.
    fn each_newest(self, select: &Select, times: &[i64], mut found: impl FnMut(usize, usize)) {
        let mut end = 0;
        for index in 0..self.steps.count() {
            let time = self.reference_time(select.when, index);
            end = advanced(times, end, time);
            let Some(newest) = end.checked_sub(1) else { continue };
            // The window is open on the left: a sample exactly one lookback old is too old.
            if times[newest] > time.saturating_sub(self.query.lookback_ms) {
                found(index, newest);
            }
        }
    }

    /// The series of a selector with the samples that any step may look at.
    pub(super) fn stored(
        self,
        select: &Select,
        back_ms: i64,
    ) -> Result<impl Iterator<Item = Result<StoredSeries>> + use<'a>> {
        self.stored_around(select, back_ms, 0)
    }

    /// The same with samples after the last step.
    pub(super) fn stored_around(
        self,
        select: &Select,
        back_ms: i64,
        ahead_ms: i64,
    ) -> Result<impl Iterator<Item = Result<StoredSeries>> + use<'a>> {
        let first = self.reference_time(select.when, 0).saturating_sub(back_ms).saturating_add(1);
        let last = self.reference_time(select.when, self.steps.count() - 1).saturating_add(ahead_ms);
        let selection = self.query.source.select(&select.matchers, MillisRange { first, last }, self.query.budget)?;
        selection.warnings.into_iter().for_each(|warning| self.warn(None, warning));
        Ok(selection.series.map(move |stored| {
            let stored = stored?;
            self.charge(stored.samples.size() + self.steps.count())?;
            Ok(stored)
        }))
    }

    pub(super) fn reference_time(self, when: When, index: usize) -> i64 {
        let time = match when.at {
            None => self.steps.time(index),
            Some(At::Time(time)) => time,
            // Of the query as a whole, also within a subquery.
            Some(At::Start) => self.query.steps.first(),
            Some(At::End) => self.query.steps.end(),
        };
        time.saturating_sub(self.query.millis(when.offset))
    }
}

/// From one place among ascending times to the first behind `time`. Mostly that is near.
pub(super) fn advanced(times: &[i64], from: usize, time: i64) -> usize {
    const NEAR: usize = 16;
    let far = times.len().min(from + NEAR);
    match times[from..far].iter().position(|other| *other > time) {
        Some(steps) => from + steps,
        None => far + times[far..].partition_point(|other| *other <= time),
    }
}

pub(super) fn has_elements(series: &Result<Series>) -> bool {
    series.as_ref().map_or(true, |series| !series.column.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advances_to_the_first_time_behind() {
        let times: Vec<i64> = (0..100).map(|time| time * 10).collect();
        for (from, time, expected) in
            [(0, -1, 0), (0, 0, 1), (0, 9, 1), (3, 25, 3), (0, 500, 51), (60, 2_000, 100), (100, 1, 100)]
        {
            assert_eq!(advanced(&times, from, time), expected, "{from} {time}");
        }
    }
}
