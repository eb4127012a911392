//! OTLP's own example requests in JSON: sent to the binary over HTTP, and read back with `format=otlp`, equal in meaning; what
//! was read back, sent to another server, is read from there word for word.

use std::path::{Path, PathBuf};

use campaign::binary::Server;
use serde_json::{Map, Value};
use tui::client::{Client, Params, Settings};

use crate::harness::Place;

// A work tree may stand one level deeper than the repository.
fn examples() -> Option<PathBuf> {
    let places =
        ["../shared/cases", "../../shared/cases"].map(|place| Path::new(env!("CARGO_MANIFEST_DIR")).join(place));
    let named = std::env::var_os("SEXTANT_CASES").map(PathBuf::from);
    let mut folders = named.into_iter().chain(places).map(|place| place.join("otlp-json"));
    folders.find(|folder| folder.is_dir())
}

#[tokio::test]
async fn the_examples_of_the_specification_come_back() {
    let Some(folder) = examples() else {
        println!("skipped: no cases");
        return;
    };
    for (file, door, rows) in [
        ("trace.json", "/v1/traces", "/api/v1/spans"),
        ("metrics.json", "/v1/metrics", "/api/v1/points"),
        ("logs.json", "/v1/logs", "/api/v1/logs"),
        ("events.json", "/v1/logs", "/api/v1/logs"),
    ] {
        let sent = std::fs::read(folder.join(file)).expect("the example can be read");
        let kept = through(door, rows, sent.clone()).await;
        let sent: Value = serde_json::from_slice(&sent).expect("the example is JSON");
        assert_eq!(meaning(&kept), meaning(&sent), "{file}");
        assert_eq!(through(door, rows, kept.to_string().into_bytes()).await, kept, "{file}");
    }
}

// What a server of its own gives back of a request.
async fn through(door: &str, rows: &str, request: Vec<u8>) -> Value {
    let place = Place::new();
    let server = place.serve().await;
    let client = Client::new(&server.url("otlp_http"), Settings::default()).expect("an address");
    let answer = client.post(door, "application/json", request.into()).await.expect("it is answered");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]), "{door}");
    read_back(&server, rows).await
}

async fn read_back(server: &Server, path: &str) -> Value {
    let params = Params::new().with("format", "otlp").with("order", "asc").with("start", "2018-01-01T00:00:00Z");
    let answer = server.client().fetch(path, &params).await.expect("it is answered");
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).expect("the answer is JSON")
}

// Where the form is free it is made one: fields of no content are left out, numbers are text, ids are in lower case, and lists
// whose order says nothing are sorted.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let fields = object.iter().map(|(key, value)| (key, of_key(key, value)));
            let kept = fields.filter(|(key, value)| chosen(key) || !is_default(value));
            Value::Object(kept.map(|(key, value)| (key.clone(), value)).collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.iter().map(meaning).collect()),
        Value::Number(number) => Value::String(match number.as_f64() {
            Some(double) if number.is_f64() => format!("{double}"),
            _ => number.to_string(),
        }),
        other => other.clone(),
    }
}

fn of_key(key: &str, value: &Value) -> Value {
    match (key, meaning(value)) {
        ("traceId" | "spanId" | "parentSpanId", Value::String(id)) => Value::String(id.to_lowercase()),
        ("attributes" | "metrics", Value::Array(mut list)) => {
            list.sort_by_key(|entry| entry.get("key").or(entry.get("name")).map(Value::to_string));
            Value::Array(list)
        }
        (_, value) => value,
    }
}

// Fields whose presence says something: a zero of theirs is not nothing.
fn chosen(key: &str) -> bool {
    key.ends_with("Value") || ["asInt", "asDouble", "sum", "min", "max"].contains(&key)
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}
