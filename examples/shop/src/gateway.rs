//! The door: takes orders over HTTP, hands them to orders, and measures the whole of each. Says on stdout which order
//! went through all three services first.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use sextant_sdk::DeliveredExemplar;
use sextant_sdk::metrics::{DURATION_BOUNDS_S, Histogram, histogram};
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::Meter;

use crate::announce;
use crate::order::{Order, Outcome};
use crate::outbound::Upstream;

/// The metric whose exemplars say that an order went through, and its attribute.
const ORDER_DURATION: (&str, &str) = ("shop.order.duration", "shop.outcome");

struct Gateway {
    orders: Upstream,
    durations: Histogram,
}

pub(crate) fn routes(orders: Upstream, meter: &Meter) -> Router {
    let durations = histogram(meter, ORDER_DURATION.0).with_unit("s").with_boundaries(DURATION_BOUNDS_S);
    let durations = durations.with_description("Time from a customer's order to its answer").build();
    Router::new().route("/orders", post(order)).with_state(Arc::new(Gateway { orders, durations }))
}

async fn order(State(gateway): State<Arc<Gateway>>, Json(order): Json<Order>) -> Outcome {
    let started = Instant::now();
    tracing::info!(
        name: "order.received",
        { shop.item = order.item, shop.quantity = order.quantity },
        "order received"
    );
    let outcome = gateway.orders.call("/orders", &order).await.unwrap_or_else(|error| {
        tracing::error!(name: "orders.unreachable", { error = format!("{error:#}") }, "orders did not answer");
        Outcome::Unavailable
    });
    let value = started.elapsed().as_secs_f64();
    if outcome == Outcome::Placed {
        tracing::info!(
            name: "order.answered",
            { shop.outcome = outcome.as_str(), duration_s = value },
            "order answered"
        );
    } else {
        tracing::warn!(
            name: "order.answered",
            { shop.outcome = outcome.as_str(), duration_s = value },
            "order refused"
        );
    }
    gateway.durations.record(value, &[KeyValue::new(ORDER_DURATION.1, outcome.as_str())]);
    outcome
}

/// Says the first order that went through, once. An order that was placed has been in all three services; its exemplar
/// has just been acknowledged. It is said one delivery later: by then the other services have sent their batches too.
#[derive(Debug, Default)]
pub(crate) struct FirstOrder(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    id: Option<String>,
    said: bool,
    /// Whether one that failed at the end of the way will do: where payments are broken on purpose none may be placed.
    failed_will_do: bool,
}

impl FirstOrder {
    pub(crate) fn new(failed_will_do: bool) -> Self {
        Self(Mutex::new(Known { failed_will_do, ..Known::default() }))
    }

    /// Told of each delivery of metrics.
    pub(crate) fn delivered(&self, exemplars: &[DeliveredExemplar<'_>]) {
        let of_orders = exemplars.iter().filter(|exemplar| exemplar.metric() == ORDER_DURATION.0);
        let orders = of_orders.filter_map(|order| Some((order.attribute(ORDER_DURATION.1)?, order.correlation_id()?)));
        // Nothing in there panics half-way through a change, so what a poisoned lock guards is whole.
        let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).next(orders);
        if let Some(id) = next {
            announce::order_went_through(&id);
        }
    }
}

impl Known {
    /// Of orders their outcomes and ids.
    fn next<'a>(&mut self, mut orders: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
        if self.said {
            return None;
        }
        if let Some(id) = self.id.take() {
            self.said = true;
            return Some(id);
        }
        let will_do = |outcome: &str| {
            outcome == Outcome::Placed.as_str() || (self.failed_will_do && outcome == Outcome::Unavailable.as_str())
        };
        self.id = orders.find(|(outcome, _)| will_do(outcome)).map(|(_, id)| id.to_owned());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_placed_order_is_said_once_and_one_delivery_later() {
        let mut first = Known::default();
        for (orders, said) in [
            (vec![], None),
            (vec![("card_declined", "a")], None),
            (vec![("card_declined", "b"), ("placed", "c")], None),
            (vec![("placed", "d")], Some("c")),
            (vec![("placed", "e")], None),
            (vec![], None),
        ] {
            assert_eq!(first.next(orders.into_iter()).as_deref(), said);
        }
        let mut broken = Known { failed_will_do: true, ..Known::default() };
        assert_eq!(broken.next([("card_declined", "a"), ("unavailable", "b")].into_iter()), None);
        assert_eq!(broken.next([].into_iter()), Some("b".to_owned()));
    }
}
