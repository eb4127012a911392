//! Sums, differences and multiples of histograms.

use super::{Buckets, Hint, Histogram};

/// Two histograms made one, with what had to be done for it.
#[derive(Clone, Debug)]
pub struct Combined {
    /// The result.
    pub histogram: Histogram,
    /// Whether custom bounds had to be left out, because the other has them not.
    pub reconciled: bool,
    /// Whether one came after a reset and the other surely did not.
    pub collided: bool,
}

/// Exponential and custom buckets never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incompatible;

impl Histogram {
    /// `self + other`
    pub fn plus(&self, other: &Self) -> Result<Combined, Incompatible> {
        self.combined(other, |one, other| one + other)
    }

    /// `self - other`. A difference counts nothing, whatever the two have counted: its hint is the caller's matter.
    pub fn minus(&self, other: &Self) -> Result<Combined, Incompatible> {
        self.combined(other, |one, other| one - other)
    }

    fn combined(&self, other: &Self, join: impl Fn(f64, f64) -> f64 + Copy) -> Result<Combined, Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let (hint, collided) = self.hint.with(other.hint);
        let (one, two, reconciled) = if self.is_custom() {
            let bounds = self.common_bounds(other);
            (self.with_bounds(&bounds), other.with_bounds(&bounds), self.bounds != other.bounds)
        } else {
            let (one, two) = self.aligned(other);
            (one, two, false)
        };
        let histogram = Self {
            schema: one.schema,
            count: join(one.count, two.count),
            sum: join(one.sum, two.sum),
            zero_threshold: one.zero_threshold,
            zero_count: join(one.zero_count, two.zero_count),
            positive: one.positive.merged(&two.positive, join),
            negative: one.negative.merged(&two.negative, join),
            bounds: one.bounds,
            hint,
        };
        Ok(Combined { histogram, reconciled, collided })
    }

    /// `self * factor`
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        let hint = if factor < 0.0 { Hint::Gauge } else { self.hint };
        self.changed(hint, |count| count * factor)
    }

    /// `self / divisor`
    #[must_use]
    pub fn over(&self, divisor: f64) -> Self {
        let hint = if divisor < 0.0 { Hint::Gauge } else { self.hint };
        let quotient = self.changed(hint, |count| count / divisor);
        if divisor != 0.0 {
            return quotient;
        }
        // Infinitely many observations stand in no bucket but the one that is always there.
        Self { positive: Buckets::default(), negative: Buckets::default(), ..quotient }
    }

    fn changed(&self, hint: Hint, change: impl Fn(f64) -> f64 + Copy) -> Self {
        Self {
            schema: self.schema,
            count: change(self.count),
            sum: change(self.sum),
            zero_threshold: self.zero_threshold,
            zero_count: change(self.zero_count),
            positive: self.positive.mapped(change),
            negative: self.negative.mapped(change),
            bounds: self.bounds.clone(),
            hint,
        }
    }
}

impl Hint {
    // Of what two become together, and whether they contradict each other.
    fn with(self, other: Self) -> (Self, bool) {
        match (self, other) {
            (Hint::Gauge, _) | (_, Hint::Gauge) => (Hint::Gauge, false),
            (one, other) if one == other => (one, false),
            (Hint::Unknown, _) | (_, Hint::Unknown) => (Hint::Unknown, false),
            _ => (Hint::Unknown, true),
        }
    }
}
