//! What the process did and logged: events and spans of `tracing`, as OTLP requests.

use std::collections::BTreeMap;

use model::{SpanId, Timestamp, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use super::{Myself, attribute, scope, unsigned};

/// The part of a trace's flags that says it is sampled (W3C Trace Context).
const SAMPLED: u32 = 1;

/// One thing that the process did or logged.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnRecord {
    /// It logged something.
    Event(OwnEvent),
    /// It did something.
    Span(OwnSpan),
}

/// Something that was logged.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnEvent {
    /// When.
    pub time: Timestamp,
    /// How grave: the name of a level of `tracing`, and its number in OTLP's log data model.
    pub severity: (&'static str, i32),
    /// The module that said it: the scope.
    pub target: &'static str,
    /// What it said.
    pub message: String,
    /// And about what.
    pub fields: Vec<(&'static str, OwnValue)>,
    /// What the process was doing, if it was doing anything that is a span.
    pub within: Option<Within>,
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnSpan {
    /// Which span it is.
    pub itself: Within,
    /// The span that it is a part of.
    pub parent: Option<SpanId>,
    /// What was done.
    pub name: &'static str,
    /// The module that did it: the scope.
    pub target: &'static str,
    /// With what.
    pub fields: Vec<(&'static str, OwnValue)>,
    /// When it began and ended.
    pub times: (Timestamp, Timestamp),
    /// The error that was logged in it.
    pub error: Option<String>,
}

/// A span's place in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    /// Its trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as the kinds of OTLP")]
pub enum OwnValue {
    Text(String),
    Integer(i64),
    Double(f64),
    Flag(bool),
}

/// A request of logs and one of spans, encoded; none where there is nothing to say.
pub(super) fn requests(myself: &Myself, records: Vec<OwnRecord>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let mut logs: BTreeMap<&str, Vec<LogRecord>> = BTreeMap::new();
    let mut spans: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for record in records {
        match record {
            OwnRecord::Event(event) => logs.entry(event.target).or_default().push(log(event)),
            OwnRecord::Span(done) => spans.entry(done.target).or_default().push(span(done)),
        }
    }
    let scope_logs: Vec<ScopeLogs> = logs
        .into_iter()
        .map(|(target, log_records)| ScopeLogs {
            scope: Some(scope(target, myself)),
            log_records,
            ..ScopeLogs::default()
        })
        .collect();
    let scope_spans: Vec<ScopeSpans> = spans
        .into_iter()
        .map(|(target, spans)| ScopeSpans { scope: Some(scope(target, myself)), spans, ..ScopeSpans::default() })
        .collect();
    let resource = Some(myself.resource());
    let logs = (!scope_logs.is_empty()).then(|| {
        let of_resource = ResourceLogs { resource: resource.clone(), scope_logs, ..ResourceLogs::default() };
        ExportLogsServiceRequest { resource_logs: vec![of_resource] }.encode_to_vec()
    });
    let spans = (!scope_spans.is_empty()).then(|| {
        let of_resource = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![of_resource] }.encode_to_vec()
    });
    (logs, spans)
}

fn log(event: OwnEvent) -> LogRecord {
    let (severity_text, severity_number) = event.severity;
    let (trace_id, span_id) = event.within.map(Within::bytes).unwrap_or_default();
    LogRecord {
        time_unix_nano: unsigned(event.time),
        observed_time_unix_nano: unsigned(event.time),
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(event.message)) }),
        attributes: attributes(event.fields),
        flags: if event.within.is_some() { SAMPLED } else { 0 },
        trace_id,
        span_id,
        ..LogRecord::default()
    }
}

fn span(done: OwnSpan) -> Span {
    let (trace_id, span_id) = done.itself.bytes();
    Span {
        trace_id,
        span_id,
        parent_span_id: done.parent.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        flags: SAMPLED,
        name: done.name.to_owned(),
        kind: SpanKind::Internal as i32,
        start_time_unix_nano: unsigned(done.times.0),
        end_time_unix_nano: unsigned(done.times.1),
        attributes: attributes(done.fields),
        status: done.error.map(|message| Status { message, code: StatusCode::Error as i32 }),
        ..Span::default()
    }
}

fn attributes(fields: Vec<(&'static str, OwnValue)>) -> Vec<KeyValue> {
    let value = |value| match value {
        OwnValue::Text(text) => any_value::Value::StringValue(text),
        OwnValue::Integer(number) => any_value::Value::IntValue(number),
        OwnValue::Double(number) => any_value::Value::DoubleValue(number),
        OwnValue::Flag(flag) => any_value::Value::BoolValue(flag),
    };
    fields.into_iter().map(|(key, of_field)| attribute(key, value(of_field))).collect()
}

impl Within {
    fn bytes(self) -> (Vec<u8>, Vec<u8>) {
        (self.trace.as_bytes().to_vec(), self.span.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_logged_while_something_was_done_belongs_to_its_span() {
        let myself = Myself { version: "1".to_owned(), instance: String::new(), started: Timestamp::default() };
        let within = Within {
            trace: TraceId::from_slice(&[1; 16]).expect("an id"),
            span: SpanId::from_slice(&[2; 8]).expect("an id"),
        };
        let event = OwnEvent {
            time: Timestamp::from_nanos(5),
            severity: ("ERROR", 17),
            target: "store::upkeep",
            message: "a flush failed".to_owned(),
            fields: vec![("retry_s", OwnValue::Integer(3))],
            within: Some(within),
        };
        let done = OwnSpan {
            itself: within,
            parent: None,
            name: "flush",
            target: "store::upkeep",
            fields: vec![("table", OwnValue::Text("logs".to_owned()))],
            times: (Timestamp::from_nanos(1), Timestamp::from_nanos(9)),
            error: Some("a flush failed".to_owned()),
        };
        let (logs, spans) = requests(&myself, vec![OwnRecord::Event(event), OwnRecord::Span(done)]);
        let logs = ExportLogsServiceRequest::decode(logs.expect("logs").as_slice()).expect("a request");
        let spans = ExportTraceServiceRequest::decode(spans.expect("spans").as_slice()).expect("a request");
        let of_scope = &logs.resource_logs[0].scope_logs[0];
        assert_eq!(of_scope.scope.as_ref().map(|scope| scope.name.as_str()), Some("store::upkeep"));
        let (log, span) = (&of_scope.log_records[0], &spans.resource_spans[0].scope_spans[0].spans[0]);
        assert_eq!((&log.trace_id, &log.span_id), (&span.trace_id, &span.span_id));
        assert_eq!((log.severity_number, log.severity_text.as_str(), log.attributes.len()), (17, "ERROR", 1));
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (1, 9));
        assert_eq!(span.status.as_ref().map(|status| status.code), Some(StatusCode::Error as i32));
        assert_eq!(requests(&myself, Vec::new()), (None, None));
    }
}
