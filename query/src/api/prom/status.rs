//! `status/...`: what Prometheus tells of itself, as far as there is something like it here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::extract::State;
use model::labels::METRIC_NAME;
use serde_json::{Value, json};

use super::{Params, PromError, PromState, Reply};
use crate::promql::{MillisRange, StoreSource};

/// How many of the largest are named if nothing is said.
const LIMIT: usize = 10;
/// Series that have sent within so long are counted, as Prometheus counts those of its head.
const RECENT_MS: i64 = 2 * 3_600_000;

pub(super) async fn runtime_info(State(state): State<PromState>) -> Reply<Value> {
    let now = state.api.clock.now();
    Reply::plain(json!({
        "startTime": state.api.server.started.to_string(),
        "CWD": "",
        "hostname": "",
        "serverTime": now.to_string(),
        "reloadConfigSuccess": true,
        "lastConfigTime": state.api.server.started.to_string(),
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": "",
    }))
}

/// What of the settings a `prometheus.yml` has too, as one. JSON's texts are YAML's.
pub(super) async fn config(State(state): State<PromState>) -> Reply<Value> {
    let of_rules = state.api.rules.as_ref().map(|rules| rules.config().clone()).unwrap_or_default();
    let mut yaml = format!("global:\n  evaluation_interval: {}s\n", of_rules.evaluation_interval_s);
    let list = |yaml: &mut String, items: &mut dyn Iterator<Item = String>| {
        items.for_each(|item| yaml.push_str(&format!("{item}\n")));
    };
    if !of_rules.external_labels.is_empty() {
        yaml.push_str("  external_labels:\n");
        let labels = of_rules.external_labels.iter();
        list(&mut yaml, &mut labels.map(|(name, value)| format!("    {}: {}", json!(name), json!(value))));
    }
    if !of_rules.files.is_empty() {
        yaml.push_str("rule_files:\n");
        list(&mut yaml, &mut of_rules.files.iter().map(|file| format!("- {}", json!(file))));
    }
    Reply::plain(json!({ "yaml": yaml }))
}

pub(super) async fn flags(State(state): State<PromState>) -> Reply<BTreeMap<&'static str, String>> {
    let seconds = state.api.config.time_budget_ms as f64 / 1000.0;
    Reply::plain(BTreeMap::from([
        ("query.lookback-delta", "5m".to_owned()),
        ("query.max-samples", crate::promql::limits::SAMPLES_MAX.to_string()),
        ("query.timeout", format!("{seconds}s")),
        ("web.enable-remote-write-receiver", "true".to_owned()),
    ]))
}

pub(super) async fn tsdb(State(state): State<PromState>, params: Params) -> Result<Reply<Value>, PromError> {
    let limit = params.count("limit", 1, "positive number")?.unwrap_or(LIMIT);
    let now = state.api.clock.now().as_millis();
    let run = move |source: &StoreSource, _: &_| {
        let range = MillisRange { first: now.saturating_sub(RECENT_MS), last: now };
        let series = source.outline(&[], range).map_err(|error| PromError::internal(&error))?;
        Ok(Reply::plain(cardinality(&series, range, limit)))
    };
    state.run(run).await
}

fn cardinality(series: &[model::Labels], range: MillisRange, limit: usize) -> Value {
    let mut by_metric: HashMap<&str, u64> = HashMap::new();
    let mut by_pair: HashMap<(&str, &str), u64> = HashMap::new();
    for labels in series {
        *by_metric.entry(labels.get(METRIC_NAME).unwrap_or_default()).or_default() += 1;
        for pair in labels.iter() {
            *by_pair.entry(pair).or_default() += 1;
        }
    }
    let mut values: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    let mut bytes: HashMap<&str, u64> = HashMap::new();
    for (name, value) in by_pair.keys() {
        if values.entry(name).or_default().insert(value) {
            *bytes.entry(name).or_default() += value.len() as u64;
        }
    }
    let values: HashMap<&str, u64> = values.into_iter().map(|(name, values)| (name, values.len() as u64)).collect();
    let pairs: HashMap<String, u64> =
        by_pair.iter().map(|((name, value), count)| (format!("{name}={value}"), *count)).collect();
    json!({
        "headStats": {
            "numSeries": series.len(),
            "numLabelPairs": by_pair.len(),
            "chunkCount": 0,
            "minTime": range.first,
            "maxTime": range.last,
        },
        "seriesCountByMetricName": largest(&by_metric, limit),
        "labelValueCountByLabelName": largest(&values, limit),
        "memoryInBytesByLabelName": largest(&bytes, limit),
        "seriesCountByLabelValuePair": largest(&pairs, limit),
    })
}

fn largest<K: AsRef<str>>(counts: &HashMap<K, u64>, limit: usize) -> Vec<Value> {
    let mut all: Vec<(&str, u64)> = counts.iter().map(|(name, count)| (name.as_ref(), *count)).collect();
    all.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    all.into_iter().take(limit).map(|(name, value)| json!({"name": name, "value": value})).collect()
}
