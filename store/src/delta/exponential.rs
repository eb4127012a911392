//! Exponential histograms that are added up: to the coarser of two scales, and coarser still if they would have too many buckets.

use std::collections::BTreeMap;

use super::{both, double, put_double, put_signed, put_sum, read_sum, signed};
use crate::limits;
use crate::wal::{Input, Malformed, put_varint};

/// An exponential histogram. Bucket `i` begins at `base^i`, as in OTLP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exponential {
    /// How many observations.
    pub count: u64,
    /// Their sum; none once a point lacked it.
    pub sum: Option<f64>,
    /// OTLP's scale.
    pub scale: i32,
    /// Observations of about zero.
    pub zero_count: u64,
    /// What is about zero.
    pub zero_threshold: f64,
    /// Observations by the index of their bucket.
    pub positive: BTreeMap<i32, u64>,
    /// The same below zero.
    pub negative: BTreeMap<i32, u64>,
}

impl Exponential {
    /// Nothing where zero means another thing, or where numbers are too large.
    pub(super) fn plus(&self, other: &Exponential) -> Option<Exponential> {
        if self.zero_threshold != other.zero_threshold {
            return None;
        }
        let scale = self.scale.min(other.scale);
        let (one, other) = (self.in_scale(scale), other.in_scale(scale));
        let sum = Exponential {
            count: one.count.checked_add(other.count)?,
            sum: both(one.sum, other.sum),
            zero_count: one.zero_count.checked_add(other.zero_count)?,
            positive: joined(one.positive, &other.positive)?,
            negative: joined(one.negative, &other.negative)?,
            ..one
        };
        Some(sum.bounded())
    }

    fn in_scale(&self, scale: i32) -> Exponential {
        let steps = self.scale.saturating_sub(scale).clamp(0, 31);
        let coarser = |buckets: &BTreeMap<i32, u64>| {
            let mut coarse: BTreeMap<i32, u64> = BTreeMap::new();
            for (index, count) in buckets {
                let bucket = coarse.entry(index >> steps).or_default();
                *bucket = bucket.saturating_add(*count);
            }
            coarse
        };
        Exponential { scale, positive: coarser(&self.positive), negative: coarser(&self.negative), ..self.clone() }
    }

    fn bounded(self) -> Exponential {
        let mut histogram = self;
        // Ends: each round halves the distance between the indexes.
        while histogram.positive.len() + histogram.negative.len() > limits::TOTAL_BUCKETS_MAX {
            histogram = histogram.in_scale(histogram.scale - 1);
        }
        histogram
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count);
        put_sum(out, self.sum);
        put_signed(out, i64::from(self.scale));
        put_varint(out, self.zero_count);
        put_double(out, self.zero_threshold);
        for buckets in [&self.positive, &self.negative] {
            put_varint(out, buckets.len() as u64);
            let mut before = 0;
            for (index, count) in buckets {
                put_signed(out, i64::from(*index) - before);
                put_varint(out, *count);
                before = i64::from(*index);
            }
        }
    }

    pub(super) fn read(input: &mut Input<'_>) -> Result<Exponential, Malformed> {
        let index = |number: i64| i32::try_from(number).map_err(|_| Malformed("an index is out of bounds"));
        let (count, sum) = (input.varint()?, read_sum(input)?);
        let scale = index(signed(input)?)?;
        let (zero_count, zero_threshold) = (input.varint()?, double(input)?);
        let mut sides = [BTreeMap::new(), BTreeMap::new()];
        for buckets in &mut sides {
            let mut at = 0i64;
            for _ in 0..input.length()? {
                at = at.wrapping_add(signed(input)?);
                buckets.insert(index(at)?, input.varint()?);
            }
        }
        let [positive, negative] = sides;
        Ok(Exponential { count, sum, scale, zero_count, zero_threshold, positive, negative })
    }
}

fn joined(mut one: BTreeMap<i32, u64>, other: &BTreeMap<i32, u64>) -> Option<BTreeMap<i32, u64>> {
    for (index, count) in other {
        let bucket = one.entry(*index).or_default();
        *bucket = bucket.checked_add(*count)?;
    }
    Some(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(scale: i32, positive: &[(i32, u64)]) -> Exponential {
        let count = positive.iter().map(|(_, count)| count).sum();
        Exponential {
            count,
            sum: Some(1.0),
            scale,
            positive: positive.iter().copied().collect(),
            ..Exponential::default()
        }
    }

    #[test]
    fn histograms_meet_at_the_coarser_scale() {
        let sum = histogram(1, &[(-1, 1), (0, 2), (1, 3), (2, 4)]).plus(&histogram(0, &[(-1, 10), (1, 20)]));
        let expected = Exponential { sum: Some(2.0), ..histogram(0, &[(-1, 11), (0, 5), (1, 24)]) };
        assert_eq!(sum, Some(expected));
        let other_zero = Exponential { zero_threshold: 0.5, ..histogram(0, &[]) };
        assert_eq!(other_zero.plus(&histogram(0, &[])), None);
    }

    #[test]
    fn there_are_never_too_many_buckets() {
        let buckets = |from: i32| (from..from + 400).map(|index| (index * 1_000, 1)).collect::<Vec<_>>();
        let sum = histogram(20, &buckets(-400)).plus(&histogram(20, &buckets(0))).expect("they can be added");
        assert!(sum.positive.len() <= limits::TOTAL_BUCKETS_MAX && sum.scale < 20);
        assert_eq!(sum.positive.values().sum::<u64>(), 800);
        // At the ends of what there can be.
        let far = histogram(0, &[(i32::MIN, 1), (i32::MAX, 1)]);
        assert_eq!(far.plus(&far).map(|sum| sum.count), Some(4));
    }
}
