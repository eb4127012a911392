//! Requests over HTTP, as who serves them and as who makes them: spans, metrics and names by the semantic conventions, the trace, baggage and correlation id in the headers.

mod client;
pub(crate) mod exchange;
mod server;

#[cfg(feature = "axum")]
use axum::Router;

pub use client::{Call, ClientLayer, ClientService};
pub use server::{ServerFuture, ServerLayer, ServerService};

/// Puts the server layer around a router. Requests that no route matches are observed too, without a route.
#[cfg(feature = "axum")]
pub fn instrument<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.layer(ServerLayer::new())
}

/// Sets telemetry up and puts the server layer around the router: the one line that an axum service needs. Telemetry ends when the router and all that was made of it are
/// dropped, which is when `axum::serve` with a graceful shutdown has ended.
#[cfg(feature = "axum")]
pub fn observed<S: Clone + Send + Sync + 'static>(
    service: impl Into<String>,
    router: Router<S>,
) -> Result<Router<S>, crate::InitError> {
    let guard = crate::init(service)?;
    Ok(router.layer(ServerLayer::new().holding(guard)))
}
