//! Prometheus's remote write, versions 1 and 2: what comes of its messages, and what its door answers.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use collector::convert::{Context, SeriesGate, Version, remote_write};
use collector::{Config, Outcome, Reason};
use model::stats::Stats;
use model::{ManualClock, Timestamp};
use prost::Message;
use store::schema::{PointColumns, SeriesKey, column};
use store::{Batch, Table};

use crate::http::{Answer, exchange, head};
use crate::support::{Server, context, correlation_keys};

/// The value that says that a series has ended.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
const NOW_MILLIS: i64 = 1_800_000_000_000;
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(uint64, tag = "6")]
    zero_count: u64,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "13")]
    positive_counts: Vec<f64>,
    #[prost(int64, tag = "15")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Request2 {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<TimeSeries2>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<Exemplar2>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata2>,
    #[prost(int64, tag = "6")]
    created_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata2 {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help_ref: u32,
    #[prost(uint32, tag = "4")]
    unit_ref: u32,
}

fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs.iter().map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() }).collect()
}

fn sample(value: f64, seconds: i64) -> Sample {
    Sample { value, timestamp: NOW_MILLIS + 1_000 * seconds }
}

fn series(pairs: &[(&str, &str)], samples: &[Sample]) -> TimeSeries {
    TimeSeries { labels: labels(pairs), samples: samples.to_vec(), ..TimeSeries::default() }
}

fn convert(version: Version, message: &impl Message) -> (Outcome, Batch) {
    let keys = correlation_keys();
    let mut columns = PointColumns::new(SeriesKey::default());
    let outcome = remote_write(&message.encode_to_vec(), version, &context(&keys), &mut columns);
    (outcome.expect("it is a request"), columns.finish())
}

fn texts<'b>(batch: &'b RecordBatch, name: &str) -> Vec<Option<&'b str>> {
    batch[name].as_string::<i32>().iter().collect()
}

#[test]
fn series_keep_their_names_and_labels_and_are_their_jobs() {
    let up = [("__name__", "up"), ("instance", "db:9187"), ("job", "postgres"), ("empty", "")];
    let request = WriteRequest {
        timeseries: vec![
            series(&up, &[sample(1.0, 0), sample(STALE, 15)]),
            series(&[("__name__", "http_requests_total")], &[sample(f64::NAN, 0)]),
        ],
    };
    let (outcome, batch) = convert(Version::One, &request);
    assert_eq!((outcome.accepted, outcome.rejected.total(), outcome.written.samples), (3, 0, 3));
    let services: Vec<(&str, u64)> = outcome.services.iter().map(|(name, of)| (name, of.accepted)).collect();
    assert_eq!(services, [("", 1), ("postgres", 2)]);
    assert_eq!(texts(&batch.shared, column::METRIC), [Some("up"), Some("http_requests_total")]);
    assert_eq!(texts(&batch.shared, "attr:job"), [Some("postgres"), None]);
    assert_eq!(texts(&batch.shared, "attr:instance"), [Some("db:9187"), None]);
    assert!(batch.shared.column_by_name("attr:empty").is_none(), "a label without a value is none");
    let envelopes = batch.envelopes.as_ref().expect("points have envelopes");
    assert_eq!(texts(envelopes, column::SERVICE)[0], Some("postgres"));
    let values = batch.rows[column::VALUE_DOUBLE].as_primitive::<Float64Type>();
    assert!(values.value(0) == 1.0 && values.is_null(1) && values.value(2).is_nan());
    assert_eq!(batch.rows[column::FLAGS].as_primitive::<UInt32Type>().values(), &[0, 1, 0]);
    let times = batch.rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>();
    assert_eq!(times.value(1) - times.value(0), 15_000_000_000);
}

#[test]
fn the_limit_of_a_metric_refuses_further_series() {
    let config = Config { series_per_metric_max: 1, ..Config::default() };
    let gate = SeriesGate::new(&config, Arc::new(ManualClock::new(Timestamp::default())), &Stats::new());
    let keys = correlation_keys();
    let context = Context { series: Some(&gate), ..context(&keys) };
    let up = |instance| series(&[("__name__", "up"), ("instance", instance)], &[sample(1.0, 0), sample(1.0, 15)]);
    let other = series(&[("__name__", "other"), ("instance", "b")], &[sample(1.0, 0)]);
    let request = WriteRequest { timeseries: vec![up("a"), up("b"), other] };
    let mut columns = PointColumns::new(SeriesKey::default());
    let outcome =
        remote_write(&request.encode_to_vec(), Version::One, &context, &mut columns).expect("it is a request");
    assert_eq!((outcome.accepted, outcome.rejected.count(Reason::MetricSeries)), (3, 2));
    let told = outcome.rejection();
    assert!(told.contains("timeseries[1] \"up\"") && told.contains("series_per_metric_max"), "{told}");
}

#[test]
fn histograms_and_exemplars_come_in_otlps_form() {
    let histogram = Histogram {
        count: 40,
        sum: 7.5,
        zero_count: 3,
        positive_spans: vec![Span { offset: 4, length: 1 }, Span { offset: 2, length: 3 }],
        positive_deltas: vec![10, 10, -15, -3],
        timestamp: NOW_MILLIS,
        ..Histogram::default()
    };
    let trace = [("trace_id", "0af7651916cd43dd8448eb211c80319c"), ("order.id", "o-17"), ("span_id", "odd")];
    let exemplar = Exemplar { labels: labels(&trace), value: 0.3, timestamp: NOW_MILLIS };
    let fractions = Histogram { positive_counts: vec![0.5], ..histogram.clone() };
    let mut of_latency = series(&[("__name__", "latency")], &[]);
    of_latency.histograms = vec![histogram, fractions];
    of_latency.exemplars = vec![exemplar];
    let (outcome, batch) = convert(Version::One, &WriteRequest { timeseries: vec![of_latency] });
    assert_eq!((outcome.accepted, outcome.rejected.count(Reason::NativeHistogram)), (1, 1));
    assert_eq!((outcome.written.histograms, outcome.written.exemplars), (1, 1));
    let offsets = batch.rows[column::POSITIVE_OFFSET].as_primitive::<arrow::datatypes::Int32Type>();
    let counts = batch.rows[column::POSITIVE_COUNTS].as_list::<i32>().value(0);
    assert_eq!(offsets.value(0), 3);
    assert_eq!(counts.as_primitive::<UInt64Type>().values(), &[10, 0, 0, 20, 5, 2]);
    let exemplars = batch.exemplars.as_ref().expect("there is one");
    let id = exemplars[column::TRACE_ID].as_fixed_size_binary();
    assert_eq!(id.value(0)[..2], [0x0a, 0xf7]);
    assert!(exemplars[column::SPAN_ID].as_fixed_size_binary().is_null(0), "it is no id");
}

#[test]
fn version_2_names_texts_by_their_places_and_says_what_a_metric_is() {
    let symbols = ["", "__name__", "rpc_calls_total", "job", "shop", "Calls so far", "calls", "__name__"];
    let series = |labels_refs: &[u32]| TimeSeries2 {
        labels_refs: labels_refs.to_vec(),
        samples: vec![sample(5.0, 0)],
        metadata: Some(Metadata2 { kind: 1, help_ref: 5, unit_ref: 6 }),
        created_timestamp: NOW_MILLIS - 60_000,
        ..TimeSeries2::default()
    };
    let request = Request2 {
        symbols: symbols.map(str::to_owned).to_vec(),
        timeseries: vec![series(&[1, 2, 3, 4]), series(&[1, 99]), series(&[1]), series(&[1, 2, 7, 4]), series(&[3, 4])],
    };
    let (outcome, batch) = convert(Version::Two, &request);
    assert_eq!(outcome.accepted, 1);
    for (reason, count) in [(Reason::LabelReference, 2), (Reason::LabelNames, 1), (Reason::MetricName, 1)] {
        assert_eq!(outcome.rejected.count(reason), count, "{reason:?}");
    }
    assert_eq!(texts(&batch.shared, column::METRIC), [Some("rpc_calls_total")]);
    assert_eq!(texts(&batch.shared, column::DESCRIPTION), [Some("Calls so far")]);
    assert!(batch.shared[column::MONOTONIC].as_boolean().value(0));
    let starts = batch.rows[column::START_TIMESTAMP].as_primitive::<TimestampNanosecondType>();
    assert_eq!(starts.value(0), (NOW_MILLIS - 60_000) * 1_000_000);
}

#[test]
fn bytes_that_are_no_request_are_refused_and_leave_nothing() {
    let keys = correlation_keys();
    let good = WriteRequest { timeseries: vec![series(&[("__name__", "up")], &[sample(1.0, 0)])] }.encode_to_vec();
    for cut in 1..good.len() {
        let mut columns = PointColumns::new(SeriesKey::default());
        let outcome = remote_write(&good[..cut], Version::One, &context(&keys), &mut columns);
        assert!(outcome.is_err() && columns.is_empty(), "{cut}");
    }
}

async fn write(server: &Server, content_type: &str, encoding: &str, body: &[u8]) -> Answer {
    let length = body.len().to_string();
    let headers = [("content-type", content_type), ("content-encoding", encoding), ("content-length", &length)];
    let head = head("POST", "/api/v1/write", &headers);
    exchange(server.http, [head.as_bytes(), b"\r\n", body].concat()).await
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("it fits")
}

#[tokio::test]
async fn the_door_answers_as_prometheus_expects() {
    let server = Server::start(Config::default()).await;
    let one = WriteRequest { timeseries: vec![series(&[("__name__", "up")], &[sample(1.0, 0), sample(1.0, 1)])] };
    let body = snappy(&one.encode_to_vec());
    let answer = write(&server, "application/x-protobuf", "snappy", &body).await;
    assert_eq!((answer.status, answer.header("x-prometheus-remote-write-samples-written")), (204, Some("2")));
    let answer = write(&server, "application/x-protobuf;proto=prometheus.WriteRequest", "", &body).await;
    assert_eq!(answer.status, 204);
    assert_eq!(server.rows(Table::Points), 4);

    // Of a request with a mistake everything else is stored, and its sender does not send it again.
    let odd = series(&[("__name__", "up"), ("a", "1"), ("a", "2")], &[sample(1.0, 2)]);
    let partly = WriteRequest { timeseries: vec![one.timeseries[0].clone(), odd] };
    let answer = write(&server, "application/x-protobuf", "snappy", &snappy(&partly.encode_to_vec())).await;
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!((answer.status, answer.header("x-prometheus-remote-write-samples-written")), (400, Some("2")), "{said}");
    assert!(said.starts_with("1 of 3 samples rejected") && said.contains("timeseries[1] \"up\""), "{said}");
    assert_eq!(server.rows(Table::Points), 6);

    let two = Request2 {
        symbols: ["", "__name__", "up"].map(str::to_owned).to_vec(),
        timeseries: vec![TimeSeries2 { labels_refs: vec![1, 2], samples: vec![sample(0.0, 3)], ..Default::default() }],
    };
    assert_eq!(write(&server, V2, "snappy", &snappy(&two.encode_to_vec())).await.status, 204);
    assert_eq!(server.rows(Table::Points), 7);

    for (content_type, encoding, body, status) in [
        ("application/json", "snappy", body.clone(), 415),
        ("application/x-protobuf;proto=a.Stranger", "snappy", body.clone(), 415),
        ("application/x-protobuf", "gzip", body.clone(), 415),
        ("application/x-protobuf", "snappy", b"no block".to_vec(), 400),
        ("application/x-protobuf", "snappy", snappy(b"no message"), 400),
        // A GiB is announced.
        ("application/x-protobuf", "snappy", vec![0x80, 0x80, 0x80, 0x80, 0x04, 0], 413),
        // 16 MiB in six bytes.
        ("application/x-protobuf", "snappy", vec![0x80, 0x80, 0x80, 0x08, 0, 0], 400),
    ] {
        let answer = write(&server, content_type, encoding, &body).await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{content_type} {encoding}: {said}");
        assert!(answer.header("retry-after").is_none() && !said.is_empty());
    }
    assert_eq!(server.rows(Table::Points), 7);
    let get = head("GET", "/api/v1/write", &[]) + "\r\n";
    assert_eq!(exchange(server.http, get.into_bytes()).await.status, 405);
    let door = [("door", "remote_write"), ("signal", "points")];
    assert_eq!(server.count("sextant_ingest_accepted_items_total", &door), 7);
    assert_eq!(server.count("sextant_ingest_requests_total", &door), 11);
}
