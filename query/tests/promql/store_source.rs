//! What the engine sees of points in the store.

use model::names::OVERFLOW_SCOPE;
use serde_json::{Value, json};
use store::schema::{PointValue, metric_type};

use crate::world::{DELTA, Metric, World};

#[tokio::test]
async fn points_in_the_head() {
    everything(World::new).await;
}

#[tokio::test]
async fn points_in_parts() {
    everything(World::flushing).await;
}

async fn everything(new: fn() -> World) {
    names_and_labels_are_translated(new()).await;
    points_of_many_requests_are_one_series(new()).await;
    histograms_become_buckets(new()).await;
    summaries_become_quantiles(new()).await;
    exponential_histograms_become_native(new()).await;
    histograms_of_prometheus_stay_one_series(new()).await;
    no_recorded_value_ends_a_series(new()).await;
    deltas_add_up(new()).await;
    overflow_series_count_in_the_order_of_commits(new()).await;
    different_metrics_that_meet_in_one_label_set_are_one_series(new()).await;
    a_resource_is_described_by_target_info(new()).await;
}

/// An instant answer as text: one line per series.
fn lines(result: &Value) -> Vec<String> {
    let series = result.as_array().expect("a list of series");
    series.iter().map(|series| format!("{} {}", series["metric"], series["value"][1].as_str().unwrap_or("?"))).collect()
}

async fn check(world: &World, expression: &str, at: f64, expected: &[&str]) {
    assert_eq!(lines(&world.query(expression, at).await), expected, "{expression} at {at}");
}

async fn names_and_labels_are_translated(world: World) {
    let metric = Metric {
        unit: "By",
        service: "shop",
        scope: "lib",
        attributes: &[("http.route", "/a"), ("http-route", "/b"), ("empty", "")],
        ..Metric::gauge("process.memory.usage")
    };
    world.send(&metric, &[(10.0, 0, PointValue::Int(7)), (20.0, 0, PointValue::Double(7.5))]).await;
    let counter = Metric { unit: "1", service: "shop", ..Metric::counter("orders.placed") };
    world.send(&counter, &[(20.0, 0, PointValue::Int(i64::MAX))]).await;
    check(
        &world,
        "process_memory_usage_bytes",
        30.0,
        &[r#"{"__name__":"process_memory_usage_bytes","http_route":"/b;/a","job":"shop","otel_scope_name":"lib"} 7.5"#],
    )
    .await;
    check(
        &world,
        "process_memory_usage_bytes",
        15.0,
        &[r#"{"__name__":"process_memory_usage_bytes","http_route":"/b;/a","job":"shop","otel_scope_name":"lib"} 7"#],
    )
    .await;
    check(
        &world,
        "orders_placed_total{job=\"shop\"}",
        30.0,
        &[r#"{"__name__":"orders_placed_total","job":"shop"} 9223372036854776000"#],
    )
    .await;
    check(
        &world,
        "{job=\"shop\", __name__=~\"process.*\", otel_scope_name!=\"\"} > bool 0",
        30.0,
        &[r#"{"http_route":"/b;/a","job":"shop","otel_scope_name":"lib"} 1"#],
    )
    .await;
    check(&world, "process_memory_usage_bytes", 5.0, &[]).await;
    check(&world, "process_memory_usage_bytes{job=\"other\"}", 30.0, &[]).await;
}

async fn points_of_many_requests_are_one_series(world: World) {
    let metric = Metric { service: "a", ..Metric::counter("c") };
    // Out of order, and twice for one time: the later received counts.
    for (seconds, value) in [(60.0, 60.0), (0.0, 0.0), (120.0, 1.0), (120.0, 120.0), (30.0, 30.0)] {
        world.send(&metric, &[(seconds, 0, PointValue::Double(value))]).await;
    }
    // Another description is another OTLP series, but the same label set.
    let described = Metric { help: "of something", ..metric };
    world.send(&described, &[(180.0, 0, PointValue::Double(180.0))]).await;
    let raw = world.query("c_total[10m]", 300.0).await;
    assert_eq!(
        raw,
        json!([{
            "metric": {"__name__": "c_total", "job": "a"},
            "values": [[0, "0"], [30, "30"], [60, "60"], [120, "120"], [180, "180"]],
        }])
    );
    check(&world, "increase(c_total[3m1s])", 180.0, &[r#"{"job":"a"} 180"#]).await;
    check(&world, "rate(c_total[3m1s] offset 1m)", 240.0, &[r#"{"job":"a"} 0.9944751381215469"#]).await;
}

async fn histograms_become_buckets(world: World) {
    let metric = Metric { unit: "s", service: "a", ..Metric::histogram("latency") };
    let point = |count, sum, counts| PointValue::Histogram {
        count,
        sum,
        min: Some(0.0),
        max: None,
        bucket_counts: counts,
        explicit_bounds: &[0.005, 1.0],
    };
    world
        .send(&metric, &[(0.0, 0, point(6, Some(3.5), &[1, 2, 3])), (60.0, 0, point(12, Some(7.0), &[2, 4, 6]))])
        .await;
    check(
        &world,
        "latency_seconds_bucket",
        60.0,
        &[
            r#"{"__name__":"latency_seconds_bucket","job":"a","le":"+Inf"} 12"#,
            r#"{"__name__":"latency_seconds_bucket","job":"a","le":"0.005"} 2"#,
            r#"{"__name__":"latency_seconds_bucket","job":"a","le":"1"} 6"#,
        ],
    )
    .await;
    check(
        &world,
        "latency_seconds_bucket{le=\"1\"}",
        0.0,
        &[r#"{"__name__":"latency_seconds_bucket","job":"a","le":"1"} 3"#],
    )
    .await;
    check(&world, "latency_seconds_sum / latency_seconds_count", 60.0, &[r#"{"job":"a"} 0.5833333333333334"#]).await;
    check(
        &world,
        "sum by (le) (increase(latency_seconds_bucket{le!=\"+Inf\"}[1m1s]))",
        60.0,
        &[r#"{"le":"0.005"} 1.0166666666666666"#, r#"{"le":"1"} 3.05"#],
    )
    .await;
    check(&world, "latency_seconds", 60.0, &[]).await;
    // No value any more: everything that was there ends.
    world.send(&metric, &[(90.0, 1, PointValue::None)]).await;
    check(&world, "{__name__=~\"latency.*\"}", 100.0, &[]).await;
    check(&world, "count({__name__=~\"latency.*\"})", 89.0, &["{} 5"]).await;
    // Without buckets and without a sum there is still the count.
    let bare =
        PointValue::Histogram { count: 3, sum: None, min: None, max: None, bucket_counts: &[], explicit_bounds: &[] };
    world.send(&Metric::histogram("bare"), &[(0.0, 0, bare)]).await;
    check(
        &world,
        "{__name__=~\"bare.*\"}",
        0.0,
        &[r#"{"__name__":"bare_bucket","le":"+Inf"} 3"#, r#"{"__name__":"bare_count"} 3"#],
    )
    .await;
}

async fn summaries_become_quantiles(world: World) {
    let value = PointValue::Summary { count: 4, sum: 10.0, quantiles: &[(0.5, 2.0), (0.99, 4.5)] };
    world.send(&Metric { unit: "ms", ..Metric::summary("wait") }, &[(0.0, 0, value)]).await;
    check(
        &world,
        "{__name__=~\"wait.*\"}",
        0.0,
        &[
            r#"{"__name__":"wait_milliseconds","quantile":"0.5"} 2"#,
            r#"{"__name__":"wait_milliseconds","quantile":"0.99"} 4.5"#,
            r#"{"__name__":"wait_milliseconds_count"} 4"#,
            r#"{"__name__":"wait_milliseconds_sum"} 10"#,
        ],
    )
    .await;
    check(
        &world,
        "wait_milliseconds{quantile=~\"0.9.*\"}",
        0.0,
        &[r#"{"__name__":"wait_milliseconds","quantile":"0.99"} 4.5"#],
    )
    .await;
}

// Classic ones come from Prometheus as the series that they are there: what has bounds is a native histogram with custom buckets.
async fn histograms_of_prometheus_stay_one_series(world: World) {
    let metric = Metric { exact: true, attributes: &[("le", "x")], ..Metric::histogram("sizes") };
    let bounds: &[f64] = &[0.5, 2.0];
    let value = |counts: &'static [u64]| PointValue::Histogram {
        count: counts.iter().sum(),
        sum: Some(1.5),
        min: None,
        max: None,
        bucket_counts: counts,
        explicit_bounds: bounds,
    };
    world.send(&metric, &[(0.0, 0, value(&[1, 0, 2])), (60.0, 0, value(&[1, 2, 2]))]).await;
    let labels = json!({"__name__": "sizes", "le": "x"});
    let buckets = json!([[3, "-Inf", "0.5", "1"], [0, "0.5", "2", "2"], [0, "2", "+Inf", "2"]]);
    let histogram = json!([60, {"count": "5", "sum": "1.5", "buckets": buckets}]);
    assert_eq!(world.query("sizes", 60.0).await, json!([{"metric": labels, "histogram": histogram}]));
    check(&world, "histogram_count(increase(sizes[1m1s]))", 60.0, &[r#"{"le":"x"} 2.033333333333333"#]).await;
    // A zero bucket of no width stays one.
    let kind = metric_type::EXPONENTIAL_HISTOGRAM;
    let metric = Metric { exact: true, kind, ..Metric::histogram("exact") };
    let value = PointValue::ExponentialHistogram {
        count: 1,
        sum: Some(0.0),
        min: None,
        max: None,
        scale: 0,
        zero_count: 1,
        zero_threshold: 0.0,
        positive: None,
        negative: None,
    };
    world.send(&metric, &[(60.0, 0, value)]).await;
    let histogram = json!([60, {"count": "1", "sum": "0", "buckets": [[3, "-0", "0", "1"]]}]);
    assert_eq!(world.query("exact", 60.0).await[0]["histogram"], histogram);
}

async fn exponential_histograms_become_native(world: World) {
    let kind = metric_type::EXPONENTIAL_HISTOGRAM;
    let metric = Metric { kind, unit: "s", service: "a", ..Metric::histogram("spread") };
    let point = |scale: i32, sum: Option<f64>, counts: &'static [u64]| PointValue::ExponentialHistogram {
        count: 4 + counts.iter().sum::<u64>(),
        sum,
        min: None,
        max: None,
        scale,
        zero_count: 1,
        zero_threshold: 0.0,
        positive: Some((-1, counts)),
        negative: Some((0, &[3])),
    };
    let points = [(0.0, 0, point(0, Some(1.5), &[1, 0, 2])), (60.0, 0, point(0, Some(7.5), &[2, 1, 4]))];
    world.send(&metric, &points).await;
    let histogram = |time: i64, count: &str, sum: &str, positive: serde_json::Value| {
        let mut buckets = vec![json!([1, "-2", "-1", "3"]), json!([3, "-1e-128", "1e-128", "1"])];
        buckets.extend(positive.as_array().cloned().unwrap_or_default());
        json!([time, {"count": count, "sum": sum, "buckets": buckets}])
    };
    let first = histogram(0, "7", "1.5", json!([[0, "0.5", "1", "1"], [0, "2", "4", "2"]]));
    let second = histogram(60, "11", "7.5", json!([[0, "0.5", "1", "2"], [0, "1", "2", "1"], [0, "2", "4", "4"]]));
    let labels = json!({"__name__": "spread_seconds", "job": "a"});
    assert_eq!(world.query("spread_seconds", 60.0).await, json!([{"metric": labels, "histogram": second}]));
    assert_eq!(
        world.query("spread_seconds[2m]", 60.0).await,
        json!([{"metric": labels, "histograms": [first, second]}])
    );
    check(&world, "histogram_count(increase(spread_seconds[1m1s]))", 60.0, &[r#"{"job":"a"} 4.066666666666666"#]).await;
    let (_, series) = world.get("/api/v1/series?match[]=spread_seconds&start=0&end=60").await;
    assert_eq!(series["data"], json!([labels]));
    // What is finer than any schema becomes coarser; what is coarser, or has no sum, is left out.
    world.send(&metric, &[(120.0, 0, point(9, Some(2.0), &[2, 1, 3, 4]))]).await;
    let finest = histogram(120, "14", "2", json!([]));
    let found = world.query("spread_seconds", 120.0).await;
    assert_eq!(found[0]["histogram"][1]["count"], finest[1]["count"]);
    let counts = found[0]["histogram"][1]["buckets"].as_array().expect("buckets");
    let counts: Vec<&str> = counts.iter().filter_map(|bucket| bucket[3].as_str()).collect();
    assert_eq!(counts, ["3", "1", "2", "4", "4"]);
    world.send(&metric, &[(180.0, 0, point(-5, Some(2.0), &[1])), (181.0, 0, point(0, None, &[1]))]).await;
    let (_, answer) = world.get("/api/v1/query?time=190&query=histogram_count(spread_seconds)").await;
    assert_eq!(answer["data"]["result"][0]["value"], json!([190, "14"]));
    assert_eq!(
        answer["warnings"],
        json!([
            "1 exponential histograms of metric \"spread_seconds\" are left out: native histograms have no schema below -4",
            "1 exponential histograms of metric \"spread_seconds\" are left out: they have no sum",
        ])
    );
    world.send(&metric, &[(200.0, 1, PointValue::None)]).await;
    check(&world, "spread_seconds", 210.0, &[]).await;
}

async fn no_recorded_value_ends_a_series(world: World) {
    let metric = Metric::gauge("up");
    world
        .send(&metric, &[(0.0, 0, PointValue::Int(1)), (60.0, 1, PointValue::None), (120.0, 0, PointValue::Int(2))])
        .await;
    check(&world, "up", 59.0, &[r#"{"__name__":"up"} 1"#]).await;
    check(&world, "up", 61.0, &[]).await;
    check(&world, "up", 121.0, &[r#"{"__name__":"up"} 2"#]).await;
    check(&world, "up", 420.0, &[]).await;
    check(&world, "up", 419.999, &[r#"{"__name__":"up"} 2"#]).await;
}

// Deltas are totals: what is there twice or late does not count, wherever it comes from.
async fn deltas_add_up(world: World) {
    let delta = Metric { temporality: DELTA, ..Metric::counter("steps") };
    let at = |seconds: f64, value: i64| (seconds, 0, PointValue::Int(value));
    world.send(&delta, &[at(0.0, 3), at(15.0, 4)]).await;
    // Sent again, with one more; then one that is late, and one that ends the series.
    world.send(&delta, &[at(0.0, 3), at(15.0, 4), at(30.0, 5)]).await;
    world.send(&delta, &[at(20.0, 100)]).await;
    world.send(&delta, &[at(60.0, 8), at(45.0, 0)]).await;
    world.send(&delta, &[(75.0, 1, PointValue::None)]).await;
    let total = json!([{"metric": {"__name__": "steps_total"}, "values": [[0, "3"], [15, "7"], [30, "12"], [45, "12"], [60, "20"]]}]);
    assert_eq!(world.query("steps_total[5m]", 74.0).await, total);
    check(&world, "steps_total", 74.0, &["{\"__name__\":\"steps_total\"} 20"]).await;
    check(&world, "steps_total", 75.0, &[]).await;
    check(&world, "resets(steps_total[5m])", 60.0, &["{} 0"]).await;
    check(&world, "increase(steps_total[15s])", 45.0, &[]).await;
    check(&world, "increase(steps_total[1m1s])", 60.0, &["{} 17.28333333333333"]).await;
    // After the end it goes on.
    world.send(&delta, &[at(90.0, 1)]).await;
    check(&world, "steps_total", 90.0, &["{\"__name__\":\"steps_total\"} 21"]).await;
    let (_, answer) = world.get("/api/v1/query?time=90&query=steps_total").await;
    assert_eq!(answer["warnings"], Value::Null);
    let (_, metadata) = world.get("/api/v1/metadata?metric=steps_total").await;
    assert_eq!(metadata["data"]["steps_total"][0]["type"], json!("counter"));
    histograms_of_deltas_add_up(&world).await;
}

async fn histograms_of_deltas_add_up(world: &World) {
    let metric = Metric { temporality: DELTA, ..Metric::histogram("sizes") };
    let explicit = |counts: &'static [u64], sum: f64| PointValue::Histogram {
        count: counts.iter().sum(),
        sum: Some(sum),
        min: Some(0.0),
        max: Some(9.0),
        bucket_counts: counts,
        explicit_bounds: &[1.0, 2.0],
    };
    world.send(&metric, &[(0.0, 0, explicit(&[1, 0, 2], 9.5))]).await;
    world.send(&metric, &[(15.0, 0, explicit(&[0, 2, 1], 5.0)), (15.0, 0, explicit(&[0, 2, 1], 5.0))]).await;
    for (query, value) in [
        ("sizes_count", "6"),
        ("sizes_sum", "14.5"),
        ("sizes_bucket{le=\"1\"}", "1"),
        ("sizes_bucket{le=\"2\"}", "3"),
        ("sizes_bucket{le=\"+Inf\"}", "6"),
        ("histogram_quantile(0.5, sizes_bucket)", "2"),
    ] {
        let found = world.query(query, 15.0).await;
        assert_eq!(found[0]["value"][1], json!(value), "{query}: {found}");
    }
    let kind = metric_type::EXPONENTIAL_HISTOGRAM;
    let metric = Metric { kind, temporality: DELTA, ..Metric::histogram("spread") };
    let exponential = |scale: i32, counts: &'static [u64]| PointValue::ExponentialHistogram {
        count: 1 + counts.iter().sum::<u64>(),
        sum: Some(2.0),
        min: None,
        max: None,
        scale,
        zero_count: 1,
        zero_threshold: 0.0,
        positive: Some((0, counts)),
        negative: None,
    };
    world.send(&metric, &[(0.0, 0, exponential(1, &[1, 2, 3]))]).await;
    world.send(&metric, &[(15.0, 0, exponential(0, &[10, 20]))]).await;
    let buckets = json!([[3, "-1e-128", "1e-128", "2"], [0, "1", "2", "13"], [0, "2", "4", "23"]]);
    let expected = json!([15, {"count": "38", "sum": "4", "buckets": buckets}]);
    assert_eq!(world.query("spread", 15.0).await[0]["histogram"], expected);
}

// Requests of many senders are committed in another order than they were received: a late point counts at the time of the one before.
async fn overflow_series_count_in_the_order_of_commits(world: World) {
    let of_many = |metric: Metric<'static>| Metric { temporality: DELTA, scope: OVERFLOW_SCOPE, ..metric };
    let sum = of_many(Metric::counter("calls"));
    for (seconds, value) in [(10.0, 3), (9.998, 4), (20.0, 5), (20.0, 6), (19.5, 7)] {
        world.send(&sum, &[(seconds, 0, PointValue::Int(value))]).await;
    }
    let labels = |name: &str| json!({"__name__": name, "otel_scope_name": "sextant.overflow"});
    let total = json!([{"metric": labels("calls_total"), "values": [[10, "7"], [20, "25"]]}]);
    assert_eq!(world.query("calls_total[1m]", 30.0).await, total);
    check(&world, "resets(calls_total[1m])", 30.0, &["{\"otel_scope_name\":\"sextant.overflow\"} 0"]).await;
    let exponential = of_many(Metric { kind: metric_type::EXPONENTIAL_HISTOGRAM, ..Metric::histogram("spread") });
    let explicit = of_many(Metric::histogram("sizes"));
    for (seconds, counts) in [(10.0, &[1u64, 2]), (9.999, &[3, 4])] {
        let (count, sum, min, max) = (counts.iter().sum(), Some(1.0), None, None);
        let histogram = PointValue::Histogram { count, sum, min, max, bucket_counts: counts, explicit_bounds: &[1.0] };
        world.send(&explicit, &[(seconds, 0, histogram)]).await;
        let (scale, zero_count, zero_threshold) = (1, 0, 0.0);
        let (positive, negative) = (Some((0, &counts[..])), None);
        let of = PointValue::ExponentialHistogram {
            count,
            sum,
            min,
            max,
            scale,
            zero_count,
            zero_threshold,
            positive,
            negative,
        };
        world.send(&exponential, &[(seconds, 0, of)]).await;
    }
    let counted = json!([{"metric": labels("sizes_count"), "values": [[10, "10"]]}]);
    assert_eq!(world.query("sizes_count[1m]", 30.0).await, counted);
    let native = world.query("spread[1m]", 30.0).await;
    let histograms = native[0]["histograms"].as_array().expect("there are histograms");
    assert_eq!((histograms.len(), &histograms[0][0], &histograms[0][1]["count"]), (1, &json!(10), &json!("10")));
}

async fn different_metrics_that_meet_in_one_label_set_are_one_series(world: World) {
    let histogram =
        PointValue::Histogram { count: 3, sum: None, min: None, max: None, bucket_counts: &[], explicit_bounds: &[] };
    world.send(&Metric::histogram("x"), &[(0.0, 0, histogram)]).await;
    world.send(&Metric::gauge("x_count"), &[(30.0, 0, PointValue::Int(9))]).await;
    assert_eq!(
        world.query("x_count[1m]", 30.0).await,
        json!([{"metric": {"__name__": "x_count"}, "values": [[0, "3"], [30, "9"]]}])
    );
}

#[tokio::test]
async fn scope_labels_can_be_left_out() {
    let world = World::with(query::Config { scope_labels: false, ..query::Config::default() });
    world.send(&Metric { scope: "lib", ..Metric::gauge("up") }, &[(0.0, 0, PointValue::Int(1))]).await;
    check(&world, "up", 0.0, &[r#"{"__name__":"up"} 1"#]).await;
}

async fn a_resource_is_described_by_target_info(world: World) {
    let old = Metric {
        service: "shop",
        resource: &[("service.instance.id", "i"), ("service.version", "1"), ("host.name", "h")],
        ..Metric::gauge("load")
    };
    let new = Metric { resource: &[("service.instance.id", "i"), ("service.version", "2")], ..old };
    let bare = Metric { service: "bare", resource: &[("service.instance.id", "j")], ..old };
    let value = |seconds| (seconds, 0, PointValue::Int(1));
    world.send(&old, &[value(0.0), value(15.0), value(200.0)]).await;
    world.send(&new, &[value(215.0)]).await;
    world.send(&bare, &[value(0.0)]).await;
    let old_info = r#"{"__name__":"target_info","host_name":"h","instance":"i","job":"shop","service_version":"1"} 1"#;
    let new_info = r#"{"__name__":"target_info","instance":"i","job":"shop","service_version":"2"} 1"#;
    check(&world, "target_info", 14.0, &[old_info]).await;
    check(&world, "target_info", 210.0, &[old_info]).await;
    check(&world, "target_info{job=\"shop\"}", 220.0, &[new_info]).await;
    check(&world, "target_info{service_version=\"1\"}", 220.0, &[]).await;
    check(&world, "target_info{service_version=\"1\"}", 200.0, &[old_info]).await;
    check(&world, "target_info", 600.0, &[]).await;
    let (_, values) = world.get("/api/v1/label/service_version/values?start=0&end=600").await;
    assert_eq!(values["data"], json!(["1", "2"]));
    let (_, metadata) = world.get("/api/v1/metadata?metric=target_info").await;
    assert_eq!(metadata["data"]["target_info"][0]["type"], "gauge");
}

#[tokio::test]
async fn names_follow_the_strategy_without_sending_again() {
    use model::names::Strategy;
    let metric = Metric {
        unit: "s",
        service: "shop",
        attributes: &[("http.route", "/")],
        resource: &[("host.name", "h")],
        ..Metric::gauge("job.wait__time")
    };
    for (name_strategy, selector, name, route) in [
        (Strategy::UnderscoreEscapingWithSuffixes, "job_wait_time_seconds", "job_wait_time_seconds", "http_route"),
        (Strategy::UnderscoreEscapingWithoutSuffixes, "job_wait__time", "job_wait__time", "http_route"),
        (Strategy::NoUtf8EscapingWithSuffixes, "{\"job.wait__time_seconds\"}", "job.wait__time_seconds", "http.route"),
        (Strategy::NoTranslation, "{\"job.wait__time\", \"http.route\"=\"/\"}", "job.wait__time", "http.route"),
    ] {
        let world = World::with(query::Config { name_strategy, target_info: false, ..query::Config::default() });
        world.send(&metric, &[(0.0, 0, PointValue::Int(1))]).await;
        let expected = json!([{"metric": {"__name__": name, route: "/", "job": "shop"}, "value": [0, "1"]}]);
        assert_eq!(world.query(selector, 0.0).await, expected, "{}", name_strategy.as_str());
        check(&world, "target_info", 0.0, &[]).await;
    }
    let promote_resource_attributes = vec!["host.name".to_owned()];
    let world = World::with(query::Config { promote_resource_attributes, ..query::Config::default() });
    world.send(&metric, &[(0.0, 0, PointValue::Int(1))]).await;
    check(
        &world,
        "{host_name=\"h\", __name__!=\"target_info\"}",
        0.0,
        &[r#"{"__name__":"job_wait_time_seconds","host_name":"h","http_route":"/","job":"shop"} 1"#],
    )
    .await;
}
