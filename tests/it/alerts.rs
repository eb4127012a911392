//! From a fault to its cause: the demo is broken on purpose, a shipped rule pends and fires, the webhook comes in time, and
//! the record it brings leads to the span that failed.

use std::path::Path;
use std::time::Duration;

use campaign::binary::hermetic;
use model::Timestamp;
use model::wire::alerts::{Alert, Alerts};
use model::wire::correlate::Correlation;
use model::wire::prom::Response;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;
use tui::Client;
use tui::client::{Params, Settings};

use crate::demo::{Demo, PATIENCE};
use crate::harness::{BINARY, Place, until};

// As they stand in `dashboards/rules/logs.sextant.yml`.
const INTERVAL: Duration = Duration::from_secs(5);
const FOR: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_fault_becomes_a_webhook_whose_sample_leads_to_the_failing_span() {
    let place = Place::new();
    let webhooks = place.path().join("webhooks.ndjson");
    let file = webhooks.display().to_string();
    let mut demo = Demo::start(&place, &["--fault", "payments-error:100%", "--webhooks", &file]);
    let url = format!("http://{}", demo.said("http ").await);
    let client = Client::new(&url, Settings::default()).expect("an address");

    let pending = until("pending alert", PATIENCE, async || alert(&client, "pending").await).await;
    let firing = until("firing alert", PATIENCE, async || alert(&client, "firing").await).await;
    assert_eq!((&firing.labels, &firing.active_at), (&pending.labels, &pending.active_at), "one alert, one clock");
    let (payload, arrived) = until("webhook", PATIENCE, async || first_of(&webhooks, "payments")).await;

    let active = moment(firing.active_at.as_deref().expect("it is active"));
    let late = Duration::from_nanos(u64::try_from(arrived.as_nanos() - active.as_nanos()).expect("after it began"));
    let latest = FOR + INTERVAL + Duration::from_secs(1);
    assert!(late >= FOR && late <= latest, "the webhook came {late:?} after the condition began to hold");

    let sample = check_payload(&payload, &firing, &url);
    let trace = sample["trace_id"].as_str().expect("the sample names a trace").to_owned();
    let found: Correlation = client.correlate(&trace).await.expect("correlated");
    let failed = found.spans.iter().find(|span| span.name == "charge card" && span.status == "error");
    let failed = failed.unwrap_or_else(|| panic!("no failing span in {found:?}"));
    assert_eq!((failed.service.as_deref(), failed.trace_id.as_str()), (Some("payments"), trace.as_str()));
    assert!(["refused", "breaker_open"].contains(&failed.status_message.as_str()), "{failed:?}");
    assert!(found.logs.iter().any(|log| log.event_name == "payment.failed"), "its log record is there too");

    // People who watch the demo's terminal see it as well.
    let said = demo.said("webhook: FIRING ErrorLogBurst: ").await;
    assert!(said.contains("error records in a minute"), "{said}");
    demo.interrupt().await;
    let status = timeout(PATIENCE, demo.child.wait()).await.expect("it stops").expect("it ran");
    assert_eq!(status.code(), Some(0));
}

async fn alert(client: &Client, state: &str) -> Option<Alert> {
    let answer = client.get::<Response<Alerts>>("/api/v1/alerts", &Params::new()).await.ok()?;
    answer.data?.alerts.into_iter().find(|alert| {
        let label = |name: &str| alert.labels.get(name).map(String::as_str);
        (label("alertname"), label("service")) == (Some("ErrorLogBurst"), Some("payments")) && alert.state == state
    })
}

// The first webhook about the service, and when it was seen.
fn first_of(webhooks: &Path, service: &str) -> Option<(Value, Timestamp)> {
    let text = std::fs::read_to_string(webhooks).ok()?;
    let payloads = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut of_service = payloads.filter(|payload| payload["commonLabels"]["service"] == service);
    Some((of_service.next()?, model::Clock::now(&model::SystemClock::new())))
}

fn moment(text: &str) -> Timestamp {
    Timestamp::parse(text, Timestamp::from_nanos(0)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

// Field by field as Alertmanager sends it (version 4), and what Sextant adds. Gives the alert's first sample.
fn check_payload(payload: &Value, alert: &Alert, url: &str) -> Value {
    let labels = json!({"alertname": "ErrorLogBurst", "service": "payments", "severity": "critical"});
    for (field, expected) in [
        ("version", json!("4")),
        ("groupKey", json!(r#"{}:{alertname="ErrorLogBurst", service="payments"}"#)),
        ("truncatedAlerts", json!(0)),
        ("status", json!("firing")),
        ("receiver", json!("demo")),
        ("groupLabels", json!({"alertname": "ErrorLogBurst", "service": "payments"})),
        ("commonLabels", labels.clone()),
        ("externalURL", json!(url)),
    ] {
        assert_eq!(payload[field], expected, "{field} of {payload:#}");
    }
    let alerts = payload["alerts"].as_array().expect("a list");
    assert_eq!(alerts.len(), 1, "{payload:#}");
    let told = &alerts[0];
    assert_eq!((&told["status"], &told["labels"]), (&json!("firing"), &labels));
    assert_eq!(told["endsAt"], json!("0001-01-01T00:00:00Z"));
    assert_eq!(told["fingerprint"], json!(alert.fingerprint));
    assert_eq!(told["fingerprint"].as_str().map(str::len), Some(16));
    assert_eq!(told["annotations"], payload["commonAnnotations"]);
    let summary = told["annotations"]["summary"].as_str().unwrap_or_default();
    assert!(summary.starts_with("payments: ") && summary.ends_with(" error records in a minute"), "{summary}");
    let starts = moment(told["startsAt"].as_str().expect("a time"));
    assert!(starts >= moment(alert.active_at.as_deref().expect("active")), "{told:#}");
    assert!(told["generatorURL"].as_str().is_some_and(|link| link.starts_with(url)), "{told:#}");
    for link in ["logs", "trace"] {
        assert!(told["links"][link].as_str().is_some_and(|link| link.starts_with(url)), "{link} of {told:#}");
    }
    let samples = told["samples"].as_array().expect("samples");
    assert!((1..=3).contains(&samples.len()), "{told:#}");
    assert_eq!(samples[0]["service"], json!("payments"));
    assert_eq!(samples[0]["severity"], json!("error"));
    assert!(samples[0]["text"].as_str().is_some_and(|text| text.starts_with("payment failed: the bank")), "{told:#}");
    samples[0].clone()
}

#[tokio::test]
async fn an_unknown_fault_is_refused_with_the_known_ones() {
    let place = Place::new();
    let mut command: Command = hermetic(BINARY.as_ref(), place.path());
    let output = command.args(["demo", "--fault", "fire"]).output().await.expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("there is no fault `fire`; there are payments-error, slow-database"), "{said}");
}
