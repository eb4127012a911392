//! A database, embedded (SQLite, a file of the data directory) or a server (PostgreSQL, a schema of its own), asked with the same SQL and observed alike.
//!
//! What both understand: `$1` for values, `ON CONFLICT`, `RETURNING`; columns TEXT, BIGINT (also for truth and for times, as milliseconds since 1970), DOUBLE PRECISION and BYTEA. Sums are
//! to be cast (`CAST(SUM(x) AS BIGINT)`), because PostgreSQL makes wider numbers of them. A transaction begins with the writer's lock in SQLite: one that reads first and writes then never
//! fails half-way; whoever waits for the lock longer than [`LOCK_WAIT_MAX`] is told so.
//!
//! ```text
//! let price: Option<(i64,)> = database.ask("SELECT", "products", "SELECT price FROM products WHERE id = $1").bind(id).optional().await?;
//! let mut transaction = database.begin("stock").await?;
//! transaction.ask("UPDATE", "stock", "UPDATE stock SET level = level - $1 WHERE product = $2").bind(1_i64).bind(id).execute().await?;
//! transaction.commit().await?;
//! ```

mod question;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sextant_sdk::metrics::{PoolStats, observe_pool};
use sextant_sdk::opentelemetry::metrics::Meter;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions};
use tokio::time::Instant;

use super::{DatabaseError, Shard};
use crate::config::Components;
use crate::context::Context;
use crate::faults::{FaultKind, Faults};
use crate::limits::{CONNECTION_WAIT_MAX, CONNECTIONS_MAX, IDLE_CONNECTION_MAX, LOCK_WAIT_MAX, QUESTION_MAX};
use question::About;
pub(crate) use question::{Question, Transaction};

/// The databases of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Catalog,
    /// Follows the catalog; for reads only, but for the copying of an embedded one.
    CatalogReplica,
    /// One shard of the orders.
    Orders(Shard),
    /// The embedded queue.
    Queue,
}

impl Name {
    /// Its `db.namespace`, file and pool.
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::CatalogReplica => "catalog_replica",
            Self::Orders(shard) => shard.namespace(),
            Self::Queue => "queue",
        }
    }

    /// A replica has the schema of what it follows.
    fn schema(self) -> &'static str {
        match self {
            Self::CatalogReplica => Self::Catalog.namespace(),
            name => name.namespace(),
        }
    }
}

/// A pool of connections to one database. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    inner: Arc<Inner>,
    /// Whether its questions are housekeeping.
    quiet: bool,
}

#[derive(Debug)]
struct Inner {
    pool: AnyPool,
    name: Name,
    /// `db.system.name`.
    system: &'static str,
    waiting: AtomicUsize,
    faults: Arc<Faults>,
}

impl Database {
    /// The database as the service's settings say where it is. A server is not spoken to before the first question.
    pub(crate) async fn open(context: &Context, name: Name) -> Result<Self, DatabaseError> {
        Self::connect(&context.config.components, name, &context.faults, &context.meter).await
    }

    pub(crate) async fn connect(
        components: &Components,
        name: Name,
        faults: &Arc<Faults>,
        meter: &Meter,
    ) -> Result<Self, DatabaseError> {
        let server = match name {
            // An embedded queue is embedded whatever the databases are: a broker is its alternative.
            Name::Queue => None,
            Name::CatalogReplica => components.postgres_replica.as_ref(),
            Name::Catalog | Name::Orders(_) => components.postgres.as_ref(),
        };
        if server.is_some() && !cfg!(feature = "postgres") {
            return Err(DatabaseError::NoPostgres);
        }
        let (system, url) = match server {
            Some(url) => ("postgresql", of_server(url, name)),
            None => ("sqlite", of_file(&components.data_dir, name)?),
        };
        let failed = |source| DatabaseError::Open { namespace: name.namespace(), source };
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions = url.parse().map_err(failed)?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECTION_WAIT_MAX)
            .idle_timeout(IDLE_CONNECTION_MAX)
            // A question finds out as well, and sqlx opens another connection.
            .test_before_acquire(system == "postgresql")
            .after_connect(move |connection, _| Box::pin(prepare(system, connection)))
            // It is all observed here.
            .connect_lazy_with(options.disable_statement_logging());
        if system == "sqlite" {
            write_ahead(&pool).await.map_err(failed)?;
        }
        let inner = Arc::new(Inner { pool, name, system, waiting: AtomicUsize::new(0), faults: Arc::clone(faults) });
        observe_pool(meter, name.namespace(), &inner);
        Ok(Self { inner, quiet: false })
    }

    /// Its `db.namespace`.
    pub(crate) fn namespace(&self) -> &'static str {
        self.inner.name.namespace()
    }

    /// Whether it is a file of this machine.
    pub(crate) fn is_embedded(&self) -> bool {
        self.inner.system == "sqlite"
    }

    /// The same database for housekeeping, like a look each second whether there is something to do: such questions are no spans, are not measured and are not made slow.
    pub(crate) fn quietly(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), quiet: true }
    }

    /// Runs the statements that make its tables and first rows, each of which does nothing where it has been done. Processes that start at once do it one after the other.
    pub(crate) async fn create(&self, statements: &[&'static str]) -> Result<(), DatabaseError> {
        let mut transaction = self.quietly().begin("schema").await?;
        if !self.is_embedded() {
            // IF NOT EXISTS alone does not keep two from making the same at once. The number is the shop's.
            transaction.ask("SELECT", "schema", "SELECT pg_advisory_xact_lock(7071)").execute().await?;
            let schema = match self.inner.name {
                Name::Catalog | Name::CatalogReplica => "CREATE SCHEMA IF NOT EXISTS catalog",
                Name::Orders(shard) if shard.number() == 0 => "CREATE SCHEMA IF NOT EXISTS orders_0",
                Name::Orders(_) => "CREATE SCHEMA IF NOT EXISTS orders_1",
                Name::Queue => "CREATE SCHEMA IF NOT EXISTS queue",
            };
            transaction.ask("CREATE", "schema", schema).execute().await?;
        }
        for statement in statements {
            transaction.ask("CREATE", "schema", statement).execute().await?;
        }
        transaction.commit().await
    }

    /// A question: its operation and collection name its span and are attributes of its duration.
    pub(crate) fn ask(&self, operation: &'static str, collection: &'static str, text: &'static str) -> Question<'_> {
        Question::new(About { database: self, operation, collection, text }, None)
    }

    /// Begins a transaction, which is rolled back unless it is committed. `collection` is what it is mostly about.
    pub(crate) async fn begin(&self, collection: &'static str) -> Result<Transaction, DatabaseError> {
        let text = if self.is_embedded() { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let about = About { database: self, operation: "BEGIN", collection, text };
        let begin = async {
            // Before the lock: a slow database makes each slow, and does not make everybody wait for everybody.
            self.dawdle().await;
            self.waiting(self.inner.pool.begin_with(text)).await
        };
        let begun = about.observe(begin).await?;
        Ok(Transaction::new(self.clone(), begun, collection))
    }

    async fn dawdle(&self) {
        if !self.quiet {
            self.inner.faults.dawdle(FaultKind::SlowDatabase).await;
        }
    }

    async fn waiting<T>(&self, acquire: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let _waiting = Waiting::begin(&self.inner.waiting);
        acquire.await
    }

    /// Closes the connections, as if the server had gone away.
    #[cfg(test)]
    pub(crate) async fn close(&self) {
        self.inner.pool.close().await;
    }
}

impl PoolStats for Inner {
    fn used(&self) -> usize {
        (self.pool.size() as usize).saturating_sub(self.pool.num_idle())
    }

    fn idle(&self) -> usize {
        self.pool.num_idle()
    }

    fn max(&self) -> usize {
        CONNECTIONS_MAX as usize
    }

    fn pending(&self) -> usize {
        // A transaction that waits for the writer's lock has its connection.
        if self.used() < self.max() { 0 } else { self.waiting.load(Ordering::Relaxed) }
    }
}

/// Counted until it is dropped, also by somebody who has lost patience.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Milliseconds since 1970, as databases keep them.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A server's URL, with what the shop wants of a session: its schema, and bounds that the server keeps.
fn of_server(url: &str, name: Name) -> String {
    let and = if url.contains('?') { '&' } else { '?' };
    let (schema, lock, question) = (name.schema(), LOCK_WAIT_MAX.as_millis(), QUESTION_MAX.as_millis());
    format!(
        "{url}{and}options[search_path]={schema}&options[lock_timeout]={lock}&options[statement_timeout]={question}"
    )
}

fn of_file(directory: &Path, name: Name) -> Result<String, DatabaseError> {
    let failed = |source| DatabaseError::Directory { directory: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let path = std::path::absolute(directory).map_err(failed)?.join(format!("{}.sqlite", name.namespace()));
    let mut url = "sqlite://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => url.push(char::from(*byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(url + "?mode=rwc")
}

/// What a new connection is told.
async fn prepare(system: &str, connection: &mut AnyConnection) -> sqlx::Result<()> {
    if system == "sqlite" {
        // Waits for the writer's lock instead of failing; in write-ahead mode a crash of the process loses nothing that was committed with NORMAL.
        let wait = format!("PRAGMA busy_timeout = {}", LOCK_WAIT_MAX.as_millis());
        sqlx::raw_sql(sqlx::AssertSqlSafe(wait)).execute(&mut *connection).await?;
        sqlx::raw_sql("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON").execute(&mut *connection).await?;
    }
    Ok(())
}

/// Readers do not wait for the writer, from here on and for all processes. Whoever changes this meets others that do, for whom SQLite does not wait here.
async fn write_ahead(pool: &AnyPool) -> sqlx::Result<()> {
    let begun = Instant::now();
    loop {
        match sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(pool).await {
            Ok(_) => return Ok(()),
            Err(sqlx::Error::Database(_)) if begun.elapsed() < LOCK_WAIT_MAX => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
