//! What outlives a request: databases with shards and a replica, and caches before them. Embedded, or the real servers by their URLs.

pub(crate) mod cache;
mod database;
mod error;
#[cfg(test)]
pub(crate) mod places;
mod replica;
mod shards;

pub(crate) use database::{Database, Name, Transaction, now_ms};
pub(crate) use error::DatabaseError;
pub(crate) use replica::{Followed, Freshness, Replicated, triggers};
pub(crate) use shards::Shard;
