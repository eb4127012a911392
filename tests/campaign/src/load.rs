//! Load from several connections at once, half of them gRPC, half HTTP, until the server is gone or enough is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tui::Client;
use tui::client::Settings;

use crate::binary::Server;
use crate::ledger::Ledger;
use crate::otlp::Request;

/// A sender that is refused waits so long: less than it is told, so that a disk that works again is seen at once.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Connections, half of each protocol.
    pub connections: u64,
    /// Records of one request, at most.
    pub records_max: u64,
    /// Requests of one connection, at most; the bound that holds if nobody kills the server.
    pub requests_max: u64,
    /// Where the randomness of sizes and contents begins.
    pub seed: u64,
    /// A connection sends so often, if it is not held up; as soon as it is answered if none.
    pub pause: Option<Duration>,
}

/// Load under way.
#[derive(Debug)]
pub struct Load {
    senders: JoinSet<anyhow::Result<()>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Begins to send to `server` and to write it down in `ledger`.
    pub fn start(server: &Server, ledger: &Arc<Ledger>, plan: Plan) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut senders = JoinSet::new();
        for connection in 0..plan.connections {
            let door = match connection % 2 {
                0 => Door::grpc(&server.url("otlp_grpc"))?,
                _ => Door::http(&server.url("otlp_http"))?,
            };
            let seed = plan.seed.wrapping_mul(1_000).wrapping_add(connection);
            let sender = Sender { door, ledger: Arc::clone(ledger), stop: Arc::clone(&stop), plan };
            senders.spawn(sender.run(fastrand::Rng::with_seed(seed)));
        }
        Ok(Self { senders, stop })
    }

    /// Waits until every connection is done: because it was told to, has sent enough, or the server is gone. An error is
    /// what no server may answer, dead or alive.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.wait().await
    }

    /// As [`Load::end`], but lets every connection send all it has.
    pub async fn wait(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.senders.join_next().await {
            ended.context("a sender panicked")??;
        }
        Ok(())
    }
}

struct Sender {
    door: Door,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    plan: Plan,
}

impl Sender {
    async fn run(mut self, mut random: fastrand::Rng) -> anyhow::Result<()> {
        let mut ticks = self.plan.pause.map(tokio::time::interval);
        for _ in 0..self.plan.requests_max {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let signal = Signal::ALL[random.usize(0..Signal::ALL.len())];
            let count = random.u64(1..=self.plan.records_max);
            let (place, first) = self.ledger.open(signal, count);
            let request = Request::numbered(signal, first, count, now_nanos(), &mut random);
            match self.door.send(request).await? {
                Answer::Stored => self.ledger.acknowledge(place),
                Answer::TryAgain => tokio::time::sleep(TRY_AGAIN).await,
                Answer::Gone => break,
            }
        }
        Ok(())
    }
}

/// Now, as OTLP writes it.
pub fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or_default()
}

/// What a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Every record is stored.
    Stored,
    /// Refused for now.
    TryAgain,
    /// Nobody answers any more.
    Gone,
}

/// A way to send requests.
#[derive(Clone, Debug)]
pub enum Door {
    /// OTLP/gRPC over one connection.
    Grpc(Channel),
    /// OTLP/HTTP over one connection.
    Http(Box<Client>),
}

impl Door {
    /// Connects when the first request is sent.
    pub fn grpc(url: &str) -> anyhow::Result<Self> {
        Ok(Self::Grpc(Endpoint::from_shared(url.to_owned())?.connect_lazy()))
    }

    /// Connects when the first request is sent.
    pub fn http(url: &str) -> anyhow::Result<Self> {
        Ok(Self::Http(Box::new(Client::new(url, Settings::default())?)))
    }

    /// Sends a request in which every record is valid: that one is rejected is an error here.
    pub async fn send(&mut self, request: Request) -> anyhow::Result<Answer> {
        match self {
            Self::Grpc(channel) => send_grpc(channel.clone(), request).await,
            Self::Http(client) => send_http(client, &request).await,
        }
    }
}

async fn send_grpc(channel: Channel, request: Request) -> anyhow::Result<Answer> {
    let rejected = match request {
        Request::Logs(request) => {
            let answer = LogsServiceClient::new(channel).export(request).await;
            answer.map(|answer| answer.into_inner().partial_success.map_or(0, |partial| partial.rejected_log_records))
        }
        Request::Spans(request) => {
            let answer = TraceServiceClient::new(channel).export(request).await;
            answer.map(|answer| answer.into_inner().partial_success.map_or(0, |partial| partial.rejected_spans))
        }
        Request::Points(request) => {
            let answer = MetricsServiceClient::new(channel).export(request).await;
            answer.map(|answer| answer.into_inner().partial_success.map_or(0, |partial| partial.rejected_data_points))
        }
    };
    match rejected {
        Ok(0) => Ok(Answer::Stored),
        Ok(rejected) => bail!("{rejected} valid records were rejected over gRPC"),
        Err(status) => match status.code() {
            tonic::Code::ResourceExhausted => Ok(Answer::TryAgain),
            // Whoever says when to come again is there.
            tonic::Code::Unavailable if !status.details().is_empty() => Ok(Answer::TryAgain),
            // What a connection says that breaks.
            tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Cancelled | tonic::Code::Internal => {
                Ok(Answer::Gone)
            }
            _ => bail!("a valid request was refused over gRPC: {status}"),
        },
    }
}

async fn send_http(client: &Client, request: &Request) -> anyhow::Result<Answer> {
    let (body, path) = request.encode();
    let answer = match client.post(path, "application/x-protobuf", Bytes::from(body)).await {
        Ok(answer) => answer,
        Err(_) => return Ok(Answer::Gone),
    };
    match answer.status {
        200 => {
            let rejected = rejected(request, &answer.body)?;
            anyhow::ensure!(rejected == 0, "{rejected} valid records were rejected over HTTP");
            Ok(Answer::Stored)
        }
        429 | 503 => Ok(Answer::TryAgain),
        status => bail!("a valid request was refused over HTTP: {status} {}", String::from_utf8_lossy(&answer.body)),
    }
}

fn rejected(request: &Request, body: &[u8]) -> anyhow::Result<i64> {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

    Ok(match request {
        Request::Logs(_) => {
            ExportLogsServiceResponse::decode(body)?.partial_success.map_or(0, |partial| partial.rejected_log_records)
        }
        Request::Spans(_) => {
            ExportTraceServiceResponse::decode(body)?.partial_success.map_or(0, |partial| partial.rejected_spans)
        }
        Request::Points(_) => {
            let partial = ExportMetricsServiceResponse::decode(body)?.partial_success;
            partial.map_or(0, |partial| partial.rejected_data_points)
        }
    })
}
