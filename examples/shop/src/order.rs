//! What the services say to each other: an order, a charge, and how it ended.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// What a customer wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// A name out of the stock.
    pub(crate) item: String,
    pub(crate) quantity: u32,
    pub(crate) amount_cents: u64,
    /// Not a real card number: its last four digits decide what the bank says, see `payments`.
    pub(crate) card: String,
}

/// What orders asks of payments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) amount_cents: u64,
    pub(crate) card: String,
}

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
    /// A service or the bank could not be reached, or made no sense.
    Unavailable,
}

impl Outcome {
    /// The word in attributes and log lines.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::CardDeclined => "card_declined",
            Self::OutOfStock => "out_of_stock",
            Self::Unavailable => "unavailable",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Placed => StatusCode::CREATED,
            Self::CardDeclined => StatusCode::PAYMENT_REQUIRED,
            Self::OutOfStock => StatusCode::CONFLICT,
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
        for outcome in [Outcome::Placed, Outcome::CardDeclined, Outcome::OutOfStock, Outcome::Unavailable] {
            let text = serde_json::to_string(&outcome).expect("plain data");
            assert_eq!(text, format!(r#"{{"outcome":"{}"}}"#, outcome.as_str()));
            assert_eq!(serde_json::from_str::<Outcome>(&text).expect("its own words"), outcome);
        }
    }
}
