//! The records of notifications in the store's state tables, and the changes that put and delete them. `outbox` has the
//! record of its own table.

use serde::{Deserialize, Serialize};
use store::StateChange;

use super::group::Episode;
use crate::rules::Alert;

/// The state table of alerts that somebody has to be told of.
pub const ALERTS: &str = "notify_alerts";
/// The state table of what receivers were told.
pub const LOG: &str = "notify_log";

// An alert's record in [`ALERTS`]; its key is the episode.
#[derive(Debug, Serialize, Deserialize)]
struct AlertRecord {
    // Its value is 0 here: JSON has no word for infinity.
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<Alert>,
    #[serde(default)]
    value_bits: u64,
    // When everybody had heard that it was resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<i64>,
}

/// An alert, unless it is finished, and when it was.
pub fn read_alert(bytes: &[u8]) -> Result<(Option<Alert>, Option<i64>), serde_json::Error> {
    let record: AlertRecord = serde_json::from_slice(bytes)?;
    let value = f64::from_bits(record.value_bits);
    Ok((record.alert.map(|alert| Alert { value, ..alert }), record.finished))
}

/// The change that makes an alert known.
pub fn put_alert(alert: &Alert) -> StateChange {
    let stored = Alert { value: 0.0, ..alert.clone() };
    let record = AlertRecord { alert: Some(stored), value_bits: alert.value.to_bits(), finished: None };
    put(ALERTS, key_of_episode(Episode::of(alert)), &record)
}

/// The change after which an episode is only remembered to be over.
pub fn finish_alert(episode: Episode, at: i64) -> StateChange {
    put(ALERTS, key_of_episode(episode), &AlertRecord { alert: None, value_bits: 0, finished: Some(at) })
}

/// The change that forgets an episode.
pub fn delete_alert(episode: Episode) -> StateChange {
    delete(ALERTS, key_of_episode(episode))
}

fn key_of_episode(Episode(fingerprint, start): Episode) -> String {
    format!("{fingerprint:016x}/{start}")
}

/// The episode that a key of [`ALERTS`] names.
pub fn episode_of_key(key: &str) -> Option<Episode> {
    let (fingerprint, start) = key.split_once('/')?;
    Some(Episode(u64::from_str_radix(fingerprint, 16).ok()?, start.parse().ok()?))
}

/// The change that puts a record.
pub fn put(table: &str, key: String, record: &impl Serialize) -> StateChange {
    // Records are structs of texts and numbers, which always become JSON.
    let value = serde_json::to_vec(record).unwrap_or_default();
    StateChange { table: table.to_owned(), key: key.into_bytes(), value: Some(value) }
}

/// The change that deletes a record.
pub fn delete(table: &str, key: String) -> StateChange {
    StateChange { table: table.to_owned(), key: key.into_bytes(), value: None }
}
