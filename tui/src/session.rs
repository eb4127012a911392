//! What all screens share: the time, the terminal's size, the look, the link to the server, and numbers for questions.

use std::time::Duration;

use model::time::parse_duration;
use model::{TimeRange, Timestamp};

use crate::effect::Ticket;
use crate::event::Moment;
use crate::format;
use crate::limits::{RECONNECT_MAX, RECONNECT_MIN};
use crate::sanitize::Safe;
use crate::theme::Theme;

/// What all screens share.
#[derive(Debug)]
pub struct Session {
    /// The moment of the newest event.
    pub now: Moment,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Colours and symbols.
    pub theme: Theme,
    /// The server's address.
    pub url: Safe,
    /// Whether the server is there.
    pub link: Link,
    tickets: u64,
    // Spreads the attempts of many terminals that lost the same server.
    random: fastrand::Rng,
}

impl Session {
    /// A session at `now`. The same `seed` makes the same waits.
    pub fn new(now: Moment, size: (u16, u16), theme: Theme, url: &str, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { now, size, theme, url: Safe::line(url), link: Link::default(), tickets: 0, random }
    }

    /// A number that no question has had.
    pub fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Notes that the server is not there; gives whether that is new.
    pub fn lose(&mut self) -> bool {
        let jitter = 0.8 + 0.4 * self.random.f64();
        let new = self.link.lost_since.is_none();
        let wait = if new { RECONNECT_MIN } else { (self.link.wait * 2).min(RECONNECT_MAX) };
        self.link.wait = wait;
        self.link.next_try = self.now.monotonic + wait.mul_f64(jitter).min(RECONNECT_MAX);
        self.link.lost_since.get_or_insert(self.now.monotonic);
        new
    }

    /// Notes that the server has answered; gives whether it was lost before.
    pub fn hear(&mut self) -> bool {
        self.link.heard = Some(self.now.wall);
        self.link.lost_since.take().is_some()
    }
}

/// Whether the server is there, and when to look again.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// Since when it is gone.
    pub lost_since: Option<Duration>,
    /// When it last answered.
    pub heard: Option<Timestamp>,
    /// When to ask again.
    pub next_try: Duration,
    wait: Duration,
}

impl Link {
    /// Whether the server is gone.
    pub fn is_lost(&self) -> bool {
        self.lost_since.is_some()
    }
}

/// The time a screen looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// So many nanoseconds up to now.
    Last(i64),
    /// From one moment to another.
    Fixed(TimeRange),
}

const MINUTE: i64 = 60_000_000_000;

impl Default for Range {
    fn default() -> Self {
        Self::Last(15 * MINUTE)
    }
}

impl Range {
    /// The ranges that the picker offers.
    pub const OFFERED: [&'static str; 10] = ["5m", "15m", "30m", "1h", "3h", "6h", "12h", "24h", "7d", "30d"];

    /// The moments it means now.
    pub fn resolve(self, now: Timestamp) -> TimeRange {
        match self {
            Self::Last(nanos) => TimeRange { start: now.saturating_add(nanos.saturating_neg()), end: now },
            Self::Fixed(range) => range,
        }
    }

    /// Its length in nanoseconds, at least 1.
    pub fn length(self) -> i64 {
        match self {
            Self::Last(nanos) => nanos.max(1),
            Self::Fixed(range) => range.end.as_nanos().saturating_sub(range.start.as_nanos()).max(1),
        }
    }

    /// One length earlier.
    pub fn earlier(self, now: Timestamp) -> Self {
        let (range, length) = (self.resolve(now), self.length());
        Self::Fixed(TimeRange {
            start: range.start.saturating_add(length.saturating_neg()),
            end: range.end.saturating_add(length.saturating_neg()),
        })
    }

    /// One length later, up to now.
    pub fn later(self, now: Timestamp) -> Self {
        let (range, length) = (self.resolve(now), self.length());
        let end = range.end.saturating_add(length);
        if end >= now {
            return Self::Last(length);
        }
        Self::Fixed(TimeRange { start: range.start.saturating_add(length), end })
    }

    /// `moment` with as much time around it on both sides.
    pub fn around(moment: Timestamp, nanos: i64) -> Self {
        let (start, end) = (moment.saturating_add(nanos.saturating_neg()), moment.saturating_add(nanos));
        Self::Fixed(TimeRange { start, end })
    }

    /// Reads `15m`, or two moments with `..` between them: RFC 3339, `14:02`, `14:02:11`, unix seconds, `now`, `-2h`.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, Safe> {
        let text = text.trim();
        if let Some(nanos) = parse_duration(text.strip_prefix('-').unwrap_or(text)) {
            return if nanos > 0 { Ok(Self::Last(nanos)) } else { Err(Safe::from_static("the range is empty")) };
        }
        let Some((start, end)) = text.split_once("..") else {
            return Err(Safe::of(format_args!("{text:?} is no range: write 2h, or 14:00..14:30")));
        };
        let end = end.trim();
        let range = TimeRange {
            start: parse_moment(start, now)?,
            end: parse_moment(if end.is_empty() { "now" } else { end }, now)?,
        };
        if range.start >= range.end {
            return Err(Safe::from_static("the range ends before it begins"));
        }
        Ok(Self::Fixed(range))
    }

    /// `last 15m`, or both moments.
    pub fn label(self) -> Safe {
        match self {
            Self::Last(nanos) => Safe::of(format_args!("last {}", format::window(nanos))),
            Self::Fixed(range) => Safe::of(format_args!(
                "fixed {}",
                format::window(self.length().min(range.end.as_nanos().saturating_sub(range.start.as_nanos())))
            )),
        }
    }
}

// A time of the day means today's.
fn parse_moment(text: &str, now: Timestamp) -> Result<Timestamp, Safe> {
    let text = text.trim();
    let day = &now.to_string()[..10];
    let written = match (text.len(), text.bytes().filter(|byte| *byte == b':').count()) {
        (4..=5, 1) => format!("{day}T{text:0>5}:00Z"),
        (7..=8, 2) => format!("{day}T{text:0>8}Z"),
        // `2026-01-31 14:02`
        (16, 1) => format!("{}:00Z", text.replacen(' ', "T", 1)),
        (19, 2) => format!("{}Z", text.replacen(' ', "T", 1)),
        _ => text.to_owned(),
    };
    Timestamp::parse(&written, now)
        .map_err(|_| Safe::of(format_args!("{text:?} is no time: write 14:02, 2026-01-31T14:02:00Z, or -2h")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges() {
        let now = Timestamp::parse("2026-01-31T15:00:00Z", Timestamp::default()).expect("a time");
        for (text, start, end) in [
            ("15m", "14:45:00", "15:00:00"),
            ("-2h", "13:00:00", "15:00:00"),
            ("14:02..14:17", "14:02:00", "14:17:00"),
            ("9:30..", "09:30:00", "15:00:00"),
            ("2026-01-31 14:02..2026-01-31T14:17:11Z", "14:02:00", "14:17:11"),
            ("-30m..-15m", "14:30:00", "14:45:00"),
        ] {
            let range = Range::parse(text, now).expect(text).resolve(now);
            assert_eq!(
                (format::clock(range.start).as_str(), format::clock(range.end).as_str()),
                (start, end),
                "{text}"
            );
        }
        for text in ["", "x", "15", "0s", "14:17..14:02", "a..b", "..", "25:00..26:00"] {
            assert!(Range::parse(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn shifts_by_its_length_up_to_now() {
        let now = Timestamp::from_millis(1_000_000);
        let before = Range::Last(1_000).earlier(now);
        assert_eq!(before.resolve(now).end.as_nanos(), now.as_nanos() - 1_000);
        assert_eq!(before.later(now), Range::Last(1_000));
        assert!(matches!(before.earlier(now).later(now), Range::Fixed(_)));
        let _ = Range::Fixed(TimeRange::ALL).earlier(now).later(now);
    }

    #[test]
    fn waits_longer_each_time() {
        let mut session = Session::new(Moment::default(), (80, 24), Theme::default(), "", 7);
        let mut waits = Vec::new();
        for _ in 0..8 {
            session.lose();
            waits.push(session.link.next_try.as_secs_f64());
        }
        assert!(waits[0] >= 0.2 && waits[0] <= 0.3, "{waits:?}");
        assert!(waits[7] >= 4.0 && waits[7] <= 5.0, "{waits:?}");
        assert!(session.hear() && !session.hear());
    }
}
