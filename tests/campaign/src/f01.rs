//! F01: each fault of the shop fires its alert and is found. A demo runs; one fault after the other is started by the command line, as a person would; the webhook of its alert is waited
//! for, and then the record that names the cause is looked for, again by the command line. Before, the healthy shop has to be silent for a while.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::binary::{Subject, hermetic};
use crate::progress::Progress;

/// A fault, the alerts any of which is its own, and the filter of the record that names the cause.
const FAULTS: [(&str, &[&str], &str); 10] = [
    ("payments-error", &["BreakerOpen", "ErrorRateHigh"], "event_name:=payment.failed"),
    ("slow-database", &["DatabaseSlow", "DatabasePoolExhausted"], "event_name:=db.slow"),
    ("cache-flush", &["CacheHitRatioLow"], "event_name:=cache.flushed"),
    ("replica-lag", &["ReplicaLagging"], "event_name:=replica.lagging"),
    ("queue-stall", &["QueueLagging", "QueueStalled"], "event_name:=queue.stalled"),
    ("memory-leak", &["MemoryGrowing"], "event_name:=process.growing"),
    ("disk-fill", &["VolumeFull"], "event_name:=letters.full"),
    ("noisy-neighbour", &["ProcessBusy"], "event_name:=process.busy"),
    ("bad-deploy", &["InstanceFailing"], "event_name:=order.failed discounts"),
    ("instance-crash", &["InstanceCrashLooping"], "event_name:=service.crash"),
];

/// The demo's whole start.
const START_MAX: Duration = Duration::from_secs(120);

/// From a fault to its webhook.
const WEBHOOK_MAX: Duration = Duration::from_secs(240);

/// What is looked for is stored by then; metrics come first only because rules are asked often.
const RECORD_MAX: Duration = Duration::from_secs(30);

/// Between the end of a fault and the next one: traffic, caches and queues are as before.
const REST: Duration = Duration::from_secs(30);

/// How hard and how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Orders a second.
    pub rate: f64,
    /// How long the healthy shop is watched first.
    pub healthy: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self { rate: 8.0, healthy: Duration::from_secs(180) }
    }
}

/// What became of one fault.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    fault: &'static str,
    alert: Option<String>,
    seconds_to_webhook: Option<f64>,
    cause: Option<String>,
}

/// What became of all of them.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    faults: Vec<Found>,
    /// What fired though nothing was wrong.
    false_alarms: BTreeSet<String>,
}

impl Table {
    /// Whether each fault was told of and found, and nothing else was.
    pub fn held(&self) -> bool {
        self.false_alarms.is_empty() && self.faults.iter().all(|fault| fault.alert.is_some() && fault.cause.is_some())
    }

    /// For people.
    pub fn to_table(&self) -> String {
        let mut table = format!("{:<16} {:<22} {:>7}  the record that names the cause\n", "fault", "alert", "webhook");
        for Found { fault, alert, seconds_to_webhook, cause } in &self.faults {
            let seconds = seconds_to_webhook.map_or("none".to_owned(), |seconds| format!("{seconds:.0} s"));
            let (alert, cause) = (alert.as_deref().unwrap_or("-"), cause.as_deref().unwrap_or("-"));
            // Writing into a String cannot fail.
            let _ = writeln!(table, "{fault:<16} {alert:<22} {seconds:>7}  {cause}");
        }
        for alarm in &self.false_alarms {
            let _ = writeln!(table, "WRONG: {alarm} fired while nothing was wrong");
        }
        let _ = writeln!(table, "\nF01: {}", if self.held() { "held" } else { "failed" });
        table
    }
}

/// Breaks the shop in each way.
pub async fn run(subject: &Subject, plan: &Plan, progress: &Progress) -> anyhow::Result<Table> {
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    progress.steps(FAULTS.len() + 2);
    let opened = Demo::start(subject, directory.path(), plan.rate);
    let mut demo = progress.step("opening the shop", START_MAX, opened).await?;
    let healthy = async {
        sleep(plan.healthy).await;
        Ok(())
    };
    progress.step("watching the healthy shop", plan.healthy + START_MAX, healthy).await?;
    let false_alarms = demo.firing().into_iter().map(|alarm| alarm.name).collect();
    let mut faults = Vec::new();
    for (fault, alerts, cause) in FAULTS {
        let broken = demo.break_it(fault, alerts, cause);
        faults.push(progress.step(fault, 2 * WEBHOOK_MAX, broken).await?);
        sleep(REST).await;
    }
    demo.stop().await?;
    Ok(Table { faults, false_alarms })
}

struct Demo {
    child: Child,
    binary: PathBuf,
    directory: PathBuf,
    webhooks: PathBuf,
    url: String,
    shop: String,
}

struct Alarm {
    name: String,
}

impl Demo {
    async fn start(subject: &Subject, directory: &Path, rate: f64) -> anyhow::Result<Self> {
        let webhooks = directory.join("webhooks.ndjson");
        let any = "127.0.0.1:0";
        let mut command = hermetic(subject.binary(), directory);
        command.args(["demo", "--otlp-grpc", any, "--otlp-http", any, "--http", any, "--shop", any]);
        command.arg("--webhooks").arg(&webhooks).args(["--rate", &rate.to_string()]).env("TMPDIR", directory);
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start the demo")?;
        let mut lines = BufReader::new(child.stdout.take().context("the demo has no stdout")?).lines();
        let (mut url, mut shop) = (None, None);
        let begun = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix("http ") {
                    url = Some(format!("http://{address}"));
                }
                // The first of the commands that break it has the flag, because the port is any.
                if let Some((_, address)) = line.split_once(" shop faults --shop ") {
                    shop = Some(address.trim().to_owned());
                }
                if line.starts_with("Ctrl-C stops") {
                    return anyhow::Ok(());
                }
            }
            bail!("the demo ended early")
        };
        timeout(START_MAX, begun).await.context("the demo did not begin in time")??;
        // It goes on speaking, and must never meet a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let url = url.context("the demo did not say where it answers")?;
        let shop = shop.context("the demo did not say how to break it")?;
        Ok(Self { child, binary: subject.binary().to_owned(), directory: directory.to_owned(), webhooks, url, shop })
    }

    /// Everything that has been told of as firing.
    fn firing(&self) -> Vec<Alarm> {
        let text = std::fs::read_to_string(&self.webhooks).unwrap_or_default();
        let payloads = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let alerts = payloads.flat_map(|payload| payload["alerts"].as_array().cloned().unwrap_or_default());
        let firing = alerts.filter(|alert| alert["status"] == "firing");
        firing.filter_map(|alert| Some(Alarm { name: alert["labels"]["alertname"].as_str()?.to_owned() })).collect()
    }

    async fn break_it(&mut self, fault: &'static str, alerts: &[&str], cause: &str) -> anyhow::Result<Found> {
        let before = self.firing().len();
        let since = std::time::SystemTime::now();
        self.ask(&["shop", "fault", fault, "--shop", &self.shop]).await?;
        let began = Instant::now();
        let mut alert = None;
        while alert.is_none() && began.elapsed() < WEBHOOK_MAX {
            sleep(Duration::from_millis(250)).await;
            alert = self.firing().into_iter().skip(before).find(|alarm| alerts.contains(&alarm.name.as_str()));
        }
        let seconds_to_webhook = alert.as_ref().map(|_| began.elapsed().as_secs_f64());
        let cause = self.record(cause, since).await?;
        self.ask(&["shop", "fault", fault, "--stop", "--shop", &self.shop]).await?;
        Ok(Found { fault, alert: alert.map(|alarm| alarm.name), seconds_to_webhook, cause })
    }

    /// The newest record since then that the filter finds, in a line.
    async fn record(&self, filter: &str, since: std::time::SystemTime) -> anyhow::Result<Option<String>> {
        let deadline = Instant::now() + RECORD_MAX;
        loop {
            let seconds = since.elapsed().unwrap_or_default().as_secs() + 1;
            let arguments =
                ["logs", filter, "--since", &format!("{seconds}s"), "--limit", "1", "--json", "--url", &self.url];
            // Nothing found is an exit code of its own.
            let found = self.command(&arguments).await?;
            if let Some(line) = found.lines().next()
                && let Ok(record) = serde_json::from_str::<Value>(line)
            {
                let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
                return Ok(Some(format!("{}: {}", text("service"), text("body"))));
            }
            if Instant::now() > deadline {
                return Ok(None);
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn ask(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = hermetic(&self.binary, &self.directory).args(arguments).output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.success(), "`{}`: {said}", arguments.join(" "));
        Ok(())
    }

    async fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = hermetic(&self.binary, &self.directory).args(arguments).output().await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        let id = self.child.id().context("the demo has ended")?.to_string();
        Command::new("kill").args(["-INT", &id]).status().await?;
        let status = timeout(START_MAX, self.child.wait()).await.context("the demo does not stop")??;
        anyhow::ensure!(status.success(), "the demo ended with {status}");
        Ok(())
    }
}
