//! R16: a port that another process has, and as many connections as files may be open. The first is said and ends the start; after
//! the second the server takes connections again as soon as some are gone.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::TcpStream;

use crate::binary::{Setup, Subject};
use crate::faults;
use crate::ledger::Ledger;
use crate::report::{Report, Trial};

/// Fewer than the connections of a trial, enough for the server itself.
const FILES_MAX: u64 = 64;
const CONNECTIONS: usize = 120;
/// From the last connection's end until records are taken.
const RECOVERY_MAX: Duration = Duration::from_secs(10);

/// Makes `trials` trials, by turns; `progress` is told after each.
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
        let ledger = Arc::new(Ledger::default());
        let began = Instant::now();
        let (fault, mut wrong) = if number % 2 == 0 {
            ("a port is taken", port_taken(subject, directory.path()).await?)
        } else {
            ("no file is left", out_of_files(&setup, &ledger).await?)
        };
        let killed_after_ms = u64::try_from(began.elapsed().as_millis())?;
        let (findings, ready_after) = faults::life_after(&setup, &ledger).await?;
        wrong.extend(findings.describe());
        let trial = Trial {
            seed: seed.wrapping_add(number),
            fault: fault.to_owned(),
            life: 1,
            killed_after_ms,
            acknowledged: ledger.acknowledged(),
            rows: findings.rows,
            rows_in_parts: findings.rows_in_parts(),
            ready_after_ms: u64::try_from(ready_after.as_millis())?,
            wrong: wrong.join(", "),
        };
        progress(&trial);
        acknowledged += trial.acknowledged;
        done.push(trial);
    }
    Ok(Report::new("R16", seed, acknowledged, done))
}

async fn port_taken(subject: &Subject, directory: &Path) -> anyhow::Result<Vec<String>> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let mut command = crate::binary::hermetic(subject.binary(), directory);
    command.args(["serve", "--otlp-grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--otlp-http", &address]);
    let ended = tokio::time::timeout(Duration::from_secs(10), command.output()).await;
    let output = ended.context("a server without its port does not end")??;
    let said = String::from_utf8_lossy(&output.stderr);
    let mut wrong = Vec::new();
    if output.status.code() != Some(2) || !said.contains(&address) {
        wrong.push(format!("it ended with {} and said: {said}", output.status));
    }
    if directory.join("sextant-data/manifest.json").exists() {
        wrong.push("a data directory was made before the doors were open".to_owned());
    }
    Ok(wrong)
}

async fn out_of_files(setup: &Setup, ledger: &Ledger) -> anyhow::Result<Vec<String>> {
    let mut server = setup.clone().with_files_max(FILES_MAX).start().await?;
    let address = server.address("otlp_http");
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        // The kernel takes them whether the server does or not.
        match tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(address)).await {
            Ok(Ok(connection)) => held.push(connection),
            _ => break,
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut wrong = Vec::new();
    if server.ended()?.is_some() {
        wrong.push("the server has ended".to_owned());
        return Ok(wrong);
    }
    drop(held);
    if let Err(error) = faults::until_taken(&server, ledger, RECOVERY_MAX).await {
        wrong.push(format!("{error:#}"));
    }
    server.kill().await?;
    Ok(wrong)
}
