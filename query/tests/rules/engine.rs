//! The engine over a store: recorded series, alerts of metrics and logs, reloads, the API.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, encode};

const DOWN: &str = "groups:
- name: g
  rules:
  - alert: Down
    expr: up == 0
    for: 60s
    labels: {severity: page}
    annotations: {summary: '{{ $labels.job }} is {{ $value }}'}
";

#[tokio::test]
async fn recorded_series_keep_their_names_and_are_there_for_the_next_rule() {
    let world = World::new();
    world.file(
        "a.yml",
        "groups:
- name: g
  rules:
  - record: job:requests.total:sum
    expr: sum by (job) (requests)
    labels: {le: 'x', 0day: y}
  - record: job:doubled
    expr: '{\"job:requests.total:sum\"} * 2'
",
    );
    let rules = world.rules().await;
    for (job, value) in [("a", 1.0), ("a", 2.0), ("b", 5.0)] {
        let instance = value.to_string();
        world.gauge("requests", &[("job", job), ("instance", &instance)], 5, value).await;
    }
    world.at(&rules, 10).await;
    assert_eq!(
        world.query("{\"job:requests.total:sum\"}", 10).await,
        [
            "0day=\"y\",__name__=\"job:requests.total:sum\",job=\"a\",le=\"x\" 3",
            "0day=\"y\",__name__=\"job:requests.total:sum\",job=\"b\",le=\"x\" 5"
        ]
    );
    assert_eq!(world.query("sum(job:doubled)", 10).await, [" 16"]);
    // In parts as in memory.
    world.store.flush_now().expect("flushed");
    assert_eq!(world.query("sum(job:doubled)", 10).await, [" 16"]);
    // What is no longer yielded ends at once, not after the lookback.
    world.at(&rules, 400).await;
    assert_eq!(world.query("job:doubled", 400).await, Vec::<String>::new());
    assert_eq!(world.query("sum(job:doubled)", 399).await, Vec::<String>::new());
}

#[tokio::test]
async fn recorded_histograms_are_what_they_were() {
    let world = World::new();
    world.file(
        "a.yml",
        "groups:
- name: g
  rules:
  - {record: 'job:latency:rate', expr: 'sum by (job) (rate(latency[2m]))'}
  - {record: 'latency:sum', expr: 'sum(latency)'}
  - {record: 'latency:less', expr: '-latency'}
  - {record: 'sometimes', expr: 'latency and on () (vector(time()) < 1000080)'}
  - {record: 'latency:p50', expr: 'histogram_quantile(0.5, {\"job:latency:rate\"})'}
",
    );
    let rules = world.rules().await;
    for (second, count) in [(0, 0), (30, 1), (60, 4)] {
        world.histogram("latency", &[("job", "a"), ("instance", "1")], second, &[count, 2 * count]).await;
        world.histogram("latency", &[("job", "a"), ("instance", "2")], second, &[0, count, 3 * count]).await;
        world.histogram("latency", &[("job", "b")], second, &[count]).await;
    }
    world.at(&rules, 70).await;
    let shares =
        ["histogram_count", "histogram_sum", "histogram_stddev", "histogram_quantile:0.4", "histogram_fraction:1, 3"];
    for flushed in [false, true] {
        if flushed {
            world.store.flush_now().expect("flushed");
        }
        for (recorded, expression) in [
            ("{\"job:latency:rate\"}", "sum by (job) (rate(latency[2m]))"),
            ("{\"latency:sum\"}", "sum(latency)"),
            ("sometimes", "latency"),
        ] {
            for share in shares {
                let (function, arguments) = share.split_once(':').unwrap_or((share, ""));
                let comma = if arguments.is_empty() { "" } else { ", " };
                let ask = async |what: &str| world.query(&format!("{function}({arguments}{comma}{what})"), 70).await;
                let (ours, wanted) = (ask(recorded).await, ask(expression).await);
                assert!(!wanted.is_empty(), "{share} of {expression}");
                assert_eq!(ours, wanted, "{share} of {recorded}");
            }
        }
        let quantile = "histogram_quantile(0.5, sum by (job) (rate(latency[2m])))";
        let named =
            world.query(&format!("label_replace({quantile}, \"__name__\", \"latency:p50\", \"\", \"\")"), 70).await;
        assert_eq!(world.query("{\"latency:p50\"}", 70).await, named);
        // Counts below nothing are no histogram that is kept.
        assert_eq!(world.query("count({\"latency:less\"})", 70).await, Vec::<String>::new());
    }
    // A histogram that is no longer yielded ends at once.
    assert_eq!(world.query("count(sometimes)", 75).await, [" 3"]);
    world.at(&rules, 90).await;
    assert_eq!(world.query("count(sometimes)", 90).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_alert_from_pending_to_resolved() {
    let world = World::new();
    world.file("a.yml", DOWN);
    let rules = world.rules().await;
    for (second, value) in [(0, 0.0), (30, 0.0), (60, 0.0), (90, 1.0)] {
        world.gauge("up", &[("job", "a")], second, value).await;
        world.at(&rules, second).await;
        let alerts = world.query("ALERTS", second).await;
        let expected = match second {
            0 | 30 => Some("pending"),
            60 => Some("firing"),
            _ => None,
        };
        let expected = expected.map(|state| {
            format!("__name__=\"ALERTS\",alertname=\"Down\",alertstate=\"{state}\",job=\"a\",severity=\"page\" 1")
        });
        assert_eq!(alerts, expected.into_iter().collect::<Vec<_>>(), "at {second}");
    }
    assert_eq!(
        world.query("ALERTS_FOR_STATE", 60).await,
        ["__name__=\"ALERTS_FOR_STATE\",alertname=\"Down\",job=\"a\",severity=\"page\" 1000000"]
    );
    assert_eq!(world.told.words(), ["Down firing since 60", "Down resolved since 60"]);
    let alert = world.told.alerts()[0].clone();
    assert_eq!(alert.annotations["summary"], "a is 0");
    assert_eq!(alert.labels["region"], "eu");
    assert_eq!(alert.generator_url, "http://sextant.test/api/v1/query?query=up+%3D%3D+0&time=1000060");
    let history: Vec<String> = world.history().await.into_iter().map(|(word, _)| word).collect();
    assert_eq!(history, ["Down pending", "Down firing", "Down resolved"]);
    assert!(world.store.state("alert_history").is_empty());
}

#[tokio::test]
async fn an_alert_of_logs_brings_its_records() {
    let world = World::new();
    world.file(
        "logs.yml",
        "groups:
- name: logs
  type: logs
  eval_delay: 5s
  rules:
  - alert: Declined
    expr: severity:>=error declined | stats count() as n by (service.name) | where n > 1
    range: 1m
    annotations:
      summary: '{{ $value }} in {{ $labels.service_name }}, {{ (index $samples 0).text }}'
      trace: '{{ $traceURL }}'
  - alert: Silent
    expr: severity:>=error | stats count() as n | where n == 0
    range: 1m
  - record: errors:count1m
    expr: severity:>=error | stats count() as n by (service)
    range: 1m
",
    );
    let rules = world.rules().await;
    for (service, second, trace) in [("pay", 10, 1), ("pay", 20, 2), ("cart", 30, 3), ("pay", 58, 4)] {
        world.error(service, "payment declined", second, trace).await;
    }
    world.at(&rules, 60).await;
    let told = world.told.alerts();
    let words: Vec<_> = told.iter().map(|alert| alert.labels["alertname"].as_str()).collect();
    assert_eq!(words, ["Declined"]);
    let alert = &told[0];
    assert_eq!(alert.labels["service_name"], "pay");
    // The record of the last five seconds is waited for.
    assert_eq!(alert.value, 2.0);
    let trace = "02".repeat(16);
    assert_eq!(alert.annotations["summary"], "2 in pay, payment declined");
    assert_eq!(alert.annotations["trace"], format!("http://sextant.test/api/v1/traces/{trace}"));
    assert_eq!(alert.samples.len(), 2);
    assert_eq!(alert.samples[0].trace_id.as_deref(), Some(trace.as_str()));
    assert_eq!(alert.links["correlate"], format!("http://sextant.test/api/v1/correlate/{trace}"));
    // The link leads to the records.
    let path = alert.links["logs"].trim_start_matches("http://sextant.test").to_owned() + "&format=json";
    let (status, rows) = world.get(None, &path).await;
    assert_eq!((status, rows["rows"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)), "{path} {rows}");
    assert_eq!(
        world.query("errors:count1m", 60).await,
        ["__name__=\"errors:count1m\",service=\"cart\" 1", "__name__=\"errors:count1m\",service=\"pay\" 2"]
    );
    // The alert is found by the ids of any of its records, while it fires and when it is over.
    for (rules, state) in [(Some(&rules), "firing"), (None, "firing")] {
        for trace in ["01", "02"] {
            let (_, found) = world.get(rules, &format!("/api/v1/correlate/{}", trace.repeat(16))).await;
            let alerts = found["alerts"].as_array().expect("alerts");
            assert_eq!(alerts.len(), 1, "{found}");
            assert_eq!((&alerts[0]["state"], &alerts[0]["labels"]["alertname"]), (&json!(state), &json!("Declined")));
            assert_eq!(found["logs"].as_array().map(Vec::len), Some(1), "the alert is no log of the trace: {found}");
            assert_eq!(found["services"], json!(["pay"]));
        }
    }
    let (_, other) = world.get(Some(&rules), &format!("/api/v1/correlate/{}", "03".repeat(16))).await;
    assert_eq!(other["alerts"], json!([]));
    // Nothing at all is a count of zero.
    world.at(&rules, 200).await;
    assert_eq!(world.told.words().last().map(String::as_str), Some("Silent firing since 200"));
}

#[tokio::test]
async fn what_fails_leaves_alerts_alone_and_is_told() {
    let world = World::new();
    world.file(
        "a.yml",
        "groups:
- name: g
  limit: 2
  rules:
  - alert: Same
    expr: up == 0
    labels: {job: same}
  - alert: Many
    expr: up == 0
  - record: broken
    expr: up * on (job) group_left () up
",
    );
    let rules = world.rules().await;
    world.gauge("up", &[("job", "a"), ("i", "1")], 0, 0.0).await;
    world.at(&rules, 0).await;
    assert_eq!(world.told.words(), ["Same firing since 0", "Many firing since 0"]);
    world.gauge("up", &[("job", "b"), ("i", "1")], 10, 0.0).await;
    world.gauge("up", &[("job", "a"), ("i", "2")], 10, 0.0).await;
    world.at(&rules, 10).await;
    let (_, answer) = world.get(Some(&rules), "/api/v1/rules").await;
    let shown: Vec<(String, String, String)> = answer["data"]["groups"][0]["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .map(|rule| {
            let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
            (text("state"), text("health"), text("lastError"))
        })
        .collect();
    let error = |text: &str| text.to_owned();
    assert_eq!(
        shown[0],
        (
            error("firing"),
            error("err"),
            error("vector contains metrics with the same labelset after applying alert labels")
        )
    );
    assert_eq!(shown[1], (error("inactive"), error("err"), error("exceeded limit of 2 with 3 alerts")));
    assert_eq!((shown[2].1.as_str(), shown[2].2.contains("many-to-many")), ("err", true), "{:?}", shown[2]);
    // What the limit took away is over for the receivers too.
    assert_eq!(world.told.words().last().map(String::as_str), Some("Many resolved since 0"));
    let failures =
        world.stats.values().into_iter().filter(|(name, ..)| *name == "sextant_rule_evaluation_failures_total");
    assert_eq!(failures.map(|(.., count)| count).sum::<u64>(), 3);
}

#[tokio::test]
async fn a_reload_keeps_clocks_and_a_broken_file_changes_nothing() {
    let world = World::new();
    world.file("a.yml", DOWN);
    world.file("b.yml", &DOWN.replace("Down", "Other").replace("60s", "0s"));
    let rules = world.rules().await;
    world.gauge("up", &[("job", "a")], 0, 0.0).await;
    world.at(&rules, 0).await;
    assert_eq!(world.told.words(), ["Other firing since 0"]);
    // A mistake in one file: both files' rules go on, and the API says what is wrong.
    world.file("a.yml", &DOWN.replace("for:", "fro:"));
    world.file("b.yml", "groups: []");
    assert!(rules.reload_rules().await.is_err());
    let (_, answer) = world.get(Some(&rules), "/api/v1/rules").await;
    assert_eq!(answer["data"]["groups"].as_array().map(Vec::len), Some(2));
    let warning = answer["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("a.yml:6:5: group \"g\", rule 1, \"Down\": unknown key \"fro\" in a rule"), "{warning}");
    // Mended, with another expression: the alert goes on pending since it began, the rule that is gone is resolved.
    world.file("a.yml", &DOWN.replace("up == 0", "up < 1"));
    rules.reload_rules().await.expect("the files are right");
    world.gauge("up", &[("job", "a")], 60, 0.0).await;
    world.at(&rules, 60).await;
    assert_eq!(world.told.words(), ["Other firing since 0", "Other resolved since 0", "Down firing since 60"]);
    assert!(world.query("ALERTS{alertname=\"Other\"}", 60).await.is_empty());
    let (_, answer) = world.get(Some(&rules), "/api/v1/rules").await;
    assert_eq!(answer["data"]["groups"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer.get("warnings"), None);
    // Other labels make it another rule.
    world.file("a.yml", &DOWN.replace("page", "mail"));
    rules.reload_rules().await.expect("the files are right");
    assert_eq!(world.told.words().last().map(String::as_str), Some("Down resolved since 60"));
    let (_, alerts) = world.get(Some(&rules), "/api/v1/alerts").await;
    assert_eq!(alerts["data"]["alerts"], json!([]));
}

#[tokio::test]
async fn a_broken_file_at_the_start_starts_nothing() {
    let world = World::new();
    world.file("a.yml", "groups:\n- nme: x\n");
    let error = world.try_rules().await.map(|_| ()).expect_err("it is broken");
    assert!(error.to_string().contains("a.yml:2:3: "), "{error}");
}

#[tokio::test]
async fn the_api_answers_as_prometheus_does() {
    let world = World::new();
    world.file("a.yml", DOWN);
    world.file(
        "b.yml",
        "groups:
- name: h
  interval: 15s
  limit: 5
  rules:
  - record: a:b
    expr: sum(up)
    labels: {team: core}
- name: i
  type: logs
  rules: [{alert: Logs, expr: 'x | stats count() as n | where n > 0', range: 5m, for: 1m, keep_firing_for: 2m}]
",
    );
    let rules = world.rules().await;
    let (status, empty) = world.get(None, "/api/v1/rules").await;
    assert_eq!((status, empty), (StatusCode::OK, json!({"status": "success", "data": {"groups": []}})));
    world.gauge("up", &[("job", "a")], 0, 0.0).await;
    world.at(&rules, 0).await;
    let (_, answer) = world.get(Some(&rules), "/api/v1/rules").await;
    let groups = answer["data"]["groups"].as_array().expect("groups").clone();
    let file = |name: &str| world.folder.path().join(name).display().to_string();
    assert_eq!(groups[0]["file"], json!(file("a.yml")));
    assert_eq!(groups[0]["interval"], json!(60.0));
    assert_eq!(groups[0].get("type"), None);
    let mut rule = groups[0]["rules"][0].clone();
    let alert = rule["alerts"][0].take();
    let times = ["evaluationTime", "lastEvaluation"].map(|key| rule[key].take());
    assert_eq!(times[1], json!("1970-01-12T13:46:40.000000000Z"));
    assert_eq!(
        rule,
        json!({
            "type": "alerting", "state": "pending", "name": "Down", "query": "up == 0", "duration": 60.0,
            "keepFiringFor": 0.0, "labels": {"severity": "page"},
            "annotations": {"summary": "{{ $labels.job }} is {{ $value }}"},
            "alerts": [null], "health": "ok", "evaluationTime": null, "lastEvaluation": null,
        })
    );
    assert_eq!(alert["labels"], json!({"alertname": "Down", "job": "a", "severity": "page"}));
    assert_eq!(alert["annotations"], json!({"summary": "a is 0"}));
    assert_eq!((&alert["state"], &alert["value"]), (&json!("pending"), &json!("0e+00")));
    assert_eq!(alert["activeAt"], json!("1970-01-12T13:46:40.000000000Z"));
    assert_eq!(alert["links"], json!({"metrics": "/api/v1/query?query=up+%3D%3D+0&time=1000000"}));
    assert_eq!(alert["fingerprint"].as_str().map(str::len), Some(16));
    assert_eq!((&groups[1]["interval"], &groups[1]["limit"]), (&json!(15.0), &json!(5)));
    assert_eq!(groups[1]["rules"][0]["labels"], json!({"team": "core"}));
    assert_eq!((&groups[2]["type"], &groups[2]["rules"][0]["range"]), (&json!("logs"), &json!(300.0)));
    let (_, alerts) = world.get(Some(&rules), "/api/v1/alerts").await;
    assert_eq!(alerts, json!({"status": "success", "data": {"alerts": [alert]}}));

    let names = |answer: &Value| -> Vec<String> {
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().filter_map(|group| Some(group["name"].as_str()?.to_owned())).collect()
    };
    for (parameters, expected) in [
        ("type=alert".to_owned(), vec!["g", "i"]),
        ("type=record".to_owned(), vec!["h"]),
        ("rule_name[]=Down&rule_name[]=a:b".to_owned(), vec!["g", "h"]),
        ("rule_group[]=i".to_owned(), vec!["i"]),
        (format!("file[]={}", encode(&file("b.yml"))), vec!["h", "i"]),
        (format!("match[]={}", encode("{team=\"core\"}")), vec!["h"]),
        (format!("match[]={}&match[]={}", encode("{team=~\"c.*\"}"), encode("{severity=\"page\"}")), vec!["g", "h"]),
        ("group_limit=2".to_owned(), vec!["g", "h"]),
    ] {
        let (status, answer) = world.get(Some(&rules), &format!("/api/v1/rules?{parameters}")).await;
        assert_eq!((status, names(&answer)), (StatusCode::OK, expected.iter().map(|n| (*n).to_owned()).collect()));
        if let Some(token) = answer["data"]["groupNextToken"].as_str() {
            let next = format!("/api/v1/rules?group_limit=2&group_next_token={token}");
            let (_, answer) = world.get(Some(&rules), &next).await;
            assert_eq!((names(&answer), answer["data"].get("groupNextToken")), (vec!["i".to_owned()], None));
        }
    }
    let (_, answer) = world.get(Some(&rules), "/api/v1/rules?exclude_alerts=true&type=alert").await;
    assert_eq!(answer["data"]["groups"][0]["rules"][0]["alerts"], json!([]));
    for (parameters, reason) in [
        ("type=x", "invalid parameter \"type\": not supported value \"x\""),
        ("group_next_token=x", "group_limit needs to be present in order to paginate over the groups"),
        ("group_limit=1&group_next_token=x", "were rule groups changed?"),
        ("match[]=x{", "invalid parameter \"match[]\""),
    ] {
        let (status, answer) = world.get(Some(&rules), &format!("/api/v1/rules?{parameters}")).await;
        assert_eq!((status, &answer["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")));
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(reason)), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_evaluated_at_their_own_times() {
    let world = World::new();
    world.file("a.yml", &DOWN.replace("rules:", "interval: 10s\n  rules:"));
    world.gauge("up", &[("job", "a")], 0, 0.0).await;
    let rules = world.rules().await;
    let group = rules.groups()[0].clone();
    rules.run();
    let evaluated = || group.rules[0].state().at_ms;
    let due = || group.slot(model::Clock::now(world.clock.as_ref()).as_millis());
    let mut turns = 0;
    until("the first evaluation", || {
        // The task begins when it gets a thread.
        turns += 1;
        if turns % 50_000 == 1 {
            world.clock.advance(Duration::from_secs(10));
        }
        evaluated() == due()
    })
    .await;
    let (first, missed) = (evaluated(), group.progress().missed);
    assert_eq!(group.slot(first + 9_999), first);
    assert_eq!(group.slot(first - 1), first - 10_000);
    // Time that jumps over three moments is one evaluation, and two are left out.
    world.clock.advance(Duration::from_secs(30));
    until("the next evaluation", || evaluated() != first).await;
    assert_eq!((evaluated() - first, group.progress().missed - missed), (30_000, 2));
    // A file that changes is read within seconds.
    world.file("a.yml", &DOWN.replace("Down", "Changed"));
    until("the changed file", || {
        turns += 1;
        if turns % 5_000 == 1 {
            world.clock.advance(Duration::from_secs(1));
        }
        rules.groups()[0].rules[0].rule.name == "Changed"
    })
    .await;
    rules.stop().await;
    let last = rules.groups()[0].rules[0].state().at_ms;
    world.clock.advance(Duration::from_secs(300));
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rules.groups()[0].rules[0].state().at_ms, last);
}

// Other threads do what is waited for; a test that waits in vain fails instead of hanging.
async fn until(what: &str, mut is_there: impl FnMut() -> bool) {
    for _ in 0..2_000_000 {
        if is_there() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("waited in vain for {what}");
}
