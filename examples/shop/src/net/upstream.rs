//! One other service as its callers see it: its instances, who of them is next, and how long to wait for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Algorithm;
use super::backend::{Backend, UnderWay};
use super::balance::Balancer;
use super::breaker::Permit;
use super::directory::{Directory, Source};
use super::health::Health;
use super::http::Http;
use super::peer::{CallError, Outgoing};
use super::retry::Retries;
use super::signals::Signals;
use crate::config::ServiceName;
use crate::context::Tasks;

/// See above.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) service: ServiceName,
    algorithm: Algorithm,
    pub(super) patience: Patience,
    pub(super) http: Http,
    directory: Arc<Directory>,
    balancer: Mutex<Balancer>,
    pub(super) retries: Retries,
    pub(super) signals: Arc<Signals>,
}

/// How long a caller waits for one try, and for all of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) each: Duration,
    pub(super) all: Duration,
}

/// Who takes the next try, and by what it was chosen.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) backend: Arc<Backend>,
    pub(super) permit: Permit,
    pub(super) under_way: UnderWay,
    pub(super) algorithm: &'static str,
}

/// Those that take requests: the healthy ones, or all if none is healthy, unless their breakers are open.
fn eligible(backends: &[Arc<Backend>]) -> impl Iterator<Item = &Arc<Backend>> {
    let healthy = |backend: &Arc<Backend>| backend.told().health == Health::Up;
    let any_healthy = backends.iter().any(healthy);
    backends.iter().filter(move |backend| (!any_healthy || healthy(backend)) && backend.breaker().admits())
}

impl Upstream {
    /// Follows its instances until the process stops.
    pub(super) fn follow(
        service: ServiceName,
        source: &Source,
        algorithm: Algorithm,
        patience: Patience,
        http: &Http,
        signals: &Arc<Signals>,
        tasks: &Tasks,
    ) -> Self {
        Self {
            service,
            algorithm,
            patience,
            http: http.clone(),
            directory: Directory::follow(service, source.clone(), Arc::clone(signals), tasks),
            balancer: Mutex::new(Balancer::new(algorithm)),
            retries: Retries::new(service.as_str(), signals.instruments.retries.clone()),
            signals: Arc::clone(signals),
        }
    }

    /// An instance for the next try, preferably one that was not tried before.
    pub(super) async fn choose(&self, outgoing: &Outgoing, tried: &[Arc<Backend>]) -> Result<Chosen, CallError> {
        let backends = self.directory.backends().await;
        if backends.is_empty() {
            return Err(CallError::NoInstance(self.service));
        }
        loop {
            let mut candidates: Vec<&Arc<Backend>> = eligible(&backends).collect();
            let fresh = |backend: &Arc<Backend>| tried.iter().all(|tried| tried.instance() != backend.instance());
            if candidates.iter().any(|backend| fresh(backend)) {
                candidates.retain(|backend| fresh(backend));
            }
            let Some((backend, under_way, algorithm)) = self.pick(&candidates, outgoing) else {
                if let Some(backend) = backends.first() {
                    backend.breaker().reject();
                }
                return Err(CallError::BreakerOpen(self.service));
            };
            // Somebody else may have taken its last place in between; then there is one candidate less.
            if let Some(permit) = backend.breaker().enter() {
                self.signals.count_choice(backend, algorithm);
                return Ok(Chosen { backend: Arc::clone(backend), permit, under_way, algorithm });
            }
        }
    }

    /// Chooses and counts the request as under way in one step: of two who choose at the same time the second sees what the first has taken.
    fn pick<'a>(
        &self,
        candidates: &[&'a Arc<Backend>],
        outgoing: &Outgoing,
    ) -> Option<(&'a Arc<Backend>, UnderWay, &'static str)> {
        let mut balancer = self.balancer.lock().unwrap_or_else(PoisonError::into_inner);
        let sticky = outgoing.sticky.as_deref();
        if let Some(sticky) = candidates.iter().find(|backend| Some(backend.instance()) == sticky) {
            return Some((sticky, sticky.begin(), "sticky"));
        }
        let seen: Vec<_> = candidates.iter().map(|backend| backend.candidate()).collect();
        let place = balancer.choose(&seen, outgoing.client.as_deref())?;
        let backend = candidates.get(place)?;
        Some((backend, backend.begin(), self.algorithm.as_str()))
    }
}
