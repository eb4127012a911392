//! Numbers as filters write them and rows hold them: 64-bit integers of either sign and doubles, compared exactly. A double
//! cannot hold every integer, so neither side is ever converted to the other's type.

use std::cmp::Ordering;
use std::fmt;

/// An integer or a double.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// Wide enough for `i64` and `u64`.
    Int(i128),
    /// A double, NaN included.
    Double(f64),
}

impl Number {
    /// Reads `5`, `-5`, `+5`, `1.5`, `.5`, `1e9`; nothing else, in particular neither `NaN` nor `inf`.
    pub fn parse(text: &str) -> Option<Number> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            || !digits.contains(|c: char| c.is_ascii_digit())
        {
            return None;
        }
        if digits.bytes().all(|b| b.is_ascii_digit()) {
            // An integer too large for 128 bits is still a number.
            return text.parse().map(Number::Int).ok().or_else(|| text.parse().map(Number::Double).ok());
        }
        text.parse().map(Number::Double).ok()
    }

    /// How two numbers compare; `None` if either is NaN.
    pub fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(left), Number::Int(right)) => Some(left.cmp(&right)),
            (Number::Double(left), Number::Double(right)) => left.partial_cmp(&right),
            (Number::Int(left), Number::Double(right)) => int_to_double(left, right),
            (Number::Double(left), Number::Int(right)) => int_to_double(right, left).map(Ordering::reverse),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.compare(*other)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(value) => write!(f, "{value}"),
            Number::Double(value) => f.write_str(&model::attributes::double_text(*value)),
        }
    }
}

fn int_to_double(int: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Outside the range of i128 (about 1.7e38, a power of two and so exact) the sign decides.
    const LIMIT: f64 = (1u128 << 127) as f64;
    if double >= LIMIT {
        return Some(Ordering::Less);
    }
    if double < -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = double.floor();
    // `whole` is an integer within the range, so the cast is exact.
    Some(int.cmp(&(whole as i128)).then(if double > whole { Ordering::Less } else { Ordering::Equal }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_integers_with_doubles_exactly() {
        use Ordering::{Equal, Greater, Less};
        let max = i128::from(i64::MAX);
        for (left, right, expected) in [
            (Number::Int(5), Number::Double(5.0), Some(Equal)),
            (Number::Int(5), Number::Double(5.5), Some(Less)),
            (Number::Int(-5), Number::Double(-5.5), Some(Greater)),
            // 2^63 - 1 is no double; its neighbour 2^63 is.
            (Number::Int(max), Number::Double(max as f64), Some(Less)),
            (Number::Int(max), Number::Double(f64::INFINITY), Some(Less)),
            (Number::Int(max), Number::Double(f64::NEG_INFINITY), Some(Greater)),
            (Number::Int(0), Number::Double(f64::NAN), None),
            (Number::Int(0), Number::Double(-0.0), Some(Equal)),
        ] {
            assert_eq!(left.compare(right), expected, "{left} and {right}");
            assert_eq!(right.compare(left), expected.map(Ordering::reverse), "{right} and {left}");
        }
    }

    #[test]
    fn reads_numbers_only() {
        for (text, number) in [
            ("5", Number::Int(5)),
            ("-5", Number::Int(-5)),
            ("1e3", Number::Double(1000.0)),
            (".5", Number::Double(0.5)),
        ] {
            assert_eq!(Number::parse(text), Some(number), "{text}");
        }
        for text in ["", "-", ".", "NaN", "inf", "infinity", "e5", "5ms", "1_000", "0x5", "--5", "1.2.3", "+"] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }
}
