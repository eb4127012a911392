//! Where samples come from. One of the few traits: the store and memory both answer it, and the same engine runs over both.

mod memory;
mod store;

pub use memory::MemorySource;
pub use store::{MetricFacts, StoreSource, StoredExemplar, Translator};

use std::sync::Arc;

use model::Labels;

use super::error::PromqlError;
use super::eval::Budget;
use super::histogram::Histogram;
use super::matcher::Matcher;

/// Something that has series.
pub trait SeriesSource {
    /// The series that all `matchers` accept with their samples in `range`. Each label set comes once; series without a sample
    /// may come or not. What is read before the first series comes is charged to `budget`.
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        range: MillisRange,
        budget: &Budget,
    ) -> Result<Selection<'a>, PromqlError>;

    /// The labels of the series that all `matchers` accept and that may have a sample in `range`.
    fn labels(&self, matchers: &[Matcher], range: MillisRange, budget: &Budget) -> Result<Vec<Labels>, PromqlError>;
}

/// What a source selected. Series come one by one, so that no more than one needs to be decoded at a time.
pub struct Selection<'a> {
    /// The series.
    pub series: Box<dyn Iterator<Item = Result<StoredSeries, PromqlError>> + 'a>,
    /// What was left out, and why.
    pub warnings: Vec<String>,
}

/// A series with its samples.
#[derive(Clone, Debug)]
pub struct StoredSeries {
    /// Its labels, the name among them.
    pub labels: Labels,
    /// Its samples.
    pub samples: Samples,
}

/// Samples in the order of their times, no two with one time. Staleness markers stand among the values, and end histograms too.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    times: Vec<i64>,
    values: Vec<f64>,
    // Apart from the numbers, so that series without any pay nothing for them.
    histogram_times: Vec<i64>,
    histograms: Vec<Arc<Histogram>>,
}

/// A closed range of milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MillisRange {
    /// The first millisecond.
    pub first: i64,
    /// The last millisecond.
    pub last: i64,
}

impl Samples {
    /// These numbers, whose times ascend.
    pub(super) fn of_numbers(times: Vec<i64>, values: Vec<f64>) -> Self {
        Self { times, values, ..Self::default() }
    }

    /// Adds a sample. Out of order it is put in its place; of two with one time the later added stays.
    pub fn push(&mut self, time: i64, value: f64) {
        insert(&mut self.times, &mut self.values, time, value);
        remove(&mut self.histogram_times, &mut self.histograms, time);
    }

    /// The same of a histogram.
    pub fn push_histogram(&mut self, time: i64, histogram: Arc<Histogram>) {
        insert(&mut self.histogram_times, &mut self.histograms, time, histogram);
        remove(&mut self.times, &mut self.values, time);
    }

    /// Times of the numbers.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// The numbers, one for each of those times.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Times of the histograms.
    pub fn histogram_times(&self) -> &[i64] {
        &self.histogram_times
    }

    /// The histograms, one for each of those times.
    pub fn histograms(&self) -> &[Arc<Histogram>] {
        &self.histograms
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len() + self.histogram_times.len()
    }

    /// What they cost of a budget: a number each, and a histogram as many as it holds.
    pub fn size(&self) -> usize {
        self.times.len() + self.histograms.iter().map(|histogram| histogram.size()).sum::<usize>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those in `range`.
    pub fn within(&self, range: MillisRange) -> Samples {
        let (from, to) = span(&self.times, range);
        let (first, last) = span(&self.histogram_times, range);
        Samples {
            times: self.times[from..to].to_vec(),
            values: self.values[from..to].to_vec(),
            histogram_times: self.histogram_times[first..last].to_vec(),
            histograms: self.histograms[first..last].to_vec(),
        }
    }
}

fn insert<T>(times: &mut Vec<i64>, values: &mut Vec<T>, time: i64, value: T) {
    if times.last().is_none_or(|last| *last < time) {
        times.push(time);
        values.push(value);
        return;
    }
    match times.binary_search(&time) {
        Ok(index) => values[index] = value,
        Err(index) => {
            times.insert(index, time);
            values.insert(index, value);
        }
    }
}

fn remove<T>(times: &mut Vec<i64>, values: &mut Vec<T>, time: i64) {
    if times.last().is_some_and(|last| *last >= time)
        && let Ok(index) = times.binary_search(&time)
    {
        times.remove(index);
        values.remove(index);
    }
}

fn span(times: &[i64], range: MillisRange) -> (usize, usize) {
    let from = times.partition_point(|time| *time < range.first);
    (from, times.partition_point(|time| *time <= range.last).max(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stay_in_order() {
        let mut samples = Samples::default();
        for (time, value) in [(5, 1.0), (9, 2.0), (7, 3.0), (5, 4.0), (1, 5.0)] {
            samples.push(time, value);
        }
        assert_eq!(samples.times(), [1, 5, 7, 9]);
        assert_eq!(samples.values(), [5.0, 4.0, 3.0, 2.0]);
        let within = |first, last| samples.within(MillisRange { first, last }).times().to_vec();
        assert_eq!(within(5, 7), [5, 7]);
        assert!(within(2, 4).is_empty());
        assert!(within(9, 2).is_empty());
    }

    #[test]
    fn a_time_has_a_number_or_a_histogram() {
        let mut samples = Samples::default();
        samples.push(1, 1.0);
        samples.push(2, 2.0);
        samples.push_histogram(2, Arc::default());
        samples.push_histogram(3, Arc::default());
        assert_eq!((samples.times(), samples.histogram_times(), samples.len()), (&[1][..], &[2, 3][..], 3));
        samples.push(3, 3.0);
        assert_eq!((samples.times(), samples.histogram_times()), (&[1, 3][..], &[2][..]));
        let within = samples.within(MillisRange { first: 2, last: 3 });
        assert_eq!((within.times(), within.histogram_times()), (&[3][..], &[2][..]));
    }
}
