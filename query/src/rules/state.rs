//! The alerts of rules as the store's state table `alerts` keeps them: what a restart has to know exactly.
//!
//! An alert is written when its state or one of its times changes, together with what the notifications keep, in one commit. Its
//! value and annotations go along; they alone are no reason to write, because the next evaluation finds them anew.

use std::collections::BTreeMap;

use model::Labels;
use model::wire::alerts::AlertSample;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{StateChange, StateTable};

use super::alerting::{ActiveAlert, AlertState, Alerts};

/// The state table.
pub const TABLE: &str = "alerts";

/// What makes a rule the same rule after a reload or a restart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId {
    /// The rule file, as it was configured or found.
    pub file: String,
    /// The group.
    pub group: String,
    /// The alert's or the series' name.
    pub name: String,
    /// The rule's labels as they were written.
    pub labels: BTreeMap<String, String>,
    /// Of several rules of a group that are equal in all this: which, from 0.
    pub ordinal: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    rule: RuleId,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    state: AlertState,
    // As text, because JSON has no NaN and no infinities.
    value: String,
    active_at: i64,
    fired_at: Option<i64>,
    resolved_at: Option<i64>,
    keep_firing_since: Option<i64>,
    sent_at: Option<i64>,
    #[serde(default)]
    samples: Vec<AlertSample>,
}

/// What makes the step of a rule from `before` to `after` durable; nothing if nothing that counts has changed.
pub fn changes(rule: &RuleId, before: &Alerts, after: &Alerts) -> Vec<StateChange> {
    let mut changes = Vec::new();
    for (labels, alert) in after {
        if before.get(labels).is_none_or(|known| times(known) != times(alert)) {
            changes.push(change(rule, labels, Some(encode(rule, alert))));
        }
    }
    for labels in before.keys().filter(|labels| !after.contains_key(labels)) {
        changes.push(change(rule, labels, None));
    }
    changes
}

/// The alerts of every rule in the table, and how many entries could not be read.
pub fn read(table: &StateTable) -> (BTreeMap<RuleId, Alerts>, usize) {
    let mut rules: BTreeMap<RuleId, Alerts> = BTreeMap::new();
    let mut unreadable = 0;
    for value in table.values() {
        let stored = serde_json::from_slice::<Stored>(value).ok();
        match stored.and_then(|stored| Some((alert(&stored)?, stored.rule))) {
            Some((alert, rule)) => drop(rules.entry(rule).or_default().insert(alert.labels.clone(), alert)),
            None => unreadable += 1,
        }
    }
    (rules, unreadable)
}

type Times = (AlertState, i64, [Option<i64>; 4]);

fn times(alert: &ActiveAlert) -> Times {
    let moments = [alert.fired_at, alert.resolved_at, alert.keep_firing_since, alert.sent_at];
    (alert.state, alert.active_at, moments)
}

fn change(rule: &RuleId, labels: &Labels, value: Option<Vec<u8>>) -> StateChange {
    StateChange { table: TABLE.to_owned(), key: key(rule, labels), value }
}

// A digest rather than a fingerprint: labels come from telemetry, and nobody may aim at another alert's key.
fn key(rule: &RuleId, labels: &Labels) -> Vec<u8> {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    };
    [&rule.file, &rule.group, &rule.name].into_iter().for_each(|text| add(text));
    add(&rule.ordinal.to_string());
    add(&rule.labels.len().to_string());
    rule.labels.iter().for_each(|(name, value)| [name, value].into_iter().for_each(|text| add(text)));
    labels.iter().for_each(|(name, value)| [name, value].into_iter().for_each(&mut add));
    digest.finalize()[..16].to_vec()
}

fn encode(rule: &RuleId, alert: &ActiveAlert) -> Vec<u8> {
    let stored = Stored {
        rule: rule.clone(),
        labels: owned(&alert.labels),
        annotations: alert.annotations.clone(),
        state: alert.state,
        value: alert.value.to_string(),
        active_at: alert.active_at,
        fired_at: alert.fired_at,
        resolved_at: alert.resolved_at,
        keep_firing_since: alert.keep_firing_since,
        sent_at: alert.sent_at,
        samples: alert.samples.clone(),
    };
    serde_json::to_vec(&stored).expect("maps with text keys, texts and numbers are always JSON")
}

fn alert(stored: &Stored) -> Option<ActiveAlert> {
    Some(ActiveAlert {
        labels: Labels::new(stored.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        annotations: stored.annotations.clone(),
        state: stored.state,
        value: stored.value.parse().ok()?,
        active_at: stored.active_at,
        fired_at: stored.fired_at,
        resolved_at: stored.resolved_at,
        keep_firing_since: stored.keep_firing_since,
        sent_at: stored.sent_at,
        samples: stored.samples.clone(),
    })
}

/// Labels as a map with memory of its own.
pub fn owned(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> RuleId {
        let labels = BTreeMap::from([("severity".to_owned(), "page".to_owned())]);
        RuleId { file: "a.yml".to_owned(), group: "g".to_owned(), name: "A".to_owned(), labels, ordinal: 0 }
    }

    fn example(value: f64) -> ActiveAlert {
        ActiveAlert {
            labels: Labels::new([("alertname", "A"), ("job", "x")]),
            annotations: BTreeMap::from([("summary".to_owned(), "it is \"down\"".to_owned())]),
            state: AlertState::Firing,
            value,
            active_at: 1,
            fired_at: Some(2),
            resolved_at: None,
            keep_firing_since: Some(3),
            sent_at: Some(4),
            samples: vec![AlertSample { text: "boom".to_owned(), ..AlertSample::default() }],
        }
    }

    fn apply(table: &mut StateTable, changes: Vec<StateChange>) {
        for change in changes {
            match change.value {
                Some(value) => drop(table.insert(change.key, value.into())),
                None => drop(table.remove(&change.key)),
            }
        }
    }

    #[test]
    fn alerts_read_back_as_they_were() {
        for value in [1.5, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            let alerts = Alerts::from([(example(value).labels, example(value))]);
            let mut table = StateTable::new();
            apply(&mut table, changes(&rule(), &Alerts::new(), &alerts));
            assert_eq!(read(&table), (BTreeMap::from([(rule(), alerts.clone())]), 0));
            apply(&mut table, changes(&rule(), &alerts, &Alerts::new()));
            assert!(table.is_empty());
        }
    }

    #[test]
    fn only_states_and_times_are_worth_a_commit() {
        let alerts = |alert: ActiveAlert| Alerts::from([(alert.labels.clone(), alert)]);
        let before = alerts(example(1.0));
        assert!(changes(&rule(), &before, &alerts(example(2.0))).is_empty());
        let later = ActiveAlert { sent_at: Some(5), ..example(1.0) };
        assert_eq!(changes(&rule(), &before, &alerts(later)).len(), 1);
        let resolved = ActiveAlert { state: AlertState::Resolved, ..example(1.0) };
        assert_eq!(changes(&rule(), &before, &alerts(resolved)).len(), 1);
    }

    #[test]
    fn two_rules_never_share_a_key() {
        let labels = Labels::new([("a", "b")]);
        let second = RuleId { ordinal: 1, ..rule() };
        let longer = RuleId { file: "a.ymlg".to_owned(), group: String::new(), ..rule() };
        assert_ne!(key(&rule(), &labels), key(&second, &labels));
        assert_ne!(key(&rule(), &labels), key(&longer, &labels));
        assert_ne!(key(&rule(), &labels), key(&rule(), &Labels::empty()));
    }

    #[test]
    fn what_cannot_be_read_is_counted() {
        let table = StateTable::from([(vec![1], b"{}".as_slice().into()), (vec![2], b"\xff".as_slice().into())]);
        assert_eq!(read(&table), (BTreeMap::new(), 2));
    }
}
