//! R14: twice the load that can be taken, in a cgroup of 512 MiB. The kernel kills nobody, what was acknowledged is what is
//! stored, refusals say when to come again, and the server takes requests at once when the load is gone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use model::Signal;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tui::Client;
use tui::client::Settings;

use crate::binary::{Server, Setup};
use crate::census;
use crate::cgroup::Cgroup;
use crate::figures::{Figures, mib};
use crate::ledger::Ledger;
use crate::otlp::{Request, text};
use crate::raw;
use crate::resident::Watch;

const CGROUP_BYTES: u64 = 512 << 20;
const RECORDS_MAX: u64 = 100;
const PADDING_BYTES: usize = 4_000;
/// Requests under way at a time: what a crowd of exporters would have.
const AT_A_TIME: usize = 256;
const RECOVERY_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Counts {
    offered: AtomicU64,
    stored: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
}

/// Overloads for `seconds`.
pub async fn run(binary: &Path, seconds: Duration, seed: u64) -> anyhow::Result<Figures> {
    let mut figures = Figures::new("R14");
    let directory = tempfile::tempdir()?;
    let cgroup = Cgroup::new(CGROUP_BYTES);
    let (setup, mut config) = (Setup::new(binary, directory.path()), "log = \"error\"\n".to_owned());
    let setup = match &cgroup {
        Ok(cgroup) => {
            figures.note("held in", format!("{} of {}", cgroup.kind(), mib(CGROUP_BYTES)));
            setup.in_cgroup(cgroup.directory())
        }
        Err(error) => {
            // The limit of the process is tested all the same, only not the kernel's patience.
            figures.note("held in", format!("no cgroup ({error:#}): memory_bytes_max alone"));
            config.push_str(&format!("memory_bytes_max = {}\n", CGROUP_BYTES / 4 * 3));
            setup
        }
    };
    setup.configure(&config)?;
    let mut server = setup.start().await?;
    let watch = Watch::start(server.id()?);
    let ledger = Arc::new(Ledger::default());

    // What it can take: as many as are taken when a few wait for each other.
    let capacity = {
        let counts = Arc::new(Counts::default());
        let patience = (seconds / 6).max(Duration::from_secs(2));
        load(&server, &ledger, &counts, patience, 8, None, seed).await?;
        counts.stored.load(Ordering::Relaxed) as f64 / patience.as_secs_f64()
    };
    figures.note("capacity", format!("{capacity:.0} requests/s"));
    let counts = Arc::new(Counts::default());
    let pace = Duration::from_secs_f64(1.0 / (2.0 * capacity).max(1.0));
    let wrong = load(&server, &ledger, &counts, seconds, AT_A_TIME, Some(pace), seed + 1).await?;
    let relieved = Instant::now();
    let recovered = recovery(&server, &ledger, relieved).await?;

    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let per_s = |number: u64| number as f64 / seconds.as_secs_f64();
    let (offered, stored, refused) = (count(&counts.offered), count(&counts.stored), count(&counts.refused));
    figures.note("overload", format!("{} s, {offered} requests, {:.0}/s", seconds.as_secs(), per_s(offered)));
    figures.note(
        "bytes sent",
        format!("{}, {}/s", mib(count(&counts.bytes)), mib(count(&counts.bytes) / seconds.as_secs())),
    );
    figures.note("stored", format!("{stored} requests, {:.0}/s", per_s(stored)));
    figures.note("refused for now", format!("{refused} requests"));
    figures.note("recovery", format!("{:.2} s", recovered.as_secs_f64()));
    figures.note("resident at most", mib(watch.most()));
    figures.wrong.extend(wrong.into_iter().take(5));
    figures.expect(recovered < RECOVERY_MAX, || format!("it took {recovered:?} to recover"));
    figures.expect(stored > 0, || "nothing was stored".to_owned());

    check_books(&server, &ledger, &mut figures).await?;
    figures.expect(server.ended()?.is_none(), || "the server has ended".to_owned());
    if let Ok(cgroup) = &cgroup {
        figures.note("the cgroup's most, files included", cgroup.most().map_or("?".to_owned(), mib));
        figures.note("kills by the kernel", cgroup.kills().map_or("?".to_owned(), |kills| kills.to_string()));
        figures.expect(cgroup.kills().unwrap_or(0) == 0, || "the kernel has killed the server".to_owned());
    }
    server.kill().await?;
    Ok(figures)
}

// Acknowledged = on the receipts = to be asked for.
async fn check_books(server: &Server, ledger: &Ledger, figures: &mut Figures) -> anyhow::Result<()> {
    let findings = census::take(&server.client(), ledger).await?;
    let receipts = server.client().status().await?.receipts;
    let accepted: u64 = receipts.iter().map(|of| of.accepted).sum();
    let (acknowledged, rows) = (ledger.acknowledged(), findings.rows);
    figures.note("records", format!("{acknowledged} acknowledged, {accepted} on receipts, {rows} stored"));
    figures.expect(findings.is_clean(), || {
        let [lost, repeated] = [&findings.lost, &findings.repeated].map(Vec::len);
        format!("{lost} lost, {repeated} repeated, {} unknown", findings.unknown.len())
    });
    figures.expect(accepted == rows, || format!("{accepted} on receipts, but {rows} stored"));
    figures.expect(acknowledged == rows, || format!("{acknowledged} acknowledged, but {rows} stored"));
    Ok(())
}

// One request at each tick of `pace`, or as soon as one is answered; never more than `at_a_time` under way.
async fn load(
    server: &Server,
    ledger: &Arc<Ledger>,
    counts: &Arc<Counts>,
    patience: Duration,
    at_a_time: usize,
    pace: Option<Duration>,
    seed: u64,
) -> anyhow::Result<Vec<String>> {
    let places = Arc::new(Semaphore::new(at_a_time));
    let sender = Sender::new(server, ledger, counts)?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ticks = tokio::time::interval(pace.unwrap_or(Duration::from_micros(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let (began, mut under_way, mut wrong) = (Instant::now(), JoinSet::new(), Vec::new());
    while began.elapsed() < patience {
        if pace.is_some() {
            ticks.tick().await;
        }
        let place = Arc::clone(&places).acquire_owned().await?;
        let (sender, random) = (sender.clone(), random.fork());
        under_way.spawn(async move {
            let _place = place;
            sender.send(random).await
        });
        while let Some(ended) = under_way.try_join_next() {
            wrong.extend(ended.context("a sender panicked")?.err().map(|error| format!("{error:#}")));
        }
    }
    while let Some(ended) = under_way.join_next().await {
        wrong.extend(ended.context("a sender panicked")?.err().map(|error| format!("{error:#}")));
    }
    Ok(wrong)
}

// Until one request of each signal is taken.
async fn recovery(server: &Server, ledger: &Arc<Ledger>, since: Instant) -> anyhow::Result<Duration> {
    let counts = Arc::new(Counts::default());
    let sender = Sender::new(server, ledger, &counts)?;
    while counts.stored.load(Ordering::Relaxed) < 3 && since.elapsed() < 2 * RECOVERY_MAX {
        sender.send(fastrand::Rng::new()).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(since.elapsed())
}

#[derive(Clone)]
struct Sender {
    http: Client,
    grpc: std::net::SocketAddr,
    ledger: Arc<Ledger>,
    counts: Arc<Counts>,
}

impl Sender {
    fn new(server: &Server, ledger: &Arc<Ledger>, counts: &Arc<Counts>) -> anyhow::Result<Self> {
        Ok(Self {
            http: Client::new(&server.url("otlp_http"), Settings::default())?,
            grpc: server.address("otlp_grpc"),
            ledger: Arc::clone(ledger),
            counts: Arc::clone(counts),
        })
    }

    // An error is an answer that no server may give.
    async fn send(&self, mut random: fastrand::Rng) -> anyhow::Result<()> {
        let signal = Signal::ALL[random.usize(..Signal::ALL.len())];
        let count = random.u64(1..=RECORDS_MAX);
        let (place, first) = self.ledger.open(signal, count);
        let mut request = Request::numbered(signal, first, count, 1_700_000_000_000_000_000, &mut random);
        if let Request::Logs(logs) = &mut request {
            let records =
                logs.resource_logs.iter_mut().flat_map(|of| &mut of.scope_logs).flat_map(|of| &mut of.log_records);
            records.for_each(|record: &mut LogRecord| {
                let padding: String = (0..PADDING_BYTES).map(|_| random.alphanumeric()).collect();
                record.attributes.push(text("padding", padding));
            });
        }
        let (body, path) = request.encode();
        self.counts.offered.fetch_add(1, Ordering::Relaxed);
        self.counts.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        // A connection of its own for a tenth, as of exporters that come and go.
        let stored =
            if random.u8(..10) == 0 { self.over_grpc(signal, body).await? } else { self.over_http(path, body).await? };
        if stored {
            self.ledger.acknowledge(place);
            self.counts.stored.fetch_add(1, Ordering::Relaxed);
        } else {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn over_http(&self, path: &str, body: Vec<u8>) -> anyhow::Result<bool> {
        let answer = self.http.post(path, "application/x-protobuf", Bytes::from(body)).await.context("over HTTP")?;
        match answer.status {
            200 => Ok(true),
            // A Status with a RetryInfo.
            503 if answer.body.windows(9).any(|window| window == b"RetryInfo") => Ok(false),
            status => anyhow::bail!("a valid request was answered {status} over HTTP"),
        }
    }

    async fn over_grpc(&self, signal: Signal, body: Vec<u8>) -> anyhow::Result<bool> {
        let path = match signal {
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Signal::Spans => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Points => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        };
        let frame = raw::frame(false, u32::try_from(body.len())?, &body);
        let answer = raw::grpc(self.grpc, path, None, frame, (1 << 20, Duration::ZERO)).await.context("over gRPC")?;
        match answer.grpc {
            Some(0) => Ok(true),
            Some(14) if answer.retry => Ok(false),
            code => anyhow::bail!("a valid request was answered {code:?} over gRPC"),
        }
    }
}
