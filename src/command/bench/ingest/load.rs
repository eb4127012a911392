//! The senders: several connections that post one request after the other, and come again when they are told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use axum::body::Bytes;
use indicatif::ProgressBar;
use model::Signal;
use tui::Client;

use super::payload;
use crate::command::bench::background::Background;

/// Between a refusal that says "later" and the next attempt.
const RETRY: Duration = Duration::from_millis(50);

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Of which kind.
    pub signal: Signal,
    /// Items that were sent before: the payload goes on behind them. Whole requests of them.
    pub begin: u64,
    /// At least so many items, in whole requests.
    pub items: u64,
    /// Connections at a time.
    pub connections: u64,
    /// After so long nothing new is sent.
    pub time_max: Duration,
}

/// What was sent and acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// Items.
    pub items: u64,
    /// Bytes of their requests.
    pub bytes: u64,
    /// Requests.
    pub requests: u64,
    /// Answers that said "later".
    pub shed: u64,
    /// From the first request to the last answer.
    pub took: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    next: AtomicU64,
    items: AtomicU64,
    bytes: AtomicU64,
    requests: AtomicU64,
    shed: AtomicU64,
}

/// Sends everything and waits for the last answer.
pub async fn send(server: &Background, plan: Plan, progress: &ProgressBar) -> anyhow::Result<Sent> {
    let first = plan.begin.div_ceil(payload::request(plan.signal, 0).items);
    let shared = Arc::new(Shared { next: first.into(), ..Shared::default() });
    let began = Instant::now();
    let mut senders = Vec::new();
    for _ in 0..plan.connections {
        let client = server.client_of("otlp_http")?;
        let (shared, progress) = (Arc::clone(&shared), progress.clone());
        senders.push(tokio::spawn(async move { sender(&client, plan, first, began, &shared, &progress).await }));
    }
    for sender in senders {
        sender.await.context("a sender ended")??;
    }
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    Ok(Sent {
        items: read(&shared.items),
        bytes: read(&shared.bytes),
        requests: read(&shared.requests),
        shed: read(&shared.shed),
        took: began.elapsed(),
    })
}

async fn sender(
    client: &Client,
    plan: Plan,
    first: u64,
    began: Instant,
    shared: &Shared,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let path = match plan.signal {
        Signal::Logs => "/v1/logs",
        Signal::Spans => "/v1/traces",
        Signal::Points => "/v1/metrics",
    };
    while began.elapsed() < plan.time_max {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let payload::Request { body, items } = payload::request(plan.signal, number);
        if (number - first) * items >= plan.items {
            break;
        }
        let bytes = body.len() as u64;
        post(client, path, body.into(), &shared.shed).await?;
        shared.items.fetch_add(items, Ordering::Relaxed);
        shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        shared.requests.fetch_add(1, Ordering::Relaxed);
        progress.inc(items);
    }
    Ok(())
}

// Until it is stored. That it is refused for good, or in part, is a defect of the payload or of the server.
async fn post(client: &Client, path: &str, body: Bytes, shed: &AtomicU64) -> anyhow::Result<()> {
    loop {
        let answer = client.post(path, "application/x-protobuf", body.clone()).await?;
        match answer.status {
            200 if answer.body.is_empty() => return Ok(()),
            503 => {
                shed.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(RETRY).await;
            }
            status => {
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                return Err(anyhow!("{path} answered {status}: {said:?}"));
            }
        }
    }
}
