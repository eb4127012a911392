//! How numbers of a unit are written for people: `1.25s`, `340ms`, `12.4 MiB`, `3.1%`, `12.4k`.

/// What a panel's numbers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Just numbers: `12.4k`.
    #[default]
    Short,
    /// Numbers as they are, without thousands' letters.
    None,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Nanoseconds.
    Nanos,
    /// Bytes, in powers of 1024.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// 0 to 100.
    Percent,
    /// 0 to 1, written as 0 to 100%.
    Share,
    /// Things a second.
    Ops,
    /// Unix seconds.
    Time,
}

const WORDS: [(&str, Unit); 11] = [
    ("short", Unit::Short),
    ("none", Unit::None),
    ("s", Unit::Seconds),
    ("ms", Unit::Millis),
    ("ns", Unit::Nanos),
    ("bytes", Unit::Bytes),
    ("bytes/s", Unit::BytesPerSecond),
    ("percent", Unit::Percent),
    ("share", Unit::Share),
    ("ops", Unit::Ops),
    ("time", Unit::Time),
];

impl Unit {
    /// The words there are.
    pub fn words() -> [&'static str; 11] {
        WORDS.map(|(word, _)| word)
    }

    /// The unit with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|(name, _)| *name == word).map(|(_, unit)| *unit)
    }

    /// The unit that a metric's name or its metadata's unit stands for.
    pub fn of_metric(name: &str, unit: &str) -> Self {
        let bare = ["_bucket", "_sum", "_total"].iter().fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
        if name.ends_with("_count") {
            return Unit::Short;
        }
        match unit {
            "s" => Unit::Seconds,
            "ms" => Unit::Millis,
            "ns" => Unit::Nanos,
            "By" => Unit::Bytes,
            "%" => Unit::Percent,
            _ if bare.ends_with("_seconds") => Unit::Seconds,
            _ if bare.ends_with("_milliseconds") => Unit::Millis,
            _ if bare.ends_with("_bytes") => Unit::Bytes,
            _ if bare.ends_with("_ratio") => Unit::Share,
            _ => Unit::Short,
        }
    }

    /// `value` for people; `decimals` overrides the usual three digits.
    pub fn write(self, value: f64, decimals: Option<u8>) -> String {
        if value.is_nan() {
            return "no value".to_owned();
        }
        if value.is_infinite() {
            return if value > 0.0 { "+inf" } else { "-inf" }.to_owned();
        }
        let (number, suffix) = self.parts(value, decimals);
        format!("{number}{suffix}")
    }

    /// The number and what stands behind it, for who draws them differently. Of a finite value.
    pub fn parts(self, value: f64, decimals: Option<u8>) -> (String, &'static str) {
        let (scaled, suffix) = self.scale(value);
        let number = match decimals {
            Some(decimals) => format!("{scaled:.*}", usize::from(decimals)),
            None => digits(scaled),
        };
        (without_negative_zero(&number).to_owned(), suffix)
    }

    /// Whether its steps are powers of two.
    pub fn is_binary(self) -> bool {
        matches!(self, Unit::Bytes | Unit::BytesPerSecond)
    }

    // The number in the step of the unit that suits it, and what stands behind it.
    fn scale(self, value: f64) -> (f64, &'static str) {
        match self {
            Unit::None => (value, ""),
            Unit::Short => thousands(value, ["", "k", "M", "G", "T"]),
            Unit::Ops => thousands(value, ["/s", "k/s", "M/s", "G/s", "T/s"]),
            Unit::Seconds => time(value * 1e9),
            Unit::Millis => time(value * 1e6),
            Unit::Nanos => time(value),
            Unit::Bytes => binary(value, [" B", " KiB", " MiB", " GiB", " TiB"]),
            Unit::BytesPerSecond => binary(value, [" B/s", " KiB/s", " MiB/s", " GiB/s", " TiB/s"]),
            Unit::Percent => (value, "%"),
            Unit::Share => (value * 100.0, "%"),
            Unit::Time => (value, ""),
        }
    }
}

fn thousands(value: f64, letters: [&'static str; 5]) -> (f64, &'static str) {
    step(value, 1000.0, letters)
}

fn binary(value: f64, names: [&'static str; 5]) -> (f64, &'static str) {
    step(value, 1024.0, names)
}

fn step(value: f64, base: f64, names: [&'static str; 5]) -> (f64, &'static str) {
    let (mut value, mut at) = (value, 0);
    // What rounds to 1000 belongs to the next step: 999.96 is 1.00k.
    while value.abs() >= base * 0.9995 && at + 1 < names.len() {
        value /= base;
        at += 1;
    }
    (value, names[at])
}

fn time(nanos: f64) -> (f64, &'static str) {
    let size = nanos.abs();
    match size {
        _ if size == 0.0 => (0.0, "s"),
        _ if size < 999.5 => (nanos, "ns"),
        _ if size < 999.5e3 => (nanos / 1e3, "us"),
        _ if size < 999.5e6 => (nanos / 1e6, "ms"),
        _ if size < 120e9 => (nanos / 1e9, "s"),
        _ if size < 7200e9 => (nanos / 60e9, "m"),
        _ if size < 172_800e9 => (nanos / 3600e9, "h"),
        _ => (nanos / 86_400e9, "d"),
    }
}

// Three digits that matter, no zeros at the end of a fraction.
fn digits(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(0.001..1e7).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = match size {
        _ if size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn without_negative_zero(number: &str) -> &str {
    let is_zero = number.starts_with('-') && number.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if is_zero { &number[1..] } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (unit, value, expected) in [
            (Unit::Short, 0.0, "0"),
            (Unit::Short, -0.0, "0"),
            (Unit::Short, 999.0, "999"),
            (Unit::Short, 999.96, "1k"),
            (Unit::Short, 12_400.0, "12.4k"),
            (Unit::Short, -12_400.0, "-12.4k"),
            (Unit::Short, 0.25, "0.25"),
            (Unit::Short, 1e-9, "1.00e-9"),
            (Unit::Short, 1e300, "1.00e288T"),
            (Unit::None, 123_456.0, "123456"),
            (Unit::Seconds, 0.0, "0s"),
            (Unit::Seconds, 0.000_000_5, "500ns"),
            (Unit::Seconds, 0.000_5, "500us"),
            (Unit::Seconds, 0.34, "340ms"),
            (Unit::Seconds, 1.25, "1.25s"),
            (Unit::Seconds, 180.0, "3m"),
            (Unit::Millis, 1_250.0, "1.25s"),
            (Unit::Nanos, 1_250.0, "1.25us"),
            (Unit::Bytes, 512.0, "512 B"),
            (Unit::Bytes, 13_000_000.0, "12.4 MiB"),
            (Unit::BytesPerSecond, 2048.0, "2 KiB/s"),
            (Unit::Percent, 3.25, "3.25%"),
            (Unit::Share, 0.031, "3.1%"),
            (Unit::Ops, 41_000.0, "41k/s"),
            (Unit::Short, f64::NAN, "no value"),
            (Unit::Short, f64::INFINITY, "+inf"),
        ] {
            assert_eq!(unit.write(value, None), expected, "{unit:?} {value}");
        }
        assert_eq!(Unit::Share.write(0.031, Some(2)), "3.10%");
        assert_eq!(Unit::Share.write(-0.000_01, Some(1)), "0.0%");
    }

    #[test]
    fn metrics_tell_their_unit_by_metadata_or_name() {
        for (name, unit, expected) in [
            ("http_server_request_duration_seconds_bucket", "", Unit::Seconds),
            ("http_server_request_duration_seconds_count", "s", Unit::Short),
            ("memory", "By", Unit::Bytes),
            ("cpu_utilization_ratio", "1", Unit::Share),
            ("shop_orders_total", "{order}", Unit::Short),
        ] {
            assert_eq!(Unit::of_metric(name, unit), expected, "{name}");
        }
    }
}
