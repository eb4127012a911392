//! Traces and correlation.

use std::time::Duration;

use query::Config;
use serde_json::json;

use super::otlp::point_batch;
use super::{Api, log, span};
use crate::world::{log_batch, span_batch};

#[tokio::test]
async fn a_trace_is_assembled_and_marked_where_spans_are_missing() {
    let api = Api::new(Config::default());
    let mut failed = span(9, 3, Some(1), 58);
    failed.status = 2;
    let spans = [span(9, 2, Some(1), 59), failed, span(9, 1, None, 60), span(9, 4, Some(99), 57), span(8, 1, None, 60)];
    api.append(span_batch(&spans)).await;
    api.clock.advance(Duration::from_secs(7 * 24 * 3_600));
    let trace = api.get(&format!("/api/v1/traces/{}", "09".repeat(16))).await.json();
    assert_eq!(trace["partial"], true);
    assert_eq!(trace["reason"], "spans whose parent is not there: 1");
    assert_eq!((&trace["errors"], &trace["services"]), (&json!(1), &json!(["gateway", "orders"])));
    assert_eq!(trace["start"], "2026-01-31T11:59:00.000000000Z");
    assert_eq!(trace["duration_ns"], 3_000_000_500u64);
    let places = trace["spans"].as_array().expect("spans").iter();
    let places = places.map(|span| json!([span["name"], span["depth"], span["missing_parent"], span["offset_ns"]]));
    let expected = [
        json!(["work 1", 0, false, 0]),
        json!(["work 2", 1, false, 1_000_000_000]),
        json!(["work 3", 1, false, 2_000_000_000]),
        json!(["work 4", 0, true, 3_000_000_000u64]),
    ];
    assert_eq!(places.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn correlate_finds_rows_with_the_id_and_the_traces_they_name() {
    let api = Api::new(Config::default());
    let mut first = span(5, 1, None, 60);
    first.correlation_id = Some("order-77".to_owned());
    let mut with_id = log("paid", 30);
    with_id.correlation_id = Some("order-77".to_owned());
    let mut of_trace = log("in the trace", 59);
    of_trace.trace_id = Some([5; 16]);
    let mut other = log("other", 58);
    other.correlation_id = Some("order-7".to_owned());
    api.append(span_batch(&[first, span(5, 2, Some(1), 59), span(6, 1, None, 59)])).await;
    api.append(log_batch(&[with_id, of_trace, other])).await;
    api.append(point_batch(&api.store)).await;
    for flushed in [false, true] {
        let answer = api.get("/api/v1/correlate/order-77").await.json();
        let column = |list: &str, key: &str| {
            let rows = answer[list].as_array().expect("a list").iter();
            rows.map(|row| row[key].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(answer["kind"], "correlation", "{flushed}");
        assert_eq!(column("spans", "name"), ["work 1", "work 2"], "{flushed}");
        assert_eq!(column("logs", "body"), ["in the trace", "paid"], "{flushed}");
        assert_eq!(column("exemplars", "metric"), ["requests", "requests"], "{flushed}");
        assert_eq!(answer["services"], json!(["gateway", "orders", "shop"]), "{flushed}");
        assert_eq!(answer["start"], "2026-01-31T11:59:00.000000000Z");
        assert_eq!(answer["end"], "2026-01-31T11:59:30.000000000Z");
        assert_eq!((&answer["partial"], &answer["alerts"]), (&json!(false), &json!([])));
        let by_trace = api.get(&format!("/api/v1/correlate/{}", "05".repeat(16))).await.json();
        assert_eq!((&by_trace["kind"], by_trace["spans"].as_array().map(Vec::len)), (&json!("trace"), Some(2)));
        let nothing = api.get("/api/v1/correlate/nobody").await;
        assert_eq!((nothing.status, &nothing.json()["spans"]), (200, &json!([])));
        api.flush().await;
    }
}
