//! How much a query may cost. A query that costs more ends with what it has found, and says so.

use std::sync::Arc;
use std::time::Duration;

use model::Clock;

use crate::Config;
use crate::admission::Cancel;
use crate::limits::SLOW_QUERY;
use crate::stats::QueryStats;

/// What is left to one query.
pub struct Budget {
    clock: Arc<dyn Clock>,
    deadline: Duration,
    time: Duration,
    rows_max: u64,
    bytes_max: u64,
    rows: u64,
    bytes: u64,
    cancel: Cancel,
    started: Duration,
    stats: Option<QueryStats>,
}

/// Why an answer is not whole, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Why.
    pub reason: String,
    /// What to do.
    pub hint: String,
    /// Whether the query ended before it had looked everywhere; otherwise it has looked at all there is.
    pub is_cut: bool,
}

impl Partial {
    /// So many rows may be missing because they are damaged.
    pub fn damaged(rows: u64) -> Self {
        Self {
            reason: format!("up to {rows} rows of this time are damaged and left out"),
            hint: "the server's log names the files; `sextant status` counts them".to_owned(),
            is_cut: false,
        }
    }
}

/// Nobody waits for the answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl Budget {
    /// A fresh budget; its time begins now.
    pub fn new(config: &Config, clock: Arc<dyn Clock>, cancel: Cancel) -> Self {
        let time = Duration::from_millis(config.time_budget_ms);
        Self {
            deadline: clock.monotonic().saturating_add(time),
            time,
            rows_max: config.scanned_rows_max,
            bytes_max: config.scanned_bytes_max,
            rows: 0,
            bytes: 0,
            cancel,
            started: clock.monotonic(),
            clock,
            stats: None,
        }
    }

    /// Counts in `stats` what is spent, until the budget is dropped.
    pub fn counted(mut self, stats: QueryStats) -> Self {
        self.stats = Some(stats);
        self
    }

    /// Notes what was looked at.
    pub fn spend(&mut self, rows: usize, bytes: usize) {
        self.rows = self.rows.saturating_add(rows as u64);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Does what takes none of the query's time, but perhaps its client's.
    pub fn rest<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = self.clock.monotonic();
        let result = work();
        let took = self.clock.monotonic().saturating_sub(began);
        self.deadline = self.deadline.saturating_add(took);
        self.started = self.started.saturating_add(took);
        result
    }

    /// Whether the query may go on: `None` if it may, otherwise why not.
    pub fn exhausted(&self) -> Result<Option<Partial>, Cancelled> {
        if self.cancel.is_cancelled() {
            return Err(Cancelled);
        }
        let Some(reason) = self.shortage() else { return Ok(None) };
        if let Some(stats) = &self.stats {
            stats.partial.add(1);
        }
        let hint = "ask for a shorter time, or add a word that few rows have".to_owned();
        Ok(Some(Partial { reason, hint, is_cut: true }))
    }

    /// Whether nothing is left for what an answer can do without.
    pub fn is_spent(&self) -> bool {
        self.cancel.is_cancelled() || self.shortage().is_some()
    }

    fn shortage(&self) -> Option<String> {
        Some(if self.clock.monotonic() >= self.deadline {
            format!("the query took longer than {} ms", self.time.as_millis())
        } else if self.rows >= self.rows_max {
            format!("the query looked at {} rows, more than {}", self.rows, self.rows_max)
        } else if self.bytes >= self.bytes_max {
            format!("the query looked at {} bytes, more than {}", self.bytes, self.bytes_max)
        } else {
            return None;
        })
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(stats) = &self.stats {
            let took = self.clock.monotonic().saturating_sub(self.started);
            stats.seconds.observe(took);
            stats.scanned_rows.add(self.rows);
            if took >= SLOW_QUERY {
                let took_ms = took.as_millis() as u64;
                tracing::info!(kind = stats.kind, took_ms, rows = self.rows, bytes = self.bytes, "a query took long");
            }
        }
    }
}
