//! One of the two that are measured, as far as they are alike: started, sent to, waited for, started again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use indicatif::ProgressBar;
use tui::Client;

use super::payload::Span;
use super::peer::{Peer, Running};
use crate::command::bench::background::Background;
use crate::command::bench::ingest::{Idle, SETTINGS};
use crate::command::bench::process;

/// Answers take as long as they take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Between a refusal that says "later" and the next attempt.
const RETRY: Duration = Duration::from_millis(50);

/// Which.
#[derive(Clone, Debug)]
pub enum Kind {
    /// This program.
    Sextant,
    /// The other one.
    Prometheus(Peer),
}

impl Kind {
    /// For people.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Sextant => "sextant",
            Kind::Prometheus(_) => "prometheus",
        }
    }
}

/// A server.
pub enum Side {
    /// This program.
    Sextant(Background),
    /// The other one.
    Prometheus(Running),
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Samples.
    pub samples: u64,
    /// From the first request to the last answer.
    pub took: Duration,
    /// The server's processor time until then.
    pub processor: Duration,
}

/// What is left when a server has nothing to do.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    /// Bytes of what is stored.
    pub bytes: u64,
    /// Processor time by then.
    pub processor: Duration,
    /// Whether it had nothing to do.
    pub is_idle: bool,
}

// All series that are alive at a time are of one metric.
fn settings() -> Vec<(&'static str, &'static str)> {
    let own = [("SEXTANT_QUERY_TIME_BUDGET_MS", "600000"), ("SEXTANT_COLLECTOR_SERIES_PER_METRIC_MAX", "100000000")];
    SETTINGS.into_iter().chain(own).collect()
}

impl Side {
    /// A server with nothing in it.
    pub async fn start(kind: &Kind) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Sextant => Self::Sextant(Background::start_with(&settings()).await?),
            Kind::Prometheus(peer) => Self::Prometheus(peer.start().await?),
        })
    }

    /// The same data in a new process.
    pub async fn again(self) -> anyhow::Result<Self> {
        Ok(match self {
            Self::Sextant(server) => Self::Sextant(server.killed_and_started_with(&settings()).await?),
            Self::Prometheus(running) => Self::Prometheus(running.again().await?),
        })
    }

    /// A client of what answers.
    pub fn client(&self) -> anyhow::Result<Client> {
        match self {
            Self::Sextant(server) => server.patient_client_of("http", PATIENCE),
            Self::Prometheus(running) => running.client(PATIENCE),
        }
    }

    fn door(&self) -> anyhow::Result<Client> {
        match self {
            Self::Sextant(server) => server.patient_client_of("otlp_http", PATIENCE),
            Self::Prometheus(running) => running.client(PATIENCE),
        }
    }

    fn id(&self) -> anyhow::Result<u32> {
        match self {
            Self::Sextant(server) => server.id(),
            Self::Prometheus(running) => running.id(),
        }
    }

    /// The memory that it holds.
    pub fn resident_kib(&self) -> anyhow::Result<u64> {
        process::resident_memory_kib(self.id()?)
    }

    /// The most that it has held since it was started.
    pub fn peak_kib(&self) -> anyhow::Result<u64> {
        process::peak_memory_kib(self.id()?)
    }

    /// Sends one group of requests after the other, those of a group at a time: Prometheus takes nothing that is much older than what it has.
    pub async fn send(&self, groups: &[Vec<Span>], bar: &ProgressBar) -> anyhow::Result<Sent> {
        let door = Arc::new(self.door()?);
        let began = Instant::now();
        let mut samples = 0;
        for group in groups {
            let mut senders = tokio::task::JoinSet::new();
            for span in group {
                let (door, bar, span) = (Arc::clone(&door), bar.clone(), span.clone());
                senders.spawn(async move {
                    post(&door, &span).await?;
                    bar.inc(span.samples());
                    anyhow::Ok(span.samples())
                });
            }
            while let Some(sent) = senders.join_next().await {
                samples += sent??;
            }
        }
        Ok(Sent { samples, took: began.elapsed(), processor: process::processor_time(self.id()?)? })
    }

    /// Waits until it has nothing to do, and looks at what is stored.
    pub async fn at_rest(&self, samples: u64, time_max: Duration) -> anyhow::Result<Rest> {
        match self {
            Self::Sextant(server) => {
                let idle = Idle::wait(server, server.id()?, time_max).await?;
                let tables = idle.status.tables.values();
                let rows: u64 = idle.status.tables.get("points").map_or(0, |table| table.part_rows + table.head_rows);
                ensure!(rows == samples, "{samples} samples were acknowledged, {rows} are stored");
                let bytes = tables.map(|table| table.part_bytes).sum();
                Ok(Rest { bytes, processor: idle.processor, is_idle: idle.is_idle })
            }
            Self::Prometheus(running) => {
                // It makes blocks of what is old enough each minute.
                tokio::time::sleep(Duration::from_secs(65)).await;
                let processor = process::processor_time(running.id()?)?;
                Ok(Rest { bytes: running.bytes_at_rest().await?, processor, is_idle: true })
            }
        }
    }
}

// Until it is stored.
async fn post(door: &Client, span: &Span) -> anyhow::Result<()> {
    let body = axum::body::Bytes::from(span.body());
    loop {
        let answer = door.post("/api/v1/write", "application/x-protobuf", body.clone()).await?;
        match answer.status {
            200..300 => return Ok(()),
            429 | 503 => tokio::time::sleep(RETRY).await,
            status => {
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                return Err(anyhow!("{} answered {status}: {said:?}", door.url()));
            }
        }
    }
}
