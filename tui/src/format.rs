//! Numbers, times and values as people read them. Everything here is short enough for a column.

use model::Timestamp;
use model::time::format_duration;
use serde_json::{Map, Value};

use crate::limits::HEAD_CHARS_MAX;
use crate::sanitize::Safe;

/// The moment a row's time names; `None` if it names none.
pub fn moment(text: &str) -> Option<Timestamp> {
    // Rows carry RFC 3339 only; the other ways to write a time are for people.
    text.contains('T').then(|| Timestamp::parse(text, Timestamp::default()).ok()).flatten()
}

/// `14:02:11`
pub fn clock(moment: Timestamp) -> Safe {
    Safe::line(&moment.to_string()[11..19])
}

/// `14:02:11.123`
pub fn clock_millis(moment: Timestamp) -> Safe {
    Safe::line(&moment.to_string()[11..23])
}

/// `2026-01-31 14:02:11`
pub fn date(moment: Timestamp) -> Safe {
    let text = moment.to_string();
    Safe::of(format_args!("{} {}", &text[..10], &text[11..19]))
}

/// A row's time as [`clock_millis`]; as it came, if it is none.
pub fn row_clock(text: &str) -> Safe {
    moment(text).map_or_else(|| Safe::line(text), clock_millis)
}

/// A row's time with its date; as it came, if it is none.
pub fn row_date(text: &str) -> Safe {
    match moment(text) {
        Some(moment) => Safe::of(format_args!("{} {}", &moment.to_string()[..10], clock_millis(moment))),
        None => Safe::line(text),
    }
}

/// A duration: `1.25s`.
pub fn duration(nanos: u64) -> Safe {
    Safe::line(&format_duration(i64::try_from(nanos).unwrap_or(i64::MAX)))
}

/// How long ago something was, to one unit: `now`, `14s`, `3m`, `5h`, `2d`.
pub fn age(nanos: i64) -> Safe {
    let seconds = nanos / 1_000_000_000;
    match seconds {
        ..1 => Safe::from_static("now"),
        1..60 => Safe::of(format_args!("{seconds}s")),
        60..3_600 => Safe::of(format_args!("{}m", seconds / 60)),
        3_600..172_800 => Safe::of(format_args!("{}h", seconds / 3_600)),
        _ => Safe::of(format_args!("{}d", seconds / 86_400)),
    }
}

/// Minutes and seconds: `00:14`.
pub fn stopwatch(passed: std::time::Duration) -> Safe {
    let seconds = passed.as_secs();
    Safe::of(format_args!("{:02}:{:02}", seconds / 60, seconds % 60))
}

/// A window's length as people say it: `15m`, `2h`, `1h30m`, `90s`.
pub fn window(nanos: i64) -> Safe {
    let mut seconds = nanos / 1_000_000_000;
    if seconds == 0 {
        return duration(nanos.unsigned_abs());
    }
    let mut text = String::new();
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if seconds >= size {
            text.push_str(&format!("{}{unit}", seconds / size));
            seconds %= size;
        }
    }
    Safe::line(&text)
}

/// Every digit: `12,431`.
pub fn count(number: u64) -> Safe {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    Safe::line(&text)
}

/// Three digits that count: `950`, `12.4k`, `3.1M`.
pub fn short_count(number: f64) -> Safe {
    if !number.is_finite() {
        return Safe::of(number);
    }
    let (mut size, mut unit) = (number, "");
    for next in ["k", "M", "G", "T", "P", "E"] {
        if size.abs() < 999.5 {
            break;
        }
        size /= 1_000.0;
        unit = next;
    }
    let digits = match size.abs() {
        s if s == 0.0 || s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        _ if unit.is_empty() && size.fract() == 0.0 => 0,
        _ => 2,
    };
    let text = format!("{size:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    Safe::of(format_args!("{text}{unit}"))
}

/// A value in full, as Prometheus's API writes it but for powers of ten where people write none: `2.5e-01` is `0.25`.
pub fn exact(text: &str) -> Safe {
    match text.parse::<f64>() {
        Ok(number) if number == 0.0 || (1e-4..1e15).contains(&number.abs()) => Safe::of(number),
        _ => Safe::line(text),
    }
}

/// Something a second: `41.2/s`.
pub fn rate(a_second: f64) -> Safe {
    Safe::of(format_args!("{}/s", short_count(a_second)))
}

/// A share of one: `0%`, `0.4%`, `12%`.
pub fn share(of_one: f64) -> Safe {
    let percent = of_one * 100.0;
    if percent == 0.0 {
        Safe::from_static("0%")
    } else if percent < 0.1 {
        Safe::from_static("<0.1%")
    } else if percent < 9.95 {
        Safe::of(format_args!("{percent:.1}%"))
    } else {
        Safe::of(format_args!("{percent:.0}%"))
    }
}

/// `1 span`, `12,431 spans`.
pub fn counted(number: u64, one: &'static str) -> Safe {
    Safe::of(format_args!("{} {one}{}", count(number), if number == 1 { "" } else { "s" }))
}

/// Bytes: `1.5 KiB`.
pub fn bytes(number: u64) -> Safe {
    let (mut size, mut unit) = (number as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if size < 1_024.0 {
            break;
        }
        size /= 1_024.0;
        unit = next;
    }
    if unit == "B" { Safe::of(format_args!("{number} B")) } else { Safe::of(format_args!("{size:.1} {unit}")) }
}

/// A value without the quotes that JSON would put around a text.
pub fn value(value: &Value) -> Safe {
    match value {
        Value::String(text) => Safe::line(text),
        other => Safe::of(other),
    }
}

/// Attributes as `key=value` in the order of their keys, as many as a row shows.
pub fn pairs(attributes: &Map<String, Value>) -> Safe {
    let mut pairs = Vec::new();
    let mut bytes = 0;
    for (key, of) in attributes {
        if bytes > HEAD_CHARS_MAX {
            break;
        }
        let pair = match of {
            Value::String(text) => Safe::of(format_args!("{}={}", Safe::head(key), Safe::head(text))),
            other => Safe::of(format_args!("{}={other}", Safe::head(key))),
        };
        bytes += pair.as_str().len();
        pairs.push(pair);
    }
    Safe::join(&pairs, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (7.0, "7"),
            (0.25, "0.25"),
            (41.23, "41.2"),
            (950.0, "950"),
            (999.6, "1k"),
            (12_431.0, "12.4k"),
            (3_100_000.0, "3.1M"),
            (-5.5, "-5.5"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(short_count(number).as_str(), text);
        }
        for (written, text) in [
            ("9.666666666666667e-01", "0.9666666666666667"),
            ("3.1e+01", "31"),
            ("-2.06e+02", "-206"),
            ("0e+00", "0"),
            ("1.5e-07", "1.5e-07"),
            ("1e+20", "1e+20"),
            ("+Inf", "+Inf"),
            ("", ""),
        ] {
            assert_eq!(exact(written).as_str(), text);
        }
        for (number, text) in [(0, "0"), (999, "999"), (12_431, "12,431"), (1_000_000, "1,000,000")] {
            assert_eq!(count(number).as_str(), text);
        }
        for (number, text) in [(0.0, "0%"), (0.0004, "<0.1%"), (0.004, "0.4%"), (0.12, "12%"), (1.0, "100%")] {
            assert_eq!(share(number).as_str(), text);
        }
        assert_eq!((bytes(1023).as_str(), bytes(1536).as_str()), ("1023 B", "1.5 KiB"));
    }

    #[test]
    fn times_are_short() {
        let noon = moment("2026-01-31T12:00:01.250000001Z").expect("a time");
        assert_eq!(clock(noon).as_str(), "12:00:01");
        assert_eq!(clock_millis(noon).as_str(), "12:00:01.250");
        assert_eq!(date(noon).as_str(), "2026-01-31 12:00:01");
        assert_eq!(moment("now"), None);
        for (nanos, text) in
            [(900_000_000_000, "15m"), (5_400_000_000_000, "1h30m"), (7, "7ns"), (86_400_000_000_000, "1d")]
        {
            assert_eq!(window(nanos).as_str(), text);
        }
        for (nanos, text) in
            [(-5, "now"), (14_000_000_000, "14s"), (180_000_000_000, "3m"), (200_000_000_000_000, "2d")]
        {
            assert_eq!(age(nanos).as_str(), text);
        }
    }
}
