//! What the tests share: a server (an intake before a store in a folder of its own, both doors on ports of their own), and
//! sample items.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use collector::convert::{Context, Limits};
use collector::{Config, Intake, http_router, serve_grpc};
use model::stats::Stats;
use model::{Clock, SystemClock, TimeRange, Timestamp};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use store::disk::{Disk, RealDisk};
use store::{Narrow, Setup, Store, Table};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// When every converted request was received.
pub const RECEIVED: Timestamp = Timestamp::from_nanos(1_800_000_000_000_000_000);

pub fn correlation_keys() -> Vec<String> {
    Config::default().correlation_keys
}

pub fn context(keys: &[String]) -> Context<'_> {
    // Of these only the tests of the limits themselves want any.
    let limits = Limits { attributes_max: usize::MAX, labels_max: usize::MAX, ..Limits::default() };
    Context { received: RECEIVED, correlation_keys: keys, limits, series: None, retention: None, is_repeated: false }
}

/// Both doors and what stands behind them. Ends with the test's runtime.
pub struct Server {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub intake: Intake,
    pub store: Store,
    stats: Stats,
    _directory: TempDir,
}

impl Server {
    pub async fn start(config: Config) -> Self {
        Self::with(config, Arc::new(SystemClock::new()), Arc::new(RealDisk)).await
    }

    pub async fn with(config: Config, clock: Arc<dyn Clock>, disk: Arc<dyn Disk>) -> Self {
        Self::storing(config, store::Config::default(), clock, disk).await
    }

    /// A server whose store has these settings.
    pub async fn storing(config: Config, of_store: store::Config, clock: Arc<dyn Clock>, disk: Arc<dyn Disk>) -> Self {
        config.check().expect("the test's settings work");
        let directory = tempfile::tempdir().expect("a folder can be made");
        let stats = Stats::new();
        let setup = Setup {
            directory: directory.path().join("data"),
            config: of_store,
            clock: Arc::clone(&clock),
            disk,
            stats: stats.clone(),
        };
        let store = Store::open(setup).expect("an empty folder can be opened");
        let intake = Intake::new(config, store.writer(), clock, stats.clone());
        Self::before(intake, stats, store, directory).await
    }

    /// A server whose store is open, but whose doors do not know yet.
    pub async fn starting(config: Config) -> Self {
        let directory = tempfile::tempdir().expect("a folder can be made");
        let (stats, clock) = (Stats::new(), Arc::new(SystemClock::new()));
        let setup = Setup {
            directory: directory.path().join("data"),
            config: store::Config::default(),
            clock: clock.clone(),
            disk: Arc::new(RealDisk),
            stats: stats.clone(),
        };
        let store = Store::open(setup).expect("an empty folder can be opened");
        let intake = Intake::starting(config, clock, stats.clone());
        Self::before(intake, stats, store, directory).await
    }

    async fn before(intake: Intake, stats: Stats, store: Store, directory: TempDir) -> Self {
        let (http_listener, http) = bind().await;
        let (grpc_listener, grpc) = bind().await;
        let router = http_router(intake.clone());
        tokio::spawn(async move { axum::serve(http_listener, router).await });
        tokio::spawn(serve_grpc(intake.clone(), grpc_listener, std::future::pending()));
        Self { http, grpc, intake, stats, store, _directory: directory }
    }

    /// Rows of a table that queries see.
    pub fn rows(&self, table: Table) -> usize {
        let snapshot = self.store.snapshot();
        let granules = snapshot.granules(table, TimeRange::ALL, &Narrow::All).expect("the head can be read");
        granules.iter().map(|granule| granule.rows()).sum()
    }

    /// The sum of a family's series that have these labels.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |own: &[(&'static str, String)], (name, value): &(&str, &str)| {
            own.iter().any(|(own_name, own_value)| own_name == name && own_value == value)
        };
        let values = self.stats.values().into_iter();
        let chosen =
            values.filter(|(own, own_labels, _)| *own == name && labels.iter().all(|label| has(own_labels, label)));
        chosen.map(|(_, _, value)| value).sum()
    }

    /// Where everything is counted.
    pub fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// Waits until requests in flight hold `bytes`.
    pub async fn wait_for_in_flight(&self, bytes: u64) {
        for _ in 0..2000 {
            if self.count("sextant_ingest_in_flight_bytes", &[]) == bytes {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("requests in flight never held {bytes} bytes");
    }
}

pub async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

pub fn logs_request(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

pub fn spans_request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

pub fn metrics_request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }],
    }
}

pub fn log() -> LogRecord {
    LogRecord { time_unix_nano: 1_700_000_000_000_000_000, severity_number: 9, ..LogRecord::default() }
}

pub fn span() -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "GET /".to_owned(),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_000_001,
        ..Span::default()
    }
}

pub fn point() -> NumberDataPoint {
    NumberDataPoint {
        time_unix_nano: 1_700_000_000_000_000_000,
        value: Some(number_data_point::Value::AsInt(1)),
        ..NumberDataPoint::default()
    }
}

pub fn gauge(data_points: Vec<NumberDataPoint>) -> Metric {
    Metric { name: "temperature".to_owned(), data: Some(Data::Gauge(Gauge { data_points })), ..Metric::default() }
}
