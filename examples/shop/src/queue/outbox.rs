//! The outbox pattern: what is to be published is written in the transaction that it tells of, with the trace that it happened in, and a relay publishes it later, as part of that trace.
//! So an order that was committed is told to the queue, and one that was not is not. A relay that ends between publishing and marking publishes again; the queue knows the id.
//!
//! ```text
//! orders.create(&outbox::TABLES).await?;
//! outbox::relay(context, &orders, &queue);
//! let mut transaction = orders.begin("orders").await?;
//! outbox::insert(&mut transaction, &order_id, serde_json::to_vec(&placed)?).await?;
//! transaction.commit().await?;
//! ```

mod pending;
mod relay;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use sextant_sdk::opentelemetry::Context as Trace;
use sextant_sdk::propagate::inject_into;

use super::Queue;
use crate::context::Context;
use crate::data::{Database, DatabaseError, Transaction, now_ms};

/// The tables that a database with an outbox has beside its own.
pub(crate) const TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS outbox (
        id TEXT PRIMARY KEY,
        headers TEXT NOT NULL,
        payload BYTEA NOT NULL,
        written_ms BIGINT NOT NULL,
        sent_ms BIGINT NOT NULL DEFAULT 0
    )",
    "CREATE INDEX IF NOT EXISTS outbox_in_order ON outbox (sent_ms, written_ms, id)",
    // Whose turn it is to publish: one relay at a time, so that nothing is published out of order or by all.
    "CREATE TABLE IF NOT EXISTS outbox_turn (one BIGINT PRIMARY KEY, relay TEXT NOT NULL, until_ms BIGINT NOT NULL)",
    "INSERT INTO outbox_turn (one, relay, until_ms) VALUES (1, '', 0) ON CONFLICT (one) DO NOTHING",
];

/// Has the message with this id and payload published once the transaction is committed, inside the trace that this is called in.
pub(crate) async fn insert(transaction: &mut Transaction, id: &str, payload: Vec<u8>) -> Result<(), DatabaseError> {
    let mut headers = HashMap::new();
    Trace::map_current(|trace| inject_into(trace, &mut headers));
    let headers = serde_json::json!(headers).to_string();
    let insert = "INSERT INTO outbox (id, headers, payload, written_ms) VALUES ($1, $2, $3, $4)";
    let insert = transaction.ask("INSERT", "outbox", insert);
    insert.bind(id).bind(headers).bind(payload).bind(now_ms()).execute().await?;
    Ok(())
}

/// Publishes what is in the outbox of this database until the service stops, and what is there then.
pub(crate) fn relay(context: &Context, database: &Database, queue: &Arc<dyn Queue>) {
    let pending = pending::observe(&context.meter, database.namespace());
    let relay = relay::Relay::new(database, queue, pending);
    context.tasks.spawn(relay.run(context.tasks.clone()));
}
