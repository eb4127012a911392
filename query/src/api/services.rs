//! `/api/v1/services`: rate, errors and duration of every service.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use model::wire::counts::Services;

use crate::api::ApiState;
use crate::api::error::ApiError;
use crate::api::params::Params;
use crate::counts::Buckets;
use crate::limits::SERVICES_STEPS_MAX;

const KNOWN: [&str; 3] = ["start", "end", "steps"];
const DEFAULT_STEPS: usize = 30;

/// `GET /api/v1/services`
pub async fn services(State(state): State<ApiState>, uri: Uri) -> Result<Json<Services>, ApiError> {
    let params = Params::read(&uri, &KNOWN)?;
    let now = state.clock.now();
    let steps = params.number("steps", SERVICES_STEPS_MAX)?.unwrap_or(DEFAULT_STEPS);
    let buckets = Buckets::by_number(params.range(now)?, steps);
    let answer = state
        .run("services", move |snapshot, budget| crate::counts::services::services(buckets, now, snapshot, budget));
    answer.await.map(Json)
}
