//! What there is: `series`, `labels`, `label/<name>/values`, `metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use model::labels::METRIC_NAME;
use model::wire::prom::{self as wire, Metadata};

use super::answer::wire_labels;
use super::{Params, PromError, PromState, Reply};
use crate::admission::Cancel;
use crate::api::ApiState;
use crate::promql::{Budget, Matcher, MillisRange, SeriesSource as _, StoreSource, limits};

pub(super) async fn series(
    State(state): State<PromState>,
    params: Params,
) -> Result<Reply<Vec<wire::Labels>>, PromError> {
    let (selectors, range, limit) = (params.selectors()?, params.range()?, params.limit("limit")?);
    if selectors.is_empty() {
        return Err(PromError::bad_data("no match[] parameter provided"));
    }
    let api = state.api.clone();
    let run = move |source: &StoreSource, cancel: &Cancel| {
        let found = Search { source, range, budget: budget(&api, cancel) }.exact(&selectors)?;
        Ok(Reply::limited(found.iter().map(wire_labels).collect(), limit, |series| series))
    };
    state.run(run).await
}

pub(super) async fn names(State(state): State<PromState>, params: Params) -> Result<Reply<Vec<String>>, PromError> {
    let (selectors, range, limit) = (params.selectors()?, params.range()?, params.limit("limit")?);
    let api = state.api.clone();
    let run = move |source: &StoreSource, cancel: &Cancel| {
        let found = Search { source, range, budget: budget(&api, cancel) }.outline(METRIC_NAME, selectors)?;
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
    let api = state.api.clone();
    let run = move |source: &StoreSource, cancel: &Cancel| {
        let found = Search { source, range, budget: budget(&api, cancel) }.outline(&name, selectors)?;
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
    let scraping = state.api.scraping.clone();
    let run = move |source: &StoreSource, _: &_| {
        let everything = MillisRange { first: i64::MIN, last: i64::MAX };
        let facts = source.metrics(everything).map_err(|error| PromError::internal(&error))?;
        let stored = facts.into_iter().map(|fact| (fact.name, fact.kind.to_owned(), fact.help, fact.unit));
        // Of families whose series have other names than they themselves, histograms above all, only the targets speak.
        let scraped = scraping.map_or(Vec::new(), |scraping| scraping.metadata(None, usize::MAX, &|_| true));
        let scraped = scraped.into_iter().filter_map(|of| Some((of.metric?, of.kind, of.help, of.unit)));
        let facts: BTreeSet<(String, String, String, String)> = stored.chain(scraped).collect();
        let mut metrics: BTreeMap<String, Vec<Metadata>> = BTreeMap::new();
        for (name, kind, help, unit) in facts.into_iter().filter(|fact| metric.is_empty() || fact.0 == metric) {
            if limit > 0 && metrics.len() >= limit && !metrics.contains_key(&name) {
                break;
            }
            let entries = metrics.entry(name).or_default();
            if per_metric == 0 || entries.len() < per_metric {
                entries.push(Metadata { kind, help, unit });
            }
        }
        Ok(Reply::plain(metrics))
    };
    state.run(run).await
}

fn budget(api: &ApiState, cancel: &Cancel) -> Budget {
    let timeout = Duration::from_millis(api.config.time_budget_ms);
    Budget::new(limits::SAMPLES_MAX, timeout, Arc::clone(&api.clock), cancel.clone())
}

/// Looks for label sets that any of some selectors accepts.
struct Search<'a> {
    source: &'a StoreSource,
    range: MillisRange,
    budget: Budget,
}

impl Search<'_> {
    /// Exactly those that are there.
    fn exact(&self, selectors: &[Vec<Matcher>]) -> Result<BTreeSet<model::Labels>, PromError> {
        let mut found = BTreeSet::new();
        for selector in selectors {
            let labels = self.source.labels(selector, self.range, &self.budget);
            let labels = labels.map_err(|error| PromError::of_query("match[]", &error))?;
            self.charge(labels.len())?;
            found.extend(labels);
        }
        Ok(found)
    }

    /// Enough to know the names of labels and the values of `label`, without reading points where that can be. No selector
    /// means everything.
    fn outline(&self, label: &str, mut selectors: Vec<Vec<Matcher>>) -> Result<BTreeSet<model::Labels>, PromError> {
        if selectors.is_empty() {
            selectors.push(Vec::new());
        }
        let mut found = BTreeSet::new();
        for selector in &selectors {
            if StoreSource::needs_points(label, selector) {
                found.append(&mut self.exact(std::slice::from_ref(selector))?);
                continue;
            }
            let labels = self.source.outline(selector, self.range).map_err(|error| PromError::internal(&error))?;
            self.charge(labels.len())?;
            found.extend(labels);
        }
        Ok(found)
    }

    fn charge(&self, label_sets: usize) -> Result<(), PromError> {
        self.budget.charge(label_sets).map_err(|error| PromError::of_query("match[]", &error))
    }
}
