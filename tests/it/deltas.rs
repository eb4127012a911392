//! Deltas over OTLP: their totals go on over kill -9, restarts, requests that are sent again and points that are refused.

use campaign::binary::Server;
use campaign::load::{Answer, Door};
use campaign::otlp::{Request, text};
use model::clock::{Clock as _, SystemClock};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::Value;
use tui::client::Params;

use crate::harness::Place;

const SECOND: u64 = 1_000_000_000;
/// OTLP's flag of a point that ends a series.
const NO_RECORDED_VALUE: u32 = 1;

/// Three metrics that count the same: `count` between ten seconds before and `at`, in nanoseconds.
fn request(points: &[(u64, u64)], flags: u32) -> ExportMetricsServiceRequest {
    let delta: i32 = AggregationTemporality::Delta.into();
    let start = |at: u64| at - 10 * SECOND;
    let numbers = points.iter().map(|(at, count)| NumberDataPoint {
        start_time_unix_nano: start(*at),
        time_unix_nano: *at,
        value: Some(number_data_point::Value::AsInt(i64::try_from(*count).expect("small"))),
        flags,
        ..NumberDataPoint::default()
    });
    let explicit = points.iter().map(|(at, count)| HistogramDataPoint {
        start_time_unix_nano: start(*at),
        time_unix_nano: *at,
        count: *count,
        sum: Some(*count as f64 * 0.5),
        bucket_counts: vec![*count, 0],
        explicit_bounds: vec![1.0],
        flags,
        ..HistogramDataPoint::default()
    });
    let exponential = points.iter().map(|(at, count)| ExponentialHistogramDataPoint {
        start_time_unix_nano: start(*at),
        time_unix_nano: *at,
        count: *count,
        sum: Some(*count as f64 * 0.5),
        // What SDKs do when their buckets become too many.
        scale: 3 - i32::try_from(count % 2).expect("small"),
        positive: Some(Buckets { offset: -8, bucket_counts: vec![*count] }),
        flags,
        ..ExponentialHistogramDataPoint::default()
    });
    let sum = Sum { data_points: numbers.collect(), aggregation_temporality: delta, is_monotonic: true };
    let explicit = Histogram { data_points: explicit.collect(), aggregation_temporality: delta };
    let exponential = ExponentialHistogram { data_points: exponential.collect(), aggregation_temporality: delta };
    let metrics = [
        ("orders", metric::Data::Sum(sum)),
        ("sizes", metric::Data::Histogram(explicit)),
        ("spread", metric::Data::ExponentialHistogram(exponential)),
    ];
    let metrics = metrics.map(|(name, data)| Metric { name: name.to_owned(), data: Some(data), ..Metric::default() });
    let scope_metrics = vec![ScopeMetrics { metrics: metrics.into(), ..ScopeMetrics::default() }];
    let resource = Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() };
    let of_shop = ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![of_shop] }
}

async fn send(server: &Server, points: &[(u64, u64)], flags: u32) {
    let mut door = Door::grpc(&server.url("otlp_grpc")).expect("an address");
    assert_eq!(door.send(Request::Points(request(points, flags))).await.expect("valid"), Answer::Stored);
}

/// The one number that a query answers with, if it does.
async fn number(server: &Server, query: &str, at: u64) -> Option<f64> {
    let time = format!("{}.{:09}", at / SECOND, at % SECOND);
    let params = Params::new().with("query", query).with("time", time);
    let answer: Value = server.client().get("/api/v1/query", &params).await.expect("an answer");
    assert_eq!(answer["warnings"], Value::Null, "{query}: {answer}");
    let series = answer["data"]["result"].as_array().expect("series");
    assert!(series.len() <= 1, "{query}: {answer}");
    series.first().and_then(|series| series["value"][1].as_str()?.parse().ok())
}

/// Each of the three has counted so much up to the last point, and never fell.
async fn counted(server: &Server, at: u64, total: f64, context: &str) {
    for query in [
        "orders_total",
        "sizes_count",
        "sizes_sum * 2",
        "sizes_bucket{le=\"1\"}",
        "histogram_count(spread)",
        "histogram_sum(spread) * 2",
    ] {
        assert_eq!(number(server, query, at).await, Some(total), "{context}: {query}");
    }
    for query in ["resets(orders_total[10m])", "resets(sizes_count[10m])", "resets(spread[10m])"] {
        assert_eq!(number(server, query, at).await, Some(0.0), "{context}: {query}");
    }
}

#[tokio::test]
async fn totals_go_on_over_crashes_restarts_and_repetitions() {
    let place = Place::new();
    let now = u64::try_from(SystemClock::new().now().as_nanos()).expect("after 1970");
    // Whole seconds: samples have milliseconds, and a window is told to the millisecond below.
    let at = |step: u64| (now / SECOND - 300 + step * 10) * SECOND;
    let mut server = place.serve().await;
    send(&server, &[(at(0), 3), (at(1), 4)], 0).await;
    send(&server, &[(at(2), 5)], 0).await;
    counted(&server, at(2), 12.0, "before anything").await;

    server.kill().await.expect("it is killed");
    server = place.serve().await;
    counted(&server, at(2), 12.0, "after kill -9").await;
    // The sender has no answer to its last request, and sends it again with the next.
    send(&server, &[(at(2), 5)], 0).await;
    send(&server, &[(at(2), 5), (at(3), 6)], 0).await;
    counted(&server, at(3), 18.0, "sent again").await;
    // One that is late, and a request that is refused as a whole.
    send(&server, &[(at(1) + 1, 100)], 0).await;
    let broken = server.client().post("/v1/metrics", "application/json", "{".into()).await.expect("an answer");
    assert_ne!(broken.status, 200);
    counted(&server, at(3), 18.0, "late").await;

    // What is in parts goes on from the checkpoint, what is in the log from there.
    server.stop(std::time::Duration::from_secs(60)).await.expect("it stops");
    server = place.serve().await;
    send(&server, &[(at(4), 7)], 0).await;
    server.kill().await.expect("it is killed");
    server = place.serve().await;
    send(&server, &[(at(5), 8)], 0).await;
    counted(&server, at(5), 33.0, "after a stop and a kill").await;
    // The first of the window is a delta before it: eight and seven in the twenty seconds, exactly.
    let rate = number(&server, "increase(orders_total[20s1ms])", at(5)).await.expect("an increase");
    assert!((rate - 15.0).abs() < 0.01, "{rate}");

    // A series that has ended has ended after a restart too, and goes on when it comes back.
    send(&server, &[(at(6), 0)], NO_RECORDED_VALUE).await;
    for context in ["before", "after"] {
        for query in ["orders_total", "sizes_count", "spread"] {
            assert_eq!(number(&server, query, at(6)).await, None, "{context}: {query}");
        }
        server.kill().await.expect("it is killed");
        server = place.serve().await;
    }
    send(&server, &[(at(7), 1)], 0).await;
    counted(&server, at(7), 34.0, "after its end").await;

    let metrics = server.client().fetch("/metrics", &Params::new()).await.expect("metrics");
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("sextant_store_delta_series 3\n"), "{metrics}");
    // As it was sent.
    let params = Params::new().with("query", "metric:=orders").with("format", "json").with("order", "asc");
    let page = server.client().fetch("/api/v1/points", &params).await.expect("points");
    let page: Value = serde_json::from_slice(&page.body).expect("JSON");
    let values: Vec<&Value> = page["rows"].as_array().expect("rows").iter().map(|row| &row["value"]).collect();
    assert_eq!(values.len(), 11, "{page}");
    assert!(page["rows"].as_array().is_some_and(|rows| rows.iter().all(|row| row.get("total").is_none())), "{page}");
}
