//! Native histograms: one value with buckets whose bounds follow from a schema, beside the numbers.
//!
//! Not the classic histograms of PromQL, which are series with a label `le`: their arithmetic is `function/buckets`.

mod arithmetic;
mod layout;
mod reset;
mod share;
mod text;
mod trim;
mod whole;

pub use arithmetic::{Combined, Incompatible};
pub use share::{Estimate, fraction, mean, quantile, variance};
pub use text::short_number;
pub use trim::Kept;
pub use whole::Whole;

use std::sync::Arc;

use layout::bound;

/// The schema of histograms whose upper bounds are listed.
pub const CUSTOM_SCHEMA: i32 = -53;
/// The finest exponential schema: 256 buckets between a power of two and the next.
pub const SCHEMA_MAX: i32 = 8;
/// The coarsest exponential schema: each bound is 65,536 times the one before.
pub const SCHEMA_MIN: i32 = -4;

/// A histogram at a moment. Counts are fractions once they have been divided or extrapolated.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// What the bounds are: [`SCHEMA_MIN`] to [`SCHEMA_MAX`], where each is `2^(2^-schema)` times the one before, or
    /// [`CUSTOM_SCHEMA`].
    pub schema: i32,
    /// How many observations there are, those of NaN included.
    pub count: f64,
    /// The sum of the observations.
    pub sum: f64,
    /// Up to which distance from zero the zero bucket reaches.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// Observations above zero.
    pub positive: Buckets,
    /// Observations below zero, by their distance from it.
    pub negative: Buckets,
    /// The upper bounds of a custom schema, ascending, without the infinite one.
    pub bounds: Arc<[f64]>,
    /// What is known about resets before this histogram.
    pub hint: Hint,
}

/// What is known about a counter's reset between a histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hint {
    /// Nothing: the two have to be compared.
    #[default]
    Unknown,
    /// There was one.
    Reset,
    /// There was none.
    NotReset,
    /// This is no counter.
    Gauge,
}

/// Counts by the index of their bucket, ascending; no bucket is empty. The bucket `i` of an exponential schema ends at `base^i` and
/// begins at `base^(i-1)`; that of a custom schema ends at its `i`th bound, counted from 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets(Vec<(i32, f64)>);

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Its lower end.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
    /// Whether an observation of its lower end is in it.
    pub lower_inclusive: bool,
    /// Whether an observation of its upper end is in it.
    pub upper_inclusive: bool,
    /// Its observations.
    pub count: f64,
}

impl Buckets {
    /// Buckets from pairs of index and count, in any order; counts of one index add up.
    pub fn new(pairs: impl IntoIterator<Item = (i32, f64)>) -> Self {
        let mut pairs: Vec<(i32, f64)> = pairs.into_iter().collect();
        pairs.sort_by_key(|(index, _)| *index);
        pairs.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 += later.1;
            }
            same
        });
        pairs.retain(|(_, count)| *count != 0.0);
        Self(pairs)
    }

    /// Index and count of each, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, f64)> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is no observation.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many hold an observation.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The count at an index.
    pub fn get(&self, index: i32) -> f64 {
        self.0.binary_search_by_key(&index, |(index, _)| *index).map_or(0.0, |at| self.0[at].1)
    }

    /// The sum of the counts.
    pub fn total(&self) -> f64 {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

impl Histogram {
    /// Whether the bounds are listed.
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM_SCHEMA
    }

    /// The same as a gauge: what has been subtracted or is a rate counts nothing any more.
    #[must_use]
    pub fn into_gauge(self) -> Self {
        Self { hint: Hint::Gauge, ..self }
    }

    /// How many numbers it takes, for budgets.
    pub fn size(&self) -> usize {
        8 + 2 * (self.positive.len() + self.negative.len()) + self.bounds.len()
    }

    /// Whether two are equal in everything but what is known about resets. NaN equals NaN.
    pub fn same(&self, other: &Self) -> bool {
        let bits = |one: f64, other: f64| one.to_bits() == other.to_bits() || one == other;
        let buckets = |one: &Buckets, other: &Buckets| {
            one.len() == other.len() && one.iter().zip(other.iter()).all(|(a, b)| a.0 == b.0 && bits(a.1, b.1))
        };
        self.schema == other.schema
            && bits(self.count, other.count)
            && bits(self.sum, other.sum)
            && bits(self.zero_threshold, other.zero_threshold)
            && bits(self.zero_count, other.zero_count)
            && buckets(&self.positive, &other.positive)
            && buckets(&self.negative, &other.negative)
            && self.bounds == other.bounds
    }

    /// All buckets that hold an observation, from the lowest to the highest, the zero bucket among them: not, as in Prometheus,
    /// where it holds less than none.
    pub fn buckets(&self) -> Vec<Bucket> {
        let negative = self.negative.iter().rev().map(|(index, count)| self.negative_bucket(index, count));
        let zero = Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        };
        let zero = Some(zero).filter(|zero| zero.count > 0.0);
        let positive = self.positive.iter().map(|(index, count)| self.positive_bucket(index, count));
        negative.chain(zero).chain(positive).collect()
    }

    fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        let (lower, upper) = self.reach(index);
        if self.is_custom() {
            return Bucket { lower, upper, lower_inclusive: index == 0, upper_inclusive: true, count };
        }
        // What the zero bucket has taken is not here too.
        let lower = if lower < self.zero_threshold { self.zero_threshold } else { lower };
        Bucket { lower, upper, lower_inclusive: false, upper_inclusive: true, count }
    }

    fn negative_bucket(&self, index: i32, count: f64) -> Bucket {
        let (near, far) = self.reach(index);
        let near = if near < self.zero_threshold { self.zero_threshold } else { near };
        Bucket { lower: -far, upper: -near, lower_inclusive: true, upper_inclusive: false, count }
    }

    // Where the bucket with this index begins and ends, away from zero.
    fn reach(&self, index: i32) -> (f64, f64) {
        if self.is_custom() {
            let at = |index: i32| usize::try_from(index).ok().map(|index| self.bounds.get(index).copied());
            let lower = at(index.saturating_sub(1)).map_or(f64::NEG_INFINITY, |bound| bound.unwrap_or(f64::INFINITY));
            let upper = at(index).flatten().unwrap_or(f64::INFINITY);
            return (if index <= 0 { f64::NEG_INFINITY } else { lower }, upper);
        }
        (bound(self.schema, index.saturating_sub(1)), bound(self.schema, index))
    }
}
