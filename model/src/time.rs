//! Points in time and ranges of them, and the ways people write them.

use std::fmt;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;

/// Nanoseconds since the Unix epoch, from 1677 to 2262.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The least and the greatest moment that can be written.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// See [`Timestamp::MIN`].
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// The moment `nanos` nanoseconds after the Unix epoch.
    #[inline]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The moment `millis` milliseconds after the Unix epoch, or the nearest that can be written.
    #[inline]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    #[inline]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    #[inline]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment `nanos` later (earlier if negative), or the nearest that can be written.
    pub const fn saturating_add(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Days since the Unix epoch, rounded down: the day partition this moment falls into.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(NANOS_PER_DAY)
    }

    /// Reads RFC 3339, Unix seconds with an optional fraction, `now`, or a distance from `now` such as `-15m`.
    ///
    /// A plain number is always seconds: `1700000000.25`.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, TimeError> {
        let refuse = || TimeError { text: text.to_owned() };
        if text == "now" {
            return Ok(now);
        }
        if let Some(seconds) = parse_seconds(text) {
            return Ok(Self(seconds));
        }
        if let Some(distance) = text.strip_prefix('-') {
            return parse_duration(distance).map(|nanos| now.saturating_add(-nanos)).ok_or_else(refuse);
        }
        if let Some(distance) = text.strip_prefix('+') {
            return parse_duration(distance).map(|nanos| now.saturating_add(nanos)).ok_or_else(refuse);
        }
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| refuse())?;
        i64::try_from(moment.unix_timestamp_nanos()).map(Self).map_err(|_| refuse())
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with nine digits of fraction: `2026-01-31T23:59:59.000000001Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0))
            .expect("every i64 of nanoseconds lies within the years 1677 to 2262");
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
            moment.nanosecond()
        )
    }
}

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no time: write RFC 3339, unix seconds, \"now\" or a distance such as \"-15m\"")]
pub struct TimeError {
    text: String,
}

/// Half-open range of time: `start` belongs to it, `end` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment of the range.
    pub start: Timestamp,
    /// The first moment after the range. [`Timestamp::MAX`] means no end.
    pub end: Timestamp,
}

impl TimeRange {
    /// Everything.
    pub const ALL: TimeRange = TimeRange { start: Timestamp::MIN, end: Timestamp::MAX };

    /// Whether `moment` lies in the range.
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.start <= moment && (moment < self.end || self.end == Timestamp::MAX)
    }

    /// Whether any moment of the closed range `[least, greatest]` lies in this range.
    pub fn overlaps(&self, least: Timestamp, greatest: Timestamp) -> bool {
        self.start <= greatest && (least < self.end || self.end == Timestamp::MAX)
    }
}

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

const UNITS: [(&str, i64); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", NANOS_PER_DAY),
    ("w", 7 * NANOS_PER_DAY),
    ("y", 365 * NANOS_PER_DAY),
];

/// Nanoseconds of a duration such as `250ms`, `1.5s` or `1h30m`; `None` if it is none or too long to count.
///
/// Units: ns, us, ms, s, m, h, d, w, y (365 days), each at most with a decimal fraction.
pub fn parse_duration(text: &str) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut nanos = 0i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let length = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(length);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(decimal_times(number, *factor)?)?;
        rest = tail;
    }
    Some(nanos)
}

/// A duration as people write it: the largest unit that keeps at most three digits before the point, `1.25s`, `340ms`.
pub fn format_duration(nanos: i64) -> String {
    let size = nanos.unsigned_abs();
    let (unit, factor) = match size {
        0..1_000 => ("ns", 1),
        1_000..1_000_000 => ("us", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        1_000_000_000..60_000_000_000 => ("s", 1_000_000_000),
        60_000_000_000..3_600_000_000_000 => ("m", 60_000_000_000),
        _ => ("h", 3_600_000_000_000i64),
    };
    let text = format!("{:.2}", nanos as f64 / factor as f64);
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

// Unix seconds with an optional fraction, exact to the nanosecond.
fn parse_seconds(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    decimal_times(digits, 1_000_000_000)?.checked_mul(sign)
}

// `number` (digits with at most one point) times `factor`, exact; digits finer than one part of `factor` are cut.
fn decimal_times(number: &str, factor: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut value = i128::from(whole) * i128::from(factor);
    let mut unit = i128::from(factor);
    for digit in fraction.bytes().map(|b| i128::from(b.wrapping_sub(b'0'))) {
        if unit == 0 {
            break;
        }
        // Multiply before dividing, so that factors that are no power of ten (an hour) lose nothing but the last digits.
        value += unit * digit / 10;
        unit /= 10;
    }
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_time() {
        let now = Timestamp::from_nanos(1_000_000_000_000);
        for (text, nanos) in [
            ("now", 1_000_000_000_000),
            ("-15m", 100_000_000_000),
            ("+1s", 1_001_000_000_000),
            ("-1.5s", 998_500_000_000),
            ("0", 0),
            ("1700000000.123456789", 1_700_000_000_123_456_789),
            ("-5", -5_000_000_000),
            ("1970-01-01T00:00:01.5Z", 1_500_000_000),
            ("1970-01-01T02:00:00+02:00", 0),
        ] {
            assert_eq!(Timestamp::parse(text, now), Ok(Timestamp::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["", "yesterday", "15m", "1.2.3", ".", "2026-13-01T00:00:00Z", "-", "99999999999999", "-15x"] {
            assert!(Timestamp::parse(text, Timestamp::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_nanoseconds() {
        assert_eq!(Timestamp::from_nanos(1).to_string(), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(Timestamp::from_nanos(-1).to_string(), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(Timestamp::MAX.to_string(), "2262-04-11T23:47:16.854775807Z");
    }

    #[test]
    fn reads_durations() {
        for (text, nanos) in [
            ("250ms", 250_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("0s", 0),
            ("7us", 7_000),
        ] {
            assert_eq!(parse_duration(text), Some(nanos), "{text}");
        }
        for text in ["", "5", "ms", "1.2.3s", "1x", "1s5", "99999999y"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn writes_durations_short() {
        for (nanos, text) in [(0, "0ns"), (340_000_000, "340ms"), (1_250_000_000, "1.25s"), (5_400_000_000_000, "1.5h")]
        {
            assert_eq!(format_duration(nanos), text);
        }
    }
}
