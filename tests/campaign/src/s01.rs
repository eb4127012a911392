//! S01: the collector of a service under load is killed, and comes back minutes later. No request of the service fails, its memory stays within the bound that `sextant-sdk` promises,
//! and what was lost is told when the collector is back: what is stored and what is told of as lost is together what was made.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use model::wire::logs::LogRow;
use model::wire::spans::SpanRow;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tui::Client;
use tui::client::{Row, RowsRequest};

use crate::binary::{Setup, Subject, hermetic};
use crate::figures::{Figures, Times, ms};
use crate::progress::Progress;
use crate::resident::Watch;

/// What the SDK promises to hold while nobody takes it.
const BOUND: u64 = 64 << 20;

/// Beside its queues the allocator keeps what is freed for a while.
const ALLOWANCE: u64 = 16 << 20;

/// Spans and log records of each request.
const SPANS: u64 = 1;
const LOGS: u64 = 3;

/// A request whose answer was lost is sent again, and may be stored twice; one batch of each signal at the most.
const REPEATED_MAX: u64 = 2_048;

/// How hard and how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Requests a second.
    pub rate: u32,
    /// With a collector, before and after.
    pub with: Duration,
    /// Without.
    pub away: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self { rate: 1_000, with: Duration::from_secs(10), away: Duration::from_secs(120) }
    }
}

/// Runs it.
pub async fn run(subject: &Subject, plan: &Plan, progress: &Progress) -> anyhow::Result<Figures> {
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let setup = Setup::new(subject, directory.path()).unread().with_ports(free_ports()?);
    let mut figures = Figures::new("S01");
    progress.steps(5);
    let patience = Duration::from_secs(60);
    let mut server = progress.step("starting", patience, setup.start()).await?;
    let (mut service, address) = start_service(subject, &server.url("otlp_http"), directory.path()).await?;
    let id = service.id().context("the service has ended")?;
    let watch = Watch::start(id);
    let load = Load::start(address, plan.rate);

    progress.step("with a collector", plan.with + patience, rest(plan.with)).await?;
    let before = watch.now();
    server.kill().await?;
    progress.step("without", plan.away + patience, rest(plan.away)).await?;
    let mut server = progress.step("starting again", patience, setup.start()).await?;
    progress.step("with one again", plan.with + patience, rest(plan.with)).await?;
    let (made, failed, times) = load.end().await?;
    // The end of its stdin ends it, with what waits.
    drop(service.stdin.take());
    let ended = tokio::time::timeout(patience, service.wait()).await.context("the service did not end")??;

    let client = server.client();
    let spans = count::<SpanRow>(&client, "service:=bench", |_| {}).await?;
    let mut told = [0_u64; 2];
    let mut reports = 0;
    let all_logs = count::<LogRow>(&client, "service:=bench", |log| {
        if log.event_name == "sextant_sdk.lost" {
            reports += 1;
            let lost = |key: &str| log.attributes.get(key).and_then(|value| value.as_u64()).unwrap_or(0);
            told[0] += lost("lost.spans");
            told[1] += lost("lost.log_records");
        }
    })
    .await?;
    let logs = all_logs - reports;
    ensure!(server.stop(patience).await?.success(), "the server does not stop well");

    let grown = watch.most().saturating_sub(before);
    figures.note("requests", format!("{made} at {} a second, {failed} failed", plan.rate));
    figures.note("latency p50, p99", format!("{} and {}", ms(times.quantile(0.5)), ms(times.quantile(0.99))));
    figures.note(
        "memory of the service",
        format!("{} MiB, at most {} MiB more without collector", before >> 20, grown >> 20),
    );
    figures.note("spans", format!("{} made, {spans} stored, {} told of as lost", made * SPANS, told[0]));
    figures.note("log records", format!("{} made, {logs} stored, {} told of as lost", made * LOGS, told[1]));
    figures.note("reports of losses", reports);
    figures.expect(failed == 0, || format!("{failed} requests failed"));
    figures.expect(ended.success(), || format!("the service ended with {ended}"));
    figures.expect(grown <= BOUND + ALLOWANCE, || format!("the service grew by {} MiB", grown >> 20));
    figures.expect(told.iter().all(|told| *told > 0), || "nothing was told of as lost".to_owned());
    for (what, made, found) in [("spans", made * SPANS, spans + told[0]), ("log records", made * LOGS, logs + told[1])]
    {
        let exact = (made..=made + REPEATED_MAX).contains(&found);
        figures.expect(exact, || format!("of {made} {what}, {found} are stored or told of as lost"));
    }
    Ok(figures)
}

async fn rest(time: Duration) -> anyhow::Result<()> {
    sleep(time).await;
    Ok(())
}

// Ports that nobody has now: the server comes back where it was.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    let listeners: Vec<TcpListener> =
        (0..3).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let ports: Vec<u16> =
        listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<std::io::Result<_>>()?;
    Ok([ports[0], ports[1], ports[2]])
}

/// The observed service of `sextant bench sdk`.
async fn start_service(
    subject: &Subject,
    otlp: &str,
    directory: &std::path::Path,
) -> anyhow::Result<(Child, SocketAddr)> {
    let mut command: Command = hermetic(subject.binary(), directory);
    command.args(["bench", "sdk", "--serve", "observed", "--work", "8"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", otlp);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let stdout = child.stdout.take().context("the service has no stdout")?;
    let line = BufReader::new(stdout).lines().next_line().await?.context("the service ended before it listened")?;
    Ok((child, line.parse().with_context(|| format!("{line:?} is no address"))?))
}

/// How many rows a filter finds; each is shown to `look`.
async fn count<R: Row>(client: &Client, filter: &str, mut look: impl FnMut(&R)) -> anyhow::Result<u64> {
    let (mut rows, mut cursor) = (0, None);
    loop {
        let request = RowsRequest {
            query: filter.to_owned(),
            start: cursor.is_none().then(|| "-1h".to_owned()),
            end: None,
            limit: Some("none".to_owned()),
            ascending: true,
            cursor: cursor.take(),
        };
        let mut page = client.rows::<R>(&request).await?;
        while let Some(row) = page.next().await? {
            rows += 1;
            look(&row);
        }
        let meta = page.meta().context("the answer has no end")?;
        ensure!(!meta.partial || meta.cursor.is_some(), "the answer is not complete: {:?}", meta.reason);
        cursor = meta.cursor.clone();
        if cursor.is_none() {
            return Ok(rows);
        }
    }
}

/// Requests at a steady rate over a few connections, whatever the answers take.
struct Load {
    stop: Arc<std::sync::atomic::AtomicBool>,
    failed: Arc<AtomicU64>,
    workers: JoinSet<anyhow::Result<(u64, Times)>>,
}

/// Each asks one request after the other; together they keep the rate.
const CONNECTIONS: u32 = 16;

impl Load {
    fn start(address: SocketAddr, rate: u32) -> Self {
        let (stop, failed) = (Arc::new(std::sync::atomic::AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut workers = JoinSet::new();
        for number in 0..CONNECTIONS {
            let (stop, failed) = (Arc::clone(&stop), Arc::clone(&failed));
            workers.spawn(async move {
                let pause = Duration::from_secs(1) * CONNECTIONS / rate;
                let mut due = Instant::now() + pause * number / CONNECTIONS;
                let mut connection = BufReader::new(TcpStream::connect(address).await?);
                let (mut made, mut times) = (0, Times::default());
                while !stop.load(Ordering::Relaxed) {
                    tokio::time::sleep_until(due).await;
                    due += pause;
                    let asked = Instant::now();
                    made += 1;
                    if ask(&mut connection).await.is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                        connection = BufReader::new(TcpStream::connect(address).await?);
                    }
                    times.push(asked.elapsed());
                }
                Ok((made, times))
            });
        }
        Self { stop, failed, workers }
    }

    async fn end(mut self) -> anyhow::Result<(u64, u64, Times)> {
        self.stop.store(true, Ordering::Relaxed);
        let (mut made, mut times) = (0, Times::default());
        while let Some(worker) = self.workers.join_next().await {
            let (of_one, its_times) = worker??;
            made += of_one;
            times.extend(its_times);
        }
        Ok((made, self.failed.load(Ordering::Relaxed), times))
    }
}

const BODY: &str = r#"{"item":"kettle","quantity":2,"amount_cents":3450}"#;

async fn ask(connection: &mut BufReader<TcpStream>) -> anyhow::Result<()> {
    let request = format!(
        "POST /orders/1 HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    connection.get_mut().write_all(Bytes::from(request).as_ref()).await?;
    let (mut line, mut length, mut status) = (String::new(), 0, String::new());
    loop {
        line.clear();
        ensure!(connection.read_line(&mut line).await? > 0, "the service closed the connection");
        let line = line.trim_end().to_ascii_lowercase();
        if line.starts_with("http/1.1") {
            status = line;
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse::<usize>()?;
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    ensure!(status.contains(" 200"), "the service answered {status}");
    Ok(())
}
