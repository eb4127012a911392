//! Cache-aside: the caller looks into the cache, loads what is not there from wherever it knows, and leaves it in the cache. With protection from stampedes: of all that miss the same key
//! at once, one loads.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::NamedCache;
use super::single_flight::SingleFlight;
use crate::data::{DatabaseError, Freshness};

#[derive(Debug)]
pub(crate) struct CacheAside<V> {
    cache: Arc<NamedCache>,
    flights: SingleFlight<Loaded<V>>,
}

/// An error is everybody's who waited: they do not all try again.
type Loaded<V> = Result<Option<V>, Arc<DatabaseError>>;

impl<V: Clone + Serialize + DeserializeOwned> CacheAside<V> {
    pub(crate) fn new(cache: Arc<NamedCache>) -> Self {
        Self { cache, flights: SingleFlight::default() }
    }

    pub(crate) async fn get<F>(&self, key: &str, load: impl Fn(Freshness) -> F) -> Loaded<V>
    where
        F: Future<Output = Result<Option<V>, DatabaseError>>,
    {
        if let Some(value) = self.cache.get(key).await {
            return Ok(Some(value));
        }
        let load = async || {
            // Another may have landed between the look above and this take-off.
            if let Some(value) = self.cache.look(key).await {
                return Ok(Some(value));
            }
            self.cache.fill("cache_aside", key, &load).await.map_err(Arc::new)
        };
        self.flights.run(key, load, || self.cache.count_coalesced()).await
    }

    pub(crate) fn cache(&self) -> &NamedCache {
        &self.cache
    }
}
