//! Error answers of Sextant's own paths.

use serde::{Deserialize, Serialize};

/// `{"error": {...}}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
}

/// What is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A short word programs can match: `bad_query`, `bad_parameter`, `not_found`,
    /// `method_not_allowed`, `unavailable`, `internal`.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// Offset of the mistake in the query, in characters from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
