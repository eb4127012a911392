//! Durations as Prometheus writes them in its files: `1h30m`, `90s`, `250ms`, `0`.

/// Units from the longest to the shortest, in milliseconds. A duration names each at most once, in this order.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Milliseconds; the error is Prometheus's.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    match text {
        "" => return Err("empty duration string".to_owned()),
        "0" => return Ok(0),
        _ => {}
    }
    let wrong = || format!("not a valid duration string: {text:?}");
    let too_long = || "duration out of range".to_owned();
    let (mut rest, mut units, mut total) = (text, UNITS.iter(), 0_i64);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = rest.split_at(digits);
        let word = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, behind) = behind.split_at(word);
        let (_, millis) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if number.is_empty() {
            return Err(wrong());
        }
        let part = number.parse::<i64>().ok().and_then(|number| number.checked_mul(*millis)).ok_or_else(too_long)?;
        total = total.checked_add(part).ok_or_else(too_long)?;
        rest = behind;
    }
    // Prometheus holds durations in nanoseconds.
    if total > i64::MAX / 1_000_000 { Err(too_long()) } else { Ok(total) }
}

/// The text of a duration in milliseconds: `1h30m`.
pub fn format_duration(millis: i64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("0s", Ok(0)),
            ("5m", Ok(300_000)),
            ("1h30m", Ok(5_400_000)),
            ("1w", Ok(604_800_000)),
            ("1d12h", Ok(129_600_000)),
            ("250ms", Ok(250)),
            ("1m250ms", Ok(60_250)),
            ("", Err("empty duration string")),
            ("5", Err("not a valid duration string: \"5\"")),
            ("m", Err("not a valid duration string: \"m\"")),
            ("1.5h", Err("not a valid duration string: \"1.5h\"")),
            ("30m1h", Err("not a valid duration string: \"30m1h\"")),
            ("1m1m", Err("not a valid duration string: \"1m1m\"")),
            ("5 m", Err("not a valid duration string: \"5 m\"")),
            ("-5m", Err("not a valid duration string: \"-5m\"")),
            ("99999999999y", Err("duration out of range")),
            ("400y", Err("duration out of range")),
        ] {
            assert_eq!(parse_duration(text), expected.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn written_as_prometheus_writes_them() {
        for (millis, expected) in [
            (0, "0s"),
            (1, "1ms"),
            (90_000, "1m30s"),
            (5_400_000, "1h30m"),
            (604_800_000, "1w"),
            (691_200_000, "8d"),
            (31_536_000_000, "1y"),
        ] {
            assert_eq!(format_duration(millis), expected);
            assert_eq!(parse_duration(expected), Ok(millis));
        }
    }
}
