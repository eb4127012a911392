//! The judge of the walkers: the same conversion by way of prost's messages. It shares no code with them, so that a mistake
//! would have to be made twice.

mod attributes;
mod correlation;
mod histogram;
mod logs;
mod points;
mod resource;
mod spans;

use std::fmt;

use collector::convert::{Context, Limits};
use collector::{Outcome, Reason, Warning};
use model::{Signal, Timestamp};

pub use self::logs::logs;
pub use self::points::points;
pub use self::spans::spans;

/// Older items of the signal and service are not kept.
fn kept_from(context: &Context<'_>, signal: Signal, service: &str) -> Timestamp {
    let service = if service.is_empty() { None } else { Some(service) };
    context.retention.map_or(Timestamp::MIN, |cutoffs| cutoffs.before_which(signal, service))
}

/// A time as sent; `None` for 0, which is OTLP's "unknown".
fn known_time(nanos: u64) -> Result<Option<Timestamp>, Reason> {
    Ok(Some(sent_time(nanos)?).filter(|_| nanos != 0))
}

/// A time as sent, 0 included.
fn sent_time(nanos: u64) -> Result<Timestamp, Reason> {
    i64::try_from(nanos).map(Timestamp::from_nanos).map_err(|_| Reason::TimeRange)
}

/// An id that is optional: `None` where there is none. All zero is W3C's way to say that; a wrong length is a mistake.
fn optional_id<T>(bytes: &[u8], len: usize, id: Option<T>, mistakes: &mut Mistakes) -> Option<T> {
    mistakes.ignored_id |= !bytes.is_empty() && bytes.len() != len;
    id
}

/// What is to be warned about once the item at hand is accepted.
#[derive(Clone, Copy, Debug, Default)]
struct Mistakes {
    ignored_id: bool,
    string_index: bool,
}

impl Mistakes {
    fn note(self, outcome: &mut Outcome, place: impl Fn() -> String) {
        if self.ignored_id {
            outcome.warnings.note(Warning::IgnoredId, 1, &place);
        }
        if self.string_index {
            outcome.warnings.note(Warning::StringIndex, 1, &place);
        }
    }
}

/// Counts down the bytes that expanded items may take, see [`limits::EXPANDED_BYTES_MAX`].
#[derive(Debug)]
struct Expansion {
    left: u64,
}

impl Expansion {
    fn new(limits: Limits) -> Self {
        Self { left: limits.expanded_bytes_max }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Reason> {
        self.left = self.left.checked_sub(bytes as u64).ok_or(Reason::Expansion)?;
        Ok(())
    }
}

/// Where an item stands in its request, in the words of the protocol.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    /// Names of the three lists, outermost first.
    lists: [&'static str; 3],
    /// Positions in them.
    positions: [usize; 3],
    /// Position among the metric's data points.
    point: Option<usize>,
    /// The sender's name for it.
    name: &'a str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, (list, position)) in self.lists.iter().zip(self.positions).enumerate() {
            let dot = if level == 0 { "" } else { "." };
            write!(f, "{dot}{list}[{position}]")?;
        }
        if let Some(point) = self.point {
            write!(f, ".data_points[{point}]")?;
        }
        if !self.name.is_empty() {
            let name: String = self.name.chars().take(collector::limits::NAME_ECHO_CHARS_MAX).collect();
            write!(f, " {name:?}")?;
        }
        Ok(())
    }
}
