//! `sextant metrics`: what was sent over OTLP is found under Prometheus's names, now, over time, listed and counted.

use campaign::binary::Server;
use campaign::load::{Answer, Door};
use campaign::otlp::{Request, text};
use model::clock::{Clock as _, SystemClock};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use tui::client::Params;

use crate::harness::{Place, until};

/// A counter that grows by `step` a second, sampled every second of the last minute.
async fn send_counter(server: &Server, service: &str, step: u64) {
    let now = u64::try_from(SystemClock::new().now().as_nanos()).expect("after 1970");
    let begin = now - 60_000_000_000;
    let point = |second: u64| NumberDataPoint {
        start_time_unix_nano: begin,
        time_unix_nano: begin + second * 1_000_000_000,
        attributes: vec![text("http.route", "/pay")],
        value: Some(number_data_point::Value::AsInt(i64::try_from(second * step).expect("small"))),
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        data_points: (0..=60).map(point).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    };
    let metrics = vec![Metric {
        name: "shop.requests".to_owned(),
        description: "Requests so far".to_owned(),
        unit: "1".to_owned(),
        data: Some(metric::Data::Sum(sum)),
        ..Metric::default()
    }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource = Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
    let resource_metrics =
        vec![ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() }];
    let mut door = Door::grpc(&server.url("otlp_grpc")).expect("an address");
    let request = Request::Points(ExportMetricsServiceRequest { resource_metrics });
    assert_eq!(door.send(request).await.expect("valid points"), Answer::Stored);
}

#[tokio::test]
async fn counters_are_found_under_their_prometheus_names() {
    let place = Place::new();
    let server = place.serve().await;
    send_counter(&server, "checkout", 2).await;
    send_counter(&server, "billing", 5).await;
    let url = server.url("http");
    let metrics = |arguments: &[&str]| {
        let mut all = vec!["metrics"];
        all.extend(arguments);
        all.extend(["--url", &url]);
        place.run(&all)
    };

    let rates = metrics(&["query", "sum by (job) (rate(shop_requests_total[30s]))"]).succeeded();
    let mut rates: Vec<(&str, f64)> = rates
        .lines()
        .skip(1)
        .map(|line| line.trim_start().split_once("  ").expect("two columns"))
        .map(|(value, series)| (series, value.parse::<f64>().expect("a number").round()))
        .collect();
    rates.sort_by_key(|(series, _)| *series);
    assert_eq!(rates, [("{job=\"billing\"}", 5.0), ("{job=\"checkout\"}", 2.0)]);

    let over_time =
        metrics(&["query", "shop_requests_total{job=\"billing\"}", "--range", "30s", "--step", "5s"]).succeeded();
    let row = over_time.lines().nth(1).expect("a row");
    assert!(row.contains("▁▂▃▅▆▇█") || row.contains("▁▂▃▄▆▇█") || row.contains("▁▂▃▅▅▇█"), "{over_time}");
    let lines = metrics(&["query", "shop_requests_total", "--range", "30s", "--json"]).succeeded();
    assert_eq!(lines.lines().count(), 2, "{lines}");

    let names = metrics(&["names"]).succeeded();
    assert!(
        names
            .lines()
            .any(|line| line.starts_with("shop_requests_total  counter ") && line.ends_with("Requests so far")),
        "{names}"
    );
    let counted = metrics(&["cardinality", "--json"]).succeeded();
    assert!(counted.contains("{\"metric\":\"shop_requests_total\",\"series\":2}"), "{counted}");

    let nothing = metrics(&["query", "nothing_of_this_name"]);
    assert_eq!((nothing.code, nothing.stdout.as_str(), nothing.stderr.as_str()), (0, "", "note: no series match\n"));
    let bad = metrics(&["query", "sum by ("]);
    assert_eq!((bad.code, bad.stdout.as_str()), (2, ""), "{bad:?}");
    assert!(bad.stderr.contains("parse error"), "{bad:?}");
}

#[tokio::test]
async fn the_servers_own_counters_are_metrics_like_any_other() {
    let place = Place::watching_itself();
    let server = place.serve().await;
    send_counter(&server, "checkout", 2).await;
    let url = server.url("http");
    let accepted = r#"sextant_ingest_accepted_items_total{job="sextant",door="otlp_grpc",signal="points"} == 61"#;
    until("own counter", std::time::Duration::from_secs(30), async || {
        let found = place.run(&["metrics", "query", accepted, "--url", &url]).succeeded();
        found.contains("sextant_ingest_accepted_items_total").then_some(())
    })
    .await;
    for (query, at_least) in [
        ("count(sextant_disk_free_bytes > 0)", 1),
        ("count(sextant_store_head_rows)", 4),
        ("count(sextant_wal_commit_seconds_bucket)", 12),
    ] {
        let found = place.run(&["metrics", "query", query, "--json", "--url", &url]).succeeded();
        let found: serde_json::Value = serde_json::from_str(&found).expect(&found);
        let value: i64 = found["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number");
        assert!(value >= at_least, "{query}: {found}");
    }
}

#[tokio::test]
async fn what_the_server_did_and_logged_is_found_like_anything_else() {
    let place = Place::watching_itself();
    let server = place.serve().await;
    let client = server.client();
    let ask = async |path: &str, query: &str| {
        let params = Params::new().with("query", query).with("format", "json");
        let answer = client.fetch(path, &params).await.expect("an answer");
        let page: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        page["rows"].as_array().cloned().unwrap_or_default()
    };
    let [replay] = until("span of the start", std::time::Duration::from_secs(30), async || {
        <[serde_json::Value; 1]>::try_from(ask("/api/v1/spans", "service:sextant").await).ok()
    })
    .await;
    assert_eq!(
        (replay["name"].as_str(), replay["scope"]["name"].as_str()),
        (Some("replay"), Some("store::store::core")),
        "{replay}"
    );
    let said = ask("/api/v1/logs", "service:sextant \"memory limit\"").await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0]["severity"].as_str(), Some("info"), "{said:?}");
    // Nobody sent them: they are on no receipt, and in no count but the store's.
    let status = client.status().await.expect("a status");
    assert!(status.receipts.iter().all(|receipt| receipt.accepted == 0), "{:?}", status.receipts);
}
