//! The answer of `/api/v1/correlate/{id}`: everything about one id.

use super::alerts::Alert;
use super::logs::LogRow;
use super::points::Exemplar;
use super::spans::SpanRow;
use serde::{Deserialize, Serialize};

/// Spans, logs, exemplars and alerts that carry an id, or belong to a trace that one of them names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Correlation {
    /// The id that was asked for.
    pub id: String,
    /// `trace` or `correlation`.
    pub kind: String,
    /// RFC 3339: the first moment of any row; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// RFC 3339: the last moment of any row; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The services involved, in the order of their first row.
    pub services: Vec<String>,
    /// In time order.
    pub spans: Vec<SpanRow>,
    /// In time order.
    pub logs: Vec<LogRow>,
    /// In time order.
    pub exemplars: Vec<Exemplar>,
    /// Those whose records carry the id, by the time they became active; also such that are resolved.
    pub alerts: Vec<Alert>,
    /// Whether something that belongs to the answer is not in it.
    pub partial: bool,
    /// Why the answer is partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
