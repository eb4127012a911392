//! Native histograms of remote write, which both versions write alike: spans of buckets with the differences of their counts.
//!
//! Standard schemas become OTLP's exponential histograms: bucket `i` of the one is bucket `i - 1` of the other. Schema -53, whose
//! bounds are given, becomes an explicit histogram. Counts that are no whole numbers, and schemas beyond -4 to 8, have no form in OTLP.

use store::schema::PointValue;

use crate::convert::weight::{self, Budget};
use crate::convert::wire::{Fields, Key, Walk};
use crate::{Reason, limits};

/// The schema of bounds that are given.
const CUSTOM: i32 = -53;
const STANDARD: std::ops::RangeInclusive<i32> = -4..=8;

/// A histogram as it came.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    pub(super) millis: i64,
    pub(super) sum: f64,
    count: u64,
    schema: i32,
    zero_threshold: f64,
    zero_count: u64,
    negative: Side,
    positive: Side,
    bounds: Vec<f64>,
    has_fractions: bool,
}

// Buckets on one side of zero.
#[derive(Debug, Default)]
struct Side {
    // How far a run of buckets is from the end of the one before, and how many it has.
    spans: Vec<(i32, u32)>,
    // Each bucket's count less the one's before.
    deltas: Vec<i64>,
}

/// Its buckets as OTLP has them.
#[derive(Debug)]
pub(super) enum Buckets {
    Exponential { positive: Option<(i32, Vec<u64>)>, negative: Option<(i32, Vec<u64>)> },
    Explicit { counts: Vec<u64> },
}

impl Histogram {
    pub(super) fn read(mut fields: Fields<'_>, budget: &mut Budget) -> Walk<Self> {
        budget.take(&weight::EXPONENTIAL_POINT)?;
        let mut histogram = Self::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => histogram.count = fields.varint(key)?,
                3 => histogram.sum = fields.double(key)?,
                4 => histogram.schema = fields.sint32(key)?,
                5 => histogram.zero_threshold = fields.double(key)?,
                6 => histogram.zero_count = fields.varint(key)?,
                8 => histogram.negative.add_span(fields.message(key)?, budget)?,
                9 => histogram.negative.add_deltas(&mut fields, key)?,
                11 => histogram.positive.add_span(fields.message(key)?, budget)?,
                12 => histogram.positive.add_deltas(&mut fields, key)?,
                15 => histogram.millis = fields.varint(key)?.cast_signed(),
                16 => fields.fixed64_list(key, |bits| histogram.bounds.push(f64::from_bits(bits)))?,
                // Counts as doubles.
                2 | 7 | 10 | 13 => {
                    histogram.has_fractions = true;
                    fields.skip(key)?;
                }
                _ => fields.skip(key)?,
            }
        }
        Ok(histogram)
    }

    pub(super) fn is_custom(&self) -> bool {
        self.schema == CUSTOM
    }

    pub(super) fn buckets(&self) -> Result<Buckets, Reason> {
        if self.has_fractions || !(self.is_custom() || STANDARD.contains(&self.schema)) {
            return Err(Reason::NativeHistogram);
        }
        if !self.is_custom() {
            let otlp = |side: Option<(i32, Vec<u64>)>| -> Result<_, Reason> {
                let Some((first, counts)) = side else { return Ok(None) };
                Ok(Some((first.checked_sub(1).ok_or(Reason::Buckets)?, counts)))
            };
            let (positive, negative) = (otlp(self.positive.dense()?)?, otlp(self.negative.dense()?)?);
            return Ok(Buckets::Exponential { positive, negative });
        }
        if self.bounds.windows(2).any(|pair| pair[0] >= pair[1]) || self.bounds.iter().any(|bound| bound.is_nan()) {
            return Err(Reason::Bounds);
        }
        let mut counts = vec![0; self.bounds.len() + 1];
        if let Some((first, dense)) = self.positive.dense()? {
            let first = usize::try_from(first).map_err(|_| Reason::Buckets)?;
            let end = first.checked_add(dense.len()).filter(|end| *end <= counts.len()).ok_or(Reason::Buckets)?;
            counts[first..end].copy_from_slice(&dense);
        }
        Ok(Buckets::Explicit { counts })
    }
}

impl Buckets {
    /// The value of the histogram that they are of.
    pub(super) fn value<'b>(&'b self, histogram: &'b Histogram) -> PointValue<'b> {
        let (count, sum) = (histogram.count, Some(histogram.sum));
        match self {
            Buckets::Exponential { positive, negative } => PointValue::ExponentialHistogram {
                count,
                sum,
                min: None,
                max: None,
                scale: histogram.schema,
                zero_count: histogram.zero_count,
                zero_threshold: histogram.zero_threshold,
                positive: positive.as_ref().map(|(offset, counts)| (*offset, counts.as_slice())),
                negative: negative.as_ref().map(|(offset, counts)| (*offset, counts.as_slice())),
            },
            Buckets::Explicit { counts } => PointValue::Histogram {
                count,
                sum,
                min: None,
                max: None,
                bucket_counts: counts,
                explicit_bounds: &histogram.bounds,
            },
        }
    }
}

impl Side {
    fn add_span(&mut self, mut fields: Fields<'_>, budget: &mut Budget) -> Walk<()> {
        budget.take(&weight::QUANTILE)?;
        let mut span = (0, 0);
        while let Some(key) = fields.key()? {
            match key.number {
                1 => span.0 = fields.sint32(key)?,
                2 => span.1 = fields.u32(key)?,
                _ => fields.skip(key)?,
            }
        }
        self.spans.push(span);
        Ok(())
    }

    fn add_deltas(&mut self, fields: &mut Fields<'_>, key: Key) -> Walk<()> {
        fields.varint_list(key, |zigzag| {
            self.deltas.push((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()));
        })
    }

    // The number of the first bucket, and the counts of all up to the last, those between spans included.
    fn dense(&self) -> Result<Option<(i32, Vec<u64>)>, Reason> {
        let Some((first, _)) = self.spans.first() else {
            return if self.deltas.is_empty() { Ok(None) } else { Err(Reason::Buckets) };
        };
        let (mut counts, mut count, mut deltas) = (Vec::new(), 0i64, self.deltas.iter());
        for (number, (offset, length)) in self.spans.iter().enumerate() {
            let gap = if number == 0 { 0 } else { usize::try_from(*offset).map_err(|_| Reason::Buckets)? };
            let length = usize::try_from(*length).map_err(|_| Reason::Buckets)?;
            let end = counts.len().saturating_add(gap).saturating_add(length);
            if end > limits::NATIVE_BUCKETS_MAX {
                return Err(Reason::Buckets);
            }
            counts.resize(counts.len() + gap, 0);
            for _ in 0..length {
                let delta = deltas.next().ok_or(Reason::Buckets)?;
                count = count.checked_add(*delta).ok_or(Reason::Buckets)?;
                counts.push(u64::try_from(count).map_err(|_| Reason::Buckets)?);
            }
        }
        if deltas.next().is_some() {
            return Err(Reason::Buckets);
        }
        Ok(if counts.is_empty() { None } else { Some((*first, counts)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(schema: i32, spans: &[(i32, u32)], deltas: &[i64], bounds: &[f64]) -> Histogram {
        let positive = Side { spans: spans.to_vec(), deltas: deltas.to_vec() };
        Histogram { schema, positive, bounds: bounds.to_vec(), ..Histogram::default() }
    }

    #[test]
    fn spans_and_differences_become_counts() {
        // OTLP's golden case the other way round: spans {4,1},{2,3}, deltas 10,10,-15,-3.
        let buckets = histogram(0, &[(4, 1), (2, 3)], &[10, 10, -15, -3], &[]).buckets();
        let Ok(Buckets::Exponential { positive, negative }) = buckets else { panic!("{buckets:?}") };
        assert_eq!((positive, negative), (Some((3, vec![10, 0, 0, 20, 5, 2])), None));
        let buckets = histogram(CUSTOM, &[(1, 2)], &[3, -1], &[0.5, 1.0]).buckets();
        let Ok(Buckets::Explicit { counts }) = buckets else { panic!("{buckets:?}") };
        assert_eq!(counts, [0, 3, 2]);
    }

    #[test]
    fn what_has_no_form_in_otlp_is_refused() {
        for (histogram, reason) in [
            (histogram(9, &[], &[], &[]), Reason::NativeHistogram),
            (Histogram { has_fractions: true, ..Histogram::default() }, Reason::NativeHistogram),
            (histogram(0, &[(0, 2)], &[1], &[]), Reason::Buckets),
            (histogram(0, &[(0, 1)], &[1, 1], &[]), Reason::Buckets),
            (histogram(0, &[], &[1], &[]), Reason::Buckets),
            (histogram(0, &[(0, 1)], &[-1], &[]), Reason::Buckets),
            (histogram(0, &[(0, 1), (-1, 1)], &[1, 1], &[]), Reason::Buckets),
            (histogram(0, &[(0, u32::MAX)], &[1], &[]), Reason::Buckets),
            (histogram(0, &[(i32::MIN, 1)], &[1], &[]), Reason::Buckets),
            (histogram(CUSTOM, &[(0, 4)], &[1, 0, 0, 0], &[1.0, 2.0]), Reason::Buckets),
            (histogram(CUSTOM, &[(0, 1)], &[1], &[2.0, 1.0]), Reason::Bounds),
        ] {
            assert_eq!(histogram.buckets().err(), Some(reason), "{histogram:?}");
        }
    }
}
