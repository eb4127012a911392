//! The customers: an open loop of visits at an irregular rate, whatever the shop's answers take. Each visit looks around and then orders something. They come in by the front door,
//! as browsers do: without a trace, with a cookie.

mod customer;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::limits::ORDERS_IN_FLIGHT_MAX;
use crate::order_ids::OrderIds;
use customer::Customers;
use visit::Door;

/// The longest pause between two visits, as a multiple of the average: nobody likes a demo that stands still.
const PAUSE_MAX: f64 = 4.0;

/// Sends customers until `shutdown` resolves, then waits for those under way.
pub(crate) async fn shop_until(context: &Context, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let gateway = context.config.gateway.as_deref().context("the customers do not know the gateway")?;
    let door = Door::at(gateway)?;
    let rate = context.config.rate;
    crate::announce::listening(context.config.listen);
    tokio::pin!(shutdown);
    if rate == 0.0 {
        shutdown.await;
        return Ok(());
    }
    let (customers, ids) = (Arc::new(Customers::default()), Arc::new(OrderIds::for_this_run()));
    let free = Arc::new(Semaphore::new(ORDERS_IN_FLIGHT_MAX));
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            () = tokio::time::sleep(pause(rate, fastrand::f64())) => {}
        }
        while under_way.try_join_next().is_some() {}
        // The services hang: a customer who would have to queue goes elsewhere.
        let Ok(permit) = Arc::clone(&free).try_acquire_owned() else { continue };
        let (door, customers, id) = (door.clone(), Arc::clone(&customers), ids.next());
        under_way.spawn(async move {
            let customer = customers.someone();
            if let Err(error) = door.visit(&customer, &id).await {
                tracing::warn!(
                    name: "customer.unserved",
                    { correlation.id = id, shop.customer = customer.name, error = format!("{error:#}") },
                    "a customer got no answer"
                );
            }
            drop(permit);
        });
    }
    while under_way.join_next().await.is_some() {}
    Ok(())
}

/// The time to the next customer, exponentially distributed. `chance` is uniform in [0, 1).
fn pause(per_second: f64, chance: f64) -> Duration {
    Duration::from_secs_f64((-(1.0 - chance).ln()).min(PAUSE_MAX) / per_second)
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
}
