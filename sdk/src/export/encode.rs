//! Spans and log records as OTLP's protobuf, written once, where they are made: what waits in a queue is bytes, and their number is exact. Sensitive values are hidden and
//! long ones cut here, before anything is kept. Metrics are written by `points`, from the official messages.
//!
//! The tests compare what is written with what `opentelemetry-proto` makes of the same.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::logs::AnyValue;
use opentelemetry::trace::{Event, Link, SpanId, SpanKind, Status, TraceId};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;

use crate::correlation::ATTRIBUTE as CORRELATION;
use crate::limits::{VALUE_BYTES_MAX, VALUE_DEPTH_MAX};
use crate::redact::{HIDDEN, Redaction, Verdict};

/// The scope and schema of a `ScopeSpans` or `ScopeLogs`, whose fields have the same numbers: what items are grouped by. `target` takes the place of the scope's name.
pub(crate) fn scope(out: &mut Vec<u8>, scope: &InstrumentationScope, target: Option<&str>, redaction: &Redaction) {
    nested(out, 1, |out| {
        text(out, 1, target.unwrap_or_else(|| scope.name()));
        text(out, 2, scope.version().unwrap_or_default());
        for attribute in scope.attributes() {
            key_value(out, 3, attribute, redaction);
        }
    });
    text(out, 3, scope.schema_url().unwrap_or_default());
}

/// A `LogRecord`. `correlation` is added unless the record bears one.
pub(crate) fn log(out: &mut Vec<u8>, record: &SdkLogRecord, correlation: Option<&str>, redaction: &Redaction) {
    fixed64(out, 1, record.timestamp().map_or(0, nanos));
    varint_field(out, 2, record.severity_number().map_or(0, |severity| severity as u64));
    text(out, 3, record.severity_text().unwrap_or_default());
    if let Some(body) = record.body() {
        nested(out, 5, |out| any_value(out, body, redaction, 0));
    }
    let mut correlation = correlation;
    for (key, value) in record.attributes_iter() {
        if key.as_str() == CORRELATION {
            correlation = None;
        }
        entry(out, 6, key, value, redaction, 0);
    }
    if let Some(id) = correlation {
        text_entry(out, 6, CORRELATION, id);
    }
    if let Some(context) = record.trace_context() {
        fixed32(out, 8, context.trace_flags.map_or(0, |flags| u32::from(flags.to_u8())));
        trace_id(out, 9, context.trace_id);
        span_id(out, 10, context.span_id);
    }
    fixed64(out, 11, record.observed_timestamp().map_or(0, nanos));
    text(out, 12, record.event_name().unwrap_or_default());
}

/// A `Span`. Of several correlation ids the first stays: it is the one of the request, set when the span began.
pub(crate) fn span(out: &mut Vec<u8>, span: &SpanData, redaction: &Redaction) {
    trace_id(out, 1, span.span_context.trace_id());
    span_id(out, 2, span.span_context.span_id());
    text(out, 3, &span.span_context.trace_state().header());
    if span.parent_span_id != SpanId::INVALID {
        span_id(out, 4, span.parent_span_id);
    }
    text(out, 5, cut(&span.name));
    varint_field(out, 6, kind(&span.span_kind));
    fixed64(out, 7, nanos(span.start_time));
    fixed64(out, 8, nanos(span.end_time));
    let mut correlated = false;
    for attribute in &span.attributes {
        if attribute.key.as_str() == CORRELATION && std::mem::replace(&mut correlated, true) {
            continue;
        }
        key_value(out, 9, attribute, redaction);
    }
    varint_field(out, 10, u64::from(span.dropped_attributes_count));
    for event in span.events.iter() {
        nested(out, 11, |out| span_event(out, event, redaction));
    }
    varint_field(out, 12, u64::from(span.events.dropped_count));
    for link in span.links.iter() {
        nested(out, 13, |out| span_link(out, link, redaction));
    }
    varint_field(out, 14, u64::from(span.links.dropped_count));
    nested(out, 15, |out| match &span.status {
        Status::Unset => {}
        Status::Ok => varint_field(out, 3, 1),
        Status::Error { description } => {
            text(out, 2, cut(description));
            varint_field(out, 3, 2);
        }
    });
    fixed32(out, 16, flags(span.span_context.trace_flags().to_u8(), span.parent_span_is_remote));
}

fn span_event(out: &mut Vec<u8>, event: &Event, redaction: &Redaction) {
    fixed64(out, 1, nanos(event.timestamp));
    text(out, 2, cut(&event.name));
    for attribute in &event.attributes {
        key_value(out, 3, attribute, redaction);
    }
    varint_field(out, 4, u64::from(event.dropped_attributes_count));
}

fn span_link(out: &mut Vec<u8>, link: &Link, redaction: &Redaction) {
    let context = &link.span_context;
    trace_id(out, 1, context.trace_id());
    span_id(out, 2, context.span_id());
    text(out, 3, &context.trace_state().header());
    for attribute in &link.attributes {
        key_value(out, 4, attribute, redaction);
    }
    varint_field(out, 5, u64::from(link.dropped_attributes_count));
    fixed32(out, 6, flags(context.trace_flags().to_u8(), context.is_remote()));
}

// OTLP's flags say of a parent or a linked span that it is known whether it is remote, and whether it is.
fn flags(trace: u8, remote: bool) -> u32 {
    u32::from(trace) | 0x100 | if remote { 0x200 } else { 0 }
}

fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn key_value(out: &mut Vec<u8>, field: u32, attribute: &KeyValue, redaction: &Redaction) {
    let key = attribute.key.as_str();
    let verdict = redaction.verdict(key);
    nested(out, field, |out| {
        text(out, 1, key);
        nested(out, 2, |out| match (verdict, &attribute.value) {
            (Verdict::Hide, _) => present_text(out, 1, HIDDEN),
            (Verdict::Query, Value::String(value)) => present_text(out, 1, cut(&redaction.query(value.as_str()))),
            (_, value) => plain_value(out, value),
        });
    });
}

fn entry(out: &mut Vec<u8>, field: u32, key: &Key, value: &AnyValue, redaction: &Redaction, depth: usize) {
    let verdict = redaction.verdict(key.as_str());
    nested(out, field, |out| {
        text(out, 1, key.as_str());
        nested(out, 2, |out| match (verdict, value) {
            (Verdict::Hide, _) => present_text(out, 1, HIDDEN),
            (Verdict::Query, AnyValue::String(value)) => present_text(out, 1, cut(&redaction.query(value.as_str()))),
            (_, value) => any_value(out, value, redaction, depth),
        });
    });
}

fn text_entry(out: &mut Vec<u8>, field: u32, key: &str, value: &str) {
    nested(out, field, |out| {
        text(out, 1, key);
        nested(out, 2, |out| present_text(out, 1, value));
    });
}

fn plain_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => present_varint(out, 2, u64::from(*value)),
        Value::I64(value) => present_varint(out, 3, *value as u64),
        Value::F64(value) => present_double(out, 4, *value),
        Value::String(value) => present_text(out, 1, cut(value.as_str())),
        Value::Array(array) => nested(out, 5, |out| match array {
            Array::Bool(values) => each(out, values, |out, value| present_varint(out, 2, u64::from(*value))),
            Array::I64(values) => each(out, values, |out, value| present_varint(out, 3, *value as u64)),
            Array::F64(values) => each(out, values, |out, value| present_double(out, 4, *value)),
            Array::String(values) => each(out, values, |out, value| present_text(out, 1, cut(value.as_str()))),
            // A kind of list that this version does not know is sent empty.
            _ => {}
        }),
        _ => {}
    }
}

fn each<T>(out: &mut Vec<u8>, values: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    for value in values.iter().take(VALUE_BYTES_MAX) {
        nested(out, 1, |out| write(out, value));
    }
}

fn any_value(out: &mut Vec<u8>, value: &AnyValue, redaction: &Redaction, depth: usize) {
    match value {
        AnyValue::Int(value) => present_varint(out, 3, *value as u64),
        AnyValue::Double(value) => present_double(out, 4, *value),
        AnyValue::String(value) => present_text(out, 1, cut(value.as_str())),
        AnyValue::Boolean(value) => present_varint(out, 2, u64::from(*value)),
        AnyValue::Bytes(value) => bytes(out, 7, &value[..value.len().min(VALUE_BYTES_MAX)]),
        _ if depth >= VALUE_DEPTH_MAX => {}
        AnyValue::ListAny(values) => nested(out, 5, |out| {
            each(out, values, |out, value| any_value(out, value, redaction, depth + 1));
        }),
        AnyValue::Map(map) => nested(out, 6, |out| {
            for (key, value) in map.iter() {
                entry(out, 1, key, value, redaction, depth + 1);
            }
        }),
        _ => {}
    }
}

/// The text, or as much of its beginning as is kept.
pub(crate) fn cut(value: &str) -> &str {
    cut_to(value, VALUE_BYTES_MAX)
}

/// The text, or its first `bytes_max` bytes or a little less: a character is kept whole or not at all.
pub(crate) fn cut_to(value: &str, bytes_max: usize) -> &str {
    &value[..value.floor_char_boundary(bytes_max)]
}

/// Nanoseconds since 1970, as OTLP counts.
pub(crate) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn trace_id(out: &mut Vec<u8>, field: u32, id: TraceId) {
    bytes(out, field, &id.to_bytes());
}

fn span_id(out: &mut Vec<u8>, field: u32, id: SpanId) {
    bytes(out, field, &id.to_bytes());
}

// Protobuf leaves out fields that have their default; those of a oneof (`present_`) are written all the same, since it is they that say which one it is.

fn text(out: &mut Vec<u8>, field: u32, value: &str) {
    if !value.is_empty() {
        present_text(out, field, value);
    }
}

fn present_text(out: &mut Vec<u8>, field: u32, value: &str) {
    bytes(out, field, value.as_bytes());
}

/// A field of bytes, which is also how a message that is encoded already is put into another.
pub(crate) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    tag(out, field, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn varint_field(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        present_varint(out, field, value);
    }
}

fn present_varint(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, 0);
    varint(out, value);
}

fn present_double(out: &mut Vec<u8>, field: u32, value: f64) {
    tag(out, field, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        tag(out, field, 1);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    if value != 0 {
        tag(out, field, 5);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn tag(out: &mut Vec<u8>, field: u32, wire: u32) {
    varint(out, u64::from(field << 3 | wire));
}

/// How many bytes [`varint`] writes.
pub(crate) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A message inside another. Its length stands before it and is known after it: one byte is left for it, which is enough for nearly all, and a longer message is moved.
pub(crate) fn nested(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, 2);
    let place = out.len();
    out.push(0);
    write(out);
    let length = out.len() - place - 1;
    let more = varint_len(length as u64) - 1;
    if more > 0 {
        out.resize(out.len() + more, 0);
        out.copy_within(place + 1..place + 1 + length, place + 1 + more);
    }
    let mut left = length;
    for byte in &mut out[place..place + more] {
        *byte = left as u8 | 0x80;
        left >>= 7;
    }
    out[place + more] = left as u8;
}

#[cfg(test)]
mod tests;
