//! Letters from the queue to the volume.

use std::time::Duration;

use super::*;
use crate::data::places::until;
use crate::faults::Fault;
use crate::queue::tests::{Place, places};

/// An office that is open in a place of its own, with a mail server that is never busy.
async fn office(place: &Place) -> Arc<Office> {
    let volume = Arc::new(Volume::open(&place.context.config.components.data_dir.join("letters")).expect("a volume"));
    fill::begin(&place.context, &volume);
    let queue = queue::open(&place.context, PLACED_ORDERS).await.expect("a queue");
    Arc::new(Office { volume, mail: Mail::never_busy(), queue })
}

async fn place_order(office: &Office, order: &str, customer: &str, message: &str) {
    let placed = OrderPlaced {
        order: order.to_owned(),
        customer: customer.to_owned(),
        item: "kettle".to_owned(),
        quantity: 1,
        amount_cents: 1_990,
    };
    let payload = serde_json::to_vec(&placed).expect("plain data");
    let message = Message { id: message.to_owned(), headers: Default::default(), payload };
    assert!(office.queue.publish(&message).await.expect("published"));
}

async fn empty(office: &Office) -> bool {
    let stats = office.queue.stats().await.expect("stats");
    stats.ready + stats.in_flight == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_has_one_letter_however_often_it_is_told_of() {
    for (kind, place) in places().await {
        let office = office(&place).await;
        Consumers::of(&office.queue, GROUP).begin(&place.context, office.clone());
        place_order(&office, "order-1", "ada", "order-1").await;
        until("the letter is sent", async || office.volume.has("order-1")).await;
        let usage = office.volume.usage();
        // Long after, when the queue has forgotten the id.
        place_order(&office, "order-1", "ada", "order-1-again").await;
        until("it is known", async || empty(&office).await).await;
        assert_eq!(office.volume.usage(), usage, "{kind}");
        let text = office.volume.read("order-1").expect("read").expect("there");
        assert!(text.contains("Dear ada"), "{kind}: {text}");
        place.context.tasks.stop(Duration::from_secs(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_a_dead_letter_and_leaves_no_space_taken() {
    for (kind, place) in places().await {
        let office = office(&place).await;
        Consumers::of(&office.queue, GROUP).begin(&place.context, office.clone());
        place_order(&office, "order-1", "ada-bounce", "order-1").await;
        let poison = Message { id: "poison".to_owned(), headers: Default::default(), payload: b"<order/>".to_vec() };
        office.queue.publish(&poison).await.expect("published");
        until("both are dead", async || office.queue.stats().await.expect("stats").dead == 2).await;
        let mut letters = office.queue.dead_letters(10).await.expect("letters");
        letters.sort_by(|a, b| a.message.id.cmp(&b.message.id));
        assert_eq!(letters[0].reason, "the mail server knows no such address: 550 mailbox unavailable", "{kind}");
        assert_eq!((letters[0].attempts, letters[1].attempts), (5, 1), "{kind}");
        assert!(letters[1].reason.starts_with("this is no placed order: "), "{kind}: {}", letters[1].reason);
        assert_eq!(office.volume.usage(), 0, "{kind}");
        place.context.tasks.stop(Duration::from_secs(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_keeps_letters_back_until_there_is_room() {
    let place = Place::embedded();
    let office = office(&place).await;
    place.context.faults.set(["disk-fill:64MiB/s".parse::<Fault>().expect("a fault")]);
    until("it is full", async || office.volume.usage() == office.volume.limit()).await;
    place_order(&office, "order-1", "ada", "order-1").await;
    let delivery = &office.queue.receive(1, Duration::ZERO).await.expect("received")[0];
    let failure = office.handle(&delivery.message).await.expect_err("it is full");
    assert!(failure.to_string().starts_with("no space left on the letters volume: "), "{failure}");
    assert!(!office.volume.may_complain(), "it was said");
    office.queue.retry(delivery, Duration::ZERO).await.expect("to be retried");
    let queue = Arc::clone(&office.queue);
    Consumers::of(&queue, GROUP).begin(&place.context, office.clone());
    assert!(!office.volume.has("order-1"));
    place.context.faults.set([]);
    until("the letter is sent", async || office.volume.has("order-1")).await;
    assert!(office.volume.usage() < 1_000, "the filler is gone");
    place.context.tasks.stop(Duration::from_secs(20)).await;
}
