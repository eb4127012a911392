//! Fractional counts as whole numbers: what a rule records is stored as a point, and points have whole counts.
//!
//! All counts of a histogram are shifted by one power of two, by no more than makes all of them whole; the shift stands in bits of the point's
//! flags that OTLP leaves free. Whole counts are not shifted. Where counts are too far apart for 63 bits, the least of them are rounded.

/// Bits of the flags: the shift and [`BIAS`], or nothing.
const FIRST_BIT: u32 = 8;
const MASK: u32 = 0xfff;
const BIAS: i32 = 2_048;
/// A shifted count is below two to the power of this.
const BITS: i32 = 63;

/// How counts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole(i32);

impl Whole {
    /// For these counts; nothing if one of them is no count.
    pub fn of(counts: impl Iterator<Item = f64>) -> Option<Self> {
        let (mut lowest, mut highest) = (0, i32::MIN);
        for count in counts {
            if !(count.is_finite() && count >= 0.0) {
                return None;
            }
            if count > 0.0 {
                let (low, high) = bits_of(count);
                (lowest, highest) = (lowest.min(low), highest.max(high));
            }
        }
        Some(Self((-lowest).min((BITS - 1).saturating_sub(highest))))
    }

    /// The flags of the point.
    pub fn flags(self) -> u32 {
        match self.0 {
            0 => 0,
            shift => u32::try_from(shift + BIAS).map_or(0, |shift| (shift & MASK) << FIRST_BIT),
        }
    }

    /// As these flags say.
    pub fn with_flags(flags: u32) -> Self {
        match flags >> FIRST_BIT & MASK {
            0 => Self(0),
            shift => Self(i32::try_from(shift).map_or(0, |shift| shift - BIAS)),
        }
    }

    /// The whole number for a count.
    pub fn number(self, count: f64) -> u64 {
        shifted(count, self.0).round() as u64
    }

    /// The count of a whole number.
    pub fn count(self, number: u64) -> f64 {
        if self.0 == 0 { number as f64 } else { shifted(number as f64, -self.0) }
    }
}

// The lowest bit that is set, and the highest: 12 has 2 and 3.
fn bits_of(value: f64) -> (i32, i32) {
    const FRACTION: u32 = f64::MANTISSA_DIGITS - 1;
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> FRACTION) as i32, bits & ((1 << FRACTION) - 1));
    let (mantissa, unit) = match exponent {
        0 => (fraction, f64::MIN_EXP - f64::MANTISSA_DIGITS as i32),
        _ => (fraction | 1 << FRACTION, exponent - 1_075),
    };
    (unit + mantissa.trailing_zeros() as i32, unit + 63 - mantissa.leading_zeros() as i32)
}

// In two steps: a power of two may be beyond all numbers where the product is not.
fn shifted(value: f64, shift: i32) -> f64 {
    let half = shift / 2;
    value * 2f64.powi(half) * 2f64.powi(shift - half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back() {
        for counts in [
            &[][..],
            &[0.0],
            &[1.0, 7.0, 9_007_199_254_740_993.0],
            &[0.5, 3.0, 0.25],
            &[0.1, 8.3, 1.0 / 3.0],
            &[1e-10, 2e-9],
            &[5e-324, 1e-320],
            &[1e19, 2e19],
            &[1e300],
            &[0.003_333_333_333_333_333_5, 1.75],
        ] {
            let whole = Whole::of(counts.iter().copied()).expect("they are counts");
            assert_eq!(Whole::with_flags(whole.flags()), whole, "{counts:?}");
            assert_eq!(whole.flags() & 0xff, 0, "{counts:?}");
            for count in counts {
                assert_eq!(whole.count(whole.number(*count)), *count, "{count} of {counts:?} by {whole:?}");
            }
        }
        assert_eq!(Whole::of([3.0, 0.0, 12.0].into_iter()).map(Whole::flags), Some(0));
        assert_eq!(Whole::of([0.5].into_iter()), Some(Whole(1)));
    }

    #[test]
    fn what_is_far_below_the_greatest_is_rounded() {
        let whole = Whole::of([1e12, 0.1].into_iter()).expect("they are counts");
        assert_eq!(whole.count(whole.number(1e12)), 1e12);
        assert!((whole.count(whole.number(0.1)) - 0.1).abs() < 1e12 / 2f64.powi(62));
    }

    #[test]
    fn what_is_no_count_has_no_number() {
        for wrong in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Whole::of([1.0, wrong].into_iter()), None, "{wrong}");
        }
    }
}
