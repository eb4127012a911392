//! Tells customers what became of their orders: consumes the queue of placed orders and sends a letter for each. Letters are kept in a volume of limited size, the oldest go first.

mod fill;
mod letter;
mod mail;
mod volume;

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use tracing::Instrument;

use self::mail::{Mail, MailError};
use self::volume::{Volume, VolumeError};
use crate::context::Context;
use crate::limits::DEAD_LETTERS_LISTED;
use crate::order::{OrderPlaced, PLACED_ORDERS};
use crate::queue::consumers::{Consumers, Failure, Handle};
use crate::queue::{self, DeadLetter, Message, Queue};

/// The consumer group.
const GROUP: &str = "notifications";

/// Its routes, once what it stands on is there.
pub(crate) async fn open(context: &Context) -> anyhow::Result<Router> {
    let volume = Arc::new(Volume::open(&context.config.components.data_dir.join("letters"))?);
    volume::observe(&context.meter, &volume);
    fill::begin(context, &volume);
    let queue = queue::open(context, PLACED_ORDERS).await?;
    let office = Arc::new(Office { volume, mail: Mail::default(), queue: Arc::clone(&queue) });
    Consumers::of(&queue, GROUP).begin(context, office.clone());
    Ok(routes(office))
}

fn routes(office: Arc<Office>) -> Router {
    Router::new()
        .route("/letters/{order}", get(letter))
        .route("/dead-letters", get(dead_letters))
        .route("/dead-letters/redrive", post(redrive))
        .with_state(office)
}

/// Where letters are written and sent.
#[derive(Debug)]
struct Office {
    volume: Arc<Volume>,
    mail: Mail,
    queue: Arc<dyn Queue>,
}

#[async_trait]
impl Handle for Office {
    /// An order whose letter is there has had it sent: a message that comes again sends no second one.
    async fn handle(&self, message: &Message) -> Result<(), Failure> {
        let placed: OrderPlaced = serde_json::from_slice(&message.payload)
            .map_err(|error| Failure::Poison(format!("this is no placed order: {error}")))?;
        let order = placed.order.as_str();
        if self.volume.has(order) {
            tracing::info!(name: "letter.known", { shop.order = order }, "the letter for order {order} was sent before");
            return Ok(());
        }
        self.send(&placed).await.map_err(|error| Failure::Passing(error.to_string()))
    }
}

/// Why a letter was not sent.
#[derive(Debug, thiserror::Error)]
enum NotSent {
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error(transparent)]
    Mail(#[from] MailError),
}

impl Office {
    async fn send(&self, placed: &OrderPlaced) -> Result<(), NotSent> {
        // Written first: what cannot be kept is not sent. It is the order's letter once it is sent. A few hundred bytes are written faster than another thread is told to.
        let draft = self.volume.write(&placed.order, &letter::text(placed)).inspect_err(|error| {
            if matches!(error, VolumeError::Full { .. }) && self.volume.may_complain() {
                let (usage, limit) = (self.volume.usage(), self.volume.limit());
                tracing::error!(
                    name: "letters.full",
                    { shop.letters.usage = usage, shop.letters.limit = limit, error = error.to_string() },
                    "no space left on the letters volume"
                );
            }
        })?;
        self.mail.deliver(&placed.customer).instrument(tracing::info_span!("deliver letter")).await?;
        let order = placed.order.as_str();
        if draft.keep()? {
            tracing::info!(name: "letter.sent", { shop.order = order }, "the letter for order {order} was sent");
        } else {
            tracing::info!(name: "letter.known", { shop.order = order }, "another worker has sent the letter for order {order}");
        }
        Ok(())
    }
}

async fn letter(State(office): State<Arc<Office>>, Path(order): Path<String>) -> Response {
    match office.volume.read(&order) {
        Ok(Some(text)) => text.into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, format!("there is no letter for order {order}\n")).into_response(),
        Err(error) => {
            tracing::error!(name: "letter.unreadable", { error = error.to_string() }, "a letter cannot be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A dead letter, for people.
#[derive(Debug, Serialize)]
struct Dead {
    id: String,
    reason: String,
    attempts: u32,
    payload: String,
}

async fn dead_letters(State(office): State<Arc<Office>>) -> Response {
    let dead = |DeadLetter { message, attempts, reason }| {
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        Dead { id: message.id, reason, attempts, payload }
    };
    match office.queue.dead_letters(DEAD_LETTERS_LISTED).await {
        Ok(letters) => Json(letters.into_iter().map(dead).collect::<Vec<_>>()).into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn redrive(State(office): State<Arc<Office>>) -> Response {
    match office.queue.redrive().await {
        Ok(redriven) => {
            tracing::info!(name: "dead_letters.redriven", { shop.messages = redriven }, "{redriven} dead letters are tried again");
            Json(serde_json::json!({"redriven": redriven})).into_response()
        }
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &queue::QueueError) -> Response {
    let error = queue::full(error);
    tracing::error!(name: "queue.unreachable", { error = error.as_str() }, "the queue gives no answer");
    (StatusCode::SERVICE_UNAVAILABLE, error).into_response()
}

#[cfg(test)]
mod tests;
