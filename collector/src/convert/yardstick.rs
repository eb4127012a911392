//! The yardstick of benchmarks: what prost alone takes to decode a request into opentelemetry-proto's messages. The write path
//! never calls it.

use model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;

/// Decodes a request with prost and throws it away; answers how many items it had. `None` if it is no such request.
pub fn yardstick(signal: Signal, bytes: &[u8]) -> Option<usize> {
    Some(match signal {
        Signal::Logs => {
            let request = ExportLogsServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_logs.iter().flat_map(|of_resource| &of_resource.scope_logs);
            scopes.map(|of_scope| of_scope.log_records.len()).sum()
        }
        Signal::Spans => {
            let request = ExportTraceServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_spans.iter().flat_map(|of_resource| &of_resource.scope_spans);
            scopes.map(|of_scope| of_scope.spans.len()).sum()
        }
        Signal::Points => {
            let request = ExportMetricsServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_metrics.iter().flat_map(|of_resource| &of_resource.scope_metrics);
            scopes.flat_map(|of_scope| &of_scope.metrics).filter_map(|metric| metric.data.as_ref()).map(points).sum()
        }
    })
}

fn points(data: &Data) -> usize {
    match data {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    }
}
