//! Groups and rules: which keys they have, and Prometheus's checks of what stands in them.

use std::collections::{BTreeMap, BTreeSet};

use model::Timestamp;
use model::labels::METRIC_NAME;
use store::Table;

use super::fields::{Errors, Fields};
use super::{Action, AlertAction, Group, GroupKind, Rule, RulePlace};
use crate::promql::{Plan, PromqlError};
use crate::rules::template::Template;
use crate::search::stats::CountQuery;
use model::yaml::{Node, Place};

const FILE_KEYS: [&str; 1] = ["groups"];
const GROUP_KEYS: [&str; 9] =
    ["name", "type", "interval", "query_offset", "eval_delay", "range", "limit", "labels", "rules"];
const PROMETHEUS_GROUP_KEYS: [&str; 7] = ["name", "type", "interval", "query_offset", "limit", "labels", "rules"];
const RULE_KEYS: [&str; 8] = ["record", "alert", "expr", "range", "for", "keep_firing_for", "labels", "annotations"];
const PROMETHEUS_RULE_KEYS: [&str; 7] = ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

/// The groups of a file.
pub(super) fn groups(root: &Node, errors: &mut Errors) -> Vec<Group> {
    let Some(fields) = Fields::of(root, "a rule file", &FILE_KEYS, errors) else { return Vec::new() };
    let mut names = BTreeSet::new();
    let mut groups = Vec::new();
    for node in fields.list("groups", errors) {
        let Some(group) = group(node, errors) else { continue };
        if group.name.is_empty() {
            errors.add(node.place, "Groupname must not be empty");
        } else if !names.insert(group.name.clone()) {
            errors.add(node.place, format!("groupname: \"{}\" is repeated in the same file", group.name));
        }
        groups.push(group);
    }
    groups
}

fn group(node: &Node, errors: &mut Errors) -> Option<Group> {
    // The type decides which keys there are, so it is looked up before.
    let kind = kind(node, errors);
    let keys: &[&str] = if kind == GroupKind::Prometheus { &PROMETHEUS_GROUP_KEYS } else { &GROUP_KEYS };
    let fields = Fields::of(node, "a group", keys, errors)?;
    let name = fields.text("name", errors);
    let labels = labels(&fields, errors);
    let interval_ms = fields.duration("interval", errors).filter(|interval| *interval > 0);
    let range_ms = fields.duration("range", errors);
    let mut rules = Vec::new();
    for (position, node) in fields.list("rules", errors).iter().enumerate() {
        errors.rule = Some(RulePlace { group: name.clone(), number: position + 1, name: String::new() });
        rules.extend(rule(node, kind, range_ms, &labels, errors));
        errors.rule = None;
    }
    Some(Group {
        kind,
        interval_ms,
        query_offset_ms: fields.duration("query_offset", errors).unwrap_or(0),
        eval_delay_ms: fields.duration("eval_delay", errors).unwrap_or(0),
        limit: fields.number("limit", errors),
        rules,
        place: node.place,
        name,
    })
}

fn kind(node: &Node, errors: &mut Errors) -> GroupKind {
    let mut quiet = Errors::new("");
    let Some(fields) = Fields::of(node, "a group", &GROUP_KEYS, &mut quiet) else { return GroupKind::Prometheus };
    match fields.text("type", errors).as_str() {
        "" | "prometheus" => GroupKind::Prometheus,
        "logs" => GroupKind::Logs,
        "traces" => GroupKind::Traces,
        other => {
            let message = format!("unknown type {other:?} of a group");
            errors.add_with_hint(fields.place("type"), message, Some("write prometheus, logs or traces".to_owned()));
            GroupKind::Prometheus
        }
    }
}

fn rule(
    node: &Node,
    kind: GroupKind,
    group_range_ms: Option<i64>,
    group_labels: &BTreeMap<String, String>,
    errors: &mut Errors,
) -> Option<Rule> {
    let keys: &[&str] = if kind == GroupKind::Prometheus { &PROMETHEUS_RULE_KEYS } else { &RULE_KEYS };
    if let Some(place) = &mut errors.rule {
        place.name = name_of(node);
    }
    let fields = Fields::of(node, "a rule", keys, errors)?;
    let (record, alert) = (fields.text("record", errors), fields.text("alert", errors));
    match (record.is_empty(), alert.is_empty()) {
        (false, false) => errors.add(fields.place("record"), "only one of 'record' and 'alert' must be set"),
        (true, true) => errors.add(node.place, "one of 'record' or 'alert' must be set"),
        _ => {}
    }
    let expr = fields.text("expr", errors);
    let range_ms = (kind != GroupKind::Prometheus).then(|| range(&fields, group_range_ms, errors)).flatten();
    if expr.trim().is_empty() {
        errors.add(fields.place("expr"), "field 'expr' must be set in rule");
    } else {
        check_expr(&expr, kind, record.is_empty(), fields.place("expr"), errors);
    }
    let action = if record.is_empty() {
        let own = fields.texts("labels", &mut Errors::new(""));
        Action::Alert(alert_action(&alert, own, &fields, errors))
    } else {
        check_record(&record, &fields, errors);
        Action::Record
    };
    let mut all_labels = group_labels.clone();
    all_labels.extend(labels(&fields, errors));
    let name = if record.is_empty() { alert } else { record };
    Some(Rule { name, expr, range_ms, labels: all_labels, action, place: node.place })
}

// What the rule is called in messages, about its keys too.
fn name_of(node: &Node) -> String {
    let mut quiet = Errors::new("");
    let Some(fields) = Fields::of(node, "a rule", &RULE_KEYS, &mut quiet) else { return String::new() };
    let alert = fields.text("alert", &mut quiet);
    if alert.is_empty() { fields.text("record", &mut quiet) } else { alert }
}

fn range(fields: &Fields<'_>, of_group: Option<i64>, errors: &mut Errors) -> Option<i64> {
    let given = fields.get("range").is_some();
    let range = fields.duration("range", errors).or(of_group);
    if range.is_none_or(|range| range <= 0) && (!given || range.is_some()) {
        let hint = Some("write for example range: 5m".to_owned());
        errors.add_with_hint(fields.place("range"), "a rule of logs or traces needs a range longer than 0", hint);
    }
    range
}

fn check_expr(expr: &str, kind: GroupKind, is_alert: bool, place: Place, errors: &mut Errors) {
    let table = match kind {
        GroupKind::Prometheus => {
            match Plan::new(expr) {
                Ok(_) => {}
                Err(error @ PromqlError::Unsupported { .. }) => errors.unsupported(place, error.to_string()),
                Err(error) => errors.add(place, format!("could not parse expression: {error}")),
            }
            return;
        }
        GroupKind::Logs => Table::Logs,
        GroupKind::Traces => Table::Spans,
    };
    // Whether times in it can be read does not depend on what they are relative to.
    match CountQuery::parse(expr, table, Timestamp::default()) {
        Ok(query) if is_alert && query.condition().is_none() => {
            let hint = Some("add for example `| where n > 0`".to_owned());
            errors.add_with_hint(place, "an alert of logs or traces needs a condition on its count", hint);
        }
        Ok(_) => {}
        Err(error) => {
            let hint = Some(error.hint.clone()).filter(|hint| !hint.is_empty());
            errors.add_with_hint(place, format!("could not parse expression: {error}"), hint);
        }
    }
}

fn check_record(name: &str, fields: &Fields<'_>, errors: &mut Errors) {
    let place = fields.place("record");
    if !fields.texts("annotations", errors).is_empty() {
        errors.add(place, "invalid field 'annotations' in recording rule");
    }
    if fields.duration("for", errors).unwrap_or(0) != 0 {
        errors.add(place, "invalid field 'for' in recording rule");
    }
    if fields.duration("keep_firing_for", errors).unwrap_or(0) != 0 {
        errors.add(place, "invalid field 'keep_firing_for' in recording rule");
    }
    if name.contains(['{', '}']) {
        errors.add(place, format!("braces present in the recording rule name; should it be in expr?: {name}"));
    }
}

fn alert_action(
    name: &str,
    labels: BTreeMap<String, (String, Place)>,
    fields: &Fields<'_>,
    errors: &mut Errors,
) -> AlertAction {
    for (label, (text, place)) in &labels {
        check_template(name, "label", label, text, *place, errors);
    }
    let mut annotations = BTreeMap::new();
    for (key, (text, place)) in fields.texts("annotations", errors) {
        if key.is_empty() {
            errors.add(place, format!("invalid annotation name: {key}"));
        }
        check_template(name, "annotation", &key, &text, place, errors);
        annotations.insert(key, text);
    }
    AlertAction {
        for_ms: fields.duration("for", errors).unwrap_or(0),
        keep_firing_for_ms: fields.duration("keep_firing_for", errors).unwrap_or(0),
        annotations,
    }
}

fn check_template(alert: &str, kind: &str, key: &str, text: &str, place: Place, errors: &mut Errors) {
    if let Err(error) = Template::parse(&format!("__alert_{alert}"), text) {
        errors.add(place, format!("{kind} {key:?}: {}", error.message()));
    }
}

fn labels(fields: &Fields<'_>, errors: &mut Errors) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (name, (text, place)) in fields.texts("labels", errors) {
        if name.is_empty() || name == METRIC_NAME {
            errors.add(place, format!("invalid label name: {name}"));
        }
        labels.insert(name, text);
    }
    labels
}
