//! What a campaign says at the end, to people and to programs.

use std::fmt::Write as _;

use serde::Serialize;

/// A campaign's result.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its name.
    pub campaign: &'static str,
    /// Where its randomness began: the same seed makes the same choices (not the same timing).
    pub seed: u64,
    /// How often it tried.
    pub trials: u64,
    /// How often something was wrong.
    pub failures: u64,
    /// The seeds of those.
    pub failed_seeds: Vec<u64>,
    /// With 95 % confidence the share of trials that would fail is below this. Known only while none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_share_bound_95: Option<f64>,
    /// Records that were promised to be kept; of alert campaigns, transitions.
    pub acknowledged: u64,
    /// Rows that were compared, again after every trial; of alert campaigns, webhooks.
    pub rows_compared: u64,
    /// Rows that DuckDB read in the parts that trials left; 0 if it was not asked.
    pub rows_in_parts: u64,
    /// One per trial.
    pub details: Vec<Trial>,
    /// What people call what is counted: records and rows, or transitions and webhooks.
    #[serde(skip)]
    words: [&'static str; 2],
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One trial.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// Where its randomness began.
    pub seed: u64,
    /// What was done to it, if that differs from trial to trial.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fault: String,
    /// Which life of its data directory it ended, from 1.
    pub life: u64,
    /// Milliseconds of load before the kill.
    pub killed_after_ms: u64,
    /// Records promised so far in this directory; of alert campaigns, transitions.
    pub acknowledged: u64,
    /// Rows found after the restart; of alert campaigns, webhooks.
    pub rows: u64,
    /// Rows that DuckDB read in the parts afterwards; 0 if it was not asked.
    #[serde(skip_serializing_if = "is_zero")]
    pub rows_in_parts: u64,
    /// Milliseconds from the restart until ready.
    pub ready_after_ms: u64,
    /// What was wrong; empty if nothing.
    pub wrong: String,
}

impl Report {
    /// Sums trials up.
    pub fn new(campaign: &'static str, seed: u64, acknowledged: u64, details: Vec<Trial>) -> Self {
        let failed_seeds: Vec<u64> =
            details.iter().filter(|trial| !trial.wrong.is_empty()).map(|trial| trial.seed).collect();
        let (trials, failures) = (details.len() as u64, failed_seeds.len() as u64);
        // The rule of three: none in n says less than 3/n.
        let failure_share_bound_95 = (failures == 0 && trials > 0).then(|| (3.0 / trials as f64).min(1.0));
        let rows_compared = details.iter().map(|trial| trial.rows).sum();
        let rows_in_parts = details.iter().map(|trial| trial.rows_in_parts).sum();
        Self {
            campaign,
            seed,
            trials,
            failures,
            failed_seeds,
            failure_share_bound_95,
            acknowledged,
            rows_compared,
            rows_in_parts,
            details,
            words: ["records acknowledged", "rows compared"],
        }
    }

    /// The report of a campaign over alerts, which counts transitions and webhooks.
    pub fn of_alerts(self) -> Self {
        Self { words: ["transitions", "webhooks"], ..self }
    }

    /// A table for people.
    pub fn to_table(&self) -> String {
        let width = self.details.iter().map(|trial| trial.fault.len()).max().unwrap_or(0);
        let fault = if width == 0 { "" } else { "FAULT" };
        let mut table = format!(
            "{:>20} {:>5} {:>10} {:>13} {:>8} {:>10}  {fault:<width$} RESULT\n",
            "SEED", "LIFE", "KILL (ms)", "ACKNOWLEDGED", "ROWS", "READY (ms)"
        );
        for trial in &self.details {
            let Trial { seed, fault, life, killed_after_ms, acknowledged, rows, ready_after_ms, wrong, .. } = trial;
            let result = if wrong.is_empty() { "kept" } else { wrong.as_str() };
            // Writing into a String cannot fail.
            let _ = writeln!(
                table,
                "{seed:>20} {life:>5} {killed_after_ms:>10} {acknowledged:>13} {rows:>8} {ready_after_ms:>10}  \
                 {fault:<width$} {result}"
            );
        }
        let _ = write!(
            table,
            "\n{}: {} trials, {} failures, {} {}, {} {}, seed {}",
            self.campaign,
            self.trials,
            self.failures,
            self.acknowledged,
            self.words[0],
            self.rows_compared,
            self.words[1],
            self.seed
        );
        if self.rows_in_parts > 0 {
            let _ = write!(table, "; {} rows read by DuckDB", self.rows_in_parts);
        }
        if let Some(bound) = self.failure_share_bound_95 {
            let _ = write!(table, "; with 95 % confidence fewer than {:.1} % of trials would fail", bound * 100.0);
        }
        table.push('\n');
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(seed: u64, wrong: &str) -> Trial {
        let wrong = wrong.to_owned();
        Trial {
            seed,
            fault: String::new(),
            life: 1,
            killed_after_ms: 5,
            acknowledged: 10,
            rows: 10,
            rows_in_parts: 0,
            ready_after_ms: 3,
            wrong,
        }
    }

    #[test]
    fn a_bound_is_given_only_while_nothing_failed() {
        let clean = Report::new("R01", 1, 30, (0..50).map(|seed| trial(seed, "")).collect());
        assert_eq!((clean.failures, clean.failure_share_bound_95), (0, Some(0.06)));
        let failed = Report::new("R01", 1, 30, vec![trial(1, ""), trial(2, "1 lost")]);
        assert_eq!((failed.failed_seeds.as_slice(), failed.failure_share_bound_95), (&[2][..], None));
        assert!(failed.to_table().contains("1 lost"), "{}", failed.to_table());
    }
}
