//! Histograms as text, as Prometheus writes them where one becomes a label's value.

use std::fmt;

use super::{Bucket, Histogram};

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", short_number(self.count), short_number(self.sum))?;
        for bucket in self.buckets() {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let (lower, upper, count) = (short_number(self.lower), short_number(self.upper), short_number(self.count));
        write!(f, "{open}{lower},{upper}{close}:{count}")
    }
}

/// A number as Go writes it with `%g`.
pub fn short_number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let exponent = value.abs().log10().floor();
    if value == 0.0 || value.is_nan() || (-4.0..6.0).contains(&exponent) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::histogram::Buckets;

    #[test]
    fn numbers_in_messages() {
        for (value, expected) in [
            (2.0, "2"),
            (-1.5, "-1.5"),
            (123_456.5, "123456.5"),
            (-1_234_567.0, "-1.234567e+06"),
            (1e22, "1e+22"),
            (2.5e-7, "2.5e-07"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(short_number(value), expected);
        }
    }

    #[test]
    fn histograms_in_labels() {
        let histogram = Histogram {
            count: 9.0,
            sum: 1.5,
            zero_threshold: 0.001,
            zero_count: 2.0,
            positive: Buckets::new([(0, 1.0), (2, 3.0)]),
            negative: Buckets::new([(0, 1.0), (1, 2.0)]),
            ..Histogram::default()
        };
        let expected = "{count:9, sum:1.5, [-2,-1):2, [-1,-0.5):1, [-0.001,0.001]:2, (0.5,1]:1, (2,4]:3}";
        assert_eq!(histogram.to_string(), expected);
    }
}
