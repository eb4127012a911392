//! From the bytes of an OTLP export request to the store's columns. No IO, no clock, no state: the same bytes and
//! [`Context`] always make the same columns.
//!
//! A request that is no message of its kind is refused whole and leaves the columns empty. Within a sound request
//! every item is judged alone: what OTLP forbids is left out and counted in the [`Outcome`], everything else is kept as it
//! was sent. Protobuf is walked where it lies, straight into columns; JSON is written as protobuf first, so that there is one
//! conversion.

mod any;
mod correlation;
mod json;
mod logs;
mod overflow;
mod point;
mod points;
mod remote_write;
mod request;
mod resource;
mod series;
mod spans;
mod weight;
mod wire;
mod yardstick;

use std::borrow::Cow;
use std::fmt;

use model::{Signal, Timestamp};
use store::Cutoffs;

pub use self::logs::logs;
pub use self::points::points;
pub use self::remote_write::{Version, remote_write};
pub use self::series::SeriesGate;
pub use self::spans::spans;
pub use self::wire::Malformed;
pub use self::yardstick::yardstick;

use crate::limits;
use crate::{Config, DecodeError, Outcome, Reason, Warning};

/// How the bytes are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Binary protobuf.
    Protobuf,
    /// OTLP/JSON.
    Json,
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An export request of OTLP.
    Otlp(Encoding),
    /// Points as Prometheus writes them.
    RemoteWrite(Version),
}

/// What conversion needs to know besides the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// When the request was received.
    pub received: Timestamp,
    /// Attribute keys that carry the correlation id, the first that is present counts.
    pub correlation_keys: &'a [String],
    /// Bounds.
    pub limits: Limits,
    /// Who says whether one more series may come, if anybody does.
    pub series: Option<&'a SeriesGate>,
    /// What is too old to be kept; nothing if it is not said.
    pub retention: Option<&'a Cutoffs>,
    /// The same bytes were stored before: what was added up then is not added up again.
    pub is_repeated: bool,
}

impl Context<'_> {
    /// Items of the signal and service that are older than this are not kept.
    fn kept_from(&self, signal: Signal, service: &str) -> Timestamp {
        let service = Some(service).filter(|service| !service.is_empty());
        self.retention.map_or(Timestamp::MIN, |cutoffs| cutoffs.before_which(signal, service))
    }
}

/// Bounds of conversion. The defaults are those of [`crate::limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`limits::VALUE_DEPTH_MAX`].
    pub value_depth_max: usize,
    /// See [`limits::EXPANDED_BYTES_MAX`].
    pub expanded_bytes_max: u64,
    /// See [`limits::DECODED_BYTES_MAX`].
    pub decoded_bytes_max: u64,
    /// See [`limits::ATTRIBUTES_MAX`].
    pub attributes_max: usize,
    /// See [`limits::ATTRIBUTE_KEY_BYTES_MAX`].
    pub attribute_key_bytes_max: usize,
    /// See [`limits::ATTRIBUTE_VALUE_BYTES_MAX`].
    pub attribute_value_bytes_max: usize,
    /// See [`limits::LABELS_MAX`].
    pub labels_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            value_depth_max: limits::VALUE_DEPTH_MAX,
            expanded_bytes_max: limits::EXPANDED_BYTES_MAX,
            decoded_bytes_max: limits::DECODED_BYTES_MAX,
            attributes_max: saturated(limits::ATTRIBUTES_MAX),
            attribute_key_bytes_max: saturated(limits::ATTRIBUTE_KEY_BYTES_MAX),
            attribute_value_bytes_max: saturated(limits::ATTRIBUTE_VALUE_BYTES_MAX),
            labels_max: saturated(limits::LABELS_MAX),
        }
    }
}

impl Limits {
    /// What the configuration says, and no more memory for one request than `memory` bytes for all allow.
    pub fn new(config: &Config, memory: u64) -> Self {
        Self {
            attributes_max: saturated(config.attributes_max),
            attribute_key_bytes_max: saturated(config.attribute_key_bytes_max),
            attribute_value_bytes_max: saturated(config.attribute_value_bytes_max),
            labels_max: saturated(config.labels_max),
            decoded_bytes_max: limits::DECODED_BYTES_MAX.min(memory / 4),
            expanded_bytes_max: limits::EXPANDED_BYTES_MAX.min(memory / 2),
            ..Self::default()
        }
    }
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

// The request as protobuf. What JSON said in another way than OTLP wants is warned about in the outcome.
fn on_the_wire<'a, M: prost::Message>(
    bytes: &'a [u8],
    encoding: Encoding,
    request: weight::Request,
    json_root: fn(&mut json::Reader<'a>) -> json::Read<M>,
    context: &Context<'_>,
    outcome: &mut Outcome,
) -> Result<Cow<'a, [u8]>, DecodeError> {
    Ok(match encoding {
        Encoding::Protobuf => Cow::Borrowed(bytes),
        Encoding::Json => {
            let message = json::read(bytes, request, json_root, context.limits.decoded_bytes_max, outcome)?;
            Cow::Owned(message.encode_to_vec())
        }
    })
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
            let name: String = self.name.chars().take(limits::NAME_ECHO_CHARS_MAX).collect();
            write!(f, " {name:?}")?;
        }
        Ok(())
    }
}
