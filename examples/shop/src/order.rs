//! What the services say to each other about an order, and how it ended.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// What a customer wants. Its id is the correlation id of the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Who buys; decides on the shard.
    pub(crate) customer: String,
    /// The id of a product.
    pub(crate) item: String,
    pub(crate) quantity: u32,
    /// Not a real card number: its last four digits decide what the bank says, see `payments`.
    pub(crate) card: String,
}

/// What orders asks of the catalog: hold so many for this order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reserve {
    pub(crate) order: String,
    pub(crate) quantity: u32,
}

/// What the catalog holds, and what it costs. 409 when there is not enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reserved {
    pub(crate) amount_cents: u64,
    pub(crate) left: u32,
}

/// What orders asks of payments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) order: String,
    pub(crate) amount_cents: u64,
    pub(crate) card: String,
}

/// What orders tells whoever listens to the queue [`PLACED_ORDERS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OrderPlaced {
    pub(crate) order: String,
    pub(crate) customer: String,
    pub(crate) item: String,
    pub(crate) quantity: u32,
    pub(crate) amount_cents: u64,
}

/// The queue of placed orders.
pub(crate) const PLACED_ORDERS: &str = "orders-placed";

/// How an order ended, the body of every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Reserved and paid.
    Placed,
    /// The bank said no.
    CardDeclined,
    /// Not enough of the item, or no such item.
    OutOfStock,
    /// Another request with the same idempotency key is under way.
    InProgress,
    /// The idempotency key is that of another order.
    KeyReused,
    /// A service or the bank could not be reached, or made no sense.
    Unavailable,
}

impl Outcome {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Placed, Self::CardDeclined, Self::OutOfStock, Self::InProgress, Self::KeyReused, Self::Unavailable];

    /// The word in attributes, log lines and databases.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::CardDeclined => "card_declined",
            Self::OutOfStock => "out_of_stock",
            Self::InProgress => "in_progress",
            Self::KeyReused => "key_reused",
            Self::Unavailable => "unavailable",
        }
    }

    /// The outcome of [`Outcome::as_str`].
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Placed => StatusCode::CREATED,
            Self::CardDeclined => StatusCode::PAYMENT_REQUIRED,
            Self::OutOfStock | Self::InProgress => StatusCode::CONFLICT,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        (self.status(), Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_reads_as_it_was_written() {
        for outcome in Outcome::ALL {
            let text = serde_json::to_string(&outcome).expect("plain data");
            assert_eq!(text, format!(r#"{{"outcome":"{}"}}"#, outcome.as_str()));
            assert_eq!(serde_json::from_str::<Outcome>(&text).expect("its own words"), outcome);
        }
    }
}
