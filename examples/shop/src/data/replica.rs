//! A database with a replica for reads. Embedded it is a second file, to which each process copies what has changed; with PostgreSQL it is a streaming replica by its own URL.
//!
//! A read goes to the replica, unless it must see what has just been written, or the replica lags more than [`REPLICA_LAG_MAX`] or cannot be reached: then the primary answers it. The
//! lag is measured by a heartbeat, a row that each process writes to the primary every second.

mod copy;
mod lag;
mod link;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::{Counter, Meter};

use super::{Database, DatabaseError, Name};
use crate::config::Components;
use crate::context::Context;
use crate::faults::Faults;
use crate::limits::REPLICA_LAG_MAX;

pub(crate) use copy::{Followed, triggers};
use link::Link;

/// How new an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// As old as the replica may be.
    Usual,
    /// With everything that was written before.
    Strict,
}

/// A primary and its replica. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Replicated {
    primary: Database,
    /// Not there if PostgreSQL has none.
    replica: Option<Database>,
    health: Arc<Health>,
    reads: Counter<u64>,
}

/// What the last look has found.
#[derive(Debug)]
struct Health {
    /// Milliseconds; [`UNREACHABLE`] if it could not be asked or has not been yet.
    lag_ms: AtomicU64,
}

const UNREACHABLE: u64 = u64::MAX;

impl Health {
    fn lag(&self) -> Option<Duration> {
        let lag = self.lag_ms.load(Ordering::Relaxed);
        (lag != UNREACHABLE).then_some(Duration::from_millis(lag))
    }

    /// Each crossing is a line in the log, once.
    fn set(&self, lag: Option<Duration>, namespace: &'static str) {
        let ms = lag.map_or(UNREACHABLE, |lag| u64::try_from(lag.as_millis()).unwrap_or(UNREACHABLE - 1));
        let before = self.lag_ms.swap(ms, Ordering::Relaxed);
        let before = (before != UNREACHABLE).then(|| Duration::from_millis(before));
        let lags = |lag: Option<Duration>| lag.is_some_and(|lag| lag > REPLICA_LAG_MAX);
        let seconds = lag.unwrap_or_default().as_secs_f64();
        match (before, lag) {
            (Some(_), None) => {
                tracing::warn!(name: "replica.unreachable", { db.namespace = namespace }, "the replica does not answer: reads go to the primary");
            }
            (None, Some(_)) => {
                tracing::info!(name: "replica.reachable", { db.namespace = namespace }, "the replica answers");
            }
            _ => {}
        }
        match (lags(before), lags(lag)) {
            (false, true) => tracing::warn!(
                name: "replica.lagging",
                { db.namespace = namespace, shop.seconds = seconds },
                "the replica lags {seconds:.1} s behind: reads go to the primary"
            ),
            (true, false) if lag.is_some() => tracing::info!(
                name: "replica.caught_up",
                { db.namespace = namespace, shop.seconds = seconds },
                "the replica has caught up: it takes reads again"
            ),
            _ => {}
        }
    }
}

impl Replicated {
    /// The catalog and its replica, with these tables, and what else `fill` makes in the primary. Follows from here on, until the service stops.
    pub(crate) async fn open(
        context: &Context,
        tables: &'static [Followed],
        fill: &[&'static str],
    ) -> Result<Self, DatabaseError> {
        let (replicated, link) =
            Self::connect(&context.config.components, &context.faults, &context.meter, tables).await?;
        // Before the first heartbeat: a replica that shows that one has all of this.
        replicated.primary.create(fill).await?;
        if let Some(link) = link {
            link.run(context);
        }
        Ok(replicated)
    }

    async fn connect(
        components: &Components,
        faults: &Arc<Faults>,
        meter: &Meter,
        tables: &'static [Followed],
    ) -> Result<(Self, Option<Link>), DatabaseError> {
        let primary = Database::connect(components, Name::Catalog, faults, meter).await?;
        primary.create(&tables.iter().map(|table| table.create).collect::<Vec<_>>()).await?;
        primary.create(&link::CREATE_HEARTBEAT).await?;
        // A PostgreSQL without a replica has none; it is not mixed with files.
        let has_replica = components.postgres.is_none() || components.postgres_replica.is_some();
        let replica = match has_replica {
            true => Some(Database::connect(components, Name::CatalogReplica, faults, meter).await?),
            false => None,
        };
        let health = Arc::new(Health { lag_ms: AtomicU64::new(UNREACHABLE) });
        let reads = meter.u64_counter("shop.db.reads").with_unit("{query}");
        let reads = reads.with_description("Reads, by who answered them and why").build();
        let link = match &replica {
            Some(replica) => {
                observe_lag(meter, &health, replica.namespace());
                Some(Link::new(&primary, replica, tables, faults, &health).await?)
            }
            None => None,
        };
        Ok((Self { primary, replica, health, reads }, link))
    }

    /// For whatever writes.
    pub(crate) fn primary(&self) -> &Database {
        &self.primary
    }

    /// Has the replica answer, or the primary. `ask` is asked again there if the replica goes away meanwhile.
    pub(crate) async fn read<T, F: Future<Output = Result<T, DatabaseError>>>(
        &self,
        freshness: Freshness,
        ask: impl Fn(Database) -> F,
    ) -> Result<T, DatabaseError> {
        let reason = match (freshness, &self.replica, self.health.lag()) {
            (Freshness::Strict, ..) => "strict",
            (_, None, _) | (_, _, None) => "unreachable",
            (_, _, Some(lag)) if lag > REPLICA_LAG_MAX => "lagging",
            (_, Some(replica), _) => match ask(replica.clone()).await {
                Err(error) if error.is_unreachable() => {
                    self.health.set(None, replica.namespace());
                    "unreachable"
                }
                answer => {
                    self.count("replica", "fresh");
                    return answer;
                }
            },
        };
        self.count("primary", reason);
        ask(self.primary.clone()).await
    }

    fn count(&self, target: &'static str, reason: &'static str) {
        self.reads.add(1, &[KeyValue::new("shop.db.target", target), KeyValue::new("shop.db.reason", reason)]);
    }
}

fn observe_lag(meter: &Meter, health: &Arc<Health>, namespace: &'static str) {
    let health = Arc::downgrade(health);
    let gauge = meter.f64_observable_gauge("shop.db.replication.lag").with_unit("s");
    let gauge = gauge.with_description("How far a replica is behind");
    gauge
        .with_callback(move |gauge| {
            if let Some(lag) = health.upgrade().and_then(|health| health.lag()) {
                gauge.observe(lag.as_secs_f64(), &[KeyValue::new("db.namespace", namespace)]);
            }
        })
        .build();
}

#[cfg(test)]
mod tests;
