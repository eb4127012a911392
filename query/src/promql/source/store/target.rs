//! The series `target_info`: what a resource says beyond who it is, with the value 1 for as long as it sends points. Nobody
//! stores it; it is read off the resources of other series.
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#resource-attributes>

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::error::ArrowError;
use model::Labels;
use model::names::TARGET_INFO;
use store::SeriesRows;
use store::schema::column;

use super::MetricFacts;
use super::index::SeriesIndex;
use super::translate::Translated;
use crate::promql::limits::LOOKBACK_MS;
use crate::promql::matcher::{Matcher, all_accept};
use crate::promql::source::{Samples, StoredSeries};
use crate::promql::staleness::stale_marker;
use crate::rows::columns::Times;

/// A target that goes on sending needs no more samples than one per half lookback.
const INTERVAL_MS: i64 = LOOKBACK_MS / 2;

/// What `metadata` says of it.
pub(super) fn facts() -> MetricFacts {
    MetricFacts {
        name: TARGET_INFO.to_owned(),
        kind: "gauge",
        help: "What resources say of themselves.".to_owned(),
        unit: String::new(),
    }
}

/// The label sets that all matchers accept.
pub(super) fn accepted(indexes: &[Arc<SeriesIndex>], matchers: &[Matcher]) -> HashSet<Labels> {
    let infos = indexes.iter().flat_map(|index| &index.targets);
    infos.filter(|labels| all_accept(matchers, labels)).cloned().collect()
}

/// By the ids of the series of the accepted targets, the label set of their resource.
pub(super) fn described(series: &[Arc<Translated>], accepted: &HashSet<Labels>) -> HashMap<u64, Labels> {
    let targets: HashSet<Labels> = accepted.iter().map(target_of).collect();
    let described = series.iter().filter_map(|series| Some((series.id, series.target.clone()?)));
    described.filter(|(_, labels)| targets.contains(&target_of(labels))).collect()
}

fn target_of(labels: &Labels) -> Labels {
    labels.filter(|name| ["job", "instance"].contains(&name))
}

/// When which resource sent points.
#[derive(Default)]
pub(super) struct Seen {
    // By target: at which time which label set was right.
    times: BTreeMap<Labels, BTreeMap<i64, Labels>>,
}

impl Seen {
    pub(super) fn add(&mut self, piece: &SeriesRows, described: &HashMap<u64, Labels>) -> Result<(), ArrowError> {
        let times = Times::of(&piece.rows, column::TIMESTAMP)?;
        for run in &piece.runs {
            let Some(labels) = described.get(&run.series) else { continue };
            let of_target = self.times.entry(target_of(labels)).or_default();
            for row in run.rows.clone() {
                // Of two resources at one time the greater label set counts: any rule will do, if it is always the same.
                let right = of_target.entry(times.time(row).as_millis()).or_insert_with(|| labels.clone());
                if *right < *labels {
                    *right = labels.clone();
                }
            }
        }
        Ok(())
    }

    /// The series. At any time at most one of a target has a value.
    pub(super) fn series(self) -> Vec<StoredSeries> {
        self.times.into_values().flat_map(of_target).collect()
    }
}

fn of_target(times: BTreeMap<i64, Labels>) -> Vec<StoredSeries> {
    let mut series: BTreeMap<Labels, Samples> = BTreeMap::new();
    let mut current: Option<(Labels, i64)> = None;
    let last = times.last_key_value().map(|(at, _)| *at);
    for (at, labels) in times {
        match &current {
            Some((known, sampled)) if *known == labels && at - sampled < INTERVAL_MS && Some(at) != last => continue,
            Some((before, _)) if *before != labels => {
                series.entry(before.clone()).or_default().push(at, stale_marker())
            }
            _ => {}
        }
        series.entry(labels.clone()).or_default().push(at, 1.0);
        current = Some((labels, at));
    }
    series.into_iter().map(|(labels, samples)| StoredSeries { labels, samples }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::is_stale;

    #[test]
    fn a_target_has_one_value_at_a_time_and_no_more_samples_than_it_needs() {
        let set = |version: &str| Labels::new([("__name__", TARGET_INFO), ("job", "a"), ("version", version)]);
        let mut times: BTreeMap<i64, Labels> = (0..40).map(|n| (n * 15_000, set("1"))).collect();
        times.extend((40..50).map(|n| (n * 15_000, set("2"))));
        let series = of_target(times);
        assert_eq!(series.len(), 2);
        let [one, two] = [&series[0].samples, &series[1].samples];
        assert_eq!(one.times(), [0, 150_000, 300_000, 450_000, 600_000]);
        assert!(one.values()[..4].iter().all(|value| *value == 1.0) && is_stale(one.values()[4]));
        assert_eq!(two.times(), [600_000, 735_000]);
    }
}
