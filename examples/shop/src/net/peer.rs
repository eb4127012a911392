//! Another service as its callers see it: an instance is chosen, called with a bound on time, and called again where that is safe, unless its breaker is open.
//!
//! What a breaker counts as a failure: no connection, no answer in time, and answers from 500 on, but for 503. That one says that what the instance stands on is not there, which any
//! other instance would say as well. What is tried again: what never arrived, and, of calls that can be repeated, what has no answer. An answer is an answer.

use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::attempt::attempt;
use super::backend::Backend;
use super::http::HttpError;
use super::upstream::Upstream;
use crate::config::ServiceName;

/// One other service; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Arc<Upstream>);

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
    pub(super) fn of(upstream: Arc<Upstream>) -> Self {
        Self(upstream)
    }

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
        let mut failed = None;
        loop {
            let chosen = match upstream.choose(&outgoing, &tried).await {
                Ok(chosen) => chosen,
                // Nobody is left to be tried: what the one before said is worth more.
                Err(error) => return Err(failed.unwrap_or(error)),
            };
            let backend = Arc::clone(&chosen.backend);
            let left = ends.saturating_duration_since(Instant::now());
            let patience = upstream.patience.each.min(left);
            let error = match attempt(upstream, chosen, &outgoing, patience).await {
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
            failed = Some(error);
        }
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}
