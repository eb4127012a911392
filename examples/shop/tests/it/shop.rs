//! The whole shop as processes, and a customer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use shop::{Components, Plan, Shop};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const GOOD_CARD: &str = "424242424242";
pub const DECLINED_CARD: &str = "424242420002";

/// The binary, with an environment that holds nothing of the machine's.
pub fn shop_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.env_clear().kill_on_drop(true);
    command
}

/// The shop, open.
pub struct Open {
    pub shop: Shop,
    pub door: String,
    pub internal: String,
    // Holds the databases until the end.
    _files: TempDir,
}

impl Open {
    /// With components that are embedded, and customers who order so many times a second.
    pub async fn embedded(otlp: &str, rate: f64) -> Self {
        Self::on(Components::default(), otlp, rate).await
    }

    /// With these components; what is embedded of them has a directory of its own.
    pub async fn on(components: Components, otlp: &str, rate: f64) -> Self {
        let files = tempfile::tempdir().expect("a directory");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let plan = Plan {
            program: (PathBuf::from(env!("CARGO_BIN_EXE_shop")), vec!["service".into()]),
            variables: vec![("OTEL_SDK_DISABLED".to_owned(), "false".to_owned())],
            otlp: otlp.to_owned(),
            listen: any,
            internal: any,
            rate,
            components: Components { data_dir: files.path().to_owned(), ..components },
            adjust: |_| {},
        };
        let shop = Shop::open(&plan).await.expect("the shop opens");
        let open =
            Self { door: format!("http://{}", shop.gateway), internal: shop.internal.to_string(), shop, _files: files };
        open.settled().await;
        open
    }

    /// Waits until the gateway knows every instance, so that the first order finds all of them.
    async fn settled(&self) {
        let known = async {
            loop {
                let (_, all) = ask(Method::GET, &format!("http://{}/registry", self.internal), None, &[]).await;
                if all.to_string().matches("127.0.0.1:").count() >= 8 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, known).await.expect("all instances register");
        // Callers ask the registry every second.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }

    /// Places an order as a customer; `headers` are the customer's.
    pub async fn place(&self, customer: &str, item: &str, card: &str, headers: &[(&str, &str)]) -> (StatusCode, Value) {
        let order = json!({"customer": customer, "item": item, "quantity": 2, "card": card});
        ask(Method::POST, &format!("{}/orders", self.door), Some(order), headers).await
    }

    pub async fn fault(&self, fault: &str) {
        let fault = fault.parse().expect("a fault");
        shop::cli::start_fault(&self.internal, fault, None).await.expect("the gateway takes it");
        // It reaches the instances with their next heartbeat.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }

    pub async fn close(self) {
        self.shop.close().await;
    }
}

/// Asks anything. An answer that is not JSON reads as a text.
pub async fn ask(method: Method, url: &str, body: Option<Value>, headers: &[(&str, &str)]) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = request.body(Full::new(Bytes::from(body))).expect("a request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = timeout(PATIENCE, client.request(request)).await.expect("in time").expect("an answer");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
    (status, serde_json::from_slice(&body).unwrap_or_else(|_| text()))
}
