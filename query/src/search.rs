//! Search: the filter language of logs, spans and points, its plan, and the evaluation over a snapshot of the store.

pub mod best;
pub mod budget;
pub mod cursor;
pub mod evaluate;
pub mod execute;
pub mod fields;
pub mod grammar;
pub mod layers;
pub mod matching;
pub mod meaning;
pub mod narrow;
pub mod number;
pub mod plan;
pub mod scan;
pub mod stats;
pub mod tail;
pub mod values;

pub use plan::Plan;

use crate::error::QueryError;
use model::Timestamp;
use store::Table;

/// Reads a filter and gives it its meaning for `table`; times in it are relative to `now`.
pub fn parse(text: &str, table: Table, now: Timestamp) -> Result<Plan, QueryError> {
    meaning::plan(&grammar::parse(text)?, table, now)
}
