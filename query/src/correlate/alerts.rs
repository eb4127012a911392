//! Alerts about an id: those whose records carry it, from the history in the logs and from the rules that hold them now.

use std::collections::BTreeMap;

use model::wire::alerts::{Alert, AlertSample};
use model::wire::logs::LogRow;
use model::wire::prom::Labels;
use serde_json::Value;
use store::Table;

use crate::rules::alerting::{ALERT_NAME, AlertState};
use crate::rules::history::{EVENT_PREFIX, TRACE_IDS};
use crate::rules::recording::{SCOPE, SERVICE};
use crate::rules::show;
use crate::search::fields;
use crate::search::plan::{Field, Phrase, Place, Plan, Test};

/// Log records that are transitions of alerts. They are told as alerts, not as logs of the trace they are about.
pub fn events() -> Plan {
    let states = [AlertState::Pending, AlertState::Firing, AlertState::Resolved];
    let names = states.iter().map(|state| format!("{EVENT_PREFIX}{}", state.as_str())).collect();
    let is = |name: &str, test| {
        let column = fields::column(Table::Logs, name).expect("logs have a service, a scope and an event's name");
        Plan::Is(Field::Column(column), test)
    };
    Plan::and([
        is("service", Test::Text(SERVICE.to_owned())),
        is("scope_name", Test::Text(SCOPE.to_owned())),
        is("event_name", Test::OneOf(names)),
    ])
}

/// Transitions of alerts one of whose records belongs to one of these traces.
pub fn about<'a>(traces: impl IntoIterator<Item = &'a String>) -> Plan {
    let field = || Field::Attribute(Place::Record, TRACE_IDS.to_owned());
    let words = |trace: &String| Test::Words(Phrase { words: vec![trace.clone()], number: None });
    Plan::or(traces.into_iter().map(|trace| Plan::Is(field(), words(trace))))
}

/// The alerts of transitions, each as it stood at its last one, with the alerts that rules hold now, in time order.
pub fn merged(transitions: Vec<LogRow>, held: Vec<Alert>) -> Vec<Alert> {
    let mut alerts: BTreeMap<(String, String), Alert> = BTreeMap::new();
    // Transitions come in time order: the last one stays. What rules hold is newer than any of them.
    for alert in transitions.iter().map(of_transition).chain(held) {
        let key = (alert.active_at.clone().unwrap_or_default(), alert.fingerprint.clone());
        alerts.insert(key, alert);
    }
    alerts.into_values().collect()
}

/// Whether one of the alert's records carries the id or belongs to one of the traces.
pub fn is_about(alert: &Alert, id: &str, traces: &[String]) -> bool {
    alert.samples.iter().any(|sample| {
        let of_trace = sample.trace_id.as_ref().is_some_and(|trace| trace == id || traces.contains(trace));
        of_trace || sample.correlation_id.as_deref() == Some(id)
    })
}

fn of_transition(row: &LogRow) -> Alert {
    let text = |key: &str| row.attributes.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let below = |prefix: &str| -> Labels {
        let own = row.attributes.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value.as_str()?)));
        own.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let mut labels = below("alert.labels.");
    labels.insert(ALERT_NAME.to_owned(), text(ALERT_NAME));
    let state = row.event_name.strip_prefix(EVENT_PREFIX).unwrap_or_default();
    let traces = row.attributes.get(TRACE_IDS).and_then(Value::as_array).cloned().unwrap_or_default();
    let sample = |trace: &Value| AlertSample { trace_id: trace.as_str().map(str::to_owned), ..AlertSample::default() };
    let value = match row.attributes.get("alert.value") {
        Some(Value::Number(number)) => show::number(number.as_f64().unwrap_or(f64::NAN)),
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    Alert {
        labels,
        annotations: below("alert.annotations."),
        state: state.to_owned(),
        active_at: Some(text("alert.active_at")),
        value,
        fired_at: (state == AlertState::Firing.as_str()).then(|| row.timestamp.clone()),
        fingerprint: text("alert.fingerprint"),
        samples: traces.iter().map(sample).collect(),
        ..Alert::default()
    }
}
