//! Stock is held once for an order, put back once, and never more than there is.

use std::collections::BTreeMap;

use super::super::schema::{FOLLOWED, PRIMARY};
use super::*;
use crate::data::Name;
use crate::data::places::Place;

async fn open(place: &Place) -> Arc<Stock> {
    let database = place.open(Name::Catalog).await;
    let tables = FOLLOWED.iter().map(|table| table.create).chain(PRIMARY);
    database.create(&tables.collect::<Vec<_>>()).await.expect("tables");
    Arc::new(Stock::new(&database, &place.meter))
}

async fn level(stock: &Stock, product: &str) -> i64 {
    stock.look().await;
    stock.levels.lock().expect("no panic")[product]
}

fn held(amount_cents: i64, left: i64) -> Reservation {
    Reservation::Held { amount_cents, left, delivered: None, again: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_runs_low_fills_up_and_is_put_back() {
    for place in Place::all().await {
        let stock = open(&place).await;
        let reserve = async |product: &str, order: &str, quantity: i64| {
            stock.reserve(product, order, quantity).await.expect("answered")
        };
        assert_eq!(reserve("kettle", "a", 61).await, Reservation::Short { left: 60 });
        assert_eq!(reserve("kettle", "a", 50).await, held(172_500, 10), "what was refused may come again");
        let again = Reservation::Held { amount_cents: 172_500, left: 10, delivered: None, again: true };
        assert_eq!(reserve("kettle", "a", 50).await, again);
        assert_eq!(reserve("kettle", "b", 11).await, Reservation::Short { left: 10 });
        let delivered = Reservation::Held { amount_cents: 3_450, left: 69, delivered: Some(60), again: false };
        assert_eq!(reserve("kettle", "b", 1).await, delivered);
        assert_eq!(reserve("unicorn", "b", 1).await, Reservation::Unknown);
        assert_eq!(reserve("lantern", "b", 1).await, held(1_990, 59), "one order, two products");

        assert_eq!(stock.release("kettle", "a").await.expect("released"), Some((50, 119)));
        assert_eq!(stock.release("kettle", "a").await.expect("released"), None, "once");
        assert_eq!(stock.release("unicorn", "a").await.expect("released"), None);
        assert_eq!((level(&stock, "kettle").await, level(&stock, "lantern").await), (119, 59));

        stock.tidy(now_ms() + 2 * 24 * 3_600 * 1_000).await;
        assert_eq!(stock.release("kettle", "b").await.expect("released"), None, "nobody remembers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sold_twice_and_no_order_is_served_twice() {
    for place in Place::all().await {
        let stock = open(&place).await;
        // Each order comes twice at once, as when its caller has lost patience.
        let buyers = (0..80).map(|number| {
            let stock = Arc::clone(&stock);
            tokio::spawn(async move { stock.reserve("compass", &format!("order-{}", number / 2), 4).await })
        });
        let mut sold = 0;
        let mut delivered = 0;
        let mut outcomes = BTreeMap::<&str, usize>::new();
        for buyer in buyers.collect::<Vec<_>>() {
            let outcome = match buyer.await.expect("no panic").expect("answered") {
                Reservation::Held { again: true, .. } => "again",
                Reservation::Held { delivered: more, left, .. } => {
                    assert!(left >= 0);
                    sold += 4;
                    delivered += more.unwrap_or_default();
                    "held"
                }
                Reservation::Short { .. } => "short",
                Reservation::Unknown => "unknown",
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        assert_eq!(outcomes, BTreeMap::from([("held", 40), ("again", 40)]));
        assert_eq!(level(&stock, "compass").await, 60 + delivered - sold);
        assert_eq!((sold, delivered), (160, 120 + 60 * i64::from(60 + 120 - 160 < LOW)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_want_the_last_ones_some_go_without() {
    for place in Place::all().await {
        let stock = open(&place).await;
        // 25 of 60 leave 10, too many for a delivery and too few for a third.
        let buyers = (0..12).map(|number| {
            let stock = Arc::clone(&stock);
            tokio::spawn(async move { stock.reserve("almanac", &format!("order-{number}"), 25).await })
        });
        let mut short = 0;
        for buyer in buyers.collect::<Vec<_>>() {
            if buyer.await.expect("no panic").expect("answered") == (Reservation::Short { left: 10 }) {
                short += 1;
            }
        }
        assert_eq!((short, level(&stock, "almanac").await), (10, 10));
    }
}
