//! What a queue promises, asked of each that there is: in a temporary directory, and with the feature `nats` of a broker of the test's own.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{Delivery, Headers, Message, Queue, Settings, open_with};
use crate::config::{Components, ServiceConfig, ServiceName};
use crate::context::{Context, Tasks};
use crate::faults::Faults;
use crate::net::{Algorithm, Peers};
#[cfg(feature = "nats")]
use crate::real::Nats;

/// Longer than anything here takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Short enough to wait for, long enough not to end while a test looks elsewhere.
const LEASE: Duration = Duration::from_secs(2);

/// A place for queues, with whatever keeps them.
pub(crate) struct Place {
    pub(crate) context: Context,
    #[cfg(feature = "nats")]
    _server: Option<Nats>,
    _directory: TempDir,
}

/// Each kind of place, with its name.
pub(crate) async fn places() -> Vec<(&'static str, Place)> {
    #[cfg(feature = "nats")]
    return vec![("embedded", Place::embedded()), ("nats", Place::broker().await)];
    #[cfg(not(feature = "nats"))]
    vec![("embedded", Place::embedded())]
}

impl Place {
    pub(crate) fn embedded() -> Self {
        let directory = TempDir::new().expect("a directory");
        let context = context(Components { data_dir: directory.path().to_owned(), ..Components::default() });
        Self {
            context,
            #[cfg(feature = "nats")]
            _server: None,
            _directory: directory,
        }
    }

    #[cfg(feature = "nats")]
    async fn broker() -> Self {
        let directory = TempDir::new().expect("a directory");
        let server = Nats::start().await;
        let data_dir = directory.path().to_owned();
        let context = context(Components { data_dir, nats: Some(server.url()), ..Components::default() });
        Self { context, _server: Some(server), _directory: directory }
    }

    /// A process of its own, as far as the queue is concerned.
    pub(crate) fn another_process(&self) -> Context {
        context(self.context.config.components.clone())
    }

    pub(crate) async fn queue(&self) -> Arc<dyn Queue> {
        self.queue_with_lease(LEASE).await
    }

    pub(crate) async fn queue_with_lease(&self, lease: Duration) -> Arc<dyn Queue> {
        open_with(&self.context, "test", Settings { lease, ..Settings::default() }).await.expect("a queue")
    }
}

fn context(components: Components) -> Context {
    let tasks = Tasks::new();
    let peers = Peers::of(Some("http://127.0.0.1:1"), Algorithm::RoundRobin, &tasks).expect("peers");
    Context {
        config: Arc::new(ServiceConfig::new(ServiceName::Notifications, components)),
        faults: Arc::new(Faults::none()),
        meter: sextant_sdk::metrics::meter("shop"),
        peers,
        tasks,
    }
}

pub(crate) fn message(id: &str) -> Message {
    let headers = Headers::from([("tenant".to_owned(), "acme".to_owned())]);
    Message { id: id.to_owned(), headers, payload: format!("{{\"order\":\"{id}\"}}").into_bytes() }
}

async fn receive(queue: &dyn Queue, most: usize) -> Vec<Delivery> {
    queue.receive(most, PATIENCE).await.expect("received")
}

async fn one(queue: &dyn Queue) -> Delivery {
    let mut deliveries = receive(queue, 1).await;
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    deliveries.remove(0)
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.message.id.as_str()).collect()
}

#[tokio::test]
async fn messages_come_in_order_with_what_they_carry_and_are_gone_when_done() {
    for (kind, place) in places().await {
        let queue = place.queue().await;
        assert_eq!(queue.stats().await.expect("stats"), Default::default(), "{kind}");
        for id in ["a", "b", "c"] {
            assert!(queue.publish(&message(id)).await.expect("published"), "{kind}");
        }
        let first = receive(&*queue, 2).await;
        assert_eq!(ids(&first), ["a", "b"], "{kind}");
        assert_eq!(first[0].message, message("a"), "{kind}");
        assert_eq!(first[0].attempt, 1, "{kind}");
        let stats = queue.stats().await.expect("stats");
        assert_eq!((stats.ready, stats.in_flight, stats.dead), (1, 2, 0), "{kind}");
        let rest = receive(&*queue, 10).await;
        assert_eq!(ids(&rest), ["c"], "{kind}: what is leased is nobody else's");
        for delivery in first.iter().chain(&rest) {
            queue.acknowledge(delivery).await.expect("acknowledged");
        }
        assert_eq!(queue.stats().await.expect("stats"), Default::default(), "{kind}");
        let none = queue.receive(1, Duration::from_millis(50)).await.expect("nothing");
        assert!(none.is_empty(), "{kind}: {none:?}");
    }
}

#[tokio::test]
async fn a_message_with_a_known_id_is_there_once_also_when_it_is_done() {
    for (kind, place) in places().await {
        let queue = place.queue().await;
        assert!(queue.publish(&message("a")).await.expect("published"), "{kind}");
        assert!(!queue.publish(&message("a")).await.expect("published"), "{kind}");
        queue.acknowledge(&one(&*queue).await).await.expect("acknowledged");
        assert!(!queue.publish(&message("a")).await.expect("published"), "{kind}");
        assert_eq!(queue.stats().await.expect("stats").ready, 0, "{kind}");
    }
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_to_another_process() {
    for (kind, place) in places().await {
        let queue = place.queue().await;
        queue.publish(&message("a")).await.expect("published");
        let lost = one(&*queue).await;
        let settings = Settings { lease: LEASE, ..Settings::default() };
        let other = open_with(&place.another_process(), "test", settings).await.expect("the same queue");
        let again = one(&*other).await;
        assert_eq!((again.message.id.as_str(), again.attempt), ("a", 2), "{kind}");
        if kind == "embedded" {
            let late = queue.acknowledge(&lost).await.expect_err("its lease is over");
            assert!(late.to_string().contains("lease"), "{late}");
        }
        other.acknowledge(&again).await.expect("acknowledged");
        assert_eq!(queue.stats().await.expect("stats"), Default::default(), "{kind}");
    }
}

#[tokio::test]
async fn a_retry_waits_and_counts() {
    for (kind, place) in places().await {
        let queue = place.queue().await;
        queue.publish(&message("a")).await.expect("published");
        queue.retry(&one(&*queue).await, Duration::from_millis(700)).await.expect("to be retried");
        let early = queue.receive(1, Duration::from_millis(100)).await.expect("nothing");
        assert!(early.is_empty(), "{kind}: {early:?}");
        let stats = queue.stats().await.expect("stats");
        assert_eq!((stats.ready, stats.in_flight), (0, 1), "{kind}: it waits for its attempt");
        let again = one(&*queue).await;
        assert_eq!(again.attempt, 2, "{kind}");
        let stats = queue.stats().await.expect("stats");
        assert!(stats.oldest >= Duration::from_millis(700), "{kind}: its age is that of its publication: {stats:?}");
        queue.retry(&again, Duration::ZERO).await.expect("to be retried");
        assert_eq!(one(&*queue).await.attempt, 3, "{kind}");
    }
}

#[tokio::test]
async fn dead_letters_say_why_and_can_be_driven_again_and_die_again() {
    for (kind, place) in places().await {
        let queue = place.queue().await;
        for id in ["a", "b"] {
            queue.publish(&message(id)).await.expect("published");
        }
        for delivery in receive(&*queue, 2).await {
            queue.dead_letter(&delivery, "no such\nmailbox").await.expect("given up");
        }
        let letters = queue.dead_letters(10).await.expect("letters");
        assert_eq!(letters.iter().map(|letter| letter.message.id.as_str()).collect::<Vec<_>>(), ["a", "b"], "{kind}");
        assert_eq!(letters[0].message, message("a"), "{kind}: as it was");
        assert_eq!(letters[0].reason.replace('\n', " "), "no such mailbox", "{kind}");
        assert_eq!(letters[0].attempts, 1, "{kind}");
        assert_eq!(queue.dead_letters(1).await.expect("letters").len(), 1, "{kind}");
        let stats = queue.stats().await.expect("stats");
        assert_eq!((stats.ready, stats.in_flight, stats.dead), (0, 0, 2), "{kind}");

        assert_eq!(queue.redrive().await.expect("redriven"), 2, "{kind}");
        assert_eq!(queue.redrive().await.expect("redriven"), 0, "{kind}");
        let again = receive(&*queue, 2).await;
        assert_eq!((ids(&again), again[0].attempt), (vec!["a", "b"], 1), "{kind}");
        queue.acknowledge(&again[0]).await.expect("acknowledged");
        queue.dead_letter(&again[1], "still not").await.expect("given up");
        let letters = queue.dead_letters(10).await.expect("letters");
        assert_eq!(letters.len(), 1, "{kind}: {letters:?}");
        assert_eq!((letters[0].message.id.as_str(), letters[0].reason.as_str()), ("b", "still not"), "{kind}");
    }
}

#[cfg(not(feature = "nats"))]
#[tokio::test]
async fn a_broker_that_is_not_built_in_is_said_with_its_feature() {
    let components = Components { nats: Some("nats://127.0.0.1".to_owned()), ..Components::default() };
    let error = super::open(&context(components), "test").await.expect_err("not built in");
    assert!(error.to_string().contains("--features nats"), "{error}");
}

#[cfg(feature = "nats")]
#[tokio::test]
async fn a_broker_that_is_away_is_said() {
    let components = Components { nats: Some("nats://127.0.0.1:1".to_owned()), ..Components::default() };
    let error = super::open(&context(components), "test").await.expect_err("nobody is there");
    assert_eq!(error.to_string(), "cannot open the queue `test`");
}
