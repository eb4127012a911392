//! A span as a row of `/api/v1/spans`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Attributes, Scope, is_zero};

/// One span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpanRow {
    /// RFC 3339 with nanoseconds: the span's start.
    pub timestamp: String,
    /// The number the span got when it was committed.
    pub ingest_seq: u64,
    /// `service.name` of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// See the configuration's `correlation.keys`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The operation.
    pub name: String,
    /// `unspecified`, `internal`, `server`, `client`, `producer`, `consumer`, or an unknown number.
    pub kind: String,
    /// End minus start; 0 if the end lies before the start.
    pub duration_ns: u64,
    /// RFC 3339: the span's end as it was sent.
    pub end_timestamp: String,
    /// `unset`, `ok`, `error`, or an unknown number.
    pub status: String,
    /// What the sender said of the status.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status_message: String,
    /// 16 hexadecimal digits; absent for a root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<String>,
    /// W3C `tracestate`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_state: String,
    /// Whether the end lies before the start.
    #[serde(skip_serializing_if = "is_zero")]
    pub clock_skew: bool,
    /// Events in the order they were sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<SpanEvent>,
    /// Links in the order they were sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<SpanLink>,
    /// Attributes of the span.
    pub attributes: Attributes,
    /// Attributes of the resource.
    pub resource: Attributes,
    /// The instrumentation scope.
    pub scope: Scope,
    /// W3C trace flags in the low 8 bits, OTLP's remote flags in bits 8 and 9.
    #[serde(skip_serializing_if = "is_zero")]
    pub flags: u32,
    /// How many attributes were dropped before sending.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_attributes_count: u32,
    /// How many events were dropped before sending.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_events_count: u32,
    /// How many links were dropped before sending.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_links_count: u32,
    /// How many attributes of the resource were dropped before sending.
    #[serde(skip_serializing_if = "is_zero")]
    pub resource_dropped_attributes_count: u32,
    /// Schema URL of the resource.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_schema_url: String,
    /// Keys this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Something that happened during a span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpanEvent {
    /// RFC 3339 with nanoseconds.
    pub timestamp: String,
    /// What happened.
    pub name: String,
    /// Attributes of the event.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Attributes,
    /// How many attributes were dropped before sending.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_attributes_count: u32,
}

/// A reference to a span of this or another trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpanLink {
    /// Hexadecimal, as it was sent.
    pub trace_id: String,
    /// Hexadecimal, as it was sent.
    pub span_id: String,
    /// W3C `tracestate`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_state: String,
    /// Attributes of the link.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Attributes,
    /// How many attributes were dropped before sending.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_attributes_count: u32,
    /// As [`SpanRow::flags`].
    #[serde(skip_serializing_if = "is_zero")]
    pub flags: u32,
}

/// The word of an OTLP span kind; the number itself if it is unknown.
pub fn kind_word(kind: i32) -> String {
    match usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind)) {
        Some(word) => (*word).to_owned(),
        None => kind.to_string(),
    }
}

/// The OTLP number of a span kind's word, in any case.
pub fn kind_number(word: &str) -> Option<i32> {
    number_of(&KINDS, word)
}

/// The word of an OTLP status code; the number itself if it is unknown.
pub fn status_word(code: i32) -> String {
    match usize::try_from(code).ok().and_then(|code| STATUSES.get(code)) {
        Some(word) => (*word).to_owned(),
        None => code.to_string(),
    }
}

/// The OTLP number of a status code's word, in any case.
pub fn status_number(word: &str) -> Option<i32> {
    number_of(&STATUSES, word)
}

const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const STATUSES: [&str; 3] = ["unset", "ok", "error"];

fn number_of(words: &[&str], word: &str) -> Option<i32> {
    let position = words.iter().position(|known| known.eq_ignore_ascii_case(word));
    position.and_then(|position| i32::try_from(position).ok()).or_else(|| word.parse().ok())
}
