//! Series in memory: what PromQL's test scripts and rule tests load.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;

use super::{MillisRange, Samples, Selection, SeriesSource, StoredSeries};
use crate::promql::error::PromqlError;
use crate::promql::eval::Budget;
use crate::promql::histogram::Histogram;
use crate::promql::matcher::{Matcher, all_accept};

/// Series by their labels.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, Samples>,
}

impl MemorySource {
    /// No series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample to a series, which is made if it is not there.
    pub fn push(&mut self, labels: &Labels, time: i64, value: f64) {
        self.series.entry(labels.clone()).or_default().push(time, value);
    }

    /// Adds a histogram to a series. Whether its count went on since the sample before is noted in its hint, as a storage that has seen
    /// both would.
    pub fn push_histogram(&mut self, labels: &Labels, time: i64, histogram: Histogram) {
        let samples = self.series.entry(labels.clone()).or_default();
        let at = samples.histogram_times().partition_point(|other| *other < time);
        let before = at.checked_sub(1).filter(|index| {
            // A number in between is an interruption.
            let interrupted = samples.histogram_times()[*index]..time;
            !samples.times().iter().rev().any(|number| interrupted.contains(number))
        });
        let histogram = histogram.after(before.map(|index| &*samples.histograms()[index]));
        samples.push_histogram(time, Arc::new(histogram));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }
}

impl SeriesSource for MemorySource {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        range: MillisRange,
        _: &Budget,
    ) -> Result<Selection<'a>, PromqlError> {
        let matchers = matchers.to_vec();
        let series = self.series.iter().filter(move |(labels, _)| all_accept(&matchers, labels));
        let series = series
            .map(move |(labels, samples)| Ok(StoredSeries { labels: labels.clone(), samples: samples.within(range) }));
        Ok(Selection { series: Box::new(series), warnings: Vec::new() })
    }

    fn labels(&self, matchers: &[Matcher], range: MillisRange, _: &Budget) -> Result<Vec<Labels>, PromqlError> {
        let found = self
            .series
            .iter()
            .filter(|(labels, samples)| all_accept(matchers, labels) && !samples.within(range).is_empty());
        Ok(found.map(|(labels, _)| labels.clone()).collect())
    }
}
