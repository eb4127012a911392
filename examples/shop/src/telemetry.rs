//! The official OpenTelemetry SDK, set up for one service: spans and log records come from `tracing`, metrics from a
//! meter, all leave over OTLP/gRPC. If the collector is away the SDK's queues fill and drop; requests never wait for
//! it.

use std::io::IsTerminal;

use anyhow::Context;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder as LogBatch, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchConfigBuilder as SpanBatch, BatchSpanProcessor, SdkTracerProvider};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::ServiceName;
use crate::limits::{BATCH_DELAY, EXPORT_TIMEOUT, FLUSH_MAX, METRIC_INTERVAL};

/// The name of the shop's instrumentation scope.
const SCOPE: &str = "shop";

/// The three providers of one service, and what they say about it.
pub(crate) struct Telemetry {
    pub(crate) resource: Resource,
    spans: SdkTracerProvider,
    logs: SdkLoggerProvider,
    metrics: SdkMeterProvider,
}

impl Telemetry {
    /// Sets the SDK up and makes it the process's `tracing` subscriber, so it works once per process. Must be called
    /// inside a tokio runtime: tonic's channels live there. Does not wait for the collector.
    pub(crate) fn start(service: ServiceName, endpoint: &str) -> anyhow::Result<Self> {
        let resource = resource(service);
        let telemetry = Self {
            spans: span_provider(endpoint, resource.clone())?,
            logs: log_provider(endpoint, resource.clone())?,
            metrics: metric_provider(endpoint, resource.clone())?,
            resource,
        };
        telemetry.subscribe()?;
        Ok(telemetry)
    }

    /// The meter that the service's instruments come from.
    pub(crate) fn meter(&self) -> Meter {
        self.metrics.meter_with_scope(scope())
    }

    fn subscribe(&self) -> anyhow::Result<()> {
        // Only the shop's own: what tonic and hyper say about exporting must not become telemetry to export. Log events
        // stay out of spans: they are log records already, and span events are added where they mean something.
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.spans.tracer_with_scope(scope()))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| is_ours(metadata) && metadata.is_span()));
        let logs = OpenTelemetryTracingBridge::new(&self.logs)
            .with_filter(filter_fn(|metadata| is_ours(metadata) && metadata.is_event()));
        // Silent unless RUST_LOG asks: three services share the terminal of whoever started the demo.
        let stderr = std::env::var("RUST_LOG").ok().map(|directives| {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
            layer.with_filter(EnvFilter::builder().parse_lossy(directives))
        });
        tracing_subscriber::registry()
            .with(spans)
            .with(logs)
            .with(stderr)
            .try_init()
            .context("this process has a tracing subscriber already: start one service per process")
    }

    /// Sends what is still queued, each signal within [`FLUSH_MAX`], and stops. What the collector does not take by
    /// then is lost, which is no reason for a service to fail.
    pub(crate) async fn shut_down(self) {
        let Self { spans, logs, metrics, .. } = self;
        // The SDK blocks while it flushes, and needs the runtime's other threads for that.
        let spans = tokio::task::spawn_blocking(move || spans.shutdown_with_timeout(FLUSH_MAX));
        let logs = tokio::task::spawn_blocking(move || logs.shutdown_with_timeout(FLUSH_MAX));
        let metrics = tokio::task::spawn_blocking(move || metrics.shutdown_with_timeout(FLUSH_MAX));
        let _ = tokio::join!(spans, logs, metrics);
    }
}

/// The scope every span and measurement of the shop bears.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build()
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO && metadata.target().split("::").next() == Some("shop")
}

fn resource(service: ServiceName) -> Resource {
    Resource::builder()
        .with_service_name(service.as_str())
        .with_attribute(KeyValue::new("service.namespace", "shop"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance_id(fastrand::u128(..))))
        .build()
}

/// A random (version 4) UUID, as the conventions ask of `service.instance.id`.
fn instance_id(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn span_provider(endpoint: &str, resource: Resource) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build();
    let exporter = exporter.with_context(|| format!("cannot export spans to {endpoint}"))?;
    let config = SpanBatch::default().with_scheduled_delay(BATCH_DELAY).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    Ok(SdkTracerProvider::builder().with_span_processor(processor).with_resource(resource).build())
}

fn log_provider(endpoint: &str, resource: Resource) -> anyhow::Result<SdkLoggerProvider> {
    let exporter = LogExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build();
    let exporter = exporter.with_context(|| format!("cannot export log records to {endpoint}"))?;
    let config = LogBatch::default().with_scheduled_delay(BATCH_DELAY).build();
    let processor = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
    Ok(SdkLoggerProvider::builder().with_log_processor(processor).with_resource(resource).build())
}

fn metric_provider(endpoint: &str, resource: Resource) -> anyhow::Result<SdkMeterProvider> {
    let exporter = MetricExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build();
    let exporter = exporter.with_context(|| format!("cannot export metrics to {endpoint}"))?;
    let reader = PeriodicReader::builder(exporter).with_interval(METRIC_INTERVAL).build();
    Ok(SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_is_a_random_uuid() {
        assert_eq!(instance_id(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(instance_id(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
