//! Pools of connections and caches: whoever has one says its numbers, and they are observed when the reader collects, for as long as it lives.

use std::sync::{Arc, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// A pool of connections, as it is now.
pub trait PoolStats: Send + Sync + 'static {
    /// Connections that somebody uses.
    fn used(&self) -> usize;
    /// Connections that wait to be used.
    fn idle(&self) -> usize;
    /// The most that there may be.
    fn max(&self) -> usize;
    /// Requests that wait for one.
    fn pending(&self) -> usize {
        0
    }
}

/// A cache, as counted since its beginning.
pub trait CacheStats: Send + Sync + 'static {
    /// What was asked for and was there.
    fn hits(&self) -> u64;
    /// What was asked for and was not.
    fn misses(&self) -> u64;
    /// What was thrown out to make room, or because it was old.
    fn evictions(&self) -> u64;
    /// What is in it.
    fn entries(&self) -> usize;
}

/// Observes a pool under the conventions' names for clients of databases.
pub fn observe_pool<P: PoolStats>(meter: &Meter, name: &'static str, pool: &Arc<P>) {
    let named = move || KeyValue::new("db.client.connection.pool.name", name);
    let of = |pool: &Weak<P>, read: fn(&P) -> usize| {
        pool.upgrade().map(|pool| i64::try_from(read(&pool)).unwrap_or(i64::MAX))
    };
    let weak = Arc::downgrade(pool);
    let count = meter
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_unit("{connection}")
        .with_description("Connections of a pool");
    count
        .with_callback(move |counter| {
            for (state, read) in [("used", P::used as fn(&P) -> usize), ("idle", P::idle)] {
                if let Some(value) = of(&weak, read) {
                    counter.observe(value, &[named(), KeyValue::new("db.client.connection.state", state)]);
                }
            }
        })
        .build();
    for (metric, unit, description, read) in [
        (
            "db.client.connection.max",
            "{connection}",
            "The most connections that a pool may have",
            P::max as fn(&P) -> usize,
        ),
        ("db.client.connection.pending_requests", "{request}", "Requests that wait for a connection", P::pending),
    ] {
        let weak = Arc::downgrade(pool);
        let counter = meter.i64_observable_up_down_counter(metric).with_unit(unit).with_description(description);
        counter
            .with_callback(move |counter| {
                if let Some(value) = of(&weak, read) {
                    counter.observe(value, &[named()]);
                }
            })
            .build();
    }
}

/// Observes a cache. The conventions have no names for caches yet.
pub fn observe_cache<C: CacheStats>(meter: &Meter, name: &'static str, cache: &Arc<C>) {
    let named = move || KeyValue::new("cache.name", name);
    let weak = Arc::downgrade(cache);
    let requests = meter
        .u64_observable_counter("cache.requests")
        .with_unit("{request}")
        .with_description("What was asked of a cache, by whether it was there");
    requests
        .with_callback(move |counter| {
            if let Some(cache) = weak.upgrade() {
                counter.observe(cache.hits(), &[named(), KeyValue::new("cache.result", "hit")]);
                counter.observe(cache.misses(), &[named(), KeyValue::new("cache.result", "miss")]);
            }
        })
        .build();
    let weak = Arc::downgrade(cache);
    let evictions =
        meter.u64_observable_counter("cache.evictions").with_unit("{entry}").with_description("What a cache threw out");
    evictions
        .with_callback(move |counter| {
            if let Some(cache) = weak.upgrade() {
                counter.observe(cache.evictions(), &[named()]);
            }
        })
        .build();
    let weak = Arc::downgrade(cache);
    let entries = meter
        .i64_observable_up_down_counter("cache.entries")
        .with_unit("{entry}")
        .with_description("What is in a cache");
    entries
        .with_callback(move |counter| {
            if let Some(cache) = weak.upgrade() {
                counter.observe(i64::try_from(cache.entries()).unwrap_or(i64::MAX), &[named()]);
            }
        })
        .build();
}
