//! Rules and alerts as the API shows them.

use model::Timestamp;
use model::labels::Labels;
use model::wire::alerts as wire;

use super::alert::fingerprint;
use super::alerting::{ActiveAlert, AlertState};
use super::file::{AlertAction, GroupKind};
use super::group::{Context, Group};
use super::links::links;
use super::rule::{RuleState, RunningRule};
use super::state::owned;

// What Go writes for a moment that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A group without its rules.
pub fn group(group: &Group) -> wire::RuleGroup {
    let progress = group.progress();
    wire::RuleGroup {
        name: group.spec.name.clone(),
        file: group.path.clone(),
        kind: match group.spec.kind {
            GroupKind::Prometheus => String::new(),
            kind => kind.as_str().to_owned(),
        },
        rules: Vec::new(),
        interval: seconds(group.interval_ms),
        limit: group.spec.limit,
        evaluation_time: progress.took.as_secs_f64(),
        last_evaluation: moment(progress.last_evaluation),
        missed_evaluations: progress.missed,
    }
}

/// A rule; its alerts only if they are asked for.
pub fn rule(context: &Context, rule: &RunningRule, with_alerts: bool) -> wire::Rule {
    let state = rule.state();
    match rule.rule.alert() {
        Some(action) => wire::Rule::Alerting(alerting(context, rule, action, &state, with_alerts)),
        None => wire::Rule::Recording(wire::RecordingRule {
            name: rule.rule.name.clone(),
            query: rule.rule.expr.clone(),
            labels: rule.rule.labels.clone(),
            health: health(&state).to_owned(),
            last_error: last_error(&state),
            evaluation_time: state.took.as_secs_f64(),
            last_evaluation: moment(state.last_evaluation),
        }),
    }
}

/// The pending and firing alerts of a rule.
pub fn alerts(context: &Context, rule: &RunningRule) -> Vec<wire::Alert> {
    let state = rule.state();
    let active = state.alerts.values().filter(|alert| alert.is_active());
    active.map(|one| alert(context, rule, one, state.at_ms)).collect()
}

fn alerting(
    context: &Context,
    rule: &RunningRule,
    action: &AlertAction,
    state: &RuleState,
    with_alerts: bool,
) -> wire::AlertingRule {
    let worst = state.alerts.values().map(|alert| alert.state).max();
    wire::AlertingRule {
        state: worst.filter(|state| *state != AlertState::Resolved).map_or("inactive", AlertState::as_str).to_owned(),
        name: rule.rule.name.clone(),
        query: rule.rule.expr.clone(),
        duration: seconds(action.for_ms),
        keep_firing_for: seconds(action.keep_firing_for_ms),
        range: rule.rule.range_ms.map(seconds),
        labels: rule.rule.labels.clone(),
        annotations: action.annotations.clone(),
        alerts: if with_alerts { alerts(context, rule) } else { Vec::new() },
        health: health(state).to_owned(),
        last_error: last_error(state),
        evaluation_time: state.took.as_secs_f64(),
        last_evaluation: moment(state.last_evaluation),
    }
}

fn alert(context: &Context, rule: &RunningRule, alert: &ActiveAlert, at_ms: i64) -> wire::Alert {
    let fingerprint = fingerprint(&context.labels_of(alert));
    let time = |millis: i64| Timestamp::from_millis(millis).to_string();
    let until_ms = at_ms.max(alert.active_at);
    wire::Alert {
        labels: owned(&alert.labels),
        annotations: alert.annotations.clone(),
        state: alert.state.as_str().to_owned(),
        active_at: Some(time(alert.active_at)),
        keep_firing_since: alert.keep_firing_since.map(time),
        value: number(alert.value),
        fired_at: alert.fired_at.map(time),
        last_sent_at: context.receiver.last_sent(fingerprint).map(|sent| sent.to_string()),
        fingerprint: format!("{fingerprint:016x}"),
        // Paths: whoever asks this server knows where it is.
        links: links("", &rule.subject(alert, until_ms)),
        samples: alert.samples.clone(),
    }
}

fn health(state: &RuleState) -> &'static str {
    match &state.health {
        None => "unknown",
        Some(Ok(())) => "ok",
        Some(Err(_)) => "err",
    }
}

fn last_error(state: &RuleState) -> Option<String> {
    state.health.as_ref()?.as_ref().err().cloned()
}

fn moment(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// A number as Prometheus shows the value of an alert: `1e+00`.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// The labels that `match[]` selects rules by: as they were written.
pub fn labels(rule: &RunningRule) -> Labels {
    Labels::new(rule.rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_prometheus_shows_them() {
        for (value, expected) in [
            (1.0, "1e+00"),
            (0.0, "0e+00"),
            (-2.5, "-2.5e+00"),
            (1234.5, "1.2345e+03"),
            (1e-7, "1e-07"),
            (1e120, "1e+120"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
