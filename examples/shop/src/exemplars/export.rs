//! The histogram as an OTLP request built from opentelemetry-proto, sent every few seconds.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use opentelemetry::KeyValue as ApiKeyValue;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics, exemplar,
    metric,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::transform::common::tonic::Attributes;
use tokio::time::MissedTickBehavior;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use crate::correlation::CorrelationId;
use crate::limits::{EXPORT_TIMEOUT, METRIC_INTERVAL};
use crate::{otlp_headers, telemetry};

use super::reservoir::{DurationHistogram, Point, Seen};

/// Sends one histogram.
pub(crate) struct Exporter {
    client: MetricsServiceClient<Channel>,
    resource: Resource,
    histogram: Arc<DurationHistogram>,
    name: &'static str,
    description: &'static str,
    /// The key of the attribute the histogram's points are told apart by.
    attribute: &'static str,
    start_unix_nano: u64,
    headers: MetadataMap,
}

impl Exporter {
    /// An exporter to an OTLP/gRPC endpoint; it connects when there is something to send.
    pub(crate) fn new(
        endpoint: &str,
        resource: &opentelemetry_sdk::Resource,
        histogram: Arc<DurationHistogram>,
        (name, description, attribute): (&'static str, &'static str, &'static str),
    ) -> anyhow::Result<Self> {
        let channel =
            Endpoint::from_shared(endpoint.to_owned()).with_context(|| format!("`{endpoint}` is not a URL"))?;
        let channel = channel.timeout(EXPORT_TIMEOUT).connect_timeout(EXPORT_TIMEOUT).connect_lazy();
        let attributes = resource.iter().map(|(key, value)| ApiKeyValue::new(key.clone(), value.clone()));
        Ok(Self {
            client: MetricsServiceClient::new(channel),
            resource: Resource { attributes: Attributes::from(attributes).0, ..Resource::default() },
            histogram,
            name,
            description,
            attribute,
            start_unix_nano: now_unix_nano(),
            headers: otlp_headers::from_environment(),
        })
    }

    /// Sends what was measured so far and answers with the exemplars that arrived. What cannot be sent is kept for the
    /// next time: the counts are cumulative, the exemplars are given back.
    async fn export(&mut self) -> Vec<(&'static str, Seen)> {
        let points = self.histogram.collect();
        if points.is_empty() {
            return Vec::new();
        }
        let mut request = tonic::Request::new(self.request(&points, now_unix_nano()));
        request.metadata_mut().clone_from(&self.headers);
        match self.client.export(request).await {
            Ok(_) => points
                .into_iter()
                .flat_map(|(value, point)| point.exemplars.into_iter().flatten().map(move |seen| (value, seen)))
                .collect(),
            Err(status) => {
                tracing::debug!(%status, "the collector did not take the exemplars");
                self.histogram.give_back(points);
                Vec::new()
            }
        }
    }

    fn request(&self, points: &[(&'static str, Point)], now: u64) -> ExportMetricsServiceRequest {
        let data_points = points.iter().map(|(value, point)| self.data_point(value, point, now)).collect();
        let histogram = Histogram { data_points, aggregation_temporality: AggregationTemporality::Cumulative.into() };
        let metric = Metric {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            unit: "s".to_owned(),
            data: Some(metric::Data::Histogram(histogram)),
            ..Metric::default()
        };
        let scope = InstrumentationScope::from((telemetry::scope(), None));
        let scope_metrics = ScopeMetrics { scope: Some(scope), metrics: vec![metric], ..ScopeMetrics::default() };
        let resource_metrics = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        };
        ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
    }

    fn data_point(&self, value: &'static str, point: &Point, now: u64) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: vec![string(self.attribute, value)],
            start_time_unix_nano: self.start_unix_nano,
            time_unix_nano: now,
            count: point.counts.iter().sum(),
            sum: Some(point.sum),
            bucket_counts: point.counts.clone(),
            explicit_bounds: self.histogram.bounds().to_vec(),
            exemplars: point.exemplars.iter().flatten().map(exemplar).collect(),
            flags: 0,
            min: Some(point.min),
            max: Some(point.max),
        }
    }
}

/// Sends every [`METRIC_INTERVAL`] until `stop` resolves, and then once more. `delivered` is told what arrived.
pub(crate) async fn export_until(
    stop: impl Future<Output = ()>,
    mut exporter: Exporter,
    mut delivered: impl FnMut(Vec<(&'static str, Seen)>),
) {
    let mut ticks = tokio::time::interval(METRIC_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = ticks.tick() => delivered(exporter.export().await),
        }
    }
    delivered(exporter.export().await);
}

fn exemplar(seen: &Seen) -> Exemplar {
    Exemplar {
        filtered_attributes: vec![string(CorrelationId::ATTRIBUTE, &seen.correlation_id)],
        time_unix_nano: seen.time_unix_nano,
        span_id: seen.span.span_id().to_bytes().to_vec(),
        trace_id: seen.span.trace_id().to_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(seen.value)),
    }
}

fn string(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(opentelemetry::Value::from(value.to_owned()).into()),
        ..KeyValue::default()
    }
}

/// Nanoseconds since 1970, as OTLP counts.
pub(crate) fn now_unix_nano() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
