//! What an outbox promises, on SQLite and, with the feature `real`, on PostgreSQL; with the embedded queue.

use super::*;
use crate::data::places::{Place, until};
use crate::data::{Name, Shard};
use crate::queue;

use super::relay::Relay;

/// An outbox and the queue that it goes to.
struct Shop {
    place: Place,
    database: Database,
    broker: queue::tests::Place,
    queue: Arc<dyn Queue>,
}

impl Shop {
    async fn all() -> Vec<Self> {
        let mut shops = Vec::new();
        for place in Place::all().await {
            let database = place.open(Name::Orders(Shard::of("ada"))).await;
            database.create(&TABLES).await.expect("tables");
            let broker = queue::tests::Place::embedded();
            let queue = broker.queue().await;
            shops.push(Self { place, database, broker, queue });
        }
        shops
    }

    fn relay(&self) -> Relay {
        Relay::new(&self.database, &self.queue, pending::observe(&self.place.meter, self.database.namespace()))
    }

    async fn write(&self, id: &str) {
        let mut transaction = self.database.begin("outbox").await.expect("begun");
        insert(&mut transaction, id, id.as_bytes().to_vec()).await.expect("written");
        transaction.commit().await.expect("committed");
    }

    async fn published(&self) -> Vec<String> {
        let deliveries = self.queue.receive(100, std::time::Duration::ZERO).await.expect("received");
        let mut ids = Vec::new();
        for delivery in deliveries {
            assert_eq!(delivery.message.payload, delivery.message.id.as_bytes());
            self.queue.acknowledge(&delivery).await.expect("acknowledged");
            ids.push(delivery.message.id);
        }
        ids
    }

    async fn unsent(&self) -> i64 {
        let count = "SELECT COUNT(*) FROM outbox WHERE sent_ms = 0";
        let (unsent,): (i64,) = self.database.ask("SELECT", "outbox", count).one().await.expect("a count");
        unsent
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_published_in_order_and_what_is_not_is_not() {
    for shop in Shop::all().await {
        let mut transaction = shop.database.begin("outbox").await.expect("begun");
        insert(&mut transaction, "never", Vec::new()).await.expect("written");
        transaction.roll_back().await.expect("rolled back");
        for id in ["c", "a", "b"] {
            shop.write(id).await;
            // Of the same millisecond they would be in the order of their ids.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let mut relay = shop.relay();
        assert_eq!(relay.step().await.expect("published"), 3);
        assert_eq!(relay.step().await.expect("published"), 0);
        assert_eq!(shop.published().await, ["c", "a", "b"]);
        assert_eq!(shop.unsent().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_publishing_and_marking_publishes_once() {
    for shop in Shop::all().await {
        shop.write("a").await;
        // What a relay does that ends before it has marked.
        queue::send(
            &*shop.queue,
            queue::Message { id: "a".to_owned(), headers: Default::default(), payload: b"a".to_vec() },
        )
        .await
        .expect("published");
        assert_eq!(shop.published().await, ["a"]);
        assert_eq!(shop.relay().step().await.expect("published"), 1);
        assert_eq!(shop.published().await, Vec::<String>::new(), "the queue knows its id");
        assert_eq!(shop.unsent().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_relay_at_a_time_publishes_and_the_next_takes_over() {
    for shop in Shop::all().await {
        let (mut first, mut second) = (shop.relay(), shop.relay());
        shop.write("a").await;
        assert_eq!(first.step().await.expect("published"), 1);
        shop.write("b").await;
        assert_eq!(second.step().await.expect("not its turn"), 0);
        assert_eq!(first.step().await.expect("published"), 1);
        // As if the first had crashed long ago.
        shop.write("c").await;
        let past = shop.database.ask("UPDATE", "outbox_turn", "UPDATE outbox_turn SET until_ms = 1");
        past.execute().await.expect("over");
        assert_eq!(second.step().await.expect("published"), 1);
        assert_eq!(shop.published().await, ["a", "b", "c"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_runs_until_the_service_stops_and_publishes_what_is_there_then() {
    for shop in Shop::all().await {
        let context = &shop.broker.context;
        relay(context, &shop.database, &shop.queue);
        shop.write("a").await;
        until("it is published", async || shop.unsent().await == 0).await;
        for number in 0..150 {
            shop.write(&format!("b{number:03}")).await;
        }
        context.tasks.stop(std::time::Duration::from_secs(20)).await;
        assert_eq!(shop.unsent().await, 0);
        assert_eq!(shop.published().await.len() + shop.published().await.len(), 151);
        // It has given its turn back.
        shop.write("z").await;
        assert_eq!(shop.relay().step().await.expect("published"), 1);
    }
}
