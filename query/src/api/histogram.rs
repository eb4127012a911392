//! `/api/v1/logs/histogram` and `/api/v1/spans/histogram`: how many records there are over time.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use model::time::parse_duration;
use model::wire::counts::Histogram;
use model::{TimeRange, Timestamp};
use store::Table;

use crate::api::ApiState;
use crate::api::error::ApiError;
use crate::api::params::Params;
use crate::counts::Buckets;
use crate::counts::histogram::histogram;
use crate::limits::HISTOGRAM_BUCKETS_MAX;
use crate::search;

const KNOWN: [&str; 5] = ["query", "start", "end", "buckets", "step"];
const DEFAULT_BUCKETS: usize = 60;

/// `GET /api/v1/logs/histogram`
pub async fn logs(state: State<ApiState>, uri: Uri) -> Result<Json<Histogram>, ApiError> {
    answer(state.0, Table::Logs, &uri).await
}

/// `GET /api/v1/spans/histogram`
pub async fn spans(state: State<ApiState>, uri: Uri) -> Result<Json<Histogram>, ApiError> {
    answer(state.0, Table::Spans, &uri).await
}

async fn answer(state: ApiState, table: Table, uri: &Uri) -> Result<Json<Histogram>, ApiError> {
    let params = Params::read(uri, &KNOWN)?;
    let now: Timestamp = state.clock.now();
    let plan = search::parse(params.get("query").unwrap_or_default(), table, now)?;
    let buckets = buckets(&params, params.range(now)?)?;
    state.run("histogram", move |snapshot, budget| histogram(table, &plan, buckets, snapshot, budget)).await.map(Json)
}

fn buckets(params: &Params, range: TimeRange) -> Result<Buckets, ApiError> {
    let number = params.number("buckets", HISTOGRAM_BUCKETS_MAX)?;
    let Some(text) = params.get("step") else {
        return Ok(Buckets::by_number(range, number.unwrap_or(DEFAULT_BUCKETS)));
    };
    if number.is_some() {
        let message = "`buckets` and `step` are both given";
        return Err(ApiError::bad_parameter(message, "give one of them; the other follows from it"));
    }
    let step = parse_duration(text).and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0);
    let step =
        step.ok_or_else(|| ApiError::bad_parameter(format!("`step={text}` is no duration"), "write 15s, 1m30s or 1h"))?;
    Buckets::by_step(range, step, HISTOGRAM_BUCKETS_MAX).ok_or_else(|| {
        let message = format!("`step={text}` makes more than {HISTOGRAM_BUCKETS_MAX} buckets");
        ApiError::bad_parameter(message, "ask for a longer step or a shorter time")
    })
}
