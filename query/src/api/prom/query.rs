//! `query`, `query_range` and `status/buildinfo`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use model::wire::prom::{QueryAnswer, QuerySamples, QueryStats, QueryTimings};

use super::answer::{query_reply, seconds};
use super::{Params, PromError, PromState, Reply};
use crate::admission::Cancel;
use crate::api::ApiState;
use crate::promql::{self, Answer, Budget, Feature, Options, Plan, PromqlError, Steps, limits};

pub(super) async fn instant(State(state): State<PromState>, params: Params) -> Result<Reply<QueryAnswer>, PromError> {
    let at = params.optional_time("time")?.unwrap_or_else(|| state.api.clock.now().as_millis());
    let asked = Asked::read(&state, &params)?;
    evaluated(&state, asked, move |source, plan, options| promql::instant_plan(source, plan, at, options)).await
}

pub(super) async fn range(State(state): State<PromState>, params: Params) -> Result<Reply<QueryAnswer>, PromError> {
    let steps = steps(&params)?;
    let asked = Asked::read(&state, &params)?;
    evaluated(&state, asked, move |source, plan, options| promql::range_plan(source, plan, steps, options)).await
}

async fn evaluated(
    state: &PromState,
    asked: Asked,
    evaluate: impl FnOnce(&promql::StoreSource, &Plan, &Options) -> Result<Answer, PromqlError> + Send + 'static,
) -> Result<Reply<QueryAnswer>, PromError> {
    let api = state.api.clone();
    let arrived = api.clock.monotonic();
    let run = move |source: &promql::StoreSource, cancel: &Cancel| {
        let begun = api.clock.monotonic();
        let refuse = |error: PromqlError| PromError::of_query("query", &error);
        let plan = Plan::with_features(&asked.query, &api.config.features).map_err(refuse)?;
        let planned = api.clock.monotonic();
        let options = asked.options(&api, cancel);
        let answer = evaluate(source, &plan, &options).map_err(refuse)?;
        let ended = api.clock.monotonic();
        let timings = QueryTimings {
            eval_total_time: (ended - begun).as_secs_f64(),
            result_sort_time: answer.sorted.as_secs_f64(),
            query_preparation_time: (planned - begun).as_secs_f64(),
            inner_eval_time: (ended - planned).saturating_sub(answer.sorted).as_secs_f64(),
            exec_queue_time: (begun - arrived).as_secs_f64(),
            exec_total_time: (ended - begun).as_secs_f64(),
        };
        let stats = asked.stats.map(|stats| {
            let per_step = if stats == Stats::All { answer.looked_at.as_slice() } else { &[] };
            let samples = QuerySamples {
                total_queryable_samples_per_step: per_step.iter().map(|(at, count)| (seconds(*at), *count)).collect(),
                total_queryable_samples: answer.looked_at.iter().map(|(_, count)| count).sum(),
                peak_samples: options.budget.spent(),
            };
            QueryStats { timings, samples }
        });
        let Reply { data, warnings, infos } = query_reply(answer, asked.limit);
        Ok(Reply { data: QueryAnswer { data, stats }, warnings, infos })
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
    stats: Option<Stats>,
}

// How much of what a query has cost is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stats {
    // Times, and samples in total.
    Some,
    // The samples of each step too.
    All,
}

impl Asked {
    fn read(state: &PromState, params: &Params) -> Result<Self, PromError> {
        let most = Duration::from_millis(state.api.config.time_budget_ms);
        let lookback_ms = params.lookback()?.filter(|lookback| *lookback > 0);
        // As in Prometheus anything asks for them that is there.
        let stats = match params.text("stats") {
            "" => None,
            "all" => Some(Stats::All),
            _ => Some(Stats::Some),
        };
        Ok(Self {
            query: params.text("query").to_owned(),
            limit: params.limit("limit")?,
            timeout: params.timeout(most)?,
            lookback_ms: lookback_ms.unwrap_or(limits::LOOKBACK_MS),
            stats,
        })
    }

    fn options(&self, api: &ApiState, cancel: &Cancel) -> Options {
        let clock = Arc::clone(&api.clock);
        let budget = Budget::new(limits::SAMPLES_MAX, self.timeout, clock, cancel.clone());
        let delays_names = api.config.features.has(Feature::DelayedNames);
        Options { lookback_ms: self.lookback_ms, counts: self.stats.is_some(), delays_names, ..Options::new(budget) }
    }
}
