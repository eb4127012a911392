//! The body of a webhook: Alertmanager's version 4, field by field and in its order, with `links` and `samples` beside what
//! it knows of an alert.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use model::Timestamp;
use model::wire::alerts::AlertSample;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::group::{Group, Reason, Round};
use super::limits::BODY_BYTES_MAX;
use crate::rules::Alert;

/// While an alert fires its end is Go's zero time.
const NO_END: &str = "0001-01-01T00:00:00Z";

type Labels = BTreeMap<String, String>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<Item<'a>>,
    group_labels: &'a Labels,
    common_labels: Labels,
    common_annotations: Labels,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
    #[serde(rename = "notification_reason")]
    reason: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    status: &'static str,
    labels: &'a Labels,
    annotations: &'a Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    links: Labels,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    samples: &'a [AlertSample],
}

/// A rendered notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// JSON.
    pub text: String,
    /// `firing` or `resolved`.
    pub status: &'static str,
    /// How many alerts it tells of.
    pub alerts: usize,
}

/// The word for a set of alerts, or for one.
pub fn status(firing: bool) -> &'static str {
    if firing { "firing" } else { "resolved" }
}

/// Renders what a group says. `None` if its receiver wants to hear nothing of it.
pub fn render(group: &Group, round: &Round, reason: Reason, external_url: &str) -> Option<Body> {
    let fires = |alert: &Alert| round.firing.contains(&super::group::Episode::of(alert));
    let wanted: Vec<&Alert> = round.alerts.iter().map(AsRef::as_ref).collect();
    let mut alerts: Vec<(&Alert, bool)> = wanted.into_iter().map(|alert| (alert, fires(alert))).collect();
    if !group.webhook.send_resolved {
        alerts.retain(|(_, firing)| *firing);
    }
    if alerts.is_empty() {
        return None;
    }
    let all = alerts.len();
    if group.webhook.max_alerts > 0 {
        alerts.truncate(group.webhook.max_alerts);
    }
    let mut extras = true;
    loop {
        let body = message(group, &alerts, all, reason, external_url, extras);
        // Strings and maps of strings always become JSON.
        let text = serde_json::to_string(&body).unwrap_or_default();
        if text.len() <= BODY_BYTES_MAX || (!extras && alerts.len() == 1) {
            return Some(Body { text, status: body.status, alerts: alerts.len() });
        }
        if !extras {
            alerts.truncate(alerts.len() / 2);
        }
        extras = false;
    }
}

fn message<'a>(
    group: &'a Group,
    alerts: &[(&'a Alert, bool)],
    all: usize,
    reason: Reason,
    external_url: &'a str,
    extras: bool,
) -> Message<'a> {
    let items = alerts.iter().map(|(alert, firing)| item(alert, *firing, external_url, extras));
    Message {
        receiver: &group.endpoint.receiver,
        status: status(alerts.iter().any(|(_, firing)| *firing)),
        alerts: items.collect(),
        group_labels: &group.labels,
        common_labels: common(alerts.iter().map(|(alert, _)| &alert.labels)),
        common_annotations: common(alerts.iter().map(|(alert, _)| &alert.annotations)),
        external_url,
        version: "4",
        group_key: &group.key,
        truncated_alerts: all - alerts.len(),
        reason: reason.as_str(),
    }
}

fn item<'a>(alert: &'a Alert, firing: bool, external_url: &str, extras: bool) -> Item<'a> {
    let links = alert.links.iter().map(|(name, link)| (name.clone(), absolute(link, external_url)));
    Item {
        status: status(firing),
        labels: &alert.labels,
        annotations: &alert.annotations,
        starts_at: time(alert.starts_at),
        ends_at: match alert.ends_at {
            Some(end) if !firing => time(end),
            _ => NO_END.to_owned(),
        },
        generator_url: absolute(&alert.generator_url, external_url),
        fingerprint: format!("{:016x}", alert.fingerprint()),
        links: if extras { links.collect() } else { Labels::new() },
        samples: if extras { &alert.samples } else { &[] },
    }
}

// RFC 3339 as Go writes it: no more digits than there are.
fn time(nanos: i64) -> String {
    let text = Timestamp::from_nanos(nanos).to_string();
    let short = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    let short = if text.contains('.') { short } else { text.trim_end_matches('Z') };
    format!("{short}Z")
}

// Rules know paths; who reads a notification needs to know of which server.
fn absolute(link: &str, external_url: &str) -> String {
    if link.starts_with('/') { format!("{}{link}", external_url.trim_end_matches('/')) } else { link.to_owned() }
}

fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut common = sets.next().cloned().unwrap_or_default();
    for set in sets {
        common.retain(|name, value| set.get(name) == Some(value));
    }
    common
}

/// The value of `X-Sextant-Signature`.
pub fn signature(secret: &str, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(body);
    format!("sha256={}", hexadecimal(&mac.finalize().into_bytes()))
}

/// The key that tells a receiver that it has seen a notification before: the same in every attempt, another for every decision.
pub fn idempotency_key(lane: &str, created: i64, count: u64, body: &str) -> String {
    let mut hash = Sha256::new();
    for part in [lane.as_bytes(), &created.to_be_bytes(), &count.to_be_bytes(), body.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hexadecimal(&hash.finalize()[..16])
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
