//! The relay of one outbox: waits for its turn, publishes in the order in which it was written, marks what it has published, and clears away what was published long ago.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sextant_sdk::opentelemetry::trace::FutureExt;
use sextant_sdk::propagate::extract_from;
use tokio::time::Instant;

use super::pending::Pending;
use crate::context::Tasks;
use crate::data::{Database, DatabaseError, now_ms};
use crate::limits::{COMPLAINT_PAUSE, OUTBOX_BATCH, OUTBOX_KEPT, OUTBOX_LOOK, OUTBOX_POLL, OUTBOX_TURN};
use crate::queue::{Headers, Message, Queue, QueueError, send};

/// Publishes what one database has in its outbox.
#[derive(Debug)]
pub(super) struct Relay {
    database: Database,
    quietly: Database,
    queue: Arc<dyn Queue>,
    pending: Arc<Pending>,
    /// Its name among the relays of other instances.
    name: String,
    /// Until when nobody else publishes, by the clock that all share.
    turn_until_ms: i64,
    looked: Option<Instant>,
    complained: Option<Instant>,
}

/// What is to be published.
struct Row {
    message: Message,
    /// Where it was written.
    origin: HashMap<String, String>,
}

/// Why nothing goes on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stuck {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Relay {
    pub(super) fn new(database: &Database, queue: &Arc<dyn Queue>, pending: Arc<Pending>) -> Self {
        Self {
            database: database.clone(),
            quietly: database.quietly(),
            queue: Arc::clone(queue),
            pending,
            name: format!("{:016x}", fastrand::u64(..)),
            turn_until_ms: 0,
            looked: None,
            complained: None,
        }
    }

    pub(super) async fn run(mut self, tasks: Tasks) {
        loop {
            // Once more after the last request was answered: what it has written is published yet.
            let is_last = tasks.is_stopping();
            let pause = match self.step().await {
                // There may be more.
                Ok(published) if published == OUTBOX_BATCH => Duration::ZERO,
                Ok(_) if self.has_turn() => OUTBOX_POLL,
                Ok(_) => OUTBOX_LOOK,
                Err(stuck) => {
                    self.complain(&stuck);
                    OUTBOX_LOOK
                }
            };
            if is_last && !pause.is_zero() {
                break;
            }
            tasks.pause(pause).await;
        }
        self.end_turn().await;
    }

    /// Publishes some of what is there, if it is this relay's turn. How many.
    pub(super) async fn step(&mut self) -> Result<usize, Stuck> {
        if !self.take_turn().await? {
            self.pending.is_unknown();
            return Ok(0);
        }
        self.look().await?;
        let rows = self.unsent().await?;
        let mut published = 0;
        for row in rows {
            if !self.take_turn().await? {
                break;
            }
            self.publish(row).await?;
            published += 1;
        }
        if published > 0 {
            self.look_again().await?;
        }
        Ok(published)
    }

    async fn unsent(&self) -> Result<Vec<Row>, DatabaseError> {
        let select = "SELECT id, headers, payload FROM outbox WHERE sent_ms = 0 ORDER BY written_ms, id LIMIT $1";
        let select = self.quietly.ask("SELECT", "outbox", select).bind(OUTBOX_BATCH as i64);
        let rows: Vec<(String, String, Vec<u8>)> = select.all().await?;
        let row = |(id, origin, payload): (String, String, Vec<u8>)| Row {
            // What is no JSON was not written here; it is published without a trace then.
            origin: serde_json::from_str(&origin).unwrap_or_default(),
            message: Message { id, headers: Headers::new(), payload },
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Publishes and marks one inside the trace that it was written in.
    async fn publish(&self, row: Row) -> Result<(), Stuck> {
        let trace = extract_from(&row.origin);
        let id = row.message.id.clone();
        let publish = async {
            let is_new = send(&*self.queue, row.message).await?;
            self.mark(&id).await?;
            tracing::info!(
                name: "order.published",
                { shop.queue.duplicate = !is_new, messaging.destination.name = self.queue.name() },
                "the order was told to the queue {}", self.queue.name()
            );
            Ok(())
        };
        publish.with_context(trace).await
    }

    async fn mark(&self, id: &str) -> Result<(), DatabaseError> {
        let update = self.database.ask("UPDATE", "outbox", "UPDATE outbox SET sent_ms = $1 WHERE id = $2");
        update.bind(now_ms()).bind(id).execute().await.map(|_| ())
    }

    fn has_turn(&self) -> bool {
        now_ms() < self.turn_until_ms
    }

    /// Whether it is its turn, which it prolongs in time, or takes when nobody has it.
    async fn take_turn(&mut self) -> Result<bool, DatabaseError> {
        let (now, turn) = (now_ms(), OUTBOX_TURN.as_millis() as i64);
        if self.turn_until_ms - now > turn / 2 {
            return Ok(true);
        }
        let update = "UPDATE outbox_turn SET relay = $1, until_ms = $2 WHERE one = 1 AND (relay = $3 OR until_ms < $4)";
        let update = self.quietly.ask("UPDATE", "outbox_turn", update);
        let taken = update.bind(&*self.name).bind(now + turn).bind(&*self.name).bind(now).execute().await? == 1;
        self.turn_until_ms = if taken { now + turn } else { 0 };
        Ok(taken)
    }

    /// So that another instance need not wait for its end.
    async fn end_turn(&mut self) {
        let update = "UPDATE outbox_turn SET until_ms = 0 WHERE one = 1 AND relay = $1";
        let update = self.quietly.ask("UPDATE", "outbox_turn", update).bind(&*self.name);
        // If it cannot be told, its turn ends by itself.
        let _ = update.execute().await;
        self.pending.is_unknown();
    }

    /// Counts what waits and clears away what was published long ago, now and then.
    async fn look(&mut self) -> Result<(), DatabaseError> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= OUTBOX_LOOK) {
            self.look_again().await?;
            let delete = "DELETE FROM outbox WHERE sent_ms > 0 AND sent_ms < $1";
            let before = now_ms() - OUTBOX_KEPT.as_millis() as i64;
            self.quietly.ask("DELETE", "outbox", delete).bind(before).execute().await?;
        }
        Ok(())
    }

    async fn look_again(&mut self) -> Result<(), DatabaseError> {
        let count = "SELECT COUNT(*) FROM outbox WHERE sent_ms = 0";
        let (pending,): (i64,) = self.quietly.ask("SELECT", "outbox", count).one().await?;
        self.pending.is(pending);
        self.looked = Some(Instant::now());
        Ok(())
    }

    fn complain(&mut self, stuck: &Stuck) {
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_PAUSE) {
            self.complained = Some(Instant::now());
            let namespace = self.database.namespace();
            tracing::warn!(
                name: "outbox.stuck",
                { error = crate::queue::full(stuck), db.namespace = namespace, messaging.destination.name = self.queue.name() },
                "what is in the outbox of {namespace} cannot be told to the queue {}", self.queue.name()
            );
        }
    }
}
