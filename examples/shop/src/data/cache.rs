//! Caches: where entries are kept (in the process or in Redis), which are thrown out, and the strategies by which values get in.
//!
//! A value is JSON, so that it is the same in both. An entry of a cache in the process is gone by its age, and by a policy once the cache is full ([`Eviction`]); in Redis by its age, and by
//! the server's `maxmemory-policy` (`allkeys-lru`, `allkeys-lfu` and others; there is no FIFO) once its memory is full.

mod around;
mod aside;
mod behind;
mod fifo;
mod flush;
mod memory;
mod named;
#[cfg(feature = "redis")]
mod redis;
mod single_flight;
mod through;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub(crate) use around::WriteAround;
pub(crate) use aside::CacheAside;
pub(crate) use behind::{SaveAll, WriteBehind};
pub(crate) use flush::flush_while_told;
pub(crate) use named::{Caches, NamedCache};
pub(crate) use through::{ReadThrough, WriteThrough};

use super::{DatabaseError, Freshness};

/// Keeps entries for a while.
#[async_trait]
pub(crate) trait Cache: Send + Sync + std::fmt::Debug {
    async fn get(&self, key: &str) -> Option<Bytes>;

    async fn put(&self, key: &str, value: Bytes);

    async fn remove(&self, key: &str);

    async fn clear(&self);

    /// Whether this process is the one to load an entry that is not there. Where processes share a cache, one of them gets the key's lock, which ends by itself soon.
    async fn lock(&self, _key: &str) -> bool {
        true
    }

    async fn unlock(&self, _key: &str) {}

    /// Called now and then, so that the numbers below are about right.
    async fn tidy(&self) {}

    /// How many entries there are, about.
    fn entries(&self) -> usize;

    /// How many were thrown out to make room or because they were old.
    fn evictions(&self) -> u64;
}

/// Which entry goes when a cache in the process is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// The one that has not been used for longest.
    Lru,
    /// The one that is used least often; what is used still less does not get in (TinyLFU).
    Lfu,
    /// The one that has been there for longest.
    Fifo,
}

/// One cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// `cache.name`.
    pub(crate) name: &'static str,
    pub(crate) eviction: Eviction,
    pub(crate) capacity: usize,
    pub(crate) ttl: Duration,
}

/// Where values come from that are not in a cache.
#[async_trait]
pub(crate) trait Load<V>: Send + Sync {
    async fn load(&self, key: &str, freshness: Freshness) -> Result<Option<V>, DatabaseError>;
}

/// Where values are written, one at a time. False if there is no such thing.
#[async_trait]
pub(crate) trait Save<V>: Send + Sync {
    async fn save(&self, key: &str, value: &V) -> Result<bool, DatabaseError>;
}

#[cfg(test)]
mod tests;
