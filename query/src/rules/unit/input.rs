//! `input_logs` and `input_spans` of a test: log records and spans at fixed distances, and how they are written.

use model::wire::logs::severity_numbers;
use model::wire::spans::{kind_number, status_number};
use model::{SpanId, TraceId};

use super::limits;
use crate::rules::file::fields::{Errors, Fields};
use model::yaml::Node;

/// Records that are alike, but for their times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// `service.name` of the resource; empty for none.
    pub service: String,
    /// Milliseconds from the test's beginning to the first record.
    pub start_ms: i64,
    /// Milliseconds between two records.
    pub every_ms: i64,
    /// How many there are.
    pub count: usize,
    /// Of all of them.
    pub trace_id: Option<TraceId>,
    /// Of all of them.
    pub span_id: Option<SpanId>,
    /// Of all of them.
    pub correlation_id: Option<String>,
    /// Of the record.
    pub attributes: Vec<(String, Value)>,
    /// Of the resource.
    pub resource: Vec<(String, Value)>,
}

/// An attribute's value: what looks like a number or a boolean is one.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are what they hold")]
pub enum Value {
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
}

/// Log records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputLogs {
    /// When they come, from whom, and what they belong to.
    pub series: Series,
    /// OTLP's number; 0 if it is not given.
    pub severity_number: i32,
    /// As it was written.
    pub severity: String,
    /// Text; none if it is empty.
    pub body: String,
    /// Empty if they are no events.
    pub event_name: String,
}

/// Spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputSpans {
    /// When they begin, of whom they are, and what they belong to.
    pub series: Series,
    /// The operation.
    pub name: String,
    /// OTLP's number.
    pub kind: i32,
    /// OTLP's number.
    pub status: i32,
    /// Empty if there is none.
    pub status_message: String,
    /// Milliseconds from the start to the end.
    pub duration_ms: i64,
}

const SERIES_KEYS: [&str; 9] =
    ["service", "start", "every", "count", "trace_id", "span_id", "correlation_id", "attributes", "resource"];
const LOG_KEYS: [&str; 3] = ["severity", "body", "event_name"];
const SPAN_KEYS: [&str; 5] = ["name", "kind", "status", "status_message", "duration"];

/// One entry of `input_logs`. `interval_ms` is the distance of records whose entry names none.
pub(super) fn logs(node: &Node, interval_ms: i64, errors: &mut Errors) -> Option<InputLogs> {
    let keys = [SERIES_KEYS.as_slice(), &LOG_KEYS].concat();
    let fields = Fields::of(node, "an entry of input_logs", &keys, errors)?;
    let severity = fields.text("severity", errors);
    let number = word(&fields, "severity", "trace, debug, info, warn, error or fatal", errors, |word| {
        severity_numbers(word).map(|(first, _)| first)
    });
    Some(InputLogs {
        series: series(&fields, interval_ms, errors),
        severity_number: number,
        severity,
        body: fields.text("body", errors),
        event_name: fields.text("event_name", errors),
    })
}

/// One entry of `input_spans`.
pub(super) fn spans(node: &Node, interval_ms: i64, errors: &mut Errors) -> Option<InputSpans> {
    let keys = [SERIES_KEYS.as_slice(), &SPAN_KEYS].concat();
    let fields = Fields::of(node, "an entry of input_spans", &keys, errors)?;
    Some(InputSpans {
        series: series(&fields, interval_ms, errors),
        name: fields.text("name", errors),
        kind: word(&fields, "kind", "internal, server, client, producer or consumer", errors, kind_number),
        status: word(&fields, "status", "unset, ok or error", errors, status_number),
        status_message: fields.text("status_message", errors),
        duration_ms: fields.duration("duration", errors).unwrap_or(0),
    })
}

fn series(fields: &Fields<'_>, interval_ms: i64, errors: &mut Errors) -> Series {
    let count = if fields.get("count").is_some() { fields.number("count", errors) } else { 1 };
    if count > limits::RECORDS_MAX {
        errors.add(fields.place("count"), format!("count is larger than {}", limits::RECORDS_MAX));
    }
    let every_ms = fields.duration("every", errors).unwrap_or(interval_ms);
    Series {
        service: fields.text("service", errors),
        start_ms: fields.duration("start", errors).unwrap_or(0),
        every_ms,
        count: count.min(limits::RECORDS_MAX),
        trace_id: id(fields, "trace_id", 2 * TraceId::LEN, errors, TraceId::from_slice),
        span_id: id(fields, "span_id", 2 * SpanId::LEN, errors, SpanId::from_slice),
        correlation_id: Some(fields.text("correlation_id", errors)).filter(|id| !id.is_empty()),
        attributes: attributes(fields, "attributes", errors),
        resource: attributes(fields, "resource", errors),
    }
}

// The number of a word; 0 if it is not there.
fn word(fields: &Fields<'_>, key: &str, known: &str, errors: &mut Errors, read: fn(&str) -> Option<i32>) -> i32 {
    let text = fields.text(key, errors);
    let number = if text.is_empty() { Some(0) } else { read(&text) };
    number.unwrap_or_else(|| {
        errors.add(fields.place(key), format!("{key} has to be {known}, not {text:?}"));
        0
    })
}

fn id<T>(
    fields: &Fields<'_>,
    key: &str,
    digits: usize,
    errors: &mut Errors,
    read: fn(&[u8]) -> Option<T>,
) -> Option<T> {
    let text = fields.text(key, errors);
    if text.is_empty() {
        return None;
    }
    let id = model::id::unhex(&text).and_then(|bytes| read(&bytes));
    if id.is_none() {
        let message = format!("{key} has to be {digits} hexadecimal digits that are not all 0, not {text:?}");
        errors.add(fields.place(key), message);
    }
    id
}

fn attributes(fields: &Fields<'_>, key: &str, errors: &mut Errors) -> Vec<(String, Value)> {
    fields.texts(key, errors).into_iter().map(|(name, (text, _))| (name, value(text))).collect()
}

fn value(text: String) -> Value {
    let looks_like_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    match text.as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        number if looks_like_number => match (number.parse(), number.parse()) {
            (Ok(int), _) => Value::Int(int),
            (_, Ok(double)) => Value::Double(double),
            _ => Value::Text(text),
        },
        _ => Value::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_what_they_look_like() {
        for (text, expected) in [
            ("503", Value::Int(503)),
            ("-1.5", Value::Double(-1.5)),
            ("true", Value::Bool(true)),
            ("True", Value::Text("True".to_owned())),
            ("10.0.0.1", Value::Text("10.0.0.1".to_owned())),
            ("nan", Value::Text("nan".to_owned())),
            ("", Value::Text(String::new())),
        ] {
            assert_eq!(value(text.to_owned()), expected, "{text:?}");
        }
    }
}
