//! What the campaigns over faulty disks share: a small and busy store, and a life of the server in which planned faults happen.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tui::client::Params;

use crate::binary::{Server, Setup, Subject};
use crate::census::{self, Findings};
use crate::ledger::Ledger;
use crate::load::{Answer, Door, Load, Plan};
use crate::otlp::Request;
use crate::report::Trial;

/// Heads and segments so small that a second sees flushes, segments that begin and segments that are let go.
const CONFIG: &str = "\
log = \"warn\"
[store]
wal_segment_bytes = 262144
flush_bytes = 131072
flush_interval_s = 1
[rules]
files = [\"rules.yml\"]
";

/// Alerts that come and go with the load, so that the state tables change and are written down.
const RULES: &str = "\
groups:
  - name: changes
    interval: 1s
    rules: [{alert: Odd, expr: campaign_level % 2 == 1}]
";

/// 10,000 records a second, of three signals, if nothing holds them up. As many as can be taken would only make a trial's census long.
const CONNECTIONS: u64 = 6;
const RECORDS_MAX: u64 = 40;
const PAUSE: Duration = Duration::from_millis(12);
/// From SIGTERM until all rows are in parts.
const STOP_MAX: Duration = Duration::from_secs(120);
/// Bounds the load of a server that nobody ends.
const REQUESTS_MAX: u64 = 5_000;

/// A fresh directory with the settings of these campaigns.
pub fn setup(subject: &Subject, directory: &Path) -> anyhow::Result<Setup> {
    let setup = Setup::new(subject, directory);
    std::fs::write(directory.join("rules.yml"), RULES)?;
    setup.configure(CONFIG)?;
    Ok(setup)
}

/// Begins to load a server.
pub fn load(server: &Server, ledger: &Arc<Ledger>, seed: u64) -> anyhow::Result<Load> {
    Load::start(
        server,
        ledger,
        Plan {
            connections: CONNECTIONS,
            records_max: RECORDS_MAX,
            requests_max: REQUESTS_MAX,
            seed,
            pause: Some(PAUSE),
        },
    )
}

/// A life that ends with SIGKILL under load, so that the next one finds something to replay.
pub async fn earlier_life(setup: &Setup, ledger: &Arc<Ledger>, random: &mut fastrand::Rng) -> anyhow::Result<()> {
    let mut server = setup.start().await?;
    let load = load(&server, ledger, random.u64(..))?;
    tokio::time::sleep(Duration::from_millis(random.u64(200..1_200))).await;
    server.kill().await?;
    load.end().await
}

/// Sends one request of each signal until each is taken; how long that took. An error if it takes longer than `patience`.
pub async fn until_taken(server: &Server, ledger: &Ledger, patience: Duration) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut door = Door::http(&server.url("otlp_http"))?;
    for signal in model::Signal::ALL {
        loop {
            let (place, first) = ledger.open(signal, 1);
            let request = Request::numbered(signal, first, 1, crate::load::now_nanos(), &mut fastrand::Rng::new());
            match door.send(request).await? {
                Answer::Stored => {
                    ledger.acknowledge(place);
                    break;
                }
                answer => {
                    let waited = began.elapsed();
                    ensure!(waited < patience, "after {waited:?} a request is still answered {answer:?}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
    Ok(began.elapsed())
}

/// Asks one row of each signal: whether the server answers.
pub async fn answers(server: &Server) -> anyhow::Result<()> {
    let client = server.client();
    for path in ["/api/v1/logs", "/api/v1/spans", "/api/v1/points"] {
        let params = Params::new().with("limit", "1").with("start", "-1h");
        let answer = client.fetch(path, &params).await.with_context(|| format!("{path} gave no answer"))?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(answer.status == 200, "{path} answered {}: {text}", answer.status);
    }
    Ok(())
}

/// What an undisturbed life finds afterwards, and how long its start took.
pub async fn life_after(setup: &Setup, ledger: &Ledger) -> anyhow::Result<(Findings, Duration)> {
    let restarted = Instant::now();
    let mut server = setup.start().await?;
    let took = restarted.elapsed();
    let mut findings = census::take(&server.client(), ledger).await?;
    findings.in_parts = end(setup, &mut server, ledger).await?.map(Box::new);
    Ok((findings, took))
}

/// Ends an undisturbed life: by a kill, or, if somebody else reads the parts, with all rows in them; and what that one finds.
pub async fn end(setup: &Setup, server: &mut Server, ledger: &Ledger) -> anyhow::Result<Option<Findings>> {
    let Some(reader) = setup.reader() else {
        server.kill().await?;
        return Ok(None);
    };
    let status = server.stop(STOP_MAX).await?;
    ensure!(status.success(), "an undisturbed life ended with {status}: {}", setup.stderr());
    reader.take(&setup.data_dir(), ledger).await.map(Some)
}

/// Sums a second life up, which began at `began` and has ended, by what an undisturbed third one finds.
pub async fn sum_up(
    setup: &Setup,
    ledger: &Ledger,
    seed: u64,
    fault: String,
    began: Instant,
    mut wrong: Vec<String>,
) -> anyhow::Result<Trial> {
    let killed_after_ms = u64::try_from(began.elapsed().as_millis())?;
    let (findings, ready_after) = life_after(setup, ledger).await?;
    wrong.extend(findings.describe());
    Ok(Trial {
        seed,
        fault,
        life: 2,
        killed_after_ms,
        acknowledged: ledger.acknowledged(),
        rows: findings.rows,
        rows_in_parts: findings.rows_in_parts(),
        ready_after_ms: u64::try_from(ready_after.as_millis())?,
        wrong: wrong.join(", "),
    })
}
