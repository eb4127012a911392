//! R12: bodies that grow, lie and nest, on both transports, many at once. Each is refused in the words of its protocol, memory
//! stays within the limit and a tenth, and healthy clients are served meanwhile.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::attackers::Attackers;
use crate::binary::{Server, Setup, Subject};
use crate::bombs::{self, Bomb};
use crate::figures::{Figures, mib};
use crate::healthy::{Healthy, Turn};
use crate::progress::Progress;
use crate::raw::{self, Answered};
use crate::resident::Watch;

const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// Bombs that the server waits for, at a time: each costs it nothing but patience.
const WAITING_AT_A_TIME: usize = 64;

/// A bomb that is alone and comes again as it is told is refused for good within this time.
const JUDGED_WITHIN: Duration = Duration::from_secs(60);

/// One shape on one transport.
const STEP_PATIENCE: Duration = Duration::from_secs(300);

/// How hard.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How often each shape is sent on each transport: once alone, the rest at once.
    pub trials: u64,
    /// At a time.
    pub at_a_time: usize,
    /// The server's memory limit.
    pub memory_bytes_max: u64,
    /// The server's limit of a request; no more than the sixteenth of its memory that it would be lowered to.
    pub request_mib_max: usize,
    /// The time that it gives to bodies.
    pub body_timeout_s: u64,
    /// What the largest grow to.
    pub large_mib: usize,
    /// The quiet turn before each shape.
    pub quiet: Duration,
    /// How many times the quiet p99 of healthy clients the one during attacks may be; none if nobody looks.
    pub factor: Option<u32>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            trials: 50,
            at_a_time: 8,
            memory_bytes_max: 400 << 20,
            request_mib_max: 24,
            body_timeout_s: 30,
            large_mib: 4_096,
            quiet: Duration::from_secs(3),
            factor: Some(2),
        }
    }
}

/// Throws every shape.
pub async fn run(subject: &Subject, plan: &Plan, progress: &Progress) -> anyhow::Result<Figures> {
    let (request_bytes_max, large_mib) = (plan.request_mib_max << 20, plan.large_mib);
    let bombs = tokio::task::spawn_blocking(move || bombs::all(request_bytes_max, large_mib)).await??;
    let directory = tempfile::tempdir()?;
    let setup = Setup::new(subject, directory.path());
    let limit = plan.memory_bytes_max;
    setup.configure(&format!(
        "log = \"error\"\nmemory_bytes_max = {limit}\n[collector]\nrequest_bytes_max = {request_bytes_max}\nbody_timeout_s = {}\n",
        plan.body_timeout_s
    ))?;
    let mut server = setup.start().await?;
    let watch = Watch::start(server.id()?);
    let mut figures = Figures::new("R12");
    figures.note("memory limit", mib(limit));
    figures.note("resident at first", mib(watch.now()));
    let healthy = plan.factor.map(|_| Healthy::start(&server)).transpose()?;
    let attackers = Attackers::new()?;

    progress.steps(bombs.iter().map(|bomb| 1 + usize::from(!bomb.grpc.is_empty())).sum());
    for bomb in bombs {
        let bomb = Arc::new(bomb);
        for transport in [Transport::Http, Transport::Grpc] {
            if transport == Transport::Grpc && bomb.grpc.is_empty() {
                continue;
            }
            let name = format!("{} over {}", bomb.name, transport.name());
            let throw = Throw { bomb: Arc::clone(&bomb), wire: bomb.wire(transport == Transport::Grpc)?, transport };
            let work = async {
                if let Some(healthy) = &healthy {
                    healthy.quiet(plan.quiet).await;
                    healthy.turn(Turn::Attack);
                }
                let thrown = throw.many(&server, &attackers, plan).await;
                if let Some(healthy) = &healthy {
                    healthy.turn(Turn::Rest);
                }
                thrown
            };
            match progress.step(&name, STEP_PATIENCE, work).await {
                Ok(thrown) => thrown.note(name, &throw, &watch, &mut figures),
                Err(error) => figures.expect(false, || format!("{error:#}")),
            }
        }
    }

    figures.expect(server.ended()?.is_none(), || format!("the server has ended: {}", setup.stderr()));
    let most = watch.most();
    figures.note("resident at most", mib(most));
    figures.note("resident at the end", mib(watch.now()));
    figures.expect(most <= limit / 10 * 11, || format!("{} were resident", mib(most)));
    if let (Some(healthy), Some(factor)) = (healthy, plan.factor) {
        healthy.note(&mut figures, factor);
    }
    server.kill().await?;
    Ok(figures)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Http,
    Grpc,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Transport::Http => "HTTP",
            Transport::Grpc => "gRPC",
        }
    }
}

// A shape on a transport.
#[derive(Clone, Debug)]
struct Throw {
    bomb: Arc<Bomb>,
    wire: Bytes,
    transport: Transport,
}

// How often which answer came, and what is wrong with them.
struct Thrown {
    answers: BTreeMap<String, u64>,
    wrong: Vec<String>,
    took: Duration,
}

impl Throw {
    // Once alone, when the answer must be the right one; then many at once, when "come again" is right as well.
    async fn many(&self, server: &Server, attackers: &Attackers, plan: &Plan) -> anyhow::Result<Thrown> {
        let address = server.address(match self.transport {
            Transport::Http => "otlp_http",
            Transport::Grpc => "otlp_grpc",
        });
        let began = Instant::now();
        let one = self.clone();
        let alone = attackers.spawn(async move { one.send_until_judged(address).await }).await??;
        let places = Arc::new(Semaphore::new(if self.bomb.waits { WAITING_AT_A_TIME } else { plan.at_a_time }));
        let mut all = Vec::new();
        for _ in 1..plan.trials {
            let (one, places) = (self.clone(), Arc::clone(&places));
            all.push(attackers.spawn(async move {
                let _place = places.acquire().await?;
                one.send(address).await
            }));
        }
        let mut answers = BTreeMap::from([(name(&alone), 1)]);
        let mut wrong = Vec::new();
        if !self.is_right(&alone) {
            wrong.push(format!("alone it was answered {alone:?}"));
        }
        for answer in all {
            let answer = answer.await?.context("it was not answered")?;
            *answers.entry(name(&answer)).or_default() += 1;
            if !is_for_now(&answer) && !self.is_right(&answer) {
                wrong.push(format!("it was answered {answer:?}"));
            }
        }
        Ok(Thrown { answers, wrong, took: began.elapsed() })
    }

    fn is_right(&self, answer: &Answered) -> bool {
        answer.grpc.map_or_else(|| self.bomb.http.contains(&answer.status), |code| self.bomb.grpc.contains(&code))
    }

    // Comes again as it is told: what was thrown before may still be in memory.
    async fn send_until_judged(&self, address: SocketAddr) -> anyhow::Result<Answered> {
        let deadline = Instant::now() + JUDGED_WITHIN;
        loop {
            let answer = self.send(address).await?;
            if self.is_right(&answer) || !is_for_now(&answer) || Instant::now() > deadline {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn send(&self, address: SocketAddr) -> anyhow::Result<Answered> {
        let Bomb { encoding, pieces, .. } = *self.bomb;
        match self.transport {
            Transport::Http => raw::http1(address, &self.bomb.head(), &self.wire, pieces).await,
            Transport::Grpc => raw::grpc(address, EXPORT, encoding, self.wire.clone(), pieces).await,
        }
    }
}

impl Thrown {
    fn note(self, name: String, throw: &Throw, watch: &Watch, figures: &mut Figures) {
        let answers: Vec<String> =
            self.answers.iter().map(|(answer, count)| format!("{answer} {count} times")).collect();
        let kib = throw.wire.len() / 1024;
        let (took, most) = (self.took.as_secs_f64(), mib(watch.most()));
        figures.note(&name, format!("{kib} KiB: {} in {took:.1} s; resident at most {most}", answers.join(", ")));
        for wrong in self.wrong {
            figures.expect(false, || format!("{name}: {wrong}"));
        }
    }
}

fn is_for_now(answer: &Answered) -> bool {
    answer.retry && (answer.status == 503 || answer.grpc == Some(14))
}

fn name(answer: &Answered) -> String {
    let again = if answer.retry { ", come again" } else { "" };
    match answer.grpc {
        Some(code) => format!("code {code}{again}"),
        None => format!("{}{again}", answer.status),
    }
}
