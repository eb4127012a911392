//! The read path's settings, the table `[query]` of `sextant.toml`.

use serde::{Deserialize, Serialize};

/// See `src/default.toml` for what each setting means to its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Queries that run at the same time, each on a thread of its own.
    pub concurrent_queries: usize,
    /// Queries that wait for one of those; the next one is refused.
    pub waiting_queries: usize,
    /// Milliseconds after which a query ends with what it has found.
    pub time_budget_ms: u64,
    /// Rows a query may look at.
    pub scanned_rows_max: u64,
    /// Bytes of columns a query may look at.
    pub scanned_bytes_max: u64,
    /// Rows of one answer without a limit.
    pub answer_rows_max: usize,
    /// Whether the series of PromQL carry their instrumentation scope.
    pub scope_labels: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrent_queries: 4,
            waiting_queries: 64,
            time_budget_ms: 30_000,
            scanned_rows_max: 1_000_000_000,
            scanned_bytes_max: 64 << 30,
            answer_rows_max: 1_000_000,
            scope_labels: true,
        }
    }
}
