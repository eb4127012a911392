//! Messages that outlive their sender: with leases, retries and dead letters; embedded or a broker.
//!
//! A queue has one group of consumers, which share the work: each message goes to one of them, under a lease. Whoever does not acknowledge it by then, because it hangs or is gone,
//! has lost it to the next. Delivery is at least once; whoever works on messages does so idempotently.

pub(crate) mod consumers;
mod embedded;
#[cfg(feature = "nats")]
mod nats;
pub(crate) mod outbox;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sextant_sdk::messaging::Channel;

use crate::context::Context;
use crate::limits::{DEDUPLICATION_WINDOW, LEASE};

/// What a message says beside its payload: its trace, baggage and correlation id, and why it is dead.
pub(crate) type Headers = BTreeMap<String, String>;

/// What is sent. Another one with the same id within [`DEDUPLICATION_WINDOW`] is the same message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) headers: Headers,
    pub(crate) payload: Vec<u8>,
}

/// A message under a lease.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Message,
    /// How often it has been delivered: 1 is the first time.
    pub(crate) attempt: u32,
    receipt: Receipt,
}

/// By which a queue knows its delivery.
#[derive(Debug)]
enum Receipt {
    Row {
        row: i64,
        lease: i64,
    },
    #[cfg(feature = "nats")]
    Broker(Box<async_nats::jetstream::Message>),
}

/// A message that nobody is to work on any more, until it is driven again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeadLetter {
    pub(crate) message: Message,
    pub(crate) attempts: u32,
    pub(crate) reason: String,
}

/// What is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Stats {
    /// Messages that wait for a consumer.
    pub(crate) ready: u64,
    /// Messages under a lease, and those that wait for their next attempt.
    pub(crate) in_flight: u64,
    pub(crate) dead: u64,
    /// The age of the oldest one that is not acknowledged and not dead.
    pub(crate) oldest: Duration,
}

/// A queue, wherever it is.
#[async_trait]
pub(crate) trait Queue: fmt::Debug + Send + Sync {
    /// Its name, which is the destination of messages in spans and metrics.
    fn name(&self) -> &'static str;

    /// The system's name by the conventions for messaging.
    fn system(&self) -> &'static str;

    /// Keeps a message; it is durable on return. False says that it was there already.
    async fn publish(&self, message: &Message) -> Result<bool, QueueError>;

    /// Leases up to so many messages. Waits so long for the first one.
    async fn receive(&self, most: usize, patience: Duration) -> Result<Vec<Delivery>, QueueError>;

    /// The work is done.
    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), QueueError>;

    /// The work has failed and is to be tried again, after this pause at the earliest.
    async fn retry(&self, delivery: &Delivery, pause: Duration) -> Result<(), QueueError>;

    /// The work has failed and is not to be tried again.
    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError>;

    /// The oldest dead letters.
    async fn dead_letters(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError>;

    /// Makes every dead letter a message again that has never been tried. How many there were.
    async fn redrive(&self) -> Result<u64, QueueError>;

    async fn stats(&self) -> Result<Stats, QueueError>;
}

/// What could not be done with a queue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueueError {
    #[error("cannot {operation} the queue `{queue}`")]
    Failed {
        operation: &'static str,
        queue: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the lease of a message of the queue `{0}` is over, and somebody else may have it")]
    LeaseOver(&'static str),
    #[cfg(not(feature = "nats"))]
    #[error("this program is built without NATS\nhint: build it with --features nats, or leave --nats away")]
    NoBroker,
}

/// How a queue behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long a consumer has for a message.
    lease: Duration,
    /// How long the id of a message is remembered.
    remembered: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lease: LEASE, remembered: DEDUPLICATION_WINDOW }
    }
}

/// The queue of this name in the shop's broker, or in its data directory.
pub(crate) async fn open(context: &Context, name: &'static str) -> Result<Arc<dyn Queue>, QueueError> {
    open_with(context, name, Settings::default()).await
}

async fn open_with(context: &Context, name: &'static str, settings: Settings) -> Result<Arc<dyn Queue>, QueueError> {
    let components = &context.config.components;
    match &components.nats {
        None => Ok(Arc::new(embedded::Embedded::open(context, name, settings).await?)),
        #[cfg(feature = "nats")]
        Some(url) => Ok(Arc::new(nats::Nats::open(url, name, settings).await?)),
        #[cfg(not(feature = "nats"))]
        Some(_) => Err(QueueError::NoBroker),
    }
}

/// Publishes with a span; the headers say where the message comes from. False says that it was there already.
pub(crate) async fn send(queue: &dyn Queue, message: Message) -> Result<bool, QueueError> {
    let Message { id, headers, payload } = message;
    let channel = Channel::new(queue.system(), queue.name());
    channel.send(headers, async |headers| queue.publish(&Message { id, headers, payload }).await).await
}

/// An error with its causes.
pub(crate) fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
