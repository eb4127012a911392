//! `POST /orders`: read before it is handed on, so that nonsense ends here; said in the log when it comes and when it is answered; and measured as a whole.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use sextant_sdk::metrics::{DURATION_BOUNDS_S, Histogram, histogram};
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::Meter;

use super::first_order::ORDER_DURATION;
use super::forward::{self, Asked};
use super::{Gateway, answer};
use crate::config::ServiceName;
use crate::limits::{CUSTOMER_TEXT_BYTES_MAX, QUANTITY_MAX};
use crate::net::Answer;
use crate::order::{Order, Outcome};

/// The outcome of orders that the service orders finds fault with.
const INVALID: &str = "invalid";

pub(super) fn durations(meter: &Meter) -> Histogram {
    let durations = histogram(meter, ORDER_DURATION.0).with_unit("s").with_boundaries(DURATION_BOUNDS_S);
    durations.with_description("Time from a customer's order to its answer").build()
}

pub(super) async fn place(State(gateway): State<Arc<Gateway>>, asked: Asked) -> Response {
    let order = match read(&asked.body) {
        Ok(order) => order,
        Err((status, why)) => return answer::refused(status, &why),
    };
    let begun = Instant::now();
    tracing::info!(
        name: "order.received",
        { shop.customer = order.customer, shop.item = order.item, shop.quantity = order.quantity },
        "order received"
    );
    let (outcome, response) = match forward::ask(&gateway, ServiceName::Orders, "/orders", asked).await {
        Ok((answer, cookie)) => (outcome(&answer), forward::with_cookie(answer::handed_on(answer), cookie)),
        Err(error) => {
            let outcome = Outcome::Unavailable.as_str();
            (outcome, answer::unanswered(ServiceName::Orders, &error, Some(outcome)))
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    if outcome == Outcome::Placed.as_str() {
        tracing::info!(name: "order.answered", { shop.outcome = outcome, duration_s = seconds }, "order answered");
    } else {
        tracing::warn!(name: "order.answered", { shop.outcome = outcome, duration_s = seconds }, "order refused");
    }
    gateway.durations.record(seconds, &[KeyValue::new(ORDER_DURATION.1, outcome)]);
    response
}

fn outcome(answer: &Answer) -> &'static str {
    match answer.json::<Outcome>() {
        Ok(outcome) => outcome.as_str(),
        Err(_) if answer.status.is_client_error() => INVALID,
        Err(_) => Outcome::Unavailable.as_str(),
    }
}

/// The order, if it can be one.
fn read(body: &[u8]) -> Result<Order, (StatusCode, String)> {
    let order: Order = serde_json::from_slice(body).map_err(|error| {
        let status = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        // It may quote what it was given.
        let why: String = error.to_string().chars().take(200).collect();
        (status, format!("this is no order: {why}"))
    })?;
    let wrong = |why: String| Err((StatusCode::UNPROCESSABLE_ENTITY, why));
    for (what, text) in [("customer", &order.customer), ("item", &order.item), ("card", &order.card)] {
        if !(1..=CUSTOMER_TEXT_BYTES_MAX).contains(&text.len()) || text.chars().any(char::is_control) {
            return wrong(format!("{what} takes 1 to {CUSTOMER_TEXT_BYTES_MAX} bytes of text"));
        }
    }
    if !(1..=QUANTITY_MAX).contains(&order.quantity) {
        return wrong(format!("quantity is 1 to {QUANTITY_MAX}"));
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_an_order_is_one() {
        let order = |change: &str, to: &str| {
            let order = r#"{"customer":"ada","item":"kettle","quantity":2,"card":"424242424242"}"#;
            order.replace(change, to)
        };
        assert_eq!(read(order("", "").as_bytes()).map(|order| order.quantity), Ok(2));
        for (body, status) in [
            (String::new(), 400),
            ("{".to_owned(), 400),
            ("\u{0}".to_owned(), 400),
            ("[".repeat(10_000), 422),
            ("[]".to_owned(), 422),
            (order("2", "-1"), 422),
            (order("2", "0"), 422),
            (order("2", &format!("\"{}\"", "two".repeat(10_000))), 422),
            (order("2", "1e9"), 422),
            (order("2", "4000000000"), 422),
            (order("ada", ""), 422),
            (order("ada", r"a\u0000b"), 422),
            (order("kettle", &"k".repeat(1_000)), 422),
            (order("customer", "costumer"), 422),
        ] {
            let refused = read(body.as_bytes()).expect_err(&body[..body.len().min(80)]);
            assert_eq!(refused.0.as_u16(), status, "{}: {}", &body[..body.len().min(80)], refused.1);
            assert!(refused.1.len() < 400, "{}", refused.1);
        }
    }
}
