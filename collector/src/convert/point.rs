//! A data point of any kind on the wire, and the rules that its value must meet.

use store::schema::{PointValue, metric_type};

use super::Limits;
use super::any::Attributes;
use super::weight::{self, Budget, Shape};
use super::wire::{Fields, Walk};
use crate::Reason;

/// OTLP's flag `NO_RECORDED_VALUE`.
const NO_RECORDED_VALUE: u32 = 1;

/// The kinds of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl Kind {
    /// The kind whose points are in this field of a `Metric`.
    pub(super) fn of_field(number: u32) -> Option<Self> {
        Some(match number {
            5 => Kind::Gauge,
            7 => Kind::Sum,
            9 => Kind::Histogram,
            10 => Kind::ExponentialHistogram,
            11 => Kind::Summary,
            _ => return None,
        })
    }

    /// The store's number for it.
    pub(super) fn metric_type(self) -> u8 {
        match self {
            Kind::Gauge => metric_type::GAUGE,
            Kind::Sum => metric_type::SUM,
            Kind::Histogram => metric_type::HISTOGRAM,
            Kind::ExponentialHistogram => metric_type::EXPONENTIAL_HISTOGRAM,
            Kind::Summary => metric_type::SUMMARY,
        }
    }

    /// What a point of this kind takes.
    pub(super) fn shape(self) -> &'static Shape {
        match self {
            Kind::Gauge | Kind::Sum => &weight::NUMBER_POINT,
            Kind::Histogram => &weight::HISTOGRAM_POINT,
            Kind::ExponentialHistogram => &weight::EXPONENTIAL_POINT,
            Kind::Summary => &weight::SUMMARY_POINT,
        }
    }

    pub(super) fn has_temporality(self) -> bool {
        matches!(self, Kind::Sum | Kind::Histogram | Kind::ExponentialHistogram)
    }
}

/// A measured number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
}

/// A point of any kind. Read again and again, so that its lists keep their memory.
#[derive(Debug, Default)]
pub(super) struct Point<'a> {
    pub attributes: Attributes<'a>,
    pub time_unix_nano: u64,
    pub start_time_unix_nano: u64,
    pub flags: u32,
    pub exemplars: Vec<Exemplar<'a>>,
    kind: Kind,
    number: Option<Number>,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    bucket_counts: Vec<u64>,
    explicit_bounds: Vec<f64>,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: Buckets,
    negative: Buckets,
    quantiles: Vec<(f64, f64)>,
}

#[derive(Debug, Default)]
struct Buckets {
    are_sent: bool,
    offset: i32,
    counts: Vec<u64>,
}

/// An exemplar of a point.
#[derive(Debug, Default)]
pub(super) struct Exemplar<'a> {
    pub attributes: Attributes<'a>,
    pub time_unix_nano: u64,
    pub span_id: &'a [u8],
    pub trace_id: &'a [u8],
    pub value: Option<Number>,
}

impl<'a> Point<'a> {
    /// Reads the next point into this one.
    pub(super) fn read(&mut self, kind: Kind, fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<()> {
        self.clear(kind);
        match kind {
            Kind::Gauge | Kind::Sum => self.read_number(fields, limits, budget),
            Kind::Histogram => self.read_histogram(fields, limits, budget),
            Kind::ExponentialHistogram => self.read_exponential(fields, limits, budget),
            Kind::Summary => self.read_summary(fields, limits, budget),
        }
    }

    fn clear(&mut self, kind: Kind) {
        self.attributes.clear();
        (self.time_unix_nano, self.start_time_unix_nano, self.flags) = (0, 0, 0);
        self.exemplars.clear();
        self.kind = kind;
        self.number = None;
        if matches!(kind, Kind::Gauge | Kind::Sum) {
            return;
        }
        self.count = 0;
        (self.sum, self.min, self.max) = (None, None, None);
        self.bucket_counts.clear();
        self.explicit_bounds.clear();
        (self.scale, self.zero_count, self.zero_threshold) = (0, 0, 0.0);
        self.positive.clear();
        self.negative.clear();
        self.quantiles.clear();
    }

    fn read_number(&mut self, mut fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<()> {
        while let Some(key) = fields.key()? {
            match key.number {
                2 => self.start_time_unix_nano = fields.fixed64(key)?,
                3 => self.time_unix_nano = fields.fixed64(key)?,
                4 => self.number = Some(Number::Double(fields.double(key)?)),
                5 => self.exemplars.push(Exemplar::read(fields.message(key)?, limits, budget)?),
                6 => self.number = Some(Number::Int(fields.fixed64(key)? as i64)),
                7 => self.attributes.read(fields.message(key)?, limits, budget)?,
                8 => self.flags = fields.u32(key)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    fn read_histogram(&mut self, mut fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<()> {
        while let Some(key) = fields.key()? {
            match key.number {
                2 => self.start_time_unix_nano = fields.fixed64(key)?,
                3 => self.time_unix_nano = fields.fixed64(key)?,
                4 => self.count = fields.fixed64(key)?,
                5 => self.sum = Some(fields.double(key)?),
                6 => fields.fixed64_list(key, |count| self.bucket_counts.push(count))?,
                7 => fields.fixed64_list(key, |bits| self.explicit_bounds.push(f64::from_bits(bits)))?,
                8 => self.exemplars.push(Exemplar::read(fields.message(key)?, limits, budget)?),
                9 => self.attributes.read(fields.message(key)?, limits, budget)?,
                10 => self.flags = fields.u32(key)?,
                11 => self.min = Some(fields.double(key)?),
                12 => self.max = Some(fields.double(key)?),
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    fn read_exponential(&mut self, mut fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<()> {
        while let Some(key) = fields.key()? {
            match key.number {
                1 => self.attributes.read(fields.message(key)?, limits, budget)?,
                2 => self.start_time_unix_nano = fields.fixed64(key)?,
                3 => self.time_unix_nano = fields.fixed64(key)?,
                4 => self.count = fields.fixed64(key)?,
                5 => self.sum = Some(fields.double(key)?),
                6 => self.scale = fields.sint32(key)?,
                7 => self.zero_count = fields.fixed64(key)?,
                8 => self.positive.merge(fields.message(key)?)?,
                9 => self.negative.merge(fields.message(key)?)?,
                10 => self.flags = fields.u32(key)?,
                11 => self.exemplars.push(Exemplar::read(fields.message(key)?, limits, budget)?),
                12 => self.min = Some(fields.double(key)?),
                13 => self.max = Some(fields.double(key)?),
                14 => self.zero_threshold = fields.double(key)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    fn read_summary(&mut self, mut fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<()> {
        while let Some(key) = fields.key()? {
            match key.number {
                2 => self.start_time_unix_nano = fields.fixed64(key)?,
                3 => self.time_unix_nano = fields.fixed64(key)?,
                4 => self.count = fields.fixed64(key)?,
                5 => self.sum = Some(fields.double(key)?),
                6 => {
                    budget.take(&weight::QUANTILE)?;
                    self.quantiles.push(quantile(fields.message(key)?)?);
                }
                7 => self.attributes.read(fields.message(key)?, limits, budget)?,
                8 => self.flags = fields.u32(key)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    /// The value, or why the point must not be kept. A point that says it has no value need not have a valid one. If it has
    /// one all the same it is kept as it came: whoever reads values looks at the flag first.
    pub(super) fn value(&self) -> Result<PointValue<'_>, Reason> {
        let value = match self.kind {
            Kind::Gauge | Kind::Sum => match self.number {
                Some(Number::Int(value)) => Ok(PointValue::Int(value)),
                Some(Number::Double(value)) => Ok(PointValue::Double(value)),
                None => Err(Reason::NoValue),
            },
            Kind::Histogram => self.histogram(),
            Kind::ExponentialHistogram => Ok(PointValue::ExponentialHistogram {
                count: self.count,
                sum: self.sum,
                min: self.min,
                max: self.max,
                scale: self.scale,
                zero_count: self.zero_count,
                zero_threshold: self.zero_threshold,
                positive: self.positive.as_sent(),
                negative: self.negative.as_sent(),
            }),
            Kind::Summary => {
                Ok(PointValue::Summary { count: self.count, sum: self.sum.unwrap_or(0.0), quantiles: &self.quantiles })
            }
        };
        let no_recorded_value = self.flags & NO_RECORDED_VALUE != 0;
        value.or_else(|reason| if no_recorded_value { Ok(PointValue::None) } else { Err(reason) })
    }

    fn histogram(&self) -> Result<PointValue<'_>, Reason> {
        fits(&self.bucket_counts, &self.explicit_bounds)?;
        Ok(PointValue::Histogram {
            count: self.count,
            sum: self.sum,
            min: self.min,
            max: self.max,
            bucket_counts: &self.bucket_counts,
            explicit_bounds: &self.explicit_bounds,
        })
    }
}

// As many counts as bounds and one more, or none of either; bounds ascending.
fn fits(counts: &[u64], bounds: &[f64]) -> Result<(), Reason> {
    let fits = if counts.is_empty() { bounds.is_empty() } else { counts.len() == bounds.len() + 1 };
    if !fits {
        return Err(Reason::Buckets);
    }
    // NaN is less than nothing, so it fails here too, but for a bound that stands alone.
    let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || bounds.iter().any(|bound| bound.is_nan()) {
        return Err(Reason::Bounds);
    }
    Ok(())
}

fn quantile(mut fields: Fields<'_>) -> Walk<(f64, f64)> {
    let (mut quantile, mut value) = (0.0, 0.0);
    while let Some(key) = fields.key()? {
        match key.number {
            1 => quantile = fields.double(key)?,
            2 => value = fields.double(key)?,
            _ => fields.skip(key)?,
        }
    }
    Ok((quantile, value))
}

impl Buckets {
    fn clear(&mut self) {
        self.are_sent = false;
        self.offset = 0;
        self.counts.clear();
    }

    fn merge(&mut self, mut fields: Fields<'_>) -> Walk<()> {
        self.are_sent = true;
        while let Some(key) = fields.key()? {
            match key.number {
                1 => self.offset = fields.sint32(key)?,
                2 => fields.varint_list(key, |count| self.counts.push(count))?,
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    fn as_sent(&self) -> Option<(i32, &[u64])> {
        self.are_sent.then_some((self.offset, &self.counts))
    }
}

impl<'a> Exemplar<'a> {
    fn read(mut fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<Self> {
        budget.take(&weight::EXEMPLAR)?;
        let mut exemplar = Self::default();
        while let Some(key) = fields.key()? {
            match key.number {
                2 => exemplar.time_unix_nano = fields.fixed64(key)?,
                3 => exemplar.value = Some(Number::Double(fields.double(key)?)),
                4 => exemplar.span_id = fields.bytes(key)?,
                5 => exemplar.trace_id = fields.bytes(key)?,
                6 => exemplar.value = Some(Number::Int(fields.fixed64(key)? as i64)),
                7 => exemplar.attributes.read(fields.message(key)?, limits, budget)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(exemplar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_bounds_must_fit() {
        type Case<'a> = (&'a [u64], &'a [f64], Result<(), Reason>);
        let cases: [Case<'_>; 11] = [
            (&[], &[], Ok(())),
            (&[4], &[], Ok(())),
            (&[1, 2], &[0.5], Ok(())),
            (&[1, 2, 3], &[f64::NEG_INFINITY, f64::INFINITY], Ok(())),
            (&[], &[1.0], Err(Reason::Buckets)),
            (&[1], &[1.0], Err(Reason::Buckets)),
            (&[1, 2, 3], &[1.0], Err(Reason::Buckets)),
            (&[1, 2, 3], &[1.0, 1.0], Err(Reason::Bounds)),
            (&[1, 2, 3], &[2.0, 1.0], Err(Reason::Bounds)),
            (&[1, 2], &[f64::NAN], Err(Reason::Bounds)),
            (&[1, 2, 3], &[f64::NAN, 1.0], Err(Reason::Bounds)),
        ];
        for (counts, bounds, expected) in cases {
            assert_eq!(fits(counts, bounds), expected, "{counts:?} {bounds:?}");
        }
    }
}
