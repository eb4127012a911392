//! Log records and spans as several screens show them: one line, all of it, and what other screens can use of it.

use model::wire::Attributes;
use model::wire::logs::LogRow;
use model::wire::spans::SpanRow;
use serde_json::Value;

use super::Subject;
use crate::format;
use crate::sanitize::Safe;
use crate::theme::{Role, Theme};
use crate::widget::details::Detail;

/// The part of a log record that people read: event name, body, attributes; as much as a row shows.
pub(super) fn log_message(row: &LogRow) -> Safe {
    let body = match &row.body {
        Value::Null => Safe::default(),
        Value::String(text) => Safe::head(text),
        other => Safe::of(other),
    };
    Safe::join(&[Safe::head(&row.event_name), body, format::pairs(&row.attributes)], "  ")
}

/// A service's name, or that there is none.
pub(super) fn service(name: Option<&str>) -> Safe {
    name.map_or(Safe::from_static("-"), Safe::head)
}

/// A log record as a line of text.
pub(super) fn log_line(row: &LogRow) -> Safe {
    let severity = Safe::line(row.severity.as_deref().unwrap_or("-"));
    let body = if row.body.is_null() { Safe::default() } else { format::value(&row.body) };
    Safe::of(format_args!("{} {severity} {} {body}", Safe::line(&row.timestamp), service(row.service.as_deref())))
}

/// What of a log record other screens can use.
pub(super) fn of_log(row: &LogRow) -> Subject {
    Subject {
        service: row.service.clone(),
        trace: row.trace_id.clone(),
        span: row.span_id.clone(),
        correlation: row.correlation_id.clone(),
        time: format::moment(&row.timestamp),
        ..Subject::default()
    }
}

/// What of a span other screens can use.
pub(super) fn of_span(row: &SpanRow) -> Subject {
    Subject {
        service: row.service.clone(),
        trace: (!row.trace_id.is_empty()).then(|| row.trace_id.clone()),
        span: Some(row.span_id.clone()),
        correlation: row.correlation_id.clone(),
        time: format::moment(&row.timestamp),
        ..Subject::default()
    }
}

/// All of a log record.
pub(super) fn log_details(row: &LogRow) -> Vec<Detail> {
    let (_, role) = Theme::severity(row.severity.as_deref());
    let severity =
        Safe::of(format_args!("{} ({})", Safe::line(row.severity.as_deref().unwrap_or("none")), row.severity_number));
    let mut details = vec![
        Detail::Text(
            if row.body.is_null() { Safe::from_static("(no body)") } else { format::value(&row.body) },
            Role::Text,
        ),
        Detail::Text(Safe::default(), Role::Text),
        Detail::marked("severity", severity, role),
        Detail::field("time", format::row_date(&row.timestamp)),
        Detail::field("service", service(row.service.as_deref())),
    ];
    optional(&mut details, "event", Some(row.event_name.as_str()));
    optional(&mut details, "trace", row.trace_id.as_deref());
    optional(&mut details, "span", row.span_id.as_deref());
    optional(&mut details, "correlation", row.correlation_id.as_deref());
    optional(&mut details, "level as sent", Some(row.severity_text.as_str()));
    details.push(Detail::field("observed", format::row_date(&row.observed_timestamp)));
    details.push(Detail::field("ingest_seq", format::count(row.ingest_seq)));
    attributes(&mut details, "Attributes", &row.attributes);
    attributes(&mut details, "Resource", &row.resource);
    scope(&mut details, &row.scope);
    dropped(
        &mut details,
        &[("attributes", row.dropped_attributes_count), ("resource attributes", row.resource_dropped_attributes_count)],
    );
    attributes(&mut details, "Other", &row.other);
    details
}

/// All of a span; `depth` and place in its trace are the caller's to say.
pub(super) fn span_details(row: &SpanRow) -> Vec<Detail> {
    let (_, role) = Theme::status(&row.status);
    let mut details = vec![
        Detail::Text(Safe::line(&row.name), Role::Strong),
        Detail::Text(Safe::default(), Role::Text),
        Detail::marked("status", Safe::line(&row.status), role),
    ];
    if !row.status_message.is_empty() {
        details.push(Detail::marked("message", Safe::line(&row.status_message), role));
    }
    details.push(Detail::field("duration", format::duration(row.duration_ns)));
    if row.clock_skew {
        details.push(Detail::marked("clock", Safe::from_static("the end lies before the start"), Role::Warning));
    }
    details.push(Detail::field("start", format::row_date(&row.timestamp)));
    details.push(Detail::field("end", format::row_date(&row.end_timestamp)));
    details.push(Detail::field("service", service(row.service.as_deref())));
    details.push(Detail::field("kind", Safe::line(&row.kind)));
    details.push(Detail::field("trace", Safe::line(&row.trace_id)));
    details.push(Detail::field("span", Safe::line(&row.span_id)));
    optional(&mut details, "parent", row.parent_span_id.as_deref());
    optional(&mut details, "correlation", row.correlation_id.as_deref());
    optional(&mut details, "trace state", Some(row.trace_state.as_str()));
    attributes(&mut details, "Attributes", &row.attributes);
    for event in &row.events {
        let title =
            Safe::of(format_args!("Event {} at {}", Safe::line(&event.name), format::row_clock(&event.timestamp)));
        details.push(Detail::Text(Safe::default(), Role::Text));
        details.push(Detail::Heading(title));
        tree(&mut details, &event.attributes, 0);
    }
    for link in &row.links {
        details.push(Detail::Text(Safe::default(), Role::Text));
        details.push(Detail::heading("Link"));
        details.push(Detail::field("trace", Safe::line(&link.trace_id)));
        details.push(Detail::field("span", Safe::line(&link.span_id)));
        tree(&mut details, &link.attributes, 0);
    }
    attributes(&mut details, "Resource", &row.resource);
    scope(&mut details, &row.scope);
    dropped(
        &mut details,
        &[
            ("attributes", row.dropped_attributes_count),
            ("events", row.dropped_events_count),
            ("links", row.dropped_links_count),
            ("resource attributes", row.resource_dropped_attributes_count),
        ],
    );
    attributes(&mut details, "Other", &row.other);
    details
}

fn optional(details: &mut Vec<Detail>, name: &'static str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        details.push(Detail::field(name, Safe::line(value)));
    }
}

fn scope(details: &mut Vec<Detail>, scope: &model::wire::Scope) {
    if scope.name.is_empty() && scope.version.is_empty() && scope.attributes.is_empty() {
        return;
    }
    details.push(Detail::Text(Safe::default(), Role::Text));
    details.push(Detail::heading("Scope"));
    optional(details, "name", Some(&scope.name));
    optional(details, "version", Some(&scope.version));
    tree(details, &scope.attributes, 0);
}

fn dropped(details: &mut Vec<Detail>, counts: &[(&'static str, u32)]) {
    for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
        let text = Safe::of(format_args!("{} dropped before sending", format::count(u64::from(*count))));
        details.push(Detail::marked(*name, text, Role::Warning));
    }
}

/// Attributes under a heading, if there are any.
pub(super) fn attributes(details: &mut Vec<Detail>, title: &'static str, attributes: &Attributes) {
    if attributes.is_empty() {
        return;
    }
    details.push(Detail::Text(Safe::default(), Role::Text));
    details.push(Detail::heading(title));
    tree(details, attributes, 0);
}

// Maps inside of maps are set in; deeper than this they are one line of JSON.
const DEPTH_MAX: u16 = 4;

fn tree(details: &mut Vec<Detail>, attributes: &Attributes, depth: u16) {
    for (name, value) in attributes {
        let name = Safe::line(name);
        match value {
            Value::Object(inner) if !inner.is_empty() && depth < DEPTH_MAX => {
                details.push(Detail::Field { name, value: Safe::default(), role: Role::Text, depth: depth * 2 });
                tree(details, inner, depth + 1);
            }
            other => {
                details.push(Detail::Field { name, value: format::value(other), role: Role::Text, depth: depth * 2 });
            }
        }
    }
}

/// A condition that `field` is exactly `value`, in the filter language.
pub(super) fn equals(field: &str, value: &str) -> String {
    let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if plain {
        return format!("{field}:={value}");
    }
    format!("{field}:=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_conditions() {
        assert_eq!(equals("service", "orders"), "service:=orders");
        assert_eq!(equals("service", "a \"b\" \\"), r#"service:="a \"b\" \\""#);
        assert_eq!(equals("service", ""), r#"service:="""#);
    }
}
