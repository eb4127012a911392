//! The rows about OTLP/JSON.

use std::path::{Path, PathBuf};

use collector::Warning;
use model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{exemplar, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::row;
use super::wire::{Answer, Transport, Wire};
use crate::equivalence::{self, Request, from_json};
use crate::json::Writer;
use crate::rebuild;
use crate::support::{log, logs_request, span, spans_request};

const JSON: &[Transport] = &[Transport::Json];

pub fn rows() -> Vec<super::Row> {
    vec![
        row!(
            j01,
            "J01",
            "MUST",
            JSON,
            "ids in hex, in any case",
            "the same bytes, of spans, parents, links, logs and exemplars"
        ),
        row!(j02, "J02", "MUST", JSON, "ids in base64", "400"),
        row!(j03, "J03", "MUST", JSON, "ids of odd length or not hex", "400"),
        row!(j04, "J04", "MUST", JSON, "a span's id in hex, of wrong length or zero", "the span rejected"),
        row!(
            j05,
            "J05",
            "MUST",
            JSON,
            "the same of a log record",
            "kept without it, with a warning where it has a wrong length"
        ),
        row!(j06, "J06", "-", JSON, "an id of no characters", "absent; an empty parentSpanId is a root"),
        row!(j07, "J07", "MUST", JSON, "enumerated values as numbers", "read"),
        row!(
            j08,
            "J08",
            "MUST",
            JSON,
            "enumerated values as names",
            "senders must not; read, with a warning in partialSuccess"
        ),
        row!(j09, "J09", "-", JSON, "unknown numbers of enumerated values", "kept"),
        row!(j10, "J10", "MUST", JSON, "unknown keys at every level", "ignored, the data stored"),
        row!(j11, "J11", "MUST", JSON, "keys in snake_case", "unknown and ignored, with a warning in partialSuccess"),
        row!(j12, "J12", "MUST", JSON, "64-bit integers as text or number", "exact"),
        row!(j13, "J13", "-", JSON, "the least and the greatest 64-bit integers", "exact"),
        row!(j14, "J14", "-", JSON, "integers out of range, or none", "400"),
        row!(
            j14_double,
            "J14b",
            "own",
            JSON,
            "a whole double beyond 64 bits written as an integer, as JavaScript's SDK does",
            "kept as a double, with a warning in partialSuccess; nothing else is lost"
        ),
        row!(j15, "J15", "-", JSON, "doubles as number or text, NaN, Infinity", "read"),
        row!(j16, "J16", "-", JSON, "base64 of either alphabet, padded or not", "read"),
        row!(j17, "J17", "-", JSON, "null", "the default; refused as an element of a list that cannot have it"),
        row!(j18, "J18", "-", JSON, "AnyValue {}", "kept as empty"),
        row!(j19, "J19", "-", JSON, "nested arrays and lists of mixed types", "kept"),
        row!(
            j20,
            "J20",
            "own",
            JSON,
            "100,000 nested values",
            "400, also below unknown keys; the limit is 256 levels of JSON"
        ),
        row!(
            j21,
            "J21",
            "own",
            JSON,
            "a key twice",
            "of an object: the last counts, with a warning; of attributes: the last counts"
        ),
        row!(j22, "J22", "-", JSON, "invalid UTF-8, half of a surrogate pair", "400"),
        row!(
            j23,
            "J23",
            "-",
            JSON,
            "the specification's examples",
            "stored, and equal in meaning when read back (`tests/it/golden.rs`)"
        ),
        row!(
            j24,
            "J24",
            "own",
            JSON,
            "byte order mark, white space, something behind the end",
            "white space is allowed, the others are 400"
        ),
        row!(
            j25,
            "J25",
            "own",
            JSON,
            "random requests in JSON and protobuf",
            "identical rows; 10,000 in `equivalence.rs`, 200 of them here"
        ),
    ]
}

const TRACE: &str = "5b8effF798038103d269b633813fc60c";
const SPAN: &str = "eee19B7ec3c1b174";

fn spans(span: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#)
}

fn logs(record: &str) -> String {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#)
}

fn points(metric: &str) -> String {
    format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#)
}

// The one span that a text says, and what is warned about.
fn one_span(fields: &str) -> (Span, Vec<Warning>) {
    let text = spans(&format!(r#"{{"traceId":"{TRACE}","spanId":"{SPAN}",{fields}}}"#));
    let (outcome, batch) =
        from_json::<ExportTraceServiceRequest>(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let warnings = outcome.warnings.iter().map(|(warning, _)| warning).collect();
    (rebuild::spans(&batch).remove(0).item, warnings)
}

fn one_log(fields: &str) -> (LogRecord, Vec<Warning>) {
    let text = logs(&format!("{{{fields}}}"));
    let (outcome, batch) =
        from_json::<ExportLogsServiceRequest>(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let warnings = outcome.warnings.iter().map(|(warning, _)| warning).collect();
    (rebuild::logs(&batch).remove(0).item, warnings)
}

fn body(value: &str) -> Option<AnyValue> {
    one_log(&format!(r#""body":{value}"#)).0.body
}

fn string(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) })
}

async fn send(text: impl AsRef<[u8]>, signal: Signal) -> Answer {
    Wire::start(Transport::Json).await.send(signal, text.as_ref()).await
}

// Every text is refused with 400, for this field.
async fn refused(signal: Signal, cases: &[(String, &str)]) {
    let wire = Wire::start(Transport::Json).await;
    for (text, field) in cases {
        let answer = wire.send(signal, text.as_bytes()).await;
        let short: String = text.chars().take(200).collect();
        assert_eq!((answer.http, answer.code), (400, 3), "{short}: {answer:?}");
        assert_eq!(answer.field.as_deref(), Some(*field), "{short}: {answer:?}");
    }
    assert_eq!(wire.rows(signal), 0);
}

async fn j01(_: Transport) {
    let trace_id = u128::from_str_radix(TRACE, 16).expect("hex").to_be_bytes().to_vec();
    let span_id = u64::from_str_radix(SPAN, 16).expect("hex").to_be_bytes().to_vec();
    for spell in [str::to_owned, str::to_lowercase, str::to_uppercase] {
        let (trace, span) = (spell(TRACE), spell(SPAN));
        let ids = format!(r#""traceId":"{trace}","spanId":"{span}""#);
        let text = spans(&format!(r#"{{{ids},"parentSpanId":"{span}","links":[{{{ids}}}]}}"#));
        let (_, batch) = from_json::<ExportTraceServiceRequest>(&text).expect("sound");
        let kept = &rebuild::spans(&batch)[0].item;
        assert_eq!((&kept.trace_id, &kept.span_id, &kept.parent_span_id), (&trace_id, &span_id, &span_id));
        assert_eq!((&kept.links[0].trace_id, &kept.links[0].span_id), (&trace_id, &span_id));
        let (record, warnings) = one_log(&ids);
        assert_eq!((&record.trace_id, &record.span_id, warnings), (&trace_id, &span_id, vec![]));
        let point = format!(r#"{{"asInt":1,"timeUnixNano":5,"exemplars":[{{{ids}}}]}}"#);
        let text = points(&format!(r#"{{"name":"m","gauge":{{"dataPoints":[{point}]}}}}"#));
        let (_, batch) = from_json::<ExportMetricsServiceRequest>(&text).expect("sound");
        let Some(Data::Gauge(gauge)) = &rebuild::points(&batch)[0].item.data else { panic!("{batch:?}") };
        let exemplar = &gauge.data_points[0].exemplars[0];
        assert_eq!((&exemplar.trace_id, &exemplar.span_id), (&trace_id, &span_id));
    }
}

async fn j02(_: Transport) {
    let trace = spans(&format!(r#"{{"traceId":"W47/95gDgQPSabYzgT/GDA==","spanId":"{SPAN}"}}"#));
    let span = spans(&format!(r#"{{"traceId":"{TRACE}","spanId":"7uGbfsPBsXQ="}}"#));
    let trace_place = "resourceSpans[0].scopeSpans[0].spans[0].traceId";
    let span_place = "resourceSpans[0].scopeSpans[0].spans[0].spanId";
    refused(Signal::Spans, &[(trace, trace_place), (span, span_place)]).await;
}

async fn j03(_: Transport) {
    let place = "resourceSpans[0].scopeSpans[0].spans[0].spanId";
    let cases = ["abc", "zz19b7ec3c1b174f", "eee19b7ec3c1b1 4", "éé"];
    let cases = cases.map(|id| (spans(&format!(r#"{{"traceId":"{TRACE}","spanId":"{id}"}}"#)), place));
    refused(Signal::Spans, &cases).await;
}

async fn j04(transport: Transport) {
    let wire = Wire::start(transport).await;
    for ids in [
        format!(r#""traceId":"{SPAN}","spanId":"{SPAN}""#),
        format!(r#""traceId":"{}","spanId":"{SPAN}""#, "0".repeat(32)),
        format!(r#""traceId":"{TRACE}","spanId":"{TRACE}""#),
        format!(r#""traceId":"{TRACE}","spanId":"{}""#, "0".repeat(16)),
        format!(r#""traceId":"{TRACE}""#),
        format!(r#""traceId":"{TRACE}","spanId":"{SPAN}","parentSpanId":"ab""#),
    ] {
        let answer = wire.send(Signal::Spans, spans(&format!("{{{ids}}}")).as_bytes()).await;
        assert_eq!(answer.assert_ok().rejected, Some(1), "{ids}");
    }
    assert_eq!(wire.rows(Signal::Spans), 0);
}

async fn j05(transport: Transport) {
    let wire = Wire::start(transport).await;
    let short = wire.send(Signal::Logs, logs(&format!(r#"{{"traceId":"{SPAN}"}}"#)).as_bytes()).await;
    assert_eq!(short.assert_ok().rejected, Some(0));
    assert!(short.message.contains("kept without a trace_id"), "{short:?}");
    let zero = logs(&format!(r#"{{"traceId":"{}","spanId":"{}"}}"#, "0".repeat(32), "0".repeat(16)));
    wire.send(Signal::Logs, zero.as_bytes()).await.assert_full_success();
    assert_eq!(wire.rows(Signal::Logs), 2);
    assert_eq!(one_log(&format!(r#""traceId":"{SPAN}""#)).0.trace_id, [0; 0]);
}

async fn j06(_: Transport) {
    let (span, warnings) = one_span(r#""parentSpanId":"""#);
    assert_eq!((span.parent_span_id, warnings), (vec![], vec![]));
    let (record, warnings) = one_log(r#""traceId":"","spanId":"""#);
    assert_eq!((record.trace_id, record.span_id, warnings), (vec![], vec![], vec![]));
}

async fn j07(_: Transport) {
    let (span, warnings) = one_span(r#""kind":2,"status":{"code":2}"#);
    assert_eq!((span.kind, span.status.map(|status| status.code), warnings), (2, Some(2), vec![]));
    assert_eq!(one_log(r#""severityNumber":17"#).0.severity_number, 17);
}

async fn j08(_: Transport) {
    let (span, warnings) = one_span(r#""kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"}"#);
    assert_eq!((span.kind, span.status.map(|status| status.code)), (2, Some(2)));
    assert_eq!(warnings, [Warning::EnumName]);
    let (record, warnings) = one_log(r#""severityNumber":"SEVERITY_NUMBER_ERROR""#);
    assert_eq!((record.severity_number, warnings), (17, vec![Warning::EnumName]));
    let sum = r#""sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA","dataPoints":[{"asInt":1}]}"#;
    let answer = send(points(&format!(r#"{{"name":"m",{sum}}}"#)), Signal::Points).await;
    assert_eq!(answer.assert_ok().rejected, Some(0));
    let place = "resourceMetrics[0].scopeMetrics[0].metrics[0].sum.aggregationTemporality";
    assert!(answer.message.contains("names of enumerated values") && answer.message.ends_with(place), "{answer:?}");
    let text = spans(r#"{"kind":"SPAN_KIND_NO_SUCH"}"#);
    refused(Signal::Spans, &[(text, "resourceSpans[0].scopeSpans[0].spans[0].kind")]).await;
}

async fn j09(_: Transport) {
    let (span, warnings) = one_span(r#""kind":99,"status":{"code":-7}"#);
    assert_eq!((span.kind, span.status.map(|status| status.code), warnings), (99, Some(-7), vec![]));
    assert_eq!(one_log(r#""severityNumber":2147483647"#).0.severity_number, i32::MAX);
}

async fn j10(transport: Transport) {
    let wire = Wire::start(transport).await;
    let unknown = r#""foo":{"a":[1,-2.5e3,"x\u0000",{"b":[]},null,true,false],"kind":"no"},"Name":1"#;
    let value = format!(r#"{{{unknown},"stringValue":"v"}}"#);
    let attribute = format!(r#"{{"key":"k",{unknown},"value":{value}}}"#);
    let of_span = format!(
        r#"{{"traceId":"{TRACE}",{unknown},"spanId":"{SPAN}","name":"n","attributes":[{attribute}],"status":{{{unknown}}}}}"#
    );
    let scope = format!(r#"{{"scope":{{{unknown}}},{unknown},"spans":[{of_span}]}}"#);
    let resource = format!(r#"{{"resource":{{{unknown}}},{unknown},"scopeSpans":[{scope}]}}"#);
    let text = format!(r#"{{{unknown},"resourceSpans":[{resource}]}}"#);
    wire.send(Signal::Spans, text.as_bytes()).await.assert_full_success();
    assert_eq!(wire.rows(Signal::Spans), 1);
    let (_, batch) = from_json::<ExportTraceServiceRequest>(&text).expect("sound");
    let kept = &rebuild::spans(&batch)[0].item;
    assert_eq!((kept.name.as_str(), &kept.attributes[0].value), ("n", &string("v")));
}

async fn j11(transport: Transport) {
    let wire = Wire::start(transport).await;
    let text = format!(r#"{{"resource_spans":[{{"scope_spans":[{{"spans":[{{"trace_id":"{TRACE}"}}]}}]}}]}}"#);
    let answer = wire.send(Signal::Spans, text.as_bytes()).await;
    assert_eq!(answer.assert_ok().rejected, Some(0));
    assert!(answer.message.contains("keys in snake_case were ignored"), "{answer:?}");
    assert_eq!(wire.rows(Signal::Spans), 0);
    let (record, warnings) = one_log(r#""severity_text":"x","event_name":"y","no_such_key":1"#);
    assert_eq!((record.severity_text.as_str(), warnings), ("", vec![Warning::SnakeCaseKey]));
}

async fn j12(_: Transport) {
    for written in
        ["\"1544712660300000001\"", "1544712660300000001", "1544712660300000001.0", "1.544712660300000001e18"]
    {
        let (record, _) = one_log(&format!(r#""timeUnixNano":{written}"#));
        assert_eq!(record.time_unix_nano, 1_544_712_660_300_000_001, "{written}");
    }
    assert_eq!(one_log(r#""flags":"7","droppedAttributesCount":8"#).0.flags, 7);
}

async fn j13(_: Transport) {
    for value in [i64::MAX, i64::MIN, 0, -1] {
        for written in [format!("\"{value}\""), value.to_string()] {
            let kept = body(&format!(r#"{{"intValue":{written}}}"#)).and_then(|body| body.value);
            assert_eq!(kept, Some(Value::IntValue(value)));
        }
    }
    let point = format!(
        r#"{{"name":"m","histogram":{{"aggregationTemporality":2,"dataPoints":[{{"count":"{}"}}]}}}}"#,
        u64::MAX
    );
    let (_, batch) = from_json::<ExportMetricsServiceRequest>(&points(&point)).expect("sound");
    let Some(Data::Histogram(histogram)) = &rebuild::points(&batch)[0].item.data else { panic!("{batch:?}") };
    assert_eq!(histogram.data_points[0].count, u64::MAX);
}

async fn j14(_: Transport) {
    let record = "resourceLogs[0].scopeLogs[0].logRecords[0]";
    let cases = [
        ("timeUnixNano", "\"18446744073709551616\""),
        ("timeUnixNano", "18446744073709551616"),
        ("timeUnixNano", "-1"),
        ("timeUnixNano", "1.5"),
        ("timeUnixNano", "\"\""),
        ("timeUnixNano", "\" 1\""),
        ("timeUnixNano", "true"),
        ("flags", "4294967296"),
        ("severityNumber", "2147483648"),
    ];
    let cases = cases.map(|(key, value)| (logs(&format!(r#"{{"{key}":{value}}}"#)), format!("{record}.{key}")));
    let cases: Vec<(String, &str)> = cases.iter().map(|(text, place)| (text.clone(), place.as_str())).collect();
    refused(Signal::Logs, &cases).await;
    let text = logs(r#"{"body":{"intValue":"9223372036854775808"}}"#);
    refused(Signal::Logs, &[(text, "resourceLogs[0].scopeLogs[0].logRecords[0].body.intValue")]).await;
}

async fn j14_double(transport: Transport) {
    for (written, value) in
        [("1.797e+308", 1.797e308), ("-1e21", -1e21), ("9223372036854776000", 9.223_372_036_854_776e18)]
    {
        let (record, warnings) = one_log(&format!(r#""body":{{"intValue":{written}}}"#));
        assert_eq!(record.body.and_then(|body| body.value), Some(Value::DoubleValue(value)), "{written}");
        assert_eq!(warnings, [Warning::IntegerAsDouble], "{written}");
    }
    let point = r#"{"name":"m","gauge":{"dataPoints":[{"asInt":1e300,"exemplars":[{"asInt":-1e300}]}]}}"#;
    let (outcome, batch) = from_json::<ExportMetricsServiceRequest>(&points(point)).expect("sound");
    assert_eq!(outcome.warnings.count(Warning::IntegerAsDouble), 2);
    let Some(Data::Gauge(gauge)) = &rebuild::points(&batch)[0].item.data else { panic!("{batch:?}") };
    assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsDouble(1e300)));
    assert_eq!(gauge.data_points[0].exemplars[0].value, Some(exemplar::Value::AsDouble(-1e300)));

    // The records beside it are stored as if it were not there, and their sender is told.
    let wire = Wire::start(transport).await;
    let huge = r#"{"attributes":[{"key":"huge","value":{"intValue":1.7976931348623157e+308}}]}"#;
    let answer = wire.send(Signal::Logs, logs(&format!("{{}},{huge},{{}}")).as_bytes()).await;
    assert_eq!(answer.assert_ok().rejected, Some(0), "{answer:?}");
    assert_eq!(wire.rows(Signal::Logs), 3);
    // What no double is written as was another number, and so was what stands in quotes.
    for written in ["18446744073709551615", "9223372036854775808", "\"1e300\"", "1.5", "1e999"] {
        let text = logs(&format!(r#"{{"body":{{"intValue":{written}}}}}"#));
        refused(Signal::Logs, &[(text, "resourceLogs[0].scopeLogs[0].logRecords[0].body.intValue")]).await;
    }
}

async fn j15(_: Transport) {
    for (written, value) in [
        ("1", 1.0),
        ("1.5", 1.5),
        ("\"1.5\"", 1.5),
        ("1e-300", 1e-300),
        ("-0.0", -0.0),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
        ("\"NaN\"", f64::NAN),
        ("0.1", 0.1),
        ("5e-324", 5e-324),
        ("179769313486231570814527423731704356798070e267", f64::MAX),
    ] {
        let kept = body(&format!(r#"{{"doubleValue":{written}}}"#)).and_then(|body| body.value);
        let Some(Value::DoubleValue(kept)) = kept else { panic!("{written}: {kept:?}") };
        assert_eq!(kept.to_bits(), value.to_bits(), "{written}");
    }
    let place = "resourceLogs[0].scopeLogs[0].logRecords[0].body.doubleValue";
    let cases = ["1e999", "\"nan\"", "\"inf\"", "\"\"", "true"];
    refused(Signal::Logs, &cases.map(|value| (logs(&format!(r#"{{"body":{{"doubleValue":{value}}}}}"#)), place))).await;
    let cases = ["NaN", "Infinity", "+1", ".5", "01"];
    refused(Signal::Logs, &cases.map(|value| (logs(&format!(r#"{{"body":{{"doubleValue":{value}}}}}"#)), place))).await;
}

async fn j16(_: Transport) {
    for (written, bytes) in [
        ("+/8=", &[0xfb, 0xff][..]),
        ("-_8=", &[0xfb, 0xff]),
        ("+/8", &[0xfb, 0xff]),
        ("-_8", &[0xfb, 0xff]),
        ("-_9", &[0xfb, 0xff]),
        ("AA==", &[0]),
        ("AA", &[0]),
        ("", &[]),
    ] {
        let kept = body(&format!(r#"{{"bytesValue":"{written}"}}"#)).and_then(|body| body.value);
        assert_eq!(kept, Some(Value::BytesValue(bytes.to_vec())), "{written}");
    }
    let place = "resourceLogs[0].scopeLogs[0].logRecords[0].body.bytesValue";
    let cases = ["A", "A===", "%%%%", "AA=A"];
    refused(Signal::Logs, &cases.map(|value| (logs(&format!(r#"{{"body":{{"bytesValue":"{value}"}}}}"#)), place)))
        .await;
}

async fn j17(_: Transport) {
    let nulls = r#""attributes":null,"name":null,"kind":null,"flags":null,"startTimeUnixNano":null,"parentSpanId":null,
        "events":null,"links":null,"status":null,"traceState":null,"droppedAttributesCount":null"#;
    let (kept, warnings) = one_span(nulls);
    assert_eq!(kept, one_span(r#""name":"""#).0);
    assert_eq!(warnings, []);
    assert_eq!(body("null"), None);
    assert_eq!(body(r#"{"stringValue":"x","intValue":null}"#), string("x"));
    let values = body(r#"{"arrayValue":{"values":[null,{"stringValue":"x"}]}}"#).and_then(|body| body.value);
    let Some(Value::ArrayValue(array)) = values else { panic!("{values:?}") };
    assert_eq!(array.values, [AnyValue::default(), string("x").expect("some")]);
    let text = r#"{"resourceLogs":null}"#;
    send(text, Signal::Logs).await.assert_full_success();
    refused(Signal::Logs, &[(logs("null"), "resourceLogs[0].scopeLogs[0].logRecords[0]")]).await;
    refused(Signal::Logs, &[("null".to_owned(), "the request")]).await;
}

async fn j18(_: Transport) {
    assert_eq!(body("{}"), Some(AnyValue::default()));
    let (record, _) = one_log(r#""attributes":[{"key":"k","value":{}}]"#);
    assert_eq!(record.attributes[0].value, Some(AnyValue::default()));
}

async fn j19(_: Transport) {
    let mixed = r#"{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"x"},{"boolValue":true},{},
        {"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{}}},{"key":"b","value":{"doubleValue":0.5}}]}}]}}"#;
    let (record, warnings) = one_log(&format!(r#""body":{mixed},"attributes":[{{"key":"k","value":{mixed}}}]"#));
    assert_eq!(warnings, []);
    assert_eq!(record.body, record.attributes[0].value);
    let Some(Value::ArrayValue(array)) = record.body.and_then(|body| body.value) else { panic!("no array") };
    assert_eq!(array.values.len(), 5);
    let Some(Value::KvlistValue(map)) = &array.values[4].value else { panic!("{array:?}") };
    assert_eq!(map.values[1].value.as_ref().and_then(|value| value.value.clone()), Some(Value::DoubleValue(0.5)));
}

async fn j20(transport: Transport) {
    let wire = Wire::start(transport).await;
    let deep = 100_000;
    let values =
        |levels: usize| format!("{}{{}}{}", r#"{"arrayValue":{"values":["#.repeat(levels), "]}}".repeat(levels));
    let maps = r#"{"kvlistValue":{"values":[{"value":"#.repeat(deep);
    for text in [
        logs(&format!(r#"{{"body":{}}}"#, values(deep))),
        logs(&format!(r#"{{"body":{maps}"#)),
        logs(&format!(r#"{{"foo":{}"#, "[".repeat(deep))),
        logs(&format!(r#"{{"foo":{}"#, "{\"a\":".repeat(deep))),
        "[".repeat(deep),
    ] {
        wire.send(Signal::Logs, text.as_bytes()).await.assert_permanent(3, 400);
    }
    // Deeper than is kept, but not than is read: the record is rejected alone.
    let answer = wire.send(Signal::Logs, logs(&format!(r#"{{"body":{}}},{{}}"#, values(25))).as_bytes()).await;
    assert_eq!(answer.assert_ok().rejected, Some(1), "{answer:?}");
    wire.send(Signal::Logs, logs(&format!(r#"{{"body":{}}}"#, values(24))).as_bytes()).await.assert_full_success();
    assert_eq!(wire.rows(Signal::Logs), 2);
}

async fn j21(_: Transport) {
    let (record, warnings) = one_log(r#""severityText":"first","flags":1,"severityText":"last""#);
    assert_eq!((record.severity_text.as_str(), warnings), ("last", vec![Warning::RepeatedKey]));
    let (record, warnings) = one_log(r#""body":{"stringValue":"first","intValue":"2"}"#);
    assert_eq!(record.body.and_then(|body| body.value), Some(Value::IntValue(2)));
    assert_eq!(warnings, [Warning::RepeatedKey]);
    // A list is replaced, not continued.
    let attribute = |key: &str, text: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{text}"}}}}"#);
    let (a, b, again) = (attribute("a", "1"), attribute("b", "2"), attribute("b", "3"));
    let (record, _) = one_log(&format!(r#""attributes":[{a}],"attributes":[{b}]"#));
    assert_eq!(record.attributes.len(), 1);
    let (record, warnings) = one_log(&format!(r#""attributes":[{a},{b},{again}]"#));
    assert_eq!((record.attributes.len(), &record.attributes[1].value, warnings), (2, &string("3"), vec![]));
}

async fn j22(transport: Transport) {
    let wire = Wire::start(transport).await;
    let mut not_utf8 = logs(r#"{"severityText":"@"}"#).into_bytes();
    let position = not_utf8.iter().position(|byte| *byte == b'@').expect("it is there");
    not_utf8[position] = 0xff;
    let answer = wire.send(Signal::Logs, &not_utf8).await;
    answer.assert_permanent(3, 400);
    assert_eq!(answer.field.as_deref(), Some("resourceLogs[0].scopeLogs[0].logRecords[0].severityText"));
    for text in [r"\ud800", r"\udc00", r"\ud800\u0041", r"\ud800\ud800", r"\ud83e", r"\x", r"\u12", r"\u+123", "\u{1}"]
    {
        for key in ["severityText", "foo"] {
            let answer = wire.send(Signal::Logs, logs(&format!(r#"{{"{key}":"{text}"}}"#)).as_bytes()).await;
            answer.assert_permanent(3, 400);
        }
    }
    let (record, _) = one_log(r#""severityText":"\ud83E\uDd80 \u00fc\/\b\f\n\r\t\"\\""#);
    assert_eq!(record.severity_text, "\u{1F980} ü/\u{8}\u{c}\n\r\t\"\\");
    // Protobuf refuses the same.
    let mut protobuf = logs_request(vec![LogRecord { severity_text: "@".to_owned(), ..log() }]).encode_to_vec();
    let position = protobuf.iter().position(|byte| *byte == b'@').expect("it is there");
    protobuf[position] = 0xff;
    let headers = [("content-type", "application/x-protobuf")];
    wire.http("POST", "/v1/logs", &headers, &protobuf).await.assert_permanent(3, 400);
}

async fn j23(transport: Transport) {
    // A work tree may stand one level deeper than the repository.
    let places = ["../../shared/cases", "../../../shared/cases"];
    let places = places.map(|place| Path::new(env!("CARGO_MANIFEST_DIR")).join(place)).into_iter();
    let place = std::env::var_os("SEXTANT_CASES").map(PathBuf::from).into_iter().chain(places);
    let Some(place) = place.map(|place| place.join("otlp-json")).find(|place| place.is_dir()) else {
        println!("skipped: no cases");
        return;
    };
    for (name, signal, items) in [
        ("trace", Signal::Spans, 1),
        ("metrics", Signal::Points, 4),
        ("logs", Signal::Logs, 1),
        ("events", Signal::Logs, 1),
    ] {
        let wire = Wire::start(transport).await;
        let text = std::fs::read(place.join(format!("{name}.json"))).expect("the example can be read");
        let answer = wire.send(signal, &text).await;
        assert!(answer.is_full_success(), "{name}: {answer:?}");
        assert_eq!(wire.rows(signal), items, "{name}");
    }
}

async fn j24(transport: Transport) {
    let wire = Wire::start(transport).await;
    let sound = spans_request(vec![span()]).json(&mut Writer::plain());
    for text in [format!(" \r\n\t{sound} \n"), sound.replace(':', " : ").replace(',', "\n,\t")] {
        wire.send(Signal::Spans, text.as_bytes()).await.assert_full_success();
    }
    for text in [
        format!("\u{feff}{sound}"),
        format!("{sound}x"),
        format!("{sound}{sound}"),
        format!("{sound},"),
        format!("{sound}\0"),
        format!("{sound}\u{a0}"),
        sound[..sound.len() - 1].to_owned(),
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "{\"a\":1,}".to_owned(),
        "{\"a\":[1,]}".to_owned(),
        "{,}".to_owned(),
        "{\"a\" 1}".to_owned(),
        "{a:1}".to_owned(),
        "{\"a\":tru}".to_owned(),
        "{\"a\":1 \"b\":2}".to_owned(),
        "{'a':1}".to_owned(),
        "{} // comment".to_owned(),
    ] {
        let answer = wire.send(Signal::Spans, text.as_bytes()).await;
        assert_eq!(answer.http, 400, "{text}: {answer:?}");
        assert_eq!(answer.retry, None);
    }
    assert_eq!(wire.rows(Signal::Spans), 2);
}

async fn j25(_: Transport) {
    equivalence::check(equivalence::seed(), 200);
}
