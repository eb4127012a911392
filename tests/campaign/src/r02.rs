//! R02: `kill -9` at each place where something changes on disk: before, within and after it, in a life that began with a replay.
//! Every acknowledged record is there afterwards, and no record twice.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::binary::{Server, Setup, Subject};
use crate::faults;
use crate::ledger::Ledger;
use crate::report::{Report, Trial};

/// `OPERATION:AREA` of `sextant serve --disk-fault`, and up to which occurrence a trial waits.
const POINTS: [(&str, u64); 29] = [
    ("create:wal", 3),
    ("append:wal", 200),
    ("sync:wal", 100),
    ("sync-dir:wal", 3),
    ("remove:wal", 3),
    ("create:manifest", 3),
    ("append:manifest", 3),
    ("sync:manifest", 3),
    ("rename:manifest", 3),
    ("sync-dir:root", 3),
    ("create:state", 1),
    ("append:state", 1),
    ("sync:state", 1),
    ("sync-dir:state", 1),
    ("remove:state", 1),
    ("create-dir:parts", 3),
    ("sync-dir:parts", 6),
    ("create:rows", 3),
    ("append:rows", 6),
    ("sync:rows", 3),
    ("create:series", 2),
    ("append:series", 2),
    ("sync:series", 2),
    ("create:index", 3),
    ("append:index", 3),
    ("sync:index", 3),
    ("create:meta", 3),
    ("append:meta", 3),
    ("sync:meta", 3),
];

const MOMENTS: [&str; 3] = ["kill-before", "kill-midway", "kill-after"];

/// From the start of a life until its place has come.
const REACH_MAX: Duration = Duration::from_secs(30);

/// How many places there are.
pub fn places() -> u64 {
    (POINTS.len() * MOMENTS.len()) as u64
}

/// Tries the places in turn until `trials` are made; `progress` is told after each.
pub async fn run(
    subject: &Subject,
    trials: u64,
    seed: u64,
    mut progress: impl FnMut(&Trial),
) -> anyhow::Result<Report> {
    let mut done = Vec::new();
    let mut acknowledged = 0;
    for number in 0..trials {
        let directory = tempfile::tempdir()?;
        let setup = faults::setup(subject, directory.path())?;
        // Neighbours in the table come from places far apart, so that a short run sees all areas.
        let place = usize::try_from(number * 7 % places())?;
        let (point, occurrences) = POINTS[place % POINTS.len()];
        let moment = MOMENTS[place / POINTS.len()];
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(number));
        let fault = format!("{moment}:{point}:{}", random.u64(1..=occurrences));
        let trial = trial(&setup, fault, seed.wrapping_add(number), &mut random).await?;
        progress(&trial);
        acknowledged += trial.acknowledged;
        if !trial.wrong.is_empty() {
            eprintln!("the failed trial's directory is kept: {}", directory.keep().display());
        }
        done.push(trial);
    }
    Ok(Report::new("R02", seed, acknowledged, done))
}

async fn trial(setup: &Setup, fault: String, seed: u64, random: &mut fastrand::Rng) -> anyhow::Result<Trial> {
    let ledger = Arc::new(Ledger::default());
    faults::earlier_life(setup, &ledger, random).await?;
    let began = Instant::now();
    let mut wrong = Vec::new();
    match setup.clone().with_disk_faults([fault.clone()]).start().await {
        Ok(mut server) => {
            let load = faults::load(&server, &ledger, random.u64(..))?;
            if !killed(&mut server, began).await? {
                wrong.push("the place was not reached".to_owned());
                server.kill().await?;
            }
            load.end().await?;
        }
        // Killed while it started.
        Err(error) if format!("{error:#}").contains("signal: 9") => {}
        Err(error) => return Err(error),
    }
    faults::sum_up(setup, &ledger, seed, fault, began, wrong).await
}

// Waits until the process has killed itself.
async fn killed(server: &mut Server, since: Instant) -> anyhow::Result<bool> {
    while since.elapsed() < REACH_MAX {
        if let Some(status) = server.ended()? {
            anyhow::ensure!(status.signal() == Some(9), "the server ended with {status}");
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(false)
}
