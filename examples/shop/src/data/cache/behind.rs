//! Write-behind: a write is accepted at once and reaches the store a moment later, together with others. For what may be lost by a crash, like counts of views: at most what waits.
//!
//! What waits is bounded. When a store takes nothing any more, writes go on until the bound, and then fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sextant_sdk::opentelemetry::metrics::Meter;

use super::{Load, NamedCache};
use crate::context::Tasks;
use crate::data::DatabaseError;
use crate::limits::{UNWRITTEN_MAX, WRITE_BATCH_MAX, WRITE_BEHIND_INTERVAL};

/// A value that can be changed by a later one before either is written.
pub(crate) trait Merge {
    fn merge(&mut self, later: &Self);
}

/// Adds.
impl Merge for i64 {
    fn merge(&mut self, later: &Self) {
        *self = self.saturating_add(*later);
    }
}

/// Writes many at once, all or none.
#[async_trait]
pub(crate) trait SaveAll<V>: Send + Sync {
    /// The values that the store has then, in the batch's order.
    async fn save_all(&self, batch: &[(String, V)]) -> Result<Vec<V>, DatabaseError>;
}

#[derive(Debug)]
pub(crate) struct WriteBehind<V, S> {
    cache: Arc<NamedCache>,
    store: Arc<S>,
    unwritten: Mutex<Unwritten<V>>,
    /// One batch at a time.
    flushing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Unwritten<V> {
    waiting: HashMap<String, V>,
    /// Those that are being written: what is read counts them until the store does.
    in_flight: Vec<(String, V)>,
    /// Whether the last batch failed.
    failing: bool,
}

impl<V, S> WriteBehind<V, S>
where
    V: Merge + Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    S: Load<V> + SaveAll<V> + 'static,
{
    pub(crate) fn new(cache: Arc<NamedCache>, store: Arc<S>, meter: &Meter) -> Arc<Self> {
        let unwritten = Unwritten { waiting: HashMap::new(), in_flight: Vec::new(), failing: false };
        let behind = Arc::new(Self { cache, store, unwritten: Mutex::new(unwritten), flushing: Default::default() });
        let observed = Arc::downgrade(&behind);
        let gauge = meter.u64_observable_gauge("shop.cache.unwritten").with_unit("{entry}");
        let gauge = gauge.with_description("Entries of a write-behind cache that the store has not got yet");
        gauge
            .with_callback(move |gauge| {
                if let Some(behind) = observed.upgrade() {
                    gauge.observe(behind.unwritten() as u64, &[behind.cache.named()]);
                }
            })
            .build();
        behind
    }

    /// Writes what waits again and again, and the rest when the service stops.
    pub(crate) fn run(self: &Arc<Self>, tasks: &Tasks) {
        let (behind, stopping) = (Arc::clone(self), tasks.clone());
        tasks.spawn(async move {
            while !stopping.is_stopping() {
                stopping.pause(WRITE_BEHIND_INTERVAL).await;
                // Told by itself; what failed waits for the next time.
                let _ = behind.flush().await;
            }
        });
    }

    /// The store's value with all that it has not got yet.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<V>, DatabaseError> {
        let kept = match self.cache.get(key).await {
            Some(value) => Some(value),
            None => self.cache.fill("write_behind", key, |freshness| self.store.load(key, freshness)).await?,
        };
        let unwritten = self.lock();
        let in_flight = unwritten.in_flight.iter().filter(|(of, _)| of == key).map(|(_, value)| value);
        Ok(in_flight.chain(unwritten.waiting.get(key)).fold(kept, |sum, later| match sum {
            Some(mut sum) => {
                sum.merge(later);
                Some(sum)
            }
            None => Some(later.clone()),
        }))
    }

    /// Accepts a write. When too many wait, they are written first.
    pub(crate) async fn put(&self, key: &str, value: V) -> Result<(), DatabaseError> {
        let is_full = {
            let unwritten = self.lock();
            unwritten.len() >= UNWRITTEN_MAX && !unwritten.waiting.contains_key(key)
        };
        if is_full {
            self.flush().await?;
        }
        self.lock().add(key, value);
        Ok(())
    }

    /// Writes all that waits, in batches.
    pub(crate) async fn flush(&self) -> Result<(), DatabaseError> {
        let _flushing = self.flushing.lock().await;
        loop {
            let batch = self.lock().take();
            if batch.is_empty() {
                return Ok(());
            }
            batch.iter().for_each(|(key, _)| self.cache.writes(key));
            let saved = self.store.save_all(&batch).await;
            if let Ok(values) = &saved {
                // What others have written is in there too.
                for ((key, _), value) in batch.iter().zip(values) {
                    self.cache.writes(key);
                    self.cache.put(key, value).await;
                }
            }
            self.landed(batch, saved.as_ref().err());
            saved?;
        }
    }

    fn landed(&self, batch: Vec<(String, V)>, error: Option<&DatabaseError>) {
        let mut unwritten = self.lock();
        unwritten.in_flight.clear();
        if let Some(error) = error {
            batch.into_iter().for_each(|(key, value)| unwritten.put_back(key, value));
            if !unwritten.failing {
                let (error, entries) = (error as &dyn std::error::Error, unwritten.len());
                tracing::warn!(
                    name: "cache.unwritten",
                    { cache.name = self.cache.name(), shop.entries = entries, error },
                    "a write-behind cache cannot write what it has accepted"
                );
            }
        } else if unwritten.failing {
            tracing::info!(name: "cache.written", { cache.name = self.cache.name() }, "the write-behind cache can write again");
        }
        unwritten.failing = error.is_some();
    }

    /// How many entries the store has not got yet.
    pub(crate) fn unwritten(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn cache(&self) -> &NamedCache {
        &self.cache
    }

    fn lock(&self) -> MutexGuard<'_, Unwritten<V>> {
        // Nothing panics half-way through a change.
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Merge + Clone> Unwritten<V> {
    fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    fn add(&mut self, key: &str, value: V) {
        match self.waiting.get_mut(key) {
            Some(earlier) => earlier.merge(&value),
            None => {
                self.waiting.insert(key.to_owned(), value);
            }
        }
    }

    /// What waits meanwhile is later.
    fn put_back(&mut self, key: String, mut earlier: V) {
        if let Some(later) = self.waiting.get(&key) {
            earlier.merge(later);
        }
        self.waiting.insert(key, earlier);
    }

    fn take(&mut self) -> Vec<(String, V)> {
        let mut keys: Vec<_> = self.waiting.keys().take(WRITE_BATCH_MAX).cloned().collect();
        // Two processes that lock rows in one order do not wait for each other for ever.
        keys.sort();
        self.in_flight = keys.iter().filter_map(|key| self.waiting.remove_entry(key)).collect();
        self.in_flight.clone()
    }
}
