//! Histograms and services.

use axum::http::Request;
use query::Config;
use serde_json::{Value, json};

use super::{Api, envelope, log, seconds_ago, span};
use crate::world::{Envelope, Log, log_batch, span_batch};

fn series(answer: &Value) -> Vec<(String, Vec<(usize, u64)>)> {
    let of_series = |series: &Value| {
        let counts = series["counts"].as_array().expect("counts").iter().map(|count| count.as_u64().expect("a count"));
        let counts = counts.enumerate().filter(|(_, count)| *count > 0).collect();
        (series["key"].as_str().expect("a key").to_owned(), counts)
    };
    answer["series"].as_array().expect("series").iter().map(of_series).collect()
}

fn named(expected: &[(&str, &[(usize, u64)])]) -> Vec<(String, Vec<(usize, u64)>)> {
    expected.iter().map(|(key, counts)| ((*key).to_owned(), counts.to_vec())).collect()
}

#[tokio::test]
async fn a_histogram_counts_by_severity_or_status_and_has_empty_buckets() {
    let api = Api::new(Config::default());
    let of = |severity_number: i32, seconds: i64| Log { severity_number, ..log("declined", seconds) };
    let logs = [of(9, 0), of(9, 1), of(17, 61), of(21, 119), of(0, 3_600), of(25, 3_599), log("other", 3_601)];
    api.append(log_batch(&logs)).await;
    let mut failed = span(1, 1, None, 90);
    failed.status = 2;
    let mut odd = span(1, 2, Some(1), 90);
    odd.status = 3;
    api.append(span_batch(&[failed, odd, span(1, 3, Some(1), 10)])).await;
    for flushed in [false, true] {
        let answer = api.get("/api/v1/logs/histogram?query=declined").await.json();
        assert_eq!(
            series(&answer),
            named(&[("fatal", &[(58, 1)]), ("error", &[(58, 1)]), ("info", &[(59, 2)]), ("unspecified", &[(0, 1)])]),
            "{flushed}"
        );
        assert_eq!(answer["series"][0]["counts"].as_array().map(Vec::len), Some(60));
        assert_eq!((&answer["total"], &answer["step_ns"]), (&json!(5), &json!(60_000_000_000_u64)));
        assert_eq!((&answer["partial"], &answer["reason"]), (&json!(false), &Value::Null));
        assert_eq!(answer["start"], "2026-01-31T11:00:00.000000001Z", "an hour up to and with this moment");
        assert_eq!(answer["end"], "2026-01-31T12:00:00.000000001Z");

        let answer = api.get("/api/v1/logs/histogram?start=-2m&end=now&step=50s").await.json();
        assert_eq!(series(&answer), named(&[("fatal", &[(0, 1)]), ("error", &[(1, 1)]), ("info", &[(2, 1)])]));
        let answer = api.get("/api/v1/logs/histogram?start=-2m&step=1m").await.json();
        assert_eq!(answer["series"][0]["counts"], json!([1, 0]), "this moment is no bucket of its own");
        let answer = api.get("/api/v1/spans/histogram?start=-100s&end=now&buckets=10").await.json();
        assert_eq!(series(&answer), named(&[("error", &[(1, 1)]), ("unset", &[(1, 1), (9, 1)])]));
        let answer = api.get("/api/v1/spans/histogram?query=status:error&start=-100s&buckets=1").await.json();
        assert_eq!((series(&answer), &answer["total"]), (named(&[("error", &[(0, 1)])]), &json!(1)));
        let answer = api.get("/api/v1/logs/histogram?query=usr.id:bob").await.json();
        assert_eq!(answer["warnings"], json!(["no row looked at has the field `usr.id`"]));
        let answer = api.get("/api/v1/logs/histogram?start=now&end=now").await.json();
        assert_eq!((&answer["series"], &answer["total"], &answer["step_ns"]), (&json!([]), &json!(0), &json!(1)));
        api.flush().await;
    }
}

#[tokio::test]
async fn services_have_rate_errors_and_duration_of_their_requests() {
    let api = Api::new(Config::default());
    let of = |service: &str, id: u8, parent: Option<u8>, kind: i32, status: i32, seconds: i64, nanos: i64| {
        let mut span = span(id, id, parent, seconds);
        span.envelope = envelope(service);
        (span.kind, span.status, span.end) = (kind, status, span.start + nanos);
        span
    };
    let mut spans: Vec<_> = (1..=100).map(|id| of("gateway", id, Some(200), 2, 0, 50, i64::from(id))).collect();
    spans.push(of("gateway", 101, None, 1, 2, 5, 100));
    // Calls are no requests; taking from a queue is one.
    spans.push(of("gateway", 102, Some(1), 3, 2, 1, 9_000));
    spans.push(of("worker", 103, Some(1), 5, 2, 30, 1_000_000));
    spans.push(of("calls-only", 104, Some(1), 3, 2, 20, 1_000_000));
    spans.push(of("gateway", 105, None, 2, 2, 61, 1));
    api.append(span_batch(&spans)).await;
    let mut nobody = log("from nobody", 7);
    nobody.envelope = Envelope::default();
    let error = Log { severity_number: 17, ..log("failed", 12) };
    api.append(log_batch(&[nobody, error, log("fine", 13), log("old", 61)])).await;
    for flushed in [false, true] {
        let answer = api.get("/api/v1/services?start=-1m&end=now&steps=3").await.json();
        assert_eq!((&answer["step_ns"], &answer["partial"]), (&json!(20_000_000_000_u64), &json!(false)));
        let services = answer["services"].as_array().expect("services");
        let names: Vec<&str> = services.iter().filter_map(|service| service["service"].as_str()).collect();
        assert_eq!(names, ["", "calls-only", "gateway", "orders", "worker"], "{flushed}");
        assert_eq!(
            services[2],
            json!({
                "service": "gateway",
                "requests": 101, "errors": 1, "rate": 101.0 / 60.0, "error_share": 1.0 / 101.0,
                "p50_ns": 51, "p95_ns": 96, "p99_ns": 100,
                "rates": [5.0, 0.0, 0.05], "error_shares": [0.0, 0.0, 1.0],
                "logs": 0, "log_errors": 0,
                "last_seen": "2026-01-31T11:59:59.000000000Z",
            }),
            "{flushed}"
        );
        assert_eq!(
            services[1],
            json!({
                "service": "calls-only",
                "requests": 0, "errors": 0, "rate": 0.0, "error_share": 0.0,
                "rates": [0.0, 0.0, 0.0], "error_shares": [0.0, 0.0, 0.0],
                "logs": 0, "log_errors": 0,
                "last_seen": "2026-01-31T11:59:40.000000000Z",
            })
        );
        assert_eq!((&services[3]["logs"], &services[3]["log_errors"]), (&json!(2), &json!(1)));
        assert_eq!((&services[4]["requests"], &services[4]["p50_ns"]), (&json!(1), &json!(1_000_000)));
        // What is still to come thins nothing out.
        let answer = api.get("/api/v1/services?start=-1m&end=2026-01-31T13:00:00Z").await.json();
        let rate = answer["services"][2]["rate"].as_f64().expect("a rate");
        assert!((rate - 101.0 / 60.0).abs() < 1e-6, "{rate}");
        let answer = api.get("/api/v1/services?start=-9d&end=-8d").await.json();
        assert_eq!(answer["services"], json!([]));
        api.flush().await;
    }
}

#[tokio::test]
async fn mistakes_in_counts_are_answered() {
    let api = Api::new(Config::default());
    for (address, message, hint) in [
        (
            "/api/v1/logs/histogram?buckets=1001",
            "`buckets=1001` is no number from 1 to 1000",
            "leave `buckets` out for the usual number",
        ),
        ("/api/v1/services?steps=0", "`steps=0` is no number from 1 to 240", "leave `steps` out for the usual number"),
        (
            "/api/v1/spans/histogram?buckets=6&step=10s",
            "`buckets` and `step` are both given",
            "give one of them; the other follows from it",
        ),
        ("/api/v1/logs/histogram?step=10", "`step=10` is no duration", "write 15s, 1m30s or 1h"),
        ("/api/v1/logs/histogram?step=0s", "`step=0s` is no duration", "write 15s, 1m30s or 1h"),
        (
            "/api/v1/logs/histogram?step=1ms",
            "`step=1ms` makes more than 1000 buckets",
            "ask for a longer step or a shorter time",
        ),
        ("/api/v1/services?query=a", "unknown parameter `query`", "this path takes start, end, steps"),
        ("/api/v1/logs/histogram?bucket=5", "unknown parameter `bucket`", "did you mean `buckets`?"),
    ] {
        let answer = api.get(address).await;
        let expected = json!({ "error": { "code": "bad_parameter", "message": message, "hint": hint } });
        assert_eq!((answer.status, answer.json()), (400, expected), "{address}");
    }
    let answer = api.get("/api/v1/logs/histogram?query=a+%7C+stats+count()+as+n").await;
    let error = &answer.json()["error"];
    assert_eq!((answer.status, &error["code"], &error["position"]), (400, &json!("bad_query"), &json!(2)));
    let post = Request::post("/api/v1/services").body(axum::body::Body::empty()).expect("a request");
    assert_eq!(api.ask(post).await.status, 405);
}

#[tokio::test]
async fn a_spent_budget_makes_counts_partial_and_the_newest_are_counted() {
    let api = Api::new(Config { scanned_rows_max: 15, ..Config::default() });
    for start in [210, 110, 0] {
        let logs: Vec<Log> = (start..start + 10).map(|n| log("x", n)).collect();
        api.append(log_batch(&logs)).await;
    }
    let reason = "the query looked at 20 rows, more than 15";
    let answer = api.get("/api/v1/logs/histogram?start=-300s&buckets=3").await.json();
    assert_eq!((&answer["partial"], &answer["reason"]), (&json!(true), &json!(reason)));
    assert_eq!(answer["series"], json!([{ "key": "info", "counts": [0, 10, 10] }]));
    let answer = api.get("/api/v1/services?start=-300s").await.json();
    assert_eq!((&answer["partial"], &answer["reason"]), (&json!(true), &json!(reason)));
    assert_eq!((&answer["services"][0]["logs"], &answer["services"][0]["service"]), (&json!(20), &json!("orders")));
    let spans: Vec<_> = (1..=20).map(|id| span(id, id, None, i64::from(id))).collect();
    api.append(span_batch(&spans)).await;
    let answer = api.get("/api/v1/services?start=-300s").await.json();
    assert_eq!((&answer["partial"], &answer["services"][1]["requests"]), (&json!(true), &json!(19)), "{answer}");
    let status = api.get("/api/v1/status").await.json();
    let partial = |kind: &str| status["counters"][format!("sextant_query_partial_total{{kind=\"{kind}\"}}")].clone();
    assert_eq!((partial("histogram"), partial("services")), (json!(1), json!(2)));
}

#[tokio::test]
async fn more_services_than_can_be_kept_are_said() {
    let api = Api::new(Config::default());
    let logs = |range: std::ops::Range<i64>| -> Vec<Log> {
        range
            .map(|n| Log { envelope: envelope(&format!("service-{n}")), time: seconds_ago(n), ..log("x", n) })
            .collect()
    };
    // Newest first: the chunk with the newest record is counted first.
    api.append(log_batch(&logs(1_000..1_010))).await;
    api.append(log_batch(&logs(0..1_000))).await;
    let answer = api.get("/api/v1/services?steps=1").await.json();
    assert_eq!(answer["services"].as_array().map(Vec::len), Some(1_000));
    let reason = "there are more than 1000 services, or their names are very long: some are left out";
    assert_eq!((&answer["partial"], &answer["reason"]), (&json!(true), &json!(reason)));
    assert!(!answer.to_string().contains("service-1000"));
}
