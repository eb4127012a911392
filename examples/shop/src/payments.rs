//! Charges cards at a bank that is slow and fails: with a bound on each try, tries that wait longer each time, a breaker, and never twice for the same order.

mod bank;
mod teller;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use moka::future::Cache;
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::Counter;
use sextant_sdk::opentelemetry::trace::{Status, get_active_span};

use crate::context::Context;
use crate::limits::SETTLED_PAYMENTS_MAX;
use crate::order::{Charge, Outcome};
use teller::{Teller, Unanswered};

pub(crate) use bank::{DECLINED, NO_ANSWER};

struct Payments {
    teller: Teller,
    charges: Counter<u64>,
    /// What the bank has decided, by order: whoever asks again hears the same.
    settled: Cache<String, Outcome>,
}

/// Its routes, once the bank is open.
pub(crate) async fn open(context: &Context) -> anyhow::Result<Router> {
    let bank = bank::open(Arc::clone(&context.faults), &context.tasks).await?;
    let charges = context.meter.u64_counter("shop.payments").with_unit("{payment}");
    let payments = Payments {
        teller: Teller::new(context, bank),
        charges: charges.with_description("Charges by outcome").build(),
        settled: Cache::new(SETTLED_PAYMENTS_MAX),
    };
    Ok(Router::new().route("/payments", post(charge)).with_state(Arc::new(payments)))
}

async fn charge(State(payments): State<Arc<Payments>>, Json(charge): Json<Charge>) -> Outcome {
    if let Some(outcome) = payments.settled.get(&charge.order).await {
        tracing::info!(name: "payment.repeated", "this order has been charged: answered as before");
        return outcome;
    }
    let outcome = payments.ask_bank(&charge).await;
    payments.charges.add(1, &[KeyValue::new("shop.outcome", outcome.as_str())]);
    if outcome != Outcome::Unavailable {
        payments.settled.insert(charge.order, outcome).await;
    }
    outcome
}

impl Payments {
    #[tracing::instrument(name = "charge card", skip_all, fields(shop.amount_cents = charge.amount_cents))]
    async fn ask_bank(&self, charge: &Charge) -> Outcome {
        let last_digits = bank::last_digits(&charge.card);
        match self.teller.transfer(charge).await {
            Ok(true) => {
                let card = KeyValue::new("shop.card.last_digits", last_digits.to_owned());
                get_active_span(|span| span.add_event("card charged", vec![card]));
                tracing::info!(
                    name: "payment.charged",
                    { shop.amount_cents = charge.amount_cents },
                    "card charged"
                );
                Outcome::Placed
            }
            Ok(false) => {
                fails("card declined");
                tracing::warn!(
                    name: "payment.declined",
                    { shop.card.last_digits = last_digits },
                    "card declined by the bank"
                );
                Outcome::CardDeclined
            }
            Err(why) => {
                fails(why.as_str());
                let message = match why {
                    Unanswered::BreakerOpen => "the bank is left alone: its breaker is open",
                    Unanswered::Timeout => "no answer from the bank in time",
                    Unanswered::Refused => "the bank answers 503",
                    Unanswered::Broken => "the connection to the bank broke",
                };
                tracing::error!(
                    name: "payment.failed",
                    { server.address = bank::HOST, error.type = why.as_str() },
                    "payment failed: {message}"
                );
                Outcome::Unavailable
            }
        }
    }
}

/// The charge is an error in its trace.
fn fails(why: &'static str) {
    get_active_span(|span| span.set_status(Status::error(why)));
}
