//! Random requests that use every field OTLP has.

use fastrand::Rng;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

pub fn logs(rng: &mut Rng) -> ExportLogsServiceRequest {
    let resource_logs = many(rng, 3, |rng| ResourceLogs {
        resource: maybe(rng, resource),
        scope_logs: many(rng, 3, |rng| ScopeLogs {
            scope: maybe(rng, scope),
            log_records: many(rng, 8, log),
            schema_url: text(rng),
        }),
        schema_url: text(rng),
    });
    ExportLogsServiceRequest { resource_logs }
}

pub fn spans(rng: &mut Rng) -> ExportTraceServiceRequest {
    let resource_spans = many(rng, 3, |rng| ResourceSpans {
        resource: maybe(rng, resource),
        scope_spans: many(rng, 3, |rng| ScopeSpans {
            scope: maybe(rng, scope),
            spans: many(rng, 8, span),
            schema_url: text(rng),
        }),
        schema_url: text(rng),
    });
    ExportTraceServiceRequest { resource_spans }
}

pub fn points(rng: &mut Rng) -> ExportMetricsServiceRequest {
    let resource_metrics = many(rng, 3, |rng| ResourceMetrics {
        resource: maybe(rng, resource),
        scope_metrics: many(rng, 3, |rng| ScopeMetrics {
            scope: maybe(rng, scope),
            metrics: many(rng, 6, metric),
            schema_url: text(rng),
        }),
        schema_url: text(rng),
    });
    ExportMetricsServiceRequest { resource_metrics }
}

fn many<T>(rng: &mut Rng, max: usize, one: impl Fn(&mut Rng) -> T) -> Vec<T> {
    (0..rng.usize(..=max)).map(|_| one(rng)).collect()
}

fn maybe<T>(rng: &mut Rng, one: impl Fn(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| one(rng))
}

fn text(rng: &mut Rng) -> String {
    const TEXTS: [&str; 8] =
        ["", "a", "GET /orders/{id}", "naïve \u{1F980}", "nul \u{0} tab \t", "\"quoted\\\"", "0", "ü"];
    rng.choice(TEXTS).unwrap_or_default().to_owned()
}

fn bytes(rng: &mut Rng, max: usize) -> Vec<u8> {
    many(rng, max, |rng| rng.u8(..))
}

fn id(rng: &mut Rng, len: usize) -> Vec<u8> {
    let mut id: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
    id[0] |= 1;
    id
}

fn optional_id(rng: &mut Rng, len: usize) -> Vec<u8> {
    match rng.u8(..4) {
        0 => Vec::new(),
        1 => vec![0; len],
        _ => id(rng, len),
    }
}

fn time(rng: &mut Rng) -> u64 {
    match rng.u8(..4) {
        0 => 0,
        1 => rng.u64(..=i64::MAX as u64),
        _ => 1_700_000_000_000_000_000 + rng.u64(..1_000_000_000_000),
    }
}

fn double(rng: &mut Rng) -> f64 {
    const DOUBLES: [f64; 8] = [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 1e300];
    match rng.bool() {
        true => rng.choice(DOUBLES).unwrap_or_default(),
        // Any bits but a NaN's, whose payload no text carries.
        false => Some(f64::from_bits(rng.u64(..))).filter(|value| !value.is_nan()).unwrap_or(0.1),
    }
}

fn value(rng: &mut Rng, depth: usize) -> AnyValue {
    let value = match rng.u8(..if depth == 0 { 6 } else { 8 }) {
        0 => None,
        1 => Some(Value::StringValue(text(rng))),
        2 => Some(Value::BoolValue(rng.bool())),
        3 => Some(Value::IntValue(rng.i64(..))),
        4 => Some(Value::DoubleValue(double(rng))),
        5 => Some(Value::BytesValue(bytes(rng, 5))),
        6 => Some(Value::ArrayValue(ArrayValue { values: many(rng, 3, |rng| value(rng, depth - 1)) })),
        _ => Some(Value::KvlistValue(KeyValueList {
            values: many(rng, 3, |rng| KeyValue {
                key: text(rng),
                value: maybe(rng, |rng| value(rng, depth - 1)),
                ..KeyValue::default()
            }),
        })),
    };
    AnyValue { value }
}

// Few keys, so that they repeat and meet values of several types; sometimes more than there are columns for.
fn attributes(rng: &mut Rng) -> Vec<KeyValue> {
    const KEYS: [&str; 8] = ["", "service.name", "correlation.id", "http.route", "attr:x", "overflow", "body", "ключ"];
    if rng.u8(..40) == 0 {
        let entry =
            |number| KeyValue { key: format!("key {number}"), value: Some(value(rng, 1)), ..KeyValue::default() };
        return (0..260).map(entry).collect();
    }
    many(rng, 6, |rng| KeyValue {
        key: rng.choice(KEYS).unwrap_or_default().to_owned(),
        value: (rng.u8(..8) != 0).then(|| value(rng, 3)),
        ..KeyValue::default()
    })
}

fn resource(rng: &mut Rng) -> Resource {
    Resource {
        attributes: attributes(rng),
        dropped_attributes_count: rng.u32(..),
        entity_refs: many(rng, 2, |rng| EntityRef {
            schema_url: text(rng),
            r#type: text(rng),
            id_keys: many(rng, 2, text),
            description_keys: many(rng, 2, text),
        }),
    }
}

fn scope(rng: &mut Rng) -> InstrumentationScope {
    InstrumentationScope {
        name: text(rng),
        version: text(rng),
        attributes: attributes(rng),
        dropped_attributes_count: rng.u32(..),
    }
}

fn log(rng: &mut Rng) -> LogRecord {
    LogRecord {
        time_unix_nano: time(rng),
        observed_time_unix_nano: time(rng),
        severity_number: rng.i32(-1..30),
        severity_text: text(rng),
        body: maybe(rng, |rng| value(rng, 3)),
        attributes: attributes(rng),
        dropped_attributes_count: rng.u32(..),
        flags: rng.u32(..),
        trace_id: optional_id(rng, 16),
        span_id: optional_id(rng, 8),
        event_name: text(rng),
    }
}

fn span(rng: &mut Rng) -> Span {
    Span {
        trace_id: id(rng, 16),
        span_id: id(rng, 8),
        trace_state: text(rng),
        parent_span_id: optional_id(rng, 8),
        flags: rng.u32(..),
        name: text(rng),
        kind: rng.i32(-1..100),
        start_time_unix_nano: time(rng),
        end_time_unix_nano: time(rng),
        attributes: attributes(rng),
        dropped_attributes_count: rng.u32(..),
        events: many(rng, 3, |rng| Event {
            time_unix_nano: time(rng),
            name: text(rng),
            attributes: attributes(rng),
            dropped_attributes_count: rng.u32(..),
        }),
        dropped_events_count: rng.u32(..),
        links: many(rng, 3, |rng| Link {
            trace_id: bytes(rng, 20),
            span_id: bytes(rng, 10),
            trace_state: text(rng),
            attributes: attributes(rng),
            dropped_attributes_count: rng.u32(..),
            flags: rng.u32(..),
        }),
        dropped_links_count: rng.u32(..),
        status: maybe(rng, |rng| Status { message: text(rng), code: rng.i32(-1..9) }),
    }
}

fn metric(rng: &mut Rng) -> Metric {
    let aggregation_temporality = rng.i32(1..4);
    let data = match rng.u8(..6) {
        0 => Data::Gauge(Gauge { data_points: many(rng, 4, number_point) }),
        1 => Data::Sum(Sum {
            data_points: many(rng, 4, number_point),
            aggregation_temporality,
            is_monotonic: rng.bool(),
        }),
        2 => Data::Histogram(Histogram { data_points: many(rng, 4, histogram_point), aggregation_temporality }),
        3 | 4 => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: many(rng, 4, exponential_point),
            aggregation_temporality,
        }),
        _ => Data::Summary(Summary { data_points: many(rng, 4, summary_point) }),
    };
    Metric {
        name: ["requests", "latency"][rng.usize(..2)].to_owned(),
        description: text(rng),
        unit: text(rng),
        metadata: attributes(rng),
        data: Some(data),
    }
}

fn exemplar(rng: &mut Rng) -> Exemplar {
    Exemplar {
        filtered_attributes: attributes(rng),
        time_unix_nano: time(rng),
        span_id: optional_id(rng, 8),
        trace_id: optional_id(rng, 16),
        value: match rng.u8(..3) {
            0 => None,
            1 => Some(exemplar::Value::AsInt(rng.i64(..))),
            _ => Some(exemplar::Value::AsDouble(double(rng))),
        },
    }
}

fn number_point(rng: &mut Rng) -> NumberDataPoint {
    let value = match rng.u8(..3) {
        0 => None,
        1 => Some(number_data_point::Value::AsInt(rng.i64(..))),
        _ => Some(number_data_point::Value::AsDouble(double(rng))),
    };
    NumberDataPoint {
        attributes: attributes(rng),
        start_time_unix_nano: time(rng),
        time_unix_nano: time(rng),
        exemplars: many(rng, 2, exemplar),
        // Without a value the flag NO_RECORDED_VALUE must say so.
        flags: if value.is_none() { rng.u32(..) | 1 } else { rng.u32(..) },
        value,
    }
}

fn histogram_point(rng: &mut Rng) -> HistogramDataPoint {
    let mut explicit_bounds: Vec<f64> = many(rng, 5, double).into_iter().filter(|bound| !bound.is_nan()).collect();
    explicit_bounds.sort_by(f64::total_cmp);
    // Equality finds -0.0 and 0.0 the same, and so does the rule.
    explicit_bounds.dedup();
    let buckets = if explicit_bounds.is_empty() && rng.bool() { 0 } else { explicit_bounds.len() + 1 };
    HistogramDataPoint {
        attributes: attributes(rng),
        start_time_unix_nano: time(rng),
        time_unix_nano: time(rng),
        count: rng.u64(..),
        sum: maybe(rng, double),
        bucket_counts: (0..buckets).map(|_| rng.u64(..)).collect(),
        explicit_bounds,
        exemplars: many(rng, 2, exemplar),
        flags: rng.u32(..),
        min: maybe(rng, double),
        max: maybe(rng, double),
    }
}

fn exponential_point(rng: &mut Rng) -> ExponentialHistogramDataPoint {
    let buckets = |rng: &mut Rng| Buckets { offset: rng.i32(..), bucket_counts: many(rng, 5, |rng| rng.u64(..)) };
    ExponentialHistogramDataPoint {
        attributes: attributes(rng),
        start_time_unix_nano: time(rng),
        time_unix_nano: time(rng),
        count: rng.u64(..),
        sum: maybe(rng, double),
        scale: rng.i32(..),
        zero_count: rng.u64(..),
        positive: maybe(rng, buckets),
        negative: maybe(rng, buckets),
        flags: rng.u32(..),
        exemplars: many(rng, 2, exemplar),
        min: maybe(rng, double),
        max: maybe(rng, double),
        zero_threshold: double(rng),
    }
}

fn summary_point(rng: &mut Rng) -> SummaryDataPoint {
    SummaryDataPoint {
        attributes: attributes(rng),
        start_time_unix_nano: time(rng),
        time_unix_nano: time(rng),
        count: rng.u64(..),
        sum: double(rng),
        quantile_values: many(rng, 4, |rng| ValueAtQuantile { quantile: double(rng), value: double(rng) }),
        flags: rng.u32(..),
    }
}
