//! Another service as its callers see it: an instance is chosen, called with a bound on time, and called again where that is safe, unless its breaker is open.
//!
//! What a breaker counts as a failure: no connection, no answer in time, and answers from 500 on, but for 503. That one says that what the instance stands on is not there, which any
//! other instance would say as well. What is tried again: what never arrived, and, of calls that can be repeated, what has no answer. An answer is an answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::backend::Backend;
use super::balance::Balancer;
use super::breaker::{Breaker, Permit};
use super::directory::{Directory, Source};
use super::http::{Http, HttpError};
use super::retry::Retries;
use super::signals::Signals;
use super::{Algorithm, Registry, attempt};
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

/// How long a caller waits for one try, and for all of a call.
#[derive(Clone, Copy, Debug)]
struct Patience {
    each: Duration,
    all: Duration,
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
                Source::At(http.clone(), url.trim_end_matches('/').to_owned())
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
            let (source, signals) = (known.source.clone(), Arc::clone(&known.signals));
            Arc::new(Upstream {
                service,
                algorithm: known.algorithm,
                patience: known.patience,
                http: known.http.clone(),
                directory: Directory::follow(service, source, signals, &known.tasks),
                balancer: Mutex::new(Balancer::new(known.algorithm)),
                retries: Retries::new(service.as_str(), known.signals.instruments.retries.clone()),
                signals: Arc::clone(&known.signals),
            })
        });
        Peer(Arc::clone(upstream))
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

/// One other service; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Arc<Upstream>);

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) service: ServiceName,
    algorithm: Algorithm,
    patience: Patience,
    pub(super) http: Http,
    directory: Arc<Directory>,
    balancer: Mutex<Balancer>,
    retries: Retries,
    pub(super) signals: Arc<Signals>,
}

/// A call to be made.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// The path with places for ids, one of few.
    pub(crate) template: &'static str,
    pub(crate) path: PathAndQuery,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether it does no harm twice.
    pub(crate) repeatable: bool,
    /// The address of whose request this is about, for balancing by it.
    pub(crate) client: Option<String>,
    /// The instance that it should go to if that can take it.
    pub(crate) sticky: Option<String>,
}

/// What an instance answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Who answered.
    pub(crate) instance: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no instance of {0} is there")]
    NoInstance(ServiceName),
    #[error("the breakers of all instances of {0} are open")]
    BreakerOpen(ServiceName),
    #[error("{instance} did not answer within {after:?}")]
    Timeout { instance: String, after: Duration },
    #[error("no answer from {instance}: {error}")]
    NoAnswer { instance: String, error: HttpError },
    #[error("cannot call {service}: {why}")]
    Request { service: ServiceName, why: String },
}

impl CallError {
    /// In a word, for metrics and for those who asked.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NoInstance(_) => "no_instance",
            Self::BreakerOpen(_) => "breaker_open",
            Self::Timeout { .. } => "timeout",
            Self::NoAnswer { error: HttpError::Connect(_), .. } => "unreachable",
            Self::NoAnswer { error: HttpError::Broken(_), .. } => "broken",
            Self::NoAnswer { error: HttpError::TooLarge, .. } => "too_large",
            Self::Request { .. } => "request",
        }
    }

    /// Whether the callee has certainly not heard of it.
    fn never_arrived(&self) -> bool {
        matches!(self, Self::NoAnswer { error: HttpError::Connect(_), .. })
    }

    /// Whether another try could have an answer.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. } | Self::NoAnswer { error: HttpError::Connect(_) | HttpError::Broken(_), .. }
        )
    }
}

impl Peer {
    /// Calls it inside the current trace. `template` is the path with places for ids, one of few. A body of `&()` is none.
    ///
    /// What does no harm twice by its method is tried again; see [`Peer::call_repeatable`] for what does none though it is a `POST`.
    pub(crate) async fn call(
        &self,
        method: Method,
        template: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer, CallError> {
        self.send(self.outgoing(method, template, path, body)?).await
    }

    /// The same for what the callee recognises when it comes again, as by an order's id.
    pub(crate) async fn call_repeatable(
        &self,
        method: Method,
        template: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer, CallError> {
        self.send(Outgoing { repeatable: true, ..self.outgoing(method, template, path, body)? }).await
    }

    fn outgoing(
        &self,
        method: Method,
        template: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Outgoing, CallError> {
        let service = self.0.service;
        let path = path.parse().map_err(|_| CallError::Request { service, why: format!("`{path}` is no path") })?;
        let body = serde_json::to_vec(body).map_err(|error| CallError::Request { service, why: error.to_string() })?;
        let mut headers = HeaderMap::new();
        let body = if body == b"null" {
            Bytes::new()
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            body.into()
        };
        let repeatable = method.is_idempotent();
        Ok(Outgoing { method, template, path, headers, body, repeatable, client: None, sticky: None })
    }

    /// The general form.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<Answer, CallError> {
        let upstream = &self.0;
        let ends = Instant::now() + upstream.patience.all;
        let mut tries = upstream.retries.begin();
        let mut tried: Vec<Arc<Backend>> = Vec::new();
        loop {
            let (backend, permit, algorithm) = upstream.choose(&outgoing, &tried).await?;
            let left = ends.saturating_duration_since(Instant::now());
            let patience = upstream.patience.each.min(left);
            let error = match attempt::attempt(upstream, &backend, permit, algorithm, &outgoing, patience).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !(error.never_arrived() || outgoing.repeatable && error.may_pass()) {
                return Err(error);
            }
            let Some(pause) = tries.again(error.reason()) else { return Err(error) };
            if Instant::now() + pause >= ends {
                return Err(error);
            }
            tracing::warn!(
                name: "request.retried",
                { shop.backend.service = %upstream.service, shop.backend.instance = backend.instance(), error = %error },
                "{} does not answer: it is tried again", backend.instance()
            );
            tokio::time::sleep(pause).await;
            tried.push(backend);
        }
    }
}

/// Those that take requests: the healthy ones, or all if none is healthy, unless their breakers are open.
fn eligible(backends: &[Arc<Backend>]) -> impl Iterator<Item = &Arc<Backend>> {
    let healthy = |backend: &Arc<Backend>| backend.told().health == super::health::Health::Up;
    let any_healthy = backends.iter().any(healthy);
    backends.iter().filter(move |backend| (!any_healthy || healthy(backend)) && backend.breaker().admits())
}

impl Upstream {
    /// An instance for the next try, preferably one that was not tried before, and by what it was chosen.
    async fn choose(
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

impl Answer {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}
