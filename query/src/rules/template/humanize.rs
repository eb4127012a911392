//! Numbers for people, by Prometheus's rules: four significant digits and a prefix.

use super::print::sprintf;
use super::value::Value;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

fn four_digits(value: f64) -> String {
    sprintf("%.4g", &[Value::Float(value)])
}

/// `1.234M`, `12.35m`
pub fn decimal(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    if value.abs() >= 1.0 { scaled(value, &LARGE, 1000.0) } else { scaled_up(value) }
}

/// `1.205Mi`
pub fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    scaled(value, &BINARY, 1024.0)
}

fn scaled(value: f64, prefixes: &[&str], base: f64) -> String {
    let (mut value, mut prefix) = (value, "");
    for larger in prefixes {
        if value.abs() < base {
            break;
        }
        value /= base;
        prefix = larger;
    }
    four_digits(value) + prefix
}

fn scaled_up(value: f64) -> String {
    let (mut value, mut prefix) = (value, "");
    for smaller in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        value *= 1000.0;
        prefix = smaller;
    }
    four_digits(value) + prefix
}

/// Seconds: `1d 2h 3m 4s`, `5.5s`, `12.35ms`
pub fn duration(value: f64) -> String {
    if !value.is_finite() {
        return four_digits(value);
    }
    if value == 0.0 {
        return four_digits(value) + "s";
    }
    if value.abs() < 1.0 {
        return scaled_up(value) + "s";
    }
    let (sign, magnitude) = if value < 0.0 { ("-", -value) } else { ("", value) };
    // Beyond 64 bits Go's conversion gives the least number on the machines Prometheus mostly runs on.
    let whole = if magnitude >= i64::MAX as f64 { i64::MIN } else { magnitude as i64 };
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(magnitude)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}
