//! The door: takes orders over HTTP, hands them to orders, and measures the whole of each. Says on stdout which order
//! went through all three services first.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Json, Router};
use opentelemetry::trace::TraceContextExt;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::announce;
use crate::correlation::CorrelationId;
use crate::exemplars::{DurationHistogram, Seen, now_unix_nano};
use crate::order::{Order, Outcome};
use crate::outbound::Upstream;

/// Name, description and attribute of the metric that bears the exemplars.
pub(crate) const ORDER_DURATION: (&str, &str, &str) =
    ("shop.order.duration", "Time from a customer's order to its answer", "shop.outcome");

struct Gateway {
    orders: Upstream,
    durations: Arc<DurationHistogram>,
}

pub(crate) fn routes(orders: Upstream, durations: Arc<DurationHistogram>) -> Router {
    Router::new().route("/orders", post(order)).with_state(Arc::new(Gateway { orders, durations }))
}

async fn order(
    State(gateway): State<Arc<Gateway>>,
    Extension(correlation): Extension<CorrelationId>,
    Json(order): Json<Order>,
) -> Outcome {
    let started = Instant::now();
    let id = correlation.as_str();
    tracing::info!(
        name: "order.received",
        { correlation.id = id, shop.item = order.item, shop.quantity = order.quantity },
        "order received"
    );
    let outcome = gateway.orders.call("/orders", &correlation, &order).await.unwrap_or_else(|error| {
        tracing::error!(
            name: "orders.unreachable",
            { correlation.id = id, error = format!("{error:#}") },
            "orders did not answer"
        );
        Outcome::Unavailable
    });
    let value = started.elapsed().as_secs_f64();
    if outcome == Outcome::Placed {
        tracing::info!(
            name: "order.answered",
            { correlation.id = id, shop.outcome = outcome.as_str(), duration_s = value },
            "order answered"
        );
    } else {
        tracing::warn!(
            name: "order.answered",
            { correlation.id = id, shop.outcome = outcome.as_str(), duration_s = value },
            "order refused"
        );
    }
    let span = tracing::Span::current().context().span().span_context().clone();
    let seen = Seen { value, time_unix_nano: now_unix_nano(), span, correlation_id: id.to_owned() };
    gateway.durations.record(outcome.as_str(), seen);
    outcome
}

/// Says the first order that went through, once. An order that was placed has been in all three services; its exemplar
/// has just been acknowledged. It is said one delivery later: by then the other services have sent their batches too.
#[derive(Debug, Default)]
pub(crate) struct FirstOrder {
    id: Option<String>,
    said: bool,
    /// Whether one that failed at the end of the way will do: where payments are broken on purpose none may be placed.
    failed_will_do: bool,
}

impl FirstOrder {
    pub(crate) fn new(failed_will_do: bool) -> Self {
        Self { failed_will_do, ..Self::default() }
    }

    pub(crate) fn delivered(&mut self, exemplars: Vec<(&'static str, Seen)>) {
        if let Some(id) = self.next(exemplars) {
            announce::order_went_through(&id);
        }
    }

    fn next(&mut self, exemplars: Vec<(&'static str, Seen)>) -> Option<String> {
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
        let first = exemplars.into_iter().find(|(outcome, _)| will_do(outcome));
        self.id = first.map(|(_, seen)| seen.correlation_id);
        None
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::SpanContext;

    use super::*;

    #[test]
    fn the_first_placed_order_is_said_once_and_one_delivery_later() {
        let seen =
            |id: &str| Seen { value: 0.1, time_unix_nano: 1, span: SpanContext::NONE, correlation_id: id.to_owned() };
        let mut first = FirstOrder::default();
        assert_eq!(first.next(vec![]), None);
        assert_eq!(first.next(vec![("card_declined", seen("a"))]), None);
        assert_eq!(first.next(vec![("card_declined", seen("b")), ("placed", seen("c"))]), None);
        assert_eq!(first.next(vec![("placed", seen("d"))]), Some("c".to_owned()));
        assert_eq!(first.next(vec![("placed", seen("e"))]), None);
        assert_eq!(first.next(vec![]), None);
        let mut broken = FirstOrder::new(true);
        assert_eq!(broken.next(vec![("card_declined", seen("a")), ("unavailable", seen("b"))]), None);
        assert_eq!(broken.next(vec![]), Some("b".to_owned()));
    }
}
