//! Numbers as JSON writes them, read without loss: a 64-bit integer never becomes a double on its way.

/// How many of the first bytes are a JSON number; `None` if they are none.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes[at] == b'0') {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        at += (fraction > 0).then_some(1 + fraction)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        at += (exponent > 0).then_some(1 + sign + exponent)?;
    }
    Some(at)
}

/// The integer that a text is: `12`, and also `12.0` and `1.2e1`, which protobuf's JSON mapping allows. `None` if it is none,
/// or far beyond 64 bits.
pub(super) fn integer(text: &str) -> Option<i128> {
    // Eighteen digits fit a u64 whatever they are.
    if text.len() <= 18 && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(i128::from(text.bytes().fold(0u64, |number, byte| number * 10 + u64::from(byte - b'0'))));
    }
    if length(text.as_bytes()) != Some(text.len()) {
        return None;
    }
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // How many zeros follow the significant digits; less than none, and it is no integer.
    let exponent: i64 = exponent.parse().ok()?;
    let trailing = i64::try_from(all.len() - significant.len()).ok()?;
    let zeros = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(trailing)?;
    let power = 10i128.checked_pow(u32::try_from(zeros).ok()?)?;
    let number = significant.parse::<i128>().ok()?.checked_mul(power)?;
    Some(if negative { -number } else { number })
}

/// The double that a number is; `None` if it is no number, or greater than any.
pub(super) fn double(text: &str) -> Option<f64> {
    if length(text.as_bytes()) != Some(text.len()) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The double that a number beyond 64-bit integers was before it was written, with all its digits and zeros behind them.
/// `None` if it is within, or has more digits than it takes to write a double: who wrote it had another number.
pub(super) fn whole_double(text: &str) -> Option<f64> {
    // As many tell every double from its neighbours.
    const DIGITS_MAX: usize = 17;
    let digits: String = text.split(['e', 'E']).next()?.chars().filter(char::is_ascii_digit).collect();
    if digits.trim_matches('0').len() > DIGITS_MAX {
        return None;
    }
    // The first double that no i64 is; the negative of it is one.
    double(text).filter(|value| *value >= I64_END || *value < -I64_END)
}

const I64_END: f64 = 9_223_372_036_854_775_808.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_numbers_are_numbers() {
        let cases = [
            ("0", Some(1)),
            ("-0", Some(2)),
            ("12,", Some(2)),
            ("1.50e+10x", Some(8)),
            ("1E9", Some(3)),
            ("", None),
            ("-", None),
            ("01", None),
            ("+1", None),
            (".5", None),
            ("1.", None),
            ("1e", None),
            ("1e+", None),
            ("NaN", None),
        ];
        for (text, expected) in cases {
            assert_eq!(length(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn integers_are_exact() {
        let cases = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("9223372036854775807", Some(i128::from(i64::MAX))),
            ("-9223372036854775808", Some(i128::from(i64::MIN))),
            ("18446744073709551615", Some(i128::from(u64::MAX))),
            ("18446744073709551616", Some(i128::from(u64::MAX) + 1)),
            ("1544712660300000001", Some(1_544_712_660_300_000_001)),
            ("1.5446607e7", Some(15_446_607)),
            ("12.0", Some(12)),
            ("1.20e1", Some(12)),
            ("120e-1", Some(12)),
            ("-0.0", Some(0)),
            ("0e999999999999999999999", Some(0)),
            ("1.5", None),
            ("1e-1", None),
            ("1e99", None),
            ("1e99999999999999999999", None),
            ("", None),
            ("x", None),
            (" 1", None),
            ("0x10", None),
        ];
        for (text, expected) in cases {
            assert_eq!(integer(text), expected, "{text}");
        }
    }

    #[test]
    fn whole_doubles_are_beyond_64_bits_and_no_longer_than_doubles() {
        let cases = [
            ("9223372036854776000", Some(9_223_372_036_854_775_808.0)),
            ("-9223372036854778000", Some(-9_223_372_036_854_777_856.0)),
            ("18446744073709552000", Some(18_446_744_073_709_551_616.0)),
            ("1e+21", Some(1e21)),
            ("-1.7976931348623157e+308", Some(f64::MIN)),
            // The last i64s, and what a double is not written as.
            ("9223372036854775807", None),
            ("-9223372036854775808", None),
            ("9223372036854775808", None),
            ("18446744073709551616", None),
            ("1e999", None),
            ("1.5", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(whole_double(text), expected, "{text}");
        }
    }

    #[test]
    fn doubles_are_finite_numbers() {
        for (text, expected) in [("1", Some(1.0)), ("-1.5e-300", Some(-1.5e-300)), ("1e999", None), ("inf", None)] {
            assert_eq!(double(text), expected, "{text}");
        }
    }
}
