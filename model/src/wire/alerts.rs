//! Rules and alerts: Prometheus's `/api/v1/rules` and `/api/v1/alerts`, with what Sextant knows besides.
//!
//! Keys that Prometheus does not have are left out where they say nothing, so that its clients see what they know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_zero;
use super::prom::Labels;

/// The data of `/api/v1/rules`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// By file, in the order of the files.
    pub groups: Vec<RuleGroup>,
    /// Where the next page begins, if the client asked for pages.
    #[serde(rename = "groupNextToken", skip_serializing_if = "Option::is_none")]
    pub group_next_token: Option<String>,
}

/// A group of rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuleGroup {
    /// The group's name, unique in its file.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// `prometheus` (left out), `logs` or `traces`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// In the order of their evaluation.
    pub rules: Vec<Rule>,
    /// Seconds between evaluations.
    pub interval: f64,
    /// The most alerts or samples a rule may yield; 0 for any number.
    pub limit: usize,
    /// Seconds that the last evaluation took.
    pub evaluation_time: f64,
    /// RFC 3339: when the last evaluation began; the year 1 if there was none.
    pub last_evaluation: String,
    /// Evaluations that were left out because the one before took too long.
    #[serde(skip_serializing_if = "is_zero")]
    pub missed_evaluations: u64,
}

/// A rule of either kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Rule {
    /// `alert:`
    Alerting(AlertingRule),
    /// `record:`
    Recording(RecordingRule),
}

/// A rule that makes alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AlertingRule {
    /// `inactive`, `pending` or `firing`: the worst of its alerts.
    pub state: String,
    /// The alerts' name.
    pub name: String,
    /// The expression.
    pub query: String,
    /// `for`, in seconds.
    pub duration: f64,
    /// `keep_firing_for`, in seconds.
    pub keep_firing_for: f64,
    /// Of log and trace rules: the window that is looked at, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<f64>,
    /// As they stand in the file.
    pub labels: Labels,
    /// As they stand in the file.
    pub annotations: Labels,
    /// Pending and firing alerts.
    pub alerts: Vec<Alert>,
    /// `ok`, `err` or `unknown`.
    pub health: String,
    /// Why the health is `err`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Seconds that the last evaluation took.
    pub evaluation_time: f64,
    /// RFC 3339.
    pub last_evaluation: String,
}

/// A rule that makes series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RecordingRule {
    /// The series' name.
    pub name: String,
    /// The expression.
    pub query: String,
    /// Added to each series.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
    /// `ok`, `err` or `unknown`.
    pub health: String,
    /// Why the health is `err`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Seconds that the last evaluation took.
    pub evaluation_time: f64,
    /// RFC 3339.
    pub last_evaluation: String,
}

/// The data of `/api/v1/alerts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alerts {
    /// Pending and firing alerts.
    pub alerts: Vec<Alert>,
}

/// One alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Alert {
    /// `alertname` among them.
    pub labels: Labels,
    /// Expanded.
    pub annotations: Labels,
    /// `pending` or `firing`.
    pub state: String,
    /// RFC 3339: since when the condition has held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_at: Option<String>,
    /// RFC 3339: since when only `keep_firing_for` keeps it firing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<String>,
    /// The expression's value, as Prometheus writes it: `1e+00`.
    pub value: String,
    /// RFC 3339: since when it has been firing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<String>,
    /// RFC 3339: when it was last handed to a receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sent_at: Option<String>,
    /// 16 hexadecimal digits, the same in webhooks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// Where to look further: `logs`, `traces`, `trace`, `metrics` to paths of the API with their parameters.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
    /// Of log and trace rules: up to three of the newest records that match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<AlertSample>,
}

/// A record that made an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertSample {
    /// RFC 3339.
    pub timestamp: String,
    /// `service.name`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Of logs: the level's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// A log record's body or a span's name.
    pub text: String,
    /// 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The business id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

/// The answer of `/api/v1/notifications`: what waits to be delivered, and what was given up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notifications {
    /// Oldest first.
    pub queued: Vec<Notification>,
    /// Given up; newest first.
    pub dead: Vec<Notification>,
}

/// One notification on its way to one receiver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notification {
    /// The same in every attempt.
    pub idempotency_key: String,
    /// The receiver's name.
    pub receiver: String,
    /// Alertmanager's key of the group.
    pub group_key: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// How many alerts it tells of.
    pub alerts: usize,
    /// RFC 3339: when it was decided to send it.
    pub created: String,
    /// Attempts so far.
    pub attempts: u64,
    /// RFC 3339: when it is tried next; absent if it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<String>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}
