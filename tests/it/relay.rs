//! Stands between an exporter and the server, passes every request on, and records those that were acknowledged, in the
//! form of `tests/clients/record.py`: what the exporter sent is known without asking the exporter.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, async_trait};

/// A relay that runs for as long as the test's runtime.
#[derive(Clone)]
pub struct Relay {
    target: Channel,
    recording: Arc<Mutex<File>>,
}

impl Relay {
    /// Relays to the gRPC door `target`, and records in `file`. Gives the address to send to.
    pub async fn start(target: String, file: &Path) -> String {
        let recording = Arc::new(Mutex::new(File::create(file).expect("a file")));
        let relay = Self { target: Endpoint::from_shared(target).expect("an address").connect_lazy(), recording };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = Server::builder()
            .add_service(LogsServiceServer::new(relay.clone()))
            .add_service(TraceServiceServer::new(relay.clone()))
            .add_service(MetricsServiceServer::new(relay));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        format!("http://{address}")
    }

    fn record(&self, signal: u8, request: &impl Message) {
        let body = request.encode_to_vec();
        let mut frame = vec![signal];
        frame.extend(u32::try_from(body.len()).expect("a request of sane size").to_le_bytes());
        frame.extend(body);
        self.recording.lock().expect("no panic while recording").write_all(&frame).expect("a writable file");
    }
}

// A test whose exporter sends only valid items expects no partial success.
fn whole(partial: bool) -> Result<(), Status> {
    if partial { Err(Status::internal("valid items were rejected")) } else { Ok(()) }
}

#[async_trait]
impl LogsService for Relay {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let request = request.into_inner();
        let answer = LogsServiceClient::new(self.target.clone()).export(request.clone()).await?;
        whole(answer.get_ref().partial_success.is_some())?;
        self.record(b'L', &request);
        Ok(Response::new(answer.into_inner()))
    }
}

#[async_trait]
impl TraceService for Relay {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        let answer = TraceServiceClient::new(self.target.clone()).export(request.clone()).await?;
        whole(answer.get_ref().partial_success.is_some())?;
        self.record(b'S', &request);
        Ok(Response::new(answer.into_inner()))
    }
}

#[async_trait]
impl MetricsService for Relay {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let request = request.into_inner();
        let answer = MetricsServiceClient::new(self.target.clone()).export(request.clone()).await?;
        whole(answer.get_ref().partial_success.is_some())?;
        self.record(b'P', &request);
        Ok(Response::new(answer.into_inner()))
    }
}
