//! The answer of `/api/v1/traces/{trace_id}`: one trace, assembled.

use serde::{Deserialize, Serialize};

use super::spans::SpanRow;

/// One trace as a tree, written as a list in depth-first order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trace {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// RFC 3339: the first start of any span.
    pub start: String,
    /// RFC 3339: the last end of any span.
    pub end: String,
    /// From the first start to the last end.
    pub duration_ns: u64,
    /// The services involved, in the order of their first span.
    pub services: Vec<String>,
    /// How many spans have status error.
    pub errors: usize,
    /// Parents before their children, siblings by start.
    pub spans: Vec<TraceSpan>,
    /// Whether a span that others name as their parent is missing, or spans were left out by a limit.
    pub partial: bool,
    /// Why the trace is partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A span at its place in the tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceSpan {
    /// 0 for roots and for spans whose parent is missing.
    pub depth: usize,
    /// Whether the span names a parent that is not there.
    pub missing_parent: bool,
    /// Nanoseconds from the trace's start to the span's.
    pub offset_ns: u64,
    /// The span itself.
    #[serde(flatten)]
    pub span: SpanRow,
}
