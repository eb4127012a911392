//! Where to look further from an alert: paths of the API with their parameters.

use std::collections::BTreeMap;

use model::wire::alerts::AlertSample;
use model::{Labels, Timestamp};
use store::Table;

use super::condition::{Condition, Count, group_of};

/// What an alert is about, as far as links need to know.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The rule's condition.
    pub condition: &'a Condition,
    /// The rule's expression.
    pub expr: &'a str,
    /// The labels of the condition's element, or of the alert.
    pub labels: &'a Labels,
    /// The records that made it.
    pub samples: &'a [AlertSample],
    /// Since when the condition has held, in milliseconds.
    pub from_ms: i64,
    /// The last evaluation, in milliseconds.
    pub until_ms: i64,
}

/// The links of an alert by what is found there, each beginning with `base`: `logs` or `traces` for the records that were
/// counted, `metrics` for the expression, `trace` and `correlate` for the newest record's trace.
pub fn links(base: &str, subject: &Subject<'_>) -> BTreeMap<String, String> {
    let base = base.trim_end_matches('/');
    let mut links = BTreeMap::new();
    match subject.condition {
        Condition::Promql { offset_ms, .. } => {
            let time = (subject.until_ms.saturating_sub(*offset_ms) as f64 / 1000.0).to_string();
            let parameters = [("query", subject.expr), ("time", time.as_str())];
            links.insert("metrics".to_owned(), url(base, "/api/v1/query", &parameters));
        }
        Condition::Count(count) => {
            let (name, path) = match count.table {
                Table::Logs => ("logs", "/api/v1/logs"),
                _ => ("traces", "/api/v1/spans"),
            };
            links.extend(records(base, path, count, subject).map(|link| (name.to_owned(), link)));
        }
    }
    if let Some(trace) = subject.samples.iter().find_map(|sample| sample.trace_id.as_deref()) {
        links.insert("trace".to_owned(), format!("{base}/api/v1/traces/{trace}"));
        links.insert("correlate".to_owned(), format!("{base}/api/v1/correlate/{trace}"));
    }
    links
}

/// What templates call `$traceURL` and `$logsURL`; empty if there is none.
pub fn shown(base: &str, subject: &Subject<'_>) -> (String, String) {
    let mut links = links(base, subject);
    let records = links.remove("logs").or_else(|| links.remove("traces"));
    (links.remove("trace").unwrap_or_default(), records.unwrap_or_default())
}

fn records(base: &str, path: &str, count: &Count, subject: &Subject<'_>) -> Option<String> {
    let query = count.query(subject.until_ms).ok()?;
    let filter = query.filter_of(&group_of(&query, subject.labels));
    let start: Timestamp = count.window(subject.from_ms).start;
    let end: Timestamp = count.window(subject.until_ms).end;
    Some(url(base, path, &[("query", &filter), ("start", &start.to_string()), ("end", &end.to_string())]))
}

fn url(base: &str, path: &str, parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{base}{path}?{query}")
}
