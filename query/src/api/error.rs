//! Mistakes and failures as answers: `{"error": {"code", "message", "position", "hint"}}` with the HTTP status that fits.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::wire::error::{ErrorBody, ErrorDetail};
use store::StoreError;

use crate::admission::Refused;
use crate::error::QueryError;

/// An answer that is none.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    detail: ErrorDetail,
}

impl ApiError {
    /// A parameter that cannot be understood.
    pub fn bad_parameter(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message, Some(hint.into()))
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message, Some(hint.into()))
    }

    /// A path that exists, asked in a way it does not know.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message, Some("use GET".into()))
    }

    /// The server is not able to answer now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        let hint = "try again in a moment".to_owned();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message, Some(hint))
    }

    fn new(status: StatusCode, code: &str, message: impl Into<String>, hint: Option<String>) -> Self {
        let detail = ErrorDetail { code: code.to_owned(), message: message.into(), position: None, hint };
        Self { status, detail }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let retry = self.status == StatusCode::SERVICE_UNAVAILABLE;
        let mut response = (self.status, Json(ErrorBody { error: self.detail })).into_response();
        if retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let mut answer = Self::new(StatusCode::BAD_REQUEST, "bad_query", error.message, Some(error.hint));
        answer.detail.position = Some(error.position);
        answer
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        Self::unavailable(refused.to_string())
    }
}

impl From<StoreError> for ApiError {
    /// The asker learns that reading failed; which file it was stands in the log alone.
    fn from(error: StoreError) -> Self {
        let chain: Vec<String> = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source())
            .map(|e| e.to_string())
            .collect();
        tracing::error!(error = chain.join(": "), "a query could not read the store");
        let hint = "the server's log names the file".to_owned();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the store could not be read", Some(hint))
    }
}
