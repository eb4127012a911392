//! What the read path counts; see `/metrics`.

use model::stats::{Counter, Seconds, Stats};

/// Counters of one kind of question.
#[derive(Clone, Debug)]
pub struct QueryStats {
    /// Which kind.
    pub kind: String,
    /// How long it takes to find the rows.
    pub seconds: Seconds,
    /// Rows looked at.
    pub scanned_rows: Counter,
    /// Answers that are not whole.
    pub partial: Counter,
}

impl QueryStats {
    /// The counters of this kind: `logs`, `spans`, `points`, `trace`, `correlate`, `tail`, `histogram`, `services`.
    pub fn new(stats: &Stats, kind: &str) -> Self {
        let labels = [("kind", kind)];
        Self {
            kind: kind.to_owned(),
            seconds: stats.seconds("sextant_query_seconds", "Time until the rows of an answer are found.", &labels),
            scanned_rows: stats.counter("sextant_query_scanned_rows_total", "Rows that queries looked at.", &labels),
            partial: stats.counter("sextant_query_partial_total", "Answers that queries left unfinished.", &labels),
        }
    }
}
