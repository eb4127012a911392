//! A collector that keeps everything in memory, flattened to what tests ask for: gRPC and HTTP on one port, and it can be killed. The tests of the shop use it too.

#![allow(dead_code, reason = "each of the two programs uses a part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::runtime::Runtime;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// What arrived, each item with the name of its service.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub resources: BTreeMap<String, Resource>,
    pub spans: Vec<(String, Span)>,
    pub logs: Vec<(String, LogRecord)>,
    pub metrics: Vec<(String, Metric)>,
}

impl Received {
    /// The only span of a service with this name and kind.
    pub fn span(&self, service: &str, name: &str, kind: SpanKind) -> &Span {
        let is_it = |(s, span): &&(String, Span)| s == service && span.name == name && span.kind() == kind;
        let found: Vec<_> = self.spans.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "spans `{name}` of {service} among {:#?}", self.span_names());
        &found[0].1
    }

    /// The only log record of a service with this event name.
    pub fn log(&self, service: &str, event: &str) -> &LogRecord {
        let found: Vec<_> = self.logs.iter().filter(|(s, log)| s == service && log.event_name == event).collect();
        assert_eq!(found.len(), 1, "`{event}` of {service} among {:#?}", self.logs);
        &found[0].1
    }

    pub fn span_names(&self) -> Vec<(&str, &str)> {
        self.spans.iter().map(|(service, span)| (service.as_str(), span.name.as_str())).collect()
    }

    /// Every exemplar of a histogram.
    pub fn exemplars(&self, metric: &str) -> Vec<&Exemplar> {
        let named = self.metrics.iter().filter(|(_, found)| found.name == metric);
        let histograms = named.filter_map(|(_, metric)| match &metric.data {
            Some(metric::Data::Histogram(histogram)) => Some(histogram),
            _ => None,
        });
        histograms.flat_map(|histogram| &histogram.data_points).flat_map(|point| &point.exemplars).collect()
    }

    /// The newest metric of a service with this name.
    pub fn metric(&self, service: &str, name: &str) -> Option<&Metric> {
        self.metrics.iter().rev().find(|(s, metric)| s == service && metric.name == name).map(|(_, metric)| metric)
    }
}

/// The string value of an attribute.
pub fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The receiver, listening until it is dropped, which ends its connections too.
pub struct Receiver {
    pub endpoint: String,
    pub address: SocketAddr,
    store: Store,
    /// Taken by the drop. Its own, so that nothing of it lives on.
    runtime: Option<Runtime>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens where another one did.
    pub async fn start_at(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let store = Store::default();
        let grpc = Routes::new(TraceServiceServer::new(store.clone()).accept_compressed(Gzip))
            .add_service(LogsServiceServer::new(store.clone()).accept_compressed(Gzip))
            .add_service(MetricsServiceServer::new(store.clone()).accept_compressed(Gzip));
        let http = axum::Router::new()
            .route("/v1/traces", post(http_traces))
            .route("/v1/logs", post(http_logs))
            .route("/v1/metrics", post(http_metrics))
            .with_state(store.clone());
        let router = grpc.into_axum_router().merge(http);
        let binding = runtime.spawn(async move {
            // The port of one that was killed may be taken by its last connections for a moment.
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.set_reuseaddr(true).expect("an option");
            socket.bind(address).expect("a free port");
            socket.listen(1024).expect("it listens")
        });
        let listener = binding.await.expect("a listener");
        let address = listener.local_addr().expect("bound");
        runtime.spawn(async move { axum::serve(listener, router).await.expect("the receiver serves") });
        Self { endpoint: format!("http://{address}"), address, store, runtime: Some(runtime) }
    }

    pub fn received(&self) -> Received {
        self.store.0.lock().expect("no test panics inside").clone()
    }

    /// Waits until what has arrived satisfies `enough`.
    pub async fn wait_for(&self, what: &str, enough: impl Fn(&Received) -> bool) -> Received {
        for _ in 0..1_200 {
            // Asked where it is: a test may have tens of megabytes here.
            if enough(&self.store.0.lock().expect("no test panics inside")) {
                return self.received();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} did not arrive; there are {:#?}", self.received().span_names());
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Received>>);

impl Store {
    /// Keeps the resource and gives the service's name.
    fn service(received: &mut Received, resource: Option<Resource>) -> String {
        let resource = resource.expect("the SDK sends a resource");
        let name = attribute(&resource.attributes, "service.name").expect("a service has a name").to_owned();
        received.resources.insert(name.clone(), resource);
        name
    }
}

#[tonic::async_trait]
impl TraceService for Store {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut received = self.0.lock().expect("no test panics inside");
        for of_resource in request.into_inner().resource_spans {
            let service = Self::service(&mut received, of_resource.resource);
            let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            received.spans.extend(spans.map(|span| (service.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Store {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let mut received = self.0.lock().expect("no test panics inside");
        for of_resource in request.into_inner().resource_logs {
            let service = Self::service(&mut received, of_resource.resource);
            let logs = of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records);
            received.logs.extend(logs.map(|log| (service.clone(), log)));
        }
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Store {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut received = self.0.lock().expect("no test panics inside");
        for of_resource in request.into_inner().resource_metrics {
            let service = Self::service(&mut received, of_resource.resource);
            let metrics = of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            received.metrics.extend(metrics.map(|metric| (service.clone(), metric)));
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

async fn http_traces(State(store): State<Store>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).expect("a request");
    TraceService::export(&store, Request::new(request)).await.expect("kept");
}

async fn http_logs(State(store): State<Store>, body: Bytes) {
    let request = ExportLogsServiceRequest::decode(body).expect("a request");
    LogsService::export(&store, Request::new(request)).await.expect("kept");
}

async fn http_metrics(State(store): State<Store>, body: Bytes) {
    let request = ExportMetricsServiceRequest::decode(body).expect("a request");
    MetricsService::export(&store, Request::new(request)).await.expect("kept");
}
