//! What can go wrong with a PromQL query. Not HTTP: `api/prom` turns a [`Kind`] into a status code.

use super::limits;

/// An error of parsing, planning or evaluating.
#[derive(Debug, thiserror::Error)]
pub enum PromqlError {
    /// The text is no PromQL.
    #[error("{}parse error: {message}", location(.query, .position))]
    Parse {
        /// The whole query.
        query: String,
        /// Byte offset of the mistake, if it is known.
        position: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// The text is PromQL, but uses what does not exist here yet.
    #[error("{}{construct} is not supported yet", location(.query, .position))]
    Unsupported {
        /// The whole query.
        query: String,
        /// Byte offset of the construct, if it is known.
        position: Option<usize>,
        /// The construct in the words of the language: `function "absent"`.
        construct: String,
    },
    /// The query is fine, but cannot be asked this way.
    #[error("{0}")]
    Request(String),
    /// The data do not allow an answer: duplicate series, ambiguous matching.
    #[error("{0}")]
    Execution(String),
    /// More samples than one query may touch.
    #[error(
        "query processing would load too many samples into memory in query execution (more than {})",
        limits::SAMPLES_MAX
    )]
    TooManySamples,
    /// The deadline has passed.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// The asker went away.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// The samples could not be read.
    #[error("cannot read series")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The kinds of errors a caller tells apart, named as in Prometheus's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong.
    BadData,
    /// The request is right, but cannot be answered.
    Execution,
    /// It took too long.
    Timeout,
    /// The asker went away.
    Canceled,
    /// Our own fault.
    Internal,
}

impl PromqlError {
    /// Which kind of error this is.
    pub fn kind(&self) -> Kind {
        match self {
            PromqlError::Parse { .. } | PromqlError::Unsupported { .. } | PromqlError::Request(_) => Kind::BadData,
            PromqlError::Execution(_) | PromqlError::TooManySamples => Kind::Execution,
            PromqlError::Timeout => Kind::Timeout,
            PromqlError::Canceled => Kind::Canceled,
            PromqlError::Source(_) => Kind::Internal,
        }
    }
}

/// Line and column of the byte `position` of `query`, both from 1, as Prometheus counts: `2:14`.
pub(super) fn line_column(query: &str, position: usize) -> String {
    let before = &query.as_bytes()[..position.min(query.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = match before.iter().rposition(|byte| *byte == b'\n') {
        Some(newline) => before.len() - newline,
        None => before.len() + 1,
    };
    format!("{line}:{column}")
}

fn location(query: &str, position: &Option<usize>) -> String {
    position.map_or_else(|| "unknown position: ".to_owned(), |position| format!("{}: ", line_column(query, position)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_columns_from_one() {
        for (position, expected) in [(0, "1:1"), (2, "1:3"), (3, "2:1"), (5, "2:3"), (99, "2:4")] {
            assert_eq!(line_column("ab\ncde", position), expected);
        }
    }
}
