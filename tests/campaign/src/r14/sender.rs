//! The load: requests of all signals over both transports, at a pace or as fast as they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use bytes::Bytes;
use model::Signal;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tui::Client;
use tui::client::Settings;

use crate::binary::Server;
use crate::ledger::Ledger;
use crate::otlp::{Request, text};
use crate::raw;

const RECORDS_MAX: u64 = 100;
const PADDING_BYTES: usize = 4_000;
/// How long an answer may take on a busy machine; over gRPC it is as long.
const PATIENCE: Duration = Duration::from_secs(90);

/// What became of the requests.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) offered: AtomicU64,
    pub(super) stored: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// One request at each tick of `pace`, or as soon as one is answered; never more than `at_a_time` under way.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) patience: Duration,
    pub(super) at_a_time: usize,
    pub(super) pace: Option<Duration>,
    pub(super) seed: u64,
}

impl Load {
    /// Answers what no server may say.
    pub(super) async fn put(&self, sender: &Sender) -> anyhow::Result<Vec<String>> {
        let places = Arc::new(Semaphore::new(self.at_a_time));
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut ticks = tokio::time::interval(self.pace.unwrap_or(Duration::from_micros(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        let (began, mut under_way, mut wrong) = (Instant::now(), JoinSet::new(), Vec::new());
        while began.elapsed() < self.patience {
            if self.pace.is_some() {
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
}

/// Sends requests, and writes down what they were answered. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    http: Client,
    grpc: std::net::SocketAddr,
    ledger: Arc<Ledger>,
    counts: Arc<Counts>,
}

impl Sender {
    pub(super) fn new(server: &Server, ledger: &Arc<Ledger>, counts: &Arc<Counts>) -> anyhow::Result<Self> {
        Ok(Self {
            http: Client::new(&server.url("otlp_http"), Settings { silence_max: PATIENCE, ..Settings::default() })?,
            grpc: server.address("otlp_grpc"),
            ledger: Arc::clone(ledger),
            counts: Arc::clone(counts),
        })
    }

    /// An error is an answer that no server may give.
    pub(super) async fn send(&self, mut random: fastrand::Rng) -> anyhow::Result<()> {
        let signal = Signal::ALL[random.usize(..Signal::ALL.len())];
        let count = random.u64(1..=RECORDS_MAX);
        let (place, first) = self.ledger.open(signal, count);
        let mut request = Request::numbered(signal, first, count, now_nanos(), &mut random);
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

// Records are of now: who looks at the last minute reads the newest of them.
fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(0)
}
