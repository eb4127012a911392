//! Requests as lists of lone items, each with its resource, scope and metric, in a form that can be compared: what a
//! sender sent on one side, what the columns give back on the other.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, ExponentialHistogram, Gauge, Histogram, Metric, Sum, Summary};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

/// An item with everything it stands under.
pub struct Lone<T> {
    pub resource: Resource,
    pub resource_schema_url: String,
    pub scope: InstrumentationScope,
    pub scope_schema_url: String,
    pub item: T,
}

impl<T: std::fmt::Debug> Lone<T> {
    /// A text that two items share exactly when they are equal; unlike `==` it finds NaN equal to itself.
    pub fn text(&self) -> String {
        let Lone { resource, resource_schema_url, scope, scope_schema_url, item } = self;
        format!("{resource:?} of {resource_schema_url:?}, {scope:?} of {scope_schema_url:?}: {item:?}")
    }
}

/// Attributes as the map they are: sorted by key, the last of equal keys, absent values as empty ones.
pub fn as_map(list: &mut Vec<KeyValue>) {
    let entries = list.drain(..).map(|entry| (entry.key, entry.value.unwrap_or_default()));
    let map: BTreeMap<String, AnyValue> = entries.collect();
    *list = map.into_iter().map(|(key, value)| key_value(key, value)).collect();
    list.iter_mut().for_each(|entry| nested_values(entry.value.as_mut()));
}

pub fn key_value(key: impl Into<String>, value: AnyValue) -> KeyValue {
    KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() }
}

// Within a value nothing is reordered; only absent values become empty ones.
fn nested_values(value: Option<&mut AnyValue>) {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    match value.and_then(|value| value.value.as_mut()) {
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(|value| nested_values(Some(value))),
        Some(Value::KvlistValue(map)) => {
            for entry in &mut map.values {
                entry.value.get_or_insert_default();
                nested_values(entry.value.as_mut());
            }
        }
        _ => {}
    }
}

fn lone<T>(
    resource: Option<&Resource>,
    resource_schema_url: &str,
    scope: Option<&InstrumentationScope>,
    scope_schema_url: &str,
    item: T,
) -> Lone<T> {
    let mut lone = Lone {
        resource: resource.cloned().unwrap_or_default(),
        resource_schema_url: resource_schema_url.to_owned(),
        scope: scope.cloned().unwrap_or_default(),
        scope_schema_url: scope_schema_url.to_owned(),
        item,
    };
    as_map(&mut lone.resource.attributes);
    as_map(&mut lone.scope.attributes);
    lone
}

pub fn logs(request: &ExportLogsServiceRequest) -> Vec<Lone<LogRecord>> {
    let mut all = Vec::new();
    for of_resource in &request.resource_logs {
        for of_scope in &of_resource.scope_logs {
            for record in &of_scope.log_records {
                let mut record = record.clone();
                as_map(&mut record.attributes);
                nested_values(record.body.as_mut());
                keep_id(&mut record.trace_id, 16);
                keep_id(&mut record.span_id, 8);
                let (resource, scope) = (of_resource.resource.as_ref(), of_scope.scope.as_ref());
                all.push(lone(resource, &of_resource.schema_url, scope, &of_scope.schema_url, record));
            }
        }
    }
    all
}

pub fn spans(request: &ExportTraceServiceRequest) -> Vec<Lone<Span>> {
    let mut all = Vec::new();
    for of_resource in &request.resource_spans {
        for of_scope in &of_resource.scope_spans {
            for span in &of_scope.spans {
                let mut span = span.clone();
                as_map(&mut span.attributes);
                span.events.iter_mut().for_each(|event| as_map(&mut event.attributes));
                span.links.iter_mut().for_each(|link| as_map(&mut link.attributes));
                keep_id(&mut span.parent_span_id, 8);
                span.status.get_or_insert_with(Status::default);
                let (resource, scope) = (of_resource.resource.as_ref(), of_scope.scope.as_ref());
                all.push(lone(resource, &of_resource.schema_url, scope, &of_scope.schema_url, span));
            }
        }
    }
    all
}

/// Every point as a metric of its own.
pub fn points(request: &ExportMetricsServiceRequest) -> Vec<Lone<Metric>> {
    let mut all = Vec::new();
    for of_resource in &request.resource_metrics {
        for of_scope in &of_resource.scope_metrics {
            for metric in of_scope.metrics.iter().flat_map(one_point_each) {
                let (resource, scope) = (of_resource.resource.as_ref(), of_scope.scope.as_ref());
                all.push(lone(resource, &of_resource.schema_url, scope, &of_scope.schema_url, metric));
            }
        }
    }
    all
}

fn one_point_each(metric: &Metric) -> Vec<Metric> {
    // A macro, because the types of data have equal fields without a common trait.
    macro_rules! split {
        ($variant:path, $data:expr, $one:expr) => {
            $data
                .data_points
                .iter()
                .map(|point| {
                    let mut point = point.clone();
                    as_map(&mut point.attributes);
                    $variant($one(point))
                })
                .collect::<Vec<Data>>()
        };
    }
    let data = match metric.data.as_ref() {
        None => Vec::new(),
        Some(Data::Gauge(data)) => {
            split!(Data::Gauge, data, |mut point: opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
                exemplars(&mut point.exemplars);
                Gauge { data_points: vec![point] }
            })
        }
        Some(Data::Sum(data)) => {
            split!(Data::Sum, data, |mut point: opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
                exemplars(&mut point.exemplars);
                Sum { data_points: vec![point], ..*data }
            })
        }
        Some(Data::Histogram(data)) => {
            split!(Data::Histogram, data, |mut point: opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint| {
                exemplars(&mut point.exemplars);
                Histogram { data_points: vec![point], ..*data }
            })
        }
        Some(Data::ExponentialHistogram(data)) => {
            split!(
                Data::ExponentialHistogram,
                data,
                |mut point: opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint| {
                    exemplars(&mut point.exemplars);
                    ExponentialHistogram { data_points: vec![point], ..*data }
                }
            )
        }
        Some(Data::Summary(data)) => split!(Data::Summary, data, |point| Summary { data_points: vec![point] }),
    };
    let mut metadata = metric.metadata.clone();
    as_map(&mut metadata);
    data.into_iter().map(|data| Metric { data: Some(data), metadata: metadata.clone(), ..metric.clone() }).collect()
}

fn exemplars(exemplars: &mut [Exemplar]) {
    for exemplar in exemplars {
        as_map(&mut exemplar.filtered_attributes);
        keep_id(&mut exemplar.trace_id, 16);
        keep_id(&mut exemplar.span_id, 8);
    }
}

// An optional id that is none is not kept.
fn keep_id(id: &mut Vec<u8>, len: usize) {
    if id.len() != len || id.iter().all(|byte| *byte == 0) {
        id.clear();
    }
}
