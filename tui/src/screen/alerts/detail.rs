//! An alert, a rule and a sample in full.

use model::Timestamp;
use model::wire::alerts::{Alert, AlertSample, Rule};
use model::wire::prom::Labels;
use ratatui::layout::Rect;

use super::{Placed, age_of, name_of, rule_error, seconds};
use crate::format;
use crate::sanitize::Safe;
use crate::screen::Scene;
use crate::theme::{Role, Theme};
use crate::widget::Piece;
use crate::widget::details::Detail;
use crate::widget::list::{self, Column};

/// Everything that is known of an alert but its samples.
pub(super) fn of_alert(alert: &Alert, now: Timestamp) -> Vec<Detail> {
    let (word, role) = Theme::alert(&alert.state);
    let mut text = vec![
        Detail::marked("state", Safe::from_static(word), role),
        Detail::field("value", format::exact(&alert.value)),
    ];
    let times = [
        ("active since", &alert.active_at),
        ("firing since", &alert.fired_at),
        ("kept since", &alert.keep_firing_since),
        ("last sent", &alert.last_sent_at),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            text.push(Detail::field(name, moment(time, now)));
        }
    }
    if alert.last_sent_at.is_none() && alert.state == "firing" {
        text.push(Detail::marked("last sent", Safe::from_static("not yet"), Role::Warning));
    }
    push_labels(&mut text, "Annotations", &alert.annotations);
    let labels = alert.labels.iter().filter(|(_, value)| *value != name_of(alert));
    push_labels(&mut text, "Labels", &labels.map(|(name, value)| (name.clone(), value.clone())).collect());
    push_labels(&mut text, "Links", &alert.links);
    if !alert.fingerprint.is_empty() {
        text.push(Detail::heading("Identity"));
        text.push(Detail::field("fingerprint", Safe::line(&alert.fingerprint)));
    }
    text
}

/// Everything that is known of a rule.
pub(super) fn of_rule(placed: &Placed<'_>, now: Timestamp) -> Vec<Detail> {
    let mut text = Vec::new();
    if let Some(error) = rule_error(placed.rule) {
        text.push(Detail::marked("error", Safe::line(error), Role::Bad));
    }
    let kind = if placed.kind.is_empty() { "prometheus" } else { placed.kind };
    match placed.rule {
        Rule::Alerting(rule) => {
            let (word, role) = Theme::alert(&rule.state);
            text.push(Detail::marked("state", Safe::from_static(word), role));
            text.push(Detail::field("expression", Safe::line(&rule.query)));
            text.push(Detail::field("for", seconds(rule.duration)));
            if rule.keep_firing_for > 0.0 {
                text.push(Detail::field("keeps firing for", seconds(rule.keep_firing_for)));
            }
            if let Some(range) = rule.range {
                text.push(Detail::field("looks back", seconds(range)));
            }
            text.push(Detail::field("alerts", Safe::of(rule.alerts.len())));
            push_evaluation(&mut text, (&rule.last_evaluation, rule.evaluation_time), placed, now);
            push_labels(&mut text, "Labels", &rule.labels);
            push_labels(&mut text, "Annotations", &rule.annotations);
        }
        Rule::Recording(rule) => {
            text.push(Detail::field("records", Safe::line(&rule.name)));
            text.push(Detail::field("expression", Safe::line(&rule.query)));
            push_evaluation(&mut text, (&rule.last_evaluation, rule.evaluation_time), placed, now);
            push_labels(&mut text, "Labels", &rule.labels);
        }
    }
    text.push(Detail::heading("Place"));
    text.push(Detail::field("group", Safe::of(format_args!("{} ({kind})", placed.group))));
    text.push(Detail::field("file", Safe::line(placed.file)));
    text
}

/// One sample as a line.
pub(super) fn draw_sample(scene: &mut Scene<'_>, line: Rect, sample: &AlertSample, selected: bool) {
    let columns = [
        Column::left("", 8),
        Column::left("", 1),
        Column::left("", if line.width >= 90 { 16 } else { 10 }),
        Column::left("", 0),
        Column::left("", if line.width >= 90 { 16 } else { 8 }),
    ];
    let (letter, role) = Theme::severity(sample.severity.as_deref());
    let clock = format::moment(&sample.timestamp).map_or_else(|| Safe::line(&sample.timestamp), format::clock);
    let id = sample.trace_id.as_deref().or(sample.correlation_id.as_deref()).unwrap_or("no trace");
    let cells = [
        Piece::new(clock, Role::Faint),
        Piece::new(letter, role),
        Piece::new(Safe::line(sample.service.as_deref().unwrap_or_default()), Role::Key),
        Piece::from(Safe::line(&sample.text)),
        Piece::new(Safe::line(id), Role::Faint),
    ];
    list::row(scene.buffer, line, scene.theme, &columns, &cells, selected);
}

fn push_evaluation(text: &mut Vec<Detail>, (last, took): (&str, f64), placed: &Placed<'_>, now: Timestamp) {
    text.push(Detail::field("evaluated", moment(last, now)));
    text.push(Detail::field("took", Safe::of(format_args!("{}, every {}", seconds(took), seconds(placed.interval)))));
}

fn push_labels(text: &mut Vec<Detail>, title: &'static str, labels: &Labels) {
    if labels.is_empty() {
        return;
    }
    text.push(Detail::heading(title));
    text.extend(labels.iter().map(|(name, value)| Detail::field(Safe::line(name), Safe::line(value))));
}

fn moment(text: &str, now: Timestamp) -> Safe {
    match age_of(text, now) {
        age if age.as_str() == "-" => Safe::from_static("never"),
        age if age.as_str() == "now" => Safe::of(format_args!("{} (now)", format::row_date(text))),
        age => Safe::of(format_args!("{} ({age} ago)", format::row_date(text))),
    }
}
