//! Requests whose records can be told apart: each carries its number, where the API gives it back.
//!
//! A log record carries it as attribute `n`, a span as its span id, a point as its value (and in its exemplar's).

use model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar,
    metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

/// One request of any signal.
#[derive(Clone, Debug)]
pub enum Request {
    /// Log records.
    Logs(ExportLogsServiceRequest),
    /// Spans.
    Spans(ExportTraceServiceRequest),
    /// Metric points.
    Points(ExportMetricsServiceRequest),
}

impl Request {
    /// A request of `count` records with the numbers from `first` on.
    pub fn numbered(signal: Signal, first: u64, count: u64, now_nanos: u64, random: &mut fastrand::Rng) -> Self {
        let service = format!("service-{}", random.u8(0..5));
        let numbers = first..first + count;
        match signal {
            Signal::Logs => Self::Logs(logs(&service, numbers.map(|n| log(n, now_nanos, random)).collect())),
            Signal::Spans => Self::Spans(spans(&service, numbers.map(|n| span(n, now_nanos, random)).collect())),
            Signal::Points => Self::Points(points(&service, numbers.map(|n| point(n, now_nanos)).collect(), random)),
        }
    }

    /// The protobuf bytes, and the path of OTLP/HTTP that takes them.
    pub fn encode(&self) -> (Vec<u8>, &'static str) {
        match self {
            Self::Logs(request) => (request.encode_to_vec(), "/v1/logs"),
            Self::Spans(request) => (request.encode_to_vec(), "/v1/traces"),
            Self::Points(request) => (request.encode_to_vec(), "/v1/metrics"),
        }
    }
}

/// A text attribute.
pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// An attribute.
pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn logs(service: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records, ..ScopeLogs::default() }];
    let resource_logs = ResourceLogs { resource: Some(resource(service)), scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
}

fn spans(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
    let resource_spans = ResourceSpans { resource: Some(resource(service)), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

// Gauge or counter; their points are alike.
fn points(service: &str, data_points: Vec<NumberDataPoint>, random: &mut fastrand::Rng) -> ExportMetricsServiceRequest {
    let data = if random.bool() {
        metric::Data::Gauge(Gauge { data_points })
    } else {
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        metric::Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true })
    };
    let name = if matches!(data, metric::Data::Gauge(_)) { "campaign.level" } else { "campaign.count" };
    let metrics = vec![Metric { name: name.to_owned(), data: Some(data), ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
    let resource = Some(resource(service));
    let resource_metrics = ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

fn log(number: u64, now_nanos: u64, random: &mut fastrand::Rng) -> LogRecord {
    LogRecord {
        time_unix_nano: now_nanos + number % 1_000,
        severity_number: random.i32(1..=24),
        body: Some(AnyValue { value: Some(Value::StringValue(sentence(random))) }),
        attributes: vec![attribute("n", Value::IntValue(signed(number))), text("word", word(random))],
        ..LogRecord::default()
    }
}

fn span(number: u64, now_nanos: u64, random: &mut fastrand::Rng) -> Span {
    // Ten spans share a trace.
    let trace = u128::from(number / 10 + 1).to_be_bytes();
    Span {
        trace_id: trace.to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        name: format!("operation {}", word(random)),
        kind: random.i32(1..=5),
        start_time_unix_nano: now_nanos + number % 1_000,
        end_time_unix_nano: now_nanos + random.u64(1_000..1_000_000_000),
        attributes: vec![text("word", word(random))],
        ..Span::default()
    }
}

fn point(number: u64, now_nanos: u64) -> NumberDataPoint {
    let time_unix_nano = now_nanos + number % 1_000;
    let exemplar = Exemplar {
        time_unix_nano,
        trace_id: u128::from(number).to_be_bytes().to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsInt(signed(number))),
        ..Exemplar::default()
    };
    NumberDataPoint {
        start_time_unix_nano: now_nanos.saturating_sub(1_000_000_000),
        time_unix_nano,
        attributes: vec![text("lane", format!("{}", number % 7))],
        // Every third, so that points with and without stand beside each other.
        exemplars: if number.is_multiple_of(3) { vec![exemplar] } else { Vec::new() },
        value: Some(number_data_point::Value::AsInt(signed(number))),
        ..NumberDataPoint::default()
    }
}

fn resource(service: &str) -> Resource {
    Resource { attributes: vec![text("service.name", service), text("host.name", "campaign")], ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "campaign".to_owned(), version: "1".to_owned(), ..InstrumentationScope::default() }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("numbers count from 1 and never get far")
}

fn sentence(random: &mut fastrand::Rng) -> String {
    let words: Vec<String> = (0..random.usize(3..12)).map(|_| word(random)).collect();
    words.join(" ")
}

fn word(random: &mut fastrand::Rng) -> String {
    (0..random.usize(2..9)).map(|_| random.lowercase()).collect()
}
