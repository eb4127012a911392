//! The gateway as a process of its own, small instances of services that register with it as real ones do and behave as they are told, and customers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request as Asked, State};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::receiver::{Received, Receiver, attribute};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A service; killed when dropped.
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub fn start(receiver: &Receiver, service: &str, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.env_clear().kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.args(["service", service, "--stop-with-stdin", "--otlp", &receiver.endpoint]).args(args);
        let mut child = command.spawn().expect("the binary starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The URL that it says next after these words.
    pub async fn url(&mut self, beginning: &str) -> String {
        let line =
            timeout(PATIENCE, self.lines.next_line()).await.expect("in time").expect("readable").expect("a line");
        format!("http://{}", line.strip_prefix(beginning).unwrap_or_else(|| panic!("unexpected line: {line}")))
    }

    /// Asks it to stop, and waits until it has said all that it has to say.
    pub async fn stop(mut self) {
        drop(self.child.stdin.take());
        let status = timeout(PATIENCE, self.child.wait()).await.expect("drains in time").expect("ends");
        assert!(status.success(), "{status}");
    }
}

/// A gateway; killed when dropped.
pub struct Gateway {
    pub url: String,
    /// Its internal door.
    pub internal: String,
    process: Process,
}

impl Gateway {
    pub async fn start(receiver: &Receiver, args: &[&str]) -> Self {
        let mut process = Process::start(receiver, "gateway", args);
        let (internal, url) = (process.url("internal on ").await, process.url("listening on ").await);
        Self { url, internal, process }
    }

    /// Asks it to stop, and waits until it has said all that it has to say.
    pub async fn stop(self) {
        self.process.stop().await;
    }

    /// What its registry answers.
    pub async fn registry(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let reply = Customer::new().ask(method, &format!("{}{path}", self.internal), body, &[]).await;
        (reply.status, reply.body)
    }
}

/// How an instance behaves from now on.
#[derive(Debug)]
pub struct Behaviour {
    name: String,
    /// The requests that it had, without health checks.
    pub asked: AtomicUsize,
    pub status: AtomicU16,
    pub health: AtomicU16,
    pub delay_ms: AtomicU64,
    /// What it answers; its name, if that is null.
    pub answer: Mutex<Value>,
    /// The last request's headers.
    pub headers: Mutex<HeaderMap>,
}

/// An instance.
pub struct Fake {
    pub behaviour: Arc<Behaviour>,
    pub address: SocketAddr,
    path: String,
    serving: JoinHandle<()>,
    beating: JoinHandle<()>,
}

impl Fake {
    /// Listens, and is registered when this returns.
    pub async fn start(gateway: &Gateway, service: &str, name: &str) -> Self {
        Self::with(gateway, service, name, 1, json!({"cpu": 0.0, "active": 0})).await
    }

    pub async fn with(gateway: &Gateway, service: &str, name: &str, weight: u32, load: Value) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let behaviour = Arc::new(Behaviour {
            name: name.to_owned(),
            asked: AtomicUsize::new(0),
            status: AtomicU16::new(200),
            health: AtomicU16::new(200),
            delay_ms: AtomicU64::new(0),
            answer: Mutex::new(Value::Null),
            headers: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&behaviour));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let path = format!("/registry/{service}/{name}");
        let told = json!({"address": address, "version": "1.0.0", "weight": weight, "load": load});
        let (status, _) = gateway.registry(Method::PUT, &path, told.clone()).await;
        assert_eq!(status, StatusCode::OK);
        let url = format!("{}{path}", gateway.internal);
        let beating = tokio::spawn(async move {
            let customer = Customer::new();
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                customer.try_ask(Method::PUT, &url, told.clone(), &[]).await;
            }
        });
        Self { behaviour, address, path, serving, beating }
    }

    pub fn asked(&self) -> usize {
        self.behaviour.asked.load(Ordering::SeqCst)
    }

    pub fn name(&self) -> &str {
        &self.behaviour.name
    }

    /// It answers so from now on.
    pub fn answers(&self, status: u16, answer: Value) {
        self.behaviour.status.store(status, Ordering::SeqCst);
        *self.behaviour.answer.lock().expect("nobody panics") = answer;
    }

    /// It says farewell.
    pub async fn leave(&self, gateway: &Gateway) {
        self.beating.abort();
        let (status, _) = gateway.registry(Method::DELETE, &self.path, Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }

    /// It sends no heartbeats any more.
    pub fn fall_silent(&self) {
        self.beating.abort();
    }

    /// It sends heartbeats, and nobody listens where it says to be.
    pub async fn close(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.beating.abort();
        self.serving.abort();
    }
}

async fn answer(State(behaviour): State<Arc<Behaviour>>, asked: Asked) -> Response {
    let status = |status: &AtomicU16| StatusCode::from_u16(status.load(Ordering::SeqCst)).expect("a status");
    if asked.uri().path() == "/healthz" {
        return status(&behaviour.health).into_response();
    }
    behaviour.asked.fetch_add(1, Ordering::SeqCst);
    *behaviour.headers.lock().expect("nobody panics") = asked.headers().clone();
    tokio::time::sleep(Duration::from_millis(behaviour.delay_ms.load(Ordering::SeqCst))).await;
    let mut body = behaviour.answer.lock().expect("nobody panics").clone();
    if body.is_null() {
        body = json!({"instance": behaviour.name, "path": asked.uri().to_string()});
    }
    (status(&behaviour.status), axum::Json(body)).into_response()
}

/// Somebody who asks over connections of its own.
#[derive(Clone)]
pub struct Customer(Client<HttpConnector, Full<Bytes>>);

/// What a customer gets.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Null, if it is no JSON.
    pub body: Value,
}

impl Reply {
    /// The fake that answered.
    pub fn instance(&self) -> &str {
        self.body["instance"].as_str().unwrap_or_default()
    }

    /// The cookie to be sent from now on.
    pub fn cookie(&self) -> Option<&str> {
        self.headers.get(header::SET_COOKIE)?.to_str().ok()?.split(';').next()
    }
}

impl Customer {
    pub fn new() -> Self {
        Self::at(Ipv4Addr::LOCALHOST)
    }

    /// From an address of its own.
    pub fn at(address: Ipv4Addr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(IpAddr::V4(address)));
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    pub async fn get(&self, url: &str) -> Reply {
        self.ask(Method::GET, url, Value::Null, &[]).await
    }

    pub async fn ask(&self, method: Method, url: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
        self.try_ask(method, url, body, headers).await.expect("an answer")
    }

    pub async fn try_ask(&self, method: Method, url: &str, body: Value, headers: &[(&str, &str)]) -> Option<Reply> {
        let mut request = Request::builder().method(method).uri(url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let (head, body) = timeout(PATIENCE, self.0.request(request)).await.expect("in time").ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Some(Reply { status: head.status, headers: head.headers, body })
    }
}

/// An order that can be one.
pub fn order() -> Value {
    json!({"customer": "ada", "item": "kettle", "quantity": 2, "card": "424242424242"})
}

/// What orders answers when all is well.
pub fn placed() -> Value {
    json!({"outcome": "placed"})
}

/// The points of the newest metric of this name that the gateway sent, by their attributes.
pub fn points(received: &Received, name: &str) -> Vec<(BTreeMap<String, String>, f64)> {
    let points = match received.metric("gateway", name).and_then(|metric| metric.data.as_ref()) {
        Some(metric::Data::Sum(sum)) => &sum.data_points,
        Some(metric::Data::Gauge(gauge)) => &gauge.data_points,
        _ => return Vec::new(),
    };
    let read = |point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
        let text = |key: &str| attribute(&point.attributes, key).unwrap_or_default().to_owned();
        let attributes = point.attributes.iter().map(|attribute| (attribute.key.clone(), text(&attribute.key)));
        let value = match point.value {
            Some(number_data_point::Value::AsDouble(value)) => value,
            Some(number_data_point::Value::AsInt(value)) => value as f64,
            None => f64::NAN,
        };
        (attributes.collect(), value)
    };
    points.iter().map(read).collect()
}

/// The sum of those points that have these attributes; `None` if there are none.
pub fn value(received: &Received, name: &str, attributes: &[(&str, &str)]) -> Option<f64> {
    let has =
        |of: &BTreeMap<String, String>| attributes.iter().all(|(key, value)| of.get(*key).is_some_and(|v| v == value));
    let matching: Vec<f64> =
        points(received, name).into_iter().filter(|(of, _)| has(of)).map(|(_, value)| value).collect();
    (!matching.is_empty()).then(|| matching.iter().sum())
}

/// How many records the gateway has told of this event, with this attribute.
pub fn told(received: &Received, event: &str, attribute: (&str, &str)) -> usize {
    told_by(received, "gateway", event, attribute)
}

/// How many a service has told.
pub fn told_by(received: &Received, service: &str, event: &str, (key, value): (&str, &str)) -> usize {
    let is_it = |log: &opentelemetry_proto::tonic::logs::v1::LogRecord| {
        log.event_name == event && attribute(&log.attributes, key) == Some(value)
    };
    received.logs.iter().filter(|(of, log)| of == service && is_it(log)).count()
}

/// Asks again and again until the answer is as it shall be.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("within half a minute it does not come to be that {what}");
}

/// A file in a directory of the test.
pub fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}
