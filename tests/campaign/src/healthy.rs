//! Healthy clients beside an attack: one exports, one asks, each one small request after the other, on a thread of their own, so
//! that whatever the attack does in this process is not taken for the server's delay.
//!
//! Quiet times and attacks take turns in one run, and the times of all turns are pooled: on a machine that others use as well,
//! two long stretches one after the other would compare the others, not the server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use model::Signal;
use tui::Client;
use tui::client::{Params, Settings};

use crate::binary::Server;
use crate::figures::{Figures, Times, ms};
use crate::otlp::Request;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);

/// A request that takes longer is a fault of its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// Below this a p99 is the slices of the machine's scheduler, not the server.
const FLOOR: Duration = Duration::from_millis(2);

/// What a request's time is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Turn {
    /// Between two others: not counted.
    Rest,
    /// Nobody attacks.
    Quiet,
    /// Somebody does.
    Attack,
    /// They end.
    Stop,
}

/// Times of one client, by turn.
#[derive(Clone, Debug, Default)]
pub struct Book {
    quiet: Times,
    attack: Times,
    // Answers that said to come again, during attacks, by what they said. Waiting for that belongs to a request's time.
    told_to_come_again: BTreeMap<String, u64>,
}

/// Clients at work. Dropped, they stop.
#[derive(Debug)]
pub struct Healthy {
    turn: Arc<AtomicU8>,
    threads: Vec<(&'static str, JoinHandle<anyhow::Result<Book>>)>,
}

impl Healthy {
    /// They begin, at rest.
    pub fn start(server: &Server) -> anyhow::Result<Self> {
        let turn = Arc::new(AtomicU8::new(Turn::Rest as u8));
        let exporter = Client::new(&server.url("otlp_http"), Settings::default())?;
        let asker = Client::new(&server.url("http"), Settings::default())?;
        let threads = vec![
            ("exports", spawn(Arc::clone(&turn), exporter, export)?),
            ("queries", spawn(Arc::clone(&turn), asker, ask)?),
        ];
        Ok(Self { turn, threads })
    }

    /// From now on it is this turn.
    pub fn turn(&self, turn: Turn) {
        self.turn.store(turn as u8, Ordering::Relaxed);
    }

    /// A quiet turn of this length.
    pub async fn quiet(&self, length: Duration) {
        self.turn(Turn::Quiet);
        tokio::time::sleep(length).await;
        self.turn(Turn::Rest);
    }

    /// Ends, and notes what was seen: during attacks the p99 must be at most `factor` times the quiet one.
    pub fn note(mut self, figures: &mut Figures, factor: u32) {
        self.turn(Turn::Stop);
        for (what, thread) in std::mem::take(&mut self.threads) {
            let book = thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the client panicked")));
            match book {
                Ok(book) => book.note(what, figures, factor),
                Err(error) => figures.expect(false, || format!("healthy {what} went wrong: {error:#}")),
            }
        }
    }
}

impl Drop for Healthy {
    fn drop(&mut self) {
        self.turn(Turn::Stop);
    }
}

impl Book {
    fn note(&self, what: &str, figures: &mut Figures, factor: u32) {
        for (when, times) in [("quiet", &self.quiet), ("attacked", &self.attack)] {
            let [half, most] = [0.5, 0.99].map(|share| ms(times.quantile(share)));
            figures.note(format!("healthy {what}, {when}"), format!("{}, p50 {half}, p99 {most}", times.len()));
        }
        let all: u64 = self.told_to_come_again.values().sum();
        let why: Vec<String> = self.told_to_come_again.iter().map(|(why, count)| format!("{count}: {why}")).collect();
        figures.note(format!("healthy {what} told to come again"), format!("{all} {}", why.join("; ")).trim_end());
        let (quiet, attacked) = (self.quiet.quantile(0.99), self.attack.quantile(0.99));
        let allowed = (factor * quiet).max(FLOOR);
        figures.expect(attacked <= allowed, || {
            format!("the p99 of healthy {what} is {} instead of at most {}", ms(attacked), ms(allowed))
        });
    }
}

// The status, and what the answer says.
type Attempt = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<(u16, Bytes)>> + Send>>;

fn spawn(
    turn: Arc<AtomicU8>,
    client: Client,
    attempt: fn(Client, u64) -> Attempt,
) -> anyhow::Result<JoinHandle<anyhow::Result<Book>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("healthy".to_owned());
    Ok(thread.spawn(move || runtime.block_on(work(&turn, &client, attempt)))?)
}

async fn work(turn: &AtomicU8, client: &Client, attempt: fn(Client, u64) -> Attempt) -> anyhow::Result<Book> {
    let mut book = Book::default();
    for number in 1.. {
        let now = turn.load(Ordering::Relaxed);
        if now == Turn::Stop as u8 {
            break;
        }
        let (began, mut again) = (Instant::now(), Vec::new());
        // A healthy client does as it is told and comes again.
        loop {
            let status = tokio::time::timeout(PATIENCE, attempt(client.clone(), number)).await;
            match status.context("no answer in time")?? {
                (200, _) => break,
                (503, why) if began.elapsed() < PATIENCE => again.push(why),
                (status, _) => anyhow::bail!("it was answered {status}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // A request belongs to the turn in which it began: what an attack delays ends after it.
        if now == Turn::Quiet as u8 {
            book.quiet.push(began.elapsed());
        } else if now == Turn::Attack as u8 {
            book.attack.push(began.elapsed());
            for why in again {
                // Of a binary message the text in it.
                let why = String::from_utf8_lossy(&why).replace(|c: char| c.is_control() || c == '\u{fffd}', " ");
                *book.told_to_come_again.entry(why.trim().to_owned()).or_default() += 1;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(book)
}

fn export(client: Client, number: u64) -> Attempt {
    Box::pin(async move {
        let mut random = fastrand::Rng::with_seed(number);
        let first = number * 10;
        let (body, path) = Request::numbered(Signal::Spans, first, 10, 1_700_000_000_000_000_000, &mut random).encode();
        let answer = client.post(path, "application/x-protobuf", Bytes::from(body)).await?;
        Ok((answer.status, answer.body))
    })
}

fn ask(client: Client, number: u64) -> Attempt {
    Box::pin(async move {
        let params = Params::new().with("query", format!("service:service-{}", number % 5)).with("limit", "20");
        let answer = client.fetch("/api/v1/logs", &params).await?;
        Ok((answer.status, answer.body))
    })
}
