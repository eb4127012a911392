//! R07 once more on a real file system that is small: it fills up under load, gets room again, fills up once more without a warning.
//!
//! The file system is a tmpfs of this process's own making, which takes the right to mount.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::binary::{Server, Setup, Subject};
use crate::faults;
use crate::ledger::Ledger;
use crate::load::{Load, Plan};
use crate::report::Trial;

const MIB: u64 = 1 << 20;
/// Of the file system; a third of it is ballast until the disk has been full once.
const SIZE_MIB: u64 = 64;
const BALLAST_MIB: u64 = 20;

/// Flushes, merges and segments as often as on the other disks of R07.
const CONFIG: &str = "\
log = \"warn\"
[store]
wal_segment_bytes = 1048576
flush_bytes = 1048576
flush_interval_s = 1
free_bytes_min = 16777216
reserve_bytes = 4194304
";

/// From the first request until the disk is full.
const FILL_MAX: Duration = Duration::from_secs(120);
/// From room on the disk until records are taken again.
const RESUME_MAX: Duration = Duration::from_secs(20);

/// A mounted tmpfs; unmounted when it is dropped.
struct Mount(tempfile::TempDir);

impl Mount {
    async fn new() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let size = format!("size={SIZE_MIB}m");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "sextant-small"]).arg(directory.path()).kill_on_drop(true);
        let output = command.output().await.context("cannot run mount")?;
        ensure!(output.status.success(), "cannot mount: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What cannot be unmounted goes with the machine.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// The trial; `None` where nothing may be mounted.
pub async fn run(subject: &Subject, seed: u64) -> anyhow::Result<Option<Trial>> {
    let mount = match Mount::new().await {
        Ok(mount) => mount,
        Err(error) => {
            eprintln!("no small file system: {error:#}");
            return Ok(None);
        }
    };
    let setup = Setup::new(subject, mount.path());
    setup.configure(CONFIG)?;
    let ballast = mount.path().join("ballast");
    std::fs::write(&ballast, vec![1; usize::try_from(BALLAST_MIB * MIB)?])?;
    let ledger = Arc::new(Ledger::default());
    let (began, mut wrong) = (Instant::now(), Vec::new());
    let mut server = setup.start().await?;
    fill(&server, &ledger, seed, &mut wrong).await?;
    std::fs::remove_file(&ballast)?;
    if let Err(error) = faults::until_taken(&server, &ledger, RESUME_MAX).await {
        wrong.push(format!("it did not resume: {error:#}"));
    }
    fill(&server, &ledger, seed.wrapping_add(1), &mut wrong).await?;
    match server.ended()? {
        Some(status) => wrong.push(format!("the server ended with {status}")),
        None => server.kill().await?,
    }
    if setup.stderr().contains("panicked") {
        wrong.push("the server panicked".to_owned());
    }
    // The next life finds a full disk, and says nothing but what is there.
    let fault = format!("a tmpfs of {SIZE_MIB} MiB");
    faults::sum_up(&setup, &ledger, seed, fault, began, wrong).await.map(Some)
}

// Loads the server until it says that the disk is full, and some more; it answers all the same.
async fn fill(server: &Server, ledger: &Arc<Ledger>, seed: u64, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    // As much as is taken: senders wait when they are told to.
    let plan = Plan { connections: 6, records_max: 40, requests_max: u64::MAX, seed, pause: None };
    let load = Load::start(server, ledger, plan)?;
    let began = Instant::now();
    while server.client().status().await?.disk.state != "full" {
        if began.elapsed() > FILL_MAX {
            wrong.push("the disk was never full".to_owned());
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    if let Err(error) = load.end().await {
        wrong.push(format!("{error:#}"));
    }
    if let Err(error) = faults::answers(server).await {
        wrong.push(format!("{error:#}"));
    }
    Ok(())
}
