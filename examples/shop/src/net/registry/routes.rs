//! The registry's HTTP interface, for the gateway's internal door: heartbeats, farewells and lists, and beside them the faults.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use bytes::Bytes;

use super::Registry;
use crate::config::ServiceName;
use crate::faults;
use crate::limits::BODY_BYTES_MAX;
use crate::net::instance::{Heard, Heartbeat, Listed, check_name, service_named};

/// A header of lists that may lack somebody: the registry has just been started.
pub(crate) const SETTLING: HeaderName = HeaderName::from_static("x-shop-registry-settling");

/// `PUT` and `DELETE /registry/{service}/{instance}`, `GET /registry/{service}`, `GET /registry`, and the routes of the faults.
pub(crate) fn routes(registry: Arc<Registry>) -> Router {
    let faults = faults::control::routes(Arc::clone(&registry.faults));
    Router::new()
        .route("/registry", get(all))
        .route("/registry/{service}", get(of_service))
        .route("/registry/{service}/{instance}", put(beat).delete(leave))
        .with_state(registry)
        .merge(faults)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

async fn beat(
    State(registry): State<Arc<Registry>>,
    Path((service, instance)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Heard>, Refused> {
    let service = service_named(&service).map_err(|error| Refused(StatusCode::NOT_FOUND, error.to_string()))?;
    let wrong = |error: &dyn std::fmt::Display| Refused(StatusCode::BAD_REQUEST, error.to_string());
    check_name(&instance).map_err(|error| wrong(&error))?;
    let told: Heartbeat = serde_json::from_slice(&body).map_err(|error| wrong(&error))?;
    let told = told.checked().map_err(|error| wrong(&error))?;
    let faults = registry.beat(service, &instance, told);
    let faults = faults.map_err(|error| Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(Json(Heard { faults: faults.iter().map(ToString::to_string).collect() }))
}

async fn leave(
    State(registry): State<Arc<Registry>>,
    Path((service, instance)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    let service = service_named(&service).map_err(|error| Refused(StatusCode::NOT_FOUND, error.to_string()))?;
    if registry.leave(service, &instance) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused(StatusCode::NOT_FOUND, "there is no such instance".to_owned()))
    }
}

async fn of_service(State(registry): State<Arc<Registry>>, Path(service): Path<String>) -> Result<Response, Refused> {
    let service = service_named(&service).map_err(|error| Refused(StatusCode::NOT_FOUND, error.to_string()))?;
    let mut response = Json(registry.list(service)).into_response();
    if registry.is_settling() {
        response.headers_mut().insert(SETTLING, axum::http::HeaderValue::from_static("1"));
    }
    Ok(response)
}

async fn all(State(registry): State<Arc<Registry>>) -> Json<BTreeMap<&'static str, Vec<Listed>>> {
    let of = |service: ServiceName| (service.as_str(), registry.list(service));
    Json(ServiceName::ALL.into_iter().map(of).filter(|(_, instances)| !instances.is_empty()).collect())
}

/// What was wrong, in words.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}
