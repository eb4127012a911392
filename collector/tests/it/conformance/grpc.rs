//! The rows about the gRPC server.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body as AxumBody;
use axum::http::HeaderMap;
use collector::{Config, Door, Intake};
use model::{Signal, SystemClock};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::row;
use super::wire::{self, Transport, Wire, frame};
use crate::faulty::FaultyDisk;
use crate::http::{gzip, peak_resident_bytes};
use crate::support::{Server, bind, gauge, log, logs_request, metrics_request, point, span, spans_request};

const GRPC: &[Transport] = &[Transport::Grpc];

/// Memory that the tests beside a bomb may take meanwhile, far below what the bomb would.
const OTHERS_BYTES: u64 = 256 << 20;

pub fn rows() -> Vec<super::Row> {
    vec![
        row!(g01, "G01", "MUST", GRPC, "unary Export of LogsService, TraceService, MetricsService", "OK"),
        row!(g02, "G02", "-", GRPC, "default port", "4317"),
        row!(g03, "G03", "MUST", GRPC, "full success", "partial_success unset: a message of no bytes"),
        row!(g04, "G04", "SHOULD", GRPC, "empty request", "OK"),
        row!(g05, "G05", "MAY", GRPC, "empty envelopes", "OK, nothing stored"),
        row!(g06, "G06", "MUST", GRPC, "compression none and gzip", "OK, the same rows; zstd too"),
        row!(g07, "G07", "-", GRPC, "compression not received (snappy)", "UNIMPLEMENTED with grpc-accept-encoding"),
        row!(g08, "G08", "MUST", GRPC, "message over the limit", "RESOURCE_EXHAUSTED without RetryInfo"),
        row!(
            g09,
            "G09",
            "MUST",
            GRPC,
            "small message that decompresses over the limit",
            "the same; memory stays bounded"
        ),
        row!(g10, "G10", "SHOULD", GRPC, "limit configurable", "`collector.request_bytes_max`, exact to the byte"),
        row!(g11, "G11", "MUST", GRPC, "answer over 4 MiB", "error_message is cut at 16 KiB"),
        row!(g12, "G12", "MUST", GRPC, "some items invalid", "OK, the exact number rejected, the others stored"),
        row!(
            g13,
            "G13",
            "SHOULD",
            GRPC,
            "the same",
            "error_message says why and what to do, for the five most frequent reasons"
        ),
        row!(g14, "G14", "MAY", GRPC, "warning on full accept", "none rejected, error_message says it"),
        row!(g15, "G15", "SHOULD", GRPC, "transient failure: disk, stopping, starting", "UNAVAILABLE with RetryInfo"),
        row!(g16, "G16", "SHOULD", GRPC, "overload", "UNAVAILABLE with RetryInfo"),
        row!(
            g17,
            "G17",
            "SHOULD",
            GRPC,
            "undecodable protobuf, nested 100,000 levels deep too",
            "INVALID_ARGUMENT with BadRequest"
        ),
        row!(
            g18,
            "G18",
            "-",
            GRPC,
            "codes clients retry, and codes they do not",
            "only what can succeed later gets UNAVAILABLE"
        ),
        row!(g19, "G19", "-", GRPC, "missing or bad token", "UNAUTHENTICATED, nothing stored; health needs none"),
        row!(g20, "G20", "-", GRPC, "unknown service or method", "UNIMPLEMENTED"),
        row!(g21, "G21", "SHOULD", GRPC, "100 calls on one connection beside one that stalls", "all are answered"),
        row!(g22, "G22", "MUST", GRPC, "unknown fields at all levels", "ignored, the known data stored"),
        row!(g23, "G23", "-", GRPC, "client cancels", "nothing stored, its bytes given back"),
        row!(g24, "G24", "-", GRPC, "the same request again", "OK, stored again; its items are counted as duplicates"),
        row!(
            g25,
            "G25",
            "own",
            GRPC,
            "health and reflection",
            "NOT_SERVING until the log is replayed and from the stop on; v1 and v1alpha"
        ),
        row!(
            shown by "floods_of_http2_frames_end_their_connections",
            "G26",
            "own",
            GRPC,
            "floods of HTTP/2 frames",
            "the connection is ended within bounds, memory stays"
        ),
    ]
}

async fn g01(transport: Transport) {
    let wire = Wire::start(transport).await;
    wire.export(&logs_request(vec![log()])).await.assert_ok();
    wire.export(&spans_request(vec![span(); 2])).await.assert_ok();
    wire.export(&metrics_request(vec![gauge(vec![point(); 3])])).await.assert_ok();
    assert_eq!(Signal::ALL.map(|signal| wire.rows(signal)).iter().sum::<usize>(), 6);
}

async fn g02(_: Transport) {
    let defaults = include_str!("../../../../src/config/default.toml");
    assert!(defaults.contains("otlp_grpc = \"127.0.0.1:4317\""));
}

async fn g03(transport: Transport) {
    let wire = Wire::start(transport).await;
    let answer = wire.export(&logs_request(vec![log()])).await;
    assert!(answer.assert_full_success().body.is_empty(), "{answer:?}");
}

async fn g04(transport: Transport) {
    let wire = Wire::start(transport).await;
    for signal in Signal::ALL {
        wire.send(signal, b"").await.assert_full_success();
        assert_eq!(wire.rows(signal), 0);
    }
}

async fn g05(transport: Transport) {
    let wire = Wire::start(transport).await;
    wire.export(&logs_request(vec![])).await.assert_full_success();
    wire.export(&spans_request(vec![])).await.assert_full_success();
    wire.export(&metrics_request(vec![])).await.assert_full_success();
    assert_eq!(Signal::ALL.map(|signal| wire.rows(signal)), [0; 3]);
}

async fn g06(transport: Transport) {
    let wire = Wire::start(transport).await;
    let body = logs_request(vec![log(), log()]).encode_to_vec();
    let zstd = zstd::encode_all(&body[..], 3).expect("memory takes it");
    wire.send(Signal::Logs, &body).await.assert_full_success();
    for (coding, body) in [("gzip", gzip(&body)), ("zstd", zstd), ("identity", body)] {
        let answer = if coding == "identity" {
            let headers = [("grpc-encoding", "identity")];
            wire::call(&wire.channel().await, &wire::method(Signal::Logs), &headers, frame(false, &body)).await
        } else {
            wire.send_coded(Signal::Logs, Some(coding), &body).await
        };
        answer.assert_full_success();
    }
    assert_eq!(wire.rows(Signal::Logs), 8);
}

async fn g07(transport: Transport) {
    let wire = Wire::start(transport).await;
    for coding in ["snappy", "deflate"] {
        let answer = wire.send_coded(Signal::Logs, Some(coding), b"x").await;
        answer.assert_permanent(12, 200);
        assert_eq!(answer.header("grpc-accept-encoding"), Some("identity,gzip,zstd"));
    }
}

async fn g08(transport: Transport) {
    let wire = Wire::limited(transport, 1000).await;
    for size in [1001, 5 << 20] {
        wire.send(Signal::Logs, &vec![0; size]).await.assert_permanent(8, 200);
    }
    // Declared, but never sent.
    let declared = vec![0, 0xff, 0xff, 0xff, 0xff, 1];
    wire::call(&wire.channel().await, &wire::method(Signal::Logs), &[], declared).await.assert_permanent(8, 200);
}

async fn g09(transport: Transport) {
    bombs(&Wire::limited(transport, 4 << 20).await, 200).await;
}

/// A gibibyte in a few MiB of gzip members, and in some KiB of zstd.
pub async fn bombs(wire: &Wire, http: u16) {
    let gzip_bomb = gzip(&vec![0; 16 << 20]).repeat(64);
    let zstd_bomb = zstd::encode_all(&vec![0; 64 << 20][..], 3).expect("memory takes it").repeat(16);
    for (coding, bomb) in [("gzip", gzip_bomb), ("zstd", zstd_bomb)] {
        assert!(bomb.len() < 4 << 20, "it passes as long as it is compressed");
        let before = peak_resident_bytes();
        wire.send_coded(Signal::Logs, Some(coding), &bomb).await.assert_permanent(8, http);
        let grown = peak_resident_bytes().saturating_sub(before);
        assert!(grown < OTHERS_BYTES, "{coding}: {grown} bytes");
    }
    wire.server.wait_for_in_flight(0).await;
}

async fn g10(transport: Transport) {
    limit_is_exact(transport, 200).await;
}

/// The limit, moved by the configuration, lets a request of its size pass and refuses one a byte larger.
pub async fn limit_is_exact(transport: Transport, http: u16) {
    let of = |length: usize| logs_request(vec![LogRecord { severity_text: "x".repeat(length), ..log() }]);
    for length in [200, 300] {
        let limit = transport.encode(&of(length)).len();
        let wire = Wire::limited(transport, limit as u64).await;
        wire.export(&of(length)).await.assert_full_success();
        wire.export(&of(length + 1)).await.assert_permanent(8, http);
        assert_eq!(wire.rows(Signal::Logs), 1);
    }
}

async fn g11(transport: Transport) {
    let wire = Wire::start(transport).await;
    let answer = wire.export(&many_mistakes()).await;
    assert!(answer.assert_ok().body.len() < 4 << 20, "{} bytes", answer.body.len());
    assert_eq!(answer.rejected, Some(3));
}

/// Spans with different mistakes and names of a MiB.
pub fn many_mistakes() -> opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest {
    let name = "n\u{1}".repeat(1 << 19);
    spans_request(vec![
        Span { trace_id: vec![1], name: name.clone(), ..span() },
        Span { span_id: vec![2], name: name.clone(), ..span() },
        Span { parent_span_id: vec![2], name, ..span() },
    ])
}

async fn g12(transport: Transport) {
    rejects_exactly(&Wire::start(transport).await).await;
}

/// Of every signal some items are sound and some are not.
pub async fn rejects_exactly(wire: &Wire) {
    let late = LogRecord { time_unix_nano: u64::MAX, ..log() };
    let nameless = opentelemetry_proto::tonic::metrics::v1::Metric { name: String::new(), ..gauge(vec![point(); 2]) };
    let lost = Span { trace_id: vec![0; 16], ..span() };
    let logs = wire.export(&logs_request(vec![late.clone(), log(), late])).await;
    let spans = wire.export(&spans_request(vec![span(), lost.clone(), lost, span()])).await;
    let points = wire.export(&metrics_request(vec![nameless, gauge(vec![point()])])).await;
    for answer in [&logs, &spans, &points] {
        assert_eq!(answer.assert_ok().rejected, Some(2), "{answer:?}");
    }
    assert_eq!([wire.rows(Signal::Logs), wire.rows(Signal::Spans), wire.rows(Signal::Points)], [1, 2, 1]);
}

async fn g13(transport: Transport) {
    let wire = Wire::start(transport).await;
    let answer = wire.export(&spans_request(vec![Span { trace_id: vec![], ..span() }])).await;
    let message = &answer.assert_ok().message;
    assert!(message.contains("trace_id is not 16 bytes") && message.contains("send the ids"), "{message}");
    let answer = wire.export(&many_mistakes()).await;
    assert!(answer.message.len() < 4096, "{} bytes", answer.message.len());
}

async fn g14(transport: Transport) {
    let wire = Wire::start(transport).await;
    let answer = wire.export(&logs_request(vec![LogRecord { trace_id: vec![1; 3], ..log() }])).await;
    assert_eq!(answer.assert_ok().rejected, Some(0), "{answer:?}");
    assert!(answer.message.starts_with("warning"), "{answer:?}");
    assert_eq!(wire.rows(Signal::Logs), 1);
}

async fn g15(transport: Transport) {
    transient_failures(transport).await;
}

/// A disk that fails, a server that stops, and one that starts.
pub async fn transient_failures(transport: Transport) {
    let disk = FaultyDisk::default();
    let server = Server::with(Config::default(), Arc::new(SystemClock::new()), Arc::new(disk.clone())).await;
    let wire = Wire { server, transport };
    disk.fail(true);
    wire.export(&logs_request(vec![log()])).await.assert_transient();
    disk.fail(false);
    wire.export(&logs_request(vec![log()])).await.assert_full_success();
    wire.server.intake.close().await;
    wire.export(&logs_request(vec![log()])).await.assert_transient();
    assert_eq!(wire.rows(Signal::Logs), 1);

    let wire = Wire { server: Server::starting(Config::default()).await, transport };
    wire.export(&logs_request(vec![log()])).await.assert_transient();
    wire.server.intake.open(wire.server.store.writer());
    wire.export(&logs_request(vec![log()])).await.assert_full_success();
    assert_eq!(wire.rows(Signal::Logs), 1);
}

async fn g16(transport: Transport) {
    overload(transport).await;
}

/// Others hold nearly all that requests may hold.
pub async fn overload(transport: Transport) {
    let config = Config { request_bytes_max: 1000, in_flight_bytes_max: 2000, ..Config::default() };
    let wire = Wire::with(transport, config).await;
    let body = crate::http::log_of(1000);
    let first = crate::http::begin(wire.server.http, body.len(), &body[..990]).await;
    let second = crate::http::begin(wire.server.http, body.len(), &body[..990]).await;
    wire.server.wait_for_in_flight(1980).await;
    wire.export(&logs_request(vec![log(); 2])).await.assert_transient();
    drop((first, second));
    wire.server.wait_for_in_flight(0).await;
    wire.export(&logs_request(vec![log(); 2])).await.assert_full_success();
}

async fn g17(transport: Transport) {
    let wire = Wire::start(transport).await;
    let answer = wire.send(Signal::Logs, b"\xff\xff").await;
    answer.assert_permanent(3, 200);
    assert_eq!(answer.field.as_deref(), Some("body"));
    wire.send(Signal::Logs, &deep_protobuf(100_000)).await.assert_permanent(3, 200);
}

/// A log record whose body is nested so deep. Written from the inside out, since every level says how long it is.
pub fn deep_protobuf(levels: usize) -> Vec<u8> {
    // The body's array and its value, again and again; around them the record, scope, resource and request.
    let tags = std::iter::repeat_n([0x2a, 0x0a], levels).flatten().chain([0x2a, 0x2a, 0x12, 0x12, 0x0a]);
    let mut heads: Vec<Vec<u8>> = Vec::new();
    let mut length = 0;
    for tag in tags {
        let mut head = vec![tag];
        prost::encode_length_delimiter(length, &mut head).expect("a vector grows");
        length += head.len();
        heads.push(head);
    }
    heads.reverse();
    heads.concat()
}

async fn g18(transport: Transport) {
    // What clients retry, of the codes of gRPC.
    const RETRIED: [i32; 6] = [1, 4, 10, 11, 14, 15];
    let wire = Wire::limited(transport, 1000).await;
    let channel = wire.channel().await;
    let export = wire::method(Signal::Logs);
    let sound = logs_request(vec![log()]).encode_to_vec();
    let gzipped = [("grpc-encoding", "gzip")];
    let none: [(&str, &str); 0] = [];
    for (path, headers, body) in [
        (&*export, &none[..], frame(false, b"\xff")),
        (&*export, &none[..], frame(false, &[0; 2000])),
        (&*export, &none[..], frame(true, &sound)),
        (&*export, &none[..], vec![]),
        (&*export, &none[..], frame(false, &sound)[..9].to_vec()),
        (&*export, &none[..], [frame(false, &sound), frame(false, &sound)].concat()),
        (&*export, &gzipped[..], frame(true, b"no gzip")),
        (&*export, &gzipped[..], frame(true, &gzip(&[0; 2000]))),
        ("/no.Service/Export", &none[..], frame(false, &sound)),
    ] {
        let answer = wire::call(&channel, path, headers, body).await;
        assert!(answer.code != 0 && !RETRIED.contains(&answer.code) && answer.retry.is_none(), "{answer:?}");
    }
    wire.server.intake.close().await;
    let answer = wire::call(&channel, &export, &[], frame(false, &sound)).await;
    assert!(RETRIED.contains(&answer.assert_transient().code));
}

async fn g19(transport: Transport) {
    let mut wire = Wire::start(transport).await;
    wire.server.grpc = door_for("Bearer a-token-of-some-length", &wire.server.intake).await;
    let channel = wire.channel().await;
    let (path, request) = (wire::method(Signal::Logs), frame(false, &transport.encode(&logs_request(vec![log()]))));
    for shown in [None, Some("a-token-of-some-length"), Some("Bearer a-token-of-some-lengtH")] {
        let headers: Vec<(&str, &str)> = shown.map(|shown| ("authorization", shown)).into_iter().collect();
        wire::call(&channel, &path, &headers, request.clone()).await.assert_permanent(16, 200);
    }
    assert_eq!(wire.rows(Signal::Logs), 0);
    let shown = [("authorization", "Bearer a-token-of-some-length")];
    wire::call(&channel, &path, &shown, request).await.assert_full_success();
    assert_eq!(wire.rows(Signal::Logs), 1);
    let mut health = HealthClient::new(channel);
    health.check(HealthCheckRequest::default()).await.expect("health is told to everybody");
}

// The gRPC door for those who show this alone.
async fn door_for(shown: &'static str, intake: &Intake) -> SocketAddr {
    let (router, health) = collector::grpc_router(intake.clone()).await.expect("the services are known");
    let check = move |headers: &HeaderMap| headers.get("authorization").is_some_and(|value| value == shown);
    let router = collector::protect(router, Door::Grpc, intake, Arc::new(check));
    let (listener, address) = bind().await;
    let server = tonic::transport::Server::builder().add_routes(Routes::from(router));
    tokio::spawn(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

async fn g20(transport: Transport) {
    let wire = Wire::start(transport).await;
    let channel = wire.channel().await;
    let profiles = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
    for path in ["/opentelemetry.proto.collector.logs.v1.LogsService/Import", profiles, "/a/b"] {
        let answer = wire::call(&channel, path, &[], frame(false, b"")).await;
        assert_eq!((answer.code, answer.retry), (12, None), "{path}: {answer:?}");
    }
}

async fn g21(transport: Transport) {
    let wire = Wire::start(transport).await;
    let channel = wire.channel().await;
    let path = wire::method(Signal::Logs);
    let stalled = tokio::spawn({
        let (channel, path) = (channel.clone(), path.clone());
        async move { wire::call_with(&channel, &path, &[], stalling(b"\0\0\0")).await }
    });
    wire.server.wait_for_in_flight(3).await;
    let body = frame(false, &logs_request(vec![log()]).encode_to_vec());
    let calls = (0..100).map(|_| {
        let (channel, path, body) = (channel.clone(), path.clone(), body.clone());
        tokio::spawn(async move { wire::call(&channel, &path, &[], body).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no panic").assert_full_success();
    }
    assert!(!stalled.is_finished());
    stalled.abort();
}

// A body whose first bytes come, and nothing more.
fn stalling(first: &'static [u8]) -> Body {
    let first = tokio_stream::once(Ok::<_, std::convert::Infallible>(bytes::Bytes::from_static(first)));
    Body::new(AxumBody::from_stream(first.chain(tokio_stream::pending())))
}

async fn g22(transport: Transport) {
    let wire = Wire::start(transport).await;
    wire.send(Signal::Logs, &future_protobuf()).await.assert_full_success();
    assert_eq!(wire.rows(Signal::Logs), 1);
}

/// A request of a later version: every message has a field that nobody knows.
pub fn future_protobuf() -> Vec<u8> {
    // Field 1000, a varint.
    let future: &[u8] = &[0xc0, 0x3e, 0x01];
    let tagged = |field: u8, bytes: Vec<u8>| {
        let mut head = vec![field << 3 | 2];
        prost::encode_length_delimiter(bytes.len(), &mut head).expect("a vector grows");
        [head, bytes].concat()
    };
    let key_value =
        [tagged(1, b"k".to_vec()), tagged(2, [tagged(1, b"v".to_vec()), future.to_vec()].concat()), future.to_vec()];
    let record = [log().encode_to_vec(), tagged(6, key_value.concat()), future.to_vec()].concat();
    let scope = [tagged(2, record), tagged(1, future.to_vec()), future.to_vec()].concat();
    let resource = [tagged(2, scope), tagged(1, future.to_vec()), future.to_vec()].concat();
    [tagged(1, resource), future.to_vec()].concat()
}

async fn g23(transport: Transport) {
    let wire = Wire::start(transport).await;
    let channel = wire.channel().await;
    let call = tokio::spawn(async move {
        wire::call_with(&channel, &wire::method(Signal::Logs), &[], stalling(b"\0\0\0\0\x05ab")).await
    });
    wire.server.wait_for_in_flight(7).await;
    call.abort();
    wire.server.wait_for_in_flight(0).await;
    assert_eq!(wire.rows(Signal::Logs), 0);
}

async fn g24(transport: Transport) {
    let wire = Wire::start(transport).await;
    let request = spans_request(vec![span()]);
    for duplicates in [0, 1] {
        wire.export(&request).await.assert_full_success();
        assert_eq!(wire.server.count("sextant_receipts_duplicate_items_total", &[("signal", "spans")]), duplicates);
    }
    assert_eq!(wire.rows(Signal::Spans), 2);
}

async fn g25(transport: Transport) {
    const SERVING: i32 = 1;
    const NOT_SERVING: i32 = 2;
    let wire = Wire { server: Server::starting(Config::default()).await, transport };
    let channel = wire.channel().await;
    wait_for_health(&channel, NOT_SERVING).await;
    wire.server.intake.open(wire.server.store.writer());
    wait_for_health(&channel, SERVING).await;

    let services = reflect(&channel, MessageRequest::ListServices(String::new())).await;
    let Some(MessageResponse::ListServicesResponse(list)) = services.message_response else {
        panic!("{services:?}");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for signal in Signal::ALL {
        let name = wire::method(signal).trim_start_matches('/').trim_end_matches("/Export").to_owned();
        assert!(names.contains(&name.as_str()), "{names:?}");
        let described = reflect(&channel, MessageRequest::FileContainingSymbol(name)).await;
        let response = described.message_response;
        assert!(matches!(response, Some(MessageResponse::FileDescriptorResponse(_))), "{response:?}");
    }
    assert!(
        names.contains(&"grpc.health.v1.Health") && names.iter().all(|name| !name.contains("profiles")),
        "{names:?}"
    );

    wire.server.intake.close().await;
    wait_for_health(&channel, NOT_SERVING).await;
}

// Health is told in its own time.
async fn wait_for_health(channel: &tonic::transport::Channel, wanted: i32) {
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "opentelemetry.proto.collector.trace.v1.TraceService"] {
        for attempt in 0.. {
            let request = HealthCheckRequest { service: service.to_owned() };
            let status = health.check(request).await.map(|answer| answer.into_inner().status);
            if status.as_ref().is_ok_and(|status| *status == wanted) {
                break;
            }
            assert!(attempt < 2000, "{service:?}: {status:?}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

async fn reflect(channel: &tonic::transport::Channel, wanted: MessageRequest) -> ServerReflectionResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(wanted) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.expect("it is answered");
    answers.into_inner().message().await.expect("it is answered").expect("there is an answer")
}
