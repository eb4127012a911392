//! `/api/v1/notifications`: what waits to be delivered, and what was given up.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use model::wire::alerts::Notifications;

use crate::api::ApiState;
use crate::api::error::ApiError;
use crate::api::params::Params;

/// `GET /api/v1/notifications`
pub async fn notifications(State(state): State<ApiState>, uri: Uri) -> Result<Json<Notifications>, ApiError> {
    Params::read(&uri, &[])?;
    Ok(Json(state.notifier.as_ref().map(|notifier| notifier.status()).unwrap_or_default()))
}
