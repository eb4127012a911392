//! Rows that need a disk that can be made to forget, to flip bits and to stop at a chosen operation: R03 to R06, R15 and R24. Their trials are
//! the store's own, on a simulated disk, and run by seed without the binary; here they are run in any number, and reported like the others.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// A campaign's name, and its tests in `store/tests/it`.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// `R03`.
    pub name: &'static str,
    tests: &'static [&'static str],
}

/// Power cuts: what was not synced is dropped or torn, page by page and out of order.
pub const R03: Row =
    Row { name: "R03", tests: &["simulate::whatever_is_acknowledged_survives_power_cuts_at_any_moment"] };
/// The log ends anywhere in its last records. Every byte is tried, whatever number of trials is asked for.
pub const R04: Row = Row { name: "R04", tests: &["simulate::a_log_that_is_cut_anywhere_keeps_the_exact_prefix"] };
/// Bits flip in the log.
pub const R05: Row = Row { name: "R05", tests: &["trials::log::damage_in_the_log_costs_only_what_it_touches"] };
/// Bits flip in parts, indexes, manifest and checkpoints; files are cut short and vanish.
pub const R06: Row = Row { name: "R06", tests: &["trials::files::damaged_files_are_found_and_answers_are_right"] };
/// Merges and retention end at any operation: by a fault, a kill, a power cut.
pub const R15: Row = Row { name: "R15", tests: &["retention::retention_and_merges_end_anywhere"] };
/// All at once: power cuts, kills, failing operations, full disks, clocks that jump, merges and retention, over several lives.
pub const R24: Row = Row { name: "R24", tests: &["trials::mixed::whatever_happens_nothing_is_lost"] };

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Simulated {
    /// The campaign's name.
    pub campaign: &'static str,
    /// The first seed.
    pub seed: u64,
    /// By kind: how many trials.
    pub trials: Vec<(String, u64)>,
    /// What was wrong, with the kind and the seed: the first five of each kind.
    pub failures: Vec<String>,
    /// With 95 % confidence the share of trials that would fail is below this. Known only while none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_share_bound_95: Option<f64>,
}

impl Simulated {
    /// For people.
    pub fn to_table(&self) -> String {
        let mut lines: Vec<String> =
            self.trials.iter().map(|(kind, count)| format!("{kind}: {count} trials")).collect();
        lines.extend(self.failures.iter().map(|failure| format!("WRONG: {failure}")));
        let bound = self.failure_share_bound_95.map_or(String::new(), |bound| {
            format!("; with 95 % confidence fewer than {:.2} % of trials would fail", bound * 100.0)
        });
        let word = if self.failures.is_empty() { "held" } else { "failed" };
        lines.push(format!("\n{}: {word}, seeds from {}{bound}\n", self.campaign, self.seed));
        lines.join("\n")
    }
}

/// Builds the store's tests in release and runs those of a row.
pub async fn run(row: Row, trials: u64, seed: u64) -> anyhow::Result<Simulated> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command.args(["test", "--release", "--package", "store", "--test", "it", "--", "--nocapture", "--exact"]);
    command.args(row.tests).env("TRIALS", trials.to_string()).env("SEED", seed.to_string());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let (stdout, stderr) = (child.stdout.take().context("no stdout")?, child.stderr.take().context("no stderr")?);
    let failures = tokio::spawn(async move {
        let (mut lines, mut failures, mut last) = (BufReader::new(stderr).lines(), Vec::new(), Vec::new());
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains(", seed ") {
                failures.push(line.clone());
            }
            last.push(line);
            last.drain(..last.len().saturating_sub(20));
        }
        (failures, last)
    });
    let (mut lines, mut done) = (BufReader::new(stdout).lines(), Vec::new());
    while let Some(line) = lines.next_line().await? {
        let counted = line.strip_suffix(" trials").and_then(|line| line.rsplit_once(": "));
        if let Some((kind, count)) = counted.and_then(|(kind, count)| Some((kind.to_owned(), count.parse().ok()?))) {
            done.push((kind, count));
        }
    }
    let status = child.wait().await?;
    let (failures, last) = failures.await?;
    ensure!(status.success() || !failures.is_empty(), "the tests of {} did not run:\n{}", row.name, last.join("\n"));
    ensure!(!status.success() || !done.is_empty(), "no trial of {} ran", row.name);
    let count: u64 = done.iter().map(|(_, count)| count).sum();
    let failure_share_bound_95 = failures.is_empty().then(|| (3.0 / count as f64).min(1.0));
    Ok(Simulated { campaign: row.name, seed, trials: done, failures, failure_share_bound_95 })
}
