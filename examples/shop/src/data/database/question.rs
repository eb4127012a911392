//! Questions to a database, alone or in a transaction: bound, measured, and told of in the log when they are slow.

use std::future::Future;
use std::pin::Pin;

use sextant_sdk::db::Query;
use sqlx::any::{AnyArguments, AnyRow, AnyTypeInfoKind};
use sqlx::{Any, AnyConnection, Encode, FromRow, Row, Type, ValueRef};
use tokio::time::Instant;

use super::Database;
use crate::data::DatabaseError;
use crate::limits::{QUESTION_MAX, SLOW_QUESTION};

type Sql = sqlx::query::Query<'static, Any, AnyArguments>;
type Asked<'c, T> = Pin<Box<dyn Future<Output = sqlx::Result<T>> + Send + 'c>>;

/// Several questions that all happen, or none of them.
pub(crate) struct Transaction {
    database: Database,
    inner: sqlx::Transaction<'static, Any>,
    collection: &'static str,
}

impl Transaction {
    pub(super) fn new(database: Database, inner: sqlx::Transaction<'static, Any>, collection: &'static str) -> Self {
        Self { database, inner, collection }
    }

    /// A question inside the transaction.
    pub(crate) fn ask(
        &mut self,
        operation: &'static str,
        collection: &'static str,
        text: &'static str,
    ) -> Question<'_> {
        let about = About { database: &self.database, operation, collection, text };
        Question::new(about, Some(&mut self.inner))
    }

    /// Once this returns, what was done is there for everybody, and stays.
    pub(crate) async fn commit(self) -> Result<(), DatabaseError> {
        let Self { database, inner, collection } = self;
        About { database: &database, operation: "COMMIT", collection, text: "COMMIT" }.observe(inner.commit()).await
    }

    /// Undoes what was done now; a drop does it some time later.
    pub(crate) async fn roll_back(self) -> Result<(), DatabaseError> {
        let Self { database, inner, collection } = self;
        let about = About { database: &database, operation: "ROLLBACK", collection, text: "ROLLBACK" };
        about.observe(inner.rollback()).await
    }
}

/// One question, with its values.
#[must_use = "a question is asked by execute, one, optional or all"]
pub(crate) struct Question<'a> {
    about: About<'a>,
    within: Option<&'a mut sqlx::Transaction<'static, Any>>,
    query: Sql,
}

impl<'a> Question<'a> {
    pub(super) fn new(about: About<'a>, within: Option<&'a mut sqlx::Transaction<'static, Any>>) -> Self {
        Self { about, within, query: sqlx::query(about.text) }
    }

    /// The next value: an integer, a float, a text, bytes, or an option of these.
    pub(crate) fn bind<'v>(mut self, value: impl Encode<'v, Any> + Type<Any>) -> Self {
        self.query = self.query.bind(value);
        self
    }

    /// All values of a row for the next values. The row is an embedded database's, where each says itself what it is.
    pub(crate) fn bind_all(mut self, row: &AnyRow) -> Result<Self, DatabaseError> {
        for index in 0..row.len() {
            self.query = bind_from(self.query, row, index).map_err(|error| self.about.failed(error))?;
        }
        Ok(self)
    }

    /// How many rows it changed.
    pub(crate) async fn execute(self) -> Result<u64, DatabaseError> {
        let done = self.run(|query, connection| Box::pin(query.execute(connection))).await?;
        Ok(done.rows_affected())
    }

    /// The first row, with whatever is in it.
    pub(crate) async fn row(self) -> Result<Option<AnyRow>, DatabaseError> {
        self.run(|query, connection| Box::pin(query.fetch_optional(connection))).await
    }

    /// The row, as a tuple.
    pub(crate) async fn one<R: for<'r> FromRow<'r, AnyRow>>(self) -> Result<R, DatabaseError> {
        let about = self.about;
        let row = self.run(|query, connection| Box::pin(query.fetch_one(connection))).await?;
        R::from_row(&row).map_err(|error| about.failed(error))
    }

    /// The first row, as a tuple, if there is one.
    pub(crate) async fn optional<R: for<'r> FromRow<'r, AnyRow>>(self) -> Result<Option<R>, DatabaseError> {
        let about = self.about;
        let row = self.row().await?;
        row.map(|row| R::from_row(&row)).transpose().map_err(|error| about.failed(error))
    }

    /// All rows, as tuples: the question bounds them.
    pub(crate) async fn all<R: for<'r> FromRow<'r, AnyRow>>(self) -> Result<Vec<R>, DatabaseError> {
        let about = self.about;
        let rows = self.run(|query, connection| Box::pin(query.fetch_all(connection))).await?;
        rows.iter().map(R::from_row).collect::<sqlx::Result<_>>().map_err(|error| about.failed(error))
    }

    async fn run<T>(self, ask: for<'c> fn(Sql, &'c mut AnyConnection) -> Asked<'c, T>) -> Result<T, DatabaseError> {
        let Self { about, within, query } = self;
        let database = about.database;
        let question = async {
            match within {
                Some(transaction) => ask(query, transaction).await,
                None => {
                    let mut connection = database.waiting(database.inner.pool.acquire()).await?;
                    // With the connection in hand: a slow database makes a pool run dry.
                    database.dawdle().await;
                    ask(query, &mut connection).await
                }
            }
        };
        about.observe(question).await
    }
}

fn bind_from(query: Sql, row: &AnyRow, index: usize) -> sqlx::Result<Sql> {
    let value = row.try_get_raw(index)?;
    Ok(match value.type_info().kind() {
        _ if value.is_null() => query.bind(None::<i64>),
        AnyTypeInfoKind::Text => query.bind(row.try_get::<String, _>(index)?),
        AnyTypeInfoKind::Double => query.bind(row.try_get::<f64, _>(index)?),
        AnyTypeInfoKind::Blob => query.bind(row.try_get::<Vec<u8>, _>(index)?),
        _ => query.bind(row.try_get::<i64, _>(index)?),
    })
}

/// What a question is about.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) database: &'a Database,
    pub(super) operation: &'static str,
    pub(super) collection: &'static str,
    pub(super) text: &'static str,
}

impl About<'_> {
    /// A span, a duration, a bound on it, and a line in the log if it took long.
    pub(super) async fn observe<T>(self, question: impl Future<Output = sqlx::Result<T>>) -> Result<T, DatabaseError> {
        let namespace = self.database.namespace();
        let quiet = self.database.quiet;
        let bounded = async {
            let begun = Instant::now();
            let answer = match tokio::time::timeout(QUESTION_MAX, question).await {
                Ok(answer) => answer.map_err(|error| self.failed(error)),
                Err(_) => {
                    Err(DatabaseError::Unanswered { namespace, operation: self.operation, collection: self.collection })
                }
            };
            let seconds = begun.elapsed().as_secs_f64();
            if seconds > SLOW_QUESTION.as_secs_f64() && !quiet {
                tracing::warn!(
                    name: "db.slow",
                    {
                        db.namespace = namespace, db.collection.name = self.collection,
                        db.operation.name = self.operation, shop.seconds = seconds
                    },
                    "the database took long: {} {} in {namespace} {seconds:.3} s", self.operation, self.collection
                );
            }
            answer
        };
        if quiet {
            return bounded.await;
        }
        let query = Query::new(self.database.inner.system, self.operation).on(self.collection).namespace(namespace);
        query.text(self.text).run(bounded).await
    }

    fn failed(self, source: sqlx::Error) -> DatabaseError {
        let Self { database, operation, collection, .. } = self;
        let namespace = database.namespace();
        match source {
            sqlx::Error::PoolTimedOut => DatabaseError::NoConnection { namespace, operation, collection },
            source => DatabaseError::Ask { namespace, operation, collection, source },
        }
    }
}
