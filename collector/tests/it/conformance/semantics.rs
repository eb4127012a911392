//! The rows about what the data mean. Each is sent over the wire and judged by the answer; what is kept of it is read from the
//! rows that the same bytes become.

use collector::Reason;
use model::Signal;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use store::schema::column;

use super::row;
use super::wire::{Transport, Wire};
use crate::equivalence::Request;
use crate::flatten::{self, Lone};
use crate::rebuild;
use crate::support::{RECEIVED, gauge, log, logs_request, metrics_request, point, span, spans_request};

const ALL: &[Transport] = &[Transport::Grpc, Transport::Protobuf, Transport::Json];

pub fn rows() -> Vec<super::Row> {
    vec![
        row!(
            s01,
            "S01",
            "MUST",
            ALL,
            "a span's ids missing, zero or of wrong length",
            "that span rejected, the others stored"
        ),
        row!(
            s02,
            "S02",
            "own",
            ALL,
            "a span that ends before it starts",
            "kept as sent, with a duration of 0; shown with `clock_skew`"
        ),
        row!(
            s03,
            "S03",
            "MUST",
            ALL,
            "a log's times 0",
            "time from the observed time, observed time from the receipt; marked as such"
        ),
        row!(s04, "S04", "-", ALL, "severity number and text", "kept verbatim, unknown numbers too"),
        row!(s05, "S05", "-", ALL, "flags of spans, links and logs", "all 32 bits kept"),
        row!(
            s06,
            "S06",
            "MAY",
            ALL,
            "span kind unspecified, status unset",
            "kept as they are; no status is status unset"
        ),
        row!(s07, "S07", "-", ALL, "dropped counts", "kept: of resource, scope, items, events and links"),
        row!(s08, "S08", "-", ALL, "schema URLs of resource and scope", "both kept"),
        row!(s09, "S09", "-", ALL, "event_name of a log record", "kept"),
        row!(s10, "S10", "MUST", ALL, "temporality unspecified", "the points rejected"),
        row!(s11, "S11", "-", ALL, "the flag NO_RECORDED_VALUE", "kept, with or without a value"),
        row!(
            s12,
            "S12",
            "MUST",
            ALL,
            "a histogram whose bounds and counts do not fit, or do not ascend",
            "the point rejected"
        ),
        row!(
            s13,
            "S13",
            "-",
            ALL,
            "a number point without value; a metric without data",
            "the point rejected; a warning"
        ),
        row!(s14, "S14", "MUST", ALL, "nothing rejected, nothing to say", "partial_success unset"),
        row!(s15, "S15", "-", ALL, "a scope without name", "kept with an empty name"),
    ]
}

// Sends the items; all are stored without a word.
async fn accepted<R: Request>(transport: Transport, request: &R) {
    let wire = Wire::start(transport).await;
    wire.export(request).await.assert_full_success();
    assert!(wire.rows(R::SIGNAL) > 0);
}

// Sends the items; so many are rejected, for this reason, and so many stored.
async fn rejected<R: Request>(transport: Transport, request: &R, reason: Reason, count: i64, stored: usize) {
    let wire = Wire::start(transport).await;
    let answer = wire.export(request).await;
    assert_eq!(answer.assert_ok().rejected, Some(count), "{answer:?}");
    assert!(answer.message.contains(reason.what()), "{answer:?}");
    assert_eq!(wire.rows(R::SIGNAL), stored);
}

fn same<T: std::fmt::Debug>(sent: Vec<Lone<T>>, kept: Vec<Lone<T>>) {
    let text = |items: Vec<Lone<T>>| items.iter().map(Lone::text).collect::<Vec<_>>();
    assert_eq!(text(kept), text(sent));
}

// The spans are stored and nothing of them is lost.
async fn spans_kept(transport: Transport, spans: Vec<Span>) {
    let request = spans_request(spans);
    accepted(transport, &request).await;
    same(flatten::spans(&request), rebuild::spans(&transport.convert(&request).1));
}

async fn logs_kept(transport: Transport, records: Vec<LogRecord>) {
    let request = logs_request(records);
    accepted(transport, &request).await;
    same(flatten::logs(&request), rebuild::logs(&transport.convert(&request).1));
}

async fn points_kept(transport: Transport, metrics: Vec<Metric>) {
    let request = metrics_request(metrics);
    accepted(transport, &request).await;
    same(flatten::points(&request), rebuild::points(&transport.convert(&request).1));
}

async fn s01(transport: Transport) {
    for (bad, reason) in [
        (Span { trace_id: vec![], ..span() }, Reason::TraceId),
        (Span { trace_id: vec![0; 16], ..span() }, Reason::TraceId),
        (Span { trace_id: vec![1; 8], ..span() }, Reason::TraceId),
        (Span { span_id: vec![], ..span() }, Reason::SpanId),
        (Span { span_id: vec![0; 8], ..span() }, Reason::SpanId),
        (Span { span_id: vec![1; 16], ..span() }, Reason::SpanId),
    ] {
        rejected(transport, &spans_request(vec![span(), bad, span()]), reason, 1, 2).await;
    }
}

async fn s02(transport: Transport) {
    let backwards = Span { start_time_unix_nano: 9, end_time_unix_nano: 4, ..span() };
    spans_kept(transport, vec![backwards.clone()]).await;
    let (_, batch) = transport.convert(&spans_request(vec![backwards]));
    assert_eq!(rebuild::unsigned(&rebuild::expand(&batch), column::DURATION_NS, 0), Some(0));
}

async fn s03(transport: Transport) {
    let received = RECEIVED.as_nanos() as u64;
    for (sent, expected) in
        [((5, 7), (5, 7)), ((0, 7), (7, 7)), ((5, 0), (5, received)), ((0, 0), (received, received))]
    {
        let (time_unix_nano, observed_time_unix_nano) = sent;
        let record = LogRecord { time_unix_nano, observed_time_unix_nano, ..log() };
        // It comes back as it was sent, because what was filled in is marked.
        logs_kept(transport, vec![record.clone()]).await;
        let (_, batch) = transport.convert(&logs_request(vec![record]));
        let rows = rebuild::expand(&batch);
        let kept = [column::TIMESTAMP, column::OBSERVED_TIMESTAMP].map(|name| rebuild::nanos(&rows, name, 0));
        assert_eq!((kept[0], kept[1]), expected);
    }
}

async fn s04(transport: Transport) {
    let record = |severity_number, text: &str| LogRecord { severity_number, severity_text: text.to_owned(), ..log() };
    logs_kept(transport, (0..=24).map(|number| record(number, "Wärnung \u{0} ")).collect()).await;
    logs_kept(transport, vec![record(99, ""), record(-1, "x")]).await;
}

async fn s05(transport: Transport) {
    let flags = [0, 1, 0x300, 0x100, 0xff, u32::MAX];
    let with_link = |flags| Span { flags, links: vec![Link { flags, ..Link::default() }], ..span() };
    spans_kept(transport, flags.map(with_link).to_vec()).await;
    logs_kept(transport, flags.map(|flags| LogRecord { flags, ..log() }).to_vec()).await;
}

async fn s06(transport: Transport) {
    let unset = Span { kind: 0, status: Some(Status::default()), ..span() };
    spans_kept(transport, vec![unset.clone(), Span { status: None, ..unset }]).await;
}

async fn s07(transport: Transport) {
    let spans = vec![Span {
        dropped_attributes_count: 1,
        dropped_events_count: 2,
        dropped_links_count: u32::MAX,
        events: vec![Event { dropped_attributes_count: 4, ..Event::default() }],
        links: vec![Link { dropped_attributes_count: 5, ..Link::default() }],
        ..span()
    }];
    let mut request = spans_request(spans);
    request.resource_spans[0].resource = Some(Resource { dropped_attributes_count: 6, ..Resource::default() });
    let scope = InstrumentationScope { dropped_attributes_count: 7, ..InstrumentationScope::default() };
    request.resource_spans[0].scope_spans[0].scope = Some(scope);
    accepted(transport, &request).await;
    same(flatten::spans(&request), rebuild::spans(&transport.convert(&request).1));
    logs_kept(transport, vec![LogRecord { dropped_attributes_count: 8, ..log() }]).await;
}

async fn s08(transport: Transport) {
    let mut request = logs_request(vec![log()]);
    request.resource_logs[0].schema_url = "https://opentelemetry.io/schemas/1.27.0".to_owned();
    request.resource_logs[0].scope_logs[0].schema_url = "https://example.com/2".to_owned();
    accepted(transport, &request).await;
    same(flatten::logs(&request), rebuild::logs(&transport.convert(&request).1));
}

async fn s09(transport: Transport) {
    logs_kept(transport, vec![LogRecord { event_name: "browser.page_view".to_owned(), ..log() }, log()]).await;
}

async fn s10(transport: Transport) {
    let sum = Sum { data_points: vec![point(); 2], ..Sum::default() };
    let histogram = Histogram { data_points: vec![HistogramDataPoint::default()], ..Histogram::default() };
    let data_points = vec![ExponentialHistogramDataPoint::default()];
    let exponential = ExponentialHistogram { data_points, ..ExponentialHistogram::default() };
    for (data, count) in
        [(Data::Sum(sum), 2), (Data::Histogram(histogram), 1), (Data::ExponentialHistogram(exponential), 1)]
    {
        let metric = Metric { name: "m".to_owned(), data: Some(data), ..Metric::default() };
        let request = metrics_request(vec![metric, gauge(vec![point()])]);
        rejected(transport, &request, Reason::Temporality, count, 1).await;
    }
}

async fn s11(transport: Transport) {
    let stale = NumberDataPoint { flags: 1, value: None, ..point() };
    points_kept(transport, vec![gauge(vec![stale, NumberDataPoint { flags: 1, ..point() }])]).await;
}

async fn s12(transport: Transport) {
    let of = |bucket_counts: &[u64], explicit_bounds: &[f64]| {
        let (bucket_counts, explicit_bounds) = (bucket_counts.to_vec(), explicit_bounds.to_vec());
        let point = HistogramDataPoint { bucket_counts, explicit_bounds, time_unix_nano: 5, ..Default::default() };
        let data = Histogram { data_points: vec![point], aggregation_temporality: 2 };
        metrics_request(vec![Metric { name: "h".to_owned(), data: Some(Data::Histogram(data)), ..Metric::default() }])
    };
    for (counts, bounds) in [(&[][..], &[][..]), (&[4], &[]), (&[1, 2], &[0.5]), (&[0, 1, 2], &[-1.0, 1.0])] {
        accepted(transport, &of(counts, bounds)).await;
    }
    for (counts, bounds, reason) in [
        (&[1][..], &[1.0][..], Reason::Buckets),
        (&[], &[1.0], Reason::Buckets),
        (&[1, 2, 3], &[1.0], Reason::Buckets),
        (&[1, 2, 3], &[1.0, 1.0], Reason::Bounds),
        (&[1, 2, 3], &[2.0, 1.0], Reason::Bounds),
        (&[1, 2], &[f64::NAN], Reason::Bounds),
    ] {
        rejected(transport, &of(counts, bounds), reason, 1, 0).await;
    }
}

async fn s13(transport: Transport) {
    let valueless = NumberDataPoint { value: None, ..point() };
    rejected(transport, &metrics_request(vec![gauge(vec![valueless, point()])]), Reason::NoValue, 1, 1).await;
    let wire = Wire::start(transport).await;
    let dataless = Metric { name: "m".to_owned(), ..Metric::default() };
    let answer = wire.export(&metrics_request(vec![dataless, gauge(vec![point()])])).await;
    assert_eq!(answer.assert_ok().rejected, Some(0), "{answer:?}");
    assert!(answer.message.contains("metrics without data"), "{answer:?}");
    assert_eq!(wire.rows(Signal::Points), 1);
    let pointless = Metric { data: Some(Data::Gauge(Gauge::default())), ..gauge(vec![]) };
    wire.export(&metrics_request(vec![pointless])).await.assert_full_success();
}

async fn s14(transport: Transport) {
    let wire = Wire::start(transport).await;
    for _ in 0..2 {
        let answer = wire.export(&logs_request(vec![log()])).await;
        assert_eq!(answer.assert_full_success().rejected, None);
    }
    assert!(wire.export(&logs_request(vec![])).await.is_full_success());
}

async fn s15(transport: Transport) {
    let mut request = logs_request(vec![log()]);
    let attributes = vec![KeyValue { key: "k".to_owned(), ..KeyValue::default() }];
    let scope = InstrumentationScope { version: "1".to_owned(), attributes, ..InstrumentationScope::default() };
    request.resource_logs[0].scope_logs[0].scope = Some(scope);
    accepted(transport, &request).await;
    let kept = rebuild::logs(&transport.convert(&request).1);
    assert_eq!((kept[0].scope.name.as_str(), kept[0].scope.version.as_str()), ("", "1"));
    same(flatten::logs(&request), kept);
}
