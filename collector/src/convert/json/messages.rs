//! The messages of OTLP as tables: the key in JSON, and how its value is read. Keys are those of protobuf's JSON mapping; the
//! two exceptions that OTLP makes, ids in hex and enumerations as numbers, are made here.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
    exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::reader::{Read, Reader, Whole};

// A function that reads a message: its keys, and what to do with each. A macro, because the keys are wanted three times: to
// find the field, to tell an unknown key from a misspelt one, and to notice a repeated one.
macro_rules! message {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident($r:ident, $m:ident: $message:ty) { $($key:literal => $read:expr,)* }) => {
        $(#[$doc])*
        $visibility fn $name($r: &mut Reader<'_>) -> Read<$message> {
            const KEYS: &[&str] = &[$($key),*];
            let mut message = <$message>::default();
            let $m = &mut message;
            let mut object = $r.object()?;
            while let Some(key) = $r.key(&mut object)? {
                match &*key {
                    $($key => {
                        const BIT: u64 = bit(KEYS, $key);
                        $r.met(&mut object, BIT);
                        $read;
                    })*
                    _ => $r.unknown(&object, &key, KEYS)?,
                }
            }
            Ok(message)
        }
    };
}

// The bit of a key in the set of the message's keys.
const fn bit(keys: &[&str], key: &str) -> u64 {
    let mut position = 0;
    while !equal(keys[position].as_bytes(), key.as_bytes()) {
        position += 1;
    }
    1 << position
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut position = 0;
    while position < a.len() {
        if a[position] != b[position] {
            return false;
        }
        position += 1;
    }
    true
}

message! {
    /// `ExportLogsServiceRequest`.
    pub(in crate::convert) fn logs_request(r, m: ExportLogsServiceRequest) {
        "resourceLogs" => m.resource_logs = r.list(resource_logs)?,
    }
}

message! {
    fn resource_logs(r, m: ResourceLogs) {
        "resource" => m.resource = r.optional(resource)?,
        "scopeLogs" => m.scope_logs = r.list(scope_logs)?,
        "schemaUrl" => m.schema_url = r.text()?,
    }
}

message! {
    fn scope_logs(r, m: ScopeLogs) {
        "scope" => m.scope = r.optional(scope)?,
        "logRecords" => m.log_records = r.list(log_record)?,
        "schemaUrl" => m.schema_url = r.text()?,
    }
}

message! {
    fn log_record(r, m: LogRecord) {
        "timeUnixNano" => m.time_unix_nano = r.u64()?,
        "observedTimeUnixNano" => m.observed_time_unix_nano = r.u64()?,
        "severityNumber" => m.severity_number = r.enumeration(severity)?,
        "severityText" => m.severity_text = r.text()?,
        "body" => m.body = r.optional(any_value)?,
        "attributes" => m.attributes = r.list(key_value)?,
        "droppedAttributesCount" => m.dropped_attributes_count = r.u32()?,
        "flags" => m.flags = r.u32()?,
        "traceId" => m.trace_id = r.hex()?,
        "spanId" => m.span_id = r.hex()?,
        "eventName" => m.event_name = r.text()?,
    }
}

message! {
    /// `ExportTraceServiceRequest`.
    pub(in crate::convert) fn traces_request(r, m: ExportTraceServiceRequest) {
        "resourceSpans" => m.resource_spans = r.list(resource_spans)?,
    }
}

message! {
    fn resource_spans(r, m: ResourceSpans) {
        "resource" => m.resource = r.optional(resource)?,
        "scopeSpans" => m.scope_spans = r.list(scope_spans)?,
        "schemaUrl" => m.schema_url = r.text()?,
    }
}

message! {
    fn scope_spans(r, m: ScopeSpans) {
        "scope" => m.scope = r.optional(scope)?,
        "spans" => m.spans = r.list(span)?,
        "schemaUrl" => m.schema_url = r.text()?,
    }
}

message! {
    fn span(r, m: Span) {
        "traceId" => m.trace_id = r.hex()?,
        "spanId" => m.span_id = r.hex()?,
        "traceState" => m.trace_state = r.text()?,
        "parentSpanId" => m.parent_span_id = r.hex()?,
        "flags" => m.flags = r.u32()?,
        "name" => m.name = r.text()?,
        "kind" => m.kind = r.enumeration(span_kind)?,
        "startTimeUnixNano" => m.start_time_unix_nano = r.u64()?,
        "endTimeUnixNano" => m.end_time_unix_nano = r.u64()?,
        "attributes" => m.attributes = r.list(key_value)?,
        "droppedAttributesCount" => m.dropped_attributes_count = r.u32()?,
        "events" => m.events = r.list(event)?,
        "droppedEventsCount" => m.dropped_events_count = r.u32()?,
        "links" => m.links = r.list(link)?,
        "droppedLinksCount" => m.dropped_links_count = r.u32()?,
        "status" => m.status = r.optional(status)?,
    }
}

message! {
    fn event(r, m: Event) {
        "timeUnixNano" => m.time_unix_nano = r.u64()?,
        "name" => m.name = r.text()?,
        "attributes" => m.attributes = r.list(key_value)?,
        "droppedAttributesCount" => m.dropped_attributes_count = r.u32()?,
    }
}

message! {
    fn link(r, m: Link) {
        "traceId" => m.trace_id = r.hex()?,
        "spanId" => m.span_id = r.hex()?,
        "traceState" => m.trace_state = r.text()?,
        "attributes" => m.attributes = r.list(key_value)?,
        "droppedAttributesCount" => m.dropped_attributes_count = r.u32()?,
        "flags" => m.flags = r.u32()?,
    }
}

message! {
    fn status(r, m: Status) {
        "message" => m.message = r.text()?,
        "code" => m.code = r.enumeration(status_code)?,
    }
}

message! {
    /// `ExportMetricsServiceRequest`.
    pub(in crate::convert) fn metrics_request(r, m: ExportMetricsServiceRequest) {
        "resourceMetrics" => m.resource_metrics = r.list(resource_metrics)?,
    }
}

message! {
    fn resource_metrics(r, m: ResourceMetrics) {
        "resource" => m.resource = r.optional(resource)?,
        "scopeMetrics" => m.scope_metrics = r.list(scope_metrics)?,
        "schemaUrl" => m.schema_url = r.text()?,
    }
}

message! {
    fn scope_metrics(r, m: ScopeMetrics) {
        "scope" => m.scope = r.optional(scope)?,
        "metrics" => m.metrics = r.list(metric)?,
        "schemaUrl" => m.schema_url = r.text()?,
    }
}

message! {
    fn metric(r, m: Metric) {
        "name" => m.name = r.text()?,
        "description" => m.description = r.text()?,
        "unit" => m.unit = r.text()?,
        "metadata" => m.metadata = r.list(key_value)?,
        "gauge" => r.choice(&mut m.data, Data::Gauge, gauge)?,
        "sum" => r.choice(&mut m.data, Data::Sum, sum)?,
        "histogram" => r.choice(&mut m.data, Data::Histogram, histogram)?,
        "exponentialHistogram" => r.choice(&mut m.data, Data::ExponentialHistogram, exponential_histogram)?,
        "summary" => r.choice(&mut m.data, Data::Summary, summary)?,
    }
}

message! {
    fn gauge(r, m: Gauge) {
        "dataPoints" => m.data_points = r.list(number_point)?,
    }
}

message! {
    fn sum(r, m: Sum) {
        "dataPoints" => m.data_points = r.list(number_point)?,
        "aggregationTemporality" => m.aggregation_temporality = r.enumeration(temporality)?,
        "isMonotonic" => m.is_monotonic = r.bool()?,
    }
}

message! {
    fn histogram(r, m: Histogram) {
        "dataPoints" => m.data_points = r.list(histogram_point)?,
        "aggregationTemporality" => m.aggregation_temporality = r.enumeration(temporality)?,
    }
}

message! {
    fn exponential_histogram(r, m: ExponentialHistogram) {
        "dataPoints" => m.data_points = r.list(exponential_point)?,
        "aggregationTemporality" => m.aggregation_temporality = r.enumeration(temporality)?,
    }
}

message! {
    fn summary(r, m: Summary) {
        "dataPoints" => m.data_points = r.list(summary_point)?,
    }
}

message! {
    fn number_point(r, m: NumberDataPoint) {
        "attributes" => m.attributes = r.list(key_value)?,
        "startTimeUnixNano" => m.start_time_unix_nano = r.u64()?,
        "timeUnixNano" => m.time_unix_nano = r.u64()?,
        "asDouble" => r.choice(&mut m.value, number_data_point::Value::AsDouble, Reader::double)?,
        "asInt" => r.choice(&mut m.value, number_value, Reader::whole)?,
        "exemplars" => m.exemplars = r.list(exemplar)?,
        "flags" => m.flags = r.u32()?,
    }
}

message! {
    fn histogram_point(r, m: HistogramDataPoint) {
        "attributes" => m.attributes = r.list(key_value)?,
        "startTimeUnixNano" => m.start_time_unix_nano = r.u64()?,
        "timeUnixNano" => m.time_unix_nano = r.u64()?,
        "count" => m.count = r.u64()?,
        "sum" => m.sum = r.optional(Reader::double)?,
        "bucketCounts" => m.bucket_counts = r.list(Reader::u64)?,
        "explicitBounds" => m.explicit_bounds = r.list(Reader::double)?,
        "exemplars" => m.exemplars = r.list(exemplar)?,
        "flags" => m.flags = r.u32()?,
        "min" => m.min = r.optional(Reader::double)?,
        "max" => m.max = r.optional(Reader::double)?,
    }
}

message! {
    fn exponential_point(r, m: ExponentialHistogramDataPoint) {
        "attributes" => m.attributes = r.list(key_value)?,
        "startTimeUnixNano" => m.start_time_unix_nano = r.u64()?,
        "timeUnixNano" => m.time_unix_nano = r.u64()?,
        "count" => m.count = r.u64()?,
        "sum" => m.sum = r.optional(Reader::double)?,
        "scale" => m.scale = r.i32()?,
        "zeroCount" => m.zero_count = r.u64()?,
        "positive" => m.positive = r.optional(buckets)?,
        "negative" => m.negative = r.optional(buckets)?,
        "flags" => m.flags = r.u32()?,
        "exemplars" => m.exemplars = r.list(exemplar)?,
        "min" => m.min = r.optional(Reader::double)?,
        "max" => m.max = r.optional(Reader::double)?,
        "zeroThreshold" => m.zero_threshold = r.double()?,
    }
}

message! {
    fn buckets(r, m: Buckets) {
        "offset" => m.offset = r.i32()?,
        "bucketCounts" => m.bucket_counts = r.list(Reader::u64)?,
    }
}

message! {
    fn summary_point(r, m: SummaryDataPoint) {
        "attributes" => m.attributes = r.list(key_value)?,
        "startTimeUnixNano" => m.start_time_unix_nano = r.u64()?,
        "timeUnixNano" => m.time_unix_nano = r.u64()?,
        "count" => m.count = r.u64()?,
        "sum" => m.sum = r.double()?,
        "quantileValues" => m.quantile_values = r.list(quantile)?,
        "flags" => m.flags = r.u32()?,
    }
}

message! {
    fn quantile(r, m: ValueAtQuantile) {
        "quantile" => m.quantile = r.double()?,
        "value" => m.value = r.double()?,
    }
}

message! {
    fn exemplar(r, m: Exemplar) {
        "filteredAttributes" => m.filtered_attributes = r.list(key_value)?,
        "timeUnixNano" => m.time_unix_nano = r.u64()?,
        "asDouble" => r.choice(&mut m.value, exemplar::Value::AsDouble, Reader::double)?,
        "asInt" => r.choice(&mut m.value, exemplar_value, Reader::whole)?,
        "spanId" => m.span_id = r.hex()?,
        "traceId" => m.trace_id = r.hex()?,
    }
}

message! {
    fn resource(r, m: Resource) {
        "attributes" => m.attributes = r.list(key_value)?,
        "droppedAttributesCount" => m.dropped_attributes_count = r.u32()?,
        "entityRefs" => m.entity_refs = r.list(entity_ref)?,
    }
}

message! {
    fn entity_ref(r, m: EntityRef) {
        "schemaUrl" => m.schema_url = r.text()?,
        "type" => m.r#type = r.text()?,
        "idKeys" => m.id_keys = r.list(Reader::text)?,
        "descriptionKeys" => m.description_keys = r.list(Reader::text)?,
    }
}

message! {
    fn scope(r, m: InstrumentationScope) {
        "name" => m.name = r.text()?,
        "version" => m.version = r.text()?,
        "attributes" => m.attributes = r.list(key_value)?,
        "droppedAttributesCount" => m.dropped_attributes_count = r.u32()?,
    }
}

message! {
    fn key_value(r, m: KeyValue) {
        "key" => m.key = r.text()?,
        "value" => m.value = r.optional(any_value)?,
        "keyStrindex" => m.key_strindex = r.i32()?,
    }
}

message! {
    fn any_value(r, m: AnyValue) {
        "stringValue" => r.choice(&mut m.value, Value::StringValue, Reader::text)?,
        "boolValue" => r.choice(&mut m.value, Value::BoolValue, Reader::bool)?,
        "intValue" => r.choice(&mut m.value, whole_value, Reader::whole)?,
        "doubleValue" => r.choice(&mut m.value, Value::DoubleValue, Reader::double)?,
        "arrayValue" => r.choice(&mut m.value, Value::ArrayValue, array_value)?,
        "kvlistValue" => r.choice(&mut m.value, Value::KvlistValue, key_value_list)?,
        "bytesValue" => r.choice(&mut m.value, Value::BytesValue, Reader::base64)?,
        "stringValueStrindex" => r.choice(&mut m.value, Value::StringValueStrindex, Reader::i32)?,
    }
}

message! {
    fn array_value(r, m: ArrayValue) {
        // A null among values is the empty value, as it is where a value stands alone.
        "values" => m.values = r.nullable_list(|r| Ok(r.optional(any_value)?.unwrap_or_default()))?,
    }
}

message! {
    fn key_value_list(r, m: KeyValueList) {
        "values" => m.values = r.list(key_value)?,
    }
}

fn number_value(value: Whole) -> number_data_point::Value {
    match value {
        Whole::Int(value) => number_data_point::Value::AsInt(value),
        Whole::Double(value) => number_data_point::Value::AsDouble(value),
    }
}

fn exemplar_value(value: Whole) -> exemplar::Value {
    match value {
        Whole::Int(value) => exemplar::Value::AsInt(value),
        Whole::Double(value) => exemplar::Value::AsDouble(value),
    }
}

fn whole_value(value: Whole) -> Value {
    match value {
        Whole::Int(value) => Value::IntValue(value),
        Whole::Double(value) => Value::DoubleValue(value),
    }
}

fn severity(name: &str) -> Option<i32> {
    SeverityNumber::from_str_name(name).map(|value| value as i32)
}

fn span_kind(name: &str) -> Option<i32> {
    SpanKind::from_str_name(name).map(|value| value as i32)
}

fn status_code(name: &str) -> Option<i32> {
    StatusCode::from_str_name(name).map(|value| value as i32)
}

fn temporality(name: &str) -> Option<i32> {
    AggregationTemporality::from_str_name(name).map(|value| value as i32)
}
