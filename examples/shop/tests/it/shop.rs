//! Services as child processes, and a customer.

use std::process::Stdio;
use std::time::Duration;

use axum::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use shop::{Fault, ServiceConfig, ServiceName};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, with an environment that holds nothing of the machine's.
pub fn shop_service() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop-service"));
    command.env_clear().kill_on_drop(true);
    command
}

/// One running service; killed when dropped.
pub struct Service {
    pub url: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Service {
    pub async fn start(mut config: ServiceConfig) -> Self {
        config.stop_with_stdin = true;
        let mut child = shop_service()
            .args(config.to_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("readable").expect("a line");
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("unexpected line: {line}"));
        Self { url: format!("http://{address}"), child, lines }
    }

    /// The next line on stdout.
    pub async fn line(&mut self) -> String {
        timeout(PATIENCE, self.lines.next_line()).await.expect("in time").expect("readable").expect("a line")
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it has not been waited for")
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(mut self) {
        drop(self.child.stdin.take());
        self.ended().await;
    }

    /// Waits for its clean end.
    pub async fn ended(mut self) {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("drains in time").expect("ends");
        assert!(status.success(), "{status}");
    }
}

/// The three services, wired together.
pub struct Shop {
    pub gateway: Service,
    pub orders: Service,
    pub payments: Service,
}

impl Shop {
    pub async fn open(otlp_endpoint: &str, orders_per_second: f64) -> Self {
        Self::open_with(otlp_endpoint, orders_per_second, None).await
    }

    pub async fn open_with(otlp_endpoint: &str, orders_per_second: f64, fault: Option<Fault>) -> Self {
        let config = |name, upstream: Option<&Service>| ServiceConfig {
            otlp_endpoint: otlp_endpoint.to_owned(),
            upstream: upstream.map(|service| service.url.clone()),
            fault,
            ..ServiceConfig::new(name)
        };
        let payments = Service::start(config(ServiceName::Payments, None)).await;
        let orders = Service::start(config(ServiceName::Orders, Some(&payments))).await;
        let gateway = ServiceConfig { orders_per_second, ..config(ServiceName::Gateway, Some(&orders)) };
        Self { gateway: Service::start(gateway).await, orders, payments }
    }

    /// Callers first, so that no order finds its callee gone.
    pub async fn close(self) {
        self.gateway.stop().await;
        self.orders.stop().await;
        self.payments.stop().await;
    }
}

/// Places an order as a customer; `headers` are the customer's.
pub async fn place(url: &str, item: &str, card: &str, headers: &[(&str, &str)]) -> (StatusCode, serde_json::Value) {
    let order = serde_json::json!({"item": item, "quantity": 2, "amount_cents": 3980, "card": card});
    post(&format!("{url}/orders"), order, headers).await
}

/// Posts anything. An answer that is not JSON reads as null.
pub async fn post(url: &str, body: serde_json::Value, headers: &[(&str, &str)]) -> (StatusCode, serde_json::Value) {
    let mut request = Request::post(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_string()))).expect("a request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = timeout(PATIENCE, client.request(request)).await.expect("in time").expect("an answer");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}
