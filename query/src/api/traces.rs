//! `/api/v1/traces/{trace_id}` and `/api/v1/correlate/{id}`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use model::TraceId;
use model::wire::correlate::Correlation;
use model::wire::traces::Trace;
use store::Snapshot;

use crate::api::ApiState;
use crate::api::error::ApiError;
use crate::api::params::Params;
use crate::api::rules::all_alerts;
use crate::correlate::correlate;
use crate::limits::ID_BYTES_MAX;
use crate::search::budget::Budget;
use crate::traces::find::{Absent, find};

const KNOWN: [&str; 2] = ["start", "end"];

/// `GET /api/v1/traces/{trace_id}`
pub async fn trace(State(state): State<ApiState>, Path(id): Path<String>, uri: Uri) -> Result<Json<Trace>, ApiError> {
    let range = Params::read(&uri, &KNOWN)?.range_or_all(state.clock.now())?;
    let trace: TraceId = id
        .parse()
        .map_err(|error| ApiError::bad_parameter(format!("{error}"), "write the 32 digits of the trace's id"))?;
    let found = state.run("trace", move |snapshot, budget| find(trace, range, snapshot, budget)).await?;
    found.map(Json).map_err(|Absent { partial }| match partial {
        Some(partial) => {
            ApiError::not_found(format!("no span of trace {trace} was found, but {}", partial.reason), partial.hint)
        }
        None => ApiError::not_found(
            format!("no span of trace {trace} is there"),
            "spans are there as soon as they are acknowledged",
        ),
    })
}

/// `GET /api/v1/correlate/{id}`
pub async fn id(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Correlation>, ApiError> {
    let range = Params::read(&uri, &KNOWN)?.range_or_all(state.clock.now())?;
    if id.len() > ID_BYTES_MAX {
        return Err(ApiError::bad_parameter(
            format!("the id is longer than {ID_BYTES_MAX} bytes"),
            "ids are short texts",
        ));
    }
    let rules = state.rules.clone();
    let work = move |snapshot: &Snapshot, budget: &mut Budget| {
        let held = rules.map(|rules| all_alerts(&rules)).unwrap_or_default();
        correlate(&id, range, held, snapshot, budget)
    };
    state.run("correlate", work).await.map(Json)
}
