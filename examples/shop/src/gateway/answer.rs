//! What the gateway answers of its own: JSON that says what is wrong.

use axum::Json;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::config::ServiceName;
use crate::net::{Answer, CallError};

/// What of an instance's answer is handed on.
const HEADERS: [HeaderName; 4] = [header::CONTENT_TYPE, header::CACHE_CONTROL, header::ETAG, header::RETRY_AFTER];

/// The request cannot be done, which is its own fault.
pub(super) fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

/// An instance's answer.
pub(super) fn handed_on(answer: Answer) -> Response {
    let mut response = (answer.status, answer.body).into_response();
    // The body's own default.
    response.headers_mut().remove(header::CONTENT_TYPE);
    for name in HEADERS {
        if let Some(value) = answer.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// There is no answer. `outcome` is what that means for what was asked, in its own words.
pub(super) fn unanswered(service: ServiceName, error: &CallError, outcome: Option<&str>) -> Response {
    tracing::error!(
        name: "request.unanswered",
        { shop.backend.service = %service, shop.reason = error.reason(), error = %error },
        "{service} did not answer"
    );
    let mut body = json!({ "error": error.to_string(), "service": service.as_str(), "reason": error.reason() });
    if let Some(outcome) = outcome {
        body["outcome"] = outcome.into();
    }
    (status(error), Json(body)).into_response()
}

fn status(error: &CallError) -> StatusCode {
    match error {
        CallError::NoInstance(_) | CallError::BreakerOpen(_) => StatusCode::SERVICE_UNAVAILABLE,
        CallError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        CallError::NoAnswer { .. } => StatusCode::BAD_GATEWAY,
        CallError::Request { .. } => StatusCode::BAD_REQUEST,
    }
}
