//! The way of one order: claim, reserve, charge, keep; and back again where a step fails.

use anyhow::{Context as _, bail};
use axum::http::{Method, StatusCode};
use sextant_sdk::opentelemetry::trace::{Status, get_active_span};

use super::book::{Book, Claim};
use crate::context::Context;
use crate::data::Shard;
use crate::faults::process::is_bad_now;
use crate::net::Peer;
use crate::order::{Charge, Order, OrderPlaced, Outcome, Reserve, Reserved};

/// What it takes to place orders.
pub(super) struct Placing {
    pub(super) context: Context,
    /// By shard.
    pub(super) books: Vec<Book>,
    pub(super) catalog: Peer,
    pub(super) payments: Peer,
}

impl Placing {
    /// The shard of a customer.
    pub(super) fn book(&self, customer: &str) -> &Book {
        &self.books[Shard::of(customer).number()]
    }

    /// Places an order, or says how the same one ended before; and what became of its idempotency key.
    pub(super) async fn place(&self, id: &str, key: &str, order: &Order) -> (Outcome, &'static str) {
        if is_bad_now(&self.context) {
            let version = &self.context.config.version;
            get_active_span(|span| span.set_status(Status::error("no discount")));
            tracing::error!(
                name: "order.failed",
                { shop.item = order.item, service.version = version },
                "version {version} divides by the discounts of the customer, who has none"
            );
            return (Outcome::Unavailable, "first");
        }
        let book = self.book(&order.customer);
        let claimed_ms = match book.claim(key, order).await {
            Ok(Claim::Ours { claimed_ms }) => claimed_ms,
            Ok(Claim::Answered(outcome)) => {
                let outcome_word = outcome.as_str();
                tracing::info!(name: "order.repeated", { shop.outcome = outcome_word }, "the same order again: answered as before");
                return (outcome, "replayed");
            }
            Ok(Claim::UnderWay) => return (Outcome::InProgress, "in_progress"),
            Ok(Claim::OfAnother) => {
                tracing::warn!(name: "order.key_reused", "the idempotency key belongs to another order");
                return (Outcome::KeyReused, "reused");
            }
            Err(error) => return (failed(order, &error.into()), "first"),
        };
        let outcome = match self.reserve_and_charge(id, key, order).await {
            Ok(outcome) => outcome,
            Err(error) => failed(order, &error),
        };
        let kept = match outcome {
            // Kept together with the order.
            Outcome::Placed => Ok(()),
            Outcome::Unavailable => book.release(key, claimed_ms).await,
            outcome => book.settle(key, outcome).await,
        };
        if let Err(error) = kept {
            tracing::warn!(name: "order.key_lost", { error = %error }, "the idempotency key stays claimed until it is too old");
        }
        (outcome, "first")
    }

    async fn reserve_and_charge(&self, id: &str, key: &str, order: &Order) -> anyhow::Result<Outcome> {
        let Some(reserved) = self.reserve(id, order).await? else {
            refused(order, Outcome::OutOfStock);
            return Ok(Outcome::OutOfStock);
        };
        let charge = Charge { order: id.to_owned(), amount_cents: reserved.amount_cents, card: order.card.clone() };
        let charged = match self.charge(&charge).await {
            Ok(Outcome::Placed) => {
                let placed = OrderPlaced {
                    order: id.to_owned(),
                    customer: order.customer.clone(),
                    item: order.item.clone(),
                    quantity: order.quantity,
                    amount_cents: reserved.amount_cents,
                };
                self.book(&order.customer).place(key, &placed).await.map(|()| Outcome::Placed)
            }
            other => other,
        };
        match charged {
            Ok(Outcome::Placed) => {
                tracing::info!(
                    name: "order.placed",
                    { shop.item = order.item, shop.quantity = order.quantity, shop.shard = Shard::of(&order.customer).namespace() },
                    "order placed"
                );
                Ok(Outcome::Placed)
            }
            Ok(outcome) => {
                self.release(id, order).await;
                refused(order, outcome);
                Ok(outcome)
            }
            Err(error) => {
                self.release(id, order).await;
                Err(error)
            }
        }
    }

    /// What is held for the order, if it is there. The catalog knows the order when it comes again, and so do payments.
    async fn reserve(&self, id: &str, order: &Order) -> anyhow::Result<Option<Reserved>> {
        let path = format!("/products/{}/reservations", path_segment(&order.item)?);
        let reserve = Reserve { order: id.to_owned(), quantity: order.quantity };
        let answer = self.catalog.call_repeatable(Method::POST, "/products/{id}/reservations", &path, &reserve).await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::OK => {
                answer.json().map(Some).context("the catalog's answer makes no sense")
            }
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => Ok(None),
            status => bail!("the catalog answered {status}"),
        }
    }

    async fn charge(&self, charge: &Charge) -> anyhow::Result<Outcome> {
        let answer = self.payments.call_repeatable(Method::POST, "/payments", "/payments", charge).await?;
        answer.json().with_context(|| format!("payments answered {}, and no outcome", answer.status))
    }

    /// Gives back what was held. What cannot be given back now is the catalog's loss, and a line in the log.
    async fn release(&self, id: &str, order: &Order) {
        let released = async {
            let path = format!("/products/{}/reservations/{}", path_segment(&order.item)?, path_segment(id)?);
            let template = "/products/{id}/reservations/{order}";
            let answer = self.catalog.call(Method::DELETE, template, &path, &()).await?;
            anyhow::ensure!(answer.status.is_success(), "the catalog answered {}", answer.status);
            anyhow::Ok(())
        };
        if let Err(error) = released.await {
            tracing::error!(name: "stock.unreleased", { error = format!("{error:#}") }, "what was reserved could not be given back");
        }
    }
}

/// That the bank says no is the customer's trouble; that nobody answers is the shop's.
fn refused(order: &Order, outcome: Outcome) {
    if outcome == Outcome::Unavailable {
        get_active_span(|span| span.set_status(Status::error("payments are not available")));
        tracing::error!(
            name: "order.failed",
            { shop.item = order.item, shop.outcome = outcome.as_str() },
            "order failed, stock released"
        );
    } else {
        tracing::warn!(
            name: "order.refused",
            { shop.item = order.item, shop.outcome = outcome.as_str() },
            "order refused"
        );
    }
}

fn failed(order: &Order, error: &anyhow::Error) -> Outcome {
    get_active_span(|span| span.set_status(Status::error("order failed")));
    tracing::error!(
        name: "order.failed",
        { shop.item = order.item, error = format!("{error:#}") },
        "order failed: {error:#}"
    );
    Outcome::Unavailable
}

/// A name as a part of a path: names of products and orders are plain, and what is not is none of them.
fn path_segment(name: &str) -> anyhow::Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    anyhow::ensure!(!name.is_empty() && name.bytes().all(plain), "`{name}` is no name");
    Ok(name)
}
