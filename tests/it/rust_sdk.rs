//! The official Rust SDK and exporters send spans, log records and every instrument they have, in every way they offer;
//! requests built by hand add what they cannot send: summaries and exemplars. What comes back is what was sent, before and
//! after kill -9.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use campaign::binary::Server;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Array, Context, InstrumentationScope, Key, KeyValue, SpanId, TraceId, Value};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
    WithTonicConfig as _,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue as ProtoValue, KeyValue as ProtoKeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder as LogBatch, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, PeriodicReader, SdkMeterProvider, Stream, Temporality};
use opentelemetry_sdk::trace::{BatchConfigBuilder as SpanBatch, BatchSpanProcessor, SdkTracerProvider};
use tokio::runtime::Handle;
use tonic::transport::Endpoint;

use crate::harness::Place;
use crate::python::compare_recordings;
use crate::relay::{self, WAYS, Way};

/// Of log records and spans, each way; of points there are more.
const ITEMS: usize = 400;

/// Attribute sets per instrument: sixteen instruments make well over a thousand points.
const LANES: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rust_sdk_sends_comes_back_equal() {
    let place = Place::new();
    let mut server = place.serve().await;
    let mut recordings = Vec::new();
    for way in WAYS {
        let recording = place.path().join(format!("{}.otlp", way.word()));
        let endpoint = relay::start(way, server.url(way.door()), &recording).await;
        let door = Door { way, endpoint };
        send_logs(&door).await;
        send_spans(&door).await;
        send_points(&door, Temporality::Cumulative).await;
        send_points(&door, Temporality::Delta).await;
        if door.way == WAYS[0] {
            send_by_hand(&door.endpoint).await;
        }
        recordings.push(recording);
    }

    compare(&recordings, &server).await;
    server.kill().await.expect("killed");
    let server = place.serve().await;
    compare(&recordings, &server).await;
}

// The relays live in this runtime, so waiting for another process must not block it.
async fn compare(recordings: &[PathBuf], server: &Server) {
    let (recordings, url) = (recordings.to_vec(), server.url("http"));
    let compared = tokio::task::spawn_blocking(move || compare_recordings(&recordings, &url));
    let said = compared.await.expect("the comparison ran");
    for signal in ["logs", "spans", "points"] {
        let line = said.lines().find(|line| line.starts_with(&format!("{signal}: sent="))).expect(signal);
        let sent = line.split(['=', ' ']).nth(2).and_then(|count| count.parse::<usize>().ok()).expect(line);
        assert!(sent >= ITEMS * WAYS.len(), "{line}");
    }
}

/// Where to send, and in which way.
struct Door {
    way: Way,
    endpoint: String,
}

// The builders of the three exporters share their methods and no trait.
macro_rules! exporter {
    ($builder:expr, $door:expr, $path:literal) => {{
        let Door { way, endpoint } = $door;
        let zipped = way.compression == "gzip";
        let built = if way.protocol == "grpc" {
            let builder = $builder.with_tonic().with_endpoint(endpoint);
            if zipped { builder.with_compression(Compression::Gzip).build() } else { builder.build() }
        } else {
            let protocol = if way.protocol == "http/json" { Protocol::HttpJson } else { Protocol::HttpBinary };
            let builder = $builder.with_http().with_http_client(ClientOnRuntime::new()).with_protocol(protocol);
            let builder = builder.with_endpoint(format!("{endpoint}{}", $path));
            if zipped { builder.with_compression(Compression::Gzip).build() } else { builder.build() }
        };
        built.expect("an exporter")
    }};
}

/// The exporter's batches leave from threads of their own; the client's connections need the test's runtime.
#[derive(Debug)]
struct ClientOnRuntime {
    runtime: Handle,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl ClientOnRuntime {
    fn new() -> Self {
        Self { runtime: Handle::current(), client: Client::builder(TokioExecutor::new()).build_http() }
    }
}

#[async_trait]
impl HttpClient for ClientOnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.request(request.map(Full::new));
        let answered = self.runtime.spawn(async move {
            let (parts, body) = answer.await?.into_parts();
            Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
        });
        answered.await?
    }
}

// The SDK's providers block while they flush.
async fn flushed<E: std::fmt::Debug + Send + 'static>(shutdown: impl FnOnce() -> Result<(), E> + Send + 'static) {
    tokio::task::spawn_blocking(shutdown).await.expect("no panic").expect("everything was exported");
}

fn resource(name: &'static str) -> Resource {
    let of = [KeyValue::new("host.cores", 8), KeyValue::new("tags", Value::Array(Array::from(vec![1.5, -0.0])))];
    let schema = "https://opentelemetry.io/schemas/1.29.0";
    Resource::builder().with_service_name(name).with_schema_url(of, schema).build()
}

fn scope(name: &'static str) -> InstrumentationScope {
    InstrumentationScope::builder(name)
        .with_version("1.2.3")
        .with_schema_url("https://example.com/schema/1")
        .with_attributes([KeyValue::new("scope.lane", 7)])
        .build()
}

async fn send_logs(door: &Door) {
    let exporter = exporter!(LogExporter::builder(), door, "/v1/logs");
    let batch = LogBatch::default().with_max_queue_size(ITEMS * 2).build();
    let processor = BatchLogProcessor::builder(exporter).with_batch_config(batch).build();
    let provider =
        SdkLoggerProvider::builder().with_log_processor(processor).with_resource(resource("rust-logs")).build();
    let logger = provider.logger_with_scope(scope("rust.logs"));
    for number in 0..ITEMS {
        let mut record = logger.create_log_record();
        record.set_observed_timestamp(SystemTime::now());
        if number % 3 != 0 {
            record.set_timestamp(SystemTime::now() - Duration::from_nanos(number as u64));
        }
        if number.is_multiple_of(5) {
            record.set_event_name("order.placed");
        }
        let (severity, text) =
            [(Severity::Info, "INFO"), (Severity::Warn2, "careful"), (Severity::Fatal4, "")][number % 3];
        record.set_severity_number(severity);
        record.set_severity_text(text);
        record.set_body(body(number));
        record.add_attribute("correlation.id", format!("order-{}", number / 10));
        record.add_attribute("number", i64::MIN + number as i64);
        record.add_attribute("nested", nested(number));
        if number.is_multiple_of(2) {
            let (trace, span) = (TraceId::from(number as u128 + 1), SpanId::from(number as u64 + 1));
            record.set_trace_context(trace, span, Some(TraceFlags::SAMPLED));
        }
        logger.emit(record);
    }
    flushed(move || provider.shutdown()).await;
}

fn body(number: usize) -> AnyValue {
    match number % 6 {
        0 => AnyValue::from(format!("order {number} was placed\nand paid \u{1f680}")),
        1 => AnyValue::Int(number as i64),
        2 => AnyValue::Double(number as f64 / 3.0),
        3 => AnyValue::Boolean(true),
        4 => AnyValue::Bytes(Box::new(vec![0, 255, number as u8])),
        _ => nested(number),
    }
}

fn nested(number: usize) -> AnyValue {
    let inner = AnyValue::ListAny(Box::new(vec![AnyValue::Int(-1), AnyValue::from("x"), AnyValue::Double(f64::MAX)]));
    let map = HashMap::from([
        (Key::new("list"), inner),
        (Key::new("number"), AnyValue::Int(number as i64)),
        (Key::new("map"), AnyValue::Map(Box::new(HashMap::from([(Key::new("empty"), AnyValue::from(""))])))),
    ]);
    AnyValue::Map(Box::new(map))
}

async fn send_spans(door: &Door) {
    let exporter = exporter!(SpanExporter::builder(), door, "/v1/traces");
    let batch = SpanBatch::default().with_max_queue_size(ITEMS * 2).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
    let provider =
        SdkTracerProvider::builder().with_span_processor(processor).with_resource(resource("rust-spans")).build();
    let tracer = provider.tracer_with_scope(scope("rust.spans"));
    let kinds = [SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
    let mut parent = Context::new();
    for number in 0..ITEMS {
        let builder = tracer
            .span_builder(format!("operation {}", number % 20))
            .with_kind(kinds[number % kinds.len()].clone())
            .with_attributes(span_attributes(number))
            .with_links(links(number));
        let mut span = builder.start_with_context(&tracer, &parent);
        // More events than the SDK keeps, now and then: it counts what it drops.
        for event in 0..if number.is_multiple_of(250) { 140 } else { number % 4 } {
            span.add_event(
                format!("event {event}"),
                vec![KeyValue::new("at", event as i64), KeyValue::new("ok", true)],
            );
        }
        span.set_status([Status::Unset, Status::Ok, Status::error("it broke \u{202e}")][number % 3].clone());
        // Ten spans to a trace, each the child of the one before.
        let context = SpanContext::clone(span.span_context());
        span.end();
        parent = if number % 10 == 9 { Context::new() } else { Context::new().with_remote_span_context(context) };
    }
    flushed(move || provider.shutdown()).await;
}

fn span_attributes(number: usize) -> Vec<KeyValue> {
    vec![
        KeyValue::new("text", format!("value {number}")),
        KeyValue::new("double", number as f64 * 1e300),
        KeyValue::new("flag", number.is_multiple_of(2)),
        KeyValue::new("words", Value::Array(Array::String(vec!["a".into(), "".into(), "ünï".into()]))),
        KeyValue::new("numbers", Value::Array(Array::I64(vec![i64::MAX, 0, -1]))),
        KeyValue::new("x-request-id", format!("request-{number}")),
    ]
}

fn links(number: usize) -> Vec<Link> {
    let state = TraceState::from_key_value([("vendor", "x")]).expect("a good trace state");
    let context = SpanContext::new(
        TraceId::from(number as u128 + 77),
        SpanId::from(number as u64 + 5),
        TraceFlags::SAMPLED,
        number.is_multiple_of(2),
        state,
    );
    (0..number % 3).map(|link| Link::new(context.clone(), vec![KeyValue::new("link", link as i64)], 0)).collect()
}

async fn send_points(door: &Door, temporality: Temporality) {
    let exporter = exporter!(MetricExporter::builder().with_temporality(temporality), door, "/v1/metrics");
    // Collected once more, and only then, when the provider is shut down.
    let reader = PeriodicReader::builder(exporter).with_interval(Duration::from_secs(3_600)).build();
    let exponential = |instrument: &Instrument| {
        let aggregation = Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };
        let wanted = instrument.name() == "exponential";
        wanted.then(|| Stream::builder().with_aggregation(aggregation).build().expect("a good stream"))
    };
    let provider = SdkMeterProvider::builder()
        .with_reader(reader)
        .with_view(exponential)
        .with_resource(resource("rust-points"))
        .build();
    let meter = provider.meter_with_scope(scope("rust.points"));
    measure(&meter);
    observe(&meter);
    // The observable instruments' callbacks belong to the meter, which must live until the last collection.
    flushed(move || {
        let shut_down = provider.shutdown();
        drop(meter);
        shut_down
    })
    .await;
}

fn lane(lane: u64) -> [KeyValue; 2] {
    [KeyValue::new("lane", lane as i64), KeyValue::new("service", format!("s{}", lane % 3))]
}

fn measure(meter: &Meter) {
    let u64_counter = meter.u64_counter("counter.u64").with_unit("{order}").with_description("Orders").build();
    let f64_counter = meter.f64_counter("counter.f64").with_unit("s").build();
    let i64_up_down = meter.i64_up_down_counter("up_down.i64").build();
    let f64_up_down = meter.f64_up_down_counter("up_down.f64").build();
    let u64_gauge = meter.u64_gauge("gauge.u64").with_unit("By").build();
    let i64_gauge = meter.i64_gauge("gauge.i64").build();
    let f64_gauge = meter.f64_gauge("gauge.f64").with_unit("Cel").build();
    let u64_histogram = meter.u64_histogram("histogram.u64").build();
    let f64_histogram = meter.f64_histogram("histogram.f64").with_boundaries(vec![0.1, 1.0, 10.0]).build();
    let exponential = meter.f64_histogram("exponential").with_unit("ms").build();
    for number in 0..LANES {
        let attributes = lane(number);
        u64_counter.add(number, &attributes);
        f64_counter.add(number as f64 / 7.0, &attributes);
        i64_up_down.add(10 - number as i64, &attributes);
        f64_up_down.add(-0.5 * number as f64, &attributes);
        u64_gauge.record(1 << 60, &attributes);
        i64_gauge.record(-(number as i64), &attributes);
        f64_gauge.record(1.0 / (number as f64 + 0.1), &attributes);
        for step in 1..20 {
            u64_histogram.record(step * number, &attributes);
            f64_histogram.record(step as f64 * 0.37, &attributes);
            exponential.record(step as f64 * number as f64 - 20.0, &attributes);
        }
    }
}

fn observe(meter: &Meter) {
    let lanes = || (0..LANES).map(|number| (number, lane(number)));
    let _ = meter
        .u64_observable_counter("observed.counter.u64")
        .with_callback(move |observer| lanes().for_each(|(number, of)| observer.observe(number, &of)))
        .build();
    let _ = meter
        .f64_observable_counter("observed.counter.f64")
        .with_callback(move |observer| lanes().for_each(|(number, of)| observer.observe(number as f64 / 3.0, &of)))
        .build();
    let _ = meter
        .i64_observable_up_down_counter("observed.up_down.i64")
        .with_callback(move |observer| lanes().for_each(|(number, of)| observer.observe(-(number as i64), &of)))
        .build();
    let _ = meter
        .f64_observable_up_down_counter("observed.up_down.f64")
        .with_callback(move |observer| lanes().for_each(|(number, of)| observer.observe(-(number as f64), &of)))
        .build();
    let _ = meter
        .u64_observable_gauge("observed.gauge.u64")
        .with_callback(move |observer| lanes().for_each(|(number, of)| observer.observe(number, &of)))
        .build();
    let _ = meter
        .i64_observable_gauge("observed.gauge.i64")
        .with_callback(move |observer| lanes().for_each(|(number, of)| observer.observe(number as i64, &of)))
        .build();
    let _ = meter
        .f64_observable_gauge("observed.gauge.f64")
        .with_callback(move |observer| lanes().for_each(|(number, of)| observer.observe(number as f64, &of)))
        .build();
}

// What the SDK does not send: summaries, and exemplars of sums and histograms.
async fn send_by_hand(endpoint: &str) {
    let channel = Endpoint::from_shared(endpoint.to_owned()).expect("an address").connect().await.expect("a relay");
    let metrics = vec![
        metric("summary", metric::Data::Summary(Summary { data_points: (0..100).map(summary_point).collect() })),
        metric(
            "histogram",
            metric::Data::Histogram(Histogram {
                data_points: (0..100).map(histogram_point).collect(),
                aggregation_temporality: AggregationTemporality::Delta.into(),
            }),
        ),
        metric(
            "sum",
            metric::Data::Sum(Sum {
                data_points: (0..100).map(sum_point).collect(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            }),
        ),
    ];
    let resource = ProtoResource {
        attributes: vec![text("service.name", "by-hand"), text("x-correlation-id", "of-the-resource")],
        dropped_attributes_count: 3,
        ..ProtoResource::default()
    };
    let scope_metrics = vec![ScopeMetrics { metrics, schema_url: "scope".to_owned(), ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: Some(resource), scope_metrics, schema_url: "resource".to_owned() }];
    let request = ExportMetricsServiceRequest { resource_metrics };
    MetricsServiceClient::new(channel).export(request).await.expect("acknowledged");
}

fn metric(name: &str, data: metric::Data) -> Metric {
    let metadata = vec![text("prometheus.type", "unknown")];
    Metric {
        name: format!("by.hand.{name}"),
        description: "Built by hand".to_owned(),
        unit: "s".to_owned(),
        metadata,
        data: Some(data),
    }
}

fn text(key: &str, value: &str) -> ProtoKeyValue {
    let value = Some(ProtoValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    ProtoKeyValue { key: key.to_owned(), value, ..ProtoKeyValue::default() }
}

// 2026-01-01, so that these points stand in another partition than the SDK's.
fn time(number: u64) -> u64 {
    1_767_225_600_000_000_000 + number * 1_000_000
}

fn summary_point(number: u64) -> SummaryDataPoint {
    let quantile = |quantile: f64| ValueAtQuantile { quantile, value: quantile * number as f64 };
    SummaryDataPoint {
        attributes: vec![text("lane", &number.to_string())],
        start_time_unix_nano: time(0),
        time_unix_nano: time(number),
        count: number,
        sum: number as f64 * 0.5,
        quantile_values: [0.0, 0.5, 0.99, 1.0].map(quantile).to_vec(),
        flags: 0,
    }
}

fn exemplar(number: u64, value: exemplar::Value) -> Exemplar {
    Exemplar {
        filtered_attributes: vec![text("user", "u1"), text("request.id", &format!("r{number}"))],
        time_unix_nano: time(number),
        span_id: (number + 1).to_be_bytes().to_vec(),
        trace_id: u128::from(number + 1).to_be_bytes().to_vec(),
        value: Some(value),
    }
}

fn histogram_point(number: u64) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: vec![text("lane", &number.to_string())],
        start_time_unix_nano: time(0),
        time_unix_nano: time(number),
        count: 6,
        sum: Some(number as f64),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 1.5],
        exemplars: vec![
            exemplar(number, exemplar::Value::AsDouble(0.25)),
            exemplar(number, exemplar::Value::AsDouble(9.0)),
        ],
        min: Some(-1.0),
        ..HistogramDataPoint::default()
    }
}

fn sum_point(number: u64) -> NumberDataPoint {
    // A trace may be unknown, and a point may say that there is no value any more.
    let mut exemplar = exemplar(number, exemplar::Value::AsInt(i64::MAX));
    if number.is_multiple_of(2) {
        exemplar.trace_id.clear();
        exemplar.span_id.clear();
    }
    let silent = number.is_multiple_of(9);
    NumberDataPoint {
        attributes: vec![text("lane", &number.to_string())],
        start_time_unix_nano: time(0),
        time_unix_nano: time(number),
        exemplars: if silent { Vec::new() } else { vec![exemplar] },
        flags: u32::from(silent),
        value: (!silent).then_some(number_data_point::Value::AsDouble(number as f64)),
    }
}
