//! R11: a thousand connections that say and read as little as they can, and come again when they are closed. The 99th percentile of
//! healthy clients is at most doubled, and each slow one is closed in its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use model::Signal;
use tokio::time::sleep;

use crate::attackers::Attackers;
use crate::binary::{Server, Setup, Subject};
use crate::figures::{Figures, mib};
use crate::healthy::{Healthy, Turn};
use crate::otlp::Request;
use crate::progress::Progress;
use crate::resident::Watch;
use crate::slow::{self, End, Kind};

/// Connections are opened over so long: a thousand at one moment are the machine's affair.
const RAMP: Duration = Duration::from_secs(2);

/// Between two lives of an attacker.
const PAUSE: Duration = Duration::from_millis(500);

/// How hard.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Slow connections at a time.
    pub connections: usize,
    /// Which.
    pub kinds: Vec<Kind>,
    /// Quiet turns and attacks.
    pub rounds: u64,
    /// How long an attack is; a quiet turn is half as long.
    pub attack: Duration,
    /// Log records that slow readers ask for.
    pub records: u64,
    /// The server's memory limit.
    pub memory_bytes_max: u64,
    /// How many times the quiet p99 of healthy clients the one during attacks may be; none if nobody looks.
    pub factor: Option<u32>,
}

impl Default for Plan {
    fn default() -> Self {
        let kinds = Kind::ALL.to_vec();
        let (attack, memory_bytes_max) = (Duration::from_secs(90), 400 << 20);
        Self { connections: 1_000, kinds, rounds: 3, attack, records: 50_000, memory_bytes_max, factor: Some(2) }
    }
}

#[derive(Debug, Default)]
struct Lives {
    closed: AtomicU64,
    refused: AtomicU64,
    longest_ms: AtomicU64,
}

/// Runs it.
pub async fn run(subject: &Subject, plan: &Plan, progress: &Progress) -> anyhow::Result<Figures> {
    let directory = tempfile::tempdir()?;
    let setup = Setup::new(subject, directory.path());
    let limit = plan.memory_bytes_max;
    // What readers ask for lies in parts soon: it is dearer to read there.
    let settings = format!("log = \"error\"\nmemory_bytes_max = {limit}\n[store]\nflush_interval_s = 30\n");
    setup.configure(&settings)?;
    let mut server = setup.start().await?;
    let rounds = usize::try_from(plan.rounds)?;
    progress.steps(1 + 2 * rounds);
    progress.step("filling", Duration::from_secs(300), fill(&server, plan.records)).await?;
    let watch = Watch::start(server.id()?);
    let mut figures = Figures::new("R11");
    figures.note("slow connections", plan.connections);
    figures.note("memory limit", mib(limit));
    figures.note("resident at first", mib(watch.now()));
    let healthy = plan.factor.map(|_| Healthy::start(&server)).transpose()?;
    let lives: Arc<Vec<Lives>> = Arc::new(plan.kinds.iter().map(|_| Lives::default()).collect());
    for round in 1..=rounds {
        if let Some(healthy) = &healthy {
            let quiet = async {
                healthy.quiet(plan.attack / 2).await;
                Ok(())
            };
            progress.step(&format!("quiet, round {round}"), plan.attack * 2, quiet).await?;
        }
        let patience = plan.attack * 2 + Duration::from_secs(60);
        let attack = attack(&server, plan, &lives, healthy.as_ref());
        progress.step(&format!("attack, round {round}"), patience, attack).await?;
    }
    figures.expect(server.ended()?.is_none(), || format!("the server has ended: {}", setup.stderr()));
    for (kind, of) in plan.kinds.iter().zip(lives.iter()) {
        let longest = Duration::from_millis(of.longest_ms.load(Ordering::Relaxed));
        let [closed, refused] = [&of.closed, &of.refused].map(|count| count.load(Ordering::Relaxed));
        let (seconds, allowed) = (longest.as_secs_f64(), kind.life_max().as_secs());
        let busy = if refused == 0 { String::new() } else { format!(", {refused} not let in") };
        figures.note(
            kind.name(),
            format!("{closed} closed{busy}; the longest lived {seconds:.1} s of {allowed} s at most"),
        );
        figures.expect(longest <= kind.life_max(), || format!("{} lived {seconds:.1} s", kind.name()));
        let long_enough = plan.attack > kind.life_max() + RAMP;
        figures.expect(!long_enough || closed > 0, || format!("none of {} was closed", kind.name()));
    }
    let most = watch.most();
    figures.note("resident at most", mib(most));
    figures.expect(most <= limit / 10 * 11, || format!("{} were resident", mib(most)));
    if let (Some(healthy), Some(factor)) = (healthy, plan.factor) {
        healthy.note(&mut figures, factor);
    }
    server.kill().await?;
    Ok(figures)
}

async fn fill(server: &Server, records: u64) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(1);
    let client = tui::Client::new(&server.url("otlp_http"), tui::client::Settings::default())?;
    let mut first = 1;
    while first < records {
        // A record a millisecond.
        let now_nanos = 1_700_000_000_000_000_000 + first * 1_000_000;
        let (body, path) = Request::numbered(Signal::Logs, first, 1_000, now_nanos, &mut random).encode();
        let answer = client.post(path, "application/x-protobuf", Bytes::from(body)).await?;
        anyhow::ensure!(answer.status == 200, "cannot fill the store: {}", answer.status);
        first += 1_000;
    }
    Ok(())
}

async fn attack(
    server: &Server,
    plan: &Plan,
    lives: &Arc<Vec<Lives>>,
    healthy: Option<&Healthy>,
) -> anyhow::Result<()> {
    let attackers = Attackers::new()?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut all = Vec::new();
    for number in 0..plan.connections {
        let at = number % plan.kinds.len();
        let kind = plan.kinds[at];
        let address = server.address(kind.door(number / plan.kinds.len()));
        let (stop, lives) = (Arc::clone(&stop), Arc::clone(lives));
        let delay = RAMP.mul_f64(number as f64 / plan.connections as f64);
        all.push(attackers.spawn(async move {
            sleep(delay).await;
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                let end = slow::live(kind, number, address, &stop).await;
                lives[at].count(end, began.elapsed());
                sleep(PAUSE).await;
            }
        }));
    }
    sleep(RAMP).await;
    if let Some(healthy) = healthy {
        healthy.turn(Turn::Attack);
    }
    sleep(plan.attack).await;
    if let Some(healthy) = healthy {
        healthy.turn(Turn::Rest);
    }
    stop.store(true, Ordering::Relaxed);
    for attacker in all {
        attacker.await.context("an attacker panicked")?;
    }
    Ok(())
}

impl Lives {
    fn count(&self, end: End, lived: Duration) {
        match end {
            End::Closed => _ = self.closed.fetch_add(1, Ordering::Relaxed),
            End::Refused => _ = self.refused.fetch_add(1, Ordering::Relaxed),
            End::Alive => {}
        }
        // One that is still there has lived as long as well.
        if end != End::Refused {
            let lived = u64::try_from(lived.as_millis()).unwrap_or(u64::MAX);
            self.longest_ms.fetch_max(lived, Ordering::Relaxed);
        }
    }
}
