//! A service of twenty lines with `sextant-sdk`, whose telemetry goes to the binary: one `sextant correlate` finds all of it.
//!
//! The service is a process of its own: this program again, which is the service when a variable says so.

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::wire::correlate::Correlation;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::Place;

#[path = "../../sdk/examples/orders.rs"]
mod orders;

const VARIABLE: &str = "SEXTANT_TEST_SDK_SERVICE";

const PATIENCE: Duration = Duration::from_secs(60);

/// A test to the harness, which passes at once unless it is told to be the service.
#[test]
fn service() {
    if std::env::var_os(VARIABLE).is_some() {
        orders::main().expect("the service runs");
    }
}

#[tokio::test]
async fn a_service_of_twenty_lines_is_found_by_its_correlation_id() {
    let place = Place::new();
    let server = place.serve().await;
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "sdk::service", "--nocapture", "--quiet", "127.0.0.1:0"])
        .env_clear()
        .env(VARIABLE, "1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", server.url("otlp_http"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let address = loop {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("readable").expect("it listens");
        if line.starts_with("127.0.0.1:") {
            break line;
        }
    };
    let request = Request::get(format!("http://{address}/orders/7")).header("x-correlation-id", "order-7");
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = timeout(PATIENCE, client.request(request)).await.expect("in time").expect("an answer");
    assert!(answer.status().is_success());
    let id = child.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.expect("kill runs").success());
    assert!(timeout(PATIENCE, child.wait()).await.expect("in time").expect("it ends").success());

    let found = place.run(&["correlate", "order-7", "--json", "--url", &server.url("http")]).succeeded();
    let found: Correlation = serde_json::from_str(&found).expect("one line of JSON");
    assert_eq!(found.spans.len(), 1);
    assert_eq!(found.spans[0].name, "GET /orders/{id}");
    assert_eq!(found.logs.len(), 1);
    assert_eq!(found.logs[0].trace_id.as_deref(), Some(found.spans[0].trace_id.as_str()));
    assert_eq!(found.exemplars.len(), 1);
    let metrics = place.run(&["metrics", "names", "--url", &server.url("http")]).succeeded();
    assert!(metrics.contains("http_server_request_duration_seconds"), "{metrics}");
}
