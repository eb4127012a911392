//! One other service as its callers see it: its instances, who of them is next, and how long to wait for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Algorithm;
use super::backend::Backend;
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

    /// An instance for the next try, preferably one that was not tried before, and by what it was chosen.
    pub(super) async fn choose(
        &self,
        outgoing: &Outgoing,
        tried: &[Arc<Backend>],
    ) -> Result<(Arc<Backend>, Permit, &'static str), CallError> {
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
            let (chosen, algorithm) = self.pick(&candidates, outgoing);
            let Some(backend) = chosen else {
                if let Some(backend) = backends.first() {
                    backend.breaker().reject();
                }
                return Err(CallError::BreakerOpen(self.service));
            };
            // Somebody else may have taken its last place in between; then there is one candidate less.
            if let Some(permit) = backend.breaker().enter() {
                self.signals.count_choice(backend, algorithm);
                return Ok((Arc::clone(backend), permit, algorithm));
            }
        }
    }

    fn pick<'a>(
        &self,
        candidates: &[&'a Arc<Backend>],
        outgoing: &Outgoing,
    ) -> (Option<&'a Arc<Backend>>, &'static str) {
        let sticky = outgoing.sticky.as_deref();
        if let Some(sticky) = candidates.iter().find(|backend| Some(backend.instance()) == sticky) {
            return (Some(sticky), "sticky");
        }
        let seen: Vec<_> = candidates.iter().map(|backend| backend.candidate()).collect();
        let mut balancer = self.balancer.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = balancer.choose(&seen, outgoing.client.as_deref());
        (chosen.and_then(|place| candidates.get(place).copied()), self.algorithm.as_str())
    }
}
