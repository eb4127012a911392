//! One service alone: its real process, and a registry of the test's own that tells it what shall break.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, Request, StatusCode};
use axum::routing::put;
use axum::{Json, Router};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric, number_data_point};
use serde_json::{Value, json};
use shop::{Components, ServiceConfig, ServiceName};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::receiver::{Received, Receiver};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The faults that the registry hands out.
type Faults = Arc<Mutex<Vec<String>>>;

/// A running service; killed when dropped.
pub struct Alone {
    pub url: String,
    pub receiver: Receiver,
    process: Child,
    client: Client<HttpConnector, Full<Bytes>>,
    faults: Faults,
    _files: TempDir,
}

impl Alone {
    /// With what is not named embedded in a directory of its own.
    pub async fn start(name: ServiceName, components: Components) -> Self {
        let (receiver, faults) = (Receiver::start().await, Faults::default());
        let files = tempfile::tempdir().expect("a directory");
        let components = Components { data_dir: files.path().to_owned(), ..components };
        let mut config = ServiceConfig::new(name, components);
        config.registry = Some(registry(&faults).await);
        config.otlp = receiver.endpoint.clone();
        config.stop_with_stdin = true;
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.env_clear().envs(config.to_variables()).arg("service").args(config.to_args()).kill_on_drop(true);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("readable").expect("a line");
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("unexpected line: {line}"));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { url: format!("http://{address}"), receiver, process, client, faults, _files: files }
    }

    /// From its next heartbeat on these are active, and no others.
    pub fn set_faults(&self, faults: &[&str]) {
        *self.faults.lock().expect("no panic") = faults.iter().map(ToString::to_string).collect();
    }

    /// Its answer; what is not JSON is null.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = request.header("content-type", "application/json").body(Full::new(body)).expect("a request");
        let response = timeout(PATIENCE, self.client.request(request)).await.expect("in time").expect("an answer");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, Value::Null).await
    }

    /// Stops it, which it does cleanly, and gives all that it has told.
    pub async fn stop(mut self) -> Received {
        drop(self.process.stdin.take());
        let status = timeout(PATIENCE, self.process.wait()).await.expect("drains in time").expect("ends");
        assert!(status.success(), "{status}");
        self.receiver.received()
    }
}

async fn registry(faults: &Faults) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let beat = async |State(faults): State<Faults>| Json(json!({"faults": *faults.lock().expect("no panic")}));
    let routes = Router::new()
        .route("/registry/{service}/{instance}", put(beat).delete(async || ""))
        .with_state(Arc::clone(faults));
    // It ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

/// The newest value of the point with these attributes.
pub fn value(received: &Received, service: &str, name: &str, attributes: &[(&str, &str)]) -> Option<f64> {
    let metrics = received.metrics.iter().rev().filter(|(of, metric)| of == service && metric.name == name);
    let mut found = metrics.flat_map(|(_, metric)| points(metric)).filter(|point| has(&point.attributes, attributes));
    found.next().and_then(|point| point.value).map(|value| match value {
        number_data_point::Value::AsInt(value) => value as f64,
        number_data_point::Value::AsDouble(value) => value,
    })
}

fn points(metric: &Metric) -> &[NumberDataPoint] {
    match &metric.data {
        Some(metric::Data::Sum(sum)) => &sum.data_points,
        Some(metric::Data::Gauge(gauge)) => &gauge.data_points,
        _ => &[],
    }
}

/// Whether a histogram has a point with these attributes.
pub fn has_histogram(received: &Received, service: &str, name: &str, attributes: &[(&str, &str)]) -> bool {
    received.metrics.iter().filter(|(of, metric)| of == service && metric.name == name).any(|(_, metric)| {
        let Some(metric::Data::Histogram(histogram)) = &metric.data else { return false };
        histogram.data_points.iter().any(|point| has(&point.attributes, attributes))
    })
}

fn has(attributes: &[KeyValue], wanted: &[(&str, &str)]) -> bool {
    wanted.iter().all(|(key, value)| {
        let found = attributes.iter().find(|attribute| attribute.key == *key);
        match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
            Some(any_value::Value::StringValue(text)) => text == value,
            _ => false,
        }
    })
}

/// How many records of a service have this event name.
pub fn told(received: &Received, service: &str, event: &str) -> usize {
    received.logs.iter().filter(|(of, log)| of == service && log.event_name == event).count()
}

/// Embedded ones, and the real ones if this build has them. What is with them has to live as long.
pub async fn all_components() -> Vec<(Components, Box<dyn std::any::Any>)> {
    let mut all: Vec<(Components, Box<dyn std::any::Any>)> = vec![(Components::default(), Box::new(()))];
    #[cfg(feature = "real")]
    {
        use crate::real::{Postgres, Redis};

        let primary = Postgres::start().await;
        let replica = primary.replica().await;
        let redis = Redis::start().await;
        let components = Components {
            postgres: Some(primary.url("postgres")),
            postgres_replica: Some(replica.url("postgres")),
            redis: Some(redis.url()),
            ..Components::default()
        };
        all.push((components, Box::new((replica, primary, redis))));
    }
    // Without real ones nothing is added.
    all.shrink_to_fit();
    all
}
