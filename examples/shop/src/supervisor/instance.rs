//! One instance: its process, the one that takes its place when it ends, and what it says.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::Plan;
use crate::announce;
use crate::config::{ServiceConfig, ServiceName};
use crate::limits::{RESTART_PAUSE, START_MAX, STOP_MAX, TOO_SHORT_A_LIFE, TOO_SHORT_LIVES_MAX};

/// An instance, whichever process it is at the time.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) service: ServiceName,
    pub(super) name: String,
    /// 0 while there is none.
    process: Arc<AtomicU32>,
    stop: watch::Sender<bool>,
    gave_up: Option<oneshot::Receiver<anyhow::Error>>,
    watcher: JoinHandle<()>,
}

/// What it said when it began.
pub(super) struct Said {
    pub(super) listening: SocketAddr,
    pub(super) internal: Option<SocketAddr>,
    pub(super) first_order: oneshot::Receiver<String>,
}

impl Instance {
    /// Returns when it listens.
    pub(super) async fn start(plan: &Plan, config: ServiceConfig) -> anyhow::Result<(Self, Said)> {
        let (service, name) = (config.name, config.instance());
        let (tell, first_order) = oneshot::channel();
        let mut process = Process::start(plan, &config).await?;
        let said = Said { listening: process.listening, internal: process.internal, first_order };
        process.tell = Some(tell);
        let id = Arc::new(AtomicU32::new(process.id()));
        let (stop, stopping) = watch::channel(false);
        let (give_up, gave_up) = oneshot::channel();
        let supervised = Supervised { plan: plan.clone(), config, id: Arc::clone(&id), stopping };
        let watcher = tokio::spawn(async move {
            if let Err(error) = supervised.keep_running(process).await {
                // Nobody may be waiting any more: the shop is being closed.
                let _ = give_up.send(error);
            }
        });
        Ok((Self { service, name, process: id, stop, gave_up: Some(gave_up), watcher }, said))
    }

    /// The process that it is now.
    pub(super) fn process(&self) -> Option<u32> {
        Some(self.process.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    /// Resolves when it is not started any more.
    pub(super) async fn given_up(&mut self) -> anyhow::Error {
        if let Some(gave_up) = &mut self.gave_up
            && let Ok(error) = gave_up.await
        {
            self.gave_up = None;
            return error;
        }
        self.gave_up = None;
        std::future::pending().await
    }

    /// Lets it finish.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        // What is aborted or has panicked is not running either.
        let _ = self.watcher.await;
    }
}

struct Supervised {
    plan: Plan,
    config: ServiceConfig,
    id: Arc<AtomicU32>,
    stopping: watch::Receiver<bool>,
}

impl Supervised {
    async fn keep_running(mut self, mut process: Process) -> anyhow::Result<()> {
        let mut short_lives = 0;
        loop {
            self.id.store(process.id(), Ordering::Relaxed);
            let born = Instant::now();
            let tell = process.tell.take();
            let ended = tokio::select! {
                ended = process.ended(tell) => ended,
                () = told_to_stop(&mut self.stopping) => {
                    process.stop().await;
                    return Ok(());
                }
            };
            self.id.store(0, Ordering::Relaxed);
            let instance = self.config.instance();
            if let Some(version) = ended.successor {
                self.config.version = version;
            } else {
                let lived = born.elapsed();
                short_lives = if lived < TOO_SHORT_A_LIFE { short_lives + 1 } else { 0 };
                if short_lives > TOO_SHORT_LIVES_MAX {
                    bail!(
                        "{instance} ended {short_lives} times within moments of its start, last with {}",
                        ended.status
                    );
                }
                tracing::warn!(%instance, status = %ended.status, "ended unexpectedly, is started again");
                if self.pause(RESTART_PAUSE).await {
                    return Ok(());
                }
            }
            // Ports that were free are so for a new process too, but may not be for the same one at once.
            process = Process::start(&self.plan, &self.config)
                .await
                .with_context(|| format!("cannot start {instance} again"))?;
        }
    }

    /// Whether the shop closes meanwhile.
    async fn pause(&mut self, pause: Duration) -> bool {
        timeout(pause, told_to_stop(&mut self.stopping)).await.is_ok()
    }
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // A sender that is gone has nobody to keep this running for.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// One process of an instance.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    listening: SocketAddr,
    internal: Option<SocketAddr>,
    tell: Option<oneshot::Sender<String>>,
}

struct Ended {
    status: String,
    /// The version that shall take its place.
    successor: Option<String>,
}

impl Process {
    async fn start(plan: &Plan, config: &ServiceConfig) -> anyhow::Result<Self> {
        let (program, before) = &plan.program;
        let mut child = Command::new(program)
            .args(before)
            .args(config.to_args())
            .envs(plan.variables.iter().map(|(name, value)| (name, value)))
            // Unlike arguments, an environment is nobody else's to read.
            .envs(config.to_variables())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C in a terminal reaches every process of the foreground group; the services are stopped in order instead.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let stdout = child.stdout.take().context("the process has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let begun = timeout(START_MAX, addresses(&mut lines)).await;
        let begun = begun.map_err(|_| anyhow!("it did not listen within {START_MAX:?}"))?;
        let Some((listening, internal)) = begun? else {
            let status = child.wait().await.context("cannot tell how it ended")?;
            bail!("it ended before it listened: {status}");
        };
        Ok(Self { child, lines, listening, internal, tell: None })
    }

    fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Listens to it until it ends, so that it never meets a closed or full pipe.
    async fn ended(&mut self, mut tell: Option<oneshot::Sender<String>>) -> Ended {
        let mut successor = None;
        while let Ok(Some(line)) = self.lines.next_line().await {
            if let Some(version) = line.strip_prefix(announce::REDEPLOY) {
                successor = Some(version.to_owned());
            }
            if let Some(id) = line.strip_prefix(announce::ORDER)
                && let Some(tell) = tell.take()
            {
                // Nobody may be waiting any more.
                let _ = tell.send(id.to_owned());
            }
        }
        let status = self.child.wait().await;
        let status = status.map_or_else(|error| error.to_string(), |status: ExitStatus| status.to_string());
        Ended { status, successor }
    }

    async fn stop(mut self) {
        drop(self.child.stdin.take());
        let quiet = async {
            while let Ok(Some(_)) = self.lines.next_line().await {}
            self.child.wait().await
        };
        if timeout(STOP_MAX, quiet).await.is_err() {
            tracing::warn!(process = self.id(), "a service did not stop in time and is ended");
            // It is ended either way when `child` is dropped.
            let _ = self.child.kill().await;
        }
    }
}

// None if it ended before.
async fn addresses(
    lines: &mut Lines<BufReader<ChildStdout>>,
) -> anyhow::Result<Option<(SocketAddr, Option<SocketAddr>)>> {
    let read = |address: &str| address.parse().with_context(|| format!("{address:?} is no address"));
    let mut internal = None;
    while let Some(line) = lines.next_line().await? {
        if let Some(address) = line.strip_prefix(announce::INTERNAL) {
            internal = Some(read(address)?);
        }
        if let Some(address) = line.strip_prefix(announce::LISTENING) {
            return Ok(Some((read(address)?, internal)));
        }
    }
    Ok(None)
}
