//! Notifications as a process of its own, with a registry that says what shall break, and somebody who publishes orders and is not the shop: into the embedded queue, or to a broker.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{Method, Request, StatusCode};
use axum::routing::put;
use axum::{Json, Router};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

#[cfg(feature = "nats")]
use crate::real::Nats;
use crate::receiver::{Received, Receiver, attribute};

/// What orders are published with: this trace, and a correlation id that is the order's.
pub const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
pub const SENDER: u64 = 0xb7ad_6b71_6920_3331;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place with a queue, a receiver and a registry.
pub struct Place {
    pub receiver: Receiver,
    faults: Arc<Mutex<Vec<&'static str>>>,
    registry: String,
    registering: JoinHandle<()>,
    queue: Queue,
    directory: TempDir,
}

enum Queue {
    Embedded,
    #[cfg(feature = "nats")]
    Broker {
        server: Nats,
        client: Box<async_nats::jetstream::Context>,
    },
}

impl Place {
    /// One for each kind of queue.
    pub async fn all() -> Vec<Self> {
        vec![
            Self::embedded().await,
            #[cfg(feature = "nats")]
            Self::broker().await,
        ]
    }

    #[cfg(feature = "nats")]
    async fn broker() -> Self {
        let server = Nats::start().await;
        let client = async_nats::connect(server.url()).await.expect("it is there");
        Self::with(Queue::Broker { server, client: Box::new(async_nats::jetstream::new(client)) }).await
    }

    pub async fn embedded() -> Self {
        Self::with(Queue::Embedded).await
    }

    async fn with(queue: Queue) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let registry = format!("http://{}", listener.local_addr().expect("bound"));
        let faults: Arc<Mutex<Vec<&'static str>>> = Arc::default();
        let told = Arc::clone(&faults);
        let heartbeat = async move || Json(json!({"faults": *told.lock().expect("whole")}));
        let router = Router::new()
            .route("/registry/notifications/{instance}", put(heartbeat).delete(async || StatusCode::NO_CONTENT));
        let registering = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let directory = TempDir::new().expect("a directory");
        Self { receiver: Receiver::start().await, faults, registry, registering, queue, directory }
    }

    /// `messaging.system`.
    pub fn system(&self) -> &'static str {
        match self.queue {
            Queue::Embedded => "sqlite",
            #[cfg(feature = "nats")]
            Queue::Broker { .. } => "nats",
        }
    }

    /// What is broken from the next heartbeat on.
    pub fn breaks(&self, faults: &[&'static str]) {
        *self.faults.lock().expect("whole") = faults.to_vec();
    }

    /// The directory of the letters.
    pub fn letters(&self) -> PathBuf {
        self.directory.path().join("letters")
    }

    /// Starts the service, which makes the queue.
    pub async fn open(&self) -> Office {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.env_clear().kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.args(["service", "notifications", "--stop-with-stdin", "--otlp", &self.receiver.endpoint]);
        command.args(["--registry", &self.registry, "--data-dir"]).arg(self.directory.path());
        #[cfg(feature = "nats")]
        if let Queue::Broker { server, .. } = &self.queue {
            command.env("SHOP_NATS", server.url());
        }
        let mut child = command.spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("readable").expect("a line");
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("unexpected line: {line}"));
        Office {
            url: format!("http://{address}"),
            client: Client::builder(TokioExecutor::new()).build_http(),
            child,
            _lines: lines,
        }
    }

    /// Publishes orders of a customer, with a trace each; the order's id is that of its message.
    pub async fn publish(&self, orders: &[String], customer: &str) {
        let payload = |order: &str| json!({"order": order, "customer": customer, "item": "kettle", "quantity": 1, "amount_cents": 1990});
        for order in orders {
            self.publish_bytes(order, payload(order).to_string().as_bytes()).await;
        }
    }

    pub async fn publish_bytes(&self, id: &str, payload: &[u8]) {
        let traceparent = format!("00-{TRACE:032x}-{SENDER:016x}-01");
        let baggage = format!("correlation.id={id}");
        match &self.queue {
            Queue::Embedded => {
                let headers = json!({"traceparent": traceparent, "baggage": baggage}).to_string();
                insert(self.directory.path(), id, &headers, payload).await;
            }
            #[cfg(feature = "nats")]
            Queue::Broker { client, .. } => {
                let mut headers = async_nats::HeaderMap::new();
                headers.insert("traceparent", traceparent);
                headers.insert("baggage", baggage);
                headers.insert("Nats-Msg-Id", id);
                let subject = "shop.orders-placed";
                let sent = client.publish_with_headers(subject, headers, payload.to_vec().into()).await;
                sent.expect("sent").await.expect("kept");
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registering.abort();
    }
}

/// What any program can do that knows SQLite.
async fn insert(directory: &Path, id: &str, headers: &str, payload: &[u8]) {
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(directory.join("queue.sqlite")));
    let pool = pool.await.expect("the service has made it");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let insert = "INSERT INTO messages (queue, id, headers, payload, published_ms, visible_ms)
        VALUES ('orders-placed', $1, $2, $3, $4, $4)";
    let insert = sqlx::query(insert).bind(id).bind(headers).bind(payload).bind(now);
    insert.execute(&pool).await.expect("published");
    pool.close().await;
}

/// The service; killed when dropped.
pub struct Office {
    pub url: String,
    client: Client<HttpConnector, Full<Bytes>>,
    child: Child,
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Office {
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path).await
    }

    pub async fn post(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::POST, path).await
    }

    /// An answer that is not JSON reads as null.
    async fn ask(&self, method: Method, path: &str) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url)).body(Full::default());
        let answer = timeout(PATIENCE, self.client.request(request.expect("a request"))).await;
        let (head, body) = answer.expect("in time").expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (head.status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// How many dead letters there are.
    pub async fn dead(&self) -> usize {
        self.get("/dead-letters").await.1.as_array().map_or(0, Vec::len)
    }

    /// Waits for the letter of an order.
    pub async fn has_sent(&self, order: &str) {
        until("the letter is there", async || self.get(&format!("/letters/{order}")).await.0 == StatusCode::OK).await;
    }

    /// Asks it to stop, and waits until it has said all that it has to say.
    pub async fn close(mut self) {
        drop(self.child.stdin.take());
        let status = timeout(PATIENCE, self.child.wait()).await.expect("drains in time").expect("ends");
        assert!(status.success(), "{status}");
    }
}

/// The newest value of a metric of the service with these attributes.
pub fn value(received: &Received, name: &str, attributes: &[(&str, &str)]) -> Option<f64> {
    let points = match received.metric("notifications", name)?.data.as_ref()? {
        metric::Data::Sum(sum) => &sum.data_points,
        metric::Data::Gauge(gauge) => &gauge.data_points,
        _ => return None,
    };
    let point = points
        .iter()
        .find(|point| attributes.iter().all(|(key, value)| attribute(&point.attributes, key) == Some(*value)))?;
    match point.value? {
        number_data_point::Value::AsDouble(value) => Some(value),
        number_data_point::Value::AsInt(value) => Some(value as f64),
    }
}

/// Asks again and again until it is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}

/// How many records of this event there are.
pub fn told(received: &Received, event: &str) -> usize {
    received.logs.iter().filter(|(_, log)| log.event_name == event).count()
}
