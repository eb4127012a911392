//! The work behind a replica: heartbeats, looks at how far it has come, copying if it is embedded, and the fault that stops it.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::Health;
use super::copy::{CREATE_CHANGES, CREATE_COPIED, Followed, changes};
use super::lag::Lag;
use crate::context::Context;
use crate::data::{Database, DatabaseError, now_ms};
use crate::faults::{FaultKind, Faults};
use crate::limits::{COPY_INTERVAL, HEARTBEAT_INTERVAL, REPLICA_LOOK_INTERVAL};

/// One row, which all processes write.
pub(super) const CREATE_HEARTBEAT: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS heartbeats (id TEXT PRIMARY KEY, beaten_ms BIGINT NOT NULL)",
    "INSERT INTO heartbeats (id, beaten_ms) VALUES ('primary', 0) ON CONFLICT (id) DO NOTHING",
];

/// It is followed like any other table.
const HEARTBEATS: Followed = Followed {
    name: "heartbeats",
    create: CREATE_HEARTBEAT[0],
    triggers: crate::data::triggers!("heartbeats"),
    select: "SELECT id, beaten_ms FROM heartbeats WHERE id = $1",
    upsert: "INSERT INTO heartbeats (id, beaten_ms) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET beaten_ms = excluded.beaten_ms",
    delete: "DELETE FROM heartbeats WHERE id = $1",
};

// Of two processes the one with the later clock wins.
const BEAT: &str = "UPDATE heartbeats SET beaten_ms = $1 WHERE id = 'primary' AND beaten_ms < $1";
const SHOWN: &str = "SELECT beaten_ms FROM heartbeats WHERE id = 'primary'";

/// What a task of each kind does once.
pub(super) struct Link {
    primary: Database,
    replica: Database,
    tables: Vec<Followed>,
    faults: Arc<Faults>,
    health: Arc<Health>,
    lag: Mutex<Lag>,
}

impl Link {
    pub(super) async fn new(
        primary: &Database,
        replica: &Database,
        tables: &[Followed],
        faults: &Arc<Faults>,
        health: &Arc<Health>,
    ) -> Result<Self, DatabaseError> {
        let link = Self {
            primary: primary.quietly(),
            replica: replica.quietly(),
            tables: [tables, &[HEARTBEATS]].concat(),
            faults: Arc::clone(faults),
            health: Arc::clone(health),
            lag: Mutex::default(),
        };
        if replica.is_embedded() {
            let triggers = link.tables.iter().flat_map(|table| table.triggers);
            primary.create(&std::iter::once(CREATE_CHANGES).chain(triggers).collect::<Vec<_>>()).await?;
            let tables = link.tables.iter().map(|table| table.create);
            replica.create(&tables.chain(CREATE_COPIED).collect::<Vec<_>>()).await?;
        }
        Ok(link)
    }

    pub(super) fn run(self, context: &Context) {
        let link = Arc::new(self);
        let every = |interval, step: fn(Arc<Self>) -> Step| {
            let link = Arc::clone(&link);
            context.tasks.repeat(interval, move || step(Arc::clone(&link)));
        };
        every(HEARTBEAT_INTERVAL, |link| Box::pin(async move { link.beat().await }));
        every(REPLICA_LOOK_INTERVAL, |link| Box::pin(async move { link.look().await }));
        if link.replica.is_embedded() {
            every(COPY_INTERVAL, |link| Box::pin(async move { link.copy().await }));
        } else {
            let tasks = context.tasks.clone();
            context.tasks.spawn(async move {
                loop {
                    tokio::select! {
                        () = tasks.stopping() => return,
                        () = link.faults.started(FaultKind::ReplicaLag) => {}
                    }
                    // Again and again: another instance that stops meanwhile has it resumed.
                    while link.faults.strikes(FaultKind::ReplicaLag) && !tasks.is_stopping() {
                        link.pause().await;
                        tasks.pause(HEARTBEAT_INTERVAL).await;
                    }
                    link.resume().await;
                }
            });
        }
    }

    #[cfg(test)]
    pub(super) fn is_embedded(&self) -> bool {
        self.replica.is_embedded()
    }

    /// A primary that is away has no heartbeat, and nothing that its replica could miss.
    pub(super) async fn beat(&self) {
        let now = now_ms();
        if self.primary.ask("UPDATE", "heartbeats", BEAT).bind(now).execute().await.is_ok() {
            self.lag.lock().await.beaten(now);
        }
    }

    pub(super) async fn look(&self) {
        let shown = self.replica.ask("SELECT", "heartbeats", SHOWN).optional::<(i64,)>().await;
        let lag = match shown {
            Ok(shown) => self.lag.lock().await.seen(shown.map_or(0, |(beat,)| beat), now_ms()),
            Err(error) => {
                tracing::debug!(error = %error, "no look at the replica");
                None
            }
        };
        self.health.set(lag, self.replica.namespace());
    }

    pub(super) async fn copy(&self) {
        if self.faults.strikes(FaultKind::ReplicaLag) {
            return;
        }
        // The next one may do better; if none does, the replica lags, which is told.
        if let Err(error) = changes(&self.primary, &self.replica, &self.tables).await {
            tracing::debug!(error = %error, "nothing was copied");
        }
    }

    pub(super) async fn pause(&self) {
        self.tell("SELECT pg_wal_replay_pause()").await;
    }

    pub(super) async fn resume(&self) {
        self.tell("SELECT pg_wal_replay_resume()").await;
    }

    async fn tell(&self, text: &'static str) {
        if let Err(error) = self.replica.ask("SELECT", "replay", text).execute().await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(name: "replica.disobedient", { error }, "the replica cannot be told: {text}");
        }
    }
}

type Step = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
