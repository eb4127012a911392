//! The middle service: reserves stock, has the card charged by payments, gives the stock back if that fails.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Json, Router};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter, ObservableGauge};
use opentelemetry::trace::Status;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::correlation::CorrelationId;
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

async fn place(
    State(orders): State<Arc<Orders>>,
    Extension(correlation): Extension<CorrelationId>,
    Json(order): Json<Order>,
) -> Outcome {
    let outcome = orders.place(&order, &correlation).await;
    orders.orders.add(1, &[KeyValue::new("shop.outcome", outcome.as_str())]);
    outcome
}

impl Orders {
    async fn place(&self, order: &Order, correlation: &CorrelationId) -> Outcome {
        if !self.reserve(order, correlation).await {
            return Outcome::OutOfStock;
        }
        let charge = Charge { amount_cents: order.amount_cents, card: order.card.clone() };
        let outcome = self.payments.call("/payments", correlation, &charge).await.unwrap_or_else(|error| {
            tracing::error!(
                name: "payments.unreachable",
                { correlation.id = correlation.as_str(), error = format!("{error:#}") },
                "payments did not answer"
            );
            Outcome::Unavailable
        });
        let id = correlation.as_str();
        if outcome == Outcome::Placed {
            tracing::info!(
                name: "order.placed",
                { correlation.id = id, shop.item = order.item, shop.quantity = order.quantity },
                "order placed"
            );
        } else {
            self.stock.release(&order.item, order.quantity);
            tell_of_failure(order, id, outcome);
        }
        outcome
    }

    /// Whether the stock was there.
    #[tracing::instrument(
        name = "reserve stock",
        skip_all,
        fields(shop.item = order.item, shop.quantity = order.quantity, correlation.id = correlation.as_str())
    )]
    async fn reserve(&self, order: &Order, correlation: &CorrelationId) -> bool {
        let span = tracing::Span::current();
        let id = correlation.as_str();
        let warehouse = stock::warehouse(&order.item);
        let wait = warehouse.answer_time();
        tokio::time::sleep(wait).await;
        if wait > SLOW {
            tracing::warn!(
                name: "stock.slow",
                { correlation.id = id, shop.warehouse = warehouse.as_str(), shop.wait_s = wait.as_secs_f64() },
                "the warehouse was slow"
            );
        }
        match self.stock.reserve(&order.item, order.quantity) {
            Reservation::Reserved { left, delivered } => {
                if delivered {
                    span.add_event("stock delivered", vec![KeyValue::new("shop.stock.level", i64::from(left))]);
                }
                tracing::info!(
                    name: "stock.reserved",
                    { correlation.id = id, shop.item = order.item, shop.stock.level = left },
                    "stock reserved"
                );
                true
            }
            Reservation::Short { left } => {
                span.set_status(Status::error("out of stock"));
                tracing::warn!(
                    name: "stock.short",
                    { correlation.id = id, shop.item = order.item, shop.stock.level = left },
                    "not enough in stock"
                );
                false
            }
        }
    }
}

/// That the bank says no is the customer's trouble; that nobody answers is the shop's.
fn tell_of_failure(order: &Order, id: &str, outcome: Outcome) {
    if outcome == Outcome::Unavailable {
        tracing::error!(
            name: "order.failed",
            { correlation.id = id, shop.item = order.item, shop.outcome = outcome.as_str() },
            "order failed, stock released"
        );
    } else {
        tracing::warn!(
            name: "order.refused",
            { correlation.id = id, shop.item = order.item, shop.outcome = outcome.as_str() },
            "order refused, stock released"
        );
    }
}
