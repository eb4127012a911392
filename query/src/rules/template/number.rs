//! Numbers in templates: Go's literals, and its reading of texts as floats.

use super::quote::{quote, unquote};
use super::tree::Number;

/// A character constant, which is a number.
pub fn character(text: &str) -> Result<Number, String> {
    let inside = unquote(text).filter(|inside| !inside.is_empty()).ok_or("invalid syntax")?;
    let mut characters = inside.chars();
    let (Some(c), None) = (characters.next(), characters.next()) else {
        return Err(format!("malformed character constant: {text}"));
    };
    let number = u32::from(c);
    Ok(Number { text: text.to_owned(), int: Some(i64::from(number)), float: Some(f64::from(number)) })
}

/// A number literal.
pub fn number(text: &str) -> Result<Number, String> {
    if let Some(int) = parse_int(text) {
        return Ok(Number { text: text.to_owned(), int: Some(int), float: Some(int as f64) });
    }
    // Go knows unsigned integers too; here such a number is one that overflows.
    if let Some(uint) = parse_uint(text) {
        return Ok(Number { text: text.to_owned(), int: None, float: Some(uint as f64) });
    }
    let Some(float) = parse_float(text) else { return Err(format!("illegal number syntax: {}", quote(text))) };
    if !text.contains(['.', 'e', 'E', 'p', 'P']) {
        return Err(format!("integer overflow: {}", quote(text)));
    }
    let whole = float.trunc() == float && float.abs() < 9.2e18;
    Ok(Number { text: text.to_owned(), int: whole.then_some(float as i64), float: Some(float) })
}

fn parse_int(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = i128::from(parse_uint(digits)?);
    i64::try_from(sign * magnitude).ok()
}

fn parse_uint(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let digits = without_underscores(digits, radix != 10)?;
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(&digits, radix).ok()
}

// An underscore stands between two digits, or between prefix and digit.
fn without_underscores(digits: &str, behind_prefix: bool) -> Option<String> {
    let mut before = if behind_prefix { '0' } else { '_' };
    for c in digits.chars() {
        if c == '_' && before == '_' {
            return None;
        }
        before = c;
    }
    (before != '_').then(|| digits.replace('_', ""))
}

/// A float as Go's `strconv.ParseFloat` reads it. What is too large is infinite here and an error there.
pub fn parse_float(text: &str) -> Option<f64> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (-1.0, magnitude),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = magnitude.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" if magnitude.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    if let Some(digits) = lower.strip_prefix("0x") {
        return hexadecimal(digits).map(|value| sign * value);
    }
    if !lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    lower.parse::<f64>().ok().map(|value| sign * value)
}

fn hexadecimal(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = digits.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 13 {
        return None;
    }
    let value = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    Some(value as f64 * 2f64.powi(exponent.checked_sub(4 * i32::try_from(fraction.len()).ok()?)?))
}
