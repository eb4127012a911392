//! OTLP/gRPC: the official clients, and calls made by hand for what they would never send.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Request};
use collector::Config;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, Full};
use model::SystemClock;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use store::Table;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Service as _, ServiceExt as _};

use crate::faulty::FaultyDisk;
use crate::http;
use crate::support::{Server, gauge, log, logs_request, metrics_request, point, span, spans_request};

const EXPORT_LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

pub async fn channel(server: &Server) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{}", server.grpc)).expect("it is an address");
    endpoint.connect().await.expect("the door is open")
}

/// A call made by hand: any headers, any bytes.
async fn call(channel: &Channel, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (HeaderMap, Option<Status>) {
    let uri = format!("http://test{path}");
    let mut request = Request::post(uri).header("te", "trailers").header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::new(Full::from(body))).expect("the request is sound");
    let mut channel = channel.clone();
    let response = channel.ready().await.expect("connected").call(request).await.expect("the call is answered");
    let (parts, body) = response.into_parts();
    let trailers = body.collect().await.expect("the answer ends").trailers().cloned();
    let status = Status::from_header_map(&parts.headers).or_else(|| Status::from_header_map(&trailers?));
    (parts.headers, status)
}

fn frame(compressed: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short");
    [&[compressed], &length.to_be_bytes()[..], message].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

pub fn has_retry_info(status: &Status) -> bool {
    status.details().windows(b"google.rpc.RetryInfo".len()).any(|window| window == b"google.rpc.RetryInfo")
}

fn log_of(bytes: usize) -> LogRecord {
    LogRecord { severity_text: "x".repeat(bytes), ..log() }
}

fn small(bytes: u64) -> Config {
    Config { request_bytes_max: bytes, ..Config::default() }
}

#[tokio::test]
async fn official_clients_store_every_signal() {
    let server = Server::start(Config::default()).await;
    let channel = channel(&server).await;
    for compression in [None, Some(CompressionEncoding::Gzip)] {
        let mut logs = LogsServiceClient::new(channel.clone());
        let mut traces = TraceServiceClient::new(channel.clone());
        let mut metrics = MetricsServiceClient::new(channel.clone());
        if let Some(encoding) = compression {
            logs = logs.send_compressed(encoding);
            traces = traces.send_compressed(encoding);
            metrics = metrics.send_compressed(encoding);
        }
        let logs = logs.export(logs_request(vec![log()])).await.expect("it is stored").into_inner();
        assert_eq!(logs.partial_success, None);
        let traces = traces.export(spans_request(vec![span(); 2])).await.expect("it is stored").into_inner();
        assert_eq!(traces.partial_success, None);
        let request = metrics_request(vec![gauge(vec![point(); 3])]);
        let metrics = metrics.export(request).await.expect("it is stored").into_inner();
        assert_eq!(metrics.partial_success, None);
    }
    assert_eq!(Table::ALL.map(|table| server.rows(table)), [2, 4, 6, 0]);
    assert_eq!(server.count("sextant_ingest_accepted_items_total", &[("door", "otlp_grpc")]), 12);
}

#[tokio::test]
async fn nothing_to_store_is_a_success() {
    let server = Server::start(Config::default()).await;
    let channel = channel(&server).await;
    for body in [frame(0, b""), frame(0, &logs_request(vec![]).encode_to_vec())] {
        let (_, status) = call(&channel, EXPORT_LOGS, &[], body).await;
        assert_eq!(status.expect("there is one").code(), Code::Ok);
    }
    assert_eq!(server.rows(Table::Logs), 0);
}

#[tokio::test]
async fn partial_success_counts_exactly_and_keeps_the_rest() {
    let server = Server::start(Config::default()).await;
    let mut client = TraceServiceClient::new(channel(&server).await);
    let bad = Span { trace_id: vec![1; 15], ..span() };
    let answer = client.export(spans_request(vec![bad.clone(), span(), bad])).await.expect("one is stored");
    let partial = answer.into_inner().partial_success.expect("two are not");
    assert_eq!(partial.rejected_spans, 2);
    assert!(
        partial.error_message.starts_with("2 of 3 spans rejected: 2 because trace_id"),
        "{}",
        partial.error_message
    );
    assert_eq!(server.rows(Table::Spans), 1);

    let mut client = LogsServiceClient::new(channel(&server).await);
    let record = LogRecord { trace_id: vec![1; 3], ..log() };
    let answer = client.export(logs_request(vec![record])).await.expect("it is stored");
    let warning = answer.into_inner().partial_success.expect("there is a warning");
    assert_eq!(warning.rejected_log_records, 0);
    assert!(warning.error_message.starts_with("warning, 1 times: kept without"), "{}", warning.error_message);
    assert_eq!(server.rows(Table::Logs), 1);
}

#[tokio::test]
async fn every_fault_has_its_code() {
    let server = Server::start(small(1000)).await;
    let channel = channel(&server).await;
    let sound = logs_request(vec![log()]).encode_to_vec();
    let packed = gzip(&sound);
    let gzipped = [("grpc-encoding", "gzip")];
    let snappy = [("grpc-encoding", "snappy")];
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Vec<u8>, Code);
    let cases: [Case<'_>; 16] = [
        ("sound", EXPORT_LOGS, &[], frame(0, &sound), Code::Ok),
        ("sound in gzip", EXPORT_LOGS, &gzipped, frame(1, &packed), Code::Ok),
        ("gzip announced, not used", EXPORT_LOGS, &gzipped, frame(0, &sound), Code::Ok),
        ("no protobuf", EXPORT_LOGS, &[], frame(0, b"\xff\xff"), Code::InvalidArgument),
        ("cut short", EXPORT_LOGS, &[], frame(0, &sound[..sound.len() - 1]), Code::InvalidArgument),
        ("no gzip", EXPORT_LOGS, &gzipped, frame(1, &sound), Code::InvalidArgument),
        ("gzip cut short", EXPORT_LOGS, &gzipped, frame(1, &packed[..9]), Code::InvalidArgument),
        ("gzip not announced", EXPORT_LOGS, &[], frame(1, &packed), Code::InvalidArgument),
        ("unknown flag", EXPORT_LOGS, &[], frame(7, &sound), Code::InvalidArgument),
        ("no message", EXPORT_LOGS, &[], vec![], Code::InvalidArgument),
        ("frame cut short", EXPORT_LOGS, &[], frame(0, &sound)[..20].to_vec(), Code::InvalidArgument),
        ("two messages", EXPORT_LOGS, &[], [frame(0, &sound), frame(0, &sound)].concat(), Code::InvalidArgument),
        ("snappy", EXPORT_LOGS, &snappy, frame(1, &sound), Code::Unimplemented),
        ("declared too large", EXPORT_LOGS, &[], vec![0, 0xff, 0xff, 0xff, 0xff, 1], Code::ResourceExhausted),
        (
            "unknown method",
            "/opentelemetry.proto.collector.logs.v1.LogsService/Import",
            &[],
            frame(0, b""),
            Code::Unimplemented,
        ),
        (
            "unknown service",
            "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
            &[],
            frame(0, b""),
            Code::Unimplemented,
        ),
    ];
    for (name, path, headers, body, code) in cases {
        let (answer_headers, status) = call(&channel, path, headers, body).await;
        let status = status.expect("every answer has a status");
        assert_eq!(status.code(), code, "{name}: {status:?}");
        assert!(!has_retry_info(&status), "{name}: {status:?}");
        assert_eq!(code == Code::Ok, status.message().is_empty(), "{name}: {status:?}");
        let accepts = answer_headers.get("grpc-accept-encoding").map(|value| value.as_bytes());
        assert_eq!(accepts, (name == "snappy").then_some(&b"identity,gzip,zstd"[..]), "{name}");
    }
    assert_eq!(server.rows(Table::Logs), 3);
    assert_eq!(server.count("sextant_ingest_in_flight_bytes", &[]), 0);
}

#[tokio::test]
async fn the_size_limit_is_exact_and_final() {
    let overhead = logs_request(vec![log_of(1000)]).encoded_len() - 1000;
    let server = Server::start(small((1000 + overhead) as u64)).await;
    let channel = channel(&server).await;
    for compression in [None, Some(CompressionEncoding::Gzip)] {
        let mut client = LogsServiceClient::new(channel.clone());
        if let Some(encoding) = compression {
            client = client.send_compressed(encoding);
        }
        client.export(logs_request(vec![log_of(1000)])).await.expect("it fits to the byte");
        for size in [1001, 4 << 20] {
            let status = client.export(logs_request(vec![log_of(size)])).await.expect_err("it does not fit");
            assert_eq!(status.code(), Code::ResourceExhausted, "{compression:?} {size}: {status:?}");
            assert!(!has_retry_info(&status), "{compression:?} {size}: {status:?}");
        }
    }
    assert_eq!(server.rows(Table::Logs), 2);
    assert_eq!(server.count("sextant_ingest_in_flight_bytes", &[]), 0);
}

#[tokio::test]
async fn a_bomb_is_too_large() {
    let server = Server::start(small(4 << 20)).await;
    let bomb = gzip(&vec![0; 16 << 20]).repeat(64);
    assert!(bomb.len() < 4 << 20, "it passes as long as it is compressed");
    let (_, status) = call(&channel(&server).await, EXPORT_LOGS, &[("grpc-encoding", "gzip")], frame(1, &bomb)).await;
    let status = status.expect("there is one");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(!has_retry_info(&status));
    assert_eq!(server.count("sextant_ingest_in_flight_bytes", &[]), 0);
}

#[tokio::test]
async fn a_failing_disk_says_come_again() {
    let disk = FaultyDisk::default();
    let server = Server::with(Config::default(), Arc::new(SystemClock::new()), Arc::new(disk.clone())).await;
    disk.fail(true);
    let mut client = LogsServiceClient::new(channel(&server).await);
    let status = client.export(logs_request(vec![log()])).await.expect_err("it is not stored");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(has_retry_info(&status), "{status:?}");
    assert_eq!(server.rows(Table::Logs), 0);
    disk.fail(false);
    client.export(logs_request(vec![log()])).await.expect("it is stored");
    assert_eq!(server.rows(Table::Logs), 1);
}

#[tokio::test]
async fn other_than_grpc_is_not_answered_as_grpc() {
    let server = Server::start(Config::default()).await;
    let request = Request::post(format!("http://test{EXPORT_LOGS}")).header("content-type", "application/json");
    let request = request.body(Body::empty()).expect("the request is sound");
    let mut channel = channel(&server).await;
    let response = channel.ready().await.expect("connected").call(request).await.expect("the call is answered");
    assert_eq!(response.status(), 415);
}

#[tokio::test]
async fn a_full_server_says_come_again() {
    let server = Server::start(Config { in_flight_bytes_max: 2000, ..small(1000) }).await;
    let body = http::log_of(1000);
    // The doors share what requests may hold.
    let first = http::begin(server.http, body.len(), &body[..900]).await;
    let second = http::begin(server.http, body.len(), &body[..900]).await;
    server.wait_for_in_flight(1800).await;
    let mut client = LogsServiceClient::new(channel(&server).await);
    let status = client.export(logs_request(vec![log_of(500)])).await.expect_err("there is no room");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(has_retry_info(&status), "{status:?}");
    drop((first, second));
    server.wait_for_in_flight(0).await;
    client.export(logs_request(vec![log_of(500)])).await.expect("there is room again");
    assert_eq!(server.rows(Table::Logs), 1);
}

#[tokio::test]
async fn a_closed_server_says_come_again() {
    let server = Server::start(Config::default()).await;
    let channel = channel(&server).await;
    let mut health = HealthClient::new(channel.clone());
    let services = ["", "opentelemetry.proto.collector.logs.v1.LogsService"];
    for service in services.map(str::to_owned) {
        let answer = health.check(HealthCheckRequest { service }).await.expect("health is known");
        assert_eq!(answer.into_inner().status, 1, "serving");
    }
    server.intake.close().await;
    let status = LogsServiceClient::new(channel).export(logs_request(vec![log()])).await.expect_err("it is closed");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(has_retry_info(&status), "{status:?}");
    assert_eq!(server.rows(Table::Logs), 0);
    for service in services {
        // It is told in its own time.
        for attempt in 0.. {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = health.check(request).await.expect("health is known");
            if answer.into_inner().status == 2 {
                break;
            }
            assert!(attempt < 400, "{service:?} still serves");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_on_one_connection_do_not_wait_for_a_slow_one() {
    let server = Server::start(Config::default()).await;
    let channel = channel(&server).await;
    let large = logs_request(vec![log_of(50); 30_000]);
    let mut slow_client = LogsServiceClient::new(channel.clone());
    let slow = tokio::spawn(async move { slow_client.export(large).await });
    let calls = (0..100).map(|_| {
        let mut client = LogsServiceClient::new(channel.clone());
        tokio::spawn(async move { client.export(logs_request(vec![log()])).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no panic").expect("it is stored");
    }
    slow.await.expect("no panic").expect("it is stored");
    assert_eq!(server.rows(Table::Logs), 30_100);
}
