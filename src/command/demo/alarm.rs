//! The demo's end of the alerts: the shipped rules, an `alertmanager.yml`, and the receiver that is called. It prints what
//! it is told; in real life it would be a pager's or a chat's webhook.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tui::sanitize;

use crate::config::Config;
use crate::shipped;

/// The rules' files and the receiver. Both end when it is dropped.
pub struct Alarm {
    // Holds the files for as long as the server reads them.
    _files: TempDir,
    receiver: JoinHandle<()>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

impl Alarm {
    /// Lets a server with this configuration evaluate the shipped rules and tell a receiver in this process. Each webhook's
    /// body is also added to the file `webhooks`, a line each.
    pub async fn set_up(config: &mut Config, webhooks: Option<&Path>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen for webhooks")?;
        let address = listener.local_addr().context("cannot tell where webhooks are listened for")?;
        let files = tempfile::Builder::new().prefix("sextant-demo-rules-").tempdir();
        let files = files.context("cannot make a directory for the demo's rules")?;
        for (name, text) in shipped::RULES {
            write(&files.path().join(name), text)?;
        }
        let routes = files.path().join("alertmanager.yml");
        write(&routes, &alertmanager(&format!("http://{address}/alerts")))?;
        config.rules.files = shipped::RULES.iter().map(|(name, _)| text_of(&files.path().join(name))).collect();
        config.rules.alertmanager = text_of(&routes);
        config.rules.allowed_receivers = vec![address.to_string()];
        let receiver = Receiver { file: webhooks.map(open).transpose()?.map(Mutex::new), shown: Mutex::default() };
        let router = Router::new().route("/alerts", post(receive)).with_state(Arc::new(receiver));
        let receiver = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!("webhooks are not received any more: {error}");
            }
        });
        Ok(Self { _files: files, receiver })
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn open(path: &Path) -> anyhow::Result<fs::File> {
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("cannot open {}", path.display()))
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

// Nobody waits for company here: what fires is told at once.
fn alertmanager(url: &str) -> String {
    format!(
        "\
route:
  receiver: demo
  group_by: [alertname, service, job]
  group_wait: 0s
  group_interval: 10s
  repeat_interval: 1h
receivers:
  - name: demo
    webhook_configs:
      - url: {url}
"
    )
}

struct Receiver {
    file: Option<Mutex<fs::File>>,
    shown: Mutex<Shown>,
}

async fn receive(State(receiver): State<Arc<Receiver>>, body: Bytes) -> StatusCode {
    let Ok(payload) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    let lines = receiver.shown.lock().unwrap_or_else(PoisonError::into_inner).lines_of(&payload);
    let printed = {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{}", lines.join("\n")).and_then(|()| out.flush())
    };
    let kept = receiver.file.as_ref().map_or(Ok(()), |file| {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{payload}").and_then(|()| file.flush())
    });
    // What could not be shown was not received: the sender tries again.
    if printed.is_ok() && kept.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// The alerts that were shown and fire still: the fingerprint of each and when it began.
#[derive(Default)]
struct Shown(HashSet<(String, String)>);

impl Shown {
    /// What people are shown of a webhook: it holds all alerts of its group, and they see those in which something changed. If
    /// nothing did, it is a reminder and shown whole.
    fn lines_of(&mut self, payload: &Value) -> Vec<String> {
        let alerts = payload["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
        let changed: Vec<&Value> = alerts.iter().filter(|alert| self.has_changed(alert)).collect();
        if changed.is_empty() {
            return alerts.iter().flat_map(lines_of).collect();
        }
        changed.into_iter().flat_map(lines_of).collect()
    }

    fn has_changed(&mut self, alert: &Value) -> bool {
        let text = |key: &str| alert[key].as_str().unwrap_or_default().to_owned();
        let episode = (text("fingerprint"), text("startsAt"));
        if alert["status"] == "firing" {
            return self.0.insert(episode);
        }
        self.0.remove(&episode);
        true
    }
}

fn lines_of(alert: &Value) -> Vec<String> {
    let text = |value: &Value| sanitize::line(value.as_str().unwrap_or_default()).into_owned();
    let (name, summary) = (text(&alert["labels"]["alertname"]), text(&alert["annotations"]["summary"]));
    let mut lines = vec![format!("webhook: {} {name}: {summary}", text(&alert["status"]).to_uppercase())];
    for sample in alert["samples"].as_array().into_iter().flatten() {
        lines.push(format!("  {}  trace {}", text(&sample["text"]), text(&sample["trace_id"])));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_see_a_line_per_alert_and_sample_and_no_control_character() {
        let payload = json!({"alerts": [{
            "status": "firing",
            "labels": {"alertname": "ErrorLogBurst"},
            "annotations": {"summary": "payments: 31 error records\u{1b}[2J"},
            "samples": [{"text": "cannot reach the bank", "trace_id": "0af7"}],
        }]});
        assert_eq!(
            Shown::default().lines_of(&payload),
            [
                "webhook: FIRING ErrorLogBurst: payments: 31 error records\\x1b[2J",
                "  cannot reach the bank  trace 0af7"
            ]
        );
        assert!(Shown::default().lines_of(&json!({"alerts": 3})).is_empty());
    }

    #[test]
    fn of_a_group_people_are_shown_what_changed_and_all_of_a_reminder() {
        let alert = |name: &str, status: &str, start: &str| {
            json!({"status": status, "labels": {"alertname": name}, "annotations": {"summary": "s"},
                "fingerprint": name, "startsAt": start})
        };
        let mut shown = Shown::default();
        let mut lines_of = |alerts: Value| shown.lines_of(&json!({ "alerts": alerts }));
        let first = alert("A", "firing", "12:00");
        let second = alert("B", "firing", "12:01");
        assert_eq!(lines_of(json!([first])), ["webhook: FIRING A: s"]);
        assert_eq!(lines_of(json!([first, second])), ["webhook: FIRING B: s"]);
        assert_eq!(lines_of(json!([first, second])), ["webhook: FIRING A: s", "webhook: FIRING B: s"]);
        assert_eq!(lines_of(json!([alert("A", "resolved", "12:00"), second])), ["webhook: RESOLVED A: s"]);
        assert_eq!(lines_of(json!([alert("A", "firing", "12:05"), second])), ["webhook: FIRING A: s"]);
    }
}
