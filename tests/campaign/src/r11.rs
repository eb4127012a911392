//! R11: a thousand connections that send heads and bodies in drops, or read their answers so, and come again when they are
//! closed. A healthy client's 99th percentile is at most doubled, and each of them is closed in its time.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use model::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::binary::{Server, Setup};
use crate::figures::{Figures, Times, mib, ms};
use crate::otlp::Request;
use crate::resident::Watch;

/// How hard.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Slow connections at a time.
    pub connections: usize,
    /// Without the attack, and as long with it.
    pub seconds: Duration,
    /// Log records that slow readers ask for.
    pub records: u64,
    /// How many times the p99 without the attack the one with it may be.
    pub factor: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { connections: 1_000, seconds: Duration::from_secs(60), records: 50_000, factor: 2 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Head,
    Body,
    Http2,
    Reader,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Head, Kind::Body, Kind::Http2, Kind::Reader];

    fn name(self) -> &'static str {
        match self {
            Kind::Head => "heads in drops",
            Kind::Body => "bodies in drops",
            Kind::Http2 => "HTTP/2 without a request",
            Kind::Reader => "answers read in drops",
        }
    }

    // The longest that one may live: its time, a look's interval, and some for a busy machine.
    fn life_max(self) -> Duration {
        Duration::from_secs(match self {
            Kind::Head | Kind::Http2 => 10 + 5,
            Kind::Body => 2 * 10 + 5,
            Kind::Reader => 2 * 30 + 15,
        })
    }
}

#[derive(Debug, Default)]
struct Lives {
    ended: AtomicU64,
    longest_ms: AtomicU64,
}

/// Runs it.
pub async fn run(binary: &Path, plan: &Plan) -> anyhow::Result<Figures> {
    let directory = tempfile::tempdir()?;
    let setup = Setup::new(binary, directory.path());
    setup.configure("log = \"error\"\n")?;
    let mut server = setup.start().await?;
    fill(&server, plan.records).await?;
    let watch = Watch::start(server.id()?);

    let mut figures = Figures::new("R11");
    let before = healthy(&server, plan.seconds).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let lives: Arc<[Lives; 4]> = Arc::default();
    let mut attackers = JoinSet::new();
    for number in 0..plan.connections {
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let (address, stop, lives) = (address(&server, kind, number), Arc::clone(&stop), Arc::clone(&lives));
        attackers.spawn(attack(kind, address, stop, lives));
    }
    let during = healthy(&server, plan.seconds).await?;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = attackers.join_next().await {
        ended.context("an attacker panicked")?;
    }
    let after = healthy(&server, Duration::from_secs(2)).await?;
    figures.expect(server.ended()?.is_none(), || "the server has ended".to_owned());

    figures.note("slow connections", plan.connections);
    for (when, times) in [("before", &before), ("during", &during), ("after", &after)] {
        let [half, most] = [0.5, 0.99].map(|share| ms(times.quantile(share)));
        figures.note(format!("healthy requests {when}"), format!("{}, p50 {half}, p99 {most}", times.len()));
    }
    for (kind, of) in Kind::ALL.into_iter().zip(lives.iter()) {
        let longest = Duration::from_millis(of.longest_ms.load(Ordering::Relaxed));
        let ended = of.ended.load(Ordering::Relaxed);
        figures.note(
            kind.name(),
            format!("{ended} closed by the server, the longest after {:.1} s", longest.as_secs_f64()),
        );
        figures.expect(longest <= kind.life_max(), || format!("{} lived {longest:?}", kind.name()));
    }
    figures.note("resident at most", mib(watch.most()));
    // Below some milliseconds a p99 is the machine's, not the server's.
    let allowed = (plan.factor * before.quantile(0.99)).max(Duration::from_millis(10));
    let p99 = during.quantile(0.99);
    figures.expect(p99 <= allowed, || format!("the p99 is {} instead of at most {}", ms(p99), ms(allowed)));
    server.kill().await?;
    Ok(figures)
}

fn address(server: &Server, kind: Kind, number: usize) -> SocketAddr {
    server.address(match kind {
        Kind::Head if number % 8 < 4 => "http",
        Kind::Head | Kind::Body => "otlp_http",
        Kind::Http2 => "otlp_grpc",
        Kind::Reader => "http",
    })
}

async fn fill(server: &Server, records: u64) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(1);
    let client = tui::Client::new(&server.url("otlp_http"), tui::client::Settings::default())?;
    let mut first = 1;
    while first < records {
        let (body, path) =
            Request::numbered(Signal::Logs, first, 1_000, 1_700_000_000_000_000_000, &mut random).encode();
        let answer = client.post(path, "application/x-protobuf", Bytes::from(body)).await?;
        anyhow::ensure!(answer.status == 200, "cannot fill the store: {}", answer.status);
        first += 1_000;
    }
    Ok(())
}

// Sends small requests one after the other, as an exporter does, and times them.
async fn healthy(server: &Server, patience: Duration) -> anyhow::Result<Times> {
    let client = tui::Client::new(&server.url("otlp_http"), tui::client::Settings::default())?;
    let mut random = fastrand::Rng::with_seed(2);
    let began = Instant::now();
    let mut times = Times::default();
    while began.elapsed() < patience {
        let (body, path) = Request::numbered(Signal::Spans, 1, 10, 1_700_000_000_000_000_000, &mut random).encode();
        let asked = Instant::now();
        let answer = client.post(path, "application/x-protobuf", Bytes::from(body)).await?;
        anyhow::ensure!(answer.status == 200, "a healthy request was answered {}", answer.status);
        times.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(times)
}

async fn attack(kind: Kind, address: SocketAddr, stop: Arc<AtomicBool>, lives: Arc<[Lives; 4]>) {
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let closed = drip(kind, address, &stop).await.is_err();
        if closed && began.elapsed() > Duration::from_millis(500) {
            let of = &lives[kind as usize];
            of.ended.fetch_add(1, Ordering::Relaxed);
            let lived = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            of.longest_ms.fetch_max(lived, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

// An error is the server's end of it.
async fn drip(kind: Kind, address: SocketAddr, stop: &AtomicBool) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // A slow reader's window is small.
    socket.set_recv_buffer_size(4096)?;
    let mut socket = socket.connect(address).await?;
    let opening: &[u8] = match kind {
        Kind::Head => b"GET /api/v1/status HTTP/1.1\r\nX-Drops: ",
        Kind::Body => {
            b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\n"
        }
        Kind::Http2 => b"PRI * HT",
        Kind::Reader => b"GET /api/v1/logs?limit=none&start=0 HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    socket.write_all(opening).await?;
    let mut answer = [0; 16];
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        if kind == Kind::Reader {
            if socket.read(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        }
        if kind != Kind::Http2 {
            socket.write_all(b"x").await?;
        }
        match socket.try_read(&mut answer) {
            Ok(_) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
