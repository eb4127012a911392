//! Series in memory: what PromQL's test scripts and rule tests load.

use std::collections::BTreeMap;

use model::Labels;

use super::{MillisRange, Samples, Selection, SeriesSource, StoredSeries};
use crate::promql::error::PromqlError;
use crate::promql::eval::Budget;
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
