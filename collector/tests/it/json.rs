//! OTLP/JSON written by hand from the messages, in all the ways that a writer may choose: keys in any order, defaults left out,
//! written or null, numbers as numbers or text, ids in any case, base64 of either alphabet, characters escaped or not, and keys
//! that nobody knows in between. Written against the specification, without the code that reads it.

use fastrand::Rng;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint, exemplar,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

// A key and its value; `None` where the value is the default and need not be written.
type Field = (&'static str, Option<String>);

/// A writer and its whims.
pub struct Writer {
    // `None`: it writes everything in the commonest way.
    whims: Option<Rng>,
}

impl Writer {
    /// Writes as most exporters do.
    pub fn plain() -> Self {
        Self { whims: None }
    }

    /// Writes as any exporter might.
    pub fn whimsical(seed: u64) -> Self {
        Self { whims: Some(Rng::with_seed(seed)) }
    }

    pub fn logs(&mut self, request: &ExportLogsServiceRequest) -> String {
        let resources = self.list(&request.resource_logs, |w, of_resource| {
            let scopes = w.list(&of_resource.scope_logs, |w, of_scope| {
                let fields = vec![
                    ("scope", of_scope.scope.as_ref().map(|scope| w.scope(scope))),
                    ("logRecords", w.list(&of_scope.log_records, Self::log)),
                    ("schemaUrl", w.text(&of_scope.schema_url)),
                ];
                w.object(fields)
            });
            let fields = vec![
                ("resource", of_resource.resource.as_ref().map(|resource| w.resource(resource))),
                ("scopeLogs", scopes),
                ("schemaUrl", w.text(&of_resource.schema_url)),
            ];
            w.object(fields)
        });
        self.object(vec![("resourceLogs", resources)])
    }

    pub fn spans(&mut self, request: &ExportTraceServiceRequest) -> String {
        let resources = self.list(&request.resource_spans, |w, of_resource| {
            let scopes = w.list(&of_resource.scope_spans, |w, of_scope| {
                let fields = vec![
                    ("scope", of_scope.scope.as_ref().map(|scope| w.scope(scope))),
                    ("spans", w.list(&of_scope.spans, Self::span)),
                    ("schemaUrl", w.text(&of_scope.schema_url)),
                ];
                w.object(fields)
            });
            let fields = vec![
                ("resource", of_resource.resource.as_ref().map(|resource| w.resource(resource))),
                ("scopeSpans", scopes),
                ("schemaUrl", w.text(&of_resource.schema_url)),
            ];
            w.object(fields)
        });
        self.object(vec![("resourceSpans", resources)])
    }

    pub fn points(&mut self, request: &ExportMetricsServiceRequest) -> String {
        let resources = self.list(&request.resource_metrics, |w, of_resource| {
            let scopes = w.list(&of_resource.scope_metrics, |w, of_scope| {
                let fields = vec![
                    ("scope", of_scope.scope.as_ref().map(|scope| w.scope(scope))),
                    ("metrics", w.list(&of_scope.metrics, Self::metric)),
                    ("schemaUrl", w.text(&of_scope.schema_url)),
                ];
                w.object(fields)
            });
            let fields = vec![
                ("resource", of_resource.resource.as_ref().map(|resource| w.resource(resource))),
                ("scopeMetrics", scopes),
                ("schemaUrl", w.text(&of_resource.schema_url)),
            ];
            w.object(fields)
        });
        self.object(vec![("resourceMetrics", resources)])
    }

    fn log(&mut self, record: &LogRecord) -> String {
        let fields = vec![
            ("timeUnixNano", self.long(record.time_unix_nano)),
            ("observedTimeUnixNano", self.long(record.observed_time_unix_nano)),
            ("severityNumber", self.number(record.severity_number)),
            ("severityText", self.text(&record.severity_text)),
            ("body", record.body.as_ref().map(|body| self.value(body))),
            ("attributes", self.attributes(&record.attributes)),
            ("droppedAttributesCount", self.number(record.dropped_attributes_count)),
            ("flags", self.number(record.flags)),
            ("traceId", self.id(&record.trace_id)),
            ("spanId", self.id(&record.span_id)),
            ("eventName", self.text(&record.event_name)),
        ];
        self.object(fields)
    }

    fn span(&mut self, span: &Span) -> String {
        let events = self.list(&span.events, |w, event| {
            let fields = vec![
                ("timeUnixNano", w.long(event.time_unix_nano)),
                ("name", w.text(&event.name)),
                ("attributes", w.attributes(&event.attributes)),
                ("droppedAttributesCount", w.number(event.dropped_attributes_count)),
            ];
            w.object(fields)
        });
        let links = self.list(&span.links, |w, link| {
            let fields = vec![
                ("traceId", w.id(&link.trace_id)),
                ("spanId", w.id(&link.span_id)),
                ("traceState", w.text(&link.trace_state)),
                ("attributes", w.attributes(&link.attributes)),
                ("droppedAttributesCount", w.number(link.dropped_attributes_count)),
                ("flags", w.number(link.flags)),
            ];
            w.object(fields)
        });
        let status = span.status.as_ref().map(|status| {
            let fields = vec![("message", self.text(&status.message)), ("code", self.number(status.code))];
            self.object(fields)
        });
        let fields = vec![
            ("traceId", self.id(&span.trace_id)),
            ("spanId", self.id(&span.span_id)),
            ("traceState", self.text(&span.trace_state)),
            ("parentSpanId", self.id(&span.parent_span_id)),
            ("flags", self.number(span.flags)),
            ("name", self.text(&span.name)),
            ("kind", self.number(span.kind)),
            ("startTimeUnixNano", self.long(span.start_time_unix_nano)),
            ("endTimeUnixNano", self.long(span.end_time_unix_nano)),
            ("attributes", self.attributes(&span.attributes)),
            ("droppedAttributesCount", self.number(span.dropped_attributes_count)),
            ("events", events),
            ("droppedEventsCount", self.number(span.dropped_events_count)),
            ("links", links),
            ("droppedLinksCount", self.number(span.dropped_links_count)),
            ("status", status),
        ];
        self.object(fields)
    }

    fn metric(&mut self, metric: &Metric) -> String {
        let mut fields = vec![
            ("name", self.text(&metric.name)),
            ("description", self.text(&metric.description)),
            ("unit", self.text(&metric.unit)),
            ("metadata", self.attributes(&metric.metadata)),
        ];
        fields.extend(metric.data.as_ref().map(|data| self.data(data)));
        self.object(fields)
    }

    fn data(&mut self, data: &Data) -> Field {
        let (key, fields) = match data {
            Data::Gauge(data) => ("gauge", vec![("dataPoints", self.list(&data.data_points, Self::number_point))]),
            Data::Summary(data) => ("summary", vec![("dataPoints", self.list(&data.data_points, Self::summary_point))]),
            Data::Sum(data) => {
                let points = self.list(&data.data_points, Self::number_point);
                let monotonic = data.is_monotonic.then(|| "true".to_owned());
                let temporality = self.number(data.aggregation_temporality);
                let fields = [("aggregationTemporality", temporality), ("isMonotonic", monotonic)];
                ("sum", [vec![("dataPoints", points)], fields.to_vec()].concat())
            }
            Data::Histogram(data) => {
                let points = self.list(&data.data_points, Self::histogram_point);
                let temporality = self.number(data.aggregation_temporality);
                ("histogram", vec![("dataPoints", points), ("aggregationTemporality", temporality)])
            }
            Data::ExponentialHistogram(data) => {
                let points = self.list(&data.data_points, Self::exponential_point);
                let temporality = self.number(data.aggregation_temporality);
                ("exponentialHistogram", vec![("dataPoints", points), ("aggregationTemporality", temporality)])
            }
        };
        (key, Some(self.object(fields)))
    }

    fn number_point(&mut self, point: &NumberDataPoint) -> String {
        let mut fields = vec![
            ("attributes", self.attributes(&point.attributes)),
            ("startTimeUnixNano", self.long(point.start_time_unix_nano)),
            ("timeUnixNano", self.long(point.time_unix_nano)),
            ("exemplars", self.list(&point.exemplars, Self::exemplar)),
            ("flags", self.number(point.flags)),
        ];
        fields.extend(point.value.map(|value| match value {
            number_data_point::Value::AsInt(value) => ("asInt", Some(self.some_long(value))),
            number_data_point::Value::AsDouble(value) => ("asDouble", Some(self.some_double(value))),
        }));
        self.object(fields)
    }

    fn exemplar(&mut self, exemplar: &Exemplar) -> String {
        let mut fields = vec![
            ("filteredAttributes", self.attributes(&exemplar.filtered_attributes)),
            ("timeUnixNano", self.long(exemplar.time_unix_nano)),
            ("spanId", self.id(&exemplar.span_id)),
            ("traceId", self.id(&exemplar.trace_id)),
        ];
        fields.extend(exemplar.value.map(|value| match value {
            exemplar::Value::AsInt(value) => ("asInt", Some(self.some_long(value))),
            exemplar::Value::AsDouble(value) => ("asDouble", Some(self.some_double(value))),
        }));
        self.object(fields)
    }

    fn histogram_point(&mut self, point: &HistogramDataPoint) -> String {
        let fields = vec![
            ("attributes", self.attributes(&point.attributes)),
            ("startTimeUnixNano", self.long(point.start_time_unix_nano)),
            ("timeUnixNano", self.long(point.time_unix_nano)),
            ("count", self.long(point.count)),
            ("sum", point.sum.map(|sum| self.some_double(sum))),
            ("bucketCounts", self.list(&point.bucket_counts, |w, count| w.some_long(*count))),
            ("explicitBounds", self.list(&point.explicit_bounds, |w, bound| w.some_double(*bound))),
            ("exemplars", self.list(&point.exemplars, Self::exemplar)),
            ("flags", self.number(point.flags)),
            ("min", point.min.map(|min| self.some_double(min))),
            ("max", point.max.map(|max| self.some_double(max))),
        ];
        self.object(fields)
    }

    fn exponential_point(&mut self, point: &ExponentialHistogramDataPoint) -> String {
        let fields = vec![
            ("attributes", self.attributes(&point.attributes)),
            ("startTimeUnixNano", self.long(point.start_time_unix_nano)),
            ("timeUnixNano", self.long(point.time_unix_nano)),
            ("count", self.long(point.count)),
            ("sum", point.sum.map(|sum| self.some_double(sum))),
            ("scale", self.number(point.scale)),
            ("zeroCount", self.long(point.zero_count)),
            ("positive", point.positive.as_ref().map(|buckets| self.buckets(buckets))),
            ("negative", point.negative.as_ref().map(|buckets| self.buckets(buckets))),
            ("flags", self.number(point.flags)),
            ("exemplars", self.list(&point.exemplars, Self::exemplar)),
            ("min", point.min.map(|min| self.some_double(min))),
            ("max", point.max.map(|max| self.some_double(max))),
            ("zeroThreshold", self.double(point.zero_threshold)),
        ];
        self.object(fields)
    }

    fn buckets(&mut self, buckets: &Buckets) -> String {
        let counts = self.list(&buckets.bucket_counts, |w, count| w.some_long(*count));
        let fields = vec![("offset", self.number(buckets.offset)), ("bucketCounts", counts)];
        self.object(fields)
    }

    fn summary_point(&mut self, point: &SummaryDataPoint) -> String {
        let quantiles = self.list(&point.quantile_values, |w, pair| {
            let fields = vec![("quantile", w.double(pair.quantile)), ("value", w.double(pair.value))];
            w.object(fields)
        });
        let fields = vec![
            ("attributes", self.attributes(&point.attributes)),
            ("startTimeUnixNano", self.long(point.start_time_unix_nano)),
            ("timeUnixNano", self.long(point.time_unix_nano)),
            ("count", self.long(point.count)),
            ("sum", self.double(point.sum)),
            ("quantileValues", quantiles),
            ("flags", self.number(point.flags)),
        ];
        self.object(fields)
    }

    fn resource(&mut self, resource: &Resource) -> String {
        let fields = vec![
            ("attributes", self.attributes(&resource.attributes)),
            ("droppedAttributesCount", self.number(resource.dropped_attributes_count)),
            ("entityRefs", self.list(&resource.entity_refs, Self::entity_ref)),
        ];
        self.object(fields)
    }

    fn entity_ref(&mut self, entity: &EntityRef) -> String {
        let fields = vec![
            ("schemaUrl", self.text(&entity.schema_url)),
            ("type", self.text(&entity.r#type)),
            ("idKeys", self.list(&entity.id_keys, |w, key| w.some_text(key))),
            ("descriptionKeys", self.list(&entity.description_keys, |w, key| w.some_text(key))),
        ];
        self.object(fields)
    }

    fn scope(&mut self, scope: &InstrumentationScope) -> String {
        let fields = vec![
            ("name", self.text(&scope.name)),
            ("version", self.text(&scope.version)),
            ("attributes", self.attributes(&scope.attributes)),
            ("droppedAttributesCount", self.number(scope.dropped_attributes_count)),
        ];
        self.object(fields)
    }

    fn attributes(&mut self, list: &[KeyValue]) -> Option<String> {
        self.list(list, |w, entry| {
            let fields = vec![
                ("key", w.text(&entry.key)),
                ("value", entry.value.as_ref().map(|value| w.value(value))),
                ("keyStrindex", w.number(entry.key_strindex)),
            ];
            w.object(fields)
        })
    }

    fn value(&mut self, value: &AnyValue) -> String {
        let Some(value) = &value.value else { return self.object(vec![]) };
        let (key, text) = match value {
            Value::StringValue(text) => ("stringValue", self.some_text(text)),
            Value::BoolValue(value) => ("boolValue", value.to_string()),
            Value::IntValue(value) => ("intValue", self.some_long(*value)),
            Value::DoubleValue(value) => ("doubleValue", self.some_double(*value)),
            Value::BytesValue(bytes) => ("bytesValue", self.base64(bytes)),
            Value::StringValueStrindex(index) => ("stringValueStrindex", index.to_string()),
            Value::ArrayValue(array) => {
                let values = self.list(&array.values, Self::value);
                ("arrayValue", self.object(vec![("values", values)]))
            }
            Value::KvlistValue(map) => {
                let values = self.attributes(&map.values);
                ("kvlistValue", self.object(vec![("values", values)]))
            }
        };
        self.object(vec![(key, Some(text))])
    }

    fn object(&mut self, fields: Vec<Field>) -> String {
        let mut written: Vec<String> = Vec::new();
        for (key, value) in fields {
            match value {
                Some(value) => written.push(format!("{}{}:{}{value}", quoted(key), self.blank(), self.blank())),
                None if self.whim(20) => written.push(format!("{}:null", quoted(key))),
                None => {}
            }
        }
        if self.whim(20) {
            let future = r#""futureKey":{"a":[1,-2.5e3,"x\n",{"b":[]},null],"time_unix_nano":"5","traceId":true}"#;
            written.push(future.to_owned());
        }
        if let Some(rng) = &mut self.whims {
            rng.shuffle(&mut written);
        }
        format!("{{{}{}}}", self.blank(), written.join(","))
    }

    fn list<T>(&mut self, elements: &[T], mut one: impl FnMut(&mut Self, &T) -> String) -> Option<String> {
        if elements.is_empty() {
            return self.whim(4).then(|| "[]".to_owned());
        }
        let elements: Vec<String> = elements.iter().map(|element| one(self, element)).collect();
        Some(format!("[{}{}]", elements.join(","), self.blank()))
    }

    fn text(&mut self, text: &str) -> Option<String> {
        (!text.is_empty() || self.whim(4)).then(|| self.some_text(text))
    }

    fn some_text(&mut self, text: &str) -> String {
        if !self.whim(8) {
            return quoted(text);
        }
        let units = text
            .encode_utf16()
            .map(|unit| if self.whim(2) { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") });
        format!("\"{}\"", units.collect::<String>())
    }

    fn id(&mut self, id: &[u8]) -> Option<String> {
        let upper = self.whim(3);
        let digits = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        (!id.is_empty() || self.whim(4)).then(|| quoted(&id.iter().map(digits).collect::<String>()))
    }

    fn base64(&mut self, bytes: &[u8]) -> String {
        let mut text = base64(bytes);
        if self.whim(2) {
            text = text.trim_end_matches('=').to_owned();
        }
        if self.whim(2) {
            text = text.replace('+', "-").replace('/', "_");
        }
        quoted(&text)
    }

    // 64 bits: protobuf writes them as text.
    fn long<T: ToString + Default + PartialEq>(&mut self, value: T) -> Option<String> {
        (value != T::default() || self.whim(4)).then(|| self.some_long(value))
    }

    fn some_long<T: ToString>(&mut self, value: T) -> String {
        let text = value.to_string();
        if !self.whim(3) {
            return quoted(&text);
        }
        match text.strip_suffix("00") {
            Some(hundreds) if !hundreds.is_empty() && self.whim(2) => format!("{hundreds}e2"),
            _ if self.whim(5) => format!("{text}.0"),
            _ => text,
        }
    }

    // 32 bits: protobuf writes them as numbers.
    fn number<T: ToString + Default + PartialEq>(&mut self, value: T) -> Option<String> {
        let written = value != T::default() || self.whim(4);
        written.then(|| if self.whim(8) { quoted(&value.to_string()) } else { value.to_string() })
    }

    fn double(&mut self, value: f64) -> Option<String> {
        (value.to_bits() != 0 || self.whim(4)).then(|| self.some_double(value))
    }

    fn some_double(&mut self, value: f64) -> String {
        if value.is_nan() {
            return quoted("NaN");
        }
        if value.is_infinite() {
            return quoted(if value > 0.0 { "Infinity" } else { "-Infinity" });
        }
        let text = format!("{value:?}");
        if self.whim(4) { quoted(&text) } else { text }
    }

    fn blank(&mut self) -> &'static str {
        if self.whim(16) { " \n\t" } else { "" }
    }

    // One time out of so many.
    fn whim(&mut self, of: u32) -> bool {
        self.whims.as_mut().is_some_and(|rng| rng.u32(..of) == 0)
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("any text can be written")
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().chain([&0; 3]).take(3).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let digit = |position: usize| match position <= chunk.len() {
            true => char::from(ALPHABET[(bits >> (18 - 6 * position) & 63) as usize]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}
