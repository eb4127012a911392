//! A log record as a row of `/api/v1/logs`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Attributes, Scope, is_zero};

/// One log record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogRow {
    /// RFC 3339 with nanoseconds: the record's time, else its observed time.
    pub timestamp: String,
    /// The number the record got when it was committed.
    pub ingest_seq: u64,
    /// `service.name` of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// See the configuration's `correlation.keys`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// RFC 3339: when the record was observed, else when it was received.
    pub observed_timestamp: String,
    /// Level word of `severity_number`: trace, debug, info, warn, error, fatal; absent for 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// 0 to 24.
    pub severity_number: i32,
    /// The level as the sender wrote it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub severity_text: String,
    /// The body; plain JSON if it is no text.
    pub body: Value,
    /// The event's name, if the record is an event.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event_name: String,
    /// Attributes of the record.
    pub attributes: Attributes,
    /// Attributes of the resource.
    pub resource: Attributes,
    /// The instrumentation scope.
    pub scope: Scope,
    /// W3C trace flags in the low 8 bits.
    #[serde(skip_serializing_if = "is_zero")]
    pub flags: u32,
    /// How many attributes were dropped before sending.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_attributes_count: u32,
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

/// The level word of an OTLP severity number; `None` for 0 and numbers out of range.
pub fn severity_word(number: i32) -> Option<&'static str> {
    match number {
        1..=4 => Some("trace"),
        5..=8 => Some("debug"),
        9..=12 => Some("info"),
        13..=16 => Some("warn"),
        17..=20 => Some("error"),
        21..=24 => Some("fatal"),
        _ => None,
    }
}

/// The severity numbers a level word stands for, least and greatest; any case, `warning` and `err` and `critical` too.
pub fn severity_numbers(word: &str) -> Option<(i32, i32)> {
    let first = match word.to_ascii_lowercase().as_str() {
        "trace" => 1,
        "debug" => 5,
        "info" | "information" => 9,
        "warn" | "warning" => 13,
        "error" | "err" => 17,
        "fatal" | "critical" => 21,
        _ => return None,
    };
    Some((first, first + 3))
}
