//! Both protocols at one door: whichever address an exporter was given, it need not know which protocol is spoken there.

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use tower::ServiceExt as _;

/// A door that hands calls of gRPC to the one router and everything else to the other.
pub fn either(grpc: Router, http: Router) -> Router {
    Router::new().fallback(move |request: Request| {
        let router = if is_call(&request) { grpc.clone() } else { http.clone() };
        router.oneshot(request)
    })
}

// By its content type, or by a path that only gRPC has: what is wrong with such a call is gRPC's to say.
fn is_call(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let path = request.uri().path();
    content_type.is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"application/grpc"))
        || path.starts_with("/opentelemetry.proto.")
        || path.starts_with("/grpc.")
}
