//! What is written, read by the official messages and compared with what the official transformation makes of the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};
use opentelemetry_proto::tonic::common::v1::{AnyValue as ProtoValue, KeyValue as ProtoKeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use prost::Message;

use super::*;

fn span_context(flags: TraceFlags, remote: bool) -> SpanContext {
    let state = TraceState::from_key_value([("vendor", "x")]).expect("a state");
    SpanContext::new(TraceId::from(7), SpanId::from(8), flags, remote, state)
}

fn attributes() -> Vec<KeyValue> {
    vec![
        KeyValue::new("text", "päth"),
        KeyValue::new("empty", ""),
        KeyValue::new("true", true),
        KeyValue::new("false", false),
        KeyValue::new("zero", 0),
        KeyValue::new("negative", i64::MIN),
        KeyValue::new("double", -0.5),
        KeyValue::new("nan-free zero", 0.0),
        KeyValue::new("long", "x".repeat(300)),
        KeyValue::new("longer", "y".repeat(16_000)),
        KeyValue::new("flags", Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("numbers", Value::Array(Array::I64(vec![0, -1, i64::MAX]))),
        KeyValue::new("doubles", Value::Array(Array::F64(vec![0.0, 1.5]))),
        KeyValue::new("texts", Value::Array(Array::String(vec!["a".into(), "".into()]))),
        KeyValue::new("none", Value::Array(Array::I64(vec![]))),
    ]
}

fn a_span(attributes: Vec<KeyValue>) -> SpanData {
    let start = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
    SpanData {
        span_context: span_context(TraceFlags::SAMPLED, false),
        parent_span_id: SpanId::from(9),
        parent_span_is_remote: true,
        span_kind: SpanKind::Server,
        name: "GET /orders/{id}".into(),
        start_time: start,
        end_time: start + Duration::from_micros(150),
        attributes,
        dropped_attributes_count: 3,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("scope").build(),
    }
}

fn written(data: &SpanData) -> Span {
    let mut out = Vec::new();
    span(&mut out, data, &Redaction::default());
    Span::decode(out.as_slice()).expect("a span")
}

#[test]
fn spans_are_what_the_official_transformation_makes() {
    let mut events = SpanEvents::default();
    events.events.push(Event::new("stock delivered", UNIX_EPOCH + Duration::from_secs(5), attributes(), 2));
    events.dropped_count = 130;
    let mut links = SpanLinks::default();
    links.links.push(Link::new(span_context(TraceFlags::default(), true), attributes(), 1));
    links.dropped_count = 1;
    let full = SpanData { events, links, status: Status::error("no answer"), ..a_span(attributes()) };
    let root = SpanData {
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        status: Status::Ok,
        ..a_span(vec![])
    };
    let kinds = [SpanKind::Internal, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
    let others =
        kinds.map(|span_kind| SpanData { span_kind, name: "".into(), dropped_attributes_count: 0, ..a_span(vec![]) });
    for data in [full, root].into_iter().chain(others) {
        assert_eq!(written(&data), Span::from(data.clone()), "{:?}", data.span_kind);
    }
}

/// Keeps what is emitted.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SdkLogRecord>>>);

impl LogProcessor for Kept {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.0.lock().expect("whole").push(record.clone());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn a_record(fill: impl FnOnce(&mut SdkLogRecord)) -> SdkLogRecord {
    let kept = Kept::default();
    let provider = SdkLoggerProvider::builder().with_log_processor(kept.clone()).build();
    let logger = provider.logger("test");
    let mut record = logger.create_log_record();
    fill(&mut record);
    logger.emit(record);
    kept.0.lock().expect("whole").remove(0)
}

fn written_log(record: &SdkLogRecord, correlation: Option<&str>) -> LogRecord {
    let mut out = Vec::new();
    log(&mut out, record, correlation, &Redaction::default());
    LogRecord::decode(out.as_slice()).expect("a record")
}

fn nested_value() -> AnyValue {
    let map = HashMap::from([(Key::new("inner"), AnyValue::Bytes(Box::new(vec![0, 255])))]);
    AnyValue::ListAny(Box::new(vec![
        AnyValue::Int(0),
        AnyValue::Boolean(false),
        AnyValue::Double(0.0),
        "".into(),
        AnyValue::Map(Box::new(map)),
    ]))
}

#[test]
fn log_records_are_what_the_official_transformation_makes() {
    let full = a_record(|record| {
        record.set_event_name("order.placed");
        record.set_severity_number(Severity::Warn);
        record.set_severity_text("WARN");
        record.set_timestamp(UNIX_EPOCH + Duration::from_secs(9));
        record.set_body("order placed".into());
        record.set_trace_context(TraceId::from(1), SpanId::from(2), Some(TraceFlags::SAMPLED));
        for number in 0..12 {
            record.add_attribute(Key::new(format!("key{number}")), i64::from(number));
        }
        record.add_attribute("nested", nested_value());
    });
    let plain = a_record(|record| record.set_body(nested_value()));
    for record in [full, plain] {
        assert_eq!(written_log(&record, None), LogRecord::from(&record));
    }
}

#[test]
fn the_correlation_id_is_there_once() {
    let text = |attributes: &[ProtoKeyValue]| {
        let found = attributes.iter().filter(|attribute| attribute.key == CORRELATION);
        found.map(|attribute| format!("{:?}", attribute.value)).collect::<Vec<_>>()
    };
    let value =
        |id: &str| format!("{:?}", Some(ProtoValue { value: Some(any_value::Value::StringValue(id.to_owned())) }));
    let plain = a_record(|_| {});
    let own = a_record(|record| record.add_attribute(CORRELATION, "own"));
    assert_eq!(text(&written_log(&plain, None).attributes), Vec::<String>::new());
    assert_eq!(text(&written_log(&plain, Some("order-1")).attributes), [value("order-1")]);
    assert_eq!(text(&written_log(&own, Some("order-1")).attributes), [value("own")]);
    let twice =
        a_span(vec![KeyValue::new(CORRELATION, "first"), KeyValue::new("x", 1), KeyValue::new(CORRELATION, "second")]);
    assert_eq!(text(&written(&twice).attributes), [value("first")]);
}

#[test]
fn sensitive_values_are_hidden_wherever_they_are() {
    let secret = "hunter2";
    let pair = || KeyValue::new("user.password", secret);
    let mut events = SpanEvents::default();
    events.events.push(Event::new("login", UNIX_EPOCH, vec![pair()], 0));
    let mut links = SpanLinks::default();
    links.links.push(Link::new(span_context(TraceFlags::SAMPLED, false), vec![pair()], 0));
    let url = KeyValue::new("url.full", format!("http://u:{secret}@h/?token={secret}&page=2"));
    let data = SpanData { events, links, ..a_span(vec![pair(), url]) };
    let mut out = Vec::new();
    span(&mut out, &data, &Redaction::default());
    let map =
        HashMap::from([(Key::new("Authorization"), AnyValue::from(secret)), (Key::new("page"), AnyValue::from("two"))]);
    let record = a_record(|record| {
        record.set_body(AnyValue::Map(Box::new(map.clone())));
        record.add_attribute("request", AnyValue::ListAny(Box::new(vec![AnyValue::Map(Box::new(map.clone()))])));
        record.add_attribute("api_key", 4711);
    });
    log(&mut out, &record, None, &Redaction::default());
    let text = String::from_utf8_lossy(&out);
    assert!(!text.contains(secret), "{text}");
    assert_eq!(text.matches(HIDDEN).count(), 7, "{text}");
    assert!(text.contains("page=2") && text.contains("two") && !text.contains("4711"));
}

#[test]
fn long_and_deep_values_are_cut() {
    let mut deep = AnyValue::Int(1);
    for _ in 0..200 {
        deep = AnyValue::ListAny(Box::new(vec![deep]));
    }
    let record = a_record(|record| {
        record.set_body("ä".repeat(VALUE_BYTES_MAX).into());
        record.add_attribute("bytes", AnyValue::Bytes(Box::new(vec![1; 2 * VALUE_BYTES_MAX])));
        record.add_attribute("deep", deep);
    });
    let written = written_log(&record, None);
    let Some(any_value::Value::StringValue(body)) = written.body.and_then(|body| body.value) else { panic!("a text") };
    assert_eq!(body.len(), VALUE_BYTES_MAX);
    let Some(any_value::Value::BytesValue(bytes)) = written.attributes[0].value.clone().and_then(|value| value.value)
    else {
        panic!("bytes")
    };
    assert_eq!(bytes.len(), VALUE_BYTES_MAX);
    assert!(written.attributes[1].encoded_len() < 200);
    assert_eq!(cut_to("aä", 2), "a");
}

#[test]
fn a_scope_bears_the_target_of_its_records() {
    let scope_of = |target| {
        let of = InstrumentationScope::builder("lib")
            .with_version("1")
            .with_schema_url("https://s")
            .with_attributes([KeyValue::new("token", "t")])
            .build();
        let mut out = Vec::new();
        scope(&mut out, &of, target, &Redaction::default());
        ScopeLogs::decode(out.as_slice()).expect("a scope")
    };
    let plain = scope_of(None);
    let inner = plain.scope.expect("a scope");
    assert_eq!((inner.name.as_str(), inner.version.as_str(), plain.schema_url.as_str()), ("lib", "1", "https://s"));
    assert!(format!("{:?}", inner.attributes).contains(HIDDEN));
    assert_eq!(scope_of(Some("shop::orders")).scope.expect("a scope").name, "shop::orders");
}

#[test]
fn lengths_of_messages_are_right_around_the_sizes_of_their_varints() {
    for length in [0, 1, 126, 127, 128, 129, 16_382, 16_383, 16_384, 16_385, 2_097_151, 2_097_152] {
        let mut out = vec![9];
        nested(&mut out, 1, |out| out.resize(out.len() + length, 7));
        let mut expected = vec![9];
        bytes(&mut expected, 1, &vec![7; length]);
        assert!(out == expected, "{length}");
        assert_eq!(out.len(), 1 + 1 + varint_len(length as u64) + length);
    }
}
