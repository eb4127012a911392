//! Metrics: the official reader collects, the official transformation makes OTLP of it, and the exemplars are added here. Called by the reader's thread; sends on the export
//! thread.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue as ProtoKeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, ResourceMetrics, ScopeMetrics, exemplar, metric};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{self, AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use prost::Message;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Signal;
use super::answer::Answer;
use super::encode::nanos;
use super::reservoir::{self, Reservoir, Seen, SetId, Sets};
use super::tally::{Loss, Tally};
use super::transport::Transport;
use crate::correlation::ATTRIBUTE;
use crate::limits::METRICS_BYTES_MAX;
use crate::redact::{HIDDEN, Redaction, Verdict};

/// Told of each delivery, with the exemplars that were in it.
pub(crate) type OnDelivery = Arc<dyn Fn(&[DeliveredExemplar<'_>]) + Send + Sync>;

/// An exemplar that a collector has taken.
#[derive(Debug)]
pub struct DeliveredExemplar<'a> {
    metric: &'a str,
    attributes: &'a [ProtoKeyValue],
    exemplar: &'a Exemplar,
}

impl DeliveredExemplar<'_> {
    /// The name of the histogram that it was in.
    pub fn metric(&self) -> &str {
        self.metric
    }

    /// A text among the attributes of the measurement.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        text(self.attributes, key)
    }

    /// The correlation id of the request in which it was measured.
    pub fn correlation_id(&self) -> Option<&str> {
        text(&self.exemplar.filtered_attributes, ATTRIBUTE)
    }
}

fn text<'a>(attributes: &'a [ProtoKeyValue], key: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The official reader's exporter.
pub(crate) struct MetricExporter {
    pub(crate) handle: Handle,
    pub(crate) transport: Arc<Transport>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) redaction: Redaction,
    pub(crate) temporality: Temporality,
    pub(crate) on_delivery: Option<OnDelivery>,
    /// When the service wants to have ended. Set before the reader is told to shut down.
    pub(crate) stop_by: Arc<Mutex<Option<Instant>>>,
}

impl PushMetricExporter for MetricExporter {
    async fn export(&self, metrics: &data::ResourceMetrics) -> OTelSdkResult {
        let mut request = ExportMetricsServiceRequest::from(metrics);
        let taken = add_exemplars(&mut request, metrics);
        redact(&mut request, &self.redaction);
        let mut why = None;
        for request in split(request) {
            if let Err(reason) = self.send(&request).await {
                why = Some(reason);
            }
        }
        match why {
            None => Ok(()),
            Some(why) => {
                for (reservoir, sets) in taken {
                    reservoir.give_back(sets);
                }
                Err(OTelSdkError::InternalFailure(why))
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

impl MetricExporter {
    /// Sends a request once. What fails is not sent again: the next collection has the counts, and the exemplars are given back.
    async fn send(&self, request: &ExportMetricsServiceRequest) -> Result<(), String> {
        let points = request
            .resource_metrics
            .iter()
            .flat_map(|of| &of.scope_metrics)
            .flat_map(|scope| &scope.metrics)
            .map(points_of)
            .sum();
        let (transport, message) = (Arc::clone(&self.transport), request.encode_to_vec());
        let by = *self.stop_by.lock().unwrap_or_else(PoisonError::into_inner);
        let sending = self.handle.spawn(async move {
            let body = transport.body(message);
            match by {
                None => transport.send(body).await,
                Some(by) => {
                    let sent = tokio::time::timeout_at(by, transport.send(body)).await;
                    sent.unwrap_or_else(|_| Answer::Away { why: "the service ends".to_owned() })
                }
            }
        });
        let answer = sending.await.unwrap_or_else(|_| Answer::Away { why: "the service ends".to_owned() });
        let endpoint = self.transport.endpoint.name();
        match answer {
            Answer::Taken { rejected, .. } => {
                let rejected = rejected.min(points);
                self.tally.sent(Signal::Metrics, points - rejected);
                self.tally.lost(Signal::Metrics, Loss::Rejected, rejected);
                self.tally.collector_is_there(&endpoint);
                if let Some(on_delivery) = &self.on_delivery {
                    on_delivery(&delivered(request));
                }
                Ok(())
            }
            Answer::Refused { why } => {
                self.tally.lost(Signal::Metrics, Loss::Rejected, points);
                self.tally.refused(Signal::Metrics, &endpoint, &why);
                Err(why)
            }
            Answer::Away { why } | Answer::Later { why, .. } => {
                self.tally.lost(Signal::Metrics, Loss::Unsent, points);
                self.tally.collector_is_away(&endpoint, &why);
                Err(why)
            }
        }
    }
}

/// Adds what the reservoirs have, and answers with it in case it has to be given back. The points of `metrics` stand in the order of those of the request.
fn add_exemplars(
    request: &mut ExportMetricsServiceRequest,
    metrics: &data::ResourceMetrics,
) -> Vec<(Arc<Reservoir>, Sets)> {
    let mut taken = Vec::new();
    let scopes = request.resource_metrics.iter_mut().flat_map(|of| &mut of.scope_metrics);
    for (scope, collected) in scopes.zip(metrics.scope_metrics()) {
        for (metric, collected) in scope.metrics.iter_mut().zip(collected.metrics()) {
            let Some(reservoir) = reservoir::known(&metric.name) else { continue };
            let sets = reservoir.take();
            if sets.is_empty() {
                continue;
            }
            add_to_points(metric, &set_ids(collected.data()), &sets);
            taken.push((reservoir, sets));
        }
    }
    taken
}

fn add_to_points(metric: &mut Metric, ids: &[SetId], sets: &Sets) {
    let of = |id: &SetId| sets.get(id).into_iter().flatten().flatten().map(exemplar);
    match &mut metric.data {
        Some(metric::Data::Histogram(histogram)) => {
            for (point, id) in histogram.data_points.iter_mut().zip(ids) {
                point.exemplars.extend(of(id));
            }
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => {
            for (point, id) in histogram.data_points.iter_mut().zip(ids) {
                point.exemplars.extend(of(id));
            }
        }
        _ => {}
    }
}

fn set_ids(metrics: &AggregatedMetrics) -> Vec<SetId> {
    fn of<T>(data: &MetricData<T>) -> Vec<SetId> {
        match data {
            MetricData::Histogram(histogram) => {
                histogram.data_points().map(|point| SetId::of(point.attributes())).collect()
            }
            MetricData::ExponentialHistogram(histogram) => {
                histogram.data_points().map(|point| SetId::of(point.attributes())).collect()
            }
            _ => Vec::new(),
        }
    }
    match metrics {
        AggregatedMetrics::F64(data) => of(data),
        AggregatedMetrics::U64(data) => of(data),
        AggregatedMetrics::I64(data) => of(data),
    }
}

fn exemplar(seen: &Seen) -> Exemplar {
    let correlation = seen.correlation.as_ref().map(|id| KeyValue::new(ATTRIBUTE, id.as_str().to_owned()));
    Exemplar {
        filtered_attributes: correlation.iter().map(Into::into).collect(),
        time_unix_nano: nanos(seen.time),
        span_id: seen.span_id.to_bytes().to_vec(),
        trace_id: seen.trace_id.to_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(seen.value)),
    }
}

fn delivered(request: &ExportMetricsServiceRequest) -> Vec<DeliveredExemplar<'_>> {
    let metrics = request.resource_metrics.iter().flat_map(|of| &of.scope_metrics).flat_map(|scope| &scope.metrics);
    let mut delivered = Vec::new();
    for metric in metrics {
        match &metric.data {
            Some(metric::Data::Histogram(histogram)) => {
                for point in &histogram.data_points {
                    delivered.extend(point.exemplars.iter().map(|exemplar| DeliveredExemplar {
                        metric: &metric.name,
                        attributes: &point.attributes,
                        exemplar,
                    }));
                }
            }
            Some(metric::Data::ExponentialHistogram(histogram)) => {
                for point in &histogram.data_points {
                    delivered.extend(point.exemplars.iter().map(|exemplar| DeliveredExemplar {
                        metric: &metric.name,
                        attributes: &point.attributes,
                        exemplar,
                    }));
                }
            }
            _ => {}
        }
    }
    delivered
}

fn points_of(metric: &Metric) -> usize {
    match &metric.data {
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(metric::Data::Sum(sum)) => sum.data_points.len(),
        Some(metric::Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    }
}

/// Hides the values of sensitive attributes.
fn redact(request: &mut ExportMetricsServiceRequest, redaction: &Redaction) {
    for metric in
        request.resource_metrics.iter_mut().flat_map(|of| &mut of.scope_metrics).flat_map(|scope| &mut scope.metrics)
    {
        let attributes: Vec<&mut Vec<ProtoKeyValue>> = match &mut metric.data {
            Some(metric::Data::Gauge(gauge)) => {
                gauge.data_points.iter_mut().map(|point| &mut point.attributes).collect()
            }
            Some(metric::Data::Sum(sum)) => sum.data_points.iter_mut().map(|point| &mut point.attributes).collect(),
            Some(metric::Data::Histogram(histogram)) => {
                histogram.data_points.iter_mut().map(|point| &mut point.attributes).collect()
            }
            Some(metric::Data::ExponentialHistogram(histogram)) => {
                histogram.data_points.iter_mut().map(|point| &mut point.attributes).collect()
            }
            Some(metric::Data::Summary(_)) | None => Vec::new(),
        };
        for attribute in attributes.into_iter().flatten() {
            if redaction.verdict(&attribute.key) == Verdict::Hide {
                attribute.value = Some(AnyValue { value: Some(any_value::Value::StringValue(HIDDEN.to_owned())) });
            }
        }
    }
}

/// Requests that a collector takes: whole metrics, together at most [`METRICS_BYTES_MAX`] unless one alone is larger. Most of the time there is one.
fn split(request: ExportMetricsServiceRequest) -> Vec<ExportMetricsServiceRequest> {
    if request.encoded_len() <= METRICS_BYTES_MAX {
        return vec![request];
    }
    let mut requests = Vec::new();
    for of in request.resource_metrics {
        let ResourceMetrics { resource, scope_metrics, schema_url } = of;
        let wrap = |scope: ScopeMetrics| ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: resource.clone(),
                scope_metrics: vec![scope],
                schema_url: schema_url.clone(),
            }],
        };
        for scope in scope_metrics {
            let ScopeMetrics { scope, metrics, schema_url } = scope;
            let some = |metrics| ScopeMetrics { scope: scope.clone(), metrics, schema_url: schema_url.clone() };
            let (mut part, mut bytes) = (Vec::new(), 0);
            for metric in metrics {
                let length = metric.encoded_len();
                if bytes + length > METRICS_BYTES_MAX && !part.is_empty() {
                    requests.push(wrap(some(std::mem::take(&mut part))));
                    bytes = 0;
                }
                bytes += length;
                part.push(metric);
            }
            if !part.is_empty() {
                requests.push(wrap(some(part)));
            }
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, NumberDataPoint};

    use super::*;

    fn request(metrics: usize, bytes: usize) -> ExportMetricsServiceRequest {
        let point = || NumberDataPoint {
            attributes: vec![ProtoKeyValue { key: "db.password".to_owned(), ..ProtoKeyValue::default() }],
            ..NumberDataPoint::default()
        };
        let metric = |number| Metric {
            name: format!("m{number}"),
            description: "x".repeat(bytes),
            data: Some(metric::Data::Gauge(Gauge { data_points: vec![point()] })),
            ..Metric::default()
        };
        let scope = ScopeMetrics { metrics: (0..metrics).map(metric).collect(), ..ScopeMetrics::default() };
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() }],
        }
    }

    #[test]
    fn large_requests_are_split_by_metrics() {
        for (metrics, bytes, parts) in [(3, 10, 1), (3, METRICS_BYTES_MAX, 3), (10, METRICS_BYTES_MAX / 3, 5)] {
            let requests = split(request(metrics, bytes));
            assert_eq!(requests.len(), parts, "{metrics} of {bytes} bytes");
            let names = requests
                .iter()
                .flat_map(|r| &r.resource_metrics[0].scope_metrics[0].metrics)
                .map(|metric| metric.name.clone());
            assert!(names.eq((0..metrics).map(|number| format!("m{number}"))), "none is lost, none is twice");
        }
    }

    #[test]
    fn sensitive_attributes_of_points_are_hidden() {
        let mut request = request(1, 0);
        redact(&mut request, &Redaction::default());
        let Some(metric::Data::Gauge(gauge)) = &request.resource_metrics[0].scope_metrics[0].metrics[0].data else {
            panic!("a gauge")
        };
        assert_eq!(text(&gauge.data_points[0].attributes, "db.password"), Some(HIDDEN));
    }
}
