//! R26: floods of HTTP/2 frames, over several connections at once. The server ends each connection within bounds, memory stays within
//! the limit and a tenth, and healthy clients are served meanwhile.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::attackers::Attackers;
use crate::binary::{Setup, Subject};
use crate::figures::{Figures, mib};
use crate::floods::{self, Ended, Flood};
use crate::healthy::{Healthy, Turn};
use crate::progress::Progress;
use crate::resident::Watch;

/// What floods may add to what is resident where nobody else sends anything: buffers of connections, and what the allocator
/// keeps of them for a while.
const GROWTH_MAX: u64 = 64 << 20;

/// What a flood may take beside its attack; an attacker that starves on a busy machine sends slowly.
const STEP_PATIENCE: Duration = Duration::from_secs(180);

/// How hard.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Connections at a time.
    pub connections: usize,
    /// How long each flood is; a quiet turn is half as long.
    pub attack: Duration,
    /// Units after which a connection should have been ended.
    pub units_max: u32,
    /// The server's memory limit.
    pub memory_bytes_max: u64,
    /// How many times the quiet p99 of healthy clients the one during attacks may be; none if nobody looks.
    pub factor: Option<u32>,
}

impl Default for Plan {
    fn default() -> Self {
        let (attack, memory_bytes_max) = (Duration::from_secs(6), 400 << 20);
        Self { connections: 8, attack, units_max: 100_000, memory_bytes_max, factor: Some(2) }
    }
}

/// Pours every flood.
pub async fn run(subject: &Subject, plan: &Plan, progress: &Progress) -> anyhow::Result<Figures> {
    let directory = tempfile::tempdir()?;
    let setup = Setup::new(subject, directory.path());
    let limit = plan.memory_bytes_max;
    setup.configure(&format!("log = \"error\"\nmemory_bytes_max = {limit}\n"))?;
    let mut server = setup.start().await?;
    let watch = Watch::start(server.id()?);
    let mut figures = Figures::new("R26");
    let healthy = plan.factor.map(|_| Healthy::start(&server)).transpose()?;
    let at_first = watch.now();
    figures.note("memory limit", mib(limit));
    figures.note("resident at first", mib(at_first));
    let address = server.address("otlp_grpc");
    let attackers = Attackers::new()?;
    let floods = floods::all();
    progress.steps(floods.len());
    for flood in floods {
        let work = async {
            if let Some(healthy) = &healthy {
                healthy.quiet(plan.attack / 2).await;
                healthy.turn(Turn::Attack);
            }
            let ended = attack(flood, address, &attackers, plan).await;
            if let Some(healthy) = &healthy {
                healthy.turn(Turn::Rest);
            }
            ended
        };
        match progress.step(flood.name, plan.attack * 2 + STEP_PATIENCE, work).await {
            Ok(all) => note(flood.name, &all, plan, &watch, &mut figures),
            Err(error) => figures.expect(false, || format!("{error:#}")),
        }
    }
    figures.expect(server.ended()?.is_none(), || format!("the server has ended: {}", setup.stderr()));
    let most = watch.most();
    figures.note("resident at most", mib(most));
    figures.note("resident at the end", mib(watch.now()));
    let allowed = if healthy.is_some() { limit / 10 * 11 } else { at_first + GROWTH_MAX };
    figures.expect(most <= allowed, || format!("{} were resident", mib(most)));
    if let (Some(healthy), Some(factor)) = (healthy, plan.factor) {
        healthy.note(&mut figures, factor);
    }
    server.kill().await?;
    Ok(figures)
}

async fn attack(flood: Flood, address: SocketAddr, attackers: &Attackers, plan: &Plan) -> anyhow::Result<Vec<Ended>> {
    let until = Instant::now() + plan.attack;
    let units_max = plan.units_max;
    let all: Vec<_> = (0..plan.connections)
        .map(|_| {
            attackers.spawn(async move {
                let mut ended = Vec::new();
                // At least once.
                while ended.is_empty() || Instant::now() < until {
                    ended.push(flood.pour(address, units_max).await?);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                std::io::Result::Ok(ended)
            })
        })
        .collect();
    let mut ended = Vec::new();
    for one in all {
        ended.extend(one.await??);
    }
    Ok(ended)
}

fn note(name: &str, all: &[Ended], plan: &Plan, watch: &Watch, figures: &mut Figures) {
    let codes: BTreeSet<String> = all.iter().map(how).collect();
    let most = all.iter().map(|ended| ended.units).max().unwrap_or(0);
    let longest = all.iter().map(|ended| ended.took).max().unwrap_or_default().as_secs_f64();
    let codes = codes.into_iter().collect::<Vec<_>>().join(", ");
    let resident = mib(watch.most());
    figures.note(
        name,
        format!(
            "{} connections: {codes}; at most {most} units, {longest:.1} s; resident at most {resident}",
            all.len()
        ),
    );
    let borne = all.iter().filter(|ended| ended.was_borne()).count();
    let units_max = plan.units_max;
    figures.expect(borne == 0, || format!("{name}: {borne} connections were still open after {units_max} units"));
}

fn how(ended: &Ended) -> String {
    match (ended.seen.goaway, ended.seen.closed) {
        // The standard's ENHANCE_YOUR_CALM and others.
        (Some(0), true) => "closed with NO_ERROR".to_owned(),
        (Some(1), true) => "closed with PROTOCOL_ERROR".to_owned(),
        (Some(5), true) => "closed with STREAM_CLOSED".to_owned(),
        (Some(11), true) => "closed with ENHANCE_YOUR_CALM".to_owned(),
        (Some(code), true) => format!("closed with code {code}"),
        (None, true) => "closed".to_owned(),
        (_, false) if ended.was_borne() => "borne".to_owned(),
        (_, false) => "borne, as it came slowly".to_owned(),
    }
}
