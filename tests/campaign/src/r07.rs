//! R07: the disk is full from some write on, and has space again after some more. R08: a write, sync or read fails, once or from
//! then on. R09: the file system becomes read-only.
//!
//! Nothing is acknowledged that is not kept; what is refused may be tried again; what is stored is still answered; a server
//! whose disk works again takes records again without a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::binary::{Setup, Subject};
use crate::faults;
use crate::ledger::Ledger;
use crate::report::{Report, Trial};

/// Load after the fault has struck first.
const LOAD: Duration = Duration::from_millis(1_000);
/// From the start of the load until then.
const MEET_MAX: Duration = Duration::from_secs(30);
/// What the server's log says when a fault strikes.
const STRIKES: &str = "a planned fault strikes";
/// From the end of the load until records are taken again.
const RESUME_MAX: Duration = Duration::from_secs(20);

/// Which disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// R07.
    Full,
    /// R08.
    Failing,
    /// R09.
    ReadOnly,
}

impl Row {
    fn name(self) -> &'static str {
        match self {
            Row::Full => "R07",
            Row::Failing => "R08",
            Row::ReadOnly => "R09",
        }
    }

    // A fault, and whether it passes.
    fn fault(self, number: u64, random: &mut fastrand::Rng) -> (String, bool) {
        match self {
            // Every index in turn: the first writes are those of the start.
            Row::Full => (format!("full:write:*:{}+{}", number + 1, random.u64(1..40)), true),
            Row::Failing => {
                let what = random.choice(FAILING).unwrap_or("sync:wal");
                let passes = random.bool();
                let often = matches!(what, "append:wal" | "sync:wal");
                let first = random.u64(1..=if often { 60 } else { 2 });
                (format!("io:{what}:{first}{}", if passes { "+1" } else { "+*" }), passes)
            }
            Row::ReadOnly => (format!("read-only:write:*:{}+*", random.u64(1..200)), false),
        }
    }
}

const FAILING: [&str; 22] = [
    "create:wal",
    "append:wal",
    "sync:wal",
    "sync-dir:wal",
    "remove:wal",
    "create:manifest",
    "append:manifest",
    "sync:manifest",
    "rename:manifest",
    "sync-dir:root",
    "append:state",
    "sync:state",
    "create-dir:parts",
    "sync-dir:parts",
    "append:rows",
    "sync:rows",
    "append:index",
    "sync:index",
    "append:meta",
    "sync:meta",
    "open:rows",
    "read:rows",
];

/// Makes `trials` trials, each in a fresh directory, and of R07 one on a small file system; `progress` is told after each.
pub async fn run(
    row: Row,
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
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(number));
        let (fault, passes) = row.fault(number, &mut random);
        let trial = trial(&setup, fault, passes, seed.wrapping_add(number), &mut random).await?;
        progress(&trial);
        acknowledged += trial.acknowledged;
        if !trial.wrong.is_empty() {
            eprintln!("the failed trial's directory is kept: {}", directory.keep().display());
        }
        done.push(trial);
    }
    if row == Row::Full
        && let Some(trial) = crate::small::run(subject, seed).await?
    {
        progress(&trial);
        acknowledged += trial.acknowledged;
        done.push(trial);
    }
    Ok(Report::new(row.name(), seed, acknowledged, done))
}

async fn trial(
    setup: &Setup,
    fault: String,
    passes: bool,
    seed: u64,
    random: &mut fastrand::Rng,
) -> anyhow::Result<Trial> {
    let ledger = Arc::new(Ledger::default());
    faults::earlier_life(setup, &ledger, random).await?;
    let began = Instant::now();
    let mut wrong = Vec::new();
    match setup.clone().with_disk_faults([fault.clone()]).start().await {
        Ok(mut server) => {
            let load = faults::load(&server, &ledger, random.u64(..))?;
            let reads = fault.contains(":open:") || fault.contains(":read:");
            while !setup.stderr().contains(STRIKES) && began.elapsed() < MEET_MAX {
                if reads {
                    // An answer may be an error: its file could not be read.
                    let _ = faults::answers(&server).await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            tokio::time::sleep(LOAD).await;
            load.end().await?;
            if !reads && let Err(error) = faults::answers(&server).await {
                wrong.push(format!("{error:#}"));
            }
            if passes && let Err(error) = faults::until_taken(&server, &ledger, RESUME_MAX).await {
                wrong.push(format!("it did not resume: {error:#}"));
            }
            match server.ended()? {
                Some(status) => wrong.push(format!("the server ended with {status}")),
                None => server.kill().await?,
            }
        }
        // A server that cannot start says why; that is all it can do.
        Err(error) if format!("{error:#}").contains("exit status: 2") => {}
        Err(error) => wrong.push(format!("{error:#}")),
    }
    if !setup.stderr().contains(STRIKES) {
        wrong.push("the fault was never met".to_owned());
    }
    if setup.stderr().contains("panicked") {
        wrong.push("the server panicked".to_owned());
    }
    faults::sum_up(setup, &ledger, seed, fault, began, wrong).await
}
