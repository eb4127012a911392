//! One HTTP exchange with one address: a connection out of a pool, and an answer of a bounded size.

use std::time::Duration;

use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::limits::{BODY_BYTES_MAX, CONNECT_MAX, IDLE_CONNECTIONS_MAX};

/// A connection that nobody has used for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A client with its connections; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Http(Client<HttpConnector, Full<Bytes>>);

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HttpError {
    /// Nothing was sent, so that it can be sent again.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// It may have been received.
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the answer is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
}

impl Http {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_MAX));
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_MAX);
        Self(builder.pool_max_idle_per_host(IDLE_CONNECTIONS_MAX).build(connector))
    }

    /// Sends it and reads the whole answer. Bounding the time is up to the caller.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, HttpError> {
        let response = self.0.request(request).await.map_err(|error| {
            let cause = innermost(&error);
            if error.is_connect() { HttpError::Connect(cause) } else { HttpError::Broken(cause) }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { HttpError::TooLarge } else { HttpError::Broken(innermost(&*error)) }
        })?;
        Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
    }
}

/// The cause at the bottom: the layers above it say that something went wrong, and this what.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
