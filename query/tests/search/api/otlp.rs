//! `format=otlp`: what was sent comes back.

use model::{SpanId, Timestamp, TraceId};
use query::Config;
use serde_json::json;
use store::Store;
use store::schema::{ExemplarRow, PointColumns, PointRow, PointValue, ResourceRow, ScopeRow, SeriesRow, ValueRef};
use store::schema::{derived, metric_type};

use super::{Api, envelope, log, seconds_ago};
use crate::world::log_batch;

// A sum with two exemplars, one of which names trace 5 and the other the correlation id, and a histogram without a time.
pub fn point_batch(store: &Store) -> store::Batch {
    let mut columns = PointColumns::new(store.writer().series_key());
    let resource = [("service.name", ValueRef::String("shop"))];
    let resource = ResourceRow { attributes: &resource, ..ResourceRow::default() };
    let attributes = [("route", ValueRef::String("/a"))];
    let series = SeriesRow {
        resource,
        scope: ScopeRow { name: "lib", ..ScopeRow::default() },
        metric: "requests",
        description: "Requests.",
        unit: "1",
        metadata: &[],
        metric_type: metric_type::SUM,
        temporality: 2,
        monotonic: true,
        attributes: &attributes,
    };
    let sum = columns.series(&series);
    let exemplar = ExemplarRow {
        timestamp: Timestamp::from_nanos(seconds_ago(40)),
        derived_times: 0,
        value: PointValue::Double(0.5),
        trace_id: TraceId::from_slice(&[5; 16]),
        span_id: SpanId::from_slice(&[1; 8]),
        correlation_id: None,
        attributes: &[("user", ValueRef::Int(3))],
    };
    let carries = ExemplarRow {
        trace_id: None,
        span_id: None,
        correlation_id: Some("order-77"),
        value: PointValue::Int(4),
        ..exemplar
    };
    let point = PointRow {
        series: sum,
        timestamp: Timestamp::from_nanos(seconds_ago(20)),
        derived_times: 0,
        start_timestamp: Some(Timestamp::from_nanos(seconds_ago(500))),
        flags: 0,
        value: PointValue::Int(12),
    };
    columns.push(&point, &[exemplar, carries]);
    let histogram = columns.series(&SeriesRow {
        metric: "latency",
        metric_type: metric_type::HISTOGRAM,
        temporality: 1,
        monotonic: false,
        attributes: &[],
        ..series
    });
    let value = PointValue::Histogram {
        count: 3,
        sum: Some(1.5),
        min: None,
        max: Some(f64::INFINITY),
        bucket_counts: &[1, 2],
        explicit_bounds: &[0.5],
    };
    let derived_times = derived::TIMESTAMP;
    columns.push(&PointRow { series: histogram, derived_times, start_timestamp: None, value, ..point }, &[]);
    columns.finish()
}

#[tokio::test]
async fn otlp_says_what_was_sent() {
    let api = Api::new(Config::default());
    api.append(point_batch(&api.store)).await;
    let long = |seconds: i64| seconds_ago(seconds).to_string();
    let string = |text: &str| json!({ "stringValue": text });
    let exemplar = json!({
        "timeUnixNano": long(40), "asDouble": 0.5, "traceId": "05".repeat(16), "spanId": "01".repeat(8),
        "filteredAttributes": [{ "key": "user", "value": { "intValue": "3" } }],
    });
    let carries = json!({
        "timeUnixNano": long(40), "asInt": "4",
        "filteredAttributes": [{ "key": "user", "value": { "intValue": "3" } }],
    });
    let expected = json!({ "resourceMetrics": [{
        "resource": { "attributes": [{ "key": "service.name", "value": string("shop") }] },
        "scopeMetrics": [{
            "scope": { "name": "lib" },
            "metrics": [
                { "name": "requests", "description": "Requests.", "unit": "1", "sum": {
                    "aggregationTemporality": 2, "isMonotonic": true,
                    "dataPoints": [{
                        "attributes": [{ "key": "route", "value": string("/a") }],
                        "startTimeUnixNano": long(500), "timeUnixNano": long(20), "asInt": "12",
                        "exemplars": [exemplar, carries],
                    }],
                } },
                { "name": "latency", "description": "Requests.", "unit": "1", "histogram": {
                    "aggregationTemporality": 1,
                    "dataPoints": [{
                        "timeUnixNano": "0", "count": "3", "sum": 1.5, "max": "Infinity",
                        "bucketCounts": ["1", "2"], "explicitBounds": [0.5],
                    }],
                } },
            ],
        }],
    }] });
    for flushed in [false, true] {
        let answer = api.get("/api/v1/points?format=otlp&order=asc").await;
        assert_eq!(answer.json(), expected, "{flushed}");
        api.flush().await;
    }
    let (rows, _) = api.rows("/api/v1/points?query=requests").await;
    assert_eq!(rows[0]["exemplars"][1]["correlation_id"], "order-77");
    assert_eq!((&rows[0]["type"], &rows[0]["temporality"]), (&json!("sum"), &json!("cumulative")));
    let (rows, _) = api.rows("/api/v1/points?query=type:histogram+count:%3E2+temporality:delta").await;
    assert_eq!((&rows[0]["metric"], &rows[0]["bucket_counts"]), (&json!("latency"), &json!([1, 2])));
    let (rows, _) = api.rows("/api/v1/points?query=value:12+monotonic:true+route:a").await;
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn otlp_groups_rows_by_resource_and_scope() {
    let api = Api::new(Config::default());
    let mut other = log("c", 3);
    other.envelope = envelope("payments");
    api.append(log_batch(&[log("a", 5), other, log("b", 1)])).await;
    let request = api.get("/api/v1/logs?format=otlp&order=asc").await.json();
    let groups = request["resourceLogs"].as_array().expect("resources").iter();
    let bodies = groups.map(|group| {
        assert_eq!(group["schemaUrl"], "https://example.com/1");
        let records = group["scopeLogs"][0]["logRecords"].as_array().expect("records").iter();
        records.map(|record| record["body"]["stringValue"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(bodies.collect::<Vec<_>>(), [vec!["a", "b"], vec!["c"]]);
    let page = api.get("/api/v1/logs?format=otlp&limit=1").await;
    assert!(page.header("x-sextant-cursor").is_some());
    let nothing = api.get("/api/v1/logs?format=otlp&query=zzz").await;
    assert_eq!((nothing.json(), nothing.header("x-sextant-cursor")), (json!({ "resourceLogs": [] }), None));
}
