//! Floats as Go's `strconv.FormatFloat` writes them. Rust writes the same digits; the shapes around them differ.

/// The ways to write a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `%e`
    Exponent,
    /// `%f`
    Fixed,
    /// `%g`: the shorter of the two.
    General,
}

/// Writes `value`; without a precision as briefly as it can be read back. Infinite values have a sign, NaN has none.
pub fn format(value: f64, shape: Shape, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match shape {
        Shape::Exponent => exponent(value, precision),
        Shape::Fixed => match precision {
            Some(precision) => format!("{value:.precision$}"),
            None => format!("{value}"),
        },
        Shape::General => general(value, precision),
    }
}

// Rust writes 1.5e-7 what Go writes 1.5e-07.
fn exponent(value: f64, precision: Option<usize>) -> String {
    let written = match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => shortest(value),
    };
    let (mantissa, power) = split(&written);
    join(mantissa, power)
}

// As few digits as can be read back. Where two such numbers are equally near, Go takes the even one, Rust the greater.
fn shortest(value: f64) -> String {
    let written = format!("{value:e}");
    let digits = split(&written).0.chars().filter(char::is_ascii_digit).count();
    let even = format!("{value:.*e}", digits - 1);
    if even.parse() == Ok(value) { even } else { written }
}

fn split(written: &str) -> (&str, i32) {
    let (mantissa, power) = written.split_once('e').expect("LowerExp writes an exponent");
    (mantissa, power.parse().expect("LowerExp writes a whole exponent"))
}

fn join(mantissa: &str, power: i32) -> String {
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}

fn general(value: f64, precision: Option<usize>) -> String {
    let digits = precision.map(|precision| precision.max(1));
    let written = match digits {
        Some(digits) => format!("{value:.*e}", digits - 1),
        None => shortest(value),
    };
    let (mantissa, power) = split(&written);
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    // Without a precision Go decides as if there were six digits.
    let limit = digits.map_or(SHORTEST_LIMIT, |digits| i32::try_from(digits).unwrap_or(i32::MAX));
    if power < -4 || power >= limit {
        return join(mantissa, power);
    }
    // The digits are known: placing the point cannot round any more.
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let decimals = i32::try_from(fraction).unwrap_or(0) - power;
    match usize::try_from(decimals) {
        Ok(decimals) => format!("{value:.decimals$}"),
        Err(_) => {
            let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
            let zeros = usize::try_from(-decimals).unwrap_or(0);
            digits + &"0".repeat(zeros)
        }
    }
}

const SHORTEST_LIMIT: i32 = 6;

/// `%x`: the bits of the mantissa as hexadecimal digits, as many as `precision` says or as are needed, and the power of two.
pub fn hexadecimal(value: f64, precision: Option<usize>) -> String {
    if !value.is_finite() {
        return format(value, Shape::General, None);
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let bits = value.to_bits();
    let (mut power, mut mantissa) = (((bits >> 52) & 0x7ff) as i32 - 1023, bits & ((1 << 52) - 1));
    if power == -1023 {
        if mantissa == 0 {
            let point = precision.filter(|precision| *precision > 0);
            let zeros = point.map_or(String::new(), |precision| format!(".{}", "0".repeat(precision)));
            return format!("{sign}0x0{zeros}p+00");
        }
        // Numbers below the normal ones begin with a one, too.
        let shift = mantissa.leading_zeros() as i32 - 11;
        mantissa = (mantissa << shift) & ((1 << 52) - 1);
        power = -1022 - shift;
    }
    if let Some(bits) = precision.filter(|precision| *precision < 13).map(|precision| 52 - 4 * precision) {
        // To the nearest, and to the even one of two; a mantissa of two is one with the next power.
        let whole = mantissa | (1 << 52);
        let (kept, rest, half) = (whole >> bits, whole & ((1 << bits) - 1), 1 << (bits - 1));
        let up = rest > half || (rest == half && kept & 1 == 1);
        let rounded = (kept + u64::from(up)) << bits;
        power += i32::from(rounded >> 53 == 1);
        mantissa = rounded & ((1 << 52) - 1);
    }
    let digits = format!("{mantissa:013x}");
    let digits = match precision {
        Some(precision) => format!("{digits:0<precision$}")[..precision].to_owned(),
        None => digits.trim_end_matches('0').to_owned(),
    };
    let point = if digits.is_empty() { "" } else { "." };
    let power_sign = if power < 0 { '-' } else { '+' };
    format!("{sign}0x1{point}{digits}p{power_sign}{:02}", power.abs())
}

/// `%b`: the mantissa as a whole number, and the power of two.
pub fn binary(value: f64) -> String {
    if !value.is_finite() {
        return format(value, Shape::General, None);
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let bits = value.to_bits();
    let (exponent, fraction) = (((bits >> 52) & 0x7ff) as i32, bits & ((1 << 52) - 1));
    let (exponent, mantissa) = if exponent == 0 { (1, fraction) } else { (exponent, fraction | (1 << 52)) };
    format!("{sign}{mantissa}p{:+}", exponent - 1075)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_go_writes() {
        for (value, shape, precision, expected) in [
            (1e6, Shape::General, None, "1e+06"),
            (123_456.0, Shape::General, None, "123456"),
            (1_234_567.0, Shape::General, None, "1.234567e+06"),
            (1e-4, Shape::General, None, "0.0001"),
            (1e-5, Shape::General, None, "1e-05"),
            (-0.0, Shape::General, None, "-0"),
            (100_000.0, Shape::General, None, "100000"),
            (0.1 + 0.2, Shape::General, None, "0.30000000000000004"),
            (99_999.5, Shape::General, Some(4), "1e+05"),
            (9999.4, Shape::General, Some(4), "9999"),
            (123.45, Shape::General, Some(4), "123.5"),
            (-5_378_430_331_620_866.0 / 8.0, Shape::General, None, "-6.723037914526082e+14"),
            (100.0, Shape::General, Some(4), "100"),
            (0.5, Shape::General, Some(0), "0.5"),
            (2.5, Shape::Fixed, Some(0), "2"),
            (1e-7, Shape::Exponent, None, "1e-07"),
            (123_456.789, Shape::Exponent, Some(2), "1.23e+05"),
            (f64::NEG_INFINITY, Shape::Fixed, Some(1), "-Inf"),
        ] {
            assert_eq!(format(value, shape, precision), expected);
        }
        for (value, expected) in [(3.5, "0x1.cp+01"), (0.0, "0x0p+00"), (-1.0, "-0x1p+00"), (5e-324, "0x1p-1074")] {
            assert_eq!(hexadecimal(value, None), expected);
        }
    }
}
