//! Write-around: what is written goes to the store past the cache, which only forgets what it knew; what is read is kept. For what is written often and read by few.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Load, NamedCache};
use crate::data::DatabaseError;

#[derive(Debug)]
pub(crate) struct WriteAround<V, S> {
    cache: Arc<NamedCache>,
    store: Arc<S>,
    values: PhantomData<fn() -> V>,
}

impl<V: Serialize + DeserializeOwned, S: Load<V>> WriteAround<V, S> {
    pub(crate) fn new(cache: Arc<NamedCache>, store: Arc<S>) -> Self {
        Self { cache, store, values: PhantomData }
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<V>, DatabaseError> {
        if let Some(value) = self.cache.get(key).await {
            return Ok(Some(value));
        }
        self.cache.fill("write_around", key, |freshness| self.store.load(key, freshness)).await
    }

    /// Awaits a write to the store that changes what the key stands for.
    pub(crate) async fn write<T>(
        &self,
        key: &str,
        write: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, DatabaseError> {
        self.cache.writes(key);
        let written = write.await;
        // Also after an error: nobody knows what has been written.
        self.cache.invalidate(key, "write").await;
        written
    }

    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    pub(crate) fn cache(&self) -> &NamedCache {
        &self.cache
    }
}
