//! Which order went through all services first: said once on stdout, for whoever wants one to look at.

use std::sync::{Mutex, PoisonError};

use sextant_sdk::DeliveredExemplar;

use crate::announce;
use crate::order::Outcome;

/// The metric whose exemplars say that an order went through, and its attribute.
pub(super) const ORDER_DURATION: (&str, &str) = ("shop.order.duration", "shop.outcome");

/// Says the first order that went through, once. An order that was placed has been in all services; its exemplar
/// has just been acknowledged. It is said one delivery later: by then the other services have sent their batches too.
#[derive(Debug, Default)]
pub(crate) struct FirstOrder(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    id: Option<String>,
    said: bool,
}

impl FirstOrder {
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
        self.id = orders.find(|(outcome, _)| *outcome == Outcome::Placed.as_str()).map(|(_, id)| id.to_owned());
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
    }
}
