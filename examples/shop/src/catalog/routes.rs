//! The catalog over HTTP: reads what is asked, has it done, says what came of it, and writes it into the log.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::shelf::{Shelf, Shown};
use super::stock::{Reservation, Stock};
use super::stores::{Product, Review};
use super::warehouse;
use crate::data::DatabaseError;
use crate::limits::{
    CUSTOMER_NAME_CHARS_MAX, ORDER_ID_BYTES_MAX, PRICE_CENTS_MAX, PRODUCT_ID_BYTES_MAX, QUANTITY_MAX, REVIEW_CHARS_MAX,
};
use crate::order::{Reserve, Reserved};

pub(super) struct Catalog {
    pub(super) shelf: Shelf,
    pub(super) stock: Arc<Stock>,
}

type Shared = State<Arc<Catalog>>;

pub(super) fn routes(catalog: Catalog) -> Router {
    Router::new()
        .route("/products", get(list))
        .route("/products/{id}", get(show))
        .route("/products/{id}/price", get(price).put(set_price))
        .route("/products/{id}/reviews", get(reviews).post(review))
        .route("/products/{id}/views", post(view))
        .route("/products/{id}/cache", delete(forget))
        .route("/products/{id}/reservations", post(reserve))
        .route("/products/{id}/reservations/{order}", delete(release))
        .with_state(Arc::new(catalog))
}

/// Why there is no answer.
#[derive(Debug)]
enum Refusal {
    NoProduct(String),
    Short { left: i64 },
    Senseless(String),
    Unavailable(Arc<DatabaseError>),
}

impl From<Arc<DatabaseError>> for Refusal {
    fn from(error: Arc<DatabaseError>) -> Self {
        Self::Unavailable(error)
    }
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::NoProduct(id) => (StatusCode::NOT_FOUND, json!({"error": format!("there is no product {id}")})),
            Self::Short { left } => (StatusCode::CONFLICT, json!({"error": "not enough in stock", "left": left})),
            Self::Senseless(error) => (StatusCode::BAD_REQUEST, json!({"error": error})),
            Self::Unavailable(error) => {
                tracing::error!(
                    name: "catalog.unavailable",
                    { error = &*error as &dyn std::error::Error },
                    "the catalog's database does not answer"
                );
                (StatusCode::SERVICE_UNAVAILABLE, json!({"error": error.to_string()}))
            }
        };
        (status, Json(body)).into_response()
    }
}

impl Catalog {
    async fn product(&self, id: &str) -> Result<Product, Refusal> {
        let none = || Refusal::NoProduct(id.chars().take(PRODUCT_ID_BYTES_MAX).collect());
        // Nor would every database take it for a text.
        if id.len() > PRODUCT_ID_BYTES_MAX || id.contains(char::is_control) {
            return Err(none());
        }
        self.shelf.product(id).await?.ok_or_else(none)
    }
}

async fn list(State(catalog): Shared) -> Result<Json<Vec<Shown>>, Refusal> {
    Ok(Json(catalog.shelf.show_all().await?))
}

async fn show(State(catalog): Shared, Path(id): Path<String>) -> Result<Json<Shown>, Refusal> {
    let product = catalog.product(&id).await?;
    catalog.shelf.show(&product.id).await?.map(Json).ok_or(Refusal::NoProduct(id))
}

#[derive(Serialize, Deserialize)]
struct Price {
    cents: i64,
}

async fn price(State(catalog): Shared, Path(id): Path<String>) -> Result<Json<Price>, Refusal> {
    let product = catalog.product(&id).await?;
    let cents = catalog.shelf.price(&product.id).await?.ok_or(Refusal::NoProduct(id))?;
    Ok(Json(Price { cents }))
}

async fn set_price(
    State(catalog): Shared,
    Path(id): Path<String>,
    Json(Price { cents }): Json<Price>,
) -> Result<Json<Price>, Refusal> {
    if !(1..=PRICE_CENTS_MAX).contains(&cents) {
        return Err(Refusal::Senseless(format!("a price is 1 to {PRICE_CENTS_MAX} cents, and not {cents}")));
    }
    let product = catalog.product(&id).await?;
    if !catalog.shelf.set_price(&product.id, cents).await? {
        return Err(Refusal::NoProduct(id));
    }
    tracing::info!(name: "price.changed", { shop.item = id, shop.price_cents = cents }, "price changed");
    Ok(Json(Price { cents }))
}

async fn reviews(State(catalog): Shared, Path(id): Path<String>) -> Result<Json<Vec<Review>>, Refusal> {
    let product = catalog.product(&id).await?;
    Ok(Json(catalog.shelf.reviews(&product.id).await?))
}

async fn review(
    State(catalog): Shared,
    Path(id): Path<String>,
    Json(review): Json<Review>,
) -> Result<StatusCode, Refusal> {
    if !(1..=5).contains(&review.stars) {
        return Err(Refusal::Senseless("a review has 1 to 5 stars".to_owned()));
    }
    let name = review.customer.chars().count();
    if name == 0 || name > CUSTOMER_NAME_CHARS_MAX || review.text.chars().count() > REVIEW_CHARS_MAX {
        let error = format!(
            "a review has a customer (up to {CUSTOMER_NAME_CHARS_MAX} characters) and a text (up to {REVIEW_CHARS_MAX})"
        );
        return Err(Refusal::Senseless(error));
    }
    let product = catalog.product(&id).await?;
    catalog.shelf.review(&product.id, &review).await?;
    tracing::info!(name: "review.written", { shop.item = id, shop.stars = review.stars }, "review written");
    Ok(StatusCode::CREATED)
}

async fn view(State(catalog): Shared, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let product = catalog.product(&id).await?;
    catalog.shelf.view(&product.id).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn forget(State(catalog): Shared, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let product = catalog.product(&id).await?;
    catalog.shelf.forget(&product.id).await;
    tracing::info!(name: "cache.invalidated", { shop.item = id }, "the caches have forgotten a product");
    Ok(StatusCode::NO_CONTENT)
}

async fn reserve(
    State(catalog): Shared,
    Path(id): Path<String>,
    Json(Reserve { order, quantity }): Json<Reserve>,
) -> Result<Response, Refusal> {
    if !(1..=QUANTITY_MAX).contains(&quantity) {
        return Err(Refusal::Senseless(format!("an order is for 1 to {QUANTITY_MAX} items, and not for {quantity}")));
    }
    if order.is_empty() || order.len() > ORDER_ID_BYTES_MAX || order.contains(char::is_control) {
        return Err(Refusal::Senseless(format!("an order has an id of at most {ORDER_ID_BYTES_MAX} bytes")));
    }
    let product = catalog.product(&id).await?;
    warehouse::answer(&product.warehouse).await;
    let reservation = catalog.stock.reserve(&product.id, &order, i64::from(quantity)).await?;
    tell(&product.id, quantity, reservation);
    match reservation {
        Reservation::Held { amount_cents, left, .. } => {
            // Neither is negative, and there are not so many.
            let amount_cents = u64::try_from(amount_cents).unwrap_or_default();
            let reserved = Reserved { amount_cents, left: u32::try_from(left).unwrap_or(u32::MAX) };
            Ok((StatusCode::CREATED, Json(reserved)).into_response())
        }
        Reservation::Short { left } => Err(Refusal::Short { left }),
        Reservation::Unknown => Err(Refusal::NoProduct(id)),
    }
}

fn tell(item: &str, quantity: u32, reservation: Reservation) {
    match reservation {
        Reservation::Held { left, again: true, .. } => tracing::info!(
            name: "stock.reserved_already",
            { shop.item = item, shop.stock.level = left },
            "stock was reserved before for this order"
        ),
        Reservation::Held { left, delivered, .. } => {
            if let Some(delivered) = delivered {
                tracing::info!(
                    name: "stock.delivered",
                    { shop.item = item, shop.quantity = delivered, shop.stock.level = left },
                    "few were left: a delivery came"
                );
            }
            tracing::info!(
                name: "stock.reserved",
                { shop.item = item, shop.quantity = quantity, shop.stock.level = left },
                "stock reserved"
            );
        }
        Reservation::Short { left } => tracing::warn!(
            name: "stock.short",
            { shop.item = item, shop.quantity = quantity, shop.stock.level = left },
            "not enough in stock"
        ),
        Reservation::Unknown => {}
    }
}

async fn release(State(catalog): Shared, Path((id, order)): Path<(String, String)>) -> Result<StatusCode, Refusal> {
    let product = catalog.product(&id).await?;
    if let Some((quantity, left)) = catalog.stock.release(&product.id, &order).await? {
        tracing::info!(
            name: "stock.released",
            { shop.item = id, shop.quantity = quantity, shop.stock.level = left },
            "stock released"
        );
    }
    Ok(StatusCode::NO_CONTENT)
}
