//! An order whose trace goes through services in Rust, Python and Node, each with its official SDK and small enough to be read at once (`examples/shop/python`, `examples/shop/node`):
//! one `sextant correlate` finds the spans and log records of all.
//!
//! The Rust service is a process of its own: this program again, which is the service when a variable says so.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::wire::correlate::Correlation;
use sextant_sdk::CorrelationId;
use sextant_sdk::http::ClientLayer;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tower::{Layer as _, ServiceExt as _};
use tracing::Instrument as _;

use crate::harness::Place;
use crate::{node_sdk, python};

/// The URLs that the Rust service calls, one after the other.
const VARIABLE: &str = "SEXTANT_TEST_POLYGLOT_CALLS";
const ORDER: &str = "order-9";
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the services are in the source tree.
const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop");

/// A test to the harness, which passes at once unless it is told to be the service.
#[test]
fn orders() {
    if let Ok(calls) = std::env::var(VARIABLE) {
        place_order(&calls);
    }
}

#[tokio::main]
async fn place_order(calls: &str) {
    let guard = sextant_sdk::init("orders").expect("the first in this process");
    let work = async {
        tracing::info!(name: "order.received", "order received");
        let client = ClientLayer.layer(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
        for url in calls.split_whitespace() {
            let request = Request::get(url).body(Empty::new()).expect("a request");
            let answer = client.clone().oneshot(request).await.expect("an answer");
            assert!(answer.status().is_success(), "{url}: {}", answer.status());
        }
    };
    let id = CorrelationId::new(ORDER).expect("a usable id");
    // The span is made where the id is known.
    id.scope(async { work.instrument(tracing::info_span!("place order")).await }).await;
    guard.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_through_rust_python_and_node() {
    if !node_sdk::there_is_node() {
        assert!(std::env::var_os("CI").is_none(), "there is no node, and CI wants this tested");
        return eprintln!("skipped: no node");
    }
    let place = Place::new();
    let server = place.serve().await;
    let endpoint = server.url("otlp_http");
    let folder = place.path().to_owned();
    let (interpreter, ()) = tokio::task::spawn_blocking(move || (python::interpreter(), lay_out_node(&folder)))
        .await
        .expect("both environments are there");

    let mut recommendations = Command::new(interpreter);
    recommendations.arg(format!("{SHOP}/python/recommendations.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    let recommendations = Service::start(recommendations, &endpoint).await;
    let mut shipping = Command::new("node");
    shipping.arg(place.path().join("shipping.js"));
    let shipping = Service::start(shipping, &endpoint).await;

    let calls = [
        format!("{}/recommendations?product=sextant", recommendations.url),
        format!("{}/shipping?product=sextant&quantity=2", shipping.url),
    ];
    let mut orders = Command::new(std::env::current_exe().expect("this program"));
    orders.args(["--exact", "polyglot::orders", "--nocapture", "--quiet"]).env_clear();
    orders.env(VARIABLE, calls.join(" ")).env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).kill_on_drop(true);
    let ended = timeout(PATIENCE, orders.stdout(Stdio::null()).status()).await.expect("in time").expect("it starts");
    assert!(ended.success(), "{ended}");
    recommendations.stop().await;
    shipping.stop().await;

    let found = place.run(&["correlate", ORDER, "--json", "--url", &server.url("http")]).succeeded();
    let found: Correlation = serde_json::from_str(&found).expect("one line of JSON");
    let all = BTreeSet::from(["orders", "recommendations", "shipping"]);
    let of_spans: BTreeSet<&str> = found.spans.iter().filter_map(|span| span.service.as_deref()).collect();
    let of_logs: BTreeSet<&str> = found.logs.iter().filter_map(|log| log.service.as_deref()).collect();
    assert_eq!((&of_spans, &of_logs), (&all, &all));
    // The order, two calls, and what each callee did.
    assert_eq!(found.spans.len(), 5, "{:?}", found.spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    let ids: BTreeSet<&str> = found.spans.iter().map(|span| span.span_id.as_str()).collect();
    let trace = &found.spans[0].trace_id;
    for span in &found.spans {
        assert_eq!((&span.trace_id, span.correlation_id.as_deref()), (trace, Some(ORDER)), "{}", span.name);
        let parent = span.parent_span_id.as_deref();
        assert_eq!(parent.is_none(), span.name == "place order", "{}", span.name);
        assert!(parent.is_none_or(|parent| ids.contains(parent)), "{} is an orphan", span.name);
    }
    for log in &found.logs {
        assert_eq!(
            (log.trace_id.as_ref(), log.correlation_id.as_deref()),
            (Some(trace), Some(ORDER)),
            "{:?}",
            log.body
        );
        assert!(log.span_id.as_deref().is_some_and(|span| ids.contains(span)), "{:?}", log.body);
    }
}

/// The program with its manifest, beside the packages: node looks for them there.
fn lay_out_node(folder: &Path) {
    for name in ["shipping.js", "package.json"] {
        fs::copy(Path::new(SHOP).join("node").join(name), folder.join(name)).expect(name);
    }
    symlink(node_sdk::packages().join("node_modules"), folder.join("node_modules")).expect("a link to the packages");
}

/// A service in another language; killed when dropped.
struct Service {
    url: String,
    child: Child,
}

impl Service {
    async fn start(mut command: Command, endpoint: &str) -> Self {
        for (name, _) in std::env::vars_os().filter(|(name, _)| node_sdk::is_setting(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let mut child =
            command.arg("127.0.0.1:0").stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("readable").expect("it listens");
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("unexpected line: {line}"));
        Self { url: format!("http://{address}"), child }
    }

    /// Asks it to stop, and waits until it has said all that it has to say.
    async fn stop(mut self) {
        let id = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs").success());
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("in time").expect("it ends");
        assert!(ended.success(), "{ended}");
    }
}
