//! Durations as Prometheus writes them (`1h30m`, `15s`, `250ms`), and sizes (`10MB`).

// From the longest to the shortest, in milliseconds. A duration names each at most once, in this order.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Milliseconds, below three hundred years.
pub(super) fn parse(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut from, mut millis) = (text, 0, 0i64);
    while from == 0 || !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let position = UNITS[from..].iter().position(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.parse::<i64>().ok()?.checked_mul(UNITS[from + position].1)?)?;
        (rest, from) = (tail, from + position + 1);
    }
    (millis <= i64::MAX / 1_000_000).then_some(millis)
}

/// The text of a duration in milliseconds.
pub(super) fn format(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let (mut text, mut rest) = (String::new(), millis.max(0));
    for (unit, length) in UNITS {
        // Weeks and years only where nothing is left over, as Prometheus does.
        if matches!(unit, "y" | "w") && rest % length != 0 {
            continue;
        }
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    text
}

/// Bytes of a size: `10MB`, `1GiB`, `512KB`, always in powers of 1024; 0 for none.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let power = match unit.strip_suffix('B')?.trim_end_matches('i') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * (1u64 << power) as f64;
    (bytes < 9e18).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("15s", Some(15_000)),
            ("1m30s", Some(90_000)),
            ("250ms", Some(250)),
            ("1d", Some(86_400_000)),
            ("", None),
            ("15", None),
            ("30s1m", None),
            ("1.5s", None),
            ("-1s", None),
            ("9999999y", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
        for (millis, expected) in [(0, "0s"), (15_000, "15s"), (90_000, "1m30s"), (691_200_000, "8d"), (1, "1ms")] {
            assert_eq!(format(millis), expected);
        }
        for (text, expected) in [
            ("0", Some(0)),
            ("10MB", Some(10 << 20)),
            ("1.5KiB", Some(1536)),
            ("7B", Some(7)),
            ("10", None),
            ("MB", None),
            ("10XB", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text:?}");
        }
    }
}
