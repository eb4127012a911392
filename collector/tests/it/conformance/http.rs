//! The rows about the HTTP server.

use std::sync::Arc;
use std::time::Duration;

use collector::Config;
use model::{ManualClock, Signal, Timestamp};
use store::disk::RealDisk;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tower::{Service as _, ServiceExt as _};

use super::row;
use super::wire::{self, JSON, Transport, Wire, path};
use crate::conformance::grpc;
use crate::http::{begin, exchange, finish, gzip, head, log_of};
use crate::support::{Server, gauge, log, logs_request, metrics_request, point, span, spans_request};

const BOTH: &[Transport] = &[Transport::Protobuf, Transport::Json];
const OF_PROTOBUF: &[Transport] = &[Transport::Protobuf];
const OF_JSON: &[Transport] = &[Transport::Json];

pub fn rows() -> Vec<super::Row> {
    vec![
        row!(h01, "H01", "-", BOTH, "default port; POST /v1/logs, /v1/traces, /v1/metrics", "4318; 200"),
        row!(h02, "H02", "MAY", BOTH, "/v1development/profiles", "404"),
        row!(h03, "H03", "MUST", OF_PROTOBUF, "application/x-protobuf", "the answer too, binary"),
        row!(h04, "H04", "MUST", OF_JSON, "application/json", "the answer too, JSON"),
        row!(
            h05,
            "H05",
            "MUST",
            BOTH,
            "answers that are no success",
            "google.rpc.Status in the encoding of the request"
        ),
        row!(h06, "H06", "SHOULD", BOTH, "both encodings on one port", "told apart by Content-Type"),
        row!(h07, "H07", "-", BOTH, "Content-Type with parameters, in any case", "accepted"),
        row!(h08, "H08", "-", BOTH, "Content-Type missing or not received", "415 with Accept, a Status in JSON"),
        row!(h09, "H09", "-", BOTH, "GET or PUT", "405 with `Allow: POST`, a Status"),
        row!(h10, "H10", "-", BOTH, "unknown path", "404, a Status"),
        row!(h11, "H11", "MUST", BOTH, "compression none, identity and gzip", "200; zstd too"),
        row!(
            h12,
            "H12",
            "-",
            BOTH,
            "not what Content-Encoding says, truncated, trailing garbage",
            "400, for gzip and zstd"
        ),
        row!(h13, "H13", "own", BOTH, "compression not received (br, deflate, gzip twice)", "415 with Accept-Encoding"),
        row!(
            h14,
            "H14",
            "MUST",
            BOTH,
            "body over the limit: by length, in chunks, a bomb, many members",
            "413, a Status; memory stays bounded"
        ),
        row!(h15, "H15", "MUST", BOTH, "answer over 4 MiB", "errorMessage is cut at 16 KiB"),
        row!(h16, "H16", "MUST", BOTH, "full success", "200; in JSON `{}`, in protobuf no bytes"),
        row!(h17, "H17", "SHOULD", BOTH, "empty request: no bytes of protobuf, `{}` in JSON", "200"),
        row!(h18, "H18", "own", OF_JSON, "no bytes as JSON", "400"),
        row!(
            h19,
            "H19",
            "MUST",
            BOTH,
            "partial success",
            "200 with the exact number, in JSON as text; the others stored"
        ),
        row!(h20, "H20", "MUST", BOTH, "undecodable", "400 with BadRequest; in JSON with path and byte"),
        row!(h21, "H21", "SHOULD", BOTH, "overload", "503 with Retry-After"),
        row!(h22, "H22", "MUST", BOTH, "what clients retry (429, 502, 503, 504)", "only what can succeed later"),
        row!(
            h23,
            "H23",
            "-",
            BOTH,
            "HTTP's status and the Status's code",
            "400 is 3, 404 is 5, 413 is 8, 405 and 415 are 12, 500 is 13, 503 is 14"
        ),
        row!(h24, "H24", "MAY", BOTH, "Accept-Encoding: gzip", "successes of 1 KiB and more are gzip"),
        row!(h25, "H25", "MAY", BOTH, "keep-alive, pipelining, HTTP/2 without TLS", "all answered"),
        row!(
            h26,
            "H26",
            "own",
            BOTH,
            "Expect: 100-continue",
            "100 only after path, headers and declared size are found right"
        ),
        row!(h27, "H27", "own", BOTH, "trailing slash", "404"),
        row!(
            h28,
            "H28",
            "own",
            BOTH,
            "a body or a head that drips",
            "503 after `collector.body_timeout_s`; a head has ten seconds, then its connection is closed (`tests/it/abuse.rs`)"
        ),
        row!(
            h29,
            "H29",
            "own",
            BOTH,
            "CORS preflight",
            "off: 405 and no Access-Control header; there is no list of allowed origins"
        ),
        row!(
            shown by "both_protocols_are_taken_at_either_door",
            "H30",
            "MAY",
            BOTH,
            "gRPC and HTTP on one port",
            "either port takes both, by content type and path"
        ),
        row!(h31, "H31", "own", BOTH, "bind address", "127.0.0.1"),
    ]
}

async fn h01(transport: Transport) {
    assert!(include_str!("../../../../src/config/default.toml").contains("otlp_http = \"127.0.0.1:4318\""));
    let wire = Wire::start(transport).await;
    wire.export(&logs_request(vec![log()])).await.assert_full_success();
    wire.export(&spans_request(vec![span()])).await.assert_full_success();
    wire.export(&metrics_request(vec![gauge(vec![point()])])).await.assert_full_success();
    assert_eq!(Signal::ALL.map(|signal| wire.rows(signal)), [1; 3]);
}

async fn h02(transport: Transport) {
    let wire = Wire::start(transport).await;
    post(&wire, "/v1development/profiles", b"").await.assert_permanent(5, 404);
}

async fn post(wire: &Wire, path: &str, body: &[u8]) -> wire::Answer {
    wire.http("POST", path, &[("content-type", wire.transport.content_type())], body).await
}

async fn h03(transport: Transport) {
    answers_in_kind(transport).await;
}

async fn h04(transport: Transport) {
    answers_in_kind(transport).await;
}

async fn answers_in_kind(transport: Transport) {
    let wire = Wire::start(transport).await;
    for request in [logs_request(vec![log()]), logs_request(vec![])] {
        let answer = wire.export(&request).await;
        assert_eq!(answer.assert_full_success().header("content-type"), Some(transport.content_type()));
    }
    let answer = wire.export(&grpc::many_mistakes()).await;
    assert_eq!(answer.assert_ok().header("content-type"), Some(transport.content_type()));
}

async fn h05(transport: Transport) {
    let wire = Wire::limited(transport, 1000).await;
    let mut answers = vec![
        wire.send(Signal::Logs, b"\xff").await,
        wire.send(Signal::Logs, &[b' '; 2000]).await,
        wire.send_coded(Signal::Logs, Some("br"), b"").await,
        post(&wire, "/v2/logs", b"").await,
        wire.http("GET", "/v1/logs", &[("content-type", transport.content_type())], b"").await,
    ];
    wire.server.intake.close().await;
    answers.push(wire.export(&logs_request(vec![log()])).await);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.http).collect();
    assert_eq!(statuses, [400, 413, 415, 404, 405, 503]);
    for answer in answers {
        assert_eq!(answer.header("content-type"), Some(transport.content_type()), "{answer:?}");
        assert!(answer.code != 0 && !answer.message.is_empty(), "{answer:?}");
    }
}

async fn h06(transport: Transport) {
    let wire = Wire::start(transport).await;
    for other in BOTH {
        let body = other.encode(&logs_request(vec![log()]));
        let answer = wire.http("POST", "/v1/logs", &[("content-type", other.content_type())], &body).await;
        answer.assert_full_success();
    }
    assert_eq!(wire.rows(Signal::Logs), 2);
}

async fn h07(transport: Transport) {
    let wire = Wire::start(transport).await;
    let body = transport.encode(&logs_request(vec![log()]));
    let kind = transport.content_type();
    for spelt in [format!("{kind}; charset=utf-8"), kind.to_ascii_uppercase(), format!("{kind} ;x=\"y;z\"")] {
        let answer = wire.http("POST", "/v1/logs", &[("content-type", &spelt)], &body).await;
        assert_eq!(answer.assert_full_success().header("content-type"), Some(kind), "{spelt}");
    }
}

async fn h08(transport: Transport) {
    let wire = Wire::start(transport).await;
    let body = transport.encode(&logs_request(vec![log()]));
    let text = [("content-type", "text/plain")];
    for headers in [&[][..], &text[..]] {
        let answer = wire.http("POST", "/v1/logs", headers, &body).await;
        answer.assert_permanent(12, 415);
        assert_eq!(answer.header("content-type"), Some(JSON));
        assert_eq!(answer.header("accept"), Some("application/x-protobuf, application/json"));
    }
}

async fn h09(transport: Transport) {
    let wire = Wire::start(transport).await;
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let answer = wire.http(method, "/v1/traces", &[("content-type", transport.content_type())], b"").await;
        answer.assert_permanent(12, 405);
        assert_eq!(answer.header("allow"), Some("POST"));
    }
}

async fn h10(transport: Transport) {
    let wire = Wire::start(transport).await;
    for path in ["/", "/v1", "/v1/log", "/v2/logs", "/v1/logs/x"] {
        post(&wire, path, b"").await.assert_permanent(5, 404);
    }
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory takes it")
}

async fn h11(transport: Transport) {
    let wire = Wire::start(transport).await;
    let body = transport.encode(&logs_request(vec![log(); 2]));
    let half = body.len() / 2;
    for (coding, body) in [
        (None, body.clone()),
        (Some("identity"), body.clone()),
        (Some("gzip"), gzip(&body)),
        (Some("GZIP"), [gzip(&body[..half]), gzip(&body[half..])].concat()),
        (Some("zstd"), zstd(&body)),
        (Some("zstd"), [zstd(&body[..half]), zstd(&body[half..])].concat()),
    ] {
        wire.send_coded(Signal::Logs, coding, &body).await.assert_full_success();
    }
    assert_eq!(wire.rows(Signal::Logs), 12);
}

async fn h12(transport: Transport) {
    let wire = Wire::start(transport).await;
    let body = transport.encode(&logs_request(vec![log()]));
    for (coding, packed) in [("gzip", gzip(&body)), ("zstd", zstd(&body))] {
        for (what, body) in [
            ("not compressed", body.clone()),
            ("nothing at all", vec![]),
            ("truncated", packed[..packed.len() - 1].to_vec()),
            ("truncated early", packed[..5].to_vec()),
            ("a tail", [&packed[..], b"garbage"].concat()),
        ] {
            let answer = wire.send_coded(Signal::Logs, Some(coding), &body).await;
            assert_eq!(answer.http, 400, "{coding}, {what}: {answer:?}");
            answer.assert_permanent(3, 400);
        }
    }
    // Compressed twice and said once: what is inside is no request. (Some short zstd frames are, by chance, protobuf with
    // unknown fields.)
    wire.send_coded(Signal::Logs, Some("gzip"), &gzip(&gzip(&body))).await.assert_permanent(3, 400);
    // A frame that wants a window of 128 MiB.
    let mut greedy = zstd::stream::Encoder::new(Vec::new(), 3).expect("memory takes it");
    greedy.set_parameter(zstd::stream::raw::CParameter::WindowLog(27)).expect("the encoder can");
    std::io::Write::write_all(&mut greedy, &body).expect("memory takes it");
    let greedy = greedy.finish().expect("memory takes it");
    wire.send_coded(Signal::Logs, Some("zstd"), &greedy).await.assert_permanent(3, 400);
    assert_eq!(wire.rows(Signal::Logs), 0);
}

async fn h13(transport: Transport) {
    let wire = Wire::start(transport).await;
    let body = transport.encode(&logs_request(vec![log()]));
    for coding in ["br", "deflate", "gzip, gzip", "x"] {
        let answer = wire.send_coded(Signal::Logs, Some(coding), &body).await;
        answer.assert_permanent(12, 415);
        assert_eq!(answer.header("accept-encoding"), Some("gzip, zstd, identity"), "{coding}");
    }
}

async fn h14(transport: Transport) {
    grpc::limit_is_exact(transport, 413).await;
    let wire = Wire::limited(transport, 4 << 20).await;
    grpc::bombs(&wire, 413).await;
    wire.send(Signal::Logs, &vec![b' '; 8 << 20]).await.assert_permanent(8, 413);
    let chunked = [("content-type", transport.content_type()), ("transfer-encoding", "chunked")];
    let mut bytes = format!("{}\r\n", head("POST", "/v1/logs", &chunked)).into_bytes();
    for _ in 0..65 {
        bytes.extend_from_slice(b"10000\r\n");
        bytes.extend_from_slice(&[b' '; 0x10000]);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    wire::of_http(exchange(wire.server.http, bytes).await).assert_permanent(8, 413);
}

async fn h15(transport: Transport) {
    let wire = Wire::start(transport).await;
    let answer = wire.export(&grpc::many_mistakes()).await;
    assert_eq!(answer.assert_ok().rejected, Some(3));
    assert!(answer.body.len() < 32 << 10, "{} bytes", answer.body.len());
    // What a refusal repeats is bounded too.
    let answer = post(&wire, &format!("/{}", "p".repeat(20_000)), b"").await;
    answer.assert_permanent(5, 404);
    assert!(answer.body.len() < 4 << 10, "{} bytes", answer.body.len());
}

async fn h16(transport: Transport) {
    let wire = Wire::start(transport).await;
    let answer = wire.export(&spans_request(vec![span()])).await;
    let expected: &[u8] = if transport == Transport::Json { b"{}" } else { b"" };
    assert_eq!(answer.assert_full_success().body, expected);
}

async fn h17(transport: Transport) {
    let wire = Wire::start(transport).await;
    let empty: &[u8] = if transport == Transport::Json { b"{}" } else { b"" };
    for signal in Signal::ALL {
        wire.send(signal, empty).await.assert_full_success();
    }
    wire.export(&logs_request(vec![])).await.assert_full_success();
}

async fn h18(transport: Transport) {
    let wire = Wire::start(transport).await;
    for body in [&b""[..], b" \n"] {
        wire.send(Signal::Logs, body).await.assert_permanent(3, 400);
    }
}

async fn h19(transport: Transport) {
    let wire = Wire::start(transport).await;
    grpc::rejects_exactly(&wire).await;
    if transport == Transport::Json {
        let answer = wire.export(&grpc::many_mistakes()).await;
        let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("it is JSON");
        assert_eq!(json["partialSuccess"]["rejectedSpans"], "3");
    }
}

async fn h20(transport: Transport) {
    let wire = Wire::start(transport).await;
    let (body, field): (&[u8], &str) = match transport {
        Transport::Json => (
            br#"{"resourceLogs":[{},{"scopeLogs":[{"logRecords":[{"timeUnixNano":"x"}]}]}]}"#,
            "resourceLogs[1].scopeLogs[0].logRecords[0].timeUnixNano",
        ),
        _ => (b"\xff", "body"),
    };
    let answer = wire.send(Signal::Logs, body).await;
    answer.assert_permanent(3, 400);
    assert_eq!(answer.field.as_deref(), Some(field));
    if transport == Transport::Json {
        assert!(answer.message.contains("timeUnixNano, byte 65: \"x\" is not"), "{}", answer.message);
    }
    if transport == Transport::Protobuf {
        wire.send(Signal::Logs, &grpc::deep_protobuf(100_000)).await.assert_permanent(3, 400);
    }
    for cut in 1..body.len() {
        assert_eq!(wire.send(Signal::Logs, &body[..cut]).await.http, 400);
    }
}

async fn h21(transport: Transport) {
    grpc::overload(transport).await;
}

async fn h22(transport: Transport) {
    // Those of this server's own failures that a test can bring about; all others are in a unit test of `receiver::http`.
    grpc::transient_failures(transport).await;
    let wire = Wire::limited(transport, 1000).await;
    for answer in [
        wire.send(Signal::Logs, b"\xff").await,
        wire.send(Signal::Logs, &[b' '; 2000]).await,
        wire.send_coded(Signal::Logs, Some("gzip"), b"no gzip").await,
        wire.send_coded(Signal::Logs, Some("br"), b"").await,
        post(&wire, "/v2/logs", b"").await,
        wire.http("GET", "/v1/logs", &[], b"").await,
    ] {
        assert!((400..500).contains(&answer.http) && answer.http != 429 && answer.retry.is_none(), "{answer:?}");
    }
}

async fn h23(transport: Transport) {
    let wire = Wire::limited(transport, 1000).await;
    let kind = [("content-type", transport.content_type())];
    for (answer, expected) in [
        (wire.send(Signal::Logs, b"\xff").await, (400, 3)),
        (wire.send(Signal::Logs, &[b' '; 2000]).await, (413, 8)),
        (wire.send_coded(Signal::Logs, Some("br"), b"").await, (415, 12)),
        (post(&wire, "/v2/logs", b"").await, (404, 5)),
        (wire.http("GET", "/v1/logs", &kind, b"").await, (405, 12)),
    ] {
        assert_eq!((answer.http, answer.code), expected);
    }
    wire.server.intake.close().await;
    let answer = wire.export(&logs_request(vec![log()])).await;
    assert_eq!((answer.http, answer.code), (503, 14));
}

async fn h24(transport: Transport) {
    let wire = Wire::start(transport).await;
    let body = transport.encode(&grpc::many_mistakes());
    let kind = ("content-type", transport.content_type());
    let path = path(Signal::Spans);
    for (accepts, gzipped) in [("gzip", true), ("br, gzip;q=0.5", true), ("gzip;q=0", false), ("br", false)] {
        let answer = wire.http("POST", path, &[kind, ("accept-encoding", accepts)], &body).await;
        assert_eq!(answer.assert_ok().rejected, Some(3), "{accepts}");
        assert!(answer.body.len() >= 1024, "{} bytes are too few to be compressed", answer.body.len());
        assert_eq!(answer.header("content-encoding"), gzipped.then_some("gzip"), "{accepts}");
    }
    // Short answers stay as they are.
    let body = transport.encode(&logs_request(vec![log()]));
    let answer = wire.http("POST", "/v1/logs", &[kind, ("accept-encoding", "gzip")], &body).await;
    assert_eq!(answer.assert_full_success().header("content-encoding"), None);
}

async fn h25(transport: Transport) {
    let wire = Wire::start(transport).await;
    let body = transport.encode(&logs_request(vec![log()]));
    let request = |connection: &str| {
        let kind = transport.content_type();
        let head =
            format!("POST /v1/logs HTTP/1.1\r\nhost: test\r\nconnection: {connection}\r\ncontent-type: {kind}\r\n");
        [format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
    };
    // Three requests in one piece, on one connection.
    let pipelined = [request("keep-alive"), request("keep-alive"), request("close")].concat();
    let mut stream = TcpStream::connect(wire.server.http).await.expect("the door is open");
    stream.write_all(&pipelined).await.expect("the server reads");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.expect("the server ends its answers");
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
    // HTTP/2 that is known beforehand.
    let endpoint = Channel::from_shared(format!("http://{}", wire.server.http)).expect("it is an address");
    let mut channel = endpoint.connect().await.expect("the door is open");
    let request = axum::http::Request::post("http://test/v1/logs").header("content-type", transport.content_type());
    let request = request.body(tonic::body::Body::new(http_body_util::Full::from(body.clone()))).expect("sound");
    let response = channel.ready().await.expect("connected").call(request).await.expect("it is answered");
    assert_eq!(response.status(), 200);
    assert_eq!(wire.rows(Signal::Logs), 4);
}

async fn h26(transport: Transport) {
    let wire = Wire::limited(transport, 1000).await;
    let body = transport.encode(&logs_request(vec![log()]));
    let kind = ("content-type", transport.content_type());
    let ask = |method: &'static str, path: &'static str, mut headers: Vec<(&'static str, String)>| {
        headers.push(("expect", "100-continue".to_owned()));
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        format!("{}\r\n", head(method, path, &headers)).into_bytes()
    };
    let sized = |size: usize| vec![(kind.0, kind.1.to_owned()), ("content-length", size.to_string())];
    for (request, status) in [
        (ask("POST", "/v1/logs", sized(5000)), 413),
        (ask("POST", "/v2/logs", sized(10)), 404),
        (ask("PUT", "/v1/logs", sized(10)), 405),
        (ask("POST", "/v1/logs", vec![("content-length", "10".to_owned())]), 415),
        (ask("POST", "/v1/logs", [sized(10), vec![("content-encoding", "br".to_owned())]].concat()), 415),
    ] {
        assert_eq!(exchange(wire.server.http, request).await.status, status);
    }
    let mut stream = TcpStream::connect(wire.server.http).await.expect("the door is open");
    stream.write_all(&ask("POST", "/v1/logs", sized(body.len()))).await.expect("the server reads");
    let mut invitation = [0; 25];
    stream.read_exact(&mut invitation).await.expect("the server answers");
    assert_eq!(&invitation, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(finish(stream, &body).await.status, 200);
    assert_eq!(wire.rows(Signal::Logs), 1);
}

async fn h27(transport: Transport) {
    let wire = Wire::start(transport).await;
    let body = transport.encode(&logs_request(vec![log()]));
    post(&wire, "/v1/logs/", &body).await.assert_permanent(5, 404);
}

async fn h28(transport: Transport) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(1)));
    let server = Server::with(Config::default(), clock.clone(), Arc::new(RealDisk)).await;
    let body = log_of(200);
    let dripping = begin(server.http, body.len(), &body[..3]).await;
    server.wait_for_in_flight(3).await;
    let wire = Wire { server, transport };
    // Others are served meanwhile.
    wire.export(&logs_request(vec![log()])).await.assert_full_success();
    clock.advance(Duration::from_secs(30));
    wire::of_http(finish(dripping, b"").await).assert_transient();
    wire.server.wait_for_in_flight(0).await;
}

async fn h29(transport: Transport) {
    let wire = Wire::start(transport).await;
    let headers = [("origin", "http://example.com"), ("access-control-request-method", "POST")];
    let answer = wire.http("OPTIONS", "/v1/traces", &headers, b"").await;
    answer.assert_permanent(12, 405);
    assert!(!answer.head.to_ascii_lowercase().contains("access-control"), "{}", answer.head);
}

async fn h31(_: Transport) {
    let defaults = include_str!("../../../../src/config/default.toml");
    for door in ["otlp_grpc", "otlp_http"] {
        assert!(defaults.contains(&format!("{door} = \"127.0.0.1:")), "{door}");
    }
}
