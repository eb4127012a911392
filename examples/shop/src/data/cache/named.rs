//! A cache with its name and numbers, of typed values: what all strategies stand on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sextant_sdk::metrics::{CacheStats, observe_cache};
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::{Counter, Meter};
use tokio::time::Instant;

use super::{Cache, Settings, memory};
use crate::config::Components;
use crate::context::Context;
use crate::data::{DatabaseError, Freshness};
use crate::limits::{CACHE_TIDY_INTERVAL, LOAD_LOCK, LOAD_LOOK_INTERVAL, REPLICA_LAG_MAX, WRITES_REMEMBERED_MAX};

/// Why there are no caches.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[cfg(not(feature = "redis"))]
    #[error("this shop was built without Redis: build it with `--features redis`, or leave out --redis")]
    NoRedis,
    #[cfg(feature = "redis")]
    #[error("the URL of --redis is none")]
    Url(#[from] ::redis::RedisError),
}

/// Opens caches where the settings say.
pub(crate) struct Caches {
    #[cfg(feature = "redis")]
    redis: Option<Arc<super::redis::Server>>,
    meter: Meter,
    counters: Counters,
    all: Mutex<Vec<Arc<NamedCache>>>,
}

#[derive(Clone, Debug)]
struct Counters {
    loads: Counter<u64>,
    coalesced: Counter<u64>,
    invalidations: Counter<u64>,
}

impl Caches {
    /// Each is tidied up now and then, until the service stops.
    pub(crate) fn open(context: &Context) -> Result<Arc<Self>, CacheError> {
        let caches = Arc::new(Self::connect(&context.config.components, &context.meter)?);
        let tidied = Arc::clone(&caches);
        context.tasks.repeat(CACHE_TIDY_INTERVAL, move || {
            let caches = tidied.all();
            async move {
                for cache in caches {
                    cache.tidy().await;
                }
            }
        });
        Ok(caches)
    }

    /// Redis is not spoken to before there is something to say.
    pub(super) fn connect(components: &Components, meter: &Meter) -> Result<Self, CacheError> {
        #[cfg(not(feature = "redis"))]
        if components.redis.is_some() {
            return Err(CacheError::NoRedis);
        }
        let counter =
            |name, unit, description| meter.u64_counter(name).with_unit(unit).with_description(description).build();
        let counters = Counters {
            loads: counter("shop.cache.loads", "{load}", "Values that were loaded into a cache"),
            coalesced: counter("shop.cache.coalesced", "{request}", "Requests that waited for another's load"),
            invalidations: counter(
                "shop.cache.invalidations",
                "{invalidation}",
                "Entries that were taken out of a cache",
            ),
        };
        Ok(Self {
            #[cfg(feature = "redis")]
            redis: components.redis.as_deref().map(super::redis::Server::at).transpose()?,
            meter: meter.clone(),
            counters,
            all: Mutex::default(),
        })
    }

    pub(crate) fn named(&self, settings: Settings) -> Arc<NamedCache> {
        #[cfg(feature = "redis")]
        let cache = match &self.redis {
            Some(server) => server.cache(settings),
            None => memory::open(settings),
        };
        #[cfg(not(feature = "redis"))]
        let cache = memory::open(settings);
        let cache = Arc::new(NamedCache {
            name: settings.name,
            cache,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            written: Mutex::default(),
            counters: self.counters.clone(),
        });
        observe_cache(&self.meter, settings.name, &cache);
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&cache));
        cache
    }

    pub(super) fn all(&self) -> Vec<Arc<NamedCache>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One cache.
#[derive(Debug)]
pub(crate) struct NamedCache {
    name: &'static str,
    cache: Box<dyn Cache>,
    hits: AtomicU64,
    misses: AtomicU64,
    /// When this process wrote what a key stands for. Bounded: the oldest matter no more.
    written: Mutex<HashMap<String, Instant>>,
    counters: Counters,
}

impl NamedCache {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// What is there, counted as a hit or a miss.
    pub(super) async fn get<V: DeserializeOwned>(&self, key: &str) -> Option<V> {
        let found = self.look(key).await;
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// What is there, not counted.
    pub(super) async fn look<V: DeserializeOwned>(&self, key: &str) -> Option<V> {
        // What another version has written may make no sense to this one: it is loaded anew.
        serde_json::from_slice(&self.cache.get(key).await?).ok()
    }

    pub(super) async fn put<V: Serialize>(&self, key: &str, value: &V) {
        if let Ok(json) = serde_json::to_vec(value) {
            self.cache.put(key, json.into()).await;
        }
    }

    /// Loads what is not there and keeps it. What another process that shares the cache is loading is waited for.
    pub(super) async fn fill<V, F>(
        &self,
        strategy: &'static str,
        key: &str,
        load: impl FnOnce(Freshness) -> F,
    ) -> Result<Option<V>, DatabaseError>
    where
        V: Serialize + DeserializeOwned,
        F: Future<Output = Result<Option<V>, DatabaseError>>,
    {
        let locked = self.cache.lock(key).await;
        if !locked && let Some(value) = self.loaded_elsewhere(key).await {
            self.count_coalesced();
            return Ok(Some(value));
        }
        let begun = Instant::now();
        self.counters.loads.add(1, &[self.named(), KeyValue::new("shop.cache.strategy", strategy)]);
        let loaded = load(self.freshness(key)).await;
        if let Ok(Some(value)) = &loaded
            // What was written meanwhile is newer, and may have been put already.
            && !self.was_written_since(key, begun)
        {
            self.put(key, value).await;
        }
        if locked {
            self.cache.unlock(key).await;
        }
        loaded
    }

    async fn loaded_elsewhere<V: DeserializeOwned>(&self, key: &str) -> Option<V> {
        let begun = Instant::now();
        while begun.elapsed() < LOAD_LOCK {
            tokio::time::sleep(LOAD_LOOK_INTERVAL).await;
            if let Some(value) = self.look(key).await {
                return Some(value);
            }
        }
        None
    }

    /// Takes an entry out. `reason` is `explicit` or `write`.
    pub(crate) async fn invalidate(&self, key: &str, reason: &'static str) {
        // Whoever loads it next shall see what made it invalid.
        self.writes(key);
        self.cache.remove(key).await;
        self.count_invalidation(reason);
    }

    pub(super) async fn tidy(&self) {
        self.cache.tidy().await;
    }

    /// Takes all out.
    pub(super) async fn flush(&self) {
        self.cache.clear().await;
        self.count_invalidation("flush");
    }

    /// To be said before and after a write of what a key stands for.
    pub(super) fn writes(&self, key: &str) {
        let now = Instant::now();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() >= WRITES_REMEMBERED_MAX {
            written.retain(|_, when| now.duration_since(*when) < 2 * REPLICA_LAG_MAX);
        }
        written.insert(key.to_owned(), now);
    }

    /// What was written just now is loaded from where it was written: a replica may not have it yet.
    fn freshness(&self, key: &str) -> Freshness {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get(key) {
            Some(when) if when.elapsed() < 2 * REPLICA_LAG_MAX => Freshness::Strict,
            _ => Freshness::Usual,
        }
    }

    fn was_written_since(&self, key: &str, begun: Instant) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(key).is_some_and(|when| *when >= begun)
    }

    pub(super) fn count_coalesced(&self) {
        self.counters.coalesced.add(1, &[self.named()]);
    }

    fn count_invalidation(&self, reason: &'static str) {
        self.counters.invalidations.add(1, &[self.named(), KeyValue::new("shop.cache.reason", reason)]);
    }

    pub(super) fn named(&self) -> KeyValue {
        KeyValue::new("cache.name", self.name)
    }
}

impl CacheStats for NamedCache {
    fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    fn evictions(&self) -> u64 {
        self.cache.evictions()
    }

    fn entries(&self) -> usize {
        self.cache.entries()
    }
}
