//! OTLP/HTTP over real connections, written byte by byte, so that every mistake a client can make can be made.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use collector::Config;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::{ManualClock, SystemClock, Timestamp};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use store::Table;
use store::disk::RealDisk;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::faulty::FaultyDisk;
use crate::support::{Server, gauge, log, logs_request, metrics_request, point, span, spans_request};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Code and message of the `google.rpc.Status` in the body, whichever encoding it says it has.
    pub fn rpc_status(&self) -> (i64, String) {
        if self.header("content-type") == Some(PROTOBUF) {
            let status = RpcStatus::decode(&self.body[..]).expect("the body is a Status");
            return (i64::from(status.code), status.message);
        }
        assert_eq!(self.header("content-type"), Some(JSON));
        let status: serde_json::Value = serde_json::from_slice(&self.body).expect("the body is JSON");
        let code = status["code"].as_i64().expect("there is a code");
        (code, status["message"].as_str().expect("there is a message").to_owned())
    }
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}")
}

/// Sends bytes as they are and reads the answer. Writing goes on while the answer is read, as far as the server lets it.
pub async fn exchange(address: SocketAddr, bytes: Vec<u8>) -> Answer {
    let stream = TcpStream::connect(address).await.expect("the door is open");
    let (mut read, mut write) = stream.into_split();
    let writing = tokio::spawn(async move {
        // The server may answer and close before all is written.
        let _ = write.write_all(&bytes).await;
        write
    });
    let mut answer = Vec::new();
    read.read_to_end(&mut answer).await.expect("the server ends its answer");
    drop(writing.await);
    parse(&answer)
}

pub fn parse(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("there is a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("there is a status");
    Answer { status, head, body: answer[end + 4..].to_vec() }
}

pub async fn call(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let head = head(method, path, headers);
    let length = format!("content-length: {}\r\n\r\n", body.len());
    exchange(address, [head.as_bytes(), length.as_bytes(), body].concat()).await
}

pub async fn export(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    call(address, "POST", path, &[("content-type", PROTOBUF)], body).await
}

async fn export_gzip(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    call(address, "POST", path, &[("content-type", PROTOBUF), ("content-encoding", "gzip")], body).await
}

async fn export_chunked(address: SocketAddr, path: &str, chunks: &[&[u8]]) -> Answer {
    let mut bytes = head("POST", path, &[("content-type", PROTOBUF), ("transfer-encoding", "chunked")]).into_bytes();
    bytes.extend_from_slice(b"\r\n");
    for chunk in chunks {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    exchange(address, bytes).await
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn one_log() -> Vec<u8> {
    logs_request(vec![log()]).encode_to_vec()
}

/// A request of exactly `bytes` bytes with one record.
pub fn log_of(bytes: usize) -> Vec<u8> {
    let text = |length| LogRecord { severity_text: "x".repeat(length), ..log() };
    let overhead = logs_request(vec![text(bytes)]).encoded_len() - bytes;
    let request = logs_request(vec![text(bytes - overhead)]).encode_to_vec();
    assert_eq!(request.len(), bytes, "choose a size whose lengths take as many bytes as the text's");
    request
}

fn small(bytes: u64) -> Config {
    Config { request_bytes_max: bytes, ..Config::default() }
}

#[tokio::test]
async fn every_signal_is_stored_before_it_is_answered() {
    let server = Server::start(Config::default()).await;
    for (path, body, table) in [
        ("/v1/logs", one_log(), Table::Logs),
        ("/v1/traces", spans_request(vec![span(), span()]).encode_to_vec(), Table::Spans),
        ("/v1/metrics", metrics_request(vec![gauge(vec![point(), point()])]).encode_to_vec(), Table::Points),
    ] {
        let before = server.rows(table);
        for answer in [
            export(server.http, path, &body).await,
            export_gzip(server.http, path, &gzip(&body)).await,
            export_gzip(server.http, path, &[gzip(&body[..5]), gzip(&body[5..])].concat()).await,
            export_chunked(server.http, path, &[&body[..7], &body[7..]]).await,
            call(server.http, "POST", path, &[("content-type", "APPLICATION/X-Protobuf; charset=utf-8")], &body).await,
            call(server.http, "POST", path, &[("content-type", PROTOBUF), ("content-encoding", "identity")], &body)
                .await,
        ] {
            assert_eq!((answer.status, &answer.body[..]), (200, &b""[..]), "{path}: {}", answer.head);
            assert_eq!(answer.header("content-type"), Some(PROTOBUF));
        }
        let items = if table == Table::Logs { 1 } else { 2 };
        assert_eq!(server.rows(table) - before, 6 * items, "{path}");
    }
    assert_eq!(server.count("sextant_ingest_accepted_items_total", &[("door", "otlp_http")]), 30);
    assert_eq!(server.count("sextant_ingest_requests_total", &[("door", "otlp_http"), ("signal", "logs")]), 6);
}

#[tokio::test]
async fn nothing_to_store_is_a_success() {
    let server = Server::start(Config::default()).await;
    let empty_envelopes = logs_request(vec![]).encode_to_vec();
    for path in ["/v1/logs", "/v1/traces", "/v1/metrics"] {
        for body in [&[][..], &empty_envelopes] {
            let answer = export(server.http, path, body).await;
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        }
    }
    assert_eq!(Table::ALL.map(|table| server.rows(table)), [0; 4]);
}

#[tokio::test]
async fn partial_success_counts_exactly_and_keeps_the_rest() {
    let server = Server::start(Config::default()).await;
    let no_trace = Span { trace_id: vec![], name: "lost".to_owned(), ..span() };
    let no_id = Span { span_id: vec![0; 8], ..span() };
    let spans = vec![span(), no_trace.clone(), span(), no_id, no_trace, span()];
    let answer = export(server.http, "/v1/traces", &spans_request(spans).encode_to_vec()).await;
    assert_eq!(answer.status, 200);
    let response = ExportTraceServiceResponse::decode(&answer.body[..]).expect("the body is a response");
    let partial = response.partial_success.expect("some spans were rejected");
    assert_eq!(partial.rejected_spans, 3);
    let message = partial.error_message;
    assert!(message.starts_with("3 of 6 spans rejected: 2 because trace_id is not 16 bytes"), "{message}");
    assert!(message.contains("(first resource_spans[0].scope_spans[0].spans[1] \"lost\")"), "{message}");
    assert_eq!(server.rows(Table::Spans), 3);
    let rejected = "sextant_ingest_rejected_items_total";
    assert_eq!(server.count(rejected, &[("reason", "invalid_trace_id"), ("signal", "spans")]), 2);
    assert_eq!(server.count(rejected, &[("reason", "invalid_span_id")]), 1);
}

#[tokio::test]
async fn wrong_requests_get_a_status_in_their_own_encoding() {
    let server = Server::start(Config::default()).await;
    let sound = one_log();
    let packed = gzip(&sound);
    let mut no_utf8 = logs_request(vec![LogRecord { severity_text: "abc".to_owned(), ..log() }]).encode_to_vec();
    let position = no_utf8.windows(3).position(|window| window == b"abc").expect("the text is in the bytes");
    no_utf8[position] = 0xff;
    let trailing = [&packed[..], b"garbage"].concat();
    let typed = [("content-type", PROTOBUF)];
    let zipped = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    let brotli = [("content-type", PROTOBUF), ("content-encoding", "br")];
    let twice = [("content-type", PROTOBUF), ("content-encoding", "gzip, gzip")];
    let json = [("content-type", JSON)];
    let text = [("content-type", "text/plain")];
    type Case<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str, i64);
    let cases: [Case<'_>; 20] = [
        ("no protobuf", "POST", "/v1/logs", &typed, b"\xff\xff\xff", 400, PROTOBUF, 3),
        ("another signal", "POST", "/v1/traces", &typed, b"\x0a\x02\x08\x01", 400, PROTOBUF, 3),
        ("cut short", "POST", "/v1/logs", &typed, &sound[..sound.len() - 1], 400, PROTOBUF, 3),
        ("no UTF-8", "POST", "/v1/logs", &typed, &no_utf8, 400, PROTOBUF, 3),
        ("no gzip", "POST", "/v1/logs", &zipped, &sound, 400, PROTOBUF, 3),
        ("gzip cut short", "POST", "/v1/logs", &zipped, &packed[..packed.len() - 1], 400, PROTOBUF, 3),
        ("gzip with a tail", "POST", "/v1/logs", &zipped, &trailing, 400, PROTOBUF, 3),
        ("gzip of nothing at all", "POST", "/v1/logs", &zipped, b"", 400, PROTOBUF, 3),
        ("no content type", "POST", "/v1/logs", &[], &sound, 415, JSON, 12),
        ("json", "POST", "/v1/logs", &json, b"{", 400, JSON, 3),
        ("text", "POST", "/v1/logs", &text, &sound, 415, JSON, 12),
        ("brotli", "POST", "/v1/logs", &brotli, &sound, 415, PROTOBUF, 12),
        ("two encodings", "POST", "/v1/logs", &twice, &packed, 415, PROTOBUF, 12),
        ("get", "GET", "/v1/logs", &typed, b"", 405, PROTOBUF, 12),
        ("put", "PUT", "/v1/traces", &typed, &sound, 405, PROTOBUF, 12),
        ("get from a browser", "GET", "/v1/metrics", &[], b"", 405, JSON, 12),
        ("unknown path", "POST", "/v1/profiles", &typed, &sound, 404, PROTOBUF, 5),
        ("trailing slash", "POST", "/v1/logs/", &typed, &sound, 404, PROTOBUF, 5),
        ("root", "GET", "/", &[], b"", 404, JSON, 5),
        ("unknown path, json", "POST", "/v1/log", &json, b"{}", 404, JSON, 5),
    ];
    for (name, method, path, headers, body, status, content_type, code) in cases {
        let answer = call(server.http, method, path, headers, body).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.head);
        assert_eq!(answer.header("content-type"), Some(content_type), "{name}");
        let (own_code, message) = answer.rpc_status();
        assert_eq!(own_code, code, "{name}: {message}");
        assert!(message.contains("; "), "{name}: {message:?} gives no advice");
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST"), "{name}");
        assert_eq!(answer.header("retry-after"), None, "{name}");
        let encodings = (name == "brotli" || name == "two encodings").then_some("gzip, zstd, identity");
        assert_eq!(answer.header("accept-encoding"), encodings, "{name}");
    }
    assert_eq!(Table::ALL.map(|table| server.rows(table)), [0; 4]);
    let refused = "sextant_ingest_refused_requests_total";
    assert_eq!(server.count(refused, &[("reason", "undecodable"), ("signal", "logs")]), 4);
    assert_eq!(server.count(refused, &[("reason", "bad_compression")]), 4);
    assert_eq!(server.count(refused, &[]), cases.len() as u64);
}

#[tokio::test]
async fn the_size_limit_is_exact_after_decompression() {
    let server = Server::start(small(1000)).await;
    let (fits, exceeds) = (log_of(1000), log_of(1001));
    let (whole, half) = (gzip(&exceeds), exceeds.len() / 2);
    let members = [gzip(&exceeds[..half]), gzip(&exceeds[half..])].concat();
    assert!(whole.len() < 500, "it is small before it is decompressed");
    for (name, answer, status) in [
        ("fits", export(server.http, "/v1/logs", &fits).await, 200),
        ("fits in gzip", export_gzip(server.http, "/v1/logs", &gzip(&fits)).await, 200),
        ("fits in chunks", export_chunked(server.http, "/v1/logs", &[&fits[..500], &fits[500..]]).await, 200),
        ("exceeds", export(server.http, "/v1/logs", &exceeds).await, 413),
        ("exceeds in gzip", export_gzip(server.http, "/v1/logs", &whole).await, 413),
        ("exceeds in gzip members", export_gzip(server.http, "/v1/logs", &members).await, 413),
        ("exceeds in chunks", export_chunked(server.http, "/v1/logs", &[&exceeds[..500], &exceeds[500..]]).await, 413),
        ("far too large", export(server.http, "/v1/logs", &vec![0; 8 << 20]).await, 413),
        ("far too large in chunks", export_chunked(server.http, "/v1/logs", &[&[0; 1 << 16][..]; 64]).await, 413),
    ] {
        assert_eq!(answer.status, status, "{name}: {}", answer.head);
        if status == 413 {
            assert_eq!(answer.header("content-type"), Some(PROTOBUF), "{name}");
            let (code, message) = answer.rpc_status();
            assert_eq!(code, 8, "{name}: {message}");
            assert!(message.contains("1000 bytes"), "{name}: {message}");
            assert_eq!(answer.header("retry-after"), None, "{name}");
        }
    }
    assert_eq!(server.rows(Table::Logs), 3);
    assert_eq!(server.count("sextant_ingest_in_flight_bytes", &[]), 0);
}

#[tokio::test]
async fn who_asks_first_need_not_send() {
    let server = Server::start(small(1000)).await;
    let expects = [("content-type", PROTOBUF), ("expect", "100-continue"), ("content-length", "5000")];
    let head = head("POST", "/v1/logs", &expects);
    let answer = exchange(server.http, format!("{head}\r\n").into_bytes()).await;
    assert_eq!(answer.status, 413, "{}", answer.head);
}

#[tokio::test]
async fn a_bomb_takes_no_more_memory_than_the_limit() {
    let server = Server::start(small(4 << 20)).await;
    // One member and 63 copies of it: a gibibyte.
    let bomb = gzip(&vec![0; 16 << 20]).repeat(64);
    assert!(bomb.len() < 4 << 20, "it passes as long as it is compressed");
    let before = peak_resident_bytes();
    let answer = export_gzip(server.http, "/v1/logs", &bomb).await;
    let grown = peak_resident_bytes().saturating_sub(before);
    assert_eq!(answer.status, 413, "{}", answer.head);
    // The tests beside this one share the process; what they take is far from a gibibyte.
    assert!(grown < 256 << 20, "{grown} bytes");
    assert_eq!(server.count("sextant_ingest_in_flight_bytes", &[]), 0);
}

pub fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has the peak");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kib * 1024
}

/// A request whose head and first bytes are sent; the rest is up to the test.
pub async fn begin(address: SocketAddr, length: usize, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the door is open");
    let head = head("POST", "/v1/logs", &[("content-type", PROTOBUF)]);
    let head = format!("{head}content-length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), first].concat()).await.expect("the server reads");
    stream
}

pub async fn finish(mut stream: TcpStream, rest: &[u8]) -> Answer {
    stream.write_all(rest).await.expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the server ends its answer");
    parse(&answer)
}

#[tokio::test]
async fn a_full_server_says_come_again() {
    let server = Server::start(Config { in_flight_bytes_max: 2000, ..small(1000) }).await;
    let body = log_of(1000);
    let first = begin(server.http, body.len(), &body[..900]).await;
    let second = begin(server.http, body.len(), &body[..900]).await;
    server.wait_for_in_flight(1800).await;
    let answer = export(server.http, "/v1/logs", &body).await;
    assert_eq!(answer.status, 503, "{}", answer.head);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.rpc_status().0, 14);
    for waiting in [first, second] {
        assert_eq!(finish(waiting, &body[900..]).await.status, 200);
    }
    assert_eq!(export(server.http, "/v1/logs", &body).await.status, 200);
    assert_eq!(server.rows(Table::Logs), 3);
    assert_eq!(server.count("sextant_ingest_refused_requests_total", &[("reason", "overloaded")]), 1);
    assert_eq!(server.count("sextant_ingest_in_flight_bytes", &[]), 0);
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(1)));
    let server = Server::with(Config::default(), clock.clone(), Arc::new(RealDisk)).await;
    let body = one_log();
    let dripping = begin(server.http, body.len(), &body[..3]).await;
    server.wait_for_in_flight(3).await;
    clock.advance(Duration::from_secs(30));
    let answer = finish(dripping, b"").await;
    assert_eq!(answer.status, 503, "{}", answer.head);
    assert_eq!(answer.header("retry-after"), Some("5"));
    server.wait_for_in_flight(0).await;
    assert_eq!(export(server.http, "/v1/logs", &body).await.status, 200);
}

#[tokio::test]
async fn who_hangs_up_leaves_nothing_behind() {
    let server = Server::start(Config::default()).await;
    let body = log_of(1000);
    let stream = begin(server.http, body.len(), &body[..900]).await;
    server.wait_for_in_flight(900).await;
    drop(stream);
    server.wait_for_in_flight(0).await;
    assert_eq!(server.rows(Table::Logs), 0);
}

#[tokio::test]
async fn a_closed_server_says_come_again() {
    let server = Server::start(Config::default()).await;
    server.intake.close().await;
    let answer = export(server.http, "/v1/logs", &one_log()).await;
    assert_eq!((answer.status, answer.rpc_status().0), (503, 14), "{}", answer.head);
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(server.rows(Table::Logs), 0);
}

#[tokio::test]
async fn a_failing_disk_says_come_again() {
    let disk = FaultyDisk::default();
    let server = Server::with(Config::default(), Arc::new(SystemClock::new()), Arc::new(disk.clone())).await;
    assert_eq!(export(server.http, "/v1/logs", &one_log()).await.status, 200);
    disk.fail(true);
    // One is converted beside its connection, the other on a thread of its own.
    for body in [one_log(), logs_request(vec![log(); 20_000]).encode_to_vec()] {
        let answer = export(server.http, "/v1/logs", &body).await;
        let (code, message) = answer.rpc_status();
        assert_eq!((answer.status, code), (503, 14), "{message}");
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert!(!message.contains("the test broke the disk"), "what the disk said is not the sender's: {message}");
    }
    assert_eq!(server.rows(Table::Logs), 1);
    disk.fail(false);
    assert_eq!(export(server.http, "/v1/logs", &one_log()).await.status, 200);
    assert_eq!(server.rows(Table::Logs), 2);
    assert_eq!(server.count("sextant_ingest_refused_requests_total", &[("reason", "store")]), 2);
    assert_eq!(server.count("sextant_ingest_accepted_items_total", &[]), 2);
}

#[tokio::test]
async fn a_swarm_of_empty_records_is_too_large() {
    let server = Server::start(Config::default()).await;
    // Two bytes each, some hundred in memory.
    let records = [0x12, 0].repeat(8 << 20);
    let field = |tag: u8, content: &[u8]| {
        let mut head = vec![tag];
        prost::encode_length_delimiter(content.len(), &mut head).expect("a vector grows");
        [head, content.to_vec()].concat()
    };
    let swarm = field(0x0a, &field(0x12, &records));
    let before = peak_resident_bytes();
    let answer = export_gzip(server.http, "/v1/logs", &gzip(&swarm)).await;
    let grown = peak_resident_bytes().saturating_sub(before);
    assert_eq!((answer.status, answer.rpc_status().0), (413, 8), "{}", answer.head);
    assert!(grown < 256 << 20, "{grown} bytes");
    assert_eq!(server.count("sextant_ingest_refused_requests_total", &[("reason", "too_many_parts")]), 1);
}

#[tokio::test]
async fn a_swarm_of_empty_records_in_json_is_too_large() {
    let server = Server::start(Config::default()).await;
    // Three bytes each, some hundred in memory.
    let swarm = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}{{}}]}}]}}]}}"#, "{},".repeat(16 << 20));
    let headers = [("content-type", JSON), ("content-encoding", "zstd")];
    let packed = zstd::encode_all(swarm.as_bytes(), 1).expect("memory takes it");
    let before = peak_resident_bytes();
    let answer = call(server.http, "POST", "/v1/logs", &headers, &packed).await;
    let grown = peak_resident_bytes().saturating_sub(before);
    assert_eq!((answer.status, answer.rpc_status().0), (413, 8), "{}", answer.head);
    assert!(grown < 256 << 20, "{grown} bytes");
    assert_eq!(server.count("sextant_ingest_refused_requests_total", &[("reason", "too_many_parts")]), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_a_time_are_all_stored() {
    let server = Server::start(Config::default()).await;
    // Large enough that some are converted on threads of their own.
    let sizes = [1, 10, 2000, 7000];
    let calls = (0..60).map(|number| {
        let size = sizes[number % sizes.len()];
        let address = server.http;
        tokio::spawn(async move {
            let record = LogRecord { severity_text: "some text".to_owned(), ..log() };
            let body = logs_request(vec![record; size]).encode_to_vec();
            let zipped = number % 2 == 0;
            let answer = if zipped {
                export_gzip(address, "/v1/logs", &gzip(&body)).await
            } else {
                export(address, "/v1/logs", &body).await
            };
            assert_eq!(answer.status, 200, "{}", answer.head);
            size
        })
    });
    let mut sent = 0;
    for call in calls.collect::<Vec<_>>() {
        sent += call.await.expect("the call succeeds");
    }
    assert_eq!(server.rows(Table::Logs), sent);
    assert_eq!(server.count("sextant_ingest_accepted_items_total", &[("signal", "logs")]), sent as u64);
}
