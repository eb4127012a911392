//! Another service as its callers see it: an instance is chosen, called with a bound on time, and called again where that is safe, unless its breaker is open.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Algorithm, Registry};
use crate::config::ServiceName;
use crate::context::Tasks;

/// The other services.
#[derive(Clone, Debug)]
pub(crate) struct Peers {}

impl Peers {
    /// As the registry at this URL says they are.
    pub(crate) fn of(_registry: Option<&str>, _balance: Algorithm, _tasks: &Tasks) -> anyhow::Result<Self> {
        Ok(Self {})
    }

    /// As the registry of this process says they are.
    pub(crate) fn here(_registry: Arc<Registry>, _balance: Algorithm, _tasks: &Tasks) -> Self {
        Self {}
    }

    pub(crate) fn to(&self, service: ServiceName) -> Peer {
        Peer { service }
    }
}

/// One other service.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    service: ServiceName,
}

/// What an instance answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no instance of {0} is there")]
    NoInstance(ServiceName),
}

impl Peer {
    /// Calls it inside the current trace. `template` is the path with places for ids, one of few.
    pub(crate) async fn call(
        &self,
        _method: Method,
        _template: &'static str,
        _path: &str,
        _body: &(impl Serialize + Sync),
    ) -> Result<Answer, CallError> {
        Err(CallError::NoInstance(self.service))
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}
