//! One shard's orders and idempotency keys.

use anyhow::Context as _;
use serde::Serialize;

use crate::data::{Database, DatabaseError, Transaction, now_ms};
use crate::limits::CLAIM_MAX;
use crate::order::{Order, OrderPlaced, Outcome};
use crate::queue::outbox;

const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS orders (
        id TEXT PRIMARY KEY, customer TEXT NOT NULL, item TEXT NOT NULL, quantity BIGINT NOT NULL,
        amount_cents BIGINT NOT NULL, placed_ms BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS idempotency (
        key TEXT PRIMARY KEY, request TEXT NOT NULL, outcome TEXT, claimed_ms BIGINT NOT NULL)",
];

/// The orders of some of the customers.
#[derive(Clone, Debug)]
pub(super) struct Book(Database);

/// Whose a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Ours: nobody has used it, or whoever did has given up. To be settled or released.
    Ours {
        /// When it was claimed, which tells our claim from a later one.
        claimed_ms: i64,
    },
    /// The same request has been answered so.
    Answered(Outcome),
    /// The same request is under way.
    UnderWay,
    /// Another request has used it.
    OfAnother,
}

/// A placed order, as it is shown.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Placed {
    id: String,
    customer: String,
    item: String,
    quantity: i64,
    amount_cents: i64,
    placed_ms: i64,
}

impl Book {
    pub(super) async fn open(database: Database) -> Result<Self, DatabaseError> {
        database.create(&TABLES).await?;
        database.create(&outbox::TABLES).await?;
        Ok(Self(database))
    }

    /// Claims an idempotency key for a request.
    pub(super) async fn claim(&self, key: &str, order: &Order) -> Result<Claim, DatabaseError> {
        let (now, request) = (now_ms(), fingerprint(order));
        let claim = "INSERT INTO idempotency (key, request, claimed_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        if self.0.ask("INSERT", "idempotency", claim).bind(key).bind(&request).bind(now).execute().await? == 1 {
            return Ok(Claim::Ours { claimed_ms: now });
        }
        let known = "SELECT request, outcome, claimed_ms FROM idempotency WHERE key = $1";
        let known = self.0.ask("SELECT", "idempotency", known).bind(key);
        let Some((of, outcome, claimed)) = known.optional::<(String, Option<String>, i64)>().await? else {
            // Released in between: whoever tries again will have it.
            return Ok(Claim::UnderWay);
        };
        if of != request {
            return Ok(Claim::OfAnother);
        }
        if let Some(outcome) = outcome.and_then(|outcome| Outcome::from_word(&outcome)) {
            return Ok(Claim::Answered(outcome));
        }
        if now.saturating_sub(claimed) < CLAIM_MAX.as_millis() as i64 {
            return Ok(Claim::UnderWay);
        }
        // Whoever had it crashed. One of those that come takes it over.
        let take = "UPDATE idempotency SET claimed_ms = $1 WHERE key = $2 AND claimed_ms = $3 AND outcome IS NULL";
        let taken = self.0.ask("UPDATE", "idempotency", take).bind(now).bind(key).bind(claimed).execute().await?;
        Ok(if taken == 1 { Claim::Ours { claimed_ms: now } } else { Claim::UnderWay })
    }

    /// Keeps a placed order, the message about it, and the answer to whoever asks again: all or nothing.
    pub(super) async fn place(&self, key: &str, placed: &OrderPlaced) -> anyhow::Result<()> {
        let message = serde_json::to_vec(placed).context("cannot write the message")?;
        let mut transaction = self.0.begin("orders").await?;
        let insert = "INSERT INTO orders (id, customer, item, quantity, amount_cents, placed_ms)
            VALUES ($1, $2, $3, $4, $5, $6)";
        let amount = i64::try_from(placed.amount_cents).unwrap_or(i64::MAX);
        let insert = transaction.ask("INSERT", "orders", insert);
        let insert = insert.bind(&placed.order).bind(&placed.customer).bind(&placed.item);
        insert.bind(i64::from(placed.quantity)).bind(amount).bind(now_ms()).execute().await?;
        outbox::insert(&mut transaction, &placed.order, message).await?;
        answer(&mut transaction, key, Outcome::Placed).await?;
        Ok(transaction.commit().await?)
    }

    /// Keeps the answer to whoever asks again.
    pub(super) async fn settle(&self, key: &str, outcome: Outcome) -> Result<(), DatabaseError> {
        let mut transaction = self.0.begin("idempotency").await?;
        answer(&mut transaction, key, outcome).await?;
        transaction.commit().await
    }

    /// Lets whoever asks again try anew.
    pub(super) async fn release(&self, key: &str, claimed_ms: i64) -> Result<(), DatabaseError> {
        let release = "DELETE FROM idempotency WHERE key = $1 AND claimed_ms = $2 AND outcome IS NULL";
        self.0.ask("DELETE", "idempotency", release).bind(key).bind(claimed_ms).execute().await.map(drop)
    }

    pub(super) async fn find(&self, customer: &str, order: &str) -> Result<Option<Placed>, DatabaseError> {
        let find = "SELECT id, customer, item, quantity, amount_cents, placed_ms FROM orders
            WHERE id = $1 AND customer = $2";
        let found = self.0.ask("SELECT", "orders", find).bind(order).bind(customer);
        let found = found.optional::<(String, String, String, i64, i64, i64)>().await?;
        Ok(found.map(|(id, customer, item, quantity, amount_cents, placed_ms)| Placed {
            id,
            customer,
            item,
            quantity,
            amount_cents,
            placed_ms,
        }))
    }
}

async fn answer(transaction: &mut Transaction, key: &str, outcome: Outcome) -> Result<(), DatabaseError> {
    let answer = "UPDATE idempotency SET outcome = $1 WHERE key = $2";
    transaction.ask("UPDATE", "idempotency", answer).bind(outcome.as_str()).bind(key).execute().await.map(drop)
}

/// What makes two requests the same one: all that the customer decides on, without the card, which is nobody's to keep.
fn fingerprint(order: &Order) -> String {
    format!("{}\n{}\n{}", order.customer, order.item, order.quantity)
}
