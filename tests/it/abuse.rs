//! The doors under abuse, in short: what the campaigns R11, R12, R13, R16 and R26 do for long. No times are judged here, a busy machine has
//! its own; what is asked is that each abuse is ended or refused, that memory stays, and that the books say so.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use campaign::binary::Subject;
use campaign::otlp::{self, Request};
use campaign::progress::Progress;
use campaign::slow::{self, End, Kind};
use campaign::{r12, r13, r26};
use model::Signal;
use model::wire::status::Receipt;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tui::Client;
use tui::client::{Params, Settings};

use crate::harness::{BINARY, Place, until};

const PROTOBUF: &str = "application/x-protobuf";

// Far longer than any of the server's own limits.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn bombs_of_every_shape_are_refused_and_memory_holds() {
    let plan = r12::Plan {
        trials: 3,
        at_a_time: 3,
        request_mib_max: 8,
        large_mib: 64,
        body_timeout_s: 10,
        quiet: Duration::ZERO,
        factor: None,
        ..r12::Plan::default()
    };
    let figures = r12::run(&Subject::new(BINARY), &plan, &Progress::silent()).await.expect("it runs");
    assert!(figures.wrong.is_empty(), "{}", figures.to_table());
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_http2_frames_end_their_connections() {
    let plan = r26::Plan { connections: 1, attack: Duration::ZERO, factor: None, ..r26::Plan::default() };
    let figures = r26::run(&Subject::new(BINARY), &plan, &Progress::silent()).await.expect("it runs");
    assert!(figures.wrong.is_empty(), "{}", figures.to_table());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_with_ids_costs_its_own_metric_alone() {
    let (series, per_metric_max) = (12_000, Some(1_500));
    let plan = r13::Plan { series, per_metric_max, at_once: 500, keys: 300, large: 8, ..r13::Plan::default() };
    let figures = r13::run(&Subject::new(BINARY), &plan, &Progress::silent()).await.expect("it runs");
    assert!(figures.wrong.is_empty(), "{}", figures.to_table());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_come_in_drops_are_closed_and_counted() {
    let place = Place::new();
    let server = place.serve().await;
    let kinds = [Kind::Silent, Kind::Head, Kind::Body, Kind::Http2Preface, Kind::Http2Head, Kind::Http2Body];
    let mut lives = JoinSet::new();
    for (number, kind) in kinds.into_iter().cycle().take(48).enumerate() {
        let address = server.address(kind.door(number / kinds.len()));
        lives.spawn(async move {
            let never = AtomicBool::new(false);
            let ended = tokio::time::timeout(PATIENCE, slow::live(kind, number, address, &never)).await;
            (kind, ended.ok())
        });
    }
    while let Some(ended) = lives.join_next().await {
        let (kind, end) = ended.expect("no panic");
        assert_eq!(end, Some(End::Closed), "{}", kind.name());
    }
    // Bodies are answered, with a refusal; the others are closed without a word.
    let text = metrics(&server.client()).await;
    assert_eq!(refused(&text, "slow_head"), 32, "{text}");
    let receipts = server.client().status().await.expect("a status").receipts;
    let drips: u64 = receipts.iter().flat_map(|of| &of.shed).map(|(_, count)| *count).sum();
    assert_eq!(drips, 16, "{receipts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_answers_that_nobody_reads_some_wait_and_the_others_are_cut() {
    // As in `query`'s limits.
    const SLOW_CLIENTS_MAX: usize = 16;
    let place = Place::new();
    let server = place.serve().await;
    let exports = Client::new(&server.url("otlp_http"), Settings::default()).expect("a client");
    // Wide ones, so that an answer fills every buffer on its way without much work.
    let record =
        format!(r#"{{"timeUnixNano":"1700000000000000000","body":{{"stringValue":"{}"}}}}"#, "x".repeat(16 << 10));
    let records = vec![record; 300].join(",");
    let logs = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#);
    assert_eq!(exports.post("/v1/logs", "application/json", logs.into()).await.expect("an answer").status, 200);
    let mut readers = Vec::new();
    for _ in 0..SLOW_CLIENTS_MAX + 4 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(64 << 10).expect("the kernel itself takes little");
        let mut socket = socket.connect(server.address("http")).await.expect("a connection");
        let head = b"GET /api/v1/logs?limit=none&start=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        socket.write_all(head).await.expect("a request");
        // All at once, a busy machine would let some wait so long that they are told to come again.
        let mut begin = [0; 12];
        while socket.peek(&mut begin).await.expect("an answer") < begin.len() {}
        assert_eq!(&begin, b"HTTP/1.1 200");
        readers.push(socket);
    }
    let open = format!("sextant_connections{{door=\"http\"}} {}", SLOW_CLIENTS_MAX + 1);
    let asks = server.client();
    until("end of the answers for which there is no place", PATIENCE, async || {
        metrics(&asks).await.contains(&open).then_some(())
    })
    .await;
    let mut ends = JoinSet::new();
    for mut socket in readers {
        ends.spawn(async move {
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).await.is_ok() && answer.ends_with(b"\r\n0\r\n\r\n")
        });
    }
    let whole = ends.join_all().await.into_iter().filter(|whole| *whole).count();
    assert_eq!(whole, SLOW_CLIENTS_MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_files_to_open_comes_back_when_there_are_some() {
    // Some more than it needs by itself, so that it is the accept loop that finds none.
    const FILES: u64 = 32;
    let place = Place::with_files_max(FILES);
    let mut server = place.serve().await;
    let keeps = Client::new(&server.url("http"), Settings::default()).expect("a client");
    let exports = Client::new(&server.url("otlp_http"), Settings::default()).expect("a client");
    export(&exports, 1).await;
    let mut open = Vec::new();
    for _ in 0..FILES {
        open.push(TcpStream::connect(server.address("http")).await.expect("the kernel takes it"));
    }
    until("failure to take a connection", PATIENCE, async || {
        (refused(&metrics(&keeps).await, "accept_failed") > 0).then_some(())
    })
    .await;
    assert!(server.ended().expect("asked").is_none(), "{}", place.stderr());
    drop(open);
    until("answer", PATIENCE, async || {
        let client = Client::new(&server.url("http"), Settings::default()).expect("a client");
        client.fetch("/readyz", &Params::new()).await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    export(&exports, 100).await;
    let status = server.client().status().await.expect("a status");
    let stored = status.tables.get("spans").map_or(0, |of| of.head_rows + of.part_rows);
    assert_eq!(stored, 20, "{}", place.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_series_beyond_the_limit_are_rejected_and_known_ones_go_on() {
    let place = Place::configured("log = \"warn\"\n[collector]\nseries_max = 100\n");
    let server = place.serve().await;
    let exports = Client::new(&server.url("otlp_http"), Settings::default()).expect("a client");
    // The second request knows the first 100 again and brings 50 others.
    for (series, rejected) in [(0..80, 0), (20..150, 50), (0..100, 0)] {
        let answer = exports.post("/v1/metrics", PROTOBUF, points(series.clone())).await.expect("an answer");
        let partial = ExportMetricsServiceResponse::decode(answer.body).expect("an answer of OTLP").partial_success;
        let partial = partial.unwrap_or_default();
        assert_eq!((answer.status, partial.rejected_data_points), (200, rejected), "{series:?}");
        assert_eq!(partial.error_message.contains("series"), rejected > 0, "{}", partial.error_message);
    }
    let url = server.url("http");
    let found = place.run(&["metrics", "query", "count(abuse_level)", "--json", "--url", &url]).succeeded();
    assert!(found.contains("\"100\""), "{found}");
    let receipts: Vec<Receipt> = server.client().status().await.expect("a status").receipts;
    let sum = |what: fn(&Receipt) -> u64| receipts.iter().map(what).sum::<u64>();
    assert_eq!(sum(|of| of.accepted), 80 + 80 + 100);
    assert_eq!(sum(|of| of.rejected.values().sum()), 50, "{receipts:?}");
    let shown = place.run(&["status", "--url", &url]).succeeded();
    assert!(shown.contains("series"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_are_taken_at_either_door() {
    let place = Place::new();
    let server = place.serve().await;
    let random = || fastrand::Rng::with_seed(1);
    for (number, door) in (1..).zip(["otlp_grpc", "otlp_http"]) {
        let http = Client::new(&server.url(door), Settings::default()).expect("a client");
        export(&http, number * 100).await;
        let mut grpc = campaign::load::Door::grpc(&server.url(door)).expect("an address");
        let request = Request::numbered(Signal::Spans, number * 100 + 50, 10, 1_700_000_000_000_000_000, &mut random());
        assert_eq!(grpc.send(request).await.expect("an answer"), campaign::load::Answer::Stored, "{door}");
    }
    let status = server.client().status().await.expect("a status");
    assert_eq!(status.tables.get("spans").map_or(0, |of| of.head_rows + of.part_rows), 40);
}

async fn export(client: &Client, first: u64) {
    let mut random = fastrand::Rng::with_seed(first);
    let body = Request::numbered(Signal::Spans, first, 10, 1_700_000_000_000_000_000, &mut random).encode().0;
    let answer = client.post("/v1/traces", PROTOBUF, Bytes::from(body)).await.expect("an answer");
    assert_eq!(answer.status, 200);
}

async fn metrics(client: &Client) -> String {
    let answer = client.fetch("/metrics", &Params::new()).await.expect("an answer");
    String::from_utf8_lossy(&answer.body).into_owned()
}

// Connections refused or ended for this reason, at all doors.
fn refused(metrics: &str, reason: &str) -> u64 {
    let of_reason = format!("reason=\"{reason}\"");
    let lines = metrics.lines().filter(|line| line.starts_with("sextant_connections_refused_total"));
    let of_reason = lines.filter(|line| line.contains(&of_reason));
    of_reason.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

// A point of each of these series, of now.
fn points(series: std::ops::Range<u64>) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let time_unix_nano = u64::try_from(now.as_nanos()).expect("before 2554");
    let data_points = series.map(|number| NumberDataPoint {
        time_unix_nano,
        attributes: vec![otlp::text("lane", number.to_string())],
        value: Some(number_data_point::Value::AsInt(1)),
        ..NumberDataPoint::default()
    });
    let data = Some(metric::Data::Gauge(Gauge { data_points: data_points.collect() }));
    let metrics = vec![Metric { name: "abuse.level".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into()
}
