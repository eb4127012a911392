//! A real Prometheus and the server scrape the same targets by the same file: both have the same targets, and the same series with the same
//! values.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::routing::get;
use serde_json::{Value, json};
use tui::Client;
use tui::client::Params;

use super::{PATIENCE, configure, data, debian, place};
use crate::harness::until;

/// What targets answer, by their paths.
const BODIES: &[(&str, &str)] = &[
    ("plain", "# TYPE a_total counter\na_total 1\nb{x=\"y\"} 2.5\nc NaN\nd +Inf\ne -1e-9\n"),
    ("conflict", "a{job=\"x\",instance=\"i\",exported_job=\"y\",zone=\"\"} 1\nb{exported_instance=\"z\"} 2\n"),
    ("times", "a 1 1000\nb 2\n"),
    ("twice", "a 1\na 2\nb{x=\"1\",y=\"2\"} 3\nb{y=\"2\",x=\"1\"} 4\n"),
    ("escapes", "a{b=\"x\\\\y\\\"z\\n\"} 1\n"),
    ("spaces", "b\t{ c = \"d\" , }  2  \n\n \n"),
    ("remarks", "# remark\n#\n#HELP\n# HELP a\na 1\n"),
    ("histogram", "# TYPE h histogram\nh_bucket{le=\"0.1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"),
    ("malformed", "a 1\nb{ 2\n"),
    ("many", "a 1\nb 2\nc 3\n"),
    (
        "open",
        "# TYPE a counter\na_total{b=\"c\"} 5 # {trace_id=\"x\"} 1\na_created 1.5e9\n# UNIT g_seconds seconds\n# TYPE g_seconds gauge\ng_seconds 2\n# EOF\n",
    ),
    ("openless", "a 1\n"),
];

/// Jobs for both; `ADDRESS` is where the bodies are.
const JOBS: &str = "
global: {scrape_interval: 1s, scrape_timeout: 900ms}
scrape_configs:
- {job_name: plain, metrics_path: /plain, static_configs: [{targets: [ADDRESS], labels: {zone: z}}]}
- {job_name: conflict, metrics_path: /conflict, static_configs: [{targets: [ADDRESS], labels: {zone: z}}]}
- {job_name: honored, metrics_path: /conflict, honor_labels: true, static_configs: [{targets: [ADDRESS], labels: {zone: z}}]}
- {job_name: untimed, metrics_path: /times, honor_timestamps: false, static_configs: [{targets: [ADDRESS]}]}
- {job_name: escapes, metrics_path: /escapes, static_configs: [{targets: [ADDRESS]}]}
- {job_name: spaces, metrics_path: /spaces, static_configs: [{targets: [ADDRESS]}]}
- {job_name: remarks, metrics_path: /remarks, static_configs: [{targets: [ADDRESS]}]}
- {job_name: histogram, metrics_path: /histogram, static_configs: [{targets: [ADDRESS]}]}
- {job_name: malformed, metrics_path: /malformed, static_configs: [{targets: [ADDRESS]}]}
- {job_name: many, metrics_path: /many, sample_limit: 2, static_configs: [{targets: [ADDRESS]}]}
- {job_name: few, metrics_path: /many, sample_limit: 3, label_limit: 3, static_configs: [{targets: [ADDRESS]}]}
- {job_name: labels, metrics_path: /many, label_limit: 2, static_configs: [{targets: [ADDRESS]}]}
- {job_name: open, metrics_path: /open, static_configs: [{targets: [ADDRESS]}]}
- {job_name: openless, metrics_path: /openless, static_configs: [{targets: [ADDRESS]}]}
- {job_name: nobody, static_configs: [{targets: ['127.0.0.1:1']}]}
- {job_name: missing, metrics_path: /missing, static_configs: [{targets: [ADDRESS]}]}
- job_name: relabelled
  metrics_path: /plain
  params: {module: [m, n], q: ['a b']}
  static_configs:
  - targets: ['first:1', 'second:2', 'third:3']
    labels: {__meta_kind: One, env: Prod, copy_a: '1', copy_b: '2', __tmp: t}
  relabel_configs:
  - {action: drop, source_labels: [__address__], regex: 'third:.*'}
  - {source_labels: [__address__], target_label: instance}
  - {source_labels: [__address__, env], separator: '@', regex: '(.+):(.+)@(.*)', target_label: 'made_${1}', replacement: '$2-$3'}
  - {action: lowercase, source_labels: [env], target_label: env}
  - {action: uppercase, source_labels: [__meta_kind], target_label: kind}
  - {action: hashmod, source_labels: [__address__], modulus: 97, target_label: shard}
  - {action: labelmap, regex: 'copy_(.)', replacement: 'of_$1'}
  - {action: labeldrop, regex: 'copy_.*'}
  - {source_labels: [none], target_label: __param_target, replacement: there}
  - {target_label: __param_module, replacement: x}
  - {target_label: __address__, replacement: ADDRESS}
- job_name: metrics
  metrics_path: /plain
  static_configs: [{targets: [ADDRESS], labels: {same: '2.5'}}]
  metric_relabel_configs:
  - {action: drop, source_labels: [__name__], regex: 'c|d'}
  - {source_labels: [__name__], regex: '(.*)_total', target_label: __name__, replacement: 'renamed_${1}'}
  - {action: keep, source_labels: [__name__], regex: 'renamed_.*|b'}
  - {action: dropequal, source_labels: [x], target_label: none}
- job_name: equal
  metrics_path: /plain
  static_configs: [{targets: [ADDRESS], labels: {other: y}}]
  metric_relabel_configs: [{action: keepequal, source_labels: [x], target_label: other}]
- job_name: files
  metrics_path: /plain
  file_sd_configs: [{files: ['*.targets.json', 'more.targets.yml']}]
  relabel_configs: [{source_labels: [__meta_filepath], regex: '(.*/)?(.*)', target_label: file, replacement: '$2'}]
";

async fn bodies() -> String {
    let answer = async |Path(name): Path<String>| {
        let body = BODIES.iter().find(|(known, _)| *known == name).map(|(_, body)| *body);
        let body = body.ok_or(axum::http::StatusCode::NOT_FOUND)?;
        let kind = if name.starts_with("open") { "application/openmetrics-text; version=1.0.0" } else { "text/plain" };
        Ok::<_, axum::http::StatusCode>(([(header::CONTENT_TYPE, kind)], body))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let router = Router::new().route("/{name}", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

// The targets by job and labels: where they are, how they are, and what they were before relabelling; and those that were dropped.
async fn targets(client: &Client) -> Vec<Value> {
    let found = data(client, "/api/v1/targets", &Params::new()).await.unwrap_or_default();
    let of = |target: &Value, keys: &[&str]| {
        keys.iter().map(|key| ((*key).to_owned(), target[*key].clone())).collect::<serde_json::Map<_, _>>()
    };
    let list = |key: &str| found[key].as_array().cloned().unwrap_or_default();
    let keys = ["scrapePool", "labels", "discoveredLabels", "scrapeUrl", "health", "scrapeInterval", "scrapeTimeout"];
    let active = list("activeTargets").iter().map(|target| Value::Object(of(target, &keys))).collect::<Vec<_>>();
    let dropped = list("droppedTargets")
        .iter()
        .map(|target| Value::Object(of(target, &["discoveredLabels"])))
        .collect::<Vec<_>>();
    let mut all = [active, dropped].concat();
    // Each has its own folder for files of targets, or looks at them from another one.
    for target in &mut all {
        if target["scrapePool"] == "relabelled" {
            // Before version 2.43 some labels are shown as they are afterwards.
            target["discoveredLabels"] = Value::Null;
        }
        if let Some(path) = target["discoveredLabels"].get_mut("__meta_filepath") {
            *path = json!(path.as_str().and_then(|path| path.rsplit('/').next()));
        }
    }
    all.sort_by_key(Value::to_string);
    all
}

// Every series, with its value unless that is another one each time.
async fn series(client: &Client) -> BTreeMap<String, String> {
    let params = Params::new().with("query", "{job=~\".+\"}");
    let found = data(client, "/api/v1/query", &params).await.unwrap_or_default();
    let series = found["result"].as_array().cloned().unwrap_or_default();
    let one = |series: &Value| {
        let is_steady = series["metric"]["__name__"] != "scrape_duration_seconds";
        let value = series["value"][1].as_str().filter(|_| is_steady).unwrap_or_default();
        (series["metric"].to_string(), value.to_owned())
    };
    series.iter().map(one).collect()
}

#[tokio::test]
async fn prometheus_makes_the_same_of_the_same_file() {
    let address = bodies().await;
    let config = JOBS.replace("ADDRESS", &address);
    let place = place("");
    configure(&place, &config);
    std::fs::write(
        place.path().join("a.targets.json"),
        json!([{"targets": [address], "labels": {"n": "1"}}]).to_string(),
    )
    .expect("written");
    std::fs::write(place.path().join("more.targets.yml"), format!("- targets: ['{address}']\n  labels: {{n: '2'}}\n"))
        .expect("written");
    let Some(theirs) = debian::prometheus(place.path(), &place.path().join("prometheus.yml")).await else { return };
    let (theirs, server) = (theirs.client(), place.serve().await);
    let ours = server.client();
    // Until every target was scraped twice: then nothing is new any more.
    let is_steady = async |client: &Client| {
        let counts = Params::new().with("query", "count(count_over_time(up[1h]) > 1)");
        let found = data(client, "/api/v1/query", &counts).await?;
        (found["result"][0]["value"][1] == "22").then_some(())
    };
    for client in [&theirs, &ours] {
        until("two scrapes of all targets", PATIENCE, async || is_steady(client).await).await;
    }
    let (our_targets, their_targets) = (targets(&ours).await, targets(&theirs).await);
    let differ: Vec<_> = our_targets.iter().zip(&their_targets).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differ.is_empty() && our_targets.len() == 22 + 1, "{differ:#?}");
    assert_eq!(our_targets.len(), their_targets.len());
    let (ours, theirs) = (series(&ours).await, series(&theirs).await);
    assert!(theirs.len() > 100, "{theirs:#?}");
    let differ: Vec<_> = ours.iter().filter(|(labels, value)| theirs.get(*labels) != Some(value)).collect();
    let missing: Vec<_> = theirs.iter().filter(|(labels, _)| !ours.contains_key(*labels)).collect();
    assert!(differ.is_empty() && missing.is_empty(), "ours differ: {differ:#?}\ntheirs alone: {missing:#?}");
}
