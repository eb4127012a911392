//! The body of a webhook, field by field, against files.

use std::path::Path;
use std::sync::Arc;

use model::stats::Stats;
use model::wire::alerts::AlertSample;
use query::rules::Alert;
use query::rules::notify::NotifyStats;
use query::rules::notify::config::Config;
use query::rules::notify::dispatch::Dispatch;
use query::rules::notify::guard::Allowed;
use query::rules::notify::limits::BODY_BYTES_MAX;
use query::rules::notify::outbox::Room;
use query::rules::notify::webhook::{idempotency_key, signature};
use serde_json::Value;

use super::world::{alert, at, labels};

// What is told of these alerts when they are there at the same time.
fn told(webhook: &str, alerts: Vec<Alert>) -> String {
    let text = format!(
        "route: {{receiver: 'team \"X\"', group_by: [alertname, absent], routes: [{{matchers: [severity=page]}}]}}\n\
         receivers:\n- name: 'team \"X\"'\n  webhook_configs: [{{url: 'https://hooks.example.org/', {webhook}}}]"
    );
    let config = Config::parse("am.yml", &text, Path::new(""), &Allowed::default()).expect("it is read");
    let url = "http://sextant.example:3300/".to_owned();
    let mut machine = Dispatch::new(Some(Arc::new(config)), url, NotifyStats::new(&Stats::new()));
    machine.accept(alerts, at(100));
    let plan = machine.plan(at(100), |_, _| Room::Empty);
    assert_eq!(plan.drafts.len(), 1);
    plan.drafts[0].body.text.clone()
}

fn rich(text: &str, starts: i64, ends: Option<i64>, summary: &str) -> Alert {
    Alert {
        annotations: labels(&format!("summary={summary} runbook=https://wiki.example.org/<&>")),
        generator_url: "/graph?expr=up".to_owned(),
        ..alert(text, starts, ends)
    }
}

fn cases() -> Vec<(&'static str, String)> {
    let metric = rich("alertname=Down severity=page job=api instance=b:1", 0, None, "down");
    let over = rich("alertname=Down severity=page job=api instance=a:1", 0, Some(60), "down");
    let plain = rich("alertname=Down severity=page", 1, None, "other");
    let logs = Alert {
        starts_at: at(0).as_nanos() + 120_000_000,
        value: f64::NAN,
        generator_url: "https://elsewhere.example.org/rule".to_owned(),
        links: labels("logs=/api/v1/logs?query=declined trace=/api/v1/traces/0af7651916cd43dd8448eb211c80319c"),
        samples: vec![
            AlertSample {
                timestamp: at(1).to_string(),
                service: Some("payments".to_owned()),
                severity: Some("error".to_owned()),
                text: "card \"declined\"\n\u{1b}[31m".to_owned(),
                trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
                span_id: Some("b7ad6b7169203331".to_owned()),
                correlation_id: Some("order-7".to_owned()),
            },
            AlertSample { timestamp: at(0).to_string(), text: "short".to_owned(), ..AlertSample::default() },
        ],
        ..alert("alertname=Declined service=payments", 0, None)
    };
    let two = || vec![metric.clone(), over.clone(), plain.clone()];
    vec![
        ("firing", told("", two())),
        ("resolved", told("", vec![over.clone()])),
        ("firing_only", told("send_resolved: false", two())),
        ("truncated", told("max_alerts: 1", two())),
        ("logs", told("", vec![logs])),
    ]
}

#[test]
fn bodies_are_those_of_the_files() {
    for (name, text) in cases() {
        let path = format!("{}/tests/rules/notify/payload/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}\n{text}"));
        let (found, expected): (Value, Value) =
            (serde_json::from_str(&text).expect("JSON"), serde_json::from_str(&expected).expect("JSON"));
        let (found_keys, expected_keys) = (found.as_object().expect("keys"), expected.as_object().expect("keys"));
        assert!(found_keys.keys().eq(expected_keys.keys()), "{name}");
        for (key, value) in found_keys {
            assert_eq!(value, &expected_keys[key], "{name}: {key}");
        }
    }
}

#[test]
fn fields_stand_in_the_order_of_alertmanager() {
    let (_, text) = &cases()[0];
    let fields = [
        "receiver",
        "status",
        "alerts",
        "labels",
        "annotations",
        "startsAt",
        "endsAt",
        "generatorURL",
        "fingerprint",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "version",
        "groupKey",
        "truncatedAlerts",
        "notification_reason",
    ];
    let places: Vec<_> = fields.iter().map(|field| text.find(&format!("\"{field}\":"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
}

#[test]
fn a_body_that_is_too_large_gives_up_its_extras_and_then_alerts() {
    let long = "x".repeat(60_000);
    let large = |number: usize| {
        let sample = AlertSample { text: long.clone(), ..AlertSample::default() };
        Alert { samples: vec![sample], ..alert(&format!("alertname=A n={number:03}"), 0, None) }
    };
    let body: Value = serde_json::from_str(&told("", (0..100).map(large).collect())).expect("JSON");
    assert_eq!(body["truncatedAlerts"], 0);
    assert!(body["alerts"][0].get("samples").is_none());
    let annotated = |number: usize| Alert { annotations: labels(&format!("a={long}")), ..large(number) };
    let text = told("", (0..100).map(annotated).collect());
    let body: Value = serde_json::from_str(&text).expect("JSON");
    assert!(text.len() <= BODY_BYTES_MAX);
    assert_eq!((body["truncatedAlerts"].as_u64(), body["alerts"].as_array().map(Vec::len)), (Some(50), Some(50)));
}

#[test]
fn signatures_and_keys() {
    // RFC 4231, test case 2.
    let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(signature("Jefe", b"what do ya want for nothing?"), expected);
    let key = idempotency_key("lane", 1, 1, "body");
    assert_eq!((key.len(), key == idempotency_key("lane", 1, 1, "body")), (32, true));
    for other in [("lan", 1, 1, "ebody"), ("lane", 2, 1, "body"), ("lane", 1, 2, "body"), ("lane", 1, 1, "bodi")] {
        assert_ne!(key, idempotency_key(other.0, other.1, other.2, other.3));
    }
}
