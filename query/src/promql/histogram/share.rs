//! What histograms tell about their observations: quantiles, shares, mean, variance.

use super::{Bucket, Histogram};
use crate::promql::function::buckets::{self, Bucket as Classic};
use crate::promql::summation::Sum;

/// A quantile, and what observations of NaN did to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Estimate {
    /// A number.
    Sure(f64),
    /// A number that is too high, because observations of NaN count as the greatest.
    Skewed(f64),
    /// It would be among the observations of NaN.
    Unknown,
}

/// The value below which `share` of the observations lie. Within a bucket they are taken to be spread as the buckets are:
/// exponentially, or evenly in the zero bucket and between custom bounds.
pub fn quantile(share: f64, histogram: &Histogram) -> Estimate {
    if share < 0.0 {
        return Estimate::Sure(f64::NEG_INFINITY);
    }
    if share > 1.0 {
        return Estimate::Sure(f64::INFINITY);
    }
    if share.is_nan() || histogram.count == 0.0 {
        return Estimate::Sure(f64::NAN);
    }
    let has_nan = histogram.sum.is_nan();
    // From the nearer end, where fewer counts are added up; from the lower one where NaN stands at the other.
    let forward = has_nan || share < 0.5;
    let rank = if forward { share } else { 1.0 - share } * histogram.count;
    let Some((mut bucket, reached)) = reached(histogram, rank, forward) else {
        return if has_nan { Estimate::Unknown } else { Estimate::Sure(f64::NAN) };
    };
    if histogram.is_custom() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return Estimate::Sure(bucket.upper);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return Estimate::Sure(bucket.lower);
        }
    } else {
        bucket = without_empty_side(histogram, bucket);
    }
    let reached = reached.min(histogram.count);
    if reached < rank {
        return if has_nan { Estimate::Unknown } else { Estimate::Sure(bucket.upper) };
    }
    let into = if forward { rank - (reached - bucket.count) } else { reached - rank };
    let value = point(histogram, bucket, into / bucket.count);
    if has_nan { Estimate::Skewed(value) } else { Estimate::Sure(value) }
}

// The bucket in which the counts reach `rank`, or else the last, and what they reach there.
fn reached(histogram: &Histogram, rank: f64, forward: bool) -> Option<(Bucket, f64)> {
    let mut buckets = histogram.buckets();
    if !forward {
        buckets.reverse();
    }
    let mut count = 0.0;
    let mut last = None;
    for bucket in buckets {
        count += bucket.count;
        last = Some((bucket, count));
        if count >= rank {
            break;
        }
    }
    last
}

// Where so large a share of a bucket ends.
fn point(histogram: &Histogram, bucket: Bucket, share: f64) -> f64 {
    if is_even(histogram, bucket) {
        return bucket.lower + (bucket.upper - bucket.lower) * share;
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        (lower + (upper - lower) * share).exp2()
    } else {
        -(upper + (lower - upper) * (1.0 - share)).exp2()
    }
}

/// Which share of a bucket's observations lies below `value`, which is within it.
pub(super) fn share_below(histogram: &Histogram, bucket: Bucket, value: f64) -> f64 {
    if is_even(histogram, bucket) {
        return (value - bucket.lower) / (bucket.upper - bucket.lower);
    }
    let (lower, upper, value_log) = (bucket.lower.abs().log2(), bucket.upper.abs().log2(), value.abs().log2());
    if value > 0.0 { (value_log - lower) / (upper - lower) } else { 1.0 - (value_log - upper) / (lower - upper) }
}

fn is_even(histogram: &Histogram, bucket: Bucket) -> bool {
    histogram.is_custom() || (bucket.lower <= 0.0 && bucket.upper >= 0.0)
}

/// The zero bucket of a histogram with observations on one side of zero only has no other side.
pub(super) fn without_empty_side(histogram: &Histogram, mut bucket: Bucket) -> Bucket {
    if !histogram.is_custom() && bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        if histogram.negative.is_empty() && !histogram.positive.is_empty() {
            bucket.lower = 0.0;
        } else if histogram.positive.is_empty() && !histogram.negative.is_empty() {
            bucket.upper = 0.0;
        }
    }
    bucket
}

/// Which share of the observations lies between `lower` and `upper`; those of NaN lie nowhere.
pub fn fraction(lower: f64, upper: f64, histogram: &Histogram) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    if histogram.is_custom() {
        return buckets::fraction(lower, upper, &mut cumulative(histogram));
    }
    let buckets: Vec<Bucket> =
        histogram.buckets().into_iter().map(|bucket| without_empty_side(histogram, bucket)).collect();
    let most = if histogram.sum.is_nan() { buckets.iter().map(|bucket| bucket.count).sum() } else { histogram.count };
    let rank = |value: f64| {
        let mut below = 0.0;
        for bucket in &buckets {
            if bucket.lower >= value {
                return below;
            }
            if bucket.upper > value {
                return below + bucket.count * share_below(histogram, *bucket, value);
            }
            below += bucket.count;
        }
        most
    };
    (rank(upper).min(most) - rank(lower).min(most)) / histogram.count
}

// The buckets of a custom schema as a classic histogram has them.
fn cumulative(histogram: &Histogram) -> Vec<Classic> {
    let mut count = 0.0;
    let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
    bounds
        .zip(0..)
        .map(|(bound, index)| {
            count += histogram.positive.get(index);
            Classic { bound, count }
        })
        .collect()
}

/// The mean of the observations.
pub fn mean(histogram: &Histogram) -> f64 {
    histogram.sum / histogram.count
}

/// The variance of the observations, each taken to be at the middle of its bucket.
pub fn variance(histogram: &Histogram) -> f64 {
    let mean = mean(histogram);
    let mut squares = Sum::default();
    for bucket in histogram.buckets() {
        let distance = middle(histogram, bucket) - mean;
        squares.add(bucket.count * distance * distance);
    }
    squares.total() / histogram.count
}

/// The middle of a bucket: geometric, or arithmetic where its observations are spread evenly.
pub(super) fn middle(histogram: &Histogram, bucket: Bucket) -> f64 {
    if histogram.is_custom() {
        (bucket.upper + bucket.lower) / 2.0
    } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        0.0
    } else {
        let middle = (bucket.upper * bucket.lower).sqrt();
        if bucket.upper < 0.0 { -middle } else { middle }
    }
}
