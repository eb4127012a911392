//! The middle service: reserves stock, has the card charged by payments, gives the stock back if that fails.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::{Counter, Meter, ObservableGauge};
use sextant_sdk::opentelemetry::trace::{Status, get_active_span};

use crate::order::{Charge, Order, Outcome};
use crate::outbound::Upstream;
use crate::stock::{self, Reservation, Stock};

/// A warehouse that needs longer is worth a warning.
const SLOW: Duration = Duration::from_millis(200);

struct Orders {
    payments: Upstream,
    stock: Arc<Stock>,
    orders: Counter<u64>,
    /// Held so that its callback lives as long as the service.
    _levels: ObservableGauge<u64>,
}

pub(crate) fn routes(payments: Upstream, meter: &Meter) -> Router {
    let stock = Arc::new(Stock::full());
    let shelves = Arc::clone(&stock);
    let levels =
        meter.u64_observable_gauge("shop.stock.level").with_unit("{item}").with_description("Items on the shelves");
    let levels = levels.with_callback(move |gauge| {
        for (item, level) in shelves.levels() {
            gauge.observe(u64::from(level), &[KeyValue::new("shop.item", item)]);
        }
    });
    let orders = meter.u64_counter("shop.orders").with_unit("{order}").with_description("Orders by outcome").build();
    let state = Orders { payments, stock, orders, _levels: levels.build() };
    Router::new().route("/orders", post(place)).with_state(Arc::new(state))
}

async fn place(State(orders): State<Arc<Orders>>, Json(order): Json<Order>) -> Outcome {
    let outcome = orders.place(&order).await;
    orders.orders.add(1, &[KeyValue::new("shop.outcome", outcome.as_str())]);
    outcome
}

impl Orders {
    async fn place(&self, order: &Order) -> Outcome {
        if !self.reserve(order).await {
            return Outcome::OutOfStock;
        }
        let charge = Charge { amount_cents: order.amount_cents, card: order.card.clone() };
        let outcome = self.payments.call("/payments", &charge).await.unwrap_or_else(|error| {
            tracing::error!(
                name: "payments.unreachable",
                { error = format!("{error:#}") },
                "payments did not answer"
            );
            Outcome::Unavailable
        });
        if outcome == Outcome::Placed {
            tracing::info!(
                name: "order.placed",
                { shop.item = order.item, shop.quantity = order.quantity },
                "order placed"
            );
        } else {
            self.stock.release(&order.item, order.quantity);
            tell_of_failure(order, outcome);
        }
        outcome
    }

    /// Whether the stock was there.
    #[tracing::instrument(
        name = "reserve stock",
        skip_all,
        fields(shop.item = order.item, shop.quantity = order.quantity)
    )]
    async fn reserve(&self, order: &Order) -> bool {
        let warehouse = stock::warehouse(&order.item);
        let wait = warehouse.answer_time();
        tokio::time::sleep(wait).await;
        if wait > SLOW {
            tracing::warn!(
                name: "stock.slow",
                { shop.warehouse = warehouse.as_str(), shop.wait_s = wait.as_secs_f64() },
                "the warehouse was slow"
            );
        }
        match self.stock.reserve(&order.item, order.quantity) {
            Reservation::Reserved { left, delivered } => {
                if delivered {
                    let level = KeyValue::new("shop.stock.level", i64::from(left));
                    get_active_span(|span| span.add_event("stock delivered", vec![level]));
                }
                tracing::info!(
                    name: "stock.reserved",
                    { shop.item = order.item, shop.stock.level = left },
                    "stock reserved"
                );
                true
            }
            Reservation::Short { left } => {
                get_active_span(|span| span.set_status(Status::error("out of stock")));
                tracing::warn!(
                    name: "stock.short",
                    { shop.item = order.item, shop.stock.level = left },
                    "not enough in stock"
                );
                false
            }
        }
    }
}

/// That the bank says no is the customer's trouble; that nobody answers is the shop's.
fn tell_of_failure(order: &Order, outcome: Outcome) {
    if outcome == Outcome::Unavailable {
        tracing::error!(
            name: "order.failed",
            { shop.item = order.item, shop.outcome = outcome.as_str() },
            "order failed, stock released"
        );
    } else {
        tracing::warn!(
            name: "order.refused",
            { shop.item = order.item, shop.outcome = outcome.as_str() },
            "order refused, stock released"
        );
    }
}
