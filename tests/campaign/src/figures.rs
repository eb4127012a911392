//! What a campaign of load and attack measured, and what of it is wrong.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

/// Figures and faults.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// The campaign's name.
    pub campaign: &'static str,
    /// What was measured, in order.
    pub figures: Vec<(String, String)>,
    /// What is not as it should be.
    pub wrong: Vec<String>,
}

impl Figures {
    /// Nothing yet.
    pub fn new(campaign: &'static str) -> Self {
        Self { campaign, ..Self::default() }
    }

    /// Notes a figure.
    pub fn note(&mut self, what: impl Into<String>, value: impl ToString) {
        self.figures.push((what.into(), value.to_string()));
    }

    /// Notes a fault unless `holds`.
    pub fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    /// For people.
    pub fn to_table(&self) -> String {
        let mut table = String::new();
        let width = self.figures.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
        // Writing into a String cannot fail.
        for (what, value) in &self.figures {
            let _ = writeln!(table, "{what:<width$}  {value}");
        }
        for what in &self.wrong {
            let _ = writeln!(table, "WRONG: {what}");
        }
        let _ = writeln!(table, "\n{}: {}", self.campaign, if self.wrong.is_empty() { "held" } else { "failed" });
        table
    }
}

/// Times of many attempts.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Those of another client.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that this share of attempts stays within.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
        sorted.get(place).copied().unwrap_or_default()
    }
}

/// Milliseconds with one decimal.
pub fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// Mebibytes.
pub fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}
