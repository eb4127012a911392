//! What Grafana's Prometheus data source asks, in the order in which a person makes it ask, and exactly what it has to be answered.
//! That Prometheus answers in the same form is a matter of the end-to-end test `differential`.

use axum::http::StatusCode;
use serde_json::{Value, json};
use store::schema::PointValue;

use crate::world::{Metric, World, encode};

const TRACE: [u8; 16] = [7; 16];

// Two services that count requests, every half minute from 0 to 600, the last with an exemplar.
async fn world() -> World {
    let world = World::new();
    for (service, factor) in [("shop", 1), ("pay", 3)] {
        let help = "Requests served.";
        let metric =
            Metric { unit: "1", help, service, attributes: &[("http.route", "/a")], ..Metric::counter("requests") };
        let points: Vec<_> =
            (0..20).map(|n| (f64::from(n * 30), 0, PointValue::Int(i64::from(n * 30 * factor)))).collect();
        world.send(&metric, &points).await;
        let value = PointValue::Int(i64::from(600 * factor));
        world.send_with_exemplars(&metric, 600.0, value, &[(599.5, 0.25, Some(TRACE))]).await;
    }
    world
}

fn labels(service: &str) -> Value {
    json!({"__name__": "requests_total", "http_route": "/a", "job": service})
}

async fn get(world: &World, path: &str) -> Value {
    let (status, answer) = world.get(&format!("/api/v1/{path}")).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

async fn post(world: &World, path: &str, form: &str) -> Value {
    let (status, answer) = world.post(&format!("/api/v1/{path}"), form).await;
    assert_eq!(status, StatusCode::OK, "{path} {form}: {answer}");
    answer
}

fn success(data: Value) -> Value {
    json!({"status": "success", "data": data})
}

#[tokio::test]
async fn save_and_test() {
    let world = world().await;
    let health = success(json!({"resultType": "scalar", "result": [600.281, "2"]}));
    assert_eq!(post(&world, "query", "query=1%2B1&time=600.281").await, health);
    assert_eq!(get(&world, "query?query=1%2B1&time=600.281").await, health);
    // What kind of server it is: Prometheus, because there is no `application` and there are no `features`.
    let build = get(&world, "status/buildinfo").await;
    let keys: Vec<&String> = build["data"].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["branch", "buildDate", "buildUser", "goVersion", "revision", "version"]);
    assert_eq!((&build["status"], &build["data"]["version"]), (&json!("success"), &json!("1.2.3")));
}

#[tokio::test]
async fn the_explorer_lists_metrics_labels_and_values() {
    let world = world().await;
    let metadata = json!({"requests_total": [{"type": "counter", "help": "Requests served.", "unit": ""}]});
    assert_eq!(get(&world, "metadata").await, success(metadata.clone()));
    assert_eq!(get(&world, "metadata?limit=40000&limit_per_metric=1&metric=requests_total").await, success(metadata));
    let range = "start=0&end=600";
    let names = success(json!(["__name__", "http_route", "job"]));
    assert_eq!(get(&world, &format!("labels?{range}")).await, names);
    assert_eq!(post(&world, "labels", &format!("{range}&match%5B%5D=requests_total&limit=40000")).await, names);
    let cut = json!({"status": "success", "data": ["__name__"], "warnings": ["results truncated due to limit"]});
    assert_eq!(post(&world, "labels", &format!("{range}&limit=1")).await, cut);
    let values = |label: &str| format!("label/{label}/values?{range}");
    assert_eq!(get(&world, &values("__name__")).await, success(json!(["requests_total"])));
    assert_eq!(get(&world, &values("job")).await, success(json!(["pay", "shop"])));
    let of_shop = encode("requests_total{job=\"shop\"}");
    assert_eq!(get(&world, &format!("{}&match%5B%5D={of_shop}", values("job"))).await, success(json!(["shop"])));
    let first = json!({"status": "success", "data": ["pay"], "warnings": ["results truncated due to limit"]});
    assert_eq!(get(&world, &format!("{}&limit=1", values("job"))).await, first);
    // Nothing is an empty list, not an error.
    assert_eq!(get(&world, &values("nothing")).await, success(json!([])));
    let series = success(json!([labels("pay"), labels("shop")]));
    assert_eq!(post(&world, "series", &format!("{range}&match%5B%5D=requests_total")).await, series);
    assert_eq!(get(&world, &format!("series?{range}&match%5B%5D=requests_total&limit=40000")).await, series);
    assert_eq!(get(&world, "series?start=5000&end=6000&match%5B%5D=requests_total").await, success(json!([])));
}

#[tokio::test]
async fn panels_ask_for_ranges_instants_and_exemplars() {
    let world = world().await;
    let query = format!("query={}", encode("sum by (job) (rate(requests_total[1m]))"));
    let values = |rate: &str| json!([[540, rate], [600, rate]]);
    let matrix = json!([
        {"metric": {"job": "pay"}, "values": values("3")},
        {"metric": {"job": "shop"}, "values": values("1")},
    ]);
    let matrix = success(json!({"resultType": "matrix", "result": matrix}));
    let range = format!("{query}&start=540&end=600&step=60");
    assert_eq!(post(&world, "query_range", &range).await, matrix);
    assert_eq!(get(&world, &format!("query_range?{range}&timeout=60s&limit=2")).await, matrix);
    let vector = json!([
        {"metric": {"job": "pay"}, "value": [600, "3"]},
        {"metric": {"job": "shop"}, "value": [600, "1"]},
    ]);
    let instant = success(json!({"resultType": "vector", "result": vector}));
    assert_eq!(post(&world, "query", &format!("{query}&time=600&lookback_delta=5m")).await, instant);
    let one = post(&world, "query", &format!("{query}&time=600&limit=1")).await;
    assert_eq!(one["data"]["result"], json!([vector[0]]));
    assert_eq!(one["warnings"], json!(["results truncated due to limit"]));
    let asked = format!("query={}&start=540&end=600", encode("rate(requests_total{job=\"pay\"}[5m])"));
    let trace = "07".repeat(16);
    let exemplar = json!({"labels": {"order_id": "o-17", "trace_id": trace}, "value": "0.25", "timestamp": 599.5});
    let exemplars = success(json!([{"seriesLabels": labels("pay"), "exemplars": [exemplar]}]));
    assert_eq!(post(&world, "query_exemplars", &asked).await, exemplars);
    assert_eq!(get(&world, &format!("query_exemplars?{asked}")).await, exemplars);
    assert_eq!(get(&world, "query_exemplars?query=nothing&start=540&end=600").await, success(json!([])));
    for (path, key) in [("rules", "groups"), ("rules?type=alert", "groups"), ("alerts", "alerts")] {
        assert_eq!(get(&world, path).await, success(json!({key: []})), "{path}");
    }
}

#[tokio::test]
async fn the_inspector_shows_what_a_query_has_cost() {
    let world = world().await;
    let query = format!("query={}", encode("sum(rate(requests_total[1m]))"));
    let range = format!("{query}&start=540&end=600&step=60");
    // Two series, two samples in each minute.
    for (stats, per_step) in [("all", json!([[540, 4], [600, 4]])), ("true", Value::Null)] {
        let answer = post(&world, "query_range", &format!("{range}&stats={stats}")).await;
        let of = &answer["data"]["stats"];
        let timings: Vec<&String> = of["timings"].as_object().expect("times").keys().collect();
        let names = [
            "evalTotalTime",
            "execQueueTime",
            "execTotalTime",
            "innerEvalTime",
            "queryPreparationTime",
            "resultSortTime",
        ];
        assert_eq!(timings, names);
        assert!(of["timings"].as_object().is_some_and(|times| times.values().all(Value::is_number)), "{of}");
        assert_eq!(of["samples"]["totalQueryableSamples"], json!(8));
        assert_eq!(of["samples"]["totalQueryableSamplesPerStep"], per_step);
        assert!(of["samples"]["peakSamples"].is_u64(), "{of}");
    }
    assert_eq!(post(&world, "query_range", &range).await["data"]["stats"], Value::Null);
}
