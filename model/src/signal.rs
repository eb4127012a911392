//! The three signals of OpenTelemetry.

use std::fmt;

/// One of OpenTelemetry's signals, in the words of Sextant's own tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Log records.
    Logs,
    /// Spans of traces.
    Spans,
    /// Metric data points.
    Points,
}

impl Signal {
    /// All signals, in the order in which they are listed everywhere.
    pub const ALL: [Signal; 3] = [Signal::Logs, Signal::Spans, Signal::Points];

    /// The word used in paths, files and counters: `logs`, `spans`, `points`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Signal::Logs => "logs",
            Signal::Spans => "spans",
            Signal::Points => "points",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
