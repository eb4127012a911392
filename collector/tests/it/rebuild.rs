//! From the rows that queries see back to OTLP items: the proof that the columns lost nothing. Written against the column
//! names alone, without the code that fills them.

use arrow::array::{Array, AsArray, MapArray, RecordBatch, StructArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt32Type,
    UInt64Type,
};
use model::attributes::AttributeValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use store::Batch;
use store::schema::{column, derived, expanded_rows, metric_type};

use crate::flatten::{Lone, as_map, key_value};

pub fn logs(batch: &Batch) -> Vec<Lone<LogRecord>> {
    let rows = expand(batch);
    (0..batch.len()).map(|row| envelope(&rows, row, log(&rows, row))).collect()
}

pub fn spans(batch: &Batch) -> Vec<Lone<Span>> {
    let rows = expand(batch);
    (0..batch.len()).map(|row| envelope(&rows, row, span(&rows, row))).collect()
}

pub fn points(batch: &Batch) -> Vec<Lone<Metric>> {
    let rows = expand(batch);
    (0..batch.len()).map(|row| envelope(&rows, row, metric(&rows, batch.exemplars.as_ref(), row))).collect()
}

/// A text column's value in one row.
pub fn text(rows: &RecordBatch, name: &str, row: usize) -> Option<String> {
    let column = rows[name].as_string::<i32>();
    column.is_valid(row).then(|| column.value(row).to_owned())
}

/// The rows as queries see them.
pub fn expand(batch: &Batch) -> RecordBatch {
    expanded_rows(batch, 1).expect("a batch can be expanded")
}

fn string(rows: &RecordBatch, name: &str, row: usize) -> String {
    text(rows, name, row).unwrap_or_default()
}

fn number<T: ArrowPrimitiveType>(rows: &RecordBatch, name: &str, row: usize) -> Option<T::Native> {
    let column = rows[name].as_primitive::<T>();
    column.is_valid(row).then(|| column.value(row))
}

/// The value of a column of counts in one row.
pub fn unsigned(rows: &RecordBatch, name: &str, row: usize) -> Option<u64> {
    number::<UInt64Type>(rows, name, row)
}

fn id(rows: &RecordBatch, name: &str, row: usize) -> Vec<u8> {
    let column = rows[name].as_fixed_size_binary();
    if column.is_valid(row) { column.value(row).to_vec() } else { Vec::new() }
}

/// A time column's value in one row; 0 for null.
pub fn nanos(rows: &RecordBatch, name: &str, row: usize) -> u64 {
    number::<TimestampNanosecondType>(rows, name, row).map_or(0, |nanos| nanos as u64)
}

// The time as sent: 0 where the server filled it in.
fn sent(rows: &RecordBatch, name: &str, row: usize, bit: u8) -> u64 {
    let derived_times = number::<UInt8Type>(rows, column::DERIVED_TIMES, row).expect("never null");
    if derived_times & bit == 0 { nanos(rows, name, row) } else { 0 }
}

fn u32_of(rows: &RecordBatch, name: &str, row: usize) -> u32 {
    number::<UInt32Type>(rows, name, row).expect("never null")
}

fn envelope<T>(rows: &RecordBatch, row: usize, item: T) -> Lone<T> {
    let mut resource = attributes(rows, column::ENVELOPE_OVERFLOW, column::RES_PREFIX, row);
    if let Some(service) = text(rows, column::SERVICE, row) {
        resource.push(key_value("service.name", AnyValue { value: Some(Value::StringValue(service)) }));
        as_map(&mut resource);
    }
    let entity_refs = overflow(rows, column::ENVELOPE_OVERFLOW, row)
        .into_iter()
        .find(|(key, _)| key == column::ENTITY_REFS_KEY)
        .map_or_else(Vec::new, |(_, json)| entity_refs(&json));
    Lone {
        resource: Resource {
            attributes: resource,
            dropped_attributes_count: u32_of(rows, column::RESOURCE_DROPPED_ATTRIBUTES_COUNT, row),
            entity_refs,
        },
        resource_schema_url: string(rows, column::RESOURCE_SCHEMA_URL, row),
        scope: InstrumentationScope {
            name: string(rows, column::SCOPE_NAME, row),
            version: string(rows, column::SCOPE_VERSION, row),
            attributes: attributes(rows, column::ENVELOPE_OVERFLOW, column::SCOPE_PREFIX, row),
            dropped_attributes_count: u32_of(rows, column::SCOPE_DROPPED_ATTRIBUTES_COUNT, row),
        },
        scope_schema_url: string(rows, column::SCOPE_SCHEMA_URL, row),
        item,
    }
}

fn entity_refs(json: &str) -> Vec<EntityRef> {
    let value: serde_json::Value = serde_json::from_str(json).expect("entity references are JSON");
    let texts = |value: &serde_json::Value| {
        let array = value.as_array().into_iter().flatten();
        array.map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    let entity = |entity: &serde_json::Value| EntityRef {
        schema_url: entity["schemaUrl"].as_str().unwrap_or_default().to_owned(),
        r#type: entity["type"].as_str().unwrap_or_default().to_owned(),
        id_keys: texts(&entity["idKeys"]),
        description_keys: texts(&entity["descriptionKeys"]),
    };
    value.as_array().expect("an array").iter().map(entity).collect()
}

fn log(rows: &RecordBatch, row: usize) -> LogRecord {
    let nested_body = overflow(rows, column::OVERFLOW, row).into_iter().find(|(key, _)| key == column::BODY_KEY);
    let body = match nested_body {
        Some((_, json)) => Some(any_value(&json)),
        None => text(rows, column::BODY, row).map(|text| AnyValue { value: Some(Value::StringValue(text)) }),
    };
    LogRecord {
        time_unix_nano: sent(rows, column::TIMESTAMP, row, derived::TIMESTAMP),
        observed_time_unix_nano: sent(rows, column::OBSERVED_TIMESTAMP, row, derived::OBSERVED),
        severity_number: number::<Int32Type>(rows, column::SEVERITY_NUMBER, row).expect("never null"),
        severity_text: string(rows, column::SEVERITY_TEXT, row),
        body,
        attributes: attributes(rows, column::OVERFLOW, column::ATTR_PREFIX, row),
        dropped_attributes_count: u32_of(rows, column::DROPPED_ATTRIBUTES_COUNT, row),
        flags: u32_of(rows, column::FLAGS, row),
        trace_id: id(rows, column::TRACE_ID, row),
        span_id: id(rows, column::SPAN_ID, row),
        event_name: string(rows, column::EVENT_NAME, row),
    }
}

fn span(rows: &RecordBatch, row: usize) -> Span {
    Span {
        trace_id: id(rows, column::TRACE_ID, row),
        span_id: id(rows, column::SPAN_ID, row),
        trace_state: string(rows, column::TRACE_STATE, row),
        parent_span_id: id(rows, column::PARENT_SPAN_ID, row),
        flags: u32_of(rows, column::FLAGS, row),
        name: string(rows, column::NAME, row),
        kind: number::<Int32Type>(rows, column::KIND, row).expect("never null"),
        start_time_unix_nano: nanos(rows, column::TIMESTAMP, row),
        end_time_unix_nano: nanos(rows, column::END_TIMESTAMP, row),
        attributes: attributes(rows, column::OVERFLOW, column::ATTR_PREFIX, row),
        dropped_attributes_count: u32_of(rows, column::DROPPED_ATTRIBUTES_COUNT, row),
        events: structs(rows, column::EVENTS, row).map_or_else(Vec::new, |entries| events(&entries)),
        dropped_events_count: u32_of(rows, column::DROPPED_EVENTS_COUNT, row),
        links: structs(rows, column::LINKS, row).map_or_else(Vec::new, |entries| links(&entries)),
        dropped_links_count: u32_of(rows, column::DROPPED_LINKS_COUNT, row),
        status: Some(Status {
            message: string(rows, column::STATUS_MESSAGE, row),
            code: number::<Int32Type>(rows, column::STATUS_CODE, row).expect("never null"),
        }),
    }
}

fn structs(rows: &RecordBatch, name: &str, row: usize) -> Option<RecordBatch> {
    let entries = rows[name].as_list::<i32>().value(row);
    let entries: &StructArray = entries.as_struct();
    (entries.len() > 0).then(|| RecordBatch::from(entries.clone()))
}

fn events(entries: &RecordBatch) -> Vec<Event> {
    let event = |row| Event {
        time_unix_nano: nanos(entries, column::TIMESTAMP, row),
        name: string(entries, column::NAME, row),
        attributes: from_overflow(entries, column::ATTRIBUTES, "", row),
        dropped_attributes_count: u32_of(entries, column::DROPPED_ATTRIBUTES_COUNT, row),
    };
    (0..entries.num_rows()).map(event).collect()
}

fn links(entries: &RecordBatch) -> Vec<Link> {
    let link = |row| Link {
        trace_id: entries[column::TRACE_ID].as_binary::<i32>().value(row).to_vec(),
        span_id: entries[column::SPAN_ID].as_binary::<i32>().value(row).to_vec(),
        trace_state: string(entries, column::TRACE_STATE, row),
        attributes: from_overflow(entries, column::ATTRIBUTES, "", row),
        dropped_attributes_count: u32_of(entries, column::DROPPED_ATTRIBUTES_COUNT, row),
        flags: u32_of(entries, column::FLAGS, row),
    };
    (0..entries.num_rows()).map(link).collect()
}

fn metric(rows: &RecordBatch, exemplars: Option<&RecordBatch>, row: usize) -> Metric {
    let aggregation_temporality = number::<Int32Type>(rows, column::TEMPORALITY, row).expect("never null");
    let exemplars = exemplars.map_or_else(Vec::new, |exemplars| exemplars_of(exemplars, row));
    assert_eq!(exemplars.len(), u32_of(rows, column::EXEMPLAR_COUNT, row) as usize);
    let data = match number::<UInt8Type>(rows, column::TYPE, row).expect("never null") {
        metric_type::GAUGE => Data::Gauge(Gauge { data_points: vec![number_point(rows, exemplars, row)] }),
        metric_type::SUM => Data::Sum(Sum {
            data_points: vec![number_point(rows, exemplars, row)],
            aggregation_temporality,
            is_monotonic: rows[column::MONOTONIC].as_boolean().value(row),
        }),
        metric_type::HISTOGRAM => {
            let data_points = vec![histogram_point(rows, exemplars, row)];
            Data::Histogram(Histogram { data_points, aggregation_temporality })
        }
        metric_type::EXPONENTIAL_HISTOGRAM => {
            let data_points = vec![exponential_point(rows, exemplars, row)];
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        }
        metric_type::SUMMARY => Data::Summary(Summary { data_points: vec![summary_point(rows, row)] }),
        other => panic!("there is no metric type {other}"),
    };
    Metric {
        name: string(rows, column::METRIC, row),
        description: string(rows, column::DESCRIPTION, row),
        unit: string(rows, column::UNIT, row),
        metadata: from_overflow(rows, column::OVERFLOW, column::METADATA_PREFIX, row),
        data: Some(data),
    }
}

fn number_point(rows: &RecordBatch, exemplars: Vec<Exemplar>, row: usize) -> NumberDataPoint {
    let int = number::<Int64Type>(rows, column::VALUE_INT, row).map(number_data_point::Value::AsInt);
    let double = number::<Float64Type>(rows, column::VALUE_DOUBLE, row).map(number_data_point::Value::AsDouble);
    NumberDataPoint {
        attributes: attributes(rows, column::OVERFLOW, column::ATTR_PREFIX, row),
        start_time_unix_nano: nanos(rows, column::START_TIMESTAMP, row),
        time_unix_nano: sent(rows, column::TIMESTAMP, row, derived::TIMESTAMP),
        exemplars,
        flags: u32_of(rows, column::FLAGS, row),
        value: int.or(double),
    }
}

fn histogram_point(rows: &RecordBatch, exemplars: Vec<Exemplar>, row: usize) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(rows, column::OVERFLOW, column::ATTR_PREFIX, row),
        start_time_unix_nano: nanos(rows, column::START_TIMESTAMP, row),
        time_unix_nano: sent(rows, column::TIMESTAMP, row, derived::TIMESTAMP),
        count: number::<UInt64Type>(rows, column::COUNT, row).unwrap_or(0),
        sum: number::<Float64Type>(rows, column::SUM, row),
        bucket_counts: numbers::<UInt64Type>(rows, column::BUCKET_COUNTS, row),
        explicit_bounds: numbers::<Float64Type>(rows, column::EXPLICIT_BOUNDS, row),
        exemplars,
        flags: u32_of(rows, column::FLAGS, row),
        min: number::<Float64Type>(rows, column::MIN, row),
        max: number::<Float64Type>(rows, column::MAX, row),
    }
}

fn exponential_point(rows: &RecordBatch, exemplars: Vec<Exemplar>, row: usize) -> ExponentialHistogramDataPoint {
    let buckets = |offset, counts| {
        let offset = number::<Int32Type>(rows, offset, row)?;
        Some(Buckets { offset, bucket_counts: numbers::<UInt64Type>(rows, counts, row) })
    };
    ExponentialHistogramDataPoint {
        attributes: attributes(rows, column::OVERFLOW, column::ATTR_PREFIX, row),
        start_time_unix_nano: nanos(rows, column::START_TIMESTAMP, row),
        time_unix_nano: sent(rows, column::TIMESTAMP, row, derived::TIMESTAMP),
        count: number::<UInt64Type>(rows, column::COUNT, row).unwrap_or(0),
        sum: number::<Float64Type>(rows, column::SUM, row),
        scale: number::<Int32Type>(rows, column::SCALE, row).unwrap_or(0),
        zero_count: number::<UInt64Type>(rows, column::ZERO_COUNT, row).unwrap_or(0),
        positive: buckets(column::POSITIVE_OFFSET, column::POSITIVE_COUNTS),
        negative: buckets(column::NEGATIVE_OFFSET, column::NEGATIVE_COUNTS),
        flags: u32_of(rows, column::FLAGS, row),
        exemplars,
        min: number::<Float64Type>(rows, column::MIN, row),
        max: number::<Float64Type>(rows, column::MAX, row),
        zero_threshold: number::<Float64Type>(rows, column::ZERO_THRESHOLD, row).unwrap_or(0.0),
    }
}

fn summary_point(rows: &RecordBatch, row: usize) -> SummaryDataPoint {
    let pairs = structs(rows, column::QUANTILES, row);
    let pair = |pairs: &RecordBatch, at| ValueAtQuantile {
        quantile: number::<Float64Type>(pairs, "quantile", at).expect("never null"),
        value: number::<Float64Type>(pairs, "value", at).expect("never null"),
    };
    SummaryDataPoint {
        attributes: attributes(rows, column::OVERFLOW, column::ATTR_PREFIX, row),
        start_time_unix_nano: nanos(rows, column::START_TIMESTAMP, row),
        time_unix_nano: sent(rows, column::TIMESTAMP, row, derived::TIMESTAMP),
        count: number::<UInt64Type>(rows, column::COUNT, row).unwrap_or(0),
        sum: number::<Float64Type>(rows, column::SUM, row).unwrap_or(0.0),
        quantile_values: pairs.map_or_else(Vec::new, |p| (0..p.num_rows()).map(|at| pair(&p, at)).collect()),
        flags: u32_of(rows, column::FLAGS, row),
    }
}

fn numbers<T: ArrowPrimitiveType>(rows: &RecordBatch, name: &str, row: usize) -> Vec<T::Native> {
    let lists = rows[name].as_list::<i32>();
    if lists.is_null(row) {
        return Vec::new();
    }
    lists.value(row).as_primitive::<T>().values().to_vec()
}

fn exemplars_of(all: &RecordBatch, point: usize) -> Vec<Exemplar> {
    let owners = all[column::POINT_ROW].as_primitive::<UInt32Type>();
    let own = (0..all.num_rows()).filter(|row| owners.value(*row) as usize == point);
    let exemplar = |(ordinal, row): (usize, usize)| {
        assert_eq!(u32_of(all, column::ORDINAL, row) as usize, ordinal);
        let int = number::<Int64Type>(all, column::VALUE_INT, row).map(exemplar::Value::AsInt);
        let double = number::<Float64Type>(all, column::VALUE_DOUBLE, row).map(exemplar::Value::AsDouble);
        Exemplar {
            filtered_attributes: from_overflow(all, column::ATTRIBUTES, "", row),
            time_unix_nano: sent(all, column::TIMESTAMP, row, derived::TIMESTAMP),
            span_id: id(all, column::SPAN_ID, row),
            trace_id: id(all, column::TRACE_ID, row),
            value: int.or(double),
        }
    };
    own.enumerate().map(exemplar).collect()
}

// The attributes of one prefix: those with columns and those in the overflow.
fn attributes(rows: &RecordBatch, overflow_name: &str, prefix: &str, row: usize) -> Vec<KeyValue> {
    let mut list = from_overflow(rows, overflow_name, prefix, row);
    for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
        let Some(key) = field.name().strip_prefix(prefix) else { continue };
        if array.is_valid(row) {
            assert!(list.iter().all(|entry| entry.key != key), "{key} has a column and an overflow entry");
            list.push(key_value(key, AnyValue { value: Some(cell(array.as_ref(), row)) }));
        }
    }
    as_map(&mut list);
    list
}

fn cell(array: &dyn Array, row: usize) -> Value {
    match array.data_type() {
        DataType::Utf8 => Value::StringValue(array.as_string::<i32>().value(row).to_owned()),
        DataType::Boolean => Value::BoolValue(array.as_boolean().value(row)),
        DataType::Int64 => Value::IntValue(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::DoubleValue(array.as_primitive::<Float64Type>().value(row)),
        DataType::Binary => Value::BytesValue(array.as_binary::<i32>().value(row).to_vec()),
        other => panic!("an attribute has a column of type {other}"),
    }
}

fn from_overflow(rows: &RecordBatch, name: &str, prefix: &str, row: usize) -> Vec<KeyValue> {
    let own = overflow(rows, name, row).into_iter();
    let pairs = own.filter_map(|(key, json)| Some((key.strip_prefix(prefix)?.to_owned(), any_value(&json))));
    let mut list: Vec<KeyValue> = pairs.map(|(key, value)| key_value(key, value)).collect();
    as_map(&mut list);
    list
}

/// The entries of one row's overflow.
pub fn overflow(rows: &RecordBatch, name: &str, row: usize) -> Vec<(String, String)> {
    let map: &MapArray = rows[name].as_map();
    let entries = map.value(row);
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
    (0..entries.len()).map(|at| (keys.value(at).to_owned(), values.value(at).to_owned())).collect()
}

fn any_value(json: &str) -> AnyValue {
    let json = serde_json::from_str(json).expect("the overflow holds JSON");
    proto_value(AttributeValue::from_otlp_json(&json).expect("the overflow holds OTLP/JSON"))
}

fn proto_value(value: AttributeValue) -> AnyValue {
    let value = match value {
        AttributeValue::Empty => None,
        AttributeValue::String(text) => Some(Value::StringValue(text)),
        AttributeValue::Bool(value) => Some(Value::BoolValue(value)),
        AttributeValue::Int(value) => Some(Value::IntValue(value)),
        AttributeValue::Double(value) => Some(Value::DoubleValue(value)),
        AttributeValue::Bytes(bytes) => Some(Value::BytesValue(bytes)),
        AttributeValue::Array(values) => {
            Some(Value::ArrayValue(ArrayValue { values: values.into_iter().map(proto_value).collect() }))
        }
        AttributeValue::Map(entries) => {
            let values = entries.into_iter().map(|(key, value)| key_value(key, proto_value(value))).collect();
            Some(Value::KvlistValue(KeyValueList { values }))
        }
    };
    AnyValue { value }
}
