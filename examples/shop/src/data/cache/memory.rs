//! A cache in the process: moka's for LRU and LFU, and one of our own for FIFO, which moka has not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use moka::policy::EvictionPolicy;

use super::fifo::Fifo;
use super::{Cache, Eviction, Settings};

/// The cache that these settings ask for.
pub(super) fn open(settings: Settings) -> Box<dyn Cache> {
    let policy = match settings.eviction {
        Eviction::Lru => EvictionPolicy::lru(),
        Eviction::Lfu => EvictionPolicy::tiny_lfu(),
        Eviction::Fifo => return Box::new(Locked(Mutex::new(Fifo::new(settings.capacity, settings.ttl)))),
    };
    let evictions = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&evictions);
    let entries = moka::future::Cache::builder()
        .name(settings.name)
        .max_capacity(settings.capacity as u64)
        .eviction_policy(policy)
        .time_to_live(settings.ttl)
        .eviction_listener(move |_, _, cause| {
            if cause.was_evicted() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build();
    Box::new(Moka { entries, evictions })
}

#[derive(Debug)]
struct Moka {
    entries: moka::future::Cache<String, Bytes>,
    evictions: Arc<AtomicU64>,
}

#[async_trait]
impl Cache for Moka {
    async fn get(&self, key: &str) -> Option<Bytes> {
        self.entries.get(key).await
    }

    async fn put(&self, key: &str, value: Bytes) {
        self.entries.insert(key.to_owned(), value).await;
        // Room is made now and not some time later: the caches are small, and their numbers are looked at.
        self.entries.run_pending_tasks().await;
    }

    async fn remove(&self, key: &str) {
        self.entries.invalidate(key).await;
    }

    async fn clear(&self) {
        self.entries.invalidate_all();
        self.entries.run_pending_tasks().await;
    }

    async fn tidy(&self) {
        self.entries.run_pending_tasks().await;
    }

    fn entries(&self) -> usize {
        usize::try_from(self.entries.entry_count()).unwrap_or(usize::MAX)
    }

    fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Locked(Mutex<Fifo>);

impl Locked {
    fn lock(&self) -> MutexGuard<'_, Fifo> {
        // Nothing panics half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cache for Locked {
    async fn get(&self, key: &str) -> Option<Bytes> {
        self.lock().get(key)
    }

    async fn put(&self, key: &str, value: Bytes) {
        self.lock().put(key, value);
    }

    async fn remove(&self, key: &str) {
        self.lock().remove(key);
    }

    async fn clear(&self) {
        self.lock().clear();
    }

    fn entries(&self) -> usize {
        self.lock().entries()
    }

    fn evictions(&self) -> u64 {
        self.lock().evictions()
    }
}
