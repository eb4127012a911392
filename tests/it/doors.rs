//! Who may use the doors, and what they write down of it.

use std::time::Duration;

use bytes::Bytes;
use campaign::binary::Server;
use campaign::otlp::Request;
use campaign::raw;
use model::Signal;
use model::wire::status::Receipt;
use tui::Client;
use tui::client::{Params, Settings};

use crate::harness::Place;

const TOKEN: &str = "a-token-of-some-length-0123456789";
const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const PROTOBUF: &str = "application/x-protobuf";

fn client(server: &Server, door: &str, token: Option<&str>) -> Client {
    let settings = Settings { token: token.map(str::to_owned), ..Settings::default() };
    Client::new(&server.url(door), settings).expect("a client")
}

fn spans(first: u64, count: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(first);
    Request::numbered(Signal::Spans, first, count, 1_700_000_000_000_000_000, &mut random).encode().0.into()
}

#[tokio::test]
async fn every_door_asks_for_the_token_and_healths_do_not() {
    let place = Place::configured("log = \"info\"\ntoken_file = \"token\"\n");
    std::fs::write(place.path().join("token"), format!("{TOKEN}\n")).expect("a file");
    let server = place.serve().await;
    for (token, status) in [(None, 401), (Some("a-token-of-some-length-012345678X"), 401), (Some(TOKEN), 200)] {
        let answers = client(&server, "http", token);
        for (path, expected) in [("/api/v1/status", status), ("/metrics", status), ("/healthz", 200), ("/readyz", 200)]
        {
            let answer = answers.fetch(path, &Params::new()).await.expect("an answer");
            assert_eq!(answer.status, expected, "{path} with {token:?}");
        }
        let sends = client(&server, "otlp_http", token);
        let answer = sends.post("/v1/traces", PROTOBUF, spans(1, 1)).await.expect("an answer");
        assert_eq!(answer.status, status, "{token:?}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(text.contains("bearer token"), status == 401, "{text}");
    }
    let message = raw::frame(false, 0, &[]);
    let pieces = (100, Duration::ZERO);
    let answer =
        raw::grpc(server.address("otlp_grpc"), EXPORT, None, message.clone(), pieces).await.expect("an answer");
    assert_eq!((answer.status, answer.grpc), (200, Some(16)));
    let check = "/grpc.health.v1.Health/Check";
    let answer = raw::grpc(server.address("otlp_grpc"), check, None, message, pieces).await.expect("an answer");
    assert_eq!(answer.grpc, Some(0));

    let url = server.url("http");
    let ran = place.run(&["status", "--url", &url]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("--token-file"), "{}", ran.stderr);
    let table = place.run(&["status", "--url", &url, "--token-file", "token"]).succeeded();
    assert!(table.contains("(unread)") && table.contains("unauthenticated") || table.contains("service-"), "{table}");
    let said = std::fs::read_to_string(place.path().join("stderr.log")).expect("a log");
    assert!(!said.contains(TOKEN) && !table.contains(TOKEN), "{said}");
}

#[tokio::test]
async fn a_network_address_needs_a_token_or_a_word() {
    let place = Place::new();
    let ran = place.run(&["serve", "--http", "0.0.0.0:0", "--otlp-grpc", "off", "--otlp-http", "off"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("--token-file"), "{}", ran.stderr);
    std::fs::write(place.path().join("short"), "hunter2").expect("a file");
    let ran = place.run(&["serve", "--http", "0.0.0.0:0", "--token-file", "short"]);
    assert!(ran.code == 2 && ran.stderr.contains("16 characters") && !ran.stderr.contains("hunter2"), "{ran:?}");
}

#[tokio::test]
async fn receipts_are_what_can_be_asked_for() {
    let place = Place::configured("log = \"warn\"\n[collector]\nattributes_max = 1\n");
    let server = place.serve().await;
    let sends = client(&server, "otlp_http", None);
    let post = async |path: &str, body: Bytes| sends.post(path, PROTOBUF, body).await.expect("an answer").status;
    // Spans have one attribute, but their resource has two: all of them are rejected, and said to be.
    assert_eq!(post("/v1/traces", spans(1, 7)).await, 200);
    assert_eq!(post("/v1/traces", Bytes::from_static(b"\xff")).await, 400);
    let own = Place::new();
    let server_without = own.serve().await;
    let sends_without = client(&server_without, "otlp_http", None);
    for first in [1, 100, 100, 200] {
        let answer = sends_without.post("/v1/traces", PROTOBUF, spans(first, 10)).await.expect("an answer");
        assert_eq!(answer.status, 200);
    }
    let of = async |server: &Server| -> Vec<Receipt> { server.client().status().await.expect("a status").receipts };
    let sum = |receipts: &[Receipt], what: fn(&Receipt) -> u64| receipts.iter().map(what).sum::<u64>();
    let receipts = of(&server).await;
    assert_eq!(sum(&receipts, |of| of.accepted), 0);
    assert_eq!(sum(&receipts, |of| of.rejected.get("too_many_attributes").copied().unwrap_or(0)), 7, "{receipts:?}");
    assert_eq!(sum(&receipts, |of| of.refused.get("undecodable").copied().unwrap_or(0)), 1, "{receipts:?}");
    let receipts = of(&server_without).await;
    assert_eq!((sum(&receipts, |of| of.accepted), sum(&receipts, |of| of.duplicates)), (40, 10), "{receipts:?}");
    assert_eq!(sum(&receipts, |of| of.requests), 4);
    let status = server_without.client().status().await.expect("a status");
    let stored = status.tables.get("spans").map_or(0, |of| of.head_rows + of.part_rows);
    assert_eq!(stored, 40);
    assert!(status.memory.limit_bytes > 0 && status.memory.resident_bytes > 0, "{:?}", status.memory);
}
