//! The other services, each made known to whoever asks for it; and breakers and retries for what is called beside them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::breaker::Breaker;
use super::directory::Source;
use super::http::Http;
use super::peer::Peer;
use super::retry::Retries;
use super::signals::Signals;
use super::upstream::{Patience, Upstream};
use super::{Algorithm, Registry};
use crate::config::ServiceName;
use crate::context::Tasks;
use crate::limits::{CALL_MAX, GATEWAY_CALL_MAX, GATEWAY_TRY_MAX, TRY_MAX};

/// The other services; clones are the same.
#[derive(Clone)]
pub(crate) struct Peers(Arc<Known>);

struct Known {
    source: Source,
    algorithm: Algorithm,
    patience: Patience,
    http: Http,
    signals: Arc<Signals>,
    tasks: Tasks,
    services: Mutex<BTreeMap<ServiceName, Arc<Upstream>>>,
}

impl Peers {
    /// As the registry at this URL says they are.
    pub(crate) fn of(registry: Option<&str>, balance: Algorithm, tasks: &Tasks) -> anyhow::Result<Self> {
        let http = Http::new();
        let source = match registry {
            None => Source::Nowhere,
            Some(url) => {
                let uri = url.parse::<axum::http::Uri>().ok();
                if !uri.is_some_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some()) {
                    anyhow::bail!("`{url}` is not the URL of a registry: write http://HOST:PORT");
                }
                Source::At(Arc::new(http.clone()), url.trim_end_matches('/').to_owned())
            }
        };
        Ok(Self::new(source, balance, Patience { each: TRY_MAX, all: CALL_MAX }, http, tasks))
    }

    /// As the registry of this process says they are.
    pub(crate) fn here(registry: Arc<Registry>, balance: Algorithm, tasks: &Tasks) -> Self {
        let patience = Patience { each: GATEWAY_TRY_MAX, all: GATEWAY_CALL_MAX };
        Self::new(Source::Here(registry), balance, patience, Http::new(), tasks)
    }

    fn new(source: Source, algorithm: Algorithm, patience: Patience, http: Http, tasks: &Tasks) -> Self {
        let signals = Signals::new(&sextant_sdk::metrics::meter("shop"));
        let tasks = tasks.clone();
        Self(Arc::new(Known { source, algorithm, patience, http, signals, tasks, services: Mutex::default() }))
    }

    /// The service of this name. Its instances are followed from the first time on that somebody asks for it; that is inside the runtime.
    pub(crate) fn to(&self, service: ServiceName) -> Peer {
        let known = &self.0;
        let mut services = known.services.lock().unwrap_or_else(PoisonError::into_inner);
        let upstream = services.entry(service).or_insert_with(|| {
            let Known { source, algorithm, patience, http, signals, tasks, .. } = &**known;
            Arc::new(Upstream::follow(service, source, *algorithm, *patience, http, signals, tasks))
        });
        Peer::of(Arc::clone(upstream))
    }

    /// A breaker for something else that is called from here, as the bank, whose signals are with those of the peers' instances.
    pub(crate) fn breaker(&self, service: &'static str) -> Arc<Breaker> {
        let breaker = Arc::new(Breaker::new(service, service, self.0.signals.instruments.clone()));
        self.0.signals.watch_breaker(&breaker);
        breaker
    }

    /// The retries of calls to something else, counted with the peers'.
    pub(crate) fn retries(&self, service: &'static str) -> Retries {
        Retries::new(service, self.0.signals.instruments.retries.clone())
    }
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("source", &self.0.source).finish_non_exhaustive()
    }
}
