//! What becomes of a rule's alerts at one evaluation: Prometheus's state machine as a pure function from the alerts before and
//! what the condition yields now to the alerts after, the transitions between them, and what a receiver is to be told.
//!
//! No clock, no store, no templates: whoever calls it has expanded them, and makes durable what comes out. If the condition
//! cannot be evaluated nothing is called, and every alert stays as it is.

use std::collections::BTreeMap;

use model::Labels;
use model::labels::METRIC_NAME;
use model::wire::alerts::AlertSample;
use serde::{Deserialize, Serialize};

use super::limits;

/// The label with the alert's name.
pub const ALERT_NAME: &str = "alertname";

const ALERT_STATE: &str = "alertstate";
const ALERTS: &str = "ALERTS";
const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// What the state machine needs to know of a rule. Times are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// How long the condition has to hold before an alert fires.
    pub for_ms: i64,
    /// How long an alert fires on once its condition no longer holds.
    pub keep_firing_for_ms: i64,
    /// The most pending and firing alerts; 0 for any number.
    pub limit: usize,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It fired, and its condition holds no longer.
    Resolved,
    /// Its condition holds, but not for long enough yet.
    Pending,
    /// Somebody has to be told.
    Firing,
}

impl AlertState {
    /// The word of events and of the label `alertstate`.
    pub const fn as_str(self) -> &'static str {
        match self {
            AlertState::Resolved => "resolved",
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
        }
    }
}

/// An alert of a rule. Its labels are its identity. Times are in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveAlert {
    /// `alertname` among them.
    pub labels: Labels,
    /// Expanded.
    pub annotations: BTreeMap<String, String>,
    /// Where it stands.
    pub state: AlertState,
    /// The condition's value when it last held.
    pub value: f64,
    /// Since when the condition has held.
    pub active_at: i64,
    /// Since when it has been firing.
    pub fired_at: Option<i64>,
    /// When it was resolved.
    pub resolved_at: Option<i64>,
    /// Since when only `keep_firing_for` keeps it firing.
    pub keep_firing_since: Option<i64>,
    /// When the notifications were last told.
    pub sent_at: Option<i64>,
    /// Of log and trace rules: records that made it.
    pub samples: Vec<AlertSample>,
}

/// The alerts of a rule by their labels.
pub type Alerts = BTreeMap<Labels, ActiveAlert>;

/// One alert that the condition asks for, its labels and annotations expanded.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// `alertname` among them.
    pub labels: Labels,
    /// Expanded.
    pub annotations: BTreeMap<String, String>,
    /// The condition's value.
    pub value: f64,
    /// Of log and trace rules: records that made it; empty to keep those it has.
    pub samples: Vec<AlertSample>,
}

/// A change of an alert's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The alert after it; one that never fired keeps `resolved_at` empty when it goes.
    pub alert: ActiveAlert,
    /// Where it stood before; `None` if it was not there.
    pub from: Option<AlertState>,
    /// Where it stands now; also [`AlertState::Resolved`] for a pending alert whose condition holds no longer.
    pub to: AlertState,
}

/// What one evaluation comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The alerts after it.
    pub alerts: Alerts,
    /// What changed, in the order of the labels.
    pub transitions: Vec<Transition>,
    /// What the notifications are to be told, firing or resolved.
    pub send: Vec<ActiveAlert>,
    /// Samples of `ALERTS` and `ALERTS_FOR_STATE`, sorted by their labels.
    pub series: Vec<(Labels, f64)>,
    /// Why the rule failed although its condition did not: too many alerts.
    pub error: Option<String>,
}

/// One evaluation at the time `at`. On an error every alert stays as it is.
pub fn step(timing: &Timing, before: &Alerts, wanted: Vec<Wanted>, at: i64) -> Result<Step, String> {
    let mut held: BTreeMap<Labels, Wanted> = BTreeMap::new();
    for one in wanted {
        if held.insert(one.labels.clone(), one).is_some() {
            return Err("vector contains metrics with the same labelset after applying alert labels".to_owned());
        }
    }
    let mut step = Step::default();
    let labels: std::collections::BTreeSet<&Labels> = before.keys().chain(held.keys()).collect();
    let mut active = 0;
    for labels in labels {
        let known = before.get(labels);
        let after = match held.get(labels) {
            Some(wanted) => Some(holds(timing, known, wanted, at)),
            None => known.and_then(|known| holds_no_more(timing, known, at)),
        };
        active += usize::from(after.as_ref().is_some_and(ActiveAlert::is_active));
        step.note(known, after);
    }
    if timing.limit > 0 && active > timing.limit {
        return Ok(Step::over_limit(timing.limit, active, before, at));
    }
    step.announce(at);
    Ok(step)
}

/// What becomes of a rule's alerts when the rule is gone: what was pending or firing is over.
pub fn withdraw(before: &Alerts, at: i64) -> Step {
    let mut step = Step::default();
    for alert in before.values().filter(|alert| alert.is_active()) {
        step.note(Some(alert), (alert.state == AlertState::Firing).then(|| alert.resolved(at)));
    }
    // Nobody will tell of them again.
    step.send = std::mem::take(&mut step.alerts).into_values().map(|alert| alert.sent(at)).collect();
    step
}

fn holds(timing: &Timing, known: Option<&ActiveAlert>, wanted: &Wanted, at: i64) -> ActiveAlert {
    let mut alert = match known.filter(|known| known.is_active()) {
        Some(known) => {
            let samples = if wanted.samples.is_empty() { &known.samples } else { &wanted.samples };
            ActiveAlert {
                value: wanted.value,
                annotations: wanted.annotations.clone(),
                samples: samples.clone(),
                keep_firing_since: None,
                ..known.clone()
            }
        }
        None => ActiveAlert {
            labels: wanted.labels.clone(),
            annotations: wanted.annotations.clone(),
            state: AlertState::Pending,
            value: wanted.value,
            active_at: at,
            fired_at: None,
            resolved_at: None,
            keep_firing_since: None,
            sent_at: None,
            samples: wanted.samples.clone(),
        },
    };
    if alert.state == AlertState::Pending && at.saturating_sub(alert.active_at) >= timing.for_ms {
        alert.state = AlertState::Firing;
        alert.fired_at = Some(at);
    }
    alert
}

// `None` if the alert is forgotten.
fn holds_no_more(timing: &Timing, known: &ActiveAlert, at: i64) -> Option<ActiveAlert> {
    match known.state {
        AlertState::Pending => None,
        AlertState::Firing => {
            let since = known.keep_firing_since.unwrap_or(at);
            let kept = timing.keep_firing_for_ms > 0 && at.saturating_sub(since) < timing.keep_firing_for_ms;
            Some(if kept {
                ActiveAlert { keep_firing_since: Some(since), ..known.clone() }
            } else {
                known.resolved(at)
            })
        }
        AlertState::Resolved => {
            let old = known.resolved_at.is_none_or(|end| at.saturating_sub(end) > limits::RESOLVED_RETENTION_MS);
            (!old).then(|| known.clone())
        }
    }
}

impl ActiveAlert {
    /// Whether it is pending or firing.
    pub fn is_active(&self) -> bool {
        self.state != AlertState::Resolved
    }

    fn resolved(&self, at: i64) -> ActiveAlert {
        ActiveAlert { state: AlertState::Resolved, resolved_at: Some(at), ..self.clone() }
    }

    fn sent(&self, at: i64) -> ActiveAlert {
        ActiveAlert { sent_at: Some(at), ..self.clone() }
    }

    fn needs_sending(&self, at: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(sent) = self.sent_at else { return true };
        self.resolved_at.is_some_and(|end| end > sent) || sent.saturating_add(limits::RESEND_DELAY_MS) < at
    }

    fn series(&self) -> [(Labels, f64); 2] {
        let state = self.labels.with(METRIC_NAME, ALERTS).with(ALERT_STATE, self.state.as_str());
        let since = self.labels.with(METRIC_NAME, ALERTS_FOR_STATE);
        [(state, 1.0), (since, self.active_at.div_euclid(1000) as f64)]
    }
}

impl Step {
    fn note(&mut self, before: Option<&ActiveAlert>, after: Option<ActiveAlert>) {
        let from = before.filter(|alert| alert.is_active()).map(|alert| alert.state);
        let to = after.as_ref().map_or(AlertState::Resolved, |alert| alert.state);
        let changed = from != Some(to) && (from.is_some() || to != AlertState::Resolved);
        if let Some(alert) = after.as_ref().or(before).filter(|_| changed) {
            self.transitions.push(Transition { alert: alert.clone(), from, to });
        }
        if let Some(alert) = after {
            if alert.is_active() {
                self.series.extend(alert.series());
            }
            self.alerts.insert(alert.labels.clone(), alert);
        }
    }

    // Decides what is told, and notes that it was.
    fn announce(&mut self, at: i64) {
        for alert in self.alerts.values_mut().filter(|alert| alert.needs_sending(at)) {
            *alert = alert.sent(at);
            self.send.push(alert.clone());
        }
        self.series.sort_by(|one, other| one.0.cmp(&other.0));
    }

    // Prometheus forgets all alerts of the rule; its receivers take them for resolved once nobody tells them again. Here they
    // are told at once.
    fn over_limit(limit: usize, active: usize, before: &Alerts, at: i64) -> Step {
        let error = format!("exceeded limit of {limit} with {active} alerts");
        Step { series: Vec::new(), error: Some(error), ..withdraw(before, at) }
    }
}
