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
    let (selectors, range, limit) = (params.selectors_of_labels()?, params.range()?, params.limit("limit")?);
    let api = state.api.clone();
    let run = move |source: &StoreSource, cancel: &Cancel| {
        let names: BTreeSet<String> = if selectors.is_empty() {
            source.label_names(range).map_err(|error| PromError::internal(&error))?
        } else {
            let found = Search { source, range, budget: budget(&api, cancel) }.outline(METRIC_NAME, &selectors)?;
            found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned())).collect()
        };
        Ok(Reply::limited(names.into_iter().collect(), limit, |names| names))
    };
    state.run(run).await
}

pub(super) async fn values(
    State(state): State<PromState>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Reply<Vec<String>>, PromError> {
    let (selectors, range, limit) = (params.selectors_of_labels()?, params.range()?, params.limit("limit")?);
    let name = if name.starts_with("U__") { unescaped(&name) } else { name };
    let api = state.api.clone();
    let run = move |source: &StoreSource, cancel: &Cancel| {
        let values: BTreeSet<String> = if selectors.is_empty() && !StoreSource::needs_points(&name, &[]) {
            source.label_values(&name, range).map_err(|error| PromError::internal(&error))?
        } else {
            let search = Search { source, range, budget: budget(&api, cancel) };
            let everything = [Vec::new()];
            let found = search.outline(&name, if selectors.is_empty() { &everything } else { &selectors })?;
            found.iter().filter_map(|labels| labels.get(&name).map(str::to_owned)).collect()
        };
        Ok(Reply::limited(values.into_iter().collect(), limit, |values| values))
    };
    state.run(run).await
}

pub(super) async fn metadata(
    State(state): State<PromState>,
    params: Params,
) -> Result<Reply<BTreeMap<String, Vec<Metadata>>>, PromError> {
    let number = |name| Ok::<_, PromError>(params.count(name, 0, "number")?.unwrap_or_default());
    let (limit, per_metric) = (number("limit")?, number("limit_per_metric")?);
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

// A name that no path could hold otherwise: `U__` before it, `_2e_` for the character with this hexadecimal number, `__` for `_`.
// What is not written so is taken as it is.
fn unescaped(name: &str) -> String {
    let mut text = String::new();
    let mut rest = name.strip_prefix("U__").unwrap_or(name);
    while let Some(at) = rest.find('_') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            text.push('_');
            rest = after;
            continue;
        }
        let number = rest.find('_').and_then(|end| Some((end, u32::from_str_radix(&rest[..end], 16).ok()?)));
        let Some((end, character)) = number.and_then(|(end, number)| Some((end, char::from_u32(number)?))) else {
            return name.to_owned();
        };
        text.push(character);
        rest = &rest[end + 1..];
    }
    text + rest
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

    /// Enough to know the names of labels and the values of `label`, without reading points where that can be.
    fn outline(&self, label: &str, selectors: &[Vec<Matcher>]) -> Result<BTreeSet<model::Labels>, PromError> {
        let mut found = BTreeSet::new();
        for selector in selectors {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths() {
        for (name, expected) in [
            ("U__url_2e_path", "url.path"),
            ("U__a__b", "a_b"),
            ("U___263a_", "\u{263a}"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_2e", "U__a_2e"),
        ] {
            assert_eq!(unescaped(name), expected);
        }
    }
}
