//! Read-through and write-through: the cache stands before a store and is all that its users see. What is not in it, it loads; what is written, it writes to the store and then keeps.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::{Load, NamedCache, Save};
use crate::data::DatabaseError;

/// Reads.
#[derive(Debug)]
pub(crate) struct ReadThrough<V, S> {
    cache: Arc<NamedCache>,
    store: Arc<S>,
    values: PhantomData<fn() -> V>,
}

impl<V: Serialize + DeserializeOwned, S: Load<V>> ReadThrough<V, S> {
    pub(crate) fn new(cache: &Arc<NamedCache>, store: &Arc<S>) -> Self {
        Self { cache: Arc::clone(cache), store: Arc::clone(store), values: PhantomData }
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<V>, DatabaseError> {
        if let Some(value) = self.cache.get(key).await {
            return Ok(Some(value));
        }
        self.cache.fill("read_through", key, |freshness| self.store.load(key, freshness)).await
    }

    pub(crate) fn cache(&self) -> &NamedCache {
        &self.cache
    }
}

/// Writes.
#[derive(Debug)]
pub(crate) struct WriteThrough<V, S> {
    cache: Arc<NamedCache>,
    store: Arc<S>,
    /// One write at a time, or an earlier one might be kept last.
    writing: Mutex<()>,
    values: PhantomData<fn() -> V>,
}

impl<V: Serialize, S: Save<V>> WriteThrough<V, S> {
    pub(crate) fn new(cache: &Arc<NamedCache>, store: &Arc<S>) -> Self {
        Self { cache: Arc::clone(cache), store: Arc::clone(store), writing: Mutex::default(), values: PhantomData }
    }

    /// Once this returns, the store has it. False if there is no such thing to write.
    pub(crate) async fn put(&self, key: &str, value: &V) -> Result<bool, DatabaseError> {
        let _writing = self.writing.lock().await;
        self.cache.writes(key);
        let saved = self.store.save(key, value).await;
        match saved {
            Ok(true) => {
                self.cache.writes(key);
                self.cache.put(key, value).await;
            }
            Ok(false) => {}
            // Nobody knows which value the store has now.
            Err(_) => self.cache.invalidate(key, "write").await,
        }
        saved
    }
}
