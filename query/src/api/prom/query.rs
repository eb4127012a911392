//! `query`, `query_range` and `status/buildinfo`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use model::wire::prom::QueryData;

use super::answer::query_reply;
use super::{Params, PromError, PromState, Reply};
use crate::admission::Cancel;
use crate::api::ApiState;
use crate::promql::{self, Budget, Options, Plan, Steps, limits};

pub(super) async fn instant(State(state): State<PromState>, params: Params) -> Result<Reply<QueryData>, PromError> {
    let at = params.time("time")?.unwrap_or_else(|| state.api.clock.now().as_millis());
    let asked = Asked::read(&state, &params)?;
    let api = state.api.clone();
    let run = move |source: &promql::StoreSource, cancel: &Cancel| {
        let plan = Plan::with_features(&asked.query, &api.config.features);
        let answer = plan.and_then(|plan| promql::instant_plan(source, &plan, at, &asked.options(&api, cancel)));
        answer.map(|answer| query_reply(answer, asked.limit)).map_err(|error| PromError::of_query("query", &error))
    };
    state.run(run).await
}

pub(super) async fn range(State(state): State<PromState>, params: Params) -> Result<Reply<QueryData>, PromError> {
    let steps = steps(&params)?;
    let asked = Asked::read(&state, &params)?;
    let api = state.api.clone();
    let run = move |source: &promql::StoreSource, cancel: &Cancel| {
        let plan = Plan::with_features(&asked.query, &api.config.features);
        let answer = plan.and_then(|plan| promql::range_plan(source, &plan, steps, &asked.options(&api, cancel)));
        answer.map(|answer| query_reply(answer, asked.limit)).map_err(|error| PromError::of_query("query", &error))
    };
    state.run(run).await
}

pub(super) async fn build_info(State(state): State<PromState>) -> Reply<BTreeMap<&'static str, String>> {
    let mut info: BTreeMap<&'static str, String> = ["revision", "branch", "buildUser", "buildDate", "goVersion"]
        .into_iter()
        .map(|key| (key, String::new()))
        .collect();
    info.insert("version", state.api.server.version.clone());
    Reply::plain(info)
}

// In the order in which Prometheus looks at them.
fn steps(params: &Params) -> Result<Steps, PromError> {
    let start = params.needed_time("start")?;
    let end = params.needed_time("end")?;
    if end < start {
        return Err(PromError::bad_parameter("end", "end timestamp must not be before start time"));
    }
    let step = params.duration("step")?;
    let step = step.ok_or_else(|| PromError::bad_parameter("step", "cannot parse \"\" to a valid duration"))?;
    if step <= 0 {
        let reason = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(PromError::bad_parameter("step", reason));
    }
    Steps::range(start, end, step).map_err(|error| PromError::bad_data(error.to_string()))
}

// What both kinds of queries are asked with.
struct Asked {
    query: String,
    limit: usize,
    timeout: Duration,
    lookback_ms: i64,
}

impl Asked {
    fn read(state: &PromState, params: &Params) -> Result<Self, PromError> {
        let most = Duration::from_millis(state.api.config.time_budget_ms);
        let lookback_ms = params.duration("lookback_delta")?.filter(|lookback| *lookback > 0);
        Ok(Self {
            query: params.text("query").to_owned(),
            limit: params.limit("limit")?,
            timeout: params.timeout(most)?,
            lookback_ms: lookback_ms.unwrap_or(limits::LOOKBACK_MS),
        })
    }

    fn options(&self, api: &ApiState, cancel: &Cancel) -> Options {
        let clock = Arc::clone(&api.clock);
        let budget = Budget::new(limits::SAMPLES_MAX, self.timeout, clock, cancel.clone());
        Options { lookback_ms: self.lookback_ms, ..Options::new(budget) }
    }
}
