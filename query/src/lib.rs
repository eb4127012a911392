//! The read path: search over logs, spans and points, PromQL, traces, correlation, and the HTTP API in front of them.
//!
//! It reads the store through its snapshots only. It writes nothing but what rules yield: recorded series, the state of alerts
//! and their history, through the store's one writer.

pub mod admission;
pub mod api;
mod config;
pub mod correlate;
pub mod counts;
pub mod error;
pub mod limits;
pub mod promql;
pub mod rows;
pub mod rules;
pub mod search;
pub mod stats;
pub mod traces;

pub use config::Config;
pub use error::QueryError;
