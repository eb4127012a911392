//! Customers: place orders on the gateway at a gentle, irregular rate until told to stop. Runs inside the gateway's
//! process, but comes in by its front door.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::limits::ORDERS_IN_FLIGHT_MAX;
use crate::order::Order;
use crate::order_ids::OrderIds;
use crate::outbound::Upstream;
use crate::payments::{DECLINED, NO_ANSWER};
use crate::stock::ITEMS;

/// The longest pause between two orders, as a multiple of the average: nobody likes a demo that stands still.
const PAUSE_MAX: f64 = 4.0;

/// Everybody who buys at this gateway.
pub(crate) struct Customers {
    pub(crate) gateway: Upstream,
    pub(crate) per_second: f64,
    pub(crate) ids: Arc<OrderIds>,
}

impl Customers {
    /// Places orders until `stop` resolves, then waits for those under way.
    pub(crate) async fn place_orders(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        if self.per_second == 0.0 {
            return stop.await;
        }
        let free = Arc::new(Semaphore::new(ORDERS_IN_FLIGHT_MAX));
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(pause(self.per_second, fastrand::f64())) => {}
            }
            while under_way.try_join_next().is_some() {}
            // The services hang: a customer who would have to queue goes elsewhere.
            let Ok(permit) = Arc::clone(&free).try_acquire_owned() else { continue };
            let (gateway, id, order) = (self.gateway.clone(), self.ids.next(), an_order(fastrand::f64()));
            under_way.spawn(async move {
                if let Err(error) = gateway.knock("/orders", &id, &order).await {
                    tracing::warn!(
                        name: "customer.unserved",
                        { correlation.id = id, error = format!("{error:#}") },
                        "a customer got no answer"
                    );
                }
                drop(permit);
            });
        }
        while under_way.join_next().await.is_some() {}
    }
}

/// The time to the next customer, exponentially distributed. `chance` is uniform in [0, 1).
fn pause(per_second: f64, chance: f64) -> Duration {
    Duration::from_secs_f64((-(1.0 - chance).ln()).min(PAUSE_MAX) / per_second)
}

/// What a customer orders: now and then with a card that the bank declines, rarely with one of a bank that is away.
fn an_order(chance: f64) -> Order {
    let (item, price_cents, _) = ITEMS[fastrand::usize(..ITEMS.len())];
    let quantity = fastrand::u32(1..=3);
    let last_digits = match chance {
        c if c < 0.06 => DECLINED,
        c if c < 0.08 => NO_ANSWER,
        _ => "4242",
    };
    Order {
        item: item.to_owned(),
        quantity,
        amount_cents: price_cents * u64::from(quantity),
        card: format!("42424242{last_digits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_average_to_the_rate_and_are_bounded() {
        let seconds = |chance| pause(2.0, chance).as_secs_f64();
        let mean = (0..1_000).map(|i| seconds(f64::from(i) / 1_000.0)).sum::<f64>() / 1_000.0;
        assert!((0.45..0.52).contains(&mean), "{mean}");
        assert_eq!(seconds(0.0), 0.0);
        assert_eq!(seconds(0.999_999_999), 2.0);
    }

    #[test]
    fn some_orders_fail() {
        for (chance, digits) in [(0.0, DECLINED), (0.059, DECLINED), (0.06, NO_ANSWER), (0.08, "4242"), (0.99, "4242")]
        {
            let order = an_order(chance);
            assert!(order.card.ends_with(digits), "{chance}: {order:?}");
            assert!(order.amount_cents > 0 && order.quantity > 0);
        }
    }
}
