//! Running totals of series with delta temporality: what PromQL needs of them. The points stay as they were sent; beside each stands, in a
//! column of its own, the total up to it. What keeps the totals is `head/accumulate`; who reads them is `query`.

mod exponential;

use crate::wal::{Input, Malformed, put_varint};

pub use exponential::Exponential;

/// What a series has counted up to a point.
#[derive(Clone, Debug, PartialEq)]
pub struct Total {
    /// Since when, in nanoseconds since the Unix epoch.
    pub start: i64,
    /// Time of the point.
    pub last: i64,
    /// What.
    pub value: TotalValue,
}

/// The value of a total, by the kind of its metric.
#[derive(Clone, Debug, PartialEq)]
pub enum TotalValue {
    /// A sum of whole numbers.
    Int(i64),
    /// A sum.
    Double(f64),
    /// A histogram with explicit bounds.
    Histogram(Explicit),
    /// An exponential histogram.
    Exponential(Exponential),
}

/// A histogram with explicit bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explicit {
    /// How many observations.
    pub count: u64,
    /// Their sum; none once a point lacked it.
    pub sum: Option<f64>,
    /// Upper bounds of all buckets but the last.
    pub bounds: Vec<f64>,
    /// Observations of each bucket.
    pub counts: Vec<u64>,
}

impl Total {
    /// Adds a later point. Where the two cannot be added, as when bounds differ, the point begins anew, which is `false`.
    pub(crate) fn add(&mut self, point: Total) -> bool {
        self.last = point.last;
        match self.value.plus(&point.value) {
            Some(value) => {
                self.value = value;
                true
            }
            None => {
                *self = point;
                false
            }
        }
    }

    /// As it stands in its column and in a checkpoint.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_signed(&mut out, self.start);
        put_signed(&mut out, self.last.wrapping_sub(self.start));
        match &self.value {
            TotalValue::Int(value) => {
                out.push(1);
                put_signed(&mut out, *value);
            }
            TotalValue::Double(value) => {
                out.push(2);
                put_double(&mut out, *value);
            }
            TotalValue::Histogram(Explicit { count, sum, bounds, counts }) => {
                out.push(3);
                put_varint(&mut out, *count);
                put_sum(&mut out, *sum);
                put_varint(&mut out, bounds.len() as u64);
                bounds.iter().for_each(|bound| put_double(&mut out, *bound));
                put_varint(&mut out, counts.len() as u64);
                counts.iter().for_each(|count| put_varint(&mut out, *count));
            }
            TotalValue::Exponential(exponential) => {
                out.push(4);
                exponential.encode(&mut out);
            }
        }
        out
    }

    /// The total that stands in a column; nothing of other bytes.
    pub fn decode(bytes: &[u8]) -> Option<Total> {
        let mut input = Input::new(bytes);
        let total = Self::read(&mut input).ok()?;
        input.is_empty().then_some(total)
    }

    fn read(input: &mut Input<'_>) -> Result<Total, Malformed> {
        let start = signed(input)?;
        let last = start.wrapping_add(signed(input)?);
        let value = match input.byte()? {
            1 => TotalValue::Int(signed(input)?),
            2 => TotalValue::Double(double(input)?),
            3 => {
                let (count, sum) = (input.varint()?, read_sum(input)?);
                let bounds = (0..input.length()?).map(|_| double(input)).collect::<Result<_, _>>()?;
                let counts = (0..input.length()?).map(|_| input.varint()).collect::<Result<_, _>>()?;
                TotalValue::Histogram(Explicit { count, sum, bounds, counts })
            }
            4 => TotalValue::Exponential(Exponential::read(input)?),
            _ => return Err(Malformed("a total of no kind")),
        };
        Ok(Total { start, last, value })
    }
}

impl TotalValue {
    /// Both together; nothing where they cannot be added up, as when bounds differ.
    pub fn plus(&self, other: &TotalValue) -> Option<TotalValue> {
        match (self, other) {
            (TotalValue::Int(one), TotalValue::Int(other)) => one.checked_add(*other).map(TotalValue::Int),
            (TotalValue::Double(one), TotalValue::Double(other)) => Some(TotalValue::Double(one + other)),
            // A sender may write one number whole and the next with a fraction.
            (TotalValue::Int(one), TotalValue::Double(other)) => Some(TotalValue::Double(*one as f64 + other)),
            (TotalValue::Double(one), TotalValue::Int(other)) => Some(TotalValue::Double(one + *other as f64)),
            (TotalValue::Histogram(one), TotalValue::Histogram(other)) => one.plus(other).map(TotalValue::Histogram),
            (TotalValue::Exponential(one), TotalValue::Exponential(other)) => {
                one.plus(other).map(TotalValue::Exponential)
            }
            _ => None,
        }
    }
}

impl Explicit {
    fn plus(&self, other: &Explicit) -> Option<Explicit> {
        if self.bounds != other.bounds || self.counts.len() != other.counts.len() {
            return None;
        }
        let counts = self.counts.iter().zip(&other.counts).map(|(one, other)| one.checked_add(*other));
        Some(Explicit {
            count: self.count.checked_add(other.count)?,
            sum: both(self.sum, other.sum),
            bounds: self.bounds.clone(),
            counts: counts.collect::<Option<_>>()?,
        })
    }
}

fn both(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? + other?)
}

fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_varint(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

fn signed(input: &mut Input<'_>) -> Result<i64, Malformed> {
    let number = input.varint()?;
    Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
}

fn put_double(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn double(input: &mut Input<'_>) -> Result<f64, Malformed> {
    let bytes = input.take(8)?.try_into().map_err(|_| Malformed("a number is cut"))?;
    Ok(f64::from_le_bytes(bytes))
}

fn put_sum(out: &mut Vec<u8>, sum: Option<f64>) {
    out.push(u8::from(sum.is_some()));
    sum.into_iter().for_each(|sum| put_double(out, sum));
}

fn read_sum(input: &mut Input<'_>) -> Result<Option<f64>, Malformed> {
    Ok(if input.byte()? == 0 { None } else { Some(double(input)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(value: TotalValue) -> Total {
        Total { start: -5, last: 1_700_000_000_000_000_000, value }
    }

    fn explicit(counts: &[u64], sum: Option<f64>, bounds: &[f64]) -> TotalValue {
        let (counts, bounds) = (counts.to_vec(), bounds.to_vec());
        TotalValue::Histogram(Explicit { count: counts.iter().sum(), sum, bounds, counts })
    }

    #[test]
    fn totals_read_back_and_what_is_cut_does_not() {
        let exponential = Exponential {
            count: 9,
            sum: Some(0.5),
            scale: -3,
            zero_count: 1,
            zero_threshold: 0.25,
            positive: [(-7, 3), (9, 4)].into(),
            negative: [(0, 1)].into(),
        };
        for value in [
            TotalValue::Int(i64::MIN),
            TotalValue::Double(-0.5),
            explicit(&[1, 0, u64::MAX / 2], None, &[0.5, f64::INFINITY]),
            TotalValue::Exponential(exponential),
        ] {
            let bytes = total(value.clone()).encode();
            assert_eq!(Total::decode(&bytes), Some(total(value)));
            assert!((0..bytes.len()).all(|len| Total::decode(&bytes[..len]).is_none()));
        }
    }

    #[test]
    fn points_are_added_or_begin_anew() {
        for (one, other, expected, goes_on) in [
            (TotalValue::Int(3), TotalValue::Int(4), TotalValue::Int(7), true),
            (TotalValue::Int(3), TotalValue::Double(0.5), TotalValue::Double(3.5), true),
            (TotalValue::Int(i64::MAX), TotalValue::Int(1), TotalValue::Int(1), false),
            (
                explicit(&[1, 2], Some(1.0), &[5.0]),
                explicit(&[3, 4], None, &[5.0]),
                explicit(&[4, 6], None, &[5.0]),
                true,
            ),
            (
                explicit(&[1, 2], Some(1.0), &[5.0]),
                explicit(&[3, 4], None, &[6.0]),
                explicit(&[3, 4], None, &[6.0]),
                false,
            ),
        ] {
            let mut sum = total(one);
            assert_eq!(sum.add(total(other)), goes_on);
            assert_eq!(sum, total(expected));
        }
    }
}
