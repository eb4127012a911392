//! Where buckets begin and end, and how two histograms get the same buckets.

use std::sync::Arc;

use super::{Buckets, Histogram};

/// The upper bound of the bucket `index` of an exponential schema. The greatest number ends the last bucket of finite ones.
pub(super) fn bound(schema: i32, index: i32) -> f64 {
    let index = i64::from(index);
    let (whole, part) = if schema <= 0 {
        (index << -schema.max(-31), 0.0)
    } else {
        let width = 1i64 << schema.min(31);
        (index.div_euclid(width), index.rem_euclid(width) as f64 / width as f64)
    };
    if whole > 1024 || (whole == 1024 && part > 0.0) {
        return f64::INFINITY;
    }
    if whole == 1024 {
        return f64::MAX;
    }
    // In two steps, so that what is subnormal does not become zero too early.
    let whole = i32::try_from(whole.max(-1100)).unwrap_or(-1100);
    let half = whole / 2;
    part.exp2() * 2f64.powi(half) * 2f64.powi(whole - half)
}

impl Buckets {
    /// The buckets of a schema that is coarser by `steps`.
    pub(super) fn coarser(&self, steps: i32) -> Self {
        if steps <= 0 {
            return self.clone();
        }
        Self::new(self.iter().map(|(index, count)| ((index.saturating_sub(1) >> steps.min(31)) + 1, count)))
    }

    /// Each count with the one of `other` at its index; what one does not have is 0.
    pub(super) fn merged(&self, other: &Self, join: impl Fn(f64, f64) -> f64) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut joined = Vec::with_capacity(self.0.len().max(other.0.len()));
        loop {
            let (index, count) = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some((index, count)), None) => (*index, join(*count, 0.0)),
                (None, Some((index, count))) => (*index, join(0.0, *count)),
                (Some((one, count)), Some((other, _))) if one < other => (*one, join(*count, 0.0)),
                (Some((one, _)), Some((other, count))) if other < one => (*other, join(0.0, *count)),
                (Some((index, one)), Some((_, other))) => (*index, join(*one, *other)),
            };
            left.next_if(|(at, _)| *at == index);
            right.next_if(|(at, _)| *at == index);
            if count != 0.0 {
                joined.push((index, count));
            }
        }
        Self(joined)
    }

    /// Each count changed.
    pub(super) fn mapped(&self, change: impl Fn(f64) -> f64) -> Self {
        Self(self.iter().map(|(index, count)| (index, change(count))).filter(|(_, count)| *count != 0.0).collect())
    }

    // Without those that `gone` accepts.
    pub(super) fn without(&self, gone: impl Fn(i32) -> bool) -> Self {
        Self(self.iter().filter(|(index, _)| !gone(*index)).collect())
    }
}

impl Histogram {
    /// The same in a coarser exponential schema; as it is if that is none.
    pub fn in_schema(&self, schema: i32) -> Self {
        if self.is_custom() || schema >= self.schema {
            return self.clone();
        }
        let steps = self.schema - schema;
        let (positive, negative) = (self.positive.coarser(steps), self.negative.coarser(steps));
        Self { schema, positive, negative, ..self.clone() }
    }

    /// What the zero bucket would hold if it reached `threshold`, and how far it has to reach at least so as not to end within a
    /// bucket that holds something.
    pub(super) fn zero_up_to(&self, threshold: f64) -> (f64, f64) {
        let mut threshold = threshold;
        if threshold == self.zero_threshold {
            return (self.zero_count, threshold);
        }
        // Ends: each round takes in at least one more bucket.
        loop {
            let mut count = self.zero_count;
            let mut grown = None;
            for buckets in [&self.positive, &self.negative] {
                for (index, observations) in buckets.iter() {
                    let (lower, upper) = self.reach(index);
                    if lower >= threshold {
                        break;
                    }
                    count += observations;
                    if upper > threshold {
                        grown = Some(upper);
                        break;
                    }
                }
                if grown.is_some() {
                    break;
                }
            }
            match grown {
                Some(upper) => threshold = upper,
                None => return (count, threshold),
            }
        }
    }

    /// The same with a zero bucket that reaches at least `threshold`.
    fn with_zero_up_to(self, threshold: f64) -> Self {
        if threshold <= self.zero_threshold {
            return self;
        }
        let (zero_count, zero_threshold) = self.zero_up_to(threshold);
        let inside = |index: i32| self.reach(index).0 < zero_threshold;
        let (positive, negative) = (self.positive.without(inside), self.negative.without(inside));
        Self { zero_count, zero_threshold, positive, negative, ..self }
    }

    /// Two exponential histograms with the same schema and the same zero bucket. The zero bucket comes first: it takes in what it
    /// must of the finer buckets, and may end within a coarser one, whose observations are all beyond it.
    pub(super) fn aligned(&self, other: &Self) -> (Self, Self) {
        let (mut one, mut two) = (self.clone(), other.clone());
        // Ends: thresholds only grow, from bound to bound.
        while one.zero_threshold != two.zero_threshold {
            let threshold = one.zero_threshold.max(two.zero_threshold);
            if threshold.is_nan() {
                break;
            }
            one = one.with_zero_up_to(threshold);
            two = two.with_zero_up_to(threshold);
        }
        let schema = self.schema.min(other.schema);
        (one.in_schema(schema), two.in_schema(schema))
    }

    /// The same with only these custom bounds, each of which it has: what lay below one that goes lies below the next that stays.
    pub(super) fn with_bounds(&self, bounds: &Arc<[f64]>) -> Self {
        if self.bounds == *bounds {
            return self.clone();
        }
        let target = |index: i32| {
            let own = usize::try_from(index).ok().and_then(|index| self.bounds.get(index));
            let at = own.map_or(bounds.len(), |own| bounds.partition_point(|bound| bound < own));
            i32::try_from(at).unwrap_or(i32::MAX)
        };
        let positive = Buckets::new(self.positive.iter().map(|(index, count)| (target(index), count)));
        Self { positive, bounds: Arc::clone(bounds), ..self.clone() }
    }

    /// The custom bounds that both have.
    pub(super) fn common_bounds(&self, other: &Self) -> Arc<[f64]> {
        if self.bounds == other.bounds {
            return Arc::clone(&self.bounds);
        }
        self.bounds.iter().copied().filter(|bound| other.bounds.contains(bound)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::histogram::CUSTOM_SCHEMA;

    #[test]
    fn bounds_of_schemas() {
        for (schema, index, expected) in [
            (0, 0, 1.0),
            (0, 3, 8.0),
            (0, -2, 0.25),
            (1, 1, std::f64::consts::SQRT_2),
            (8, 256, 2.0),
            (-1, 1, 4.0),
            (-4, 1, 65_536.0),
            (0, 1024, f64::MAX),
            (0, 1025, f64::INFINITY),
            (-4, 65, f64::INFINITY),
            (0, -1074, 5e-324),
            (8, i32::MAX, f64::INFINITY),
            (-4, i32::MIN, 0.0),
        ] {
            let got = bound(schema, index);
            assert!((got - expected).abs() <= expected.abs() * 1e-15 || got == expected, "{schema} {index}: {got}");
        }
    }

    #[test]
    fn coarser_buckets_hold_the_same() {
        let buckets = Buckets::new([(-1, 1.0), (0, 2.0), (1, 3.0), (2, 4.0), (3, 5.0)]);
        assert_eq!(buckets.coarser(1), Buckets::new([(0, 3.0), (1, 7.0), (2, 5.0)]));
        assert_eq!(buckets.coarser(2), Buckets::new([(0, 3.0), (1, 12.0)]));
    }

    #[test]
    fn a_zero_bucket_never_ends_within_another() {
        let histogram = Histogram {
            zero_count: 1.0,
            zero_threshold: 0.001,
            positive: Buckets::new([(0, 2.0), (1, 3.0)]),
            negative: Buckets::new([(2, 4.0)]),
            ..Histogram::default()
        };
        assert_eq!(histogram.zero_up_to(0.1), (1.0, 0.1));
        assert_eq!(histogram.zero_up_to(0.7), (3.0, 1.0));
        assert_eq!(histogram.zero_up_to(3.0), (10.0, 4.0));
        let (one, two) = histogram.aligned(&Histogram { zero_threshold: 0.7, ..Histogram::default() });
        assert_eq!((one.zero_threshold, two.zero_threshold, one.zero_count), (1.0, 1.0, 3.0));
    }

    #[test]
    fn custom_bounds_are_left_out() {
        let histogram = Histogram {
            schema: CUSTOM_SCHEMA,
            bounds: Arc::from([1.0, 2.0, 3.0]),
            positive: Buckets::new([(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)]),
            ..Histogram::default()
        };
        let fewer = histogram.with_bounds(&Arc::from([2.0]));
        assert_eq!(fewer.positive, Buckets::new([(0, 3.0), (1, 7.0)]));
        assert_eq!(histogram.with_bounds(&Arc::from([])).positive, Buckets::new([(0, 10.0)]));
    }
}
