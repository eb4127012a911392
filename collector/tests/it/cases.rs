//! What conversion makes of every kind of item that OTLP speaks of, one case each.

use collector::convert::{self, Encoding, Limits};
use collector::{Outcome, Reason, Warning};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use prost::Message as _;
use store::Batch;
use store::schema::{LogColumns, PointColumns, SpanColumns, column};

use crate::flatten::key_value;
use crate::rebuild;
use crate::support::{
    RECEIVED, context, correlation_keys, gauge, log, logs_request, metrics_request, point, span, spans_request,
};

const TOO_LATE: u64 = i64::MAX as u64 + 1;

fn string(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

/// A value inside `levels` arrays.
fn in_arrays(levels: usize) -> AnyValue {
    (0..levels).fold(string("deep"), |value, _| AnyValue {
        value: Some(Value::ArrayValue(ArrayValue { values: vec![value] })),
    })
}

/// A value inside `levels` key-value lists.
fn in_maps(levels: usize) -> AnyValue {
    (0..levels).fold(string("deep"), |value, _| AnyValue {
        value: Some(Value::KvlistValue(KeyValueList { values: vec![key_value("k", value)] })),
    })
}

fn logs(request: &impl prost::Message) -> (Outcome, Batch) {
    let mut columns = LogColumns::default();
    let keys = correlation_keys();
    let outcome = convert::logs(&request.encode_to_vec(), Encoding::Protobuf, &context(&keys), &mut columns);
    (outcome.expect("the request is sound"), columns.finish())
}

fn spans(request: &impl prost::Message) -> (Outcome, Batch) {
    let mut columns = SpanColumns::default();
    let keys = correlation_keys();
    let outcome = convert::spans(&request.encode_to_vec(), Encoding::Protobuf, &context(&keys), &mut columns);
    (outcome.expect("the request is sound"), columns.finish())
}

fn points(request: &impl prost::Message) -> (Outcome, Batch) {
    let mut columns = PointColumns::new([7; 16]);
    let keys = correlation_keys();
    let outcome = convert::points(&request.encode_to_vec(), Encoding::Protobuf, &context(&keys), &mut columns);
    (outcome.expect("the request is sound"), columns.finish())
}

/// Between two good items the one at hand is kept, with or without a warning, or rejected; the good ones always stay.
fn check(name: &str, (outcome, batch): (Outcome, Batch), expected: Expected) {
    let (accepted, rejected, warned) = match expected {
        Expected::Kept => (3, None, None),
        Expected::KeptWith(warning) => (3, None, Some(warning)),
        Expected::Rejected(reason) => (2, Some(reason), None),
    };
    assert_eq!(outcome.accepted, accepted, "{name}: {outcome:?}");
    assert_eq!(batch.len() as u64, accepted, "{name}: {outcome:?}");
    for reason in Reason::ALL {
        assert_eq!(outcome.rejected.count(reason), u64::from(rejected == Some(reason)), "{name}: {outcome:?}");
    }
    for warning in Warning::ALL {
        assert_eq!(outcome.warnings.count(warning), u64::from(warned == Some(warning)), "{name}: {outcome:?}");
    }
    for (_, noted) in outcome.rejected.iter() {
        assert!(noted.first.contains("[1]"), "{name}: {} does not name the second item", noted.first);
    }
}

#[derive(Clone, Copy)]
enum Expected {
    Kept,
    KeptWith(Warning),
    Rejected(Reason),
}

use Expected::{Kept, KeptWith, Rejected};

#[test]
fn spans_are_judged_alone() {
    let deep = vec![key_value("k", in_arrays(25))];
    let indexed = vec![key_value("k", AnyValue { value: Some(Value::StringValueStrindex(4)) })];
    let cases = [
        ("complete", span(), Kept),
        ("no trace id", Span { trace_id: vec![], ..span() }, Rejected(Reason::TraceId)),
        ("short trace id", Span { trace_id: vec![1; 15], ..span() }, Rejected(Reason::TraceId)),
        ("zero trace id", Span { trace_id: vec![0; 16], ..span() }, Rejected(Reason::TraceId)),
        ("no span id", Span { span_id: vec![], ..span() }, Rejected(Reason::SpanId)),
        ("long span id", Span { span_id: vec![1; 16], ..span() }, Rejected(Reason::SpanId)),
        ("zero span id", Span { span_id: vec![0; 8], ..span() }, Rejected(Reason::SpanId)),
        ("root by zero parent", Span { parent_span_id: vec![0; 8], ..span() }, Kept),
        ("parent", Span { parent_span_id: vec![3; 8], ..span() }, Kept),
        ("short parent", Span { parent_span_id: vec![3; 7], ..span() }, Rejected(Reason::ParentSpanId)),
        ("end before start", Span { end_time_unix_nano: 1, ..span() }, Kept),
        ("no times", Span { start_time_unix_nano: 0, end_time_unix_nano: 0, ..span() }, Kept),
        ("last start", Span { start_time_unix_nano: TOO_LATE - 1, ..span() }, Kept),
        ("start too late", Span { start_time_unix_nano: TOO_LATE, ..span() }, Rejected(Reason::TimeRange)),
        ("end too late", Span { end_time_unix_nano: u64::MAX, ..span() }, Rejected(Reason::TimeRange)),
        ("unknown kind and flags", Span { kind: 99, flags: u32::MAX, ..span() }, Kept),
        ("no name", Span { name: String::new(), ..span() }, Kept),
        (
            "event too late",
            Span { events: vec![Event { time_unix_nano: TOO_LATE, ..Event::default() }], ..span() },
            Rejected(Reason::TimeRange),
        ),
        ("any link", Span { links: vec![Link { trace_id: vec![9], ..Link::default() }], ..span() }, Kept),
        ("attribute too deep", Span { attributes: deep.clone(), ..span() }, Rejected(Reason::Depth)),
        (
            "event's attribute too deep",
            Span { events: vec![Event { attributes: deep.clone(), ..Event::default() }], ..span() },
            Rejected(Reason::Depth),
        ),
        (
            "link's attribute too deep",
            Span { links: vec![Link { attributes: deep, ..Link::default() }], ..span() },
            Rejected(Reason::Depth),
        ),
        ("string index", Span { attributes: indexed, ..span() }, KeptWith(Warning::StringIndex)),
    ];
    for (name, case, expected) in cases {
        check(name, spans(&spans_request(vec![span(), case, span()])), expected);
    }
}

#[test]
fn log_records_are_judged_alone() {
    let key_index = vec![KeyValue { key_strindex: 3, ..KeyValue::default() }];
    let cases = [
        ("nothing set", LogRecord::default(), Kept),
        ("ids", LogRecord { trace_id: vec![1; 16], span_id: vec![1; 8], ..log() }, Kept),
        ("zero ids", LogRecord { trace_id: vec![0; 16], span_id: vec![0; 8], ..log() }, Kept),
        ("short trace id", LogRecord { trace_id: vec![1; 8], ..log() }, KeptWith(Warning::IgnoredId)),
        ("long span id", LogRecord { span_id: vec![1; 9], ..log() }, KeptWith(Warning::IgnoredId)),
        ("last time", LogRecord { time_unix_nano: TOO_LATE - 1, ..log() }, Kept),
        ("time too late", LogRecord { time_unix_nano: TOO_LATE, ..log() }, Rejected(Reason::TimeRange)),
        ("observed too late", LogRecord { observed_time_unix_nano: TOO_LATE, ..log() }, Rejected(Reason::TimeRange)),
        ("unknown severity", LogRecord { severity_number: 99, ..log() }, Kept),
        ("deepest body", LogRecord { body: Some(in_maps(24)), ..log() }, Kept),
        ("body too deep", LogRecord { body: Some(in_maps(25)), ..log() }, Rejected(Reason::Depth)),
        ("deepest attribute", LogRecord { attributes: vec![key_value("k", in_arrays(24))], ..log() }, Kept),
        (
            "attribute too deep",
            LogRecord { attributes: vec![key_value("k", in_arrays(25))], ..log() },
            Rejected(Reason::Depth),
        ),
        ("key index", LogRecord { attributes: key_index, ..log() }, KeptWith(Warning::StringIndex)),
        (
            "body index",
            LogRecord { body: Some(AnyValue { value: Some(Value::StringValueStrindex(1)) }), ..log() },
            KeptWith(Warning::StringIndex),
        ),
    ];
    for (name, case, expected) in cases {
        check(name, logs(&logs_request(vec![log(), case, log()])), expected);
    }
}

#[test]
fn points_are_judged_alone() {
    let exemplar = |exemplar: Exemplar| NumberDataPoint { exemplars: vec![exemplar], ..point() };
    let deep = vec![key_value("k", in_arrays(25))];
    let cases = [
        ("complete", point(), Kept),
        ("no value", NumberDataPoint { value: None, ..point() }, Rejected(Reason::NoValue)),
        ("no recorded value", NumberDataPoint { value: None, flags: 1, ..point() }, Kept),
        ("another flag alone", NumberDataPoint { value: None, flags: 2, ..point() }, Rejected(Reason::NoValue)),
        ("no time", NumberDataPoint { time_unix_nano: 0, ..point() }, Kept),
        ("time too late", NumberDataPoint { time_unix_nano: TOO_LATE, ..point() }, Rejected(Reason::TimeRange)),
        ("start too late", NumberDataPoint { start_time_unix_nano: TOO_LATE, ..point() }, Rejected(Reason::TimeRange)),
        ("attribute too deep", NumberDataPoint { attributes: deep.clone(), ..point() }, Rejected(Reason::Depth)),
        ("exemplar without time", exemplar(Exemplar::default()), Kept),
        (
            "exemplar too late",
            exemplar(Exemplar { time_unix_nano: TOO_LATE, ..Exemplar::default() }),
            Rejected(Reason::TimeRange),
        ),
        (
            "exemplar with a short id",
            exemplar(Exemplar { trace_id: vec![1], ..Exemplar::default() }),
            KeptWith(Warning::IgnoredId),
        ),
        (
            "exemplar's attribute too deep",
            exemplar(Exemplar { filtered_attributes: deep, ..Exemplar::default() }),
            Rejected(Reason::Depth),
        ),
    ];
    for (name, case, expected) in cases {
        check(name, points(&metrics_request(vec![gauge(vec![point(), case, point()])])), expected);
    }
}

#[test]
fn metrics_are_judged_alone() {
    let metric = |name: &str, data: Data| Metric { name: name.to_owned(), data: Some(data), ..Metric::default() };
    let sum = |aggregation_temporality| {
        metric("m", Data::Sum(Sum { data_points: vec![point()], aggregation_temporality, is_monotonic: true }))
    };
    let histogram = |aggregation_temporality, point: HistogramDataPoint| {
        metric("m", Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality }))
    };
    let exponential = |aggregation_temporality| {
        let data_points = vec![ExponentialHistogramDataPoint::default()];
        metric("m", Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality }))
    };
    let buckets = |counts: &[u64], bounds: &[f64], flags| HistogramDataPoint {
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        flags,
        ..HistogramDataPoint::default()
    };
    let deep = vec![key_value("k", in_arrays(25))];
    let cases = [
        ("delta sum", sum(1), Kept),
        ("cumulative sum", sum(2), Kept),
        ("unspecified sum", sum(0), Rejected(Reason::Temporality)),
        ("unknown temporality", sum(7), Kept),
        ("unspecified histogram", histogram(0, buckets(&[], &[], 0)), Rejected(Reason::Temporality)),
        ("histogram without buckets", histogram(2, buckets(&[], &[], 0)), Kept),
        ("histogram", histogram(2, buckets(&[1, 2], &[0.5], 0)), Kept),
        ("too few buckets", histogram(2, buckets(&[1], &[0.5], 0)), Rejected(Reason::Buckets)),
        ("bounds descend", histogram(2, buckets(&[1, 1, 1], &[2.0, 1.0], 0)), Rejected(Reason::Bounds)),
        ("stale histogram", histogram(2, buckets(&[1], &[0.5], 1)), Kept),
        ("unspecified exponential", exponential(0), Rejected(Reason::Temporality)),
        ("exponential", exponential(1), Kept),
        ("summary", metric("m", Data::Summary(Summary { data_points: vec![SummaryDataPoint::default()] })), Kept),
        ("no name", metric("", Data::Gauge(Gauge { data_points: vec![point()] })), Rejected(Reason::MetricName)),
        ("metadata too deep", Metric { metadata: deep, ..sum(2) }, Rejected(Reason::Depth)),
    ];
    for (name, case, expected) in cases {
        check(name, points(&metrics_request(vec![gauge(vec![point()]), case, gauge(vec![point()])])), expected);
    }
}

#[test]
fn metrics_without_points_are_nothing() {
    let empty = gauge(vec![]);
    let without_data = Metric { name: "m".to_owned(), ..Metric::default() };
    let (outcome, batch) = points(&metrics_request(vec![empty, without_data]));
    assert_eq!((outcome.accepted, outcome.rejected.total(), batch.len()), (0, 0, 0));
    assert_eq!(outcome.warnings.count(Warning::MetricWithoutData), 1);
}

#[test]
fn a_resource_too_deep_rejects_what_is_below_it() {
    let mut request = spans_request(vec![span(), span()]);
    request.resource_spans[0].resource =
        Some(Resource { attributes: vec![key_value("k", in_maps(25))], ..Resource::default() });
    request.resource_spans.extend(spans_request(vec![span()]).resource_spans);
    let (outcome, batch) = spans(&request);
    assert_eq!((outcome.accepted, outcome.rejected.count(Reason::Depth), batch.len()), (1, 2, 1));
}

#[test]
fn missing_times_are_derived_and_marked() {
    let received = RECEIVED.as_nanos() as u64;
    for (time, observed, timestamp, observed_timestamp) in
        [(5, 7, 5, 7), (0, 7, 7, 7), (5, 0, 5, received), (0, 0, received, received)]
    {
        let record = LogRecord { time_unix_nano: time, observed_time_unix_nano: observed, ..LogRecord::default() };
        let (_, batch) = logs(&logs_request(vec![record]));
        let rows = rebuild::expand(&batch);
        assert_eq!(rebuild::nanos(&rows, column::TIMESTAMP, 0), timestamp);
        assert_eq!(rebuild::nanos(&rows, column::OBSERVED_TIMESTAMP, 0), observed_timestamp);
        let kept = &rebuild::logs(&batch)[0].item;
        assert_eq!((kept.time_unix_nano, kept.observed_time_unix_nano), (time, observed));
    }
    let exemplars = vec![Exemplar::default(), Exemplar { time_unix_nano: 3, ..Exemplar::default() }];
    for (time, timestamp) in [(9, 9), (0, received)] {
        let point = NumberDataPoint { time_unix_nano: time, exemplars: exemplars.clone(), ..point() };
        let (_, batch) = points(&metrics_request(vec![gauge(vec![point])]));
        assert_eq!(rebuild::nanos(&rebuild::expand(&batch), column::TIMESTAMP, 0), timestamp);
        let kept = batch.exemplars.as_ref().expect("there are two");
        assert_eq!(rebuild::nanos(kept, column::TIMESTAMP, 0), timestamp);
        assert_eq!(rebuild::nanos(kept, column::TIMESTAMP, 1), 3);
    }
}

#[test]
fn correlation_ids_come_from_the_item_else_from_the_resource() {
    let own = vec![key_value("request.id", string("own")), key_value("x-request-id", string("later"))];
    let of_resource =
        || Some(Resource { attributes: vec![key_value("correlation_id", string("res"))], ..Resource::default() });
    let id = |rows: &arrow::array::RecordBatch, row| rebuild::text(rows, column::CORRELATION_ID, row);

    let mut request = logs_request(vec![LogRecord { attributes: own.clone(), ..log() }, log()]);
    let (_, batch) = logs(&request);
    let rows = rebuild::expand(&batch);
    assert_eq!((id(&rows, 0).as_deref(), id(&rows, 1).as_deref()), (Some("own"), None));
    request.resource_logs[0].resource = of_resource();
    let (_, batch) = logs(&request);
    let rows = rebuild::expand(&batch);
    assert_eq!((id(&rows, 0).as_deref(), id(&rows, 1).as_deref()), (Some("own"), Some("res")));

    let mut request = spans_request(vec![Span { attributes: own.clone(), ..span() }, span()]);
    request.resource_spans[0].resource = of_resource();
    let (_, batch) = spans(&request);
    let rows = rebuild::expand(&batch);
    assert_eq!((id(&rows, 0).as_deref(), id(&rows, 1).as_deref()), (Some("own"), Some("res")));

    let filtered =
        Exemplar { filtered_attributes: vec![key_value("correlation.id", string("ex"))], ..Exemplar::default() };
    let exemplars = vec![filtered, Exemplar::default()];
    let with = NumberDataPoint { attributes: own, exemplars: exemplars.clone(), ..point() };
    let without = NumberDataPoint { exemplars, ..point() };
    let mut request = metrics_request(vec![gauge(vec![with, without])]);
    request.resource_metrics[0].resource = of_resource();
    let (_, batch) = points(&request);
    let kept = batch.exemplars.as_ref().expect("there are four");
    let ids: Vec<_> = (0..4).map(|row| id(kept, row)).collect();
    assert_eq!(
        ids.iter().map(Option::as_deref).collect::<Vec<_>>(),
        [Some("ex"), Some("own"), Some("ex"), Some("res")]
    );
}

#[test]
fn one_huge_resource_over_many_items_is_bounded() {
    let mut request = logs_request(vec![log(); 10]);
    let attributes = vec![key_value("k", string(&"x".repeat(1000)))];
    request.resource_logs[0].resource = Some(Resource { attributes, ..Resource::default() });
    let keys = correlation_keys();
    let limits = Limits { expanded_bytes_max: 4500, ..Limits::default() };
    let context = convert::Context { limits, ..context(&keys) };
    let mut columns = LogColumns::default();
    let outcome = convert::logs(&request.encode_to_vec(), Encoding::Protobuf, &context, &mut columns);
    let outcome = outcome.expect("the request is sound");
    assert_eq!((outcome.accepted, outcome.rejected.count(Reason::Expansion), columns.len()), (4, 6, 4));
}

#[test]
fn a_record_with_very_many_attributes_is_kept() {
    // Twice each, so that the first of every key must be found again among all the others.
    let entry = |number: usize| key_value(format!("key {}", number % 150_000), string("value"));
    let attributes = (0..300_000).map(entry).collect();
    let (outcome, batch) = logs(&logs_request(vec![LogRecord { attributes, ..log() }]));
    assert_eq!(outcome.accepted, 1);
    assert_eq!(rebuild::overflow(&rebuild::expand(&batch), column::OVERFLOW, 0).len(), 150_000 - 200);
}

#[test]
fn what_has_too_many_or_too_large_attributes_is_rejected_alone() {
    let keys = [];
    let limits =
        Limits { attributes_max: 2, attribute_key_bytes_max: 4, attribute_value_bytes_max: 8, ..Limits::default() };
    let context = convert::Context { limits, ..context(&keys) };
    let with = |attributes| LogRecord { attributes, ..log() };
    let pair = |key: &str, value: &str| key_value(key.to_owned(), string(value));
    let records = vec![
        with(vec![pair("a", "12345678"), pair("abcd", "")]),
        with(vec![pair("a", ""), pair("b", ""), pair("c", "")]),
        with(vec![pair("abcde", "")]),
        with(vec![pair("a", "123456789")]),
        with(Vec::new()),
    ];
    let mut columns = LogColumns::default();
    let bytes = logs_request(records).encode_to_vec();
    let outcome = convert::logs(&bytes, Encoding::Protobuf, &context, &mut columns).expect("it decodes");
    assert_eq!((outcome.accepted, columns.len()), (2, 2));
    for reason in [Reason::Attributes, Reason::AttributeKey, Reason::AttributeValue] {
        assert_eq!(outcome.rejected.count(reason), 1, "{reason:?}");
    }
}

#[test]
fn undecodable_requests_leave_the_columns_as_they_were() {
    let sound = logs_request(vec![LogRecord { severity_text: "abc".to_owned(), ..log() }]).encode_to_vec();
    let position = sound.windows(3).position(|window| window == b"abc").expect("the text is in the bytes");
    let mut no_utf8 = sound.clone();
    no_utf8[position] = 0xff;
    // Deeper than the decoder goes at all.
    let deeper = logs_request(vec![LogRecord { body: Some(in_arrays(60)), ..log() }]).encode_to_vec();
    let cases: [(&str, &[u8]); 5] = [
        ("cut short", &sound[..sound.len() - 1]),
        ("a byte", &[0x0a]),
        ("zeros", &[0; 64]),
        ("no UTF-8", &no_utf8),
        ("nested beyond the decoder", &deeper),
    ];
    let keys = correlation_keys();
    for (name, bytes) in cases {
        let mut columns = LogColumns::default();
        let result = convert::logs(bytes, Encoding::Protobuf, &context(&keys), &mut columns);
        assert!(result.is_err(), "{name}");
        assert!(columns.is_empty() && columns.envelopes.finish().num_rows() == 0, "{name}");
    }
}

#[test]
fn unknown_fields_are_ignored() {
    // Field 1000, a varint: unknown to every message.
    let unknown: &[u8] = &[0xc0, 0x3e, 0x01];
    let record = [log().encode_to_vec(), unknown.to_vec()].concat();
    let scope_logs = [tagged(2, &record), unknown.to_vec()].concat();
    let resource_logs = [tagged(2, &scope_logs), unknown.to_vec()].concat();
    let request = [tagged(1, &resource_logs), unknown.to_vec()].concat();
    let keys = correlation_keys();
    let mut columns = LogColumns::default();
    let outcome = convert::logs(&request, Encoding::Protobuf, &context(&keys), &mut columns);
    assert_eq!(outcome.expect("the request is sound").accepted, 1);
    assert_eq!(rebuild::logs(&columns.finish())[0].item, log());
}

// A field with bytes, shorter than 128.
fn tagged(field: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("short");
    assert!(length < 128);
    [&[field << 3 | 2, length], bytes].concat()
}
