//! The last service: charges the card. What the bank says follows from the card's last digits, so that a test and a
//! curious person can have every answer they want.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::{Counter, Meter};
use sextant_sdk::opentelemetry::trace::{Status, get_active_span};

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

async fn charge(State(payments): State<Arc<Payments>>, Json(charge): Json<Charge>) -> Outcome {
    let refused = payments.fault.is_some_and(|fault| fault.strikes(FaultKind::PaymentsError, fastrand::f64()));
    let outcome = ask_bank(&charge, refused).await;
    payments.charges.add(1, &[KeyValue::new("shop.outcome", outcome.as_str())]);
    outcome
}

#[tracing::instrument(
    name = "charge card",
    skip_all,
    fields(shop.amount_cents = charge.amount_cents)
)]
async fn ask_bank(charge: &Charge, refused: bool) -> Outcome {
    let last_digits = charge.card.get(charge.card.len().saturating_sub(4)..).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(fastrand::u64(10..60))).await;
    if refused {
        fails("the bank refused the connection");
        tracing::error!(
            name: "payment.failed",
            { server.address = BANK, error.type = "connection_refused" },
            "cannot reach the bank: connection refused"
        );
        return Outcome::Unavailable;
    }
    match last_digits {
        DECLINED => {
            fails("card declined");
            tracing::warn!(
                name: "payment.declined",
                { shop.card.last_digits = last_digits },
                "card declined by the bank"
            );
            Outcome::CardDeclined
        }
        NO_ANSWER => {
            tokio::time::sleep(Duration::from_millis(400)).await;
            fails("no answer from the bank");
            tracing::error!(name: "payment.unanswered", "no answer from the bank");
            Outcome::Unavailable
        }
        _ => {
            let card = KeyValue::new("shop.card.last_digits", last_digits.to_owned());
            get_active_span(|span| span.add_event("card charged", vec![card]));
            tracing::info!(
                name: "payment.charged",
                { shop.amount_cents = charge.amount_cents },
                "card charged"
            );
            Outcome::Placed
        }
    }
}

/// The charge is an error in its trace.
fn fails(why: &'static str) {
    get_active_span(|span| span.set_status(Status::error(why)));
}
