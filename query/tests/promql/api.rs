//! Prometheus's paths: parameters, envelopes, error types and codes.

use axum::http::StatusCode;
use serde_json::{Value, json};
use store::schema::PointValue;

use crate::world::{Metric, World, encode};

async fn world() -> World {
    let world = World::new();
    for (service, route, factor) in [("shop", "/a", 1), ("shop", "/b", 2), ("pay", "/a", 3)] {
        let metric = Metric {
            unit: "1",
            help: "Requests served.",
            service,
            attributes: &[("route", route)],
            ..Metric::counter("requests")
        };
        let points: Vec<_> =
            (0..10).map(|n| (f64::from(n * 60), 0, PointValue::Int(i64::from(n * 60 * factor)))).collect();
        world.send(&metric, &points).await;
    }
    let size = PointValue::Histogram {
        count: 2,
        sum: Some(3.0),
        min: None,
        max: None,
        bucket_counts: &[1, 1],
        explicit_bounds: &[10.0],
    };
    let metric = Metric { unit: "By", help: "Sizes.", service: "pay", ..Metric::histogram("size") };
    world.send(&metric, &[(540.0, 0, size)]).await;
    world
}

#[tokio::test]
async fn answers_have_prometheus_envelopes() {
    let world = world().await;
    let (status, answer) = world.get("/api/v1/query?query=sum(requests_total)&time=540").await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [540, "3240"]}]},
    });
    assert_eq!(answer, expected);

    let (_, answer) = world.get("/api/v1/query?query=1.5e-7&time=540.25").await;
    assert_eq!(answer["data"], json!({"resultType": "scalar", "result": [540.25, "1.5e-07"]}));
    let (_, answer) = world.get("/api/v1/query?query=%22text%22&time=1970-01-01T00:09:00Z").await;
    assert_eq!(answer["data"], json!({"resultType": "string", "result": [540, "text"]}));
    // Without a time it is now: 1000 seconds, when the last sample is seven minutes old.
    let (_, answer) = world.get("/api/v1/query?query=count(requests_total)").await;
    assert_eq!(answer["data"]["result"], json!([]));
    let (_, answer) = world.get("/api/v1/query?query=count(requests_total)&lookback_delta=10m").await;
    assert_eq!(answer["data"]["result"][0]["value"], json!([1000, "3"]));
}

#[tokio::test]
async fn ranges_and_forms() {
    let world = world().await;
    let expected = json!({
        "status": "success",
        "data": {
            "resultType": "matrix",
            "result": [
                {"metric": {"job": "pay"}, "values": [[120, "3"], [180.5, "3"]]},
                {"metric": {"job": "shop"}, "values": [[120, "3"], [180.5, "3"]]},
            ],
        },
    });
    let form = format!("query={}&start=120&end=200&step=60.5", encode("sum by (job) (rate(requests_total[2m]))"));
    let (status, answer) = world.post("/api/v1/query_range", &form).await;
    assert_eq!((status, answer), (StatusCode::OK, expected.clone()));
    let (status, answer) = world.get(&format!("/api/v1/query_range?{form}")).await;
    assert_eq!((status, answer), (StatusCode::OK, expected));
    // The form's value counts before the URL's.
    let (_, answer) = world.post("/api/v1/query?query=1&time=3", "query=2").await;
    assert_eq!(answer["data"]["result"], json!([3, "2"]));
    let (_, answer) = world.get("/api/v1/query_range?query=2&start=0&end=60&step=1m").await;
    assert_eq!(answer["data"]["result"], json!([{"metric": {}, "values": [[0, "2"], [60, "2"]]}]));
    // A rate over what is no counter is remarked upon.
    let (_, answer) = world.get("/api/v1/query?query=rate(size_bytes_bucket%5B5m%5D)%20%2B%201&time=540").await;
    assert_eq!(answer["infos"], Value::Null);
}

#[tokio::test]
async fn limits_cut_and_say_so() {
    let world = world().await;
    let (_, answer) = world.get("/api/v1/query?query=requests_total&time=540&limit=2").await;
    assert_eq!(answer["data"]["result"].as_array().map(Vec::len), Some(2));
    assert_eq!(answer["warnings"], json!(["results truncated due to limit"]));
    let (_, answer) = world.get("/api/v1/query?query=requests_total&time=540&limit=3").await;
    assert_eq!(answer["warnings"], Value::Null);
    let (_, answer) = world.get("/api/v1/labels?limit=1").await;
    assert_eq!(
        (&answer["data"], &answer["warnings"][0]),
        (&json!(["__name__"]), &json!("results truncated due to limit"))
    );
}

#[tokio::test]
async fn what_there_is() {
    let world = world().await;
    let cases = [
        ("labels", json!(["__name__", "job", "le", "route"])),
        ("labels?match[]=requests_total", json!(["__name__", "job", "route"])),
        ("labels?match[]=size_bytes_sum&match[]=nothing", json!(["__name__", "job"])),
        ("label/job/values", json!(["pay", "shop"])),
        ("label/job/values?match[]=%7Broute%3D%22%2Fb%22%7D", json!(["shop"])),
        ("label/le/values", json!(["+Inf", "10"])),
        ("label/nothing/values", json!([])),
        ("label/job/values?match[]=%7Ble%3D%2210%22%7D", json!(["pay"])),
        ("label/job/values?match[]=%7Ble%3D%2211%22%7D", json!([])),
        ("labels?match[]=%7Ble%3D%2210%22%7D", json!(["__name__", "job", "le"])),
        ("label/__name__/values", json!(["requests_total", "size_bytes_bucket", "size_bytes_count", "size_bytes_sum"])),
        (
            "series?match[]=requests_total%7Bjob%3D%22pay%22%7D",
            json!([{"__name__": "requests_total", "job": "pay", "route": "/a"}]),
        ),
        (
            "series?match[]=size_bytes_bucket&match[]=size_bytes_sum&match[]=size_bytes_sum",
            json!([
                {"__name__": "size_bytes_bucket", "job": "pay", "le": "+Inf"},
                {"__name__": "size_bytes_bucket", "job": "pay", "le": "10"},
                {"__name__": "size_bytes_sum", "job": "pay"},
            ]),
        ),
        ("series?match[]=requests_total&start=2000&end=3000", json!([])),
        (
            "metadata",
            json!({
                "requests_total": [{"type": "counter", "help": "Requests served.", "unit": ""}],
                "size_bytes": [{"type": "histogram", "help": "Sizes.", "unit": "bytes"}],
            }),
        ),
        ("metadata?metric=nothing", json!({})),
        ("metadata?limit=1", json!({"requests_total": [{"type": "counter", "help": "Requests served.", "unit": ""}]})),
    ];
    for (path, expected) in cases {
        let (status, answer) = world.get(&format!("/api/v1/{path}")).await;
        assert_eq!((status, &answer["data"]), (StatusCode::OK, &expected), "{path}");
        assert_eq!(answer["status"], "success");
    }
    let (_, posted) = world.post("/api/v1/series", "match[]=size_bytes_sum").await;
    assert_eq!(posted["data"], json!([{"__name__": "size_bytes_sum", "job": "pay"}]));
    let (_, info) = world.get("/api/v1/status/buildinfo").await;
    assert_eq!(info["data"]["version"], "1.2.3");
}

#[tokio::test]
async fn errors_as_prometheus_says_them() {
    let world = world().await;
    let cases = [
        (
            "query?query=sum(",
            400,
            "bad_data",
            "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis",
        ),
        (
            "query",
            400,
            "bad_data",
            "invalid parameter \"query\": unknown position: parse error: no expression found in input",
        ),
        (
            "query?query=integral(up%5B1m%5D)",
            400,
            "bad_data",
            "invalid parameter \"query\": 1:1: function \"integral\" is not supported yet",
        ),
        (
            "query?query=1&time=soon",
            400,
            "bad_data",
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"soon\" to a valid timestamp",
        ),
        (
            "query?query=1&timeout=long",
            400,
            "bad_data",
            "invalid parameter \"timeout\": cannot parse \"long\" to a valid duration",
        ),
        ("query?query=1&limit=-1", 400, "bad_data", "invalid parameter \"limit\": limit must be non-negative"),
        (
            "query_range?query=1&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"start\": cannot parse \"\" to a valid timestamp",
        ),
        (
            "query_range?query=1&start=2&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"end\": end timestamp must not be before start time",
        ),
        (
            "query_range?query=1&start=1&end=2",
            400,
            "bad_data",
            "invalid parameter \"step\": cannot parse \"\" to a valid duration",
        ),
        (
            "query_range?query=1&start=1&end=2&step=0",
            400,
            "bad_data",
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        ),
        (
            "query_range?query=1&start=0&end=100000&step=1",
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "query_range?query=requests_total%5B5m%5D&start=0&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
        ),
        ("series", 400, "bad_data", "no match[] parameter provided"),
        (
            "series?match[]=%7B%7D",
            400,
            "bad_data",
            "invalid parameter \"match[]\": match[] must contain at least one non-empty matcher",
        ),
        ("labels?match[]=%7B%7D", 400, "bad_data", "match[] must contain at least one non-empty matcher"),
        (
            "labels?start=x",
            400,
            "bad_data",
            "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp",
        ),
        (
            "query?query=1&lookback_delta=x",
            400,
            "bad_data",
            "error parsing lookback delta duration: cannot parse \"x\" to a valid duration",
        ),
        ("status/tsdb?limit=0", 400, "bad_data", "limit must be a positive number"),
        (
            "query?time=540&query=requests_total%20%2B%20on()%20requests_total",
            422,
            "execution",
            "found duplicate series for the match group {} on the right hand-side of the operation: \
             [{__name__=\"requests_total\", job=\"pay\", route=\"/a\"}, {__name__=\"requests_total\", job=\"shop\", route=\"/a\"}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
        ),
    ];
    for (path, status, error_type, message) in cases {
        let (got, answer) = world.get(&format!("/api/v1/{path}")).await;
        let expected = json!({"status": "error", "errorType": error_type, "error": message});
        assert_eq!((got.as_u16(), answer), (status, expected), "{path}");
    }
}

#[tokio::test]
async fn a_timeout_is_503() {
    let world = world().await;
    // The clock stands still: only a query without any time runs out of it.
    let (status, answer) = world.get("/api/v1/query?query=sum(requests_total)&time=540&timeout=0").await;
    let expected =
        json!({"status": "error", "errorType": "timeout", "error": "query timed out in expression evaluation"});
    assert_eq!((status, answer), (StatusCode::SERVICE_UNAVAILABLE, expected));
    let (status, _) = world.get("/api/v1/query?query=sum(requests_total)&time=540&timeout=1ms").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn exemplars_are_found_by_the_series_that_an_expression_selects() {
    let world = world().await;
    let metric = Metric { service: "pay", attributes: &[("route", "/a")], ..Metric::counter("calls") };
    world.send_with_exemplars(&metric, 60.0, PointValue::Int(7), &[(59.5, 6.5, Some([7; 16]))]).await;
    let histogram = PointValue::Histogram {
        count: 2,
        sum: Some(3.0),
        min: None,
        max: None,
        bucket_counts: &[1, 1],
        explicit_bounds: &[10.0],
    };
    let metric = Metric { service: "pay", ..Metric::histogram("latency") };
    world.send_with_exemplars(&metric, 61.0, histogram, &[(60.5, 7.0, None), (60.75, 12.0, None)]).await;
    let ask = async |query: &str, start: u32| {
        let (status, answer) =
            world.get(&format!("/api/v1/query_exemplars?query={}&start={start}&end=100", encode(query))).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["data"].clone()
    };
    let of_calls = json!([{
        "seriesLabels": {"__name__": "calls_total", "job": "pay", "route": "/a"},
        "exemplars": [{
            "labels": {"trace_id": "07070707070707070707070707070707", "order_id": "o-17"},
            "value": "6.5",
            "timestamp": 59.5,
        }],
    }]);
    assert_eq!(ask("sum by (route) (rate(calls_total{job=\"pay\"}[5m])) > 1", 0).await, of_calls);
    assert_eq!(ask("calls_total{job=\"shop\"}", 0).await, json!([]));
    assert_eq!(ask("calls_total", 60).await, json!([]));
    assert_eq!(ask("requests_total", 0).await, json!([]));
    let quantile = "histogram_quantile(0.9, sum by (le) (rate(latency_bucket[5m])))";
    let in_bucket = |bound: &str, value: &str, millis: f64| {
        json!({
            "seriesLabels": {"__name__": "latency_bucket", "job": "pay", "le": bound},
            "exemplars": [{"labels": {"order_id": "o-17"}, "value": value, "timestamp": millis}],
        })
    };
    let (low, high) = (in_bucket("10", "7", 60.5), in_bucket("+Inf", "12", 60.75));
    for (query, expected) in [
        (quantile, json!([high, low])),
        ("latency_bucket", json!([high, low])),
        ("latency_bucket{le=\"10\"}", json!([low])),
        ("latency_bucket{le!=\"10\"}", json!([high])),
        ("latency_bucket{le=\"10\"} / on (job) latency_bucket{le=\"+Inf\"}", json!([high, low])),
        ("latency_bucket{le=\"5\"}", json!([])),
        // Only buckets have exemplars.
        ("latency_count", json!([])),
        ("latency", json!([])),
    ] {
        assert_eq!(ask(query, 0).await, expected, "{query}");
    }
    let (status, answer) = world.get("/api/v1/query_exemplars?query=calls_total&start=5&end=1").await;
    assert_eq!((status, &answer["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")));
}

#[tokio::test]
async fn expressions_are_laid_out_and_taken_apart() {
    let world = world().await;
    let (_, answer) = world.post("/api/v1/format_query", "query=sum+by(job)(rate(a[5m]))").await;
    assert_eq!(answer, json!({"status": "success", "data": "sum by (job) (rate(a[5m]))"}));
    let (status, answer) = world.get("/api/v1/format_query?query=sum(").await;
    assert_eq!((status, &answer["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")));
    let (_, answer) = world.get("/api/v1/format_query?query=rate(a%5B5m%2B1m%5D%20smoothed)").await;
    assert_eq!(answer, json!({"status": "success", "data": "rate(a[5m + 1m] smoothed)"}));
    let (status, answer) = world.get("/api/v1/parse_query?query=rate(a%5B5m%2B1m%5D)").await;
    assert_eq!((status, &answer["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")));
    let (_, answer) = world.get("/api/v1/parse_query?query=a%7Bb%3D%22c%22%7D%20%2B%201").await;
    let data = &answer["data"];
    assert_eq!((&data["type"], &data["op"]), (&json!("binaryExpr"), &json!("+")), "{answer}");
    assert_eq!((&data["lhs"]["type"], &data["lhs"]["name"]), (&json!("vectorSelector"), &json!("a")), "{answer}");
    assert_eq!((&data["rhs"]["type"], &data["rhs"]["val"]), (&json!("numberLiteral"), &json!("1")), "{answer}");
}

#[tokio::test]
async fn what_prometheus_tells_of_itself() {
    let world = world().await;
    let (_, answer) = world.get("/api/v1/status/tsdb?limit=2").await;
    let data = &answer["data"];
    assert_eq!(data["headStats"]["numSeries"], 6, "{answer}");
    let by_metric = &data["seriesCountByMetricName"];
    assert_eq!(by_metric, &json!([{"name": "requests_total", "value": 3}, {"name": "size_bytes_bucket", "value": 1}]));
    assert_eq!(data["seriesCountByLabelValuePair"][0], json!({"name": "job=pay", "value": 4}));
    // Prometheus's fields, those with numbers and those with the largest, and not one more.
    let keys = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
    let lists = [
        "labelValueCountByLabelName",
        "memoryInBytesByLabelName",
        "seriesCountByLabelValuePair",
        "seriesCountByMetricName",
    ];
    let head = ["chunkCount", "maxTime", "minTime", "numLabelPairs", "numSeries"];
    let expected: Vec<String> = ["headStats"].iter().chain(&lists).map(|key| (*key).to_owned()).collect();
    assert_eq!(keys(data), Some(expected));
    assert_eq!(keys(&data["headStats"]), Some(head.map(str::to_owned).to_vec()));
    for list in lists {
        let entries = data[list].as_array().expect("a list");
        let numbers: Vec<u64> = entries.iter().filter_map(|entry| entry["value"].as_u64()).collect();
        assert!(numbers.len() == 2 && numbers[0] >= numbers[1] && entries[0]["name"].is_string(), "{list}: {answer}");
    }
    for (path, key) in [("flags", "query.timeout"), ("runtimeinfo", "startTime"), ("config", "yaml")] {
        let (status, answer) = world.get(&format!("/api/v1/status/{path}")).await;
        assert!(status == StatusCode::OK && answer["data"][key].is_string(), "{answer}");
    }
}
