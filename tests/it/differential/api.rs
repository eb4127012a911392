//! The requests of Grafana's Prometheus data source, and those of people who make mistakes: Prometheus 3.5 and Sextant answer with the
//! same status, errors with the same words, and everything else with the same form: the same keys, kinds of values and order of both.

use serde_json::Value as Json;
use tui::Client;

use super::Pair;
use super::world::{self, BEGIN};
use crate::asking::{FORM, form};
use crate::harness::Place;
use crate::prometheus;

/// Method, path with parameters, form.
type Request<'r> = (&'r str, String, String);

fn requests() -> Vec<Request<'static>> {
    let (start, end) = (BEGIN / 1000, BEGIN / 1000 + 1800);
    let get = |path: &str| ("GET", path.to_owned(), String::new());
    let post = |path: &str, form: &str| ("POST", path.to_owned(), form.to_owned());
    let range = format!("start={start}&end={end}");
    let counter = "query=sum+by+(job)+(rate(http_requests_total%5B5m%5D))";
    let mut all = vec![
        // "Save & test", and what kind of server it is.
        post("query", &format!("query=1%2B1&time={end}.281")),
        get(&format!("query?query=1%2B1&time={end}")),
        get("status/buildinfo"),
        // The explorer: metadata, metrics, labels and values, series.
        // Prometheus knows of no metadata that came by remote write, and of old samples no cardinality.
        get("metadata?metric=nothing&limit_per_metric=1"),
        get(&format!("labels?{range}")),
        post("labels", &format!("{range}&match%5B%5D=http_requests_total")),
        get(&format!("labels?{range}&limit=2")),
        get(&format!("label/__name__/values?{range}")),
        get(&format!("label/__name__/values?{range}&limit=3&match%5B%5D=%7Bjob%3D%22api%22%7D")),
        get(&format!("label/job/values?{range}&match%5B%5D=temperature&match%5B%5D=up")),
        get(&format!("label/U__url_2e_path/values?{range}")),
        get(&format!("label/nothing_of_this_name/values?{range}")),
        get(&format!("series?{range}&match%5B%5D=temperature")),
        post("series", &format!("{range}&match%5B%5D=temperature&limit=2")),
        post("series", &format!("{range}&match%5B%5D=%7B%22http.server.requests%22%7D")),
        // Panels: instant, range, with the query inspector's statistics; exemplars; histograms.
        post("query_range", &format!("{counter}&{range}&step=60")),
        get(&format!("query_range?{counter}&{range}&step=60&stats=all&timeout=30s&limit=1")),
        post("query", &format!("{counter}&time={end}&stats=true&lookback_delta=2m")),
        post("query", &format!("query=duration_seconds&time={end}&limit=1&stats=all")),
        post("query_range", &format!("query=duration_seconds&{range}&step=300")),
        post("query", &format!("query=temperature%5B2m%5D&time={end}")),
        post("query", &format!("query=%22text%22&time={end}")),
        post("query_exemplars", &format!("query=http_requests_total&{range}")),
        get(&format!("query_exemplars?query=http_requests_total&{range}")),
        get("rules"),
        get("rules?type=alert"),
        get("alerts"),
        // The editor.
        get("format_query?query=sum(up)by(job)"),
        post("parse_query", "query=up%7Ba%3D%22b%22%7D"),
        get("status/runtimeinfo"),
        get("status/config"),
    ];
    // Mistakes.
    for path in [
        "query",
        "query?query=sum(",
        "query?query=up&time=abc",
        "query?query=up&timeout=x",
        "query?query=up&limit=-1",
        "query?query=up&limit=x",
        "query?query=up&lookback_delta=x",
        "query?query=foo+bar",
        "query?query=up%7Ba%3D~%22(%22%7D",
        "query?query=rate(up)",
        "query?query=nothing(up)",
        "query?query=up+offset+x",
        "query?query=1+%2B+%22a%22",
        "query_range?query=up&start=0&end=10",
        "query_range?query=up&start=10&end=0&step=1",
        "query_range?query=up&start=0&end=10&step=0",
        "query_range?query=up&start=0&end=10&step=-1",
        "query_range?query=up&start=0&end=100000&step=1",
        "query_range?query=up%5B5m%5D&start=0&end=10&step=1",
        "query_range?query=%22a%22&start=0&end=10&step=1",
        "query_range?query=up&start=x&end=10&step=1",
        "query_exemplars?query=up&start=2&end=1",
        "query_exemplars?query=up",
        "series",
        "series?match%5B%5D=%7B%7D",
        "series?match%5B%5D=up%7B",
        "series?match%5B%5D=up&start=2&end=1",
        "labels?match%5B%5D=%7B%7D",
        "labels?match%5B%5D=up%7B",
        "labels?start=x",
        "labels?end=x",
        "labels?limit=-1",
        "label/job/values?match%5B%5D=up%7B",
        "metadata?limit=x",
        "metadata?limit_per_metric=x",
        "format_query?query=sum(",
        "parse_query?query=sum(",
        "status/tsdb?limit=x",
        "status/tsdb?limit=0",
        "rules?type=x",
    ] {
        all.push(get(path));
    }
    all
}

async fn answer(client: &Client, (method, path, form): &Request<'_>) -> (u16, String, Json) {
    let path = format!("/api/v1/{path}");
    let answer = match *method {
        "GET" => client.fetch(&path, &tui::client::Params::new()).await,
        _ => client.post(&path, FORM, form.clone().into()).await,
    };
    let answer = answer.expect("an answer");
    let body = serde_json::from_slice(&answer.body).unwrap_or_else(|_| String::from_utf8_lossy(&answer.body).into());
    (answer.status, answer.content_type, body)
}

// What is the same whatever the numbers: kinds of values, keys; of lists the form of the first, which here stands for the others.
fn form_of(value: &Json) -> Json {
    match value {
        Json::Null => "null".into(),
        Json::Bool(_) => "bool".into(),
        Json::Number(_) => "number".into(),
        Json::String(_) => "text".into(),
        // A sample is a time and a value, a bucket four texts.
        Json::Array(items)
            if items.len() > 1 && !items[0].is_object() && !items[0].is_array() && items[0] != items[1] =>
        {
            Json::Array(items.iter().take(4).map(form_of).collect())
        }
        Json::Array(items) => Json::Array(items.iter().take(1).map(form_of).collect()),
        Json::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), form_of(value))).collect(),
    }
}

fn differs(theirs: &(u16, String, Json), ours: &(u16, String, Json)) -> bool {
    let is_error = theirs.0 != 200;
    let is_parse_error = |answer: &Json| answer["error"].as_str().is_some_and(|text| text.contains(": parse error: "));
    let same_body = match is_error {
        // Where and what a parser stumbles over is its own.
        true if is_parse_error(&theirs.2) => is_parse_error(&ours.2) && theirs.2["errorType"] == ours.2["errorType"],
        true => theirs.2 == ours.2,
        false => form_of(&theirs.2) == form_of(&ours.2),
    };
    theirs.0 != ours.0 || theirs.1 != ours.1 || !same_body
}

#[tokio::test]
async fn requests_of_grafana_have_answers_of_the_same_form() {
    let Some(binary) = prometheus::version_3_5() else {
        eprintln!("there is no apt to fetch Prometheus with: nothing is compared");
        return;
    };
    let place = Place::new();
    let pair = Pair::start(binary, &place, &world::world(1)).await;
    let mut wrong = Vec::new();
    for request in requests() {
        let (theirs, ours) = tokio::join!(answer(&pair.prometheus.client, &request), answer(&pair.ours, &request));
        if differs(&theirs, &ours) {
            let short = |answer: &(u16, String, Json)| {
                let text = if answer.0 == 200 { form_of(&answer.2).to_string() } else { answer.2.to_string() };
                format!("{} {} {}", answer.0, answer.1, text.chars().take(700).collect::<String>())
            };
            wrong.push(format!("{request:?}\n  Prometheus {}\n  Sextant    {}", short(&theirs), short(&ours)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn statistics_count_the_samples_that_prometheus_counts() {
    let Some(binary) = prometheus::version_3_5() else {
        eprintln!("there is no apt to fetch Prometheus with: nothing is compared");
        return;
    };
    let place = Place::new();
    let pair = Pair::start(binary, &place, &world::world(1)).await;
    for query in [
        "http_requests_total",
        "sum by (job) (rate(http_requests_total[5m]))",
        "temperature offset 1m > 10",
        "timestamp(temperature)",
        "max_over_time(temperature[2m] @ end()) + on () group_left () vector(1)",
        "sum_over_time((temperature * 2)[5m:1m])",
        "absent(nothing) or time()",
        "errors_total and on (job) count by (job) (temperature)",
    ] {
        let query = form(&[("query", query)]);
        for times in [
            format!("time={}", BEGIN / 1000 + 900),
            format!("start={}&end={}&step=15", BEGIN / 1000 + 900, BEGIN / 1000 + 999),
        ] {
            let path = if times.starts_with("time") { "query" } else { "query_range" };
            let request = ("POST", path.to_owned(), format!("{query}&{times}&stats=all"));
            let (theirs, ours) = tokio::join!(answer(&pair.prometheus.client, &request), answer(&pair.ours, &request));
            for count in ["totalQueryableSamples", "totalQueryableSamplesPerStep"] {
                let of = |answer: &(u16, String, Json)| answer.2["data"]["stats"]["samples"][count].clone();
                assert_eq!(of(&ours), of(&theirs), "{request:?}");
            }
        }
    }
}
