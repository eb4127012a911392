//! Points of series beyond a metric's limit: what is added up, what is refused, and that the books hold.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use collector::convert::{self, Context, Encoding, SeriesGate};
use collector::{Config, Outcome, Reason, Warning};
use model::stats::Stats;
use model::{ManualClock, Signal, TimeRange, Timestamp};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use store::delta::{Total, TotalValue};
use store::schema::{PointColumns, column, metric_type};
use store::{Batch, Narrow, Projection, Table};

use crate::http::{exchange, head};
use crate::support::{RECEIVED, Server, correlation_keys};

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;
const SECOND: u64 = 1_000_000_000;
const SENT: u64 = 1_800_000_000_000_000_000 - 5 * SECOND;

fn gate(series_max: u64, series_per_metric_max: u64) -> SeriesGate {
    let config = Config { series_max, series_per_metric_max, ..Config::default() };
    SeriesGate::new(&config, Arc::new(ManualClock::new(Timestamp::default())), &Stats::new())
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

// One service's metrics.
fn request(service: &str, instance: &str, metrics: Vec<Metric>) -> ResourceMetrics {
    let attributes = vec![text("service.name", service), text("service.instance.id", instance)];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }
}

fn metric(name: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: "1".to_owned(), data: Some(data), ..Metric::default() }
}

fn int(user: u64, value: i64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![text("user", &user.to_string())],
        start_time_unix_nano: SENT - 60 * SECOND,
        time_unix_nano: SENT,
        value: Some(number_data_point::Value::AsInt(value)),
        ..NumberDataPoint::default()
    }
}

fn double(user: u64, value: f64) -> NumberDataPoint {
    NumberDataPoint { value: Some(number_data_point::Value::AsDouble(value)), ..int(user, 0) }
}

fn sum(name: &str, aggregation_temporality: i32, is_monotonic: bool, data_points: Vec<NumberDataPoint>) -> Metric {
    metric(name, Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic }))
}

// Whose, its bounds, its counts and its sum.
type HistogramPoint<'p> = (u64, &'p [f64], &'p [u64], Option<f64>);

fn histogram(name: &str, points: &[HistogramPoint<'_>]) -> Metric {
    let points = points.iter().map(|(user, bounds, counts, sum)| HistogramDataPoint {
        attributes: vec![text("user", &user.to_string())],
        time_unix_nano: SENT,
        count: counts.iter().sum(),
        sum: *sum,
        min: Some(*user as f64),
        max: Some(*user as f64),
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    });
    let of = Histogram { data_points: points.collect(), aggregation_temporality: DELTA };
    metric(name, Data::Histogram(of))
}

fn exponential(name: &str, points: &[(u64, i32, i32, &[u64])]) -> Metric {
    let points = points.iter().map(|(user, scale, offset, counts)| ExponentialHistogramDataPoint {
        attributes: vec![text("user", &user.to_string())],
        time_unix_nano: SENT,
        count: counts.iter().sum(),
        sum: Some(1.5),
        scale: *scale,
        positive: Some(Buckets { offset: *offset, bucket_counts: counts.to_vec() }),
        ..ExponentialHistogramDataPoint::default()
    });
    let of = ExponentialHistogram { data_points: points.collect(), aggregation_temporality: DELTA };
    metric(name, Data::ExponentialHistogram(of))
}

fn bytes(resource_metrics: Vec<ResourceMetrics>) -> Vec<u8> {
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn convert(gate: &SeriesGate, request: Vec<ResourceMetrics>) -> (Outcome, Batch) {
    convert_again(gate, request, false)
}

fn convert_again(gate: &SeriesGate, request: Vec<ResourceMetrics>, is_repeated: bool) -> (Outcome, Batch) {
    let keys = correlation_keys();
    let context = Context { series: Some(gate), is_repeated, ..crate::support::context(&keys) };
    let mut columns = PointColumns::new([3; 16]);
    let bytes = bytes(request);
    let outcome = convert::points(&bytes, Encoding::Protobuf, &context, &mut columns).expect("it is sound");
    let batch = columns.finish();
    assert_eq!(outcome.accepted, batch.len() as u64, "accepted is what is stored");
    (outcome, batch)
}

fn ints(batch: &Batch) -> Vec<Option<i64>> {
    batch.rows[column::VALUE_INT].as_primitive::<Int64Type>().iter().collect()
}

fn number<T: arrow::datatypes::ArrowPrimitiveType>(rows: &RecordBatch, name: &str, row: usize) -> T::Native {
    rows[name].as_primitive::<T>().value(row)
}

fn list<T: arrow::datatypes::ArrowPrimitiveType>(rows: &RecordBatch, name: &str, row: usize) -> Vec<T::Native> {
    rows[name].as_list::<i32>().value(row).as_primitive::<T>().values().to_vec()
}

#[test]
fn deltas_of_further_series_are_added_up_for_each_service() {
    let gate = gate(100, 2);
    let calls = |points| sum("calls", DELTA, true, points);
    let (outcome, batch) = convert(
        &gate,
        vec![
            request("shop", "a", vec![calls(vec![int(1, 1), int(2, 2), int(3, 4), int(4, 8)])]),
            request("shop", "b", vec![calls(vec![int(5, 16), int(1, 32)])]),
            request("bank", "c", vec![calls(vec![int(6, 64)])]),
        ],
    );
    assert_eq!(ints(&batch), [Some(1), Some(2), Some(4 + 8 + 16 + 32), Some(64)]);
    assert_eq!((outcome.accepted, outcome.folded, outcome.rejected.total()), (4, 3, 0));
    assert_eq!(outcome.warnings.count(Warning::SeriesFolded), 5, "each of them is told");
    let services: Vec<_> = outcome.services.iter().map(|(name, of)| (name, of.accepted, of.folded)).collect();
    assert_eq!(services, [("bank", 1, 0), ("shop", 3, 3)]);
    let told = outcome.partial_success(Signal::Points).expect("it is told");
    assert_eq!(told.rejected, 0);
    let says = ["5 times", "series_per_metric_max", "overflow series", "data_points[2] \"calls\""];
    assert!(says.iter().all(|text| told.message.contains(text)), "{}", told.message);

    // Of the series nothing is left but what the sum depends on.
    let (rows, series) = (&batch.rows, &batch.shared);
    assert_eq!(number::<TimestampNanosecondType>(rows, column::TIMESTAMP, 2), RECEIVED.as_nanos());
    let start = number::<TimestampNanosecondType>(rows, column::START_TIMESTAMP, 2);
    assert_eq!(start, (SENT - 60 * SECOND) as i64);
    assert_eq!(series.num_rows(), 4);
    assert!(series["attr:otel.metric.overflow"].as_boolean().value(2) && series["attr:user"].is_null(2));
    assert_eq!(
        (series[column::METRIC].as_string::<i32>().value(3), series[column::UNIT].as_string::<i32>().value(3)),
        ("calls", "1")
    );
    let envelopes = batch.envelopes.as_ref().expect("there are envelopes");
    let envelope = number::<UInt32Type>(series, column::ENVELOPE, 3) as usize;
    assert_eq!(envelopes[column::SERVICE].as_string::<i32>().value(envelope), "bank");
    assert_eq!(envelopes[column::SCOPE_NAME].as_string::<i32>().value(envelope), "sextant.overflow");
    assert!(envelopes["res:service.instance.id"].is_null(envelope));

    // A series that is known goes on, and so does the overflow series, as the same.
    let (outcome, again) = convert(
        &gate,
        vec![request("shop", "z", vec![calls(vec![int(1, 5)])]), request("shop", "a", vec![calls(vec![int(2, 6)])])],
    );
    assert_eq!((ints(&again), outcome.folded), (vec![Some(6), Some(5)], 0));
    let ids = |batch: &Batch| batch.shared[column::SERIES_ID].as_primitive::<UInt64Type>().values().to_vec();
    assert_eq!(ids(&again), [ids(&batch)[1], ids(&batch)[2]]);
}

#[test]
fn what_cannot_be_added_up_is_refused() {
    let lapsed = NumberDataPoint { flags: 1, value: None, ..int(9, 0) };
    let bounds: &[f64] = &[1.0, 2.0];
    let gauge = |points| metric("m", Data::Gauge(Gauge { data_points: points }));
    let summary =
        SummaryDataPoint { time_unix_nano: SENT, attributes: vec![text("user", "9")], ..SummaryDataPoint::default() };
    let without_sum = |name| histogram(name, &[(9, bounds, &[1, 2, 3], None)]);
    // Each after a point that takes the one series, and after one that opens the overflow series where there may be one.
    let cases: Vec<(&str, Metric, Metric)> = vec![
        ("a gauge", gauge(vec![int(1, 1)]), gauge(vec![int(9, 1)])),
        ("a cumulative sum", sum("m", CUMULATIVE, true, vec![int(1, 1)]), sum("m", CUMULATIVE, true, vec![int(9, 1)])),
        ("a summary", gauge(vec![int(1, 1)]), metric("m", Data::Summary(Summary { data_points: vec![summary] }))),
        ("an end", sum("m", DELTA, true, vec![int(1, 1), int(2, 1)]), sum("m", DELTA, true, vec![lapsed])),
        (
            "a negative count",
            sum("m", DELTA, true, vec![int(1, 1), int(2, 1)]),
            sum("m", DELTA, true, vec![int(9, -1)]),
        ),
        ("not a number", sum("m", DELTA, true, vec![int(1, 1)]), sum("m", DELTA, true, vec![double(9, f64::NAN)])),
        ("infinity", sum("m", DELTA, false, vec![int(1, 1)]), sum("m", DELTA, false, vec![double(9, f64::INFINITY)])),
        (
            "another monotony",
            sum("m", DELTA, true, vec![int(1, 1), int(2, 1)]),
            sum("m", DELTA, false, vec![int(9, 1)]),
        ),
        (
            "other bounds",
            histogram("m", &[(1, bounds, &[1, 2, 3], Some(1.0)), (2, bounds, &[1, 2, 3], Some(1.0))]),
            histogram("m", &[(9, &[1.0], &[1, 2], Some(1.0))]),
        ),
        (
            "no sum",
            histogram("m", &[(1, bounds, &[1, 2, 3], Some(1.0)), (2, bounds, &[1, 2, 3], Some(1.0))]),
            without_sum("m"),
        ),
        (
            "too far apart",
            exponential("m", &[(1, 3, 0, &[1]), (2, 3, 0, &[1])]),
            exponential("m", &[(2, 3, 0, &[1]), (9, 3, -1_000_000_000, &[1])]),
        ),
    ];
    for (what, before, further) in cases {
        let gate = gate(100, 1);
        let (outcome, _) = convert(&gate, vec![request("s", "i", vec![before])]);
        assert_eq!(outcome.rejected.total(), 0, "{what}");
        let (outcome, _) = convert(&gate, vec![request("s", "i", vec![further])]);
        assert_eq!(outcome.rejected.count(Reason::MetricSeries), 1, "{what}: {outcome:?}");
        let told = outcome.partial_success(Signal::Points).expect("it is told").message;
        assert!(told.contains("series_per_metric_max") && told.contains("\"m\""), "{what}: {told}");
    }
    // An increment that may be negative is added as well.
    let gate = gate(100, 1);
    let updown = |points| vec![request("s", "i", vec![sum("m", DELTA, false, points)])];
    let (_, batch) = convert(&gate, updown(vec![int(1, 1), int(2, 7), int(3, -9)]));
    assert_eq!(ints(&batch), [Some(1), Some(-2)]);
    // Whole numbers that no longer fit: what fitted before is kept.
    let (outcome, batch) = convert(&gate, updown(vec![int(4, i64::MAX), int(5, 1)]));
    assert_eq!((ints(&batch), outcome.rejected.total()), (vec![Some(i64::MAX)], 1));
}

#[test]
fn histograms_are_added_bucket_by_bucket() {
    let gate = gate(100, 1);
    let bounds: &[f64] = &[1.0, 2.0];
    let points = [
        (1, bounds, &[1, 1, 1][..], Some(1.0)),
        (2, bounds, &[1, 2, 3], Some(0.5)),
        (3, bounds, &[10, 0, 5], Some(2.0)),
    ];
    let wide = exponential("wide", &[(1, 3, 0, &[1]), (2, 2, -2, &[1, 2, 3]), (3, 1, 0, &[10, 20])]);
    let (outcome, batch) = convert(&gate, vec![request("s", "i", vec![histogram("near", &points), wide])]);
    assert_eq!((outcome.accepted, outcome.folded), (4, 2));
    let rows = &batch.rows;
    assert_eq!(list::<UInt64Type>(rows, column::BUCKET_COUNTS, 2), [11, 2, 8]);
    assert_eq!(list::<Float64Type>(rows, column::EXPLICIT_BOUNDS, 2), bounds);
    assert_eq!(number::<UInt64Type>(rows, column::COUNT, 2), 21);
    let doubles = [column::SUM, column::MIN, column::MAX].map(|name| number::<Float64Type>(rows, name, 2));
    assert_eq!(doubles, [2.5, 2.0, 3.0]);
    // At the coarser scale: buckets -2, -1 and 0 of one become -1, -1 and 0.
    assert_eq!(number::<Int32Type>(rows, column::SCALE, 3), 1);
    assert_eq!(number::<Int32Type>(rows, column::POSITIVE_OFFSET, 3), -1);
    assert_eq!(list::<UInt64Type>(rows, column::POSITIVE_COUNTS, 3), [3, 13, 20]);
    assert_eq!((number::<UInt64Type>(rows, column::COUNT, 3), number::<Float64Type>(rows, column::SUM, 3)), (36, 3.0));
    assert!(rows[column::NEGATIVE_COUNTS].is_null(3));
    let types: Vec<u8> = batch.shared[column::TYPE].as_primitive::<arrow::datatypes::UInt8Type>().values().to_vec();
    assert_eq!(types[2..], [metric_type::HISTOGRAM, metric_type::EXPONENTIAL_HISTOGRAM]);
}

#[test]
fn exemplars_stay_with_what_they_were_part_of() {
    let gate = gate(100, 1);
    let with_exemplar = |user, trace: u8| NumberDataPoint {
        exemplars: vec![Exemplar {
            trace_id: vec![trace; 16],
            span_id: vec![trace; 8],
            time_unix_nano: SENT,
            filtered_attributes: vec![text("request.id", "r-7")],
            value: Some(exemplar::Value::AsInt(3)),
        }],
        ..int(user, 1)
    };
    let points = vec![int(1, 1), with_exemplar(2, 7), with_exemplar(3, 8)];
    let (_, batch) = convert(&gate, vec![request("s", "i", vec![sum("m", DELTA, true, points)])]);
    let exemplars = batch.exemplars.as_ref().expect("there are exemplars");
    let traces = exemplars[column::TRACE_ID].as_fixed_size_binary();
    assert_eq!((traces.value(0), traces.value(1)), (&[7; 16][..], &[8; 16][..]));
    assert_eq!(exemplars[column::POINT_ROW].as_primitive::<UInt32Type>().values(), &[1, 1]);
    assert_eq!(exemplars[column::CORRELATION_ID].as_string::<i32>().value(1), "r-7");
}

#[test]
fn at_the_limit_of_all_series_nothing_is_folded_anew() {
    let gate = gate(2, 1);
    let m = |name: &str, points| vec![request("s", "i", vec![sum(name, DELTA, true, points)])];
    assert_eq!(convert(&gate, m("one", vec![int(1, 1), int(2, 2)])).0.accepted, 2);
    // One series and one overflow series are two.
    let (outcome, _) = convert(&gate, m("two", vec![int(1, 1)]));
    assert_eq!(outcome.rejected.count(Reason::Series), 1);
    assert_eq!(convert(&gate, m("one", vec![int(3, 1)])).0.accepted, 1, "the overflow series is known");
    let other = vec![request("another", "i", vec![sum("one", DELTA, true, vec![int(3, 1)])])];
    assert_eq!(convert(&gate, other).0.rejected.count(Reason::Series), 1, "one more would be one too many");
}

#[test]
fn what_was_added_up_before_is_not_added_up_again() {
    let gate = gate(100, 1);
    let points = vec![int(1, 1), int(2, 2), NumberDataPoint { time_unix_nano: 0, ..int(3, 4) }];
    let again = || vec![request("s", "i", vec![sum("m", DELTA, true, points.clone())])];
    assert_eq!(ints(&convert(&gate, again()).1), [Some(1), Some(6)]);
    let (outcome, batch) = convert_again(&gate, again(), true);
    assert_eq!(ints(&batch), [Some(1), Some(4)], "a point without a time is as new as its request");
    assert_eq!((outcome.accepted, outcome.folded, outcome.rejected.total()), (2, 1, 0));
}

#[test]
fn whatever_comes_every_increment_is_in_a_row_or_refused() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let gate = gate(random.u64(1..40), random.u64(1..12));
        for round in 0..12 {
            let (mut points, mut total) = (0, 0);
            let services: Vec<ResourceMetrics> = (0..random.u8(1..5))
                .map(|_| {
                    let metrics: Vec<Metric> = (0..random.u8(1..4))
                        .map(|_| {
                            let data: Vec<NumberDataPoint> = (0..random.u8(0..9))
                                .map(|_| {
                                    let value = random.i64(0..1_000);
                                    total += value;
                                    points += 1;
                                    int(random.u64(0..30), value)
                                })
                                .collect();
                            sum(["a", "b", "c"][random.usize(0..3)], DELTA, true, data)
                        })
                        .collect();
                    request(["s", "t", "u"][random.usize(0..3)], &random.u8(0..3).to_string(), metrics)
                })
                .collect();
            let (outcome, batch) = convert(&gate, services);
            let place = format!("seed {seed}, round {round}: {outcome:?}");
            let rejected = outcome.rejected.total();
            assert_eq!(outcome.accepted + outcome.folded + rejected, points, "{place}");
            let of_services = outcome.services.iter().map(|(_, of)| of.accepted + of.folded);
            assert_eq!(of_services.sum::<u64>(), points - rejected, "{place}");
            let stored: i64 = ints(&batch).into_iter().flatten().sum();
            assert!(if rejected == 0 { stored == total } else { stored <= total }, "{place}");
            assert!(gate.known() <= 40, "{place}");
        }
    }
}

#[test]
fn the_answer_names_the_metrics_that_are_too_large() {
    let gate = gate(1_000, 1);
    let metrics = |from: u64| -> Vec<Metric> {
        let points = |number: u64| (0..=number + 1).map(|user| int(user + from, 1)).collect();
        (0..8).map(|number| metric(&format!("m{number}"), Data::Gauge(Gauge { data_points: points(number) }))).collect()
    };
    let (outcome, _) = convert(&gate, vec![request("s", "i", metrics(0))]);
    let told = outcome.partial_success(Signal::Points).expect("it is told").message;
    let named = "points of series beyond a limit by metric: \"m7\" 8, \"m6\" 7, \"m5\" 6, \"m4\" 5, \"m3\" 4, others 6";
    assert!(told.contains(named), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_of_many_senders_count_every_point_once_and_so_do_the_books() {
    let server = Server::start(Config { series_per_metric_max: 3, ..Config::default() }).await;
    let mut expected = 0;
    let mut sends = tokio::task::JoinSet::new();
    for sender in 0..8u64 {
        let requests: Vec<Vec<u8>> = (0..12)
            .map(|round| {
                let points = (0..20).map(|user| NumberDataPoint {
                    time_unix_nano: SENT + round * SECOND,
                    ..int(user, (sender + round) as i64)
                });
                expected += 20 * (sender + round);
                bytes(vec![request("shop", &sender.to_string(), vec![sum("calls", DELTA, true, points.collect())])])
            })
            .collect();
        let address = server.http;
        sends.spawn(async move {
            for body in requests {
                // Twice, as one whose answer was lost.
                for _ in 0..2 {
                    let length = body.len().to_string();
                    let headers = [("content-type", "application/x-protobuf"), ("content-length", length.as_str())];
                    let bytes = [head("POST", "/v1/metrics", &headers).as_bytes(), b"\r\n", &body].concat();
                    assert_eq!(exchange(address, bytes).await.status, 200);
                }
            }
        });
    }
    sends.join_all().await;
    let sum = |name| server.count(name, &[("signal", "points")]);
    let (accepted, folded) = (sum("sextant_receipts_accepted_items_total"), sum("sextant_receipts_folded_items_total"));
    assert_eq!(accepted + folded, 8 * 12 * 20 * 2);
    assert_eq!(sum("sextant_receipts_rejected_items_total"), 0);
    assert_eq!(accepted, server.rows(Table::Points) as u64, "accepted is what can be asked for");
    assert_eq!(totals(&server), expected);
    let limited = server.count("sextant_series_limited_points_total", &[("metric", "calls"), ("outcome", "folded")]);
    assert_eq!(limited, server.count("sextant_ingest_warnings_total", &[("warning", "series_folded")]));
    assert_eq!(server.count("sextant_series_known", &[]), 4, "three and the overflow series");
}

// What the last totals of all series come to.
fn totals(server: &Server) -> u64 {
    let mut last = std::collections::BTreeMap::new();
    for granule in server.store.snapshot().granules(Table::Points, TimeRange::ALL, &Narrow::All).expect("granules") {
        let rows = granule.read(&Projection::All).expect("rows");
        let totals = rows[column::TOTAL].as_binary::<i32>();
        for row in (0..rows.num_rows()).filter(|row| totals.is_valid(*row)) {
            let total = Total::decode(totals.value(row)).expect("a total");
            let order = (total.last, number::<UInt64Type>(&rows, column::INGEST_SEQ, row));
            let TotalValue::Int(value) = total.value else { panic!("{total:?}") };
            let entry = last.entry(number::<UInt64Type>(&rows, column::SERIES_ID, row)).or_insert((order, value));
            // In the order of their times, and of their numbers where these are the same, they only grow.
            assert_eq!(order >= entry.0, value >= entry.1, "{order:?} {entry:?}");
            *entry = (*entry).max((order, value));
        }
    }
    last.into_values().map(|(_, value)| value as u64).sum()
}
