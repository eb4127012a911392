//! What the server of the tests answers, to every question there is. A new question gets its arms here.

use model::wire::alerts::{Alert, AlertSample, Alerts, Notifications, Rules};
use model::wire::correlate::Correlation;
use model::wire::counts::{Histogram, HistogramSeries, Service, Services};
use model::wire::logs::LogRow;
use model::wire::points::Exemplar;
use model::wire::prom::QueryData;
use model::wire::spans::{SpanEvent, SpanRow};
use model::wire::status::{Status, TableStatus, WalStatus};
use model::wire::traces::{Trace, TraceSpan};
use model::wire::{Meta, Page};
use serde_json::{Map, Value, json};
use tui::dashboard::shelf::{Boards, Shelf};
use tui::effect::{Ask, Names, Reply, Trouble, TroubleKind};
use tui::sanitize::Safe;
use tui::screen::Args;

/// What a screen is opened with in the tests.
pub fn args(screen: &str) -> Args {
    match screen {
        "trace" => Args { id: TRACE.to_owned(), ..Args::default() },
        "correlate" => Args { id: "order-4711".to_owned(), ..Args::default() },
        _ => Args::default(),
    }
}

pub const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A shop in which payments fail.
pub fn shop(ask: &Ask) -> Result<Reply, Trouble> {
    Ok(answer(ask, &Words::SHOP))
}

/// The same shop with names in other scripts, pictures, and writing from right to left.
pub fn wide(ask: &Ask) -> Result<Reply, Trouble> {
    Ok(answer(ask, &Words::WIDE))
}

/// A server that has nothing.
pub fn empty(ask: &Ask) -> Result<Reply, Trouble> {
    Ok(match ask {
        Ask::Status => Reply::Status(Box::default()),
        Ask::Services { .. } => Reply::Services(Services::default()),
        Ask::Alerts => Reply::Alerts(Alerts::default()),
        Ask::Rules => Reply::Rules(Rules::default()),
        Ask::Notifications => Reply::Notifications(Notifications::default()),
        Ask::Logs(_) => Reply::Logs(Page { rows: Vec::new(), meta: Meta::default() }),
        Ask::Spans(_) => Reply::Spans(Page { rows: Vec::new(), meta: Meta::default() }),
        Ask::LogHistogram(_) | Ask::SpanHistogram(_) => Reply::Histogram(Histogram::default()),
        Ask::Trace { .. } => Reply::Trace(Box::default()),
        Ask::Correlate { id } => Reply::Correlation(Box::new(Correlation { id: id.clone(), ..Correlation::default() })),
        Ask::Query { .. } => Reply::Query(QueryData::Vector(Vec::new())),
        Ask::QueryRange { .. } => Reply::Query(QueryData::Matrix(Vec::new())),
        Ask::LabelValues { .. } | Ask::ValuesOf { .. } | Ask::LabelNames { .. } => Reply::Values(Vec::new()),
        Ask::Metadata => Reply::Names(Names::default()),
        Ask::Boards => Reply::Boards(boards()),
    })
}

/// A server that refuses.
pub fn refusing(_: &Ask) -> Result<Reply, Trouble> {
    let mut trouble = Trouble::new(TroubleKind::Refused, "the server refused: too many queries are waiting");
    trouble.hint = Some(Safe::from_static("try again in a second"));
    Err(trouble)
}

/// A server that takes filters for wrong.
pub fn complaining(ask: &Ask) -> Result<Reply, Trouble> {
    match ask {
        Ask::Logs(_) | Ask::Spans(_) | Ask::LogHistogram(_) | Ask::SpanHistogram(_) => {
            let mut trouble = Trouble::new(TroubleKind::Wrong, "the server refused /api/v1/logs: \"(\" is not closed");
            trouble.position = Some(8);
            Err(trouble)
        }
        other => shop(other),
    }
}

/// An older server, without counts and alerts.
pub fn old(ask: &Ask) -> Result<Reply, Trouble> {
    if ask.may_be_unknown() {
        let mut trouble = Trouble::new(TroubleKind::Unknown, "the server refused the path: 404 Not Found");
        trouble.hint = Some(Safe::from_static("this server is older than the dashboard; update it"));
        return Err(trouble);
    }
    shop(ask)
}

/// No server.
pub fn gone(_: &Ask) -> Result<Reply, Trouble> {
    Err(Trouble::new(TroubleKind::Lost, "cannot reach the server at http://127.0.0.1:3300"))
}

/// The shop, but every answer that can be is partial.
pub fn partial(ask: &Ask) -> Result<Reply, Trouble> {
    let reason = Some("the time budget of 10000 ms is used up".to_owned());
    Ok(match answer(ask, &Words::SHOP) {
        Reply::Services(of) => Reply::Services(Services { partial: true, reason, ..of }),
        Reply::Logs(of) => Reply::Logs(Page { meta: Meta { partial: true, reason, ..of.meta }, ..of }),
        Reply::Spans(of) => Reply::Spans(Page { meta: Meta { partial: true, reason, ..of.meta }, ..of }),
        Reply::Histogram(of) => Reply::Histogram(Histogram { partial: true, reason, ..of }),
        Reply::Trace(of) => Reply::Trace(Box::new(Trace { partial: true, reason, ..*of })),
        Reply::Correlation(of) => Reply::Correlation(Box::new(Correlation { partial: true, reason, ..*of })),
        other => other,
    })
}

/// The words that a world is made of.
struct Words {
    services: [&'static str; 3],
    operations: [&'static str; 4],
    bodies: [&'static str; 5],
    order: &'static str,
}

impl Words {
    const SHOP: Words = Words {
        services: ["gateway", "orders", "payments"],
        operations: ["POST /checkout", "create order", "charge card", "SELECT orders"],
        bodies: [
            "checkout accepted",
            "order created",
            "payment declined: card 4000...0002 has insufficient funds",
            "retrying charge",
            "connection pool is nearly exhausted",
        ],
        order: "order-4711",
    };

    const WIDE: Words = Words {
        services: ["网关服务", "заказы", "платёжи💳"],
        operations: ["POST /結帳", "ordre créé 🚀", "חיוב כרטיס", "SELECT * FROM 注文"],
        bodies: [
            "チェックアウト完了",
            "👩\u{200d}🚀 hat bestellt",
            "הכרטיס נדחה: אין כיסוי",
            "e\u{301}te\u{301} à 東京",
            "مخزن الاتصالات ممتلئ",
        ],
        order: "注文-4711",
    };
}

/// The shipped boards.
pub fn boards() -> Boards {
    Shelf::new(None).boards()
}

// Every moment of the fixture lies some seconds before the moment of the tests.
pub fn at(seconds_before: u64, millis: u64) -> String {
    let now = model::Timestamp::parse(super::driver::NOW, model::Timestamp::default()).expect("a time");
    let nanos = (seconds_before * 1_000 - millis) * 1_000_000;
    now.saturating_add(-i64::try_from(nanos).expect("short")).to_string()
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn answer(ask: &Ask, words: &Words) -> Reply {
    match ask {
        Ask::Status => Reply::Status(Box::new(status())),
        Ask::Services { .. } => Reply::Services(services(words)),
        Ask::Alerts => Reply::Alerts(Alerts { alerts: alerts(words) }),
        Ask::Rules => Reply::Rules(super::numbers::rules(words.services)),
        Ask::Notifications => Reply::Notifications(super::numbers::notifications()),
        Ask::Logs(of) if of.query.starts_with("trace_id") => {
            Reply::Logs(Page { rows: trace_logs(words), meta: Meta::default() })
        }
        Ask::Logs(_) => Reply::Logs(Page { rows: logs(words), meta: Meta::default() }),
        Ask::Spans(_) => Reply::Spans(Page { rows: spans(words), meta: Meta::default() }),
        Ask::LogHistogram(of) => Reply::Histogram(histogram(of.buckets, &["error", "warn", "info", "debug"])),
        Ask::SpanHistogram(of) => Reply::Histogram(histogram(of.buckets, &["error", "ok", "unset"])),
        Ask::Trace { id } => Reply::Trace(Box::new(trace(id, words))),
        Ask::Correlate { id } => Reply::Correlation(Box::new(correlation(id, words))),
        Ask::Query { expression, at } => Reply::Query(super::numbers::instant(expression, *at, words.services)),
        Ask::QueryRange { expression, range, step_ns } => {
            Reply::Query(super::numbers::over_time(expression, *range, *step_ns, words.services))
        }
        Ask::LabelValues { .. } => Reply::Values(vec!["http_server_request_duration_seconds".to_owned()]),
        Ask::ValuesOf { .. } => Reply::Values(words.services.map(|name| format!("shop/{name}")).to_vec()),
        Ask::LabelNames { .. } => Reply::Values(["instance", "job", "le"].map(str::to_owned).to_vec()),
        Ask::Metadata => Reply::Names(super::numbers::names()),
        Ask::Boards => Reply::Boards(boards()),
    }
}

fn status() -> Status {
    let table = |rows, bytes| TableStatus {
        head_rows: 1_200,
        head_bytes: 400_000,
        parts: 3,
        part_rows: rows,
        part_bytes: bytes,
        ..TableStatus::default()
    };
    Status {
        version: "0.1.0".to_owned(),
        mode: "serving".to_owned(),
        started: at(7_200, 0),
        ingest_seq: 1_234_567,
        doors: [("http", "3300"), ("otlp_grpc", "4317"), ("otlp_http", "4318")]
            .map(|(door, port)| (door.to_owned(), format!("127.0.0.1:{port}")))
            .into(),
        durability: "always".to_owned(),
        wal: WalStatus { segments: 2, bytes: 41_000_000 },
        tables: [("logs".to_owned(), table(900_000, 80_000_000)), ("spans".to_owned(), table(300_000, 51_000_000))]
            .into(),
        counters: [
            ("sextant_ingest_accepted_items_total{door=\"otlp_grpc\",signal=\"logs\"}".to_owned(), 1_200_000),
            (
                "sextant_ingest_rejected_items_total{door=\"otlp_grpc\",signal=\"logs\",reason=\"too_large\"}"
                    .to_owned(),
                3,
            ),
        ]
        .into(),
        ..Status::default()
    }
}

fn services(words: &Words) -> Services {
    let service = |name: &str, requests: u64, errors: u64, p50: u64, shape: fn(usize) -> f64| Service {
        service: name.to_owned(),
        requests,
        errors,
        rate: requests as f64 / 900.0,
        error_share: errors as f64 / requests.max(1) as f64,
        p50_ns: (requests > 0).then_some(p50),
        p95_ns: (requests > 0).then_some(p50 * 7),
        p99_ns: (requests > 0).then_some(p50 * 12),
        rates: (0..30).map(shape).collect(),
        error_shares: vec![0.0; 30],
        logs: requests * 3,
        log_errors: errors,
        last_seen: at(2, 0),
    };
    let [gateway, orders, payments] = words.services;
    Services {
        start: at(900, 0),
        end: at(0, 0),
        step_ns: 30_000_000_000,
        services: vec![
            service(gateway, 37_080, 412, 12_000_000, |step| 40.0 + (step % 7) as f64),
            service(orders, 12_360, 0, 4_500_000, |step| 10.0 + step as f64 / 3.0),
            service(payments, 9_120, 2_310, 81_000_000, |step| if step < 20 { 12.0 } else { 4.0 }),
            service("", 0, 0, 0, |_| 0.0),
        ],
        ..Services::default()
    }
}

fn alerts(words: &Words) -> Vec<Alert> {
    let [_, orders, payments] = words.services;
    vec![
        Alert {
            labels: [("alertname", "PaymentErrors"), ("service", payments), ("severity", "page")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            annotations: [("summary".to_owned(), format!("{payments}: 25% of requests fail"))].into(),
            state: "firing".to_owned(),
            active_at: Some(at(260, 0)),
            fired_at: Some(at(200, 0)),
            value: "2.5e-01".to_owned(),
            fingerprint: "00000000000000a1".to_owned(),
            samples: vec![AlertSample {
                timestamp: at(9, 132),
                service: Some(payments.to_owned()),
                severity: Some("error".to_owned()),
                text: words.bodies[2].to_owned(),
                trace_id: Some(TRACE.to_owned()),
                span_id: Some("00f067aa0ba902b7".to_owned()),
                correlation_id: Some(words.order.to_owned()),
            }],
            ..Alert::default()
        },
        Alert {
            labels: [("alertname", "SlowOrders"), ("service", orders)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            annotations: [("description".to_owned(), "p95 above 30ms".to_owned())].into(),
            state: "pending".to_owned(),
            active_at: Some(at(40, 0)),
            value: "3.15e-02".to_owned(),
            fingerprint: "00000000000000b2".to_owned(),
            ..Alert::default()
        },
    ]
}

// Newest first, as the server answers.
fn logs(words: &Words) -> Vec<LogRow> {
    let severities = [("info", 9), ("info", 9), ("error", 17), ("warn", 13), ("warn", 13), ("debug", 5), ("fatal", 21)];
    let row = |index: u64| {
        let (severity, number) = severities[index as usize % severities.len()];
        let place = index as usize;
        LogRow {
            timestamp: at(9 + index * 3, 132),
            ingest_seq: 1_234_567 - index,
            service: Some(words.services[place % 3].to_owned()),
            trace_id: (index % 4 != 3).then(|| TRACE.to_owned()),
            span_id: (index % 4 != 3).then(|| format!("00f067aa0ba902b{}", 5 + index % 3)),
            correlation_id: index.is_multiple_of(2).then(|| words.order.to_owned()),
            observed_timestamp: at(9 + index * 3, 140),
            severity: Some(severity.to_owned()),
            severity_number: number,
            severity_text: severity.to_uppercase(),
            body: words.bodies[place % 5].into(),
            attributes: map(
                json!({"order.id": words.order, "amount": 4_200 + index, "cart": {"items": 3, "gift": false}}),
            ),
            resource: map(json!({"service.name": words.services[place % 3], "service.version": "1.4.2"})),
            ..LogRow::default()
        }
    };
    (0..40).map(row).collect()
}

// Oldest first, within the trace; the last names a span that is not there.
fn trace_logs(words: &Words) -> Vec<LogRow> {
    let places = [
        ("info", 9, 5, 2, 0),
        ("debug", 5, 7, 35, 3),
        ("error", 17, 7, 240, 2),
        ("warn", 13, 6, 284, 4),
        ("info", 9, 0, 300, 1),
    ];
    let row = |(severity, number, span, millis, body): (&str, i32, u64, u64, usize)| LogRow {
        timestamp: at(9, 100 + millis),
        ingest_seq: 1_000 + millis,
        service: Some(words.services[body % 3].to_owned()),
        trace_id: Some(TRACE.to_owned()),
        span_id: Some(format!("00f067aa0ba902b{span}")),
        correlation_id: Some(words.order.to_owned()),
        severity: Some(severity.to_owned()),
        severity_number: number,
        body: words.bodies[body].into(),
        attributes: map(json!({"order.id": words.order})),
        ..LogRow::default()
    };
    places.map(row).to_vec()
}

fn spans(words: &Words) -> Vec<SpanRow> {
    let mut rows = Vec::new();
    for index in 0..30u64 {
        let mut row = span(words, index, "00f067aa0ba902b5", None, index as usize % 4, 1_000_000 * (3 + index * index));
        row.trace_id = format!("{:032x}", 0x0af7_6519_16cd_43dd_u64 + index);
        rows.push(row);
    }
    rows
}

fn span(words: &Words, index: u64, id: &str, parent: Option<&str>, operation: usize, duration_ns: u64) -> SpanRow {
    let status = ["unset", "error", "ok"][index as usize % 3];
    SpanRow {
        timestamp: at(9 + index * 2, 100),
        ingest_seq: 1_000 + index,
        service: Some(words.services[index as usize % 3].to_owned()),
        trace_id: TRACE.to_owned(),
        span_id: id.to_owned(),
        correlation_id: Some(words.order.to_owned()),
        name: words.operations[operation].to_owned(),
        kind: "server".to_owned(),
        duration_ns,
        end_timestamp: at(8 + index * 2, 100),
        status: status.to_owned(),
        status_message: if status == "error" { words.bodies[2].to_owned() } else { String::new() },
        parent_span_id: parent.map(str::to_owned),
        attributes: map(json!({"http.route": "/checkout", "http.response.status_code": 502, "order.id": words.order})),
        resource: map(json!({"service.name": words.services[index as usize % 3]})),
        ..SpanRow::default()
    }
}

fn trace(id: &str, words: &Words) -> Trace {
    let places = [
        (0, "00f067aa0ba902b5", None, 0, 0, 340, 0),
        (1, "00f067aa0ba902b6", Some("00f067aa0ba902b5"), 1, 12, 300, 2),
        (2, "00f067aa0ba902b7", Some("00f067aa0ba902b6"), 2, 30, 250, 1),
        (2, "00f067aa0ba902b8", Some("00f067aa0ba902b6"), 3, 285, 20, 2),
        (0, "00f067aa0ba902b9", Some("00000000000000ff"), 3, 120, 15, 0),
    ];
    let place = |(depth, span_id, parent, operation, offset, millis, index): (
        usize,
        &str,
        Option<&str>,
        usize,
        u64,
        u64,
        u64,
    )| {
        let mut row = span(words, index, span_id, parent, operation, millis * 1_000_000);
        row.timestamp = at(9, 100 + offset);
        row.end_timestamp = at(9, 100 + offset + millis);
        if row.status == "error" {
            row.events = vec![SpanEvent {
                timestamp: at(9, 100 + offset + 200),
                name: "exception".to_owned(),
                attributes: map(json!({"exception.type": "CardDeclined", "exception.message": words.bodies[2]})),
                ..SpanEvent::default()
            }];
        }
        TraceSpan {
            depth,
            missing_parent: parent == Some("00000000000000ff"),
            offset_ns: offset * 1_000_000,
            span: row,
        }
    };
    Trace {
        trace_id: id.to_owned(),
        start: at(9, 100),
        end: at(9, 440),
        duration_ns: 340_000_000,
        services: words.services.map(str::to_owned).to_vec(),
        errors: 1,
        spans: places.map(place).to_vec(),
        partial: true,
        reason: Some("1 span names a parent that is not there".to_owned()),
    }
}

fn correlation(id: &str, words: &Words) -> Correlation {
    let mut logs = logs(words);
    logs.truncate(4);
    logs.reverse();
    let spans = trace(TRACE, words).spans.into_iter().map(|span| span.span).collect();
    let exemplar = Exemplar {
        timestamp: at(9, 420),
        metric: Some("http.server.request.duration".to_owned()),
        service: Some(words.services[0].to_owned()),
        value: json!(0.34),
        trace_id: Some(TRACE.to_owned()),
        ..Exemplar::default()
    };
    Correlation {
        id: id.to_owned(),
        kind: "correlation".to_owned(),
        start: Some(at(18, 132)),
        end: Some(at(9, 440)),
        services: words.services.map(str::to_owned).to_vec(),
        spans,
        logs,
        exemplars: vec![exemplar],
        alerts: vec![Alert {
            labels: [("alertname".to_owned(), "PaymentErrors".to_owned())].into(),
            state: "firing".to_owned(),
            active_at: Some(at(5, 0)),
            value: "3.1e+01".to_owned(),
            ..Alert::default()
        }],
        partial: false,
        reason: None,
    }
}

fn histogram(buckets: usize, keys: &[&str]) -> Histogram {
    let counts = |kind: usize| (0..buckets).map(move |bucket| ((bucket * (kind + 3)) % 17 * (kind + 1)) as u64);
    let series: Vec<HistogramSeries> = keys
        .iter()
        .enumerate()
        .map(|(kind, key)| HistogramSeries { key: (*key).to_owned(), counts: counts(kind).collect() })
        .collect();
    let total = series.iter().flat_map(|series| &series.counts).sum();
    Histogram {
        start: at(900, 0),
        end: at(0, 0),
        step_ns: 900_000_000_000 / buckets.max(1) as u64,
        series,
        total,
        ..Histogram::default()
    }
}
