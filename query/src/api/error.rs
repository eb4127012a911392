//! Mistakes and failures as answers: `{"error": {"code", "message", "position", "hint"}}` with the HTTP status that fits.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::wire::error::{ErrorBody, ErrorDetail};
use store::StoreError;

use crate::admission::Refused;
use crate::error::QueryError;
use crate::search::execute::SearchError;

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

    /// Something that should not have happened.
    pub fn internal(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message, Some(hint.into()))
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
        match refused {
            Refused::Busy | Refused::Memory => Self::unavailable(refused.to_string()),
            Refused::Died => Self::internal(refused.to_string(), "the server's log says why"),
        }
    }
}

impl From<StoreError> for ApiError {
    /// The asker learns that reading failed; which file it was stands in the log alone.
    fn from(error: StoreError) -> Self {
        log_chain(&error);
        Self::internal("the store could not be read", "the server's log names the file")
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Store { source, .. } => source.into(),
            SearchError::Cancelled => Self::unavailable(error.to_string()),
            SearchError::TooManyGroups => {
                Self::bad_parameter(error.to_string(), "count by fields that have few values")
            }
        }
    }
}

/// Logs an error with all its causes, once, where it leaves the server.
pub fn log_chain(error: &dyn std::error::Error) {
    let chain: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(|error| error.to_string()).collect();
    tracing::error!(error = chain.join(": "), "a query could not read the store");
}
