//! A queue in NATS JetStream: a stream from which a message goes when it is acknowledged, a durable consumer with leases (ack wait) that all processes pull from, and a second stream for
//! dead letters. The broker knows ids (`Nats-Msg-Id`) for a while; because a dead letter is published anew, its own id stands in a header beside it.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{self, RawMessageErrorKind, RetentionPolicy, Stream};
use async_nats::jetstream::{self, AckKind, Context};
use async_nats::{ConnectOptions, HeaderMap, HeaderName, HeaderValue};
use async_trait::async_trait;
use futures_util::StreamExt;

use super::{DeadLetter, Delivery, Headers, Message, Queue, QueueError, Receipt, Settings, Stats};
use crate::data::now_ms;
use crate::limits::{BROKER_CONNECT_MAX, BROKER_UNACKNOWLEDGED_MAX};

/// What the broker knows a message by.
const BROKER_ID: &str = "Nats-Msg-Id";
/// What its sender knows it by, also when it was dead.
const ID: &str = "shop-message-id";
/// Why a dead letter is one, and after how many attempts.
const REASON: &str = "shop-dead-letter-reason";
const ATTEMPTS: &str = "shop-dead-letter-attempts";

/// One queue of a broker.
pub(super) struct Nats {
    jetstream: Context,
    live: Stream,
    dead: Stream,
    consumer: PullConsumer,
    name: &'static str,
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("name", &self.name).finish_non_exhaustive()
    }
}

type Source = Box<dyn std::error::Error + Send + Sync>;

impl Nats {
    pub(super) async fn open(url: &str, name: &'static str, settings: Settings) -> Result<Self, QueueError> {
        let opened = Self::connect(url, name, settings).await;
        opened.map_err(|source| QueueError::Failed { operation: "open", queue: name, source })
    }

    async fn connect(url: &str, name: &'static str, settings: Settings) -> Result<Self, Source> {
        let options = ConnectOptions::new().name("shop").connection_timeout(BROKER_CONNECT_MAX);
        let jetstream = jetstream::new(options.connect(url).await?);
        let config = |name: String, retention| stream::Config {
            subjects: vec![format!("shop.{name}")],
            name,
            retention,
            duplicate_window: settings.remembered,
            ..Default::default()
        };
        let live = jetstream.get_or_create_stream(config(name.to_owned(), RetentionPolicy::WorkQueue)).await?;
        let dead = jetstream.get_or_create_stream(config(format!("{name}-dead"), RetentionPolicy::Limits)).await?;
        let consumer = pull::Config {
            durable_name: Some(name.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: settings.lease,
            // The shop itself gives up, with a reason.
            max_deliver: -1,
            max_ack_pending: BROKER_UNACKNOWLEDGED_MAX,
            ..Default::default()
        };
        let consumer = live.get_or_create_consumer(name, consumer).await?;
        Ok(Self { jetstream, live, dead, consumer, name })
    }

    fn failed<E: Into<Source>>(&self, operation: &'static str) -> impl FnOnce(E) -> QueueError {
        let queue = self.name;
        move |source| QueueError::Failed { operation, queue, source: source.into() }
    }

    /// Keeps a message in a stream under an id of the broker's. False says that it was there already.
    async fn keep(
        &self,
        stream: &Stream,
        broker_id: &str,
        message: &Message,
        more: &[(&str, &str)],
    ) -> Result<bool, Source> {
        let mut headers = HeaderMap::new();
        let own = message.headers.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (key, value) in own.chain([(ID, message.id.as_str()), (BROKER_ID, broker_id)]).chain(more.iter().copied()) {
            headers.insert(key.parse::<HeaderName>()?, one_line(value).parse::<HeaderValue>()?);
        }
        let subject = format!("shop.{}", stream.cached_info().config.name);
        let kept = self.jetstream.publish_with_headers(subject, headers, message.payload.clone().into()).await?;
        Ok(!kept.await?.duplicate)
    }

    async fn take(&self, most: usize, patience: Duration) -> Result<Vec<Delivery>, Source> {
        // What is there now; otherwise the first that comes.
        let mut received = self.consumer.fetch().max_messages(most).messages().await?;
        let mut next = received.next().await;
        if next.is_none() {
            received = self.consumer.batch().max_messages(1).expires(patience).messages().await?;
            next = received.next().await;
        }
        let mut deliveries = Vec::new();
        while let Some(delivered) = next.transpose()? {
            deliveries.push(Delivery {
                message: message(delivered.headers.as_ref(), &delivered.payload),
                attempt: delivered.info()?.delivered.try_into().unwrap_or(u32::MAX),
                receipt: Receipt::Broker(Box::new(delivered)),
            });
            next = received.next().await;
        }
        Ok(deliveries)
    }

    async fn bury(&self, received: &jetstream::Message, delivery: &Delivery, reason: &str) -> Result<(), Source> {
        // Its number in the stream, so that it may die again after it was driven again.
        let id = format!("{}/dead/{}", delivery.message.id, received.info()?.stream_sequence);
        let why = [(REASON, reason), (ATTEMPTS, &delivery.attempt.to_string())];
        self.keep(&self.dead, &id, &delivery.message, &why).await?;
        received.double_ack_with(AckKind::Term).await
    }

    /// The dead letter at this number, or the next one after it, with its own number.
    async fn dead_from(&self, number: u64) -> Result<Option<(u64, DeadLetter)>, Source> {
        let subject = format!("shop.{}-dead", self.name);
        let found = self.dead.raw_message_builder().sequence(number).next_by_subject(subject).send().await;
        let found = match found {
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            found => found?,
        };
        let mut message = message(Some(&found.headers), &found.payload);
        let reason = message.headers.remove(REASON).unwrap_or_default();
        let attempts = message.headers.remove(ATTEMPTS).and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(Some((found.sequence, DeadLetter { message, attempts, reason })))
    }

    async fn redrive_all(&self) -> Result<u64, Source> {
        let last = self.dead.get_info().await?.state.last_sequence;
        let (mut next, mut driven) = (1, 0);
        while let Some((number, letter)) = self.dead_from(next).await? {
            // What dies from here on is not driven again by this.
            if number > last {
                break;
            }
            // Whoever crashes between the two does it again, and the broker knows this id.
            self.keep(&self.live, &format!("{}/redriven/{number}", letter.message.id), &letter.message, &[]).await?;
            self.dead.delete_message(number).await?;
            driven += 1;
            next = number + 1;
        }
        Ok(driven)
    }

    async fn count(&self) -> Result<Stats, Source> {
        let (live, dead) = tokio::try_join!(self.live.get_info(), self.dead.get_info())?;
        let consumer = self.consumer.get_info().await?;
        // Milliseconds since 1970; the broker's clock and this one are told the same time.
        let first_ms = live.state.first_timestamp.unix_timestamp_nanos() / 1_000_000;
        let age = if live.state.messages == 0 { 0 } else { i128::from(now_ms()) - first_ms };
        Ok(Stats {
            ready: consumer.num_pending,
            in_flight: consumer.num_ack_pending.try_into().unwrap_or(u64::MAX),
            dead: dead.state.messages,
            oldest: Duration::from_millis(u64::try_from(age).unwrap_or_default()),
        })
    }

    /// Tells the broker what became of a delivery, and waits until it knows.
    async fn settle(&self, operation: &'static str, delivery: &Delivery, kind: AckKind) -> Result<(), QueueError> {
        let Receipt::Broker(received) = &delivery.receipt else { return Err(QueueError::LeaseOver(self.name)) };
        received.double_ack_with(kind).await.map_err(self.failed(operation))
    }
}

#[async_trait]
impl Queue for Nats {
    fn name(&self) -> &'static str {
        self.name
    }

    fn system(&self) -> &'static str {
        "nats"
    }

    async fn publish(&self, message: &Message) -> Result<bool, QueueError> {
        self.keep(&self.live, &message.id, message, &[]).await.map_err(self.failed("publish to"))
    }

    async fn receive(&self, most: usize, patience: Duration) -> Result<Vec<Delivery>, QueueError> {
        self.take(most, patience).await.map_err(self.failed("receive from"))
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), QueueError> {
        self.settle("acknowledge a message of", delivery, AckKind::Ack).await
    }

    async fn retry(&self, delivery: &Delivery, pause: Duration) -> Result<(), QueueError> {
        // 0 would be no pause to the broker, but the lease's.
        let pause = pause.max(Duration::from_millis(1));
        self.settle("retry a message of", delivery, AckKind::Nak(Some(pause))).await
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        let Receipt::Broker(received) = &delivery.receipt else { return Err(QueueError::LeaseOver(self.name)) };
        self.bury(received, delivery, reason).await.map_err(self.failed("give up a message of"))
    }

    async fn dead_letters(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let (mut next, mut letters) = (1, Vec::new());
        while letters.len() < most
            && let Some((number, letter)) = self.dead_from(next).await.map_err(self.failed("read dead letters of"))?
        {
            letters.push(letter);
            next = number + 1;
        }
        Ok(letters)
    }

    async fn redrive(&self) -> Result<u64, QueueError> {
        self.redrive_all().await.map_err(self.failed("redrive dead letters of"))
    }

    async fn stats(&self) -> Result<Stats, QueueError> {
        self.count().await.map_err(self.failed("count messages of"))
    }
}

/// What is said in a header. Its value is one line.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

fn message(headers: Option<&HeaderMap>, payload: &[u8]) -> Message {
    let pairs = headers.into_iter().flat_map(HeaderMap::iter);
    let first = pairs.filter_map(|(name, values)| Some((name.to_string(), values.first()?.to_string())));
    let mut headers: Headers = first.collect();
    let broker_id = headers.remove(BROKER_ID);
    let id = headers.remove(ID).or(broker_id).unwrap_or_default();
    Message { id, headers, payload: payload.to_vec() }
}
