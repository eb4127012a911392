//! The fault that empties the caches again and again.

use std::sync::Arc;

use super::Caches;
use crate::context::Context;
use crate::faults::FaultKind;
use crate::limits::CACHE_FLUSH_INTERVAL;

/// Empties them while the fault lasts, until the service stops.
pub(crate) fn flush_while_told(context: &Context, caches: &Arc<Caches>) {
    let (faults, tasks, caches) = (Arc::clone(&context.faults), context.tasks.clone(), Arc::clone(caches));
    context.tasks.spawn(async move {
        loop {
            tokio::select! {
                () = tasks.stopping() => return,
                () = faults.started(FaultKind::CacheFlush) => {}
            }
            let caches = caches.all();
            for cache in &caches {
                tracing::warn!(
                    name: "cache.flushed",
                    { cache.name = cache.name() },
                    "the cache {} is emptied again and again", cache.name()
                );
            }
            while faults.strikes(FaultKind::CacheFlush) && !tasks.is_stopping() {
                for cache in &caches {
                    cache.flush().await;
                }
                tasks.pause(CACHE_FLUSH_INTERVAL).await;
            }
        }
    });
}
