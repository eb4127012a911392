//! The last service: charges the card. What the bank says follows from the card's last digits, so that a test and a
//! curious person can have every answer they want.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Json, Router};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use opentelemetry::trace::Status;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::correlation::CorrelationId;
use crate::fault::{Fault, FaultKind};
use crate::order::{Charge, Outcome};

/// Cards that end so are declined.
pub(crate) const DECLINED: &str = "0002";
/// Where the bank would be.
const BANK: &str = "bank.example";
/// For cards that end so the bank does not answer.
pub(crate) const NO_ANSWER: &str = "0119";

struct Payments {
    charges: Counter<u64>,
    fault: Option<Fault>,
}

pub(crate) fn routes(meter: &Meter, fault: Option<Fault>) -> Router {
    let charges =
        meter.u64_counter("shop.payments").with_unit("{payment}").with_description("Charges by outcome").build();
    Router::new().route("/payments", post(charge)).with_state(Arc::new(Payments { charges, fault }))
}

async fn charge(
    State(payments): State<Arc<Payments>>,
    Extension(correlation): Extension<CorrelationId>,
    Json(charge): Json<Charge>,
) -> Outcome {
    let refused = payments.fault.is_some_and(|fault| fault.strikes(FaultKind::PaymentsError, fastrand::f64()));
    let outcome = ask_bank(&charge, &correlation, refused).await;
    payments.charges.add(1, &[KeyValue::new("shop.outcome", outcome.as_str())]);
    outcome
}

#[tracing::instrument(
    name = "charge card",
    skip_all,
    fields(shop.amount_cents = charge.amount_cents, correlation.id = correlation.as_str())
)]
async fn ask_bank(charge: &Charge, correlation: &CorrelationId, refused: bool) -> Outcome {
    let span = tracing::Span::current();
    let id = correlation.as_str();
    let last_digits = charge.card.get(charge.card.len().saturating_sub(4)..).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(fastrand::u64(10..60))).await;
    if refused {
        span.set_status(Status::error("the bank refused the connection"));
        tracing::error!(
            name: "payment.failed",
            { correlation.id = id, server.address = BANK, error.type = "connection_refused" },
            "cannot reach the bank: connection refused"
        );
        return Outcome::Unavailable;
    }
    match last_digits {
        DECLINED => {
            span.set_status(Status::error("card declined"));
            tracing::warn!(
                name: "payment.declined",
                { correlation.id = id, shop.card.last_digits = last_digits },
                "card declined by the bank"
            );
            Outcome::CardDeclined
        }
        NO_ANSWER => {
            tokio::time::sleep(Duration::from_millis(400)).await;
            span.set_status(Status::error("no answer from the bank"));
            tracing::error!(name: "payment.unanswered", { correlation.id = id }, "no answer from the bank");
            Outcome::Unavailable
        }
        _ => {
            span.add_event("card charged", vec![KeyValue::new("shop.card.last_digits", last_digits.to_owned())]);
            tracing::info!(
                name: "payment.charged",
                { correlation.id = id, shop.amount_cents = charge.amount_cents },
                "card charged"
            );
            Outcome::Placed
        }
    }
}
