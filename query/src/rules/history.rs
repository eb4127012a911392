//! Every transition of an alert as a log record that the log search finds.
//!
//! A transition is written down twice. First in the state table `alert_history`, in the same commit as the alert's state; then as
//! a log record, and the entry of the table goes. A crash in between leaves the entry, and the next start writes the record. If the
//! crash hits after the record and before the entry is gone, the record is there twice, with one transition id.

use std::collections::BTreeMap;
use std::sync::Mutex;

use model::attributes::AttributeValue;
use model::id::hex;
use model::stats::{Gauge, Stats};
use model::wire::alerts::AlertSample;
use model::{SpanId, Timestamp, TraceId};
use serde::{Deserialize, Serialize};
use store::schema::{LogColumns, LogRow, ResourceRow, ScopeRow, ValueRef};
use store::{Batch, StateChange, Store, StoreError, Writer};

use super::alerting::{ALERT_NAME, AlertState, Transition};
use super::group::lock;
use super::limits;
use super::recording::{SCOPE, SERVICE};
use super::state::{RuleId, owned};

/// The state table of transitions that are no log records yet.
pub const TABLE: &str = "alert_history";

/// How event names begin: `alert.firing`.
pub const EVENT_PREFIX: &str = "alert.";

/// The attribute with the trace ids of an alert's samples.
pub const TRACE_IDS: &str = "alert.trace_ids";

// OTLP's severity numbers.
const INFO: i32 = 9;
const WARN: i32 = 13;

/// A transition as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The same in every copy.
    pub id: String,
    /// When, in nanoseconds since the Unix epoch.
    pub at: i64,
    /// Where the alert stood before, if it was there.
    pub from: Option<AlertState>,
    /// Where it stands since.
    pub to: AlertState,
    /// Whose alert it is.
    pub rule: RuleId,
    /// That of the labels the alert leaves with, external ones among them.
    pub fingerprint: u64,
    /// The alert's labels.
    pub labels: BTreeMap<String, String>,
    /// Expanded.
    pub annotations: BTreeMap<String, String>,
    /// As text, because JSON has no NaN and no infinities.
    pub value: String,
    /// Since when the condition has held, in nanoseconds.
    pub active_at: i64,
    /// Of log and trace rules.
    pub samples: Vec<AlertSample>,
}

impl Record {
    /// The record of a transition at `at` of an alert that leaves with this fingerprint.
    pub fn new(rule: &RuleId, transition: &Transition, fingerprint: u64, at: Timestamp) -> Self {
        let labels = owned(&transition.alert.labels);
        let id = format!("{fingerprint:016x}-{:x}-{}", at.as_nanos(), transition.to.as_str());
        Self {
            id,
            at: at.as_nanos(),
            from: transition.from,
            to: transition.to,
            rule: rule.clone(),
            fingerprint,
            labels,
            annotations: transition.alert.annotations.clone(),
            value: transition.alert.value.to_string(),
            active_at: Timestamp::from_millis(transition.alert.active_at).as_nanos(),
            samples: transition.alert.samples.clone(),
        }
    }

    // Two rules may have an alert of one name and labels.
    fn key(&self) -> Vec<u8> {
        let rule = &self.rule;
        let parts = [&self.id, &rule.file, &rule.group, &rule.ordinal.to_string()];
        parts.map(|part| part.as_bytes()).join(&0)
    }

    fn push(&self, envelope: u32, columns: &mut LogColumns) {
        // Both ids of one record: those of two would say that they belong together.
        let sample = self.samples.iter().find(|sample| sample.trace_id.is_some()).or(self.samples.first());
        let trace_id: Option<TraceId> = sample.and_then(|sample| sample.trace_id.as_deref()?.parse().ok());
        let span_id: Option<SpanId> = sample.and_then(|sample| sample.span_id.as_deref()?.parse().ok());
        let correlation_id = sample.and_then(|sample| sample.correlation_id.as_deref());
        let (severity_number, severity_text) = match self.to {
            AlertState::Firing => (WARN, "WARN"),
            AlertState::Pending | AlertState::Resolved => (INFO, "INFO"),
        };
        let (body, event) = (self.body(), format!("{EVENT_PREFIX}{}", self.to.as_str()));
        let row = LogRow {
            envelope,
            timestamp: Timestamp::from_nanos(self.at),
            observed_timestamp: Timestamp::from_nanos(self.at),
            trace_id,
            span_id,
            correlation_id,
            severity_number,
            severity_text,
            body: Some(ValueRef::String(&body)),
            event_name: &event,
            ..LogRow::default()
        };
        let attributes = self.attributes();
        let attributes: Vec<(&str, ValueRef<'_>)> =
            attributes.iter().map(|(key, value)| (key.as_str(), ValueRef::from(value))).collect();
        columns.push(&row, &attributes);
    }

    fn body(&self) -> String {
        let name = self.labels.get(ALERT_NAME).unwrap_or(&self.rule.name);
        let told = ["summary", "description", "message"].iter().find_map(|key| self.annotations.get(*key));
        match told {
            Some(text) => format!("{name} {}: {text}", self.to.as_str()),
            None => format!("{name} {}", self.to.as_str()),
        }
    }

    fn attributes(&self) -> Vec<(String, AttributeValue)> {
        let text = |text: &str| AttributeValue::String(text.to_owned());
        let before = self.from.map_or("inactive", AlertState::as_str);
        let mut attributes = vec![
            (ALERT_NAME.to_owned(), text(self.labels.get(ALERT_NAME).unwrap_or(&self.rule.name))),
            ("alert.previous_state".to_owned(), text(before)),
            ("alert.transition_id".to_owned(), text(&self.id)),
            ("alert.fingerprint".to_owned(), text(&format!("{:016x}", self.fingerprint))),
            ("alert.value".to_owned(), AttributeValue::Double(self.value.parse().unwrap_or(f64::NAN))),
            ("alert.active_at".to_owned(), text(&Timestamp::from_nanos(self.active_at).to_string())),
            ("rule.group".to_owned(), text(&self.rule.group)),
            ("rule.file".to_owned(), text(&self.rule.file)),
        ];
        let traces = self.samples.iter().filter_map(|sample| sample.trace_id.as_deref()).map(text);
        let traces: Vec<AttributeValue> = traces.collect();
        if !traces.is_empty() {
            attributes.push((TRACE_IDS.to_owned(), AttributeValue::Array(traces)));
        }
        let labels = self.labels.iter().filter(|(name, _)| *name != ALERT_NAME);
        attributes.extend(labels.map(|(name, value)| (format!("alert.labels.{name}"), text(value))));
        let annotations = self.annotations.iter();
        attributes.extend(annotations.map(|(name, value)| (format!("alert.annotations.{name}"), text(value))));
        attributes
    }
}

/// Records as one request of Sextant's own service.
fn batch<'a>(records: impl IntoIterator<Item = &'a Record>) -> Batch {
    let mut columns = LogColumns::default();
    let service = [("service.name", ValueRef::String(SERVICE))];
    let resource = ResourceRow { attributes: &service, ..ResourceRow::default() };
    let envelope = columns.envelopes.push(&resource, &ScopeRow { name: SCOPE, ..ScopeRow::default() });
    for record in records {
        record.push(envelope, &mut columns);
    }
    columns.finish()
}

/// The transitions that are durable, but no log records yet.
pub struct History {
    writer: Writer,
    // By their keys. Held to look and to change, never over a write.
    waiting: Mutex<BTreeMap<Vec<u8>, Record>>,
    // One writes at a time, for all who came meanwhile: two would append one record twice.
    writing: tokio::sync::Mutex<()>,
    gauge: Gauge,
}

impl History {
    /// What was left by the process before.
    pub fn open(store: &Store, stats: &Stats) -> Self {
        let mut waiting = BTreeMap::new();
        for (key, value) in store.state(TABLE) {
            match serde_json::from_slice::<Record>(&value) {
                Ok(record) => drop(waiting.insert(key, record)),
                Err(error) => tracing::error!(key = hex(&key), "a transition of an alert cannot be read: {error}"),
            }
        }
        let help = "Transitions of alerts that are durable and not yet log records.";
        let gauge = stats.gauge("sextant_rule_history_waiting", help, &[]);
        gauge.set(waiting.len() as u64);
        Self { writer: store.writer(), waiting: Mutex::new(waiting), writing: tokio::sync::Mutex::default(), gauge }
    }

    /// What makes the records durable. The caller commits it together with the alerts' state, and then calls
    /// [`History::write`] with the same records.
    pub fn changes(records: &[Record]) -> Vec<StateChange> {
        let change = |record: &Record| {
            let value = serde_json::to_vec(record).expect("maps with text keys, texts and numbers are always JSON");
            StateChange { table: TABLE.to_owned(), key: record.key(), value: Some(value) }
        };
        records.iter().map(change).collect()
    }

    /// Writes these records and all that still wait to the log. On an error they go on waiting, and the next call tries again.
    pub async fn write(&self, records: Vec<Record>) -> Result<(), StoreError> {
        {
            let mut waiting = lock(&self.waiting);
            waiting.extend(records.into_iter().map(|record| (record.key(), record)));
            self.gauge.set(waiting.len() as u64);
            if waiting.is_empty() {
                return Ok(());
            }
        }
        let _alone = self.writing.lock().await;
        loop {
            let some: BTreeMap<Vec<u8>, Record> = {
                let waiting = lock(&self.waiting);
                let first = waiting.iter().take(limits::HISTORY_BATCH_MAX);
                first.map(|(key, record)| (key.clone(), record.clone())).collect()
            };
            if some.is_empty() {
                return Ok(());
            }
            self.writer.append(batch(some.values())).await?;
            // They are in the log. If the table cannot forget them now, the next start writes them once more.
            let gone = |key: Vec<u8>| StateChange { table: TABLE.to_owned(), key, value: None };
            {
                let mut waiting = lock(&self.waiting);
                some.keys().for_each(|key| drop(waiting.remove(key)));
                self.gauge.set(waiting.len() as u64);
            }
            self.writer.change_state(some.into_keys().map(gone).collect()).await?;
        }
    }
}
