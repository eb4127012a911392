//! What can go wrong with a question: the asker's mistake, or the server's. Every path outside Prometheus's own turns these
//! into `{"error": {...}}` at the edge, in `api/error.rs`.

use std::fmt;

/// A mistake in a filter: where it is and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// One sentence: what is wrong.
    pub message: String,
    /// Offset of the mistake in the query, in characters from 0.
    pub position: usize,
    /// What to write instead.
    pub hint: String,
}

impl QueryError {
    /// A mistake at `position`.
    pub fn new(position: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), position, hint: hint.into() }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at character {}", self.message, self.position)
    }
}

impl std::error::Error for QueryError {}
