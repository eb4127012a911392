//! Where samples come from. One of the few traits: the store and memory both answer it, and the same engine runs over both.

mod memory;
mod store;

pub use memory::MemorySource;
pub use store::{MetricFacts, StoreSource, StoredExemplar, Translator};

use model::Labels;

use super::error::PromqlError;
use super::eval::Budget;
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

/// Samples in the order of their times, no two with one time. Staleness markers stand among the values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    times: Vec<i64>,
    values: Vec<f64>,
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
    /// Adds a sample. Out of order it is put in its place; of two with one time the later added stays.
    pub fn push(&mut self, time: i64, value: f64) {
        if self.times.last().is_none_or(|last| *last < time) {
            self.times.push(time);
            self.values.push(value);
            return;
        }
        match self.times.binary_search(&time) {
            Ok(index) => self.values[index] = value,
            Err(index) => {
                self.times.insert(index, time);
                self.values.insert(index, value);
            }
        }
    }

    /// Their times.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// Their values, one for each time.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Those in `range`.
    pub fn within(&self, range: MillisRange) -> Samples {
        let from = self.times.partition_point(|time| *time < range.first);
        let to = self.times.partition_point(|time| *time <= range.last).max(from);
        Samples { times: self.times[from..to].to_vec(), values: self.values[from..to].to_vec() }
    }
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
}
