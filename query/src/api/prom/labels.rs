//! What there is: `series`, `labels`, `label/<name>/values`, `metadata`.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};
use model::wire::prom::{self as wire, Metadata};

use super::answer::wire_labels;
use super::{Params, PromError, PromState, Reply};
use crate::promql::{Matcher, MillisRange, SeriesSource as _, StoreSource};

pub(super) async fn series(
    State(state): State<PromState>,
    params: Params,
) -> Result<Reply<Vec<wire::Labels>>, PromError> {
    let (selectors, range, limit) = (params.selectors()?, params.range()?, params.limit("limit")?);
    if selectors.is_empty() {
        return Err(PromError::bad_data("no match[] parameter provided"));
    }
    let run = move |source: &StoreSource, _: &_| {
        let found = matching(source, selectors, range)?;
        Ok(Reply::limited(found.iter().map(wire_labels).collect(), limit, |series| series))
    };
    state.run(run).await
}

pub(super) async fn names(State(state): State<PromState>, params: Params) -> Result<Reply<Vec<String>>, PromError> {
    let (selectors, range, limit) = (params.selectors()?, params.range()?, params.limit("limit")?);
    let run = move |source: &StoreSource, _: &_| {
        let found = matching(source, selectors, range)?;
        let names: BTreeSet<&str> = found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
        Ok(Reply::limited(names.into_iter().map(str::to_owned).collect(), limit, |names| names))
    };
    state.run(run).await
}

pub(super) async fn values(
    State(state): State<PromState>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Reply<Vec<String>>, PromError> {
    let (selectors, range, limit) = (params.selectors()?, params.range()?, params.limit("limit")?);
    let run = move |source: &StoreSource, _: &_| {
        let found = matching(source, selectors, range)?;
        let values: BTreeSet<&str> = found.iter().filter_map(|labels| labels.get(&name)).collect();
        Ok(Reply::limited(values.into_iter().map(str::to_owned).collect(), limit, |values| values))
    };
    state.run(run).await
}

pub(super) async fn metadata(
    State(state): State<PromState>,
    params: Params,
) -> Result<Reply<BTreeMap<String, Vec<Metadata>>>, PromError> {
    let (limit, per_metric) = (params.limit("limit")?, params.limit("limit_per_metric")?);
    let metric = params.text("metric").to_owned();
    let run = move |source: &StoreSource, _: &_| {
        let everything = MillisRange { first: i64::MIN, last: i64::MAX };
        let facts = source.metrics(everything).map_err(|error| PromError::internal(&error))?;
        let mut metrics: BTreeMap<String, Vec<Metadata>> = BTreeMap::new();
        for fact in facts.into_iter().filter(|fact| metric.is_empty() || fact.name == metric) {
            if limit > 0 && metrics.len() >= limit && !metrics.contains_key(&fact.name) {
                break;
            }
            let entries = metrics.entry(fact.name).or_default();
            if per_metric == 0 || entries.len() < per_metric {
                entries.push(Metadata { kind: fact.kind.to_owned(), help: fact.help, unit: fact.unit });
            }
        }
        Ok(Reply::plain(metrics))
    };
    state.run(run).await
}

// The label sets that any of the selectors accepts, sorted; all of them if there is no selector.
fn matching(
    source: &StoreSource,
    mut selectors: Vec<Vec<Matcher>>,
    range: MillisRange,
) -> Result<BTreeSet<model::Labels>, PromError> {
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    let mut found = BTreeSet::new();
    for selector in &selectors {
        found.extend(source.labels(selector, range).map_err(|error| PromError::internal(error.as_ref()))?);
    }
    Ok(found)
}
