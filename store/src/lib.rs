//! Everything Sextant keeps on disk, and the newest rows in memory. Knows nothing of OTLP, HTTP or PromQL.
//!
//! `collector` fills the columns of [`schema`] and appends them through the one [`Writer`]; `query` reads [`Snapshot`]s.

// So that unit tests can share the samples of the integration tests.
#[cfg(test)]
extern crate self as store_under_test;

mod config;
pub mod delta;
pub mod disk;
mod error;
mod flush;
mod head;
mod inspect;
mod layout;
pub mod limits;
mod lock;
mod manifest;
mod merge;
pub mod part;
pub mod partition;
mod retention;
mod scan;
pub mod schema;
mod snapshot;
mod state;
mod store;
pub mod text;
mod upkeep;
mod visible;
mod wal;
mod writer;

pub use config::{Config, Durability};
pub use error::{ErrorKind, StoreError};
pub use inspect::{Inspection, PartSummary, TableBytes, bytes_by_column, inspect};
pub use retention::{Age, Ages, Cutoffs, Expired, Retention, ServiceAges, Sizes};
pub use scan::{Granule, Run, SeriesRows};
pub use schema::{Batch, Table};
pub use snapshot::{Missing, Narrow, Projection, SeriesTable, SeriesTableKey, Snapshot};
pub use state::{StateChange, StateTable};
pub use store::{DiskRoom, DiskState, Setup, Status, Store, TableSize};
pub use writer::{Receipt, Writer};
