//! R18: a second process on a data directory is refused while the first lives, and not a moment longer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::binary::Subject;
use crate::faults;
use crate::ledger::Ledger;
use crate::report::{Report, Trial};

/// Makes `trials` trials; `progress` is told after each.
pub async fn run(
    subject: &Subject,
    trials: u64,
    seed: u64,
    mut progress: impl FnMut(&Trial),
) -> anyhow::Result<Report> {
    let mut done = Vec::new();
    let directory = tempfile::tempdir()?;
    let setup = faults::setup(subject, directory.path())?;
    let ledger = Arc::new(Ledger::default());
    for number in 0..trials {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(number));
        let mut wrong = Vec::new();
        let mut first = setup.start().await?;
        faults::until_taken(&first, &ledger, Duration::from_secs(5)).await?;
        match setup.start().await {
            Ok(mut second) => {
                wrong.push("two processes have the directory".to_owned());
                second.kill().await?;
            }
            Err(error) => {
                let said = format!("{error:#}");
                if !said.contains("exit status: 2") || !said.contains(&format!("process {}", first.id()?)) {
                    wrong.push(format!("the second process said: {said}"));
                }
            }
        }
        // However the first one ends, the next has the directory at once.
        if random.bool() {
            first.kill().await?;
        } else {
            first.stop(Duration::from_secs(15)).await?;
        }
        let restarted = Instant::now();
        let (findings, ready_after) = faults::life_after(&setup, &ledger).await?;
        wrong.extend(findings.describe());
        let trial = Trial {
            seed: seed.wrapping_add(number),
            fault: "a second process".to_owned(),
            life: number + 1,
            killed_after_ms: u64::try_from((restarted.elapsed() - ready_after).as_millis())?,
            acknowledged: ledger.acknowledged(),
            rows: findings.rows,
            rows_in_parts: findings.rows_in_parts(),
            ready_after_ms: u64::try_from(ready_after.as_millis())?,
            wrong: wrong.join(", "),
        };
        progress(&trial);
        done.push(trial);
    }
    Ok(Report::new("R18", seed, ledger.acknowledged(), done))
}
