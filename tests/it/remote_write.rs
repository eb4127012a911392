//! A real Prometheus writes what it scrapes, here of itself: both answer the same questions alike.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tui::Client;
use tui::client::Params;

use crate::harness::{Place, until};
use crate::prometheus::{self, Prometheus};

// The values by their labels, but for the label that only remote write adds; nothing if there is no answer.
async fn ask(client: &Client, query: &str, time: f64) -> Option<BTreeMap<String, String>> {
    let params = Params::new().with("query", query).with("time", time.to_string());
    let answer: Value = client.get("/api/v1/query", &params).await.ok()?;
    let series = answer["data"]["result"].as_array()?.iter().map(|series| {
        let mut labels = series["metric"].clone();
        labels.as_object_mut().expect("labels").remove("replica");
        (labels.to_string(), series["value"][1].as_str().unwrap_or_default().to_owned())
    });
    Some(series.collect())
}

#[tokio::test]
async fn what_prometheus_writes_is_answered_as_prometheus_answers() {
    let Some(binary) = prometheus::installed() else {
        eprintln!("prometheus is not installed: nothing is written");
        return;
    };
    let place = Place::new();
    let server = place.serve().await;
    let write_to = server.url("otlp_http");
    let config = |address: &str| {
        format!(
            "global: {{scrape_interval: 1s, external_labels: {{replica: a}}}}\n\
             scrape_configs:\n- job_name: itself\n  static_configs: [{{targets: ['{address}']}}]\n\
             remote_write:\n- url: {write_to}/api/v1/write\n  queue_config: {{batch_send_deadline: 200ms}}\n"
        )
    };
    let prometheus = Prometheus::start(binary, place.path(), config, &[]);
    let ours = server.client();
    let newest = "max(timestamp(up{job=\"itself\"}))";
    let last = async |client: &Client, now: f64| -> Option<f64> {
        ask(client, newest, now).await?.into_values().next()?.parse().ok()
    };
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    // Some scrapes, and then that they have arrived.
    let first =
        until("the first scrape", Duration::from_secs(60), async || last(&prometheus.client, now()).await).await;
    let moment = first + 8.5;
    until("ten seconds of scrapes", Duration::from_secs(60), async || {
        last(&ours, now()).await.filter(|last| *last > moment + 1.0)
    })
    .await;
    for query in [
        "up",
        "prometheus_build_info",
        "count by (__name__) ({job=\"itself\"})",
        "rate(prometheus_tsdb_head_samples_appended_total[5s])",
        "sum by (handler, code) (increase(prometheus_http_requests_total[6s]))",
        "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[6s])))",
        "go_gc_duration_seconds{quantile=\"0.5\"}",
        "{__name__=~\"go_memstats_.*\"}",
        "changes(process_start_time_seconds[8s])",
    ] {
        let (theirs, ours) = (ask(&prometheus.client, query, moment).await, ask(&ours, query, moment).await);
        assert!(theirs.as_ref().is_some_and(|series| !series.is_empty()), "prometheus has nothing for {query}");
        assert_eq!(ours, theirs, "{query}");
    }
    // The job is a service like any other.
    let points = place.run(&["points", "service:=itself metric:=up", "--limit", "1", "--url", &server.url("http")]);
    assert!(points.succeeded().contains("up"), "the service has points");
    let refused = ours.status().await.expect("a status").receipts;
    let of_writes: Vec<_> = refused.iter().filter(|of| of.door == "remote_write" && of.service == "itself").collect();
    assert!(of_writes.iter().all(|of| of.accepted > 0 && of.rejected.is_empty()), "{of_writes:?}");
    assert_eq!(of_writes.len(), 1);
}
