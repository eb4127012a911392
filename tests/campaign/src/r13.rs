//! R13: senders with an id among their labels. A million new series of two metrics, ten thousand keys of attributes, values of a mebibyte: each
//! metric stays within its limit, what can be added up is counted to the last point, memory holds, and metrics beside them do not notice.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use model::wire::status::{Receipt, Status};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tokio::task::JoinSet;
use tui::Client;
use tui::client::{Params, Settings};

use crate::binary::{Server, Setup, Subject};
use crate::figures::{Figures, mib};
use crate::otlp;
use crate::progress::Progress;
use crate::resident::Watch;

/// Sends this much later again what was told to come again.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// All of one kind of attack.
const STEP_PATIENCE: Duration = Duration::from_secs(900);

/// A request that is told to come again for so long is a fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two requests of the metric beside the attacks.
const PAUSE: Duration = Duration::from_millis(20);

/// Who attacks: each has an overflow series.
const SERVICES: u64 = 5;

/// How hard.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// New series, half of counters with delta temporality, half of gauges.
    pub series: u64,
    /// Points of one request.
    pub at_once: u64,
    /// Requests at a time.
    pub senders: u64,
    /// The server's memory limit.
    pub memory_bytes_max: u64,
    /// The limit of one metric, if not the one that follows from the memory.
    pub per_metric_max: Option<u64>,
    /// Keys of attributes, and values of a mebibyte.
    pub keys: u64,
    /// Values of a mebibyte.
    pub large: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            series: 1_000_000,
            at_once: 2_500,
            senders: 4,
            memory_bytes_max: 512 << 20,
            per_metric_max: None,
            keys: 10_000,
            large: 200,
        }
    }
}

/// Attacks, and looks at what is left.
pub async fn run(subject: &Subject, plan: &Plan, progress: &Progress) -> anyhow::Result<Figures> {
    let directory = tempfile::tempdir()?;
    let setup = Setup::new(subject, directory.path());
    let limit = plan.memory_bytes_max;
    let per_metric = plan.per_metric_max.map(|max| format!("series_per_metric_max = {max}\n")).unwrap_or_default();
    setup.configure(&format!("log = \"error\"\nmemory_bytes_max = {limit}\n[collector]\n{per_metric}"))?;
    let mut server = setup.start().await?;
    let watch = Watch::start(server.id()?);
    let mut figures = Figures::new("R13");
    figures.note("memory limit", mib(limit));
    figures.note("resident at first", mib(watch.now()));
    let exports = Exports::new(&server)?;
    let beside = Beside::start(exports.clone());

    progress.steps(4);
    let half = plan.series / 2;
    for (name, kind, numbers) in [("calls", Kind::Delta, 0..half), ("level", Kind::Gauge, 0..half)] {
        let began = Instant::now();
        let work = exports.clone().attack(Attack { metric: name, kind, spread: Spread::Values }, numbers, plan);
        match progress.step(&format!("series of attack.{name}"), STEP_PATIENCE, work).await {
            Ok(()) => {
                let rate = half as f64 / began.elapsed().as_secs_f64();
                figures.note(
                    format!("attack.{name}"),
                    format!("{half} series at {rate:.0}/s, resident at most {}", mib(watch.most())),
                );
            }
            Err(error) => figures.expect(false, || format!("{error:#}")),
        }
    }
    for (name, spread, count, at_once) in
        [("keys", Spread::Keys, plan.keys, 500), ("values", Spread::Large, plan.large, 4)]
    {
        let attack = Attack { metric: name, kind: Kind::Gauge, spread };
        let plan = Plan { at_once, ..*plan };
        let work = exports.clone().attack(attack, 0..count, &plan);
        match progress.step(name, STEP_PATIENCE, work).await {
            Ok(()) => figures
                .note(format!("attack.{name}"), format!("{count} of them, resident at most {}", mib(watch.most()))),
            Err(error) => figures.expect(false, || format!("{error:#}")),
        }
    }
    let steady = beside.end().await?;
    figures.note("points beside", steady);

    figures.expect(server.ended()?.is_none(), || format!("the server has ended: {}", setup.stderr()));
    if let Err(error) = check(&server, &exports, half, steady, &mut figures).await {
        figures.expect(false, || format!("{error:#}"));
    }
    let most = watch.most();
    figures.note("resident at most", mib(most));
    figures.note("resident at the end", mib(watch.now()));
    figures.expect(most <= limit / 10 * 11, || format!("{} were resident", mib(most)));
    server.kill().await?;
    Ok(figures)
}

// What is in the books, and what can be asked for.
async fn check(
    server: &Server,
    exports: &Exports,
    half: u64,
    steady: u64,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let client = Client::new(&server.url("http"), Settings::default())?;
    let status: Status = client.status().await?;
    let (max, all) = (status.series.per_metric_max, status.series.known);
    figures.note("series known", format!("{all} of at most {}, {max} of a metric", status.series.known_max));
    figures.expect(all <= status.series.known_max, || format!("{all} series are known"));
    let of_points = |what: fn(&Receipt) -> u64| -> u64 {
        status.receipts.iter().filter(|of| of.signal == "points" && of.service != "(unread)").map(what).sum()
    };
    let (accepted, folded) = (of_points(|of| of.accepted), of_points(|of| of.folded));
    let rejected = of_points(|of| of.rejected.values().sum());
    let sent = exports.sent.load(Ordering::Relaxed);
    figures.note("points", format!("{sent} sent: {accepted} accepted, {folded} folded, {rejected} rejected"));
    figures.expect(accepted + folded + rejected == sent, || "the receipts do not add up".to_owned());
    let told = exports.rejected.load(Ordering::Relaxed);
    figures.expect(rejected == told, || format!("senders were told of {told} rejected points"));
    let rows = status.tables.get("points").map_or(0, |of| of.head_rows + of.part_rows + of.expired_rows);
    figures.expect(rows == accepted, || format!("{rows} points are stored"));

    let ask = async |query: &str| value(&client, query).await.with_context(|| query.to_owned());
    let surplus = half.saturating_sub(max);
    let overflows = if surplus > 0 { SERVICES } else { 0 };
    for (query, expected) in [
        // Every point of the counters is there, whatever its series.
        ("sum(last_over_time(attack_calls_total[1h]))", half),
        ("count(last_over_time(attack_calls_total{otel_metric_overflow=\"\"}[1h]))", half.min(max)),
        ("count(last_over_time(attack_calls_total{otel_metric_overflow=\"true\"}[1h])) or vector(0)", overflows),
        ("count(last_over_time(attack_level[1h]))", half.min(max)),
        ("sum(last_over_time(beside_steps_total[1h]))", steady),
        ("count(count by (__name__) (last_over_time({__name__=~\"beside_new_.+\"}[1h])))", steady / NEW_EACH),
    ] {
        let found = ask(query).await?;
        figures.expect(found == expected, || format!("{query} is {found} instead of {expected}"));
    }
    let limited =
        |metric: &str| status.series.limited.iter().find(|of| of.metric == metric).cloned().unwrap_or_default();
    let folded = limited("attack.calls").folded;
    figures.expect(folded == surplus, || format!("{folded} points were folded instead of {surplus}"));
    let refused: u64 = limited("attack.level").rejected.values().sum();
    figures.expect(refused == surplus, || format!("{refused} gauges were refused instead of {surplus}"));
    let count = |name: &str| status.receipts.iter().filter_map(|of| of.rejected.get(name)).sum::<u64>();
    let (refused, large) = (count("label_value_too_large"), exports.large.load(Ordering::Relaxed));
    figures.expect(refused == large, || format!("{refused} values were refused instead of {large}"));
    let largest = status.series.largest.first().map(|of| of.metric.clone()).unwrap_or_default();
    figures.expect(largest.starts_with("attack."), || format!("the largest metric is {largest:?}"));
    Ok(())
}

// The one number that a query comes to, asked again while the server says to.
async fn value(client: &Client, query: &str) -> anyhow::Result<u64> {
    let began = Instant::now();
    let answer = loop {
        let answer = client.fetch("/api/v1/query", &Params::new().with("query", query)).await?;
        if answer.status != 503 || began.elapsed() > PATIENCE {
            break answer;
        }
        tokio::time::sleep(TRY_AGAIN).await;
    };
    let answer: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let text = answer["data"]["result"][0]["value"][1].as_str().with_context(|| answer.to_string())?;
    let number: f64 = text.parse()?;
    Ok(number as u64)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Delta,
    Gauge,
}

// What makes each point a series of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    Values,
    Keys,
    // A value of just less than a mebibyte, which is the limit of attributes; that of labels is lower.
    Large,
}

#[derive(Clone, Copy, Debug)]
struct Attack {
    metric: &'static str,
    kind: Kind,
    spread: Spread,
}

impl Attack {
    fn request(self, numbers: Range<u64>) -> ExportMetricsServiceRequest {
        let service = format!("attacker-{}", numbers.start / (numbers.end - numbers.start).max(1) % SERVICES);
        let points = numbers.map(|number| match self.spread {
            Spread::Values => point(vec![otlp::text("user.id", number.to_string())]),
            Spread::Keys => point(vec![otlp::text(&format!("key.{number}"), "x")]),
            Spread::Large => point(vec![otlp::text("text", format!("{number}{}", "x".repeat((1 << 20) - 10)))]),
        });
        request(&service, vec![metric_of(&format!("attack.{}", self.metric), self.kind, points.collect())])
    }
}

fn point(attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>) -> NumberDataPoint {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    NumberDataPoint {
        attributes,
        time_unix_nano: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        value: Some(number_data_point::Value::AsInt(1)),
        ..NumberDataPoint::default()
    }
}

fn metric_of(name: &str, kind: Kind, data_points: Vec<NumberDataPoint>) -> Metric {
    let data = match kind {
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points }),
        Kind::Delta => metric::Data::Sum(Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Delta.into(),
            is_monotonic: true,
        }),
    };
    Metric { name: name.to_owned(), data: Some(data), ..Metric::default() }
}

fn request(service: &str, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let resource = Some(Resource { attributes: vec![otlp::text("service.name", service)], ..Resource::default() });
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

const SERIES: &str = "collector.series_per_metric_max";
const LABEL_VALUE: &str = "collector.label_value_bytes_max";

// Everything that is sent, and what was said about it.
#[derive(Clone, Debug)]
struct Exports {
    client: Client,
    sent: Arc<AtomicU64>,
    rejected: Arc<AtomicU64>,
    large: Arc<AtomicU64>,
}

impl Exports {
    fn new(server: &Server) -> anyhow::Result<Self> {
        let client = Client::new(&server.url("otlp_http"), Settings::default())?;
        Ok(Self { client, sent: Arc::default(), rejected: Arc::default(), large: Arc::default() })
    }

    // Sends until it is taken, as senders do.
    async fn send(
        &self,
        request: ExportMetricsServiceRequest,
        points: u64,
    ) -> anyhow::Result<ExportMetricsPartialSuccess> {
        let body = Bytes::from(request.encode_to_vec());
        let began = Instant::now();
        let answer = loop {
            let answer = self.client.post("/v1/metrics", "application/x-protobuf", body.clone()).await?;
            match answer.status {
                200 => break answer,
                503 if began.elapsed() < PATIENCE => tokio::time::sleep(TRY_AGAIN).await,
                status => bail!("it was answered {status}"),
            }
        };
        let partial = ExportMetricsServiceResponse::decode(answer.body)?.partial_success.unwrap_or_default();
        self.sent.fetch_add(points, Ordering::Relaxed);
        self.rejected.fetch_add(u64::try_from(partial.rejected_data_points)?, Ordering::Relaxed);
        Ok(partial)
    }

    async fn attack(self, attack: Attack, numbers: Range<u64>, plan: &Plan) -> anyhow::Result<()> {
        let next = Arc::new(AtomicU64::new(numbers.start));
        let (at_once, end) = (plan.at_once, numbers.end);
        let mut senders = JoinSet::new();
        for _ in 0..plan.senders {
            let (exports, next) = (self.clone(), Arc::clone(&next));
            senders.spawn(async move {
                loop {
                    let first = next.fetch_add(at_once, Ordering::Relaxed);
                    if first >= end {
                        return anyhow::Ok(());
                    }
                    let numbers = first..end.min(first + at_once);
                    let points = numbers.end - numbers.start;
                    let partial = exports.send(attack.request(numbers), points).await?;
                    let is_large = attack.spread == Spread::Large;
                    exports.large.fetch_add(if is_large { points } else { 0 }, Ordering::Relaxed);
                    let limit = if is_large { LABEL_VALUE } else { SERIES };
                    let says = &partial.error_message;
                    let named = says.is_empty() || says.contains(attack.metric) && says.contains(limit);
                    anyhow::ensure!(named, "the answer does not name the metric and its limit: {says}");
                }
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended.context("a sender panicked")??;
        }
        Ok(())
    }
}

/// Of so many points beside the attacks one is of a new metric too.
const NEW_EACH: u64 = 10;

// A counter that goes on, and now and then a new metric, while others are attacked.
struct Beside {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<anyhow::Result<u64>>,
}

impl Beside {
    fn start(exports: Exports) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            for number in 0.. {
                if number % NEW_EACH == 0 && stopped.load(Ordering::Relaxed) {
                    return Ok(number);
                }
                let mut metrics = vec![metric_of("beside.steps", Kind::Delta, vec![point(Vec::new())])];
                if number % NEW_EACH == NEW_EACH - 1 {
                    metrics.push(metric_of(&format!("beside.new.{number}"), Kind::Gauge, vec![point(Vec::new())]));
                }
                let points = metrics.len() as u64;
                let partial = exports.send(request("beside", metrics), points).await?;
                anyhow::ensure!(partial.error_message.is_empty(), "beside the attacks: {}", partial.error_message);
                tokio::time::sleep(PAUSE).await;
            }
            Ok(0)
        });
        Self { stop, task }
    }

    // How many points of the counter there were.
    async fn end(self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.context("the client beside the attacks panicked")?
    }
}
