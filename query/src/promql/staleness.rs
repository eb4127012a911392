//! The staleness marker: the one NaN that says "this series ended here", told from other NaNs by its bits.
//!
//! OTLP's NO_RECORDED_VALUE becomes this marker; it never appears in an answer.

const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The marker as a sample's value.
#[inline]
pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Whether `value` is the marker, and no other NaN.
#[inline]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marker_is_stale() {
        assert!(is_stale(stale_marker()));
        assert!(stale_marker().is_nan());
        assert!(!is_stale(f64::NAN));
        assert!(!is_stale(-f64::NAN));
        assert!(!is_stale(0.0));
    }
}
