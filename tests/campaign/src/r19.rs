//! R19: SIGTERM under load. The server ends by itself within its drain timeout with exit code 0, and every acknowledged record
//! is there afterwards; clients hear at worst that they should try again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::binary::{Setup, Subject};
use crate::faults;
use crate::ledger::Ledger;
use crate::report::{Report, Trial};

/// The drain timeout of the settings is as long; what comes after it is a flush.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Makes `trials` trials, five in one directory; `progress` is told after each.
pub async fn run(
    subject: &Subject,
    trials: u64,
    seed: u64,
    mut progress: impl FnMut(&Trial),
) -> anyhow::Result<Report> {
    const LIVES: u64 = 5;
    let (mut done, mut acknowledged) = (Vec::new(), 0);
    while (done.len() as u64) < trials {
        let directory = tempfile::tempdir()?;
        let setup = faults::setup(subject, directory.path())?;
        let ledger = Arc::new(Ledger::default());
        for life in 1..=LIVES.min(trials - done.len() as u64) {
            let trial = trial(&setup, &ledger, life, seed.wrapping_add(done.len() as u64)).await?;
            progress(&trial);
            let failed = !trial.wrong.is_empty();
            done.push(trial);
            if failed {
                eprintln!("the failed trial's directory is kept: {}", directory.keep().display());
                break;
            }
        }
        acknowledged += ledger.acknowledged();
    }
    Ok(Report::new("R19", seed, acknowledged, done))
}

async fn trial(setup: &Setup, ledger: &Arc<Ledger>, life: u64, seed: u64) -> anyhow::Result<Trial> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut wrong = Vec::new();
    let mut server = setup.start().await?;
    let load = faults::load(&server, ledger, seed)?;
    let killed_after_ms = random.u64(50..2_000);
    tokio::time::sleep(Duration::from_millis(killed_after_ms)).await;
    let told = Instant::now();
    match server.stop(2 * STOP_MAX).await {
        Ok(status) if !status.success() => wrong.push(format!("it ended with {status}")),
        Ok(_) if told.elapsed() > STOP_MAX => wrong.push(format!("it took {:?} to end", told.elapsed())),
        Ok(_) => {}
        Err(error) => {
            wrong.push(format!("{error:#}"));
            server.kill().await?;
        }
    }
    let stopped = told.elapsed();
    // A sender fails if it hears anything else than that it should try again, or nothing.
    if let Err(error) = load.end().await {
        wrong.push(format!("{error:#}"));
    }
    let (findings, ready_after) = faults::life_after(setup, ledger).await?;
    wrong.extend(findings.describe());
    Ok(Trial {
        seed,
        fault: format!("ended in {} ms", stopped.as_millis()),
        life,
        killed_after_ms,
        acknowledged: ledger.acknowledged(),
        rows: findings.rows,
        rows_in_parts: findings.rows_in_parts(),
        ready_after_ms: u64::try_from(ready_after.as_millis())?,
        wrong: wrong.join(", "),
    })
}
