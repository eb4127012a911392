//! R10: the wall clock of the server jumps by hours and by years, forwards and backwards, under load, and records of 1970, of 2262 and
//! of tomorrow come in. Nothing that was acknowledged is lost, now or after a restart, whatever the clock says then.
//!
//! The clock is that of libfaketime (Debian's package of that name), which reads the offset from a file; the monotonic clock is
//! left alone, as a jump of the real one leaves it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use model::Signal;

use crate::binary::Subject;
use crate::faults;
use crate::ledger::Ledger;
use crate::load::{Answer, Door};
use crate::otlp::Request;
use crate::report::{Report, Trial};

const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// Jumps of the clock against the true time.
const OFFSETS: [&str; 7] = ["+1h", "-1h", "+10y", "-10y", "+20s", "-20s", "+0"];

/// Half a second of 1970, the last hour that nanoseconds can tell, and tomorrow.
const FAR_AWAY: [u64; 2] = [500_000_000, 9_223_368_000_000_000_000];
const DAY_NANOS: u64 = 86_400_000_000_000;

/// Load after each jump.
const LOAD: Duration = Duration::from_millis(400);
const JUMPS: usize = 4;

/// Where libfaketime is, if it is installed.
pub fn library() -> Option<&'static str> {
    LIBRARIES.into_iter().find(|path| Path::new(path).exists())
}

/// Makes `trials` trials, each in a fresh directory; `progress` is told after each.
pub async fn run(
    subject: &Subject,
    trials: u64,
    seed: u64,
    mut progress: impl FnMut(&Trial),
) -> anyhow::Result<Report> {
    let library = library().context("libfaketime is not there; Debian has it as `apt install libfaketime`")?;
    let mut done = Vec::new();
    let mut acknowledged = 0;
    for number in 0..trials {
        let directory = tempfile::tempdir()?;
        let trial = trial(subject, directory.path(), library, seed.wrapping_add(number)).await?;
        progress(&trial);
        acknowledged += trial.acknowledged;
        if !trial.wrong.is_empty() {
            eprintln!("the failed trial's directory is kept: {}", directory.keep().display());
        }
        done.push(trial);
    }
    Ok(Report::new("R10", seed, acknowledged, done))
}

async fn trial(subject: &Subject, directory: &Path, library: &str, seed: u64) -> anyhow::Result<Trial> {
    let mut random = fastrand::Rng::with_seed(seed);
    let offset_file = directory.join("offset");
    // Replaced as a whole: the server may read it at any time.
    let jump = |offset: &str| -> anyhow::Result<()> {
        let next = directory.join("offset.next");
        std::fs::write(&next, format!("{offset}\n"))?;
        Ok(std::fs::rename(&next, &offset_file)?)
    };
    jump("+0")?;
    let setup = faults::setup(subject, directory)?
        .with_variable("LD_PRELOAD", library)
        .with_variable("FAKETIME_TIMESTAMP_FILE", offset_file.to_string_lossy())
        .with_variable("FAKETIME_NO_CACHE", "1")
        .with_variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let ledger = Arc::new(Ledger::default());
    let mut server = setup.start().await?;
    let (mut wrong, mut jumps) = (Vec::new(), Vec::new());
    let began = Instant::now();
    far_away(&server.url("otlp_http"), &ledger, &mut random).await?;
    for _ in 0..JUMPS {
        let offset = *random.choice(&OFFSETS).context("there are offsets")?;
        jump(offset)?;
        jumps.push(offset);
        let load = faults::load(&server, &ledger, random.u64(..))?;
        tokio::time::sleep(LOAD).await;
        if let Err(error) = load.end().await {
            wrong.push(format!("after {offset}: {error:#}"));
        }
    }
    far_away(&server.url("otlp_http"), &ledger, &mut random).await?;
    server.kill().await?;
    let killed_after_ms = u64::try_from(began.elapsed().as_millis())?;

    // A start under a wrong clock, and one under the true one.
    let offset = *random.choice(&OFFSETS).context("there are offsets")?;
    jump(offset)?;
    jumps.push(offset);
    let (findings, _) = faults::life_after(&setup, &ledger).await?;
    wrong.extend(findings.describe().map(|what| format!("under {offset}: {what}")));
    jump("+0")?;
    let (findings, ready_after) = faults::life_after(&setup, &ledger).await?;
    wrong.extend(findings.describe());
    if setup.stderr().contains("panicked") {
        wrong.push("the server panicked".to_owned());
    }
    Ok(Trial {
        seed,
        fault: jumps.join(" "),
        life: 1,
        killed_after_ms,
        acknowledged: ledger.acknowledged(),
        rows: findings.rows,
        rows_in_parts: findings.rows_in_parts(),
        ready_after_ms: u64::try_from(ready_after.as_millis())?,
        wrong: wrong.join(", "),
    })
}

async fn far_away(url: &str, ledger: &Ledger, random: &mut fastrand::Rng) -> anyhow::Result<()> {
    let mut door = Door::http(url)?;
    let tomorrow = crate::load::now_nanos() + DAY_NANOS;
    for signal in Signal::ALL {
        for time in FAR_AWAY.into_iter().chain([tomorrow]) {
            let (place, first) = ledger.open(signal, 2);
            let request = Request::numbered(signal, first, 2, time, random);
            if door.send(request).await? == Answer::Stored {
                ledger.acknowledge(place);
            }
        }
    }
    Ok(())
}
