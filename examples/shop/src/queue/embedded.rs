//! A queue in a SQLite database, which the processes of a shop on one machine share. One row per message: it is read in the order in which it was published, stays for a while when it
//! is done, so that its id is remembered, and nobody else gets it while it is under a lease. What is asked again and again because there may be something is asked without spans.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{DeadLetter, Delivery, Message, Queue, QueueError, Receipt, Settings, Stats};
use crate::context::Context;
use crate::data::{Database, DatabaseError, Name, now_ms};
use crate::limits::QUEUE_POLL;

const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS messages (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        state BIGINT NOT NULL DEFAULT 0,
        headers TEXT NOT NULL,
        payload BYTEA NOT NULL,
        published_ms BIGINT NOT NULL,
        visible_ms BIGINT NOT NULL,
        attempts BIGINT NOT NULL DEFAULT 0,
        lease BIGINT NOT NULL DEFAULT 0,
        reason TEXT NOT NULL DEFAULT '',
        UNIQUE (queue, id)
    )",
    "CREATE INDEX IF NOT EXISTS messages_in_order ON messages (queue, state, number, visible_ms, published_ms)",
];

/// States of a row: to be worked on, dead, done.
const LIVE: i64 = 0;
const DEAD: i64 = 1;
const DONE: i64 = 2;

/// One of the queues in the database.
#[derive(Debug)]
pub(super) struct Embedded {
    database: Database,
    /// The same, without spans and durations.
    quietly: Database,
    name: &'static str,
    settings: Settings,
}

impl Embedded {
    pub(super) async fn open(context: &Context, name: &'static str, settings: Settings) -> Result<Self, QueueError> {
        let failed =
            |source: DatabaseError| QueueError::Failed { operation: "open", queue: name, source: source.into() };
        let database = Database::open(context, Name::Queue).await.map_err(failed)?;
        let quietly = database.quietly();
        quietly.create(&SCHEMA).await.map_err(failed)?;
        Ok(Self { database, quietly, name, settings })
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(DatabaseError) -> QueueError {
        let queue = self.name;
        move |error| QueueError::Failed { operation, queue, source: error.into() }
    }

    /// Whether there is anything to lease: a read, which disturbs no writer.
    async fn has_ready(&self) -> Result<bool, QueueError> {
        let ready = "SELECT 1 FROM messages WHERE queue = $1 AND state = $2 AND visible_ms <= $3 LIMIT 1";
        let ready = self.quietly.ask("SELECT", "messages", ready);
        let ready: Option<(i64,)> =
            ready.bind(self.name).bind(LIVE).bind(now_ms()).optional().await.map_err(self.failed("look into"))?;
        Ok(ready.is_some())
    }

    async fn lease(&self, most: usize) -> Result<Vec<Delivery>, QueueError> {
        let now = now_ms();
        // Never 0, which is nobody's.
        let lease = fastrand::i64(1..);
        let update = "UPDATE messages SET lease = $1, visible_ms = $2, attempts = attempts + 1 WHERE number IN (
                SELECT number FROM messages WHERE queue = $3 AND state = $4 AND visible_ms <= $5
                ORDER BY number LIMIT $6
            ) RETURNING number, id, headers, payload, attempts";
        let update = self.quietly.ask("UPDATE", "messages", update);
        let update = update.bind(lease).bind(now.saturating_add(millis(self.settings.lease)));
        let update = update.bind(self.name).bind(LIVE).bind(now).bind(count(most));
        let mut rows: Vec<(i64, String, String, Vec<u8>, i64)> =
            update.all().await.map_err(self.failed("receive from"))?;
        // RETURNING promises no order.
        rows.sort_unstable_by_key(|row| row.0);
        let delivery = |(row, id, headers, payload, attempts): (i64, String, String, Vec<u8>, i64)| Delivery {
            message: message(id, &headers, payload),
            attempt: attempts.try_into().unwrap_or(u32::MAX),
            receipt: Receipt::Row { row, lease },
        };
        Ok(rows.into_iter().map(delivery).collect())
    }

    /// Changes a message that is under this lease yet.
    async fn settle(
        &self,
        operation: &'static str,
        delivery: &Delivery,
        (state, visible_ms, reason): (i64, i64, &str),
    ) -> Result<(), QueueError> {
        let (row, lease) = match &delivery.receipt {
            Receipt::Row { row, lease } => (*row, *lease),
            #[cfg(feature = "nats")]
            Receipt::Broker(_) => return Err(QueueError::LeaseOver(self.name)),
        };
        // Of what is done only the id is kept.
        let update = "UPDATE messages SET state = $1, visible_ms = $2, reason = $3, lease = 0,
                payload = CASE $1 WHEN 2 THEN x'' ELSE payload END, headers = CASE $1 WHEN 2 THEN '{}' ELSE headers END
            WHERE number = $4 AND lease = $5";
        let update = self.database.ask("UPDATE", "messages", update);
        let update = update.bind(state).bind(visible_ms).bind(reason).bind(row).bind(lease);
        match update.execute().await.map_err(self.failed(operation))? {
            0 => Err(QueueError::LeaseOver(self.name)),
            _ => Ok(()),
        }
    }

    /// Forgets what was done long ago.
    async fn forget(&self) -> Result<(), QueueError> {
        let delete = "DELETE FROM messages WHERE queue = $1 AND state = $2 AND published_ms < $3";
        let before = now_ms().saturating_sub(millis(self.settings.remembered));
        let delete = self.quietly.ask("DELETE", "messages", delete);
        delete.bind(self.name).bind(DONE).bind(before).execute().await.map_err(self.failed("clean"))?;
        Ok(())
    }
}

#[async_trait]
impl Queue for Embedded {
    fn name(&self) -> &'static str {
        self.name
    }

    fn system(&self) -> &'static str {
        "sqlite"
    }

    async fn publish(&self, message: &Message) -> Result<bool, QueueError> {
        // Now and then is often enough, and whoever publishes makes the rows that are to be forgotten.
        if fastrand::u8(..) == 0 {
            self.forget().await?;
        }
        let now = now_ms();
        let headers = serde_json::to_string(&message.headers).map_err(|error| QueueError::Failed {
            operation: "publish to",
            queue: self.name,
            source: error.into(),
        })?;
        let insert = "INSERT INTO messages (queue, id, headers, payload, published_ms, visible_ms)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (queue, id) DO NOTHING";
        let insert = self.database.ask("INSERT", "messages", insert).bind(self.name).bind(&*message.id).bind(headers);
        let insert = insert.bind(message.payload.clone()).bind(now).bind(now);
        Ok(insert.execute().await.map_err(self.failed("publish to"))? == 1)
    }

    async fn receive(&self, most: usize, patience: Duration) -> Result<Vec<Delivery>, QueueError> {
        let until = Instant::now() + patience;
        loop {
            if self.has_ready().await? {
                let deliveries = self.lease(most).await?;
                // Another consumer may have been faster.
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
            }
            if Instant::now() >= until {
                return Ok(Vec::new());
            }
            tokio::time::sleep_until(until.min(Instant::now() + QUEUE_POLL)).await;
        }
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), QueueError> {
        self.settle("acknowledge a message of", delivery, (DONE, 0, "")).await
    }

    async fn retry(&self, delivery: &Delivery, pause: Duration) -> Result<(), QueueError> {
        let visible = now_ms().saturating_add(millis(pause));
        self.settle("retry a message of", delivery, (LIVE, visible, "")).await
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        self.settle("give up a message of", delivery, (DEAD, 0, reason)).await
    }

    async fn dead_letters(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let select = "SELECT id, headers, payload, attempts, reason FROM messages WHERE queue = $1 AND state = $2
            ORDER BY number LIMIT $3";
        let select = self.database.ask("SELECT", "messages", select).bind(self.name).bind(DEAD).bind(count(most));
        let rows: Vec<(String, String, Vec<u8>, i64, String)> =
            select.all().await.map_err(self.failed("read dead letters of"))?;
        let dead = |(id, headers, payload, attempts, reason): (String, String, Vec<u8>, i64, String)| DeadLetter {
            message: message(id, &headers, payload),
            attempts: attempts.try_into().unwrap_or(u32::MAX),
            reason,
        };
        Ok(rows.into_iter().map(dead).collect())
    }

    async fn redrive(&self) -> Result<u64, QueueError> {
        let now = now_ms();
        let update = "UPDATE messages SET state = $1, attempts = 0, reason = '', visible_ms = $2, published_ms = $2
            WHERE queue = $3 AND state = $4";
        let update = self.database.ask("UPDATE", "messages", update).bind(LIVE).bind(now).bind(self.name).bind(DEAD);
        update.execute().await.map_err(self.failed("redrive dead letters of"))
    }

    async fn stats(&self) -> Result<Stats, QueueError> {
        let select = "SELECT
                COUNT(*) FILTER (WHERE state = 0 AND visible_ms <= $1),
                COUNT(*) FILTER (WHERE state = 0 AND visible_ms > $1),
                COUNT(*) FILTER (WHERE state = 1),
                MIN(published_ms) FILTER (WHERE state = 0)
            FROM messages WHERE queue = $2 AND state IN (0, 1)";
        let now = now_ms();
        let select = self.quietly.ask("SELECT", "messages", select).bind(now).bind(self.name);
        let (ready, in_flight, dead, oldest): (i64, i64, i64, Option<i64>) =
            select.one().await.map_err(self.failed("count messages of"))?;
        let age = now.saturating_sub(oldest.unwrap_or(now));
        let [ready, in_flight, dead, age] = [ready, in_flight, dead, age].map(|n| u64::try_from(n).unwrap_or_default());
        Ok(Stats { ready, in_flight, dead, oldest: Duration::from_millis(age) })
    }
}

fn message(id: String, headers: &str, payload: Vec<u8>) -> Message {
    // Headers that are no JSON are somebody else's writing, and no reason not to have the message.
    Message { id, headers: serde_json::from_str(headers).unwrap_or_default(), payload }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
