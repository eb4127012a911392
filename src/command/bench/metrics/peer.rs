//! The Prometheus beside: a binary that is there, with a directory and a port of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tui::Client;
use tui::client::{Params, Settings};

/// Blocks and a log of hours are read within this.
const READY_TIMEOUT: Duration = Duration::from_secs(300);

/// Words that it understands.
#[derive(Clone, Debug)]
pub struct Peer(PathBuf);

impl Peer {
    /// The binary of this name or path, if it runs.
    pub fn find(binary: &str) -> Option<Self> {
        let there = std::process::Command::new(binary).arg("--version").output();
        there.is_ok_and(|output| output.status.success()).then(|| Self(binary.into()))
    }

    /// Starts it on nothing.
    pub async fn start(&self) -> anyhow::Result<Running> {
        let directory = tempfile::Builder::new().prefix("sextant-bench-prometheus-").tempdir();
        self.start_in(directory.context("cannot make a directory for Prometheus's data")?).await
    }

    async fn start_in(&self, directory: TempDir) -> anyhow::Result<Running> {
        // It does not say which port it was given: one that was free a moment ago.
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
            listener.local_addr().context("cannot tell the bound address")?.to_string()
        };
        let file = directory.path().join("prometheus.yml");
        std::fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
        let child = Command::new(&self.0)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .args([
                "--web.enable-remote-write-receiver",
                "--web.enable-admin-api",
                "--storage.tsdb.retention.time=100y",
            ])
            .args(["--query.timeout=10m", "--log.level=error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.0.display()))?;
        let running = Running { peer: self.clone(), child, directory, address };
        let client = running.client(Duration::from_secs(5))?;
        let ready = async {
            while !client.fetch("/-/ready", &Params::new()).await.is_ok_and(|answer| answer.status == 200) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(READY_TIMEOUT, ready).await.context("Prometheus does not become ready")?;
        Ok(running)
    }
}

/// A process. Ended when it is dropped.
#[derive(Debug)]
pub struct Running {
    peer: Peer,
    child: Child,
    directory: TempDir,
    address: String,
}

impl Running {
    /// A client that waits so long for an answer.
    pub fn client(&self, silence_max: Duration) -> anyhow::Result<Client> {
        Ok(Client::new(&format!("http://{}", self.address), Settings { silence_max, ..Settings::default() })?)
    }

    /// The process.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("Prometheus has ended")
    }

    /// Kills it and starts it on what it has left.
    pub async fn again(mut self) -> anyhow::Result<Self> {
        self.child.kill().await.context("cannot kill Prometheus")?;
        self.peer.start_in(self.directory).await
    }

    /// Bytes of all samples in blocks: of a snapshot, which has those as blocks that are still in memory, too.
    pub async fn bytes_at_rest(&self) -> anyhow::Result<u64> {
        let client = self.client(Duration::from_secs(600))?;
        let answer = client.post("/api/v1/admin/tsdb/snapshot", "application/x-www-form-urlencoded", "".into()).await?;
        ensure!(answer.status == 200, "Prometheus makes no snapshot: {}", String::from_utf8_lossy(&answer.body));
        let answer: Value = serde_json::from_slice(&answer.body).context("Prometheus's answer is no JSON")?;
        let name = answer["data"]["name"].as_str().context("Prometheus does not name its snapshot")?;
        let snapshot = self.directory.path().join("tsdb/snapshots").join(name);
        let bytes = bytes_in(&snapshot)?;
        std::fs::remove_dir_all(&snapshot).with_context(|| format!("cannot remove {}", snapshot.display()))?;
        Ok(bytes)
    }
}

fn bytes_in(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { bytes_in(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}
