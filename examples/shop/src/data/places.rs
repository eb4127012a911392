//! Where tests have their databases and caches: a directory of their own, and with the feature `real` also a database and a prefix of their own on servers that all tests share
//! and that end with the last one.

use std::sync::Arc;
use std::time::Duration;

use sextant_sdk::opentelemetry::metrics::Meter;
use tempfile::TempDir;

use super::{Database, Name};
use crate::config::Components;
use crate::faults::Faults;

/// One set of components.
pub(crate) struct Place {
    pub(crate) components: Components,
    pub(crate) faults: Arc<Faults>,
    pub(crate) meter: Meter,
    // Dropped last.
    _directory: TempDir,
    #[cfg(feature = "real")]
    _servers: Option<Arc<servers::Servers>>,
}

impl Place {
    /// All in files and in the process.
    pub(crate) fn embedded() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let components = Components { data_dir: directory.path().to_owned(), ..Components::default() };
        Self {
            components,
            faults: Arc::new(Faults::none()),
            meter: sextant_sdk::metrics::meter("shop"),
            _directory: directory,
            #[cfg(feature = "real")]
            _servers: None,
        }
    }

    /// Embedded, and with the real servers if these tests are to have them.
    pub(crate) async fn all() -> Vec<Self> {
        let mut places = vec![Self::embedded()];
        #[cfg(feature = "real")]
        {
            let servers = servers::shared().await;
            let mut real = Self::embedded();
            servers.place(&mut real.components);
            real._servers = Some(servers);
            places.push(real);
        }
        #[cfg(not(feature = "real"))]
        places.truncate(1);
        places
    }

    pub(crate) async fn open(&self, name: Name) -> Database {
        Database::connect(&self.components, name, &self.faults, &self.meter).await.expect("a database")
    }
}

/// Waits until it is so, for as long as a busy machine may take.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("in vain: {what}");
}

#[cfg(feature = "real")]
mod servers {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Weak};

    use tokio::sync::Mutex;

    use crate::config::Components;
    use crate::real::{Postgres, Redis};

    pub(crate) struct Servers {
        // Dropped before what it follows.
        replica: Postgres,
        primary: Postgres,
        redis: Redis,
    }

    pub(super) async fn shared() -> Arc<Servers> {
        static SHARED: Mutex<Weak<Servers>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(servers) = shared.upgrade() {
            return servers;
        }
        let primary = Postgres::start().await;
        let servers = Servers { replica: primary.replica().await, primary, redis: Redis::start().await };
        let servers = Arc::new(servers);
        *shared = Arc::downgrade(&servers);
        servers
    }

    impl Servers {
        /// Something of its own on each.
        pub(super) fn place(&self, components: &mut Components) {
            static NEXT: AtomicU32 = AtomicU32::new(1);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let database = format!("test_{number}");
            self.primary.create(&database);
            components.postgres = Some(self.primary.url(&database));
            components.postgres_replica = Some(self.replica.url(&database));
            // One of the sixteen databases that a Redis has.
            components.redis = Some(format!("{}{}", self.redis.url(), number % 16));
        }
    }
}
