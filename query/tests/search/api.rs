//! The HTTP API over a store of made-up rows, asked through its router.

mod counts;
mod otlp;
mod tail;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use model::ManualClock;
use model::attributes::AttributeValue;
use model::stats::Stats;
use query::Config;
use query::api::{ApiState, Mode, Server, router};
use serde_json::{Value, json};
use store::Store;
use tower::ServiceExt as _;

use crate::world::{Envelope, Log, Maker, Span, log_batch, now, open};

struct Api {
    _directory: tempfile::TempDir,
    store: Store,
    clock: Arc<ManualClock>,
    server: Arc<Server>,
    router: Router,
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Api {
    fn new(config: Config) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path());
        let clock = Arc::new(ManualClock::new(now()));
        let server = Arc::new(Server::new("1.2.3", now()));
        let state = ApiState::new(store.clone(), clock.clone(), Stats::new(), config, Arc::clone(&server));
        Self { _directory: directory, store, clock, server, router: router(state) }
    }

    async fn append(&self, batch: store::Batch) -> u64 {
        self.store.writer().append(batch).await.expect("committed").first_seq
    }

    async fn flush(&self) {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.flush_now()).await.expect("joined").expect("flushed");
    }

    async fn get(&self, address: &str) -> Answer {
        self.ask(Request::get(address).body(Body::empty()).expect("a request")).await
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    async fn rows(&self, address: &str) -> (Vec<Value>, Value) {
        let answer = self.get(address).await;
        assert_eq!(answer.status, 200, "{address}: {}", answer.text);
        let mut lines: Vec<Value> =
            answer.text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        let meta = lines.pop().expect("a last line")["_meta"].take();
        (lines, meta)
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::String(text.to_owned())
}

fn seconds_ago(seconds: i64) -> i64 {
    now().as_nanos() - seconds * 1_000_000_000
}

fn envelope(service: &str) -> Envelope {
    Envelope {
        resource: vec![("service.name".to_owned(), text(service)), ("host.id".to_owned(), AttributeValue::Int(7))],
        resource_schema_url: "https://example.com/1".to_owned(),
        scope_name: "lib".to_owned(),
        scope_version: "2".to_owned(),
        scope: vec![("x".to_owned(), AttributeValue::Bool(true))],
    }
}

fn log(body: &str, seconds: i64) -> Log {
    Log {
        envelope: envelope("orders"),
        time: seconds_ago(seconds),
        observed: seconds_ago(seconds),
        trace_id: None,
        span_id: None,
        correlation_id: None,
        severity_number: 9,
        severity_text: String::new(),
        body: Some(text(body)),
        event_name: String::new(),
        flags: 0,
        attributes: Vec::new(),
    }
}

fn span(trace: u8, id: u8, parent: Option<u8>, seconds: i64) -> Span {
    Span {
        envelope: envelope(if id == 1 { "gateway" } else { "orders" }),
        start: seconds_ago(seconds),
        end: seconds_ago(seconds) + 500,
        trace_id: [trace; 16],
        span_id: [id; 8],
        parent: parent.map(|id| [id; 8]),
        correlation_id: None,
        name: format!("work {id}"),
        kind: 2,
        status: 0,
        status_message: String::new(),
        attributes: Vec::new(),
    }
}

#[tokio::test]
async fn every_mistake_has_a_code_a_message_and_a_hint() {
    let api = Api::new(Config::default());
    let trace = "/api/v1/traces/000000000000000000000000000000ff";
    let cases = [
        ("/api/v1/logs?qeury=a", 400, "bad_parameter", "unknown parameter `qeury`", "did you mean `query`?"),
        (
            "/api/v1/spans?service=a",
            400,
            "bad_parameter",
            "unknown parameter `service`",
            "this path takes query, start, end, limit, order, cursor, format",
        ),
        ("/api/v1/status?x=1", 400, "bad_parameter", "unknown parameter `x`", "this path takes no parameters"),
        ("/api/v1/logs?query=a&query=b", 400, "bad_parameter", "the parameter `query` is given twice", "give it once"),
        (
            "/api/v1/points?start=yesterday",
            400,
            "bad_parameter",
            "`start=yesterday` is no time",
            "write 2026-01-31T12:00:00Z, unix seconds, now or -15m; a `+` in an address is %2B",
        ),
        ("/api/v1/logs?start=now&end=-1h", 400, "bad_parameter", "`start` lies after `end`", "exchange them"),
        (
            "/api/v1/logs?limit=10001",
            400,
            "bad_parameter",
            "`limit=10001` is no number from 1 to 10000",
            "limit=none streams everything as ndjson",
        ),
        (
            "/api/v1/logs?limit=0",
            400,
            "bad_parameter",
            "`limit=0` is no number from 1 to 10000",
            "limit=none streams everything as ndjson",
        ),
        (
            "/api/v1/logs?limit=none&format=json",
            400,
            "bad_parameter",
            "`limit=none` streams",
            "use format=ndjson or format=otlp",
        ),
        (
            "/api/v1/logs?order=up",
            400,
            "bad_parameter",
            "`order=up` is no order",
            "write desc for newest first, asc for oldest first",
        ),
        ("/api/v1/logs?format=csv", 400, "bad_parameter", "`format=csv` is no format", "write ndjson, json or otlp"),
        (
            "/api/v1/logs?cursor=abc",
            400,
            "bad_parameter",
            "the cursor cannot be read",
            "ask for the first page again, without a cursor",
        ),
        (
            "/api/v1/logs/tail?cursor=abc",
            400,
            "bad_parameter",
            "`abc` is no cursor of a tail",
            "send back the id of the last event",
        ),
        (
            "/api/v1/traces/abc",
            400,
            "bad_parameter",
            "a trace id must be 32 hexadecimal digits, not all zero",
            "write the 32 digits of the trace's id",
        ),
        (
            trace,
            404,
            "not_found",
            "no span of trace 000000000000000000000000000000ff is there",
            "spans are there as soon as they are acknowledged",
        ),
        ("/api/v1/log", 404, "not_found", "there is no /api/v1/log", "docs/reference/api.md lists the paths"),
    ];
    for (address, status, code, message, hint) in cases {
        let answer = api.get(address).await;
        let expected = json!({ "error": { "code": code, "message": message, "hint": hint } });
        assert_eq!((answer.status, answer.json()), (status, expected), "{address}");
    }
    let post = Request::post("/api/v1/logs").body(Body::empty()).expect("a request");
    let answer = api.ask(post).await;
    let message = "/api/v1/logs cannot be asked with POST";
    let expected = json!({ "error": { "code": "method_not_allowed", "message": message, "hint": "use GET" } });
    assert_eq!((answer.status, answer.json()), (405, expected));
    let answer = api.get("/api/v1/logs?query=%C3%A4+%7C+stats").await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!("bad_query")));
    assert_eq!(answer.json()["error"]["position"], 2, "positions are in characters");
}

#[tokio::test]
async fn a_log_is_shown_whole() {
    let api = Api::new(Config::default());
    let mut sent = log("Payment declined", 60);
    sent.trace_id = Some([1; 16]);
    sent.span_id = Some([2; 8]);
    sent.correlation_id = Some("order-1".to_owned());
    sent.severity_text = "Info".to_owned();
    sent.event_name = "order.paid".to_owned();
    sent.attributes = vec![
        ("big".to_owned(), AttributeValue::Int(i64::MAX)),
        ("list".to_owned(), AttributeValue::Array(vec![AttributeValue::Int(1), text("a")])),
    ];
    let seq = api.append(log_batch(&[sent])).await;
    let expected = json!({
        "timestamp": "2026-01-31T11:59:00.000000000Z",
        "ingest_seq": seq,
        "service": "orders",
        "trace_id": "01010101010101010101010101010101",
        "span_id": "0202020202020202",
        "correlation_id": "order-1",
        "observed_timestamp": "2026-01-31T11:59:00.000000000Z",
        "severity": "info",
        "severity_number": 9,
        "severity_text": "Info",
        "body": "Payment declined",
        "event_name": "order.paid",
        "attributes": { "big": "9223372036854775807", "list": [1, "a"] },
        "resource": { "service.name": "orders", "host.id": 7 },
        "scope": { "name": "lib", "version": "2", "attributes": { "x": true } },
        "resource_schema_url": "https://example.com/1",
    });
    for flushed in [false, true] {
        let (rows, meta) = api.rows("/api/v1/logs?query=declined").await;
        assert_eq!((rows, meta), (vec![expected.clone()], json!({ "partial": false, "warnings": [] })), "{flushed}");
        let page = api.get("/api/v1/logs?query=declined&format=json").await;
        assert_eq!(page.header("content-type"), Some("application/json"));
        assert_eq!(page.json(), json!({ "rows": [expected.clone()], "partial": false, "warnings": [] }));
        let (rows, _) = api.rows("/api/v1/logs?query=approved").await;
        assert!(rows.is_empty());
        api.flush().await;
    }
}

#[tokio::test]
async fn pages_have_neither_gaps_nor_duplicates_while_rows_come_and_move() {
    for order in ["asc", "desc"] {
        let api = Api::new(Config::default());
        let mut maker = Maker { random: fastrand::Rng::with_seed(7) };
        let sent = 130;
        for _ in 0..sent / 10 {
            api.append(log_batch(&maker.logs(10))).await;
        }
        let address = format!("/api/v1/logs?query=&start=-3d&limit=7&order={order}");
        let mut seen: Vec<(String, u64)> = Vec::new();
        let mut cursor: Option<String> = None;
        for page in 0.. {
            let next = cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let (rows, meta) = api.rows(&format!("{address}{next}")).await;
            let keys = rows.iter().map(|row| {
                let time = row["timestamp"].as_str().expect("a time").to_owned();
                (time, row["ingest_seq"].as_u64().expect("a number"))
            });
            seen.extend(keys);
            // New rows of the same times, time itself, and the move from the head into parts change nothing.
            api.append(log_batch(&maker.logs(3))).await;
            api.clock.advance(Duration::from_secs(3_600));
            if page % 5 == 2 {
                api.flush().await;
            }
            match meta["cursor"].as_str() {
                Some(text) => cursor = Some(text.to_owned()),
                None => break,
            }
        }
        let mut expected = seen.clone();
        expected.sort();
        expected.dedup();
        if order == "desc" {
            expected.reverse();
        }
        assert_eq!(seen, expected, "{order}");
        assert_eq!(seen.len(), sent, "{order}");
        let other = cursor.expect("a cursor");
        let answer = api.get(&format!("/api/v1/logs?query=a&cursor={other}")).await;
        assert_eq!(answer.json()["error"]["message"], "the cursor belongs to another query");
    }
}

#[tokio::test]
async fn an_answer_without_limit_has_everything_or_says_that_it_has_not() {
    let api = Api::new(Config { answer_rows_max: 2_000, ..Config::default() });
    let logs: Vec<Log> = (0..2_500).map(|n| log(&format!("number {n}"), n % 1_000)).collect();
    api.append(log_batch(&logs)).await;
    let (rows, meta) = api.rows("/api/v1/logs?limit=none").await;
    assert_eq!((rows.len(), &meta["partial"]), (2_000, &json!(true)));
    assert_eq!(meta["reason"], "the answer has more than 2000 rows");
    let cursor = meta["cursor"].as_str().expect("a cursor");
    let (rest, meta) = api.rows(&format!("/api/v1/logs?limit=none&cursor={cursor}")).await;
    assert_eq!((rest.len(), &meta["partial"]), (500, &json!(false)));
    let lines = api.get("/api/v1/logs?limit=none&format=otlp").await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(lines.header("x-sextant-partial"), Some("the answer has more than 2000 rows"));
    let counts = lines.text.lines().map(|line| {
        let request: Value = serde_json::from_str(line).expect("JSON");
        request["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().expect("records").len()
    });
    assert_eq!(counts.collect::<Vec<_>>(), [1_000, 1_000]);
}

#[tokio::test]
async fn a_spent_budget_makes_the_answer_partial() {
    let api = Api::new(Config { scanned_rows_max: 10, ..Config::default() });
    for start in [0, 100, 200] {
        let logs: Vec<Log> = (start..start + 10).map(|n| log("x", n)).collect();
        api.append(log_batch(&logs)).await;
    }
    let (rows, meta) = api.rows("/api/v1/logs?query=y").await;
    let expected = json!({
        "partial": true,
        "reason": "the query looked at 10 rows, more than 10",
        "hint": "ask for a shorter time, or add a word that few rows have",
        "warnings": [],
    });
    assert_eq!((rows.len(), meta), (0, expected));
    // What is complete without the rest is complete.
    let (rows, meta) = api.rows("/api/v1/logs?query=x&limit=5").await;
    assert_eq!((rows.len(), &meta["partial"]), (5, &json!(false)));
    assert!(meta["cursor"].is_string());
}

#[tokio::test]
async fn an_unknown_field_is_a_warning_and_a_rare_one_is_not() {
    let api = Api::new(Config::default());
    let mut rare = log("rare", 50);
    rare.attributes = vec![("user.id".to_owned(), text("bob"))];
    api.append(log_batch(&[rare])).await;
    api.append(log_batch(&[log("other", 10)])).await;
    api.flush().await;
    for (query, warnings) in [
        ("user.id:alice", json!([])),
        ("user.id:*", json!([])),
        ("usr.id:bob", json!(["no row looked at has the field `usr.id`"])),
        (
            "-res.a:1 attr.b:1",
            json!(["no row looked at has the field `attr.b`", "no row looked at has the field `res.a`"]),
        ),
        ("res.service.name:orders", json!([])),
        // Who goes on from a number was warned before.
        ("usr.id:bob ingest_seq:%3E1", json!([])),
    ] {
        let (_, meta) = api.rows(&format!("/api/v1/logs?query={}", query.replace(' ', "+"))).await;
        assert_eq!(meta["warnings"], warnings, "{query}");
    }
    let (_, meta) = api.rows("/api/v1/logs?query=usr.id:bob&start=-9d&end=-8d").await;
    assert_eq!(meta["warnings"], json!([]), "without rows nothing is known");
}

#[tokio::test]
async fn the_status_tells_sizes_and_counters() {
    let api = Api::new(Config::default());
    api.server.set_mode(Mode::Serving);
    api.server.add_door("http", "127.0.0.1:3300");
    api.append(log_batch(&[log("a", 1), log("b", 1)])).await;
    api.rows("/api/v1/logs").await;
    for address in ["/api/v1/status", "/api/v1/system"] {
        let status = api.get(address).await.json();
        assert_eq!((&status["version"], &status["mode"]), (&json!("1.2.3"), &json!("serving")));
        assert_eq!(status["doors"], json!({ "http": "127.0.0.1:3300" }));
        assert_eq!((&status["ingest_seq"], &status["durability"]), (&json!(2), &json!("always")));
        assert_eq!(status["tables"]["logs"]["head_rows"], 2);
        assert_eq!(status["wal"]["segments"], 1);
        assert_eq!(status["counters"]["sextant_query_refused_total"], 0);
        assert_eq!(status["counters"]["sextant_query_scanned_rows_total{kind=\"logs\"}"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_keeps_nobody_waiting() {
    let api = Api::new(Config { concurrent_queries: 1, ..Config::default() });
    let logs: Vec<Log> = (0..3_000).map(|n| log(&"long ".repeat(100), n)).collect();
    api.append(log_batch(&logs)).await;
    let request = Request::get("/api/v1/logs?limit=none").body(Body::empty()).expect("a request");
    let slow = api.router.clone().oneshot(request).await.expect("an answer");
    // Nobody reads the slow answer's body, and still there is a permit for the next.
    let (rows, _) = api.rows("/api/v1/logs?limit=1").await;
    assert_eq!(rows.len(), 1);
    let body = slow.into_body().collect().await.expect("the whole answer").to_bytes();
    assert_eq!(body.split(|byte| *byte == b'\n').count(), 3_002, "rows, the last line, and nothing");
}

// The root package answers these itself, so that they work before the store is open.
const OF_THE_GATE: [&str; 3] = ["/healthz", "/metrics", "/readyz"];

#[test]
fn the_reference_page_lists_the_paths_that_are_served() {
    let page = include_str!("../../../docs/reference/api.md");
    let described = page.lines().filter_map(|line| line.strip_prefix("### `GET ")?.strip_suffix('`'));
    let described: std::collections::BTreeSet<&str> = described.collect();
    let sources = [include_str!("../../src/api.rs"), include_str!("../../src/api/prom.rs")];
    let routes = sources.iter().flat_map(|source| source.split(".route(\"").skip(1));
    let routed = routes.filter_map(|rest| rest.split_once('"').map(|(path, _)| path));
    assert_eq!(described, routed.chain(OF_THE_GATE).collect());
}

#[test]
fn the_reference_page_lists_the_columns_that_can_be_asked_for() {
    use query::search::fields;
    let page = include_str!("../../../docs/reference/search.md");
    let row = |name: &str| {
        let row = page.lines().find_map(|line| line.strip_prefix(&format!("| {name} | ")));
        row.expect("a row of the table").split('`').skip(1).step_by(2).collect::<Vec<_>>()
    };
    for (table, name) in
        [(store::Table::Logs, "logs"), (store::Table::Spans, "spans"), (store::Table::Points, "points")]
    {
        let described: Vec<&str> = row(name).into_iter().chain(row("all")).collect();
        assert_eq!(described, fields::names(table).collect::<Vec<_>>(), "{name}");
    }
}
