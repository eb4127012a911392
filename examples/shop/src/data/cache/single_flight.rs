//! One load at a time for each key: whoever wants what somebody loads already waits for that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The loads under way, with values that are cheap to clone.
#[derive(Debug)]
pub(super) struct SingleFlight<T>(Arc<Mutex<HashMap<String, watch::Receiver<Option<T>>>>>);

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

enum Role<'a, T> {
    Leads(Lead<'a, T>),
    Follows(watch::Receiver<Option<T>>),
}

/// The one that loads. Whatever becomes of it, nobody waits for it thereafter.
struct Lead<'a, T> {
    flights: &'a SingleFlight<T>,
    key: &'a str,
    landed: watch::Sender<Option<T>>,
}

impl<T> Drop for Lead<'_, T> {
    fn drop(&mut self) {
        self.flights.lock().remove(self.key);
    }
}

impl<T: Clone> SingleFlight<T> {
    /// What `load` gives, or what another's load of the same key does; `follows` is told of the latter. A load that is given up midway is begun again by one that waited for it.
    pub(super) async fn run<F: Future<Output = T>>(&self, key: &str, load: impl Fn() -> F, follows: impl Fn()) -> T {
        loop {
            match self.role(key) {
                Role::Leads(lead) => {
                    let value = load().await;
                    lead.landed.send_replace(Some(value.clone()));
                    return value;
                }
                Role::Follows(mut landed) => {
                    follows();
                    if let Ok(value) = landed.wait_for(Option::is_some).await
                        && let Some(value) = value.as_ref()
                    {
                        return value.clone();
                    }
                }
            }
        }
    }

    fn role<'a>(&'a self, key: &'a str) -> Role<'a, T> {
        let mut flights = self.lock();
        if let Some(landed) = flights.get(key) {
            return Role::Follows(landed.clone());
        }
        let (sender, landed) = watch::channel(None);
        flights.insert(key.to_owned(), landed);
        Role::Leads(Lead { flights: self, key, landed: sender })
    }
}

impl<T> SingleFlight<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<T>>>> {
        // Nothing panics under it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_load_that_is_given_up_is_begun_again() {
        let flights = Arc::new(SingleFlight::default());
        let loads = Arc::new(AtomicUsize::new(0));
        let reader = |patience: u64| {
            let (flights, loads) = (Arc::clone(&flights), Arc::clone(&loads));
            tokio::spawn(async move {
                let load = async || {
                    loads.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    42
                };
                tokio::time::timeout(Duration::from_secs(patience), flights.run("key", load, || ())).await.ok()
            })
        };
        let hasty = reader(3);
        tokio::task::yield_now().await;
        let patient = [reader(60), reader(60)];
        assert_eq!(hasty.await.expect("no panic"), None);
        for reader in patient {
            assert_eq!(reader.await.expect("no panic"), Some(42));
        }
        assert_eq!(loads.load(Ordering::Relaxed), 2);
        assert!(flights.lock().is_empty());
    }
}
