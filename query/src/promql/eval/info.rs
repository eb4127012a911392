//! `info`: series with labels of the series that describe their target.

use std::collections::{BTreeMap, HashMap};

use model::Labels;
use model::labels::METRIC_NAME;

use super::{Evaluator, Result, SeriesStream};
use crate::promql::error::PromqlError;
use crate::promql::matcher::Matcher;
use crate::promql::plan::Info;
use crate::promql::source::StoredSeries;
use crate::promql::staleness::is_stale;
use crate::promql::value::{Column, Series};

/// The labels by which a series and what describes it meet.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// By what identifies them, the series that describe a target.
type Infos = HashMap<Labels, Vec<Described>>;

struct Described {
    labels: Labels,
    // When the newest sample was, at each step.
    times: Vec<Option<i64>>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn info(self, node: &'a Info) -> Result<SeriesStream<'a>> {
        let infos = self.infos(node)?;
        let (names, demands): (Vec<&Matcher>, Vec<&Matcher>) =
            node.infos.matchers.iter().partition(|matcher| matcher.name == METRIC_NAME);
        let mut results = Vec::new();
        for series in self.vector(&node.vector)? {
            let Series { labels, column, name_goes } = series?;
            // What describes is not described itself.
            if names.iter().all(|name| name.accepts(labels.metric_name().unwrap_or(""))) {
                results.push(Ok(Series { labels, column, name_goes }));
                continue;
            }
            let mut by_labels: BTreeMap<Labels, Column> = BTreeMap::new();
            for index in column.occupied() {
                let Some(labels) = self.described(node, &infos, &demands, &labels, index)? else { continue };
                let found = by_labels.entry(labels).or_insert_with(|| Column::holes(self.steps.count()));
                found.put(index, column.element(index));
            }
            self.charge(by_labels.len() * self.steps.count())?;
            results.extend(by_labels.into_iter().map(|(labels, column)| Ok(Series { labels, column, name_goes })));
        }
        self.unique(Box::new(results.into_iter()), false)
    }

    fn infos(self, node: &'a Info) -> Result<Infos> {
        let mut infos = Infos::new();
        for stored in self.stored(&node.infos, self.query.lookback_ms)? {
            let StoredSeries { labels, samples } = stored?;
            let times = (0..self.steps.count()).map(|index| {
                let at = self.reference_time(node.infos.when, index);
                let newest = samples.times().partition_point(|time| *time <= at).checked_sub(1)?;
                let is_fresh = samples.times()[newest] > at.saturating_sub(self.query.lookback_ms);
                (is_fresh && !is_stale(samples.values()[newest])).then_some(samples.times()[newest])
            });
            let key = labels.filter(|name| IDENTIFYING.contains(&name));
            let times = times.collect();
            infos.entry(key).or_default().push(Described { labels, times });
        }
        Ok(infos)
    }

    // A series' labels at a step with those that describe it; nothing if it lacks one that a matcher demands.
    fn described(
        self,
        node: &Info,
        infos: &Infos,
        demands: &[&Matcher],
        labels: &Labels,
        index: usize,
    ) -> Result<Option<Labels>> {
        let key = labels.filter(|name| IDENTIFYING.contains(&name));
        let mut newest: BTreeMap<&str, (i64, &Labels)> = BTreeMap::new();
        for info in infos.get(&key).into_iter().flatten() {
            let Some(time) = info.times[index] else { continue };
            let name = info.labels.metric_name().unwrap_or("");
            match newest.get(name) {
                Some((other_time, other)) if *other_time == time => {
                    return Err(PromqlError::Execution(format!(
                        "found duplicate series for info metric: existing {other} @ {other_time}, new {} @ {time}",
                        info.labels
                    )));
                }
                Some((other_time, _)) if *other_time > time => {}
                _ => drop(newest.insert(name, (time, &info.labels))),
            }
        }
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        for (_, info) in newest.values() {
            for (name, value) in info.iter() {
                let wanted = node.labels.is_empty() || node.labels.iter().any(|label| label == name);
                if name == METRIC_NAME || !wanted || labels.get(name).is_some() {
                    continue;
                }
                if added.insert(name, value).is_some_and(|other| other != value) {
                    return Err(PromqlError::Execution(format!("conflicting label: {name}")));
                }
            }
        }
        let lacks = |matcher: &&&Matcher| newest.is_empty() && !matcher.accepts("");
        if demands.iter().any(|matcher| lacks(&matcher)) {
            return Ok(None);
        }
        Ok(Some(added.into_iter().fold(labels.clone(), |labels, (name, value)| labels.with(name, value))))
    }
}
