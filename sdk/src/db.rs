//! Questions to databases and caches, whatever client asks them (sqlx, redis, others): a span and a duration by the conventions for databases around a future.
//!
//! ```no_run
//! # async fn example() -> Result<(), std::io::Error> {
//! # async fn fetch() -> Result<u32, std::io::Error> { Ok(1) }
//! use sextant_sdk::db::Query;
//!
//! let rows = Query::new("postgresql", "SELECT").on("orders").text("SELECT * FROM orders WHERE customer = $1").run(fetch()).await?;
//! let hit = Query::new("redis", "GET").run(fetch()).await?;
//! # Ok(())
//! # }
//! ```

use std::sync::OnceLock;

use opentelemetry::trace::{FutureExt, SpanKind};
use opentelemetry::{Context, KeyValue};

use crate::http::exchange::{Exchange, Failure};
use crate::init::global;
use crate::metrics::{Histogram, histogram};

/// Databases answer faster than services do.
const BOUNDS_S: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

fn duration() -> Option<&'static Histogram> {
    static DURATION: OnceLock<Histogram> = OnceLock::new();
    let global = global()?;
    Some(DURATION.get_or_init(|| {
        let duration = histogram(&global.meter, "db.client.operation.duration").with_unit("s");
        duration.with_description("Duration of questions to databases").with_boundaries(BOUNDS_S).build()
    }))
}

/// One question.
#[derive(Clone, Debug)]
#[must_use = "a query is observed when it is run"]
pub struct Query {
    name: String,
    /// Of span and metrics.
    attributes: Vec<KeyValue>,
    /// Of the span only.
    detail: Vec<KeyValue>,
}

impl Query {
    /// A question to a system like `postgresql`, `sqlite` or `redis` with an operation like `SELECT` or `GET`.
    pub fn new(system: &'static str, operation: &'static str) -> Self {
        let attributes = vec![KeyValue::new("db.system.name", system), KeyValue::new("db.operation.name", operation)];
        Self { name: operation.to_owned(), attributes, detail: Vec::new() }
    }

    /// The table, collection or stream that it is about.
    pub fn on(mut self, collection: &'static str) -> Self {
        self.name = format!("{} {collection}", self.name);
        self.attributes.push(KeyValue::new("db.collection.name", collection));
        self
    }

    /// The database or shard.
    pub fn namespace(mut self, namespace: impl Into<opentelemetry::StringValue>) -> Self {
        self.attributes.push(KeyValue::new("db.namespace", namespace.into()));
        self
    }

    /// Where the database is.
    pub fn server(mut self, address: impl Into<opentelemetry::StringValue>, port: u16) -> Self {
        self.attributes.push(KeyValue::new("server.address", address.into()));
        self.attributes.push(KeyValue::new("server.port", i64::from(port)));
        self
    }

    /// What is asked, with places for values instead of the values: it is sent as it is.
    pub fn text(mut self, text: &'static str) -> Self {
        self.detail.push(KeyValue::new("db.query.text", text));
        self
    }

    /// Something else about it, on the span.
    pub fn with(mut self, key: &'static str, value: impl Into<opentelemetry::Value>) -> Self {
        self.detail.push(KeyValue::new(key, value));
        self
    }

    /// Asks, inside the span. An error is one.
    pub async fn run<T, E: std::fmt::Display>(self, question: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let Some(duration) = duration() else { return question.await };
        let mut span = self.attributes.clone();
        span.extend(self.detail);
        let mut exchange =
            Exchange::begin(self.name, SpanKind::Client, Context::current(), span, self.attributes, duration);
        let answer = question.with_context(exchange.context.clone()).await;
        match &answer {
            Ok(_) => exchange.end([], None),
            Err(error) => exchange.end([], Some(Failure { kind: "error".into(), description: &error.to_string() })),
        }
        answer
    }
}
