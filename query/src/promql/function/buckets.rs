//! The arithmetic of classic histograms: cumulative counts below upper bounds.

/// How many observations lie at or below a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The upper bound.
    pub bound: f64,
    /// Observations up to it.
    pub count: f64,
}

/// A quantile, and whether the counts had to be made to rise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Whether a bucket had fewer observations than one below it.
    pub forced: bool,
}

// Differences of this share are errors of rounding.
const TOLERANCE: f64 = 1e-12;

/// The value below which `share` of the observations lie, interpolated within its bucket.
pub fn quantile(share: f64, buckets: &mut Vec<Bucket>) -> Estimate {
    let sure = |value| Estimate { value, forced: false };
    if share.is_nan() || buckets.is_empty() {
        return sure(f64::NAN);
    }
    if share < 0.0 {
        return sure(f64::NEG_INFINITY);
    }
    if share > 1.0 {
        return sure(f64::INFINITY);
    }
    if !put_in_order(buckets) {
        return sure(f64::NAN);
    }
    let forced = make_rise(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        // Whether anything was forced is not said here either.
        return sure(f64::NAN);
    }
    let rank = share * observations;
    let index = buckets[..last].iter().position(|bucket| bucket.count >= rank).unwrap_or(last);
    let value = match index {
        // Beyond the last finite bound nothing is known.
        index if index == last => buckets[last - 1].bound,
        // A first bucket below zero has no beginning.
        0 if buckets[0].bound <= 0.0 => buckets[0].bound,
        0 => buckets[0].bound * (rank / buckets[0].count),
        index => {
            let (below, here) = (buckets[index - 1], buckets[index]);
            let share = (rank - below.count) / (here.count - below.count);
            below.bound + (here.bound - below.bound) * share
        }
    };
    Estimate { value, forced }
}

/// Which share of the observations lies between `lower` and `upper`, interpolated within buckets.
pub fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if lower.is_nan() || upper.is_nan() || !put_in_order(buckets) {
        return f64::NAN;
    }
    let observations = buckets[buckets.len() - 1].count;
    if observations == 0.0 {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets) - rank_of(lower, buckets)) / observations
}

// How many observations lie below `value`.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let mut below = Bucket { bound: if buckets[0].bound > 0.0 { 0.0 } else { f64::NEG_INFINITY }, count: 0.0 };
    for bucket in buckets {
        if value < bucket.bound {
            return match (below.bound.is_infinite(), bucket.bound.is_infinite()) {
                // Left of everything.
                _ if value <= below.bound => below.count,
                // Where within an endless bucket is not known: as if all its observations stood at its finite end.
                (true, _) => bucket.count,
                (_, true) => below.count,
                (false, false) => {
                    let share = (value - below.bound) / (bucket.bound - below.bound);
                    below.count + (bucket.count - below.count) * share
                }
            };
        }
        below = *bucket;
    }
    below.count
}

// Sorts and joins equal bounds; whether there is a bucket for everything, without which nothing can be said.
fn put_in_order(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    // `dedup_by` gives the later first, and keeps the earlier.
    buckets.dedup_by(|later, earlier| {
        let same = later.bound == earlier.bound;
        if same {
            earlier.count += later.count;
        }
        same
    });
    buckets.last().is_some_and(|last| last.bound == f64::INFINITY)
}

// Takes away every fall of the counts; whether one was more than an error of rounding.
fn make_rise(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        if bucket.count == before {
            continue;
        }
        let rounding = almost_equal(before, bucket.count);
        if rounding || bucket.count < before {
            bucket.count = before;
            forced |= !rounding;
        } else {
            before = bucket.count;
        }
    }
    forced
}

fn almost_equal(left: f64, right: f64) -> bool {
    if left == right || (left.is_nan() && right.is_nan()) {
        return true;
    }
    let sum = left.abs() + right.abs();
    let difference = (left - right).abs();
    if left == 0.0 || right == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    #[test]
    fn quantiles_of_buckets() {
        let usual = [(0.1, 10.0), (0.2, 30.0), (INF, 40.0)];
        for (share, pairs, expected, forced) in [
            (0.5, &usual[..], 0.15, false),
            (0.125, &usual, 0.05, false),
            (0.0, &usual, 0.0, false),
            (0.9, &usual, 0.2, false),
            (1.0, &usual, 0.2, false),
            (-1.0, &usual, -INF, false),
            (2.0, &usual, INF, false),
            (f64::NAN, &usual, f64::NAN, false),
            // Without a bucket for everything, with nothing but it, or with no observation.
            (0.5, &usual[..2], f64::NAN, false),
            (0.5, &usual[2..], f64::NAN, false),
            (0.5, &[(1.0, 0.0), (INF, 0.0)], f64::NAN, false),
            (0.5, &[], f64::NAN, false),
            // In any order, with one bound twice.
            (0.5, &[(INF, 4.0), (2.0, 2.0), (1.0, 1.0), (2.0, 2.0)], 1.3333333333333333, false),
            // Below zero.
            (0.1, &[(-1.0, 5.0), (0.0, 10.0), (INF, 10.0)], -1.0, false),
            (0.75, &[(-1.0, 5.0), (0.0, 10.0), (INF, 10.0)], -0.5, false),
            // Counts that fall, really and by rounding.
            (0.5, &[(1.0, 10.0), (2.0, 8.0), (INF, 20.0)], 1.0, true),
            (0.5, &[(1.0, 10.0), (2.0, 9.999999999999998), (INF, 20.0)], 1.0, false),
        ] {
            let got = quantile(share, &mut buckets(pairs));
            let same = (got.value - expected).abs() < 1e-12
                || got.value == expected
                || (got.value.is_nan() && expected.is_nan());
            assert!(same && got.forced == forced, "{share} of {pairs:?} is {got:?}");
        }
    }

    #[test]
    fn fractions_of_buckets() {
        let usual = [(0.1, 10.0), (0.2, 30.0), (INF, 40.0)];
        for (lower, upper, expected) in [
            (0.0, 0.2, 0.75),
            (-INF, INF, 1.0),
            (0.05, 0.15, 0.375),
            (0.2, 0.1, 0.0),
            (0.2, INF, 0.25),
            (-1.0, 0.0, 0.0),
            (f64::NAN, 1.0, f64::NAN),
        ] {
            let got = fraction(lower, upper, &mut buckets(&usual));
            assert!((got - expected).abs() < 1e-12 || (got.is_nan() && expected.is_nan()), "{lower}..{upper}: {got}");
        }
    }
}
