//! The server asks targets for their metrics: what PromQL and the API say of them, how their series end, and real exporters.

mod alike;
mod debian;
mod odd;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use campaign::binary::Server;
use serde_json::{Value, json};
use tui::Client;
use tui::client::Params;

use self::debian::{Postgres, Program};
use crate::harness::{Place, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// A target that answers what it is told to. Ends with the test's runtime.
#[derive(Clone)]
struct Target {
    address: String,
    answer: Arc<Mutex<(StatusCode, String)>>,
}

impl Target {
    async fn start(body: &str) -> Self {
        let answer = Arc::new(Mutex::new((StatusCode::OK, body.to_owned())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let answered = Arc::clone(&answer);
        let metrics = async move || {
            let (status, body) = answered.lock().expect("nobody panicked").clone();
            let is_open = body.contains("# EOF");
            let kind =
                if is_open { "application/openmetrics-text; version=1.0.0" } else { "text/plain; version=0.0.4" };
            (status, [(header::CONTENT_TYPE, kind)], body)
        };
        let router = Router::new().route("/metrics", get(metrics));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, answer }
    }

    fn answer(&self, status: StatusCode, body: &str) {
        *self.answer.lock().expect("nobody panicked") = (status, body.to_owned());
    }
}

// A place whose server scrapes what `prometheus.yml` says.
fn place(scrape_configs: &str) -> Place {
    let place = Place::configured("log = \"info\"\n[scrape]\nfile = \"prometheus.yml\"\n");
    configure(&place, scrape_configs);
    place
}

fn configure(place: &Place, text: &str) {
    let file = place.path().join("prometheus.yml");
    // As editors do it: whoever reads it reads all of it.
    let new = place.path().join("new.yml");
    std::fs::write(&new, text).expect("written");
    std::fs::rename(new, file).expect("renamed");
}

async fn data(client: &Client, path: &str, params: &Params) -> Option<Value> {
    let answer: Value = client.get(path, params).await.ok()?;
    Some(answer["data"].clone())
}

// What a query gives now: labels as text, with the value.
async fn ask(client: &Client, query: &str) -> BTreeMap<String, String> {
    let found = data(client, "/api/v1/query", &Params::new().with("query", query)).await.unwrap_or_default();
    let series = found["result"].as_array().cloned().unwrap_or_default();
    let one =
        |series: &Value| (series["metric"].to_string(), series["value"][1].as_str().unwrap_or_default().to_owned());
    series.iter().map(one).collect()
}

// Waits until a query has this one value, or none.
async fn becomes(client: &Client, query: &str, expected: Option<&str>) {
    until(&format!("{query} = {expected:?}"), PATIENCE, async || {
        let values: Vec<String> = ask(client, query).await.into_values().collect();
        (values.first().map(String::as_str) == expected && values.len() <= 1).then_some(())
    })
    .await;
}

fn job(name: &str, target: &str, keys: &str) -> String {
    format!(
        "- job_name: {name}\n  scrape_interval: 1s\n  static_configs: [{{targets: ['{target}'], labels: {{zone: z}}}}]\n{keys}"
    )
}

#[tokio::test]
async fn series_come_with_scrapes_and_end_with_them() {
    let target = Target::start("# TYPE a_total counter\n# HELP a_total Things.\na_total{job=\"x\"} 5\nb 1\n").await;
    let keys =
        "  metric_relabel_configs: [{source_labels: [__name__], regex: b, target_label: __name__, replacement: bee}]\n";
    let place = place(&format!("scrape_configs:\n{}", job("j", &target.address, keys)));
    let mut server = place.serve().await;
    let client = server.client();
    becomes(&client, "bee{job=\"j\", zone=\"z\"}", Some("1")).await;
    let a = ask(&client, "a_total").await;
    let labels =
        json!({"__name__": "a_total", "exported_job": "x", "instance": target.address, "job": "j", "zone": "z"});
    assert_eq!(a, BTreeMap::from([(labels.to_string(), "5".to_owned())]));
    for (query, expected) in [
        ("up{job=\"j\"}", "1"),
        ("scrape_samples_scraped", "2"),
        ("scrape_samples_post_metric_relabeling", "2"),
        ("max_over_time(scrape_series_added[1m])", "2"),
        ("scrape_duration_seconds < bool 10", "1"),
    ] {
        becomes(&client, query, Some(expected)).await;
    }
    let metadata = data(&client, "/api/v1/metadata", &Params::new().with("metric", "a_total")).await;
    assert_eq!(metadata, Some(json!({"a_total": [{"type": "counter", "help": "Things.", "unit": ""}]})));

    // A series that is missing ends at once, not after the five minutes that queries look back.
    target.answer(StatusCode::OK, "b 2\n");
    becomes(&client, "a_total", None).await;
    becomes(&client, "bee", Some("2")).await;
    // A scrape that fails ends all of them.
    target.answer(StatusCode::INTERNAL_SERVER_ERROR, "");
    becomes(&client, "up", Some("0")).await;
    becomes(&client, "bee", None).await;
    target.answer(StatusCode::OK, "b 3\nbroken\n");
    until("the reason", PATIENCE, async || {
        let found = data(&client, "/api/v1/targets", &Params::new()).await?;
        (found["activeTargets"][0]["lastError"] == "line 2: \"broken\" has no value").then_some(())
    })
    .await;
    becomes(&client, "up", Some("0")).await;
    target.answer(StatusCode::OK, "b 4\n");
    becomes(&client, "bee", Some("4")).await;
    becomes(&client, "up", Some("1")).await;

    // A restart of the server is no end of anything, and nobody's counter begins anew.
    server.stop(PATIENCE).await.expect("it stops");
    let server = place.serve().await;
    let client = server.client();
    becomes(&client, "bee", Some("4")).await;
    let stored = ask(&client, "count_over_time(bee[1h] @ end()) >= bool 3").await;
    assert_eq!(stored.into_values().collect::<Vec<_>>(), ["1"]);

    // Another configuration is taken when the file changes: what it no longer makes of the same lines ends, and what it makes goes on.
    let drop = "  metric_relabel_configs: [{action: drop, source_labels: [__name__], regex: b}]\n";
    configure(&place, &format!("scrape_configs:\n{}", job("j", &target.address, drop)));
    becomes(&client, "bee", None).await;
    becomes(&client, "up", Some("1")).await;
    target.answer(StatusCode::OK, "bee 5\n");
    becomes(&client, "bee", Some("5")).await;
    // The target's end two intervals after it is gone, `up` among them.
    configure(&place, "scrape_configs: []\n");
    becomes(&client, "up", None).await;
    becomes(&client, "bee", None).await;
    assert_eq!(data(&client, "/api/v1/scrape_pools", &Params::new()).await, Some(json!({"scrapePools": []})));
    // What came is a service's like any other, and is counted at no door.
    let receipts = client.status().await.expect("a status").receipts;
    let scraped: Vec<_> = receipts.iter().filter(|of| of.service == "j").collect();
    assert!(scraped.len() == 1 && scraped[0].door == "scrape" && scraped[0].rejected.is_empty(), "{scraped:?}");
}

#[tokio::test]
async fn exemplars_times_and_openmetrics() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let body = format!(
        "# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n# HELP h_seconds Waits.\n\
         h_seconds_bucket{{le=\"1.0\"}} 3 # {{trace_id=\"{trace}\"}} 0.5\nh_seconds_bucket{{le=\"+Inf\"}} 4\nh_seconds_sum 9\n\
         h_seconds_count 4\n{{\"with.dots\",\"label.too\"=\"x\"}} 7 {now}.5\n# EOF\n"
    );
    let target = Target::start(&body).await;
    let place = place(&format!("scrape_configs:\n{}", job("j", &target.address, "")));
    let server = place.serve().await;
    let client = server.client();
    becomes(&client, "h_seconds_count", Some("4")).await;
    becomes(&client, "histogram_quantile(0.75, h_seconds_bucket)", Some("1")).await;
    becomes(&client, "{\"with.dots\", \"label.too\"=\"x\"}", Some("7")).await;
    becomes(&client, "timestamp({\"with.dots\"})", Some(&format!("{now}.5"))).await;
    let params = Params::new().with("query", "h_seconds_bucket").with("start", (now - 60).to_string());
    let exemplars = data(&client, "/api/v1/query_exemplars", &params.with("end", (now + 600).to_string())).await;
    let exemplars = exemplars.expect("an answer");
    let [series] = &exemplars.as_array().expect("a list")[..] else { panic!("{exemplars}") };
    assert_eq!(
        series["exemplars"].as_array().map(Vec::len),
        Some(1),
        "shown in every scrape, stored once: {exemplars}"
    );
    assert_eq!(series["exemplars"][0]["labels"], json!({"trace_id": trace}));
    let params = Params::new().with("metric", "h_seconds").with("match_target", "{job=\"j\"}");
    let metadata = data(&client, "/api/v1/targets/metadata", &params).await.expect("an answer");
    let of_target = json!({"instance": target.address, "job": "j", "zone": "z"});
    assert_eq!(metadata, json!([{"target": of_target, "type": "histogram", "help": "Waits.", "unit": "seconds"}]));
    let all = data(&client, "/api/v1/metadata", &Params::new().with("metric", "h_seconds")).await;
    assert_eq!(all, Some(json!({"h_seconds": [{"type": "histogram", "help": "Waits.", "unit": "seconds"}]})));
}

#[tokio::test]
async fn targets_are_shown_as_prometheus_shows_them() {
    let target = Target::start("a 1\n").await;
    let drop = "  relabel_configs: [{action: drop, source_labels: [__address__], regex: 'dropped:.*'}]\n";
    let jobs = [job("one", &target.address, ""), job("two", "dropped:1", drop)].join("");
    let place = place(&format!("scrape_configs:\n{jobs}"));
    let server = place.serve().await;
    let client = server.client();
    becomes(&client, "up{job=\"one\"}", Some("1")).await;
    let mut answer: Value = client.get("/api/v1/targets", &Params::new()).await.expect("an answer");
    let shown = &mut answer["data"]["activeTargets"][0];
    assert!(
        shown["lastScrape"].as_str().is_some_and(|time| time.ends_with('Z')) && shown["lastScrapeDuration"].is_f64()
    );
    (shown["lastScrape"], shown["lastScrapeDuration"]) = (json!("then"), json!(0.5));
    let url = format!("http://{}/metrics", target.address);
    let discovered = |address: &str, job: &str| {
        json!({
            "__address__": address, "__metrics_path__": "/metrics", "__scheme__": "http", "__scrape_interval__": "1s",
            "__scrape_timeout__": "1s", "job": job, "zone": "z",
        })
    };
    let dropped = json!([{"discoveredLabels": discovered("dropped:1", "two"), "scrapePool": "two"}]);
    let expected = json!({
        "status": "success",
        "data": {
            "activeTargets": [{
                "discoveredLabels": discovered(&target.address, "one"),
                "labels": {"instance": target.address, "job": "one", "zone": "z"},
                "scrapePool": "one",
                "scrapeUrl": url,
                "globalUrl": url,
                "lastError": "",
                "lastScrape": "then",
                "lastScrapeDuration": 0.5,
                "health": "up",
                "scrapeInterval": "1s",
                "scrapeTimeout": "1s",
            }],
            "droppedTargets": dropped,
            "droppedTargetCounts": {"one": 0, "two": 1},
        },
    });
    assert_eq!(answer, expected);
    let of = async |state: &str, pool: &str| {
        let params = Params::new().with("state", state).with("scrapePool", pool);
        let found = data(&client, "/api/v1/targets", &params).await.expect("an answer");
        let count = |key: &str| found[key].as_array().map_or(0, Vec::len);
        (count("activeTargets"), count("droppedTargets"), found["droppedTargetCounts"].is_null())
    };
    assert_eq!(of("active", "").await, (1, 0, true));
    assert_eq!(of("Dropped", "").await, (0, 1, false));
    assert_eq!(of("any", "two").await, (0, 1, false));
    assert_eq!(of("", "one").await, (1, 0, false));
    let pools = data(&client, "/api/v1/scrape_pools", &Params::new()).await;
    assert_eq!(pools, Some(json!({"scrapePools": ["one", "two"]})));
    let metadata =
        data(&client, "/api/v1/targets/metadata", &Params::new().with("match_target", "{job=\"none\"}")).await;
    assert_eq!(metadata, Some(json!([])));
    let wrong = client.get::<Value>("/api/v1/targets/metadata", &Params::new().with("match_target", "{")).await;
    assert!(wrong.is_err_and(|error| error.to_string().contains("match_target")));
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    for (text, line, message, hint) in [
        (
            "scrape_configs:\n- job_name: k\n  kubernetes_sd_configs: [{role: pod}]\n",
            3,
            "kubernetes_sd_configs is not supported",
            "file_sd_configs",
        ),
        (
            "scrape_configs:\n- job_name: k\n  scrape_intervall: 1s\n",
            3,
            "unknown key \"scrape_intervall\"",
            "\"scrape_interval\"",
        ),
        (
            "scrape_configs:\n- job_name: k\n  scrape_interval: 1s\n  scrape_timeout: 2s\n",
            4,
            "scrape_timeout is 2s",
            "at most the interval",
        ),
    ] {
        let place = place(text);
        let ran = place.run(&[
            "serve",
            "--data-dir",
            "data",
            "--otlp-grpc",
            "off",
            "--otlp-http",
            "off",
            "--http",
            "127.0.0.1:0",
        ]);
        assert_eq!(ran.code, 2, "{ran:?}");
        for part in [format!("prometheus.yml:{line}: "), message.to_owned(), hint.to_owned()] {
            assert!(ran.stderr.contains(&part), "{part}: {ran:?}");
        }
        assert!(!place.path().join("data").exists(), "nothing was touched");
    }
    let place = place("");
    std::fs::remove_file(place.path().join("prometheus.yml")).expect("it was there");
    let ran = place.run(&["serve", "--data-dir", "data"]);
    assert!(ran.code == 2 && ran.stderr.contains("scrape.file names the prometheus.yml"), "{ran:?}");
}

// Every series of a job: names and labels.
async fn series(client: &Client, job: &str) -> BTreeSet<String> {
    let found = ask(client, &format!("{{job=\"{job}\"}}")).await;
    found.into_keys().collect()
}

async fn scraping(place: &Place) -> (Server, Client) {
    let server = place.serve().await;
    let client = server.client();
    (server, client)
}

#[tokio::test]
async fn node_exporter_is_scraped_and_its_metrics_are_queried() {
    let Some(exporter) = Program::start("prometheus-node-exporter", &["--web.disable-exporter-metrics"], &[]).await
    else {
        return;
    };
    let place = place(&format!("scrape_configs:\n{}", job("node", &exporter.address, "  scrape_timeout: 1s\n")));
    let (_server, client) = scraping(&place).await;
    becomes(&client, "up{job=\"node\"}", Some("1")).await;
    let memory = ask(&client, "node_memory_MemTotal_bytes{job=\"node\"}").await;
    let kib: f64 = std::fs::read_to_string("/proc/meminfo")
        .expect("a system with memory")
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok())
        .expect("it says how much");
    assert_eq!(memory.into_values().collect::<Vec<_>>(), [(kib * 1024.0).to_string()]);
    becomes(&client, "count(count by (cpu) (node_cpu_seconds_total)) > bool 0", Some("1")).await;
    becomes(&client, "sum(rate(node_cpu_seconds_total[30s])) > bool 0", Some("1")).await;
    becomes(&client, "node_uname_info{sysname=\"Linux\"}", Some("1")).await;
    becomes(&client, "scrape_samples_scraped{job=\"node\"} > bool 100", Some("1")).await;
    let metadata = data(&client, "/api/v1/metadata", &Params::new().with("metric", "node_cpu_seconds_total")).await;
    assert_eq!(metadata.expect("an answer")["node_cpu_seconds_total"][0]["type"], "counter");
    // The same series as a Prometheus that scrapes the same target finds, where there is one.
    if let Some(prometheus) = debian::prometheus(place.path(), &place.path().join("prometheus.yml")).await {
        let theirs = until("prometheus's scrape", PATIENCE, async || {
            let theirs = series(&prometheus.client(), "node").await;
            (theirs.len() > 100).then_some(theirs)
        })
        .await;
        let ours = series(&client, "node").await;
        let is_steady = |series: &&String| !series.contains("node_network") && !series.contains("node_filesystem");
        let difference: Vec<_> = ours.symmetric_difference(&theirs).filter(is_steady).collect();
        assert!(difference.is_empty(), "{difference:?}");
    }
}

#[tokio::test]
async fn postgres_exporter_is_scraped_and_its_metrics_are_queried() {
    let Some(postgres) = Postgres::start().await else { return };
    let source = postgres.data_source();
    let exporter = Program::start("prometheus-postgres-exporter", &[], &[("DATA_SOURCE_NAME", &source)]).await;
    let Some(exporter) = exporter else { return };
    let place = place(&format!("scrape_configs:\n{}", job("postgres", &exporter.address, "")));
    let (_server, client) = scraping(&place).await;
    becomes(&client, "up{job=\"postgres\"}", Some("1")).await;
    becomes(&client, "pg_up{job=\"postgres\"}", Some("1")).await;
    becomes(&client, "pg_settings_max_connections{job=\"postgres\"}", Some("17")).await;
    becomes(&client, "count(pg_stat_database_xact_commit{datname=\"postgres\"})", Some("1")).await;
    becomes(&client, "sum(pg_stat_database_xact_commit{datname=\"postgres\"}) > bool 0", Some("1")).await;
    // Without its database the exporter has nothing to tell: every series of it ends.
    drop(postgres);
    becomes(&client, "pg_settings_max_connections{job=\"postgres\"}", None).await;
    becomes(&client, "count(pg_stat_database_xact_commit)", None).await;
}
