//! What the queue tells of itself: depth, lag and workers, and why nothing goes on when it stalls.

use crate::office::{Place, told, value};
use crate::receiver::{Received, attribute};

const NAME: (&str, &str) = ("messaging.destination.name", "orders-placed");

fn depth(received: &Received, state: &str) -> Option<f64> {
    value(received, "shop.queue.depth", &[NAME, ("shop.queue.state", state)])
}

#[tokio::test]
async fn a_stall_shows_as_depth_and_lag_and_says_so_and_workers_catch_up() {
    for place in Place::all().await {
        place.breaks(&["queue-stall"]);
        let office = place.open().await;
        place.receiver.wait_for("the stall", |received| told(received, "queue.stalled") > 0).await;
        let orders: Vec<String> = (0..120).map(|number| format!("order-{number:03}")).collect();
        place.publish(&orders, "ada").await;
        let group = [("messaging.consumer.group.name", "notifications")];
        let waits = |received: &Received| {
            // Whoever waited for messages when the stall began has taken up to four.
            depth(received, "ready").is_some_and(|ready| (116.0..=120.0).contains(&ready))
                && depth(received, "in_flight") == Some(0.0)
                && value(received, "shop.queue.lag", &[NAME]).is_some_and(|seconds| seconds > 2.0)
                && value(received, "shop.queue.workers", &group) == Some(6.0)
        };
        place.receiver.wait_for("what waits", waits).await;

        place.breaks(&[]);
        for order in &orders {
            office.has_sent(order).await;
        }
        let done = |received: &Received| {
            depth(received, "ready") == Some(0.0)
                && depth(received, "in_flight") == Some(0.0)
                && value(received, "shop.queue.lag", &[NAME]) == Some(0.0)
        };
        place.receiver.wait_for("an empty queue", done).await;
        office.close().await;

        let received = place.receiver.received();
        let stalled = received.log("notifications", "queue.stalled");
        assert_eq!(stalled.severity_text, "WARN");
        assert_eq!(attribute(&stalled.attributes, NAME.0), Some(NAME.1));
        let resumed = received.log("notifications", "queue.resumed");
        assert_eq!(resumed.severity_text, "INFO");
        let consumed = [("messaging.system", place.system()), NAME, group[0]];
        // Those for whom the mail server was busy came more than once.
        let count = value(&received, "messaging.client.consumed.messages", &consumed).expect("a counter");
        let retries = value(&received, "shop.queue.retries", &[NAME]).expect("a counter");
        assert_eq!(count, 120.0 + retries, "{}", place.system());
    }
}

#[tokio::test]
async fn every_signal_is_there_before_the_first_message() {
    let place = Place::embedded().await;
    let office = place.open().await;
    let all = |received: &Received| {
        ["ready", "in_flight", "dead"].iter().all(|state| depth(received, state) == Some(0.0))
            && ["shop.queue.lag", "shop.queue.retries", "shop.queue.dead_letters"]
                .iter()
                .all(|name| value(received, name, &[NAME]) == Some(0.0))
            && value(received, "shop.queue.workers", &[]) == Some(1.0)
            && value(received, "shop.letters.usage", &[]) == Some(0.0)
            && value(received, "shop.letters.limit", &[]) == Some(67_108_864.0)
            && value(received, "db.client.connection.max", &[("db.client.connection.pool.name", "queue")]).is_some()
    };
    place.receiver.wait_for("zeros", all).await;
    office.close().await;
}
