//! What happens around every request a service takes: the caller's trace goes on, the correlation id is known to the
//! handler, a server span and the server's metrics are recorded.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::correlation::{CorrelationId, CorrelationIds};
use crate::instruments::ServerInstruments;
use crate::limits::BODY_BYTES_MAX;
use crate::propagate;

/// What the middleware needs.
#[derive(Clone)]
pub(crate) struct Inbound {
    pub(crate) instruments: Arc<ServerInstruments>,
    /// For callers that send no correlation id.
    pub(crate) ids: Arc<CorrelationIds>,
}

impl Inbound {
    /// Puts the middleware around the routes; their handlers find the [`CorrelationId`] among the request's extensions.
    pub(crate) fn around(self, routes: Router) -> Router {
        routes.route_layer(from_fn_with_state(self, serve)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
    }
}

async fn serve(State(inbound): State<Inbound>, path: MatchedPath, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let active = inbound.instruments.enter(&method);
    let correlation = CorrelationId::from_headers(request.headers()).unwrap_or_else(|| inbound.ids.next());
    let span = server_span(&request, path.as_str(), &correlation);
    request.extensions_mut().insert(correlation);

    let response = next.run(request).instrument(span.clone()).await;

    record_status(&span, response.status());
    inbound.instruments.served(&method, path.as_str(), response.status(), started.elapsed());
    drop(active);
    response
}

fn server_span(request: &Request, route: &str, correlation: &CorrelationId) -> Span {
    let method = request.method().as_str();
    let span = tracing::info_span!(
        "serve",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        url.path = request.uri().path(),
        url.scheme = "http",
        correlation.id = correlation.as_str(),
    );
    // Fails only where no OpenTelemetry layer is installed, and then there is no trace to continue.
    let _ = span.set_parent(propagate::extract(request.headers()));
    span
}

/// By the conventions a server span is an error from 500 on: a declined card is the customer's trouble, not the
/// server's.
fn record_status(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}
