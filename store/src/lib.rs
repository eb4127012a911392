//! Everything Sextant keeps on disk, and the newest rows in memory. Knows nothing of OTLP, HTTP or PromQL.
//!
//! `collector` fills the columns of [`schema`] and appends them through the one [`Writer`]; `query` reads [`Snapshot`]s.

mod config;
pub mod disk;
mod error;
mod flush;
mod head;
pub mod limits;
pub mod part;
pub mod partition;
mod scan;
pub mod schema;
mod snapshot;
mod store;
pub mod text;
mod upkeep;

pub use config::{Config, Durability};
pub use error::{ErrorKind, StoreError};
pub use scan::Granule;
pub use schema::{Batch, Table};
pub use snapshot::{Narrow, Projection, Snapshot};
pub use store::{Receipt, Setup, Store, Writer};
