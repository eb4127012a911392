//! Orders: reserves what is wanted, has the card charged, and keeps the order together with the message about it in one transaction of the customer's shard. The same request twice is
//! one order.

mod book;
mod place;

use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use sextant_sdk::CorrelationId;
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::Counter;

use crate::config::ServiceName;
use crate::context::Context;
use crate::data::{Database, Name, Shard};
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::order::{Order, PLACED_ORDERS};
use crate::queue::{self, outbox};
use book::Book;
use place::Placing;

struct Orders {
    placing: Placing,
    orders: Counter<u64>,
    repeats: Counter<u64>,
}

/// Its routes, once its shards, its queue and its peers are there.
pub(crate) async fn open(context: &Context) -> anyhow::Result<Router> {
    let mut books = Vec::new();
    let queue = queue::open(context, PLACED_ORDERS).await.context("cannot open the queue")?;
    for shard in Shard::all() {
        let database = Database::open(context, Name::Orders(shard)).await?;
        let book =
            Book::open(database.clone()).await.with_context(|| format!("cannot open the orders of {shard:?}"))?;
        outbox::relay(context, &database, &queue);
        books.push(book);
    }
    let placing = Placing {
        context: context.clone(),
        books,
        catalog: context.peers.to(ServiceName::Catalog),
        payments: context.peers.to(ServiceName::Payments),
    };
    let counter =
        |name, unit, description| context.meter.u64_counter(name).with_unit(unit).with_description(description).build();
    let orders = Orders {
        placing,
        orders: counter("shop.orders", "{order}", "Orders by outcome"),
        repeats: counter("shop.idempotency", "{request}", "Requests for orders, by whether their keys were known"),
    };
    let routes = Router::new().route("/orders", post(place)).route("/orders/{customer}/{order}", get(show));
    Ok(routes.with_state(Arc::new(orders)))
}

async fn place(State(orders): State<Arc<Orders>>, headers: HeaderMap, Json(order): Json<Order>) -> Response {
    // The server layer has made one if the request brought none.
    let id = CorrelationId::current().unwrap_or_else(CorrelationId::make);
    let key = headers.get("idempotency-key").map_or(Some(id.as_str()), |key| key.to_str().ok());
    let Some(key) = key.filter(|key| (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len())) else {
        let hint = format!("idempotency-key is to be text of at most {IDEMPOTENCY_KEY_BYTES_MAX} bytes");
        return (StatusCode::BAD_REQUEST, hint).into_response();
    };
    if order.quantity == 0 {
        return (StatusCode::UNPROCESSABLE_ENTITY, "quantity is to be 1 or more").into_response();
    }
    let (outcome, claim) = orders.placing.place(id.as_str(), key, &order).await;
    orders.orders.add(1, &[KeyValue::new("shop.outcome", outcome.as_str())]);
    orders.repeats.add(1, &[KeyValue::new("shop.idempotency", claim)]);
    outcome.into_response()
}

async fn show(State(orders): State<Arc<Orders>>, Path((customer, order)): Path<(String, String)>) -> Response {
    match orders.placing.book(&customer).find(&customer, &order).await {
        Ok(Some(order)) => Json(order).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, "this customer has no such order").into_response(),
        Err(error) => {
            tracing::error!(name: "order.unreadable", { error = %error }, "cannot read an order");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
