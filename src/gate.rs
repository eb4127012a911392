//! What the answering door says before and while the rest of the server is there: alive at once, ready after the write-ahead
//! log is replayed, and until then a clear "not yet" to every question.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use model::stats::Stats;
use model::wire::error::{ErrorBody, ErrorDetail};
use tower::ServiceExt as _;

use crate::doors::TokenFile;

/// Cheap to clone: clones open together.
#[derive(Clone)]
pub struct Gate {
    stats: Stats,
    behind: Arc<OnceLock<Router>>,
}

impl Gate {
    /// A closed gate.
    pub fn new(stats: Stats) -> Self {
        Self { stats, behind: Arc::default() }
    }

    /// From now on questions are answered by `router`.
    pub fn open(&self, router: Router) {
        // A gate is opened once; a second router would be a defect in the wiring, and the first one goes on.
        let first = self.behind.set(router).is_ok();
        debug_assert!(first, "the gate was open already");
    }

    /// The door's router, for those who show the token. Whether the server is alive and ready is told to everybody.
    pub fn router_for(&self, token: Arc<TokenFile>) -> Router {
        let protected = Router::new().route("/metrics", get(metrics)).fallback(pass).with_state(self.clone());
        let protected = protected.layer(middleware::from_fn(move |request: Request, next: Next| {
            let token = Arc::clone(&token);
            async move { if token.is_shown_by(request.headers()) { next.run(request).await } else { stranger() } }
        }));
        Router::new()
            .route("/healthz", get(async || "alive\n"))
            .route("/readyz", get(ready))
            .with_state(self.clone())
            .fallback_service(protected)
    }

    /// The door's router.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/healthz", get(async || "alive\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .fallback(pass)
            .with_state(self.clone())
    }
}

async fn ready(State(gate): State<Gate>) -> Response {
    match gate.behind.get() {
        Some(_) => "ready\n".into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
    }
}

async fn metrics(State(gate): State<Gate>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, gate.stats.to_prometheus_text()).into_response()
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    match gate.behind.get() {
        Some(router) => router.clone().oneshot(request).await.into_response(),
        None => not_yet(),
    }
}

fn stranger() -> Response {
    let error = ErrorDetail {
        code: "unauthenticated".to_owned(),
        message: "this server answers those alone who show its token".to_owned(),
        position: None,
        hint: Some("give --token-file, or send the header Authorization: Bearer TOKEN".to_owned()),
    };
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], axum::Json(ErrorBody { error })).into_response()
}

fn not_yet() -> Response {
    let error = ErrorDetail {
        code: "unavailable".to_owned(),
        message: "the server is starting: it replays its write-ahead log".to_owned(),
        position: None,
        hint: Some("ask again once /readyz says ready".to_owned()),
    };
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], axum::Json(ErrorBody { error })).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn status(gate: &Gate, path: &str) -> u16 {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        gate.router().oneshot(request).await.into_response().status().as_u16()
    }

    #[tokio::test]
    async fn is_alive_at_once_and_ready_later() {
        let gate = Gate::new(Stats::new());
        for (path, closed) in [("/healthz", 200), ("/metrics", 200), ("/readyz", 503), ("/api/v1/x", 503)] {
            assert_eq!(status(&gate, path).await, closed, "{path}");
        }
        gate.open(Router::new().route("/api/v1/x", get(async || "x")));
        for (path, open) in [("/healthz", 200), ("/metrics", 200), ("/readyz", 200), ("/api/v1/x", 200), ("/y", 404)] {
            assert_eq!(status(&gate, path).await, open, "{path}");
        }
    }
}
