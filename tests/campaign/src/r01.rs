//! R01: `kill -9` at a random moment under load on three signals. After the restart every acknowledged record is there, and
//! no record is there more often than it was sent.

use std::sync::Arc;
use std::time::Duration;

use crate::binary::{Setup, Subject};
use crate::faults;
use crate::ledger::Ledger;
use crate::report::{Report, Trial};

/// Heads and segments so small that most kills meet a flush, a new segment or a manifest on its way.
const CONFIG: &str = "\
log = \"warn\"
[store]
wal_segment_bytes = 262144
flush_bytes = 131072
flush_interval_s = 1
";

/// A data directory is killed so often before a new one is begun: each restart recovers what the last one recovered.
const LIVES: u64 = 5;

/// Runs `trials` trials with `subject` in fresh directories; `progress` is told after each.
pub async fn run(
    subject: &Subject,
    trials: u64,
    seed: u64,
    mut progress: impl FnMut(&Trial),
) -> anyhow::Result<Report> {
    let mut done = Vec::new();
    let mut acknowledged = 0;
    while (done.len() as u64) < trials {
        let directory = tempfile::tempdir()?;
        let setup = Setup::new(subject, directory.path());
        setup.configure(CONFIG)?;
        let ledger = Arc::new(Ledger::default());
        let lives = LIVES.min(trials - done.len() as u64);
        for life in 1..=lives {
            let trial_seed = seed.wrapping_add(done.len() as u64);
            // Others read what the last life leaves.
            let setup = if life == lives { setup.clone() } else { setup.clone().unread() };
            let trial = trial(&setup, &ledger, life, trial_seed).await?;
            progress(&trial);
            let failed = !trial.wrong.is_empty();
            done.push(trial);
            if failed {
                // What is lost stays lost: the next lives would only say so again. The directory is kept to be looked at.
                let kept = directory.keep();
                eprintln!("the failed trial's directory is kept: {}", kept.display());
                break;
            }
        }
        acknowledged += ledger.acknowledged();
    }
    Ok(Report::new("R01", seed, acknowledged, done))
}

async fn trial(setup: &Setup, ledger: &Arc<Ledger>, life: u64, seed: u64) -> anyhow::Result<Trial> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut server = setup.start().await?;
    let load = faults::load(&server, ledger, seed)?;
    let killed_after_ms = random.u64(50..2_000);
    tokio::time::sleep(Duration::from_millis(killed_after_ms)).await;
    server.kill().await?;
    load.end().await?;

    let (findings, ready_after) = faults::life_after(setup, ledger).await?;
    Ok(Trial {
        seed,
        fault: String::new(),
        life,
        killed_after_ms,
        acknowledged: ledger.acknowledged(),
        rows: findings.rows,
        rows_in_parts: findings.rows_in_parts(),
        ready_after_ms: u64::try_from(ready_after.as_millis())?,
        wrong: findings.describe().unwrap_or_default(),
    })
}
