//! What the processes under test do. `run` is a test to the harness, and passes at once unless it is told which service to be.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use sextant_sdk::grpc::GrpcLayer;
use sextant_sdk::http::{Call, ClientLayer, ServerLayer};
use sextant_sdk::metrics::{CacheStats, PoolStats};
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::{CorrelationId, db, messaging, metrics};
use tonic::transport::Endpoint;
use tower::{Layer, Service};
use tracing::Instrument;

/// Which service to be.
pub const VARIABLE: &str = "SDK_TEST_SERVICE";

/// The twenty lines of the README.
#[path = "../../examples/orders.rs"]
mod orders;

#[test]
fn run() {
    match std::env::var(VARIABLE).as_deref() {
        Ok("orders") => orders::main().expect("the service runs"),
        Ok("busy") => busy(),
        Ok("plain") => plain(),
        Ok("twice") => twice(),
        Ok("calls") => calls(),
        _ => {}
    }
}

/// A service with a record, an event with a secret, a panic, and an answer as large as asked for.
#[tokio::main]
async fn busy() {
    let guard = sextant_sdk::builder("busy")
        .batch_delay(Duration::from_millis(50))
        .metric_interval(Duration::from_millis(200))
        .timeout(Duration::from_secs(2))
        .host_metrics()
        .init()
        .expect("first");
    let meter = metrics::meter("busy");
    let sizes = metrics::histogram(&meter, "busy.size").with_unit("By").with_boundaries([10.0, 1000.0]).build();
    let work = move |Query(asked): Query<HashMap<String, String>>, Extension(id): Extension<CorrelationId>| async move {
        let bytes: usize = asked.get("bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(1);
        sizes.record(bytes as f64, &[KeyValue::new("kind", "work")]);
        tracing::info!(name: "work.done", password = "hunter2", text = "x".repeat(bytes), "work done");
        id.to_string()
    };
    let app = Router::new().route("/work", get(work)).route("/panic", post(panicking)).layer(ServerLayer::new());
    serve(app).await;
    guard.shutdown().await;
}

async fn panicking() -> &'static str {
    panic!("as asked")
}

/// Calls itself, the collector, a database and a queue, once each in one trace, and ends.
#[tokio::main]
async fn calls() {
    let guard = sextant_sdk::builder("calls").only_target("it").init().expect("first");
    let app =
        Router::new().route("/stock/{item}", get(async |Path(item): Path<String>| item)).layer(ServerLayer::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let id = CorrelationId::new("order-1").expect("usable");
    // A span has the id of the context that it is made in.
    id.scope(async { work(own).instrument(tracing::info_span!("work", step = 1)).await }).await;

    let meter = metrics::meter("calls");
    let (pool, cache) = (Arc::new(Numbers), Arc::new(Numbers));
    metrics::observe_pool(&meter, "orders", &pool);
    metrics::observe_cache(&meter, "catalog", &cache);
    assert!(guard.flush(Duration::MAX));
    assert!(guard.shutdown().await);
}

async fn work(own: String) {
    let plain = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut observed = ClientLayer.layer(plain);
    let request = |path: &str| Request::get(format!("{own}{path}")).body(Empty::new()).expect("a request");
    observed.call(request("/stock/kettle?token=hunter2")).await.expect("an answer");
    let client = reqwest::Client::new();
    let mut missing = client.get(format!("{own}/nowhere")).build().expect("a request");
    let call = Call::to("/{place}", missing.method(), missing.url().as_str());
    call.inject(missing.headers_mut());
    call.run(client.execute(missing), |answer| answer.status()).await.expect("an answer");
    let nobody = Request::get("http://127.0.0.1:1/").body(Empty::new()).expect("a request");
    observed.call(nobody).await.expect_err("nobody listens there");

    let endpoint = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").expect("the test says it");
    let channel = Endpoint::from_shared(endpoint).expect("a URL").connect_lazy();
    let mut logs = LogsServiceClient::new(GrpcLayer.layer(channel));
    logs.export(ExportLogsServiceRequest::default()).await.expect("it is taken");
    let refusing = Endpoint::from_shared(own).expect("a URL").connect_lazy();
    LogsServiceClient::new(GrpcLayer.layer(refusing))
        .export(ExportLogsServiceRequest::default())
        .await
        .expect_err("no such service");

    let select = db::Query::new("postgresql", "SELECT").on("orders").text("SELECT * FROM orders WHERE id = $1");
    let answer: Result<u32, std::io::Error> = select.run(async { Ok(1) }).await;
    answer.expect("a row");
    let refused: Result<(), String> =
        db::Query::new("redis", "GET").run(async { Err("connection refused".to_owned()) }).await;
    refused.expect_err("no cache");

    let channel = messaging::Channel::new("nats", "orders").consumer_group("billing");
    let sent: Result<HashMap<String, String>, String> = channel.send(HashMap::new(), async |headers| Ok(headers)).await;
    let headers = sent.expect("sent");
    // Elsewhere, and later.
    let consumer = tokio::spawn(async move {
        channel
            .process(&headers, async {
                tracing::info!("order charged");
                Ok::<(), String>(())
            })
            .await
    });
    consumer.await.expect("no panic").expect("done");
}

/// A pool and a cache with numbers that do not change.
struct Numbers;

impl PoolStats for Numbers {
    fn used(&self) -> usize {
        3
    }

    fn idle(&self) -> usize {
        4
    }

    fn max(&self) -> usize {
        10
    }
}

impl CacheStats for Numbers {
    fn hits(&self) -> u64 {
        90
    }

    fn misses(&self) -> u64 {
        10
    }

    fn evictions(&self) -> u64 {
        5
    }

    fn entries(&self) -> usize {
        85
    }
}

/// No server and no runtime: says something, waits for the end of stdin, ends.
fn plain() {
    let begun = std::time::Instant::now();
    let guard = sextant_sdk::init("plain").expect("first");
    println!("{}", begun.elapsed().as_millis());
    tracing::info!("running");
    let meter = metrics::meter("plain");
    meter.u64_counter("plain.count").build().add(1, &[]);
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).expect("readable");
    let ending = std::time::Instant::now();
    drop(guard);
    println!("{}", ending.elapsed().as_millis());
}

/// The second time is an error, and the first goes on.
fn twice() {
    let guard = sextant_sdk::init("first").expect("first");
    let error = sextant_sdk::init("second").expect_err("there is one set of telemetry");
    println!("{error}");
    drop(guard);
}

/// Serves until stdin ends.
async fn serve(app: Router) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("bound"));
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    let ended = Arc::new(std::sync::Mutex::new(Some(ended)));
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(ended.lock().expect("whole").take());
    });
    axum::serve(listener, app).with_graceful_shutdown(async { drop(end.await) }).await.expect("serves");
}
