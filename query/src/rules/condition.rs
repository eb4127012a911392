//! What a rule asks: PromQL at one moment, or a count of log records or spans over the rule's range.

use std::sync::Arc;
use std::time::Duration;

use model::wire::alerts::AlertSample;
use model::{Clock, Labels, TimeRange, Timestamp};
use store::{Snapshot, Table};

use super::file::{Group, GroupKind, Rule};
use super::limits;
use super::template::Query;
use crate::admission::Cancel;
use crate::promql::{self, Element as Sampled, Options, Plan, SeriesSource, StoreSource, Translator, Value};
use crate::search::budget::Budget;
use crate::search::stats::{CountQuery, Label};

/// What conditions are evaluated over: one moment of the store, and what that may cost.
#[derive(Clone)]
pub struct View {
    /// The store at one moment.
    pub snapshot: Snapshot,
    /// Shared by all PromQL.
    pub translator: Arc<Translator>,
    /// Bounds of one evaluation.
    pub config: Arc<crate::Config>,
    /// For the bounds.
    pub clock: Arc<dyn Clock>,
    /// Set when the server stops.
    pub cancel: Cancel,
}

/// A rule's expression, ready to be evaluated.
#[derive(Debug)]
pub enum Condition {
    /// PromQL.
    Promql {
        /// Planned once.
        plan: Plan,
        /// How far back it looks from the rule's time.
        offset_ms: i64,
    },
    /// A count of records.
    Count(Count),
}

/// A count of log records or spans.
#[derive(Debug)]
pub struct Count {
    /// Which.
    pub table: Table,
    /// The expression. Times in it are relative to the evaluation, so it is read each time.
    pub expr: String,
    /// The window that is counted.
    pub range_ms: i64,
    /// How long late records are waited for.
    pub delay_ms: i64,
}

/// One element of what a condition yields.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

impl Condition {
    /// The condition of a rule that was read without a mistake.
    pub fn new(group: &Group, rule: &Rule) -> Result<Self, String> {
        let table = match group.kind {
            GroupKind::Prometheus => {
                let plan = Plan::new(&rule.expr).map_err(|error| error.to_string())?;
                return Ok(Condition::Promql { plan, offset_ms: group.query_offset_ms });
            }
            GroupKind::Logs => Table::Logs,
            GroupKind::Traces => Table::Spans,
        };
        let (expr, range_ms) = (rule.expr.clone(), rule.range_ms.unwrap_or(0));
        Ok(Condition::Count(Count { table, expr, range_ms, delay_ms: group.eval_delay_ms }))
    }

    /// What it yields at `at_ms` if it is recorded: numbers and native histograms.
    pub fn recorded(&self, view: &View, at_ms: i64) -> Result<Vec<(Labels, Sampled)>, String> {
        match self {
            Condition::Promql { plan, offset_ms } => {
                sampled(&view.series(), plan, at_ms.saturating_sub(*offset_ms), &view.options())
            }
            Condition::Count(count) => {
                let elements = count.evaluate(view, at_ms)?.into_iter();
                Ok(elements.map(|element| (element.labels, Sampled::Number(element.value))).collect())
            }
        }
    }

    /// What it yields at `at_ms`.
    pub fn evaluate(&self, view: &View, at_ms: i64) -> Result<Vec<Element>, String> {
        match self {
            Condition::Promql { plan, offset_ms } => {
                vector(&view.series(), plan, at_ms.saturating_sub(*offset_ms), &view.options())
            }
            Condition::Count(count) => count.evaluate(view, at_ms),
        }
    }

    /// Records that made an element with these labels; none if it is no count.
    pub fn samples(&self, view: &View, labels: &Labels, at_ms: i64) -> Vec<AlertSample> {
        match self {
            Condition::Promql { .. } => Vec::new(),
            Condition::Count(count) => count.samples(view, labels, at_ms),
        }
    }
}

/// The elements of an instant query, as alerts see them. They are about numbers: what has none yields nothing.
pub fn vector(source: &dyn SeriesSource, plan: &Plan, at_ms: i64, options: &Options) -> Result<Vec<Element>, String> {
    let all = sampled(source, plan, at_ms, options)?.into_iter();
    let numbers = all.filter_map(|(labels, sampled)| match sampled {
        Sampled::Number(value) => Some(Element { labels, value }),
        Sampled::Histogram(_) => None,
    });
    Ok(numbers.collect())
}

/// The elements of an instant query: a number is one element without labels.
pub fn sampled(
    source: &dyn SeriesSource,
    plan: &Plan,
    at_ms: i64,
    options: &Options,
) -> Result<Vec<(Labels, Sampled)>, String> {
    let answer = promql::instant_plan(source, plan, at_ms, options).map_err(|error| chain(&error))?;
    match answer.value {
        Value::Vector(vector) => Ok(vector.into_iter().map(|(labels, point)| (labels, point.element)).collect()),
        Value::Scalar(sample) => Ok(vec![(Labels::empty(), Sampled::Number(sample.value))]),
        Value::Text(..) | Value::Matrix(_) => Err("rule result is not a vector or scalar".to_owned()),
    }
}

/// The templates' function `query`. All that one evaluation's templates ask shares one budget: one query per alert would
/// otherwise cost as much as there are alerts.
pub struct Asking<'a> {
    /// Whom they ask.
    pub source: &'a dyn SeriesSource,
    /// How, and what all of it may cost.
    pub options: &'a Options,
}

impl Query for Asking<'_> {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<(Labels, f64)>, String> {
        let plan = Plan::new(expr).map_err(|error| error.to_string())?;
        let elements = vector(self.source, &plan, at_ms, self.options)?;
        Ok(elements.into_iter().map(|element| (element.labels, element.value)).collect())
    }
}

impl View {
    /// The series of PromQL.
    pub fn series(&self) -> StoreSource {
        StoreSource::new(self.snapshot.clone(), Arc::clone(&self.translator))
    }

    /// What one PromQL query may cost.
    pub fn options(&self) -> Options {
        let timeout = Duration::from_millis(self.config.time_budget_ms);
        let clock = Arc::clone(&self.clock);
        let budget = promql::Budget::new(promql::limits::SAMPLES_MAX, timeout, clock, self.cancel.clone());
        let delays_names = self.config.features.has(promql::Feature::DelayedNames);
        Options { delays_names, ..Options::new(budget) }
    }

    fn budget(&self) -> Budget {
        Budget::new(&self.config, Arc::clone(&self.clock), self.cancel.clone())
    }
}

impl Count {
    /// The expression with its meaning at `at_ms`.
    pub fn query(&self, at_ms: i64) -> Result<CountQuery, String> {
        CountQuery::parse(&self.expr, self.table, Timestamp::from_millis(at_ms)).map_err(|error| error.to_string())
    }

    /// The window that an evaluation at `at_ms` counts.
    pub fn window(&self, at_ms: i64) -> TimeRange {
        let end = at_ms.saturating_sub(self.delay_ms);
        TimeRange { start: Timestamp::from_millis(end.saturating_sub(self.range_ms)), end: Timestamp::from_millis(end) }
    }

    fn evaluate(&self, view: &View, at_ms: i64) -> Result<Vec<Element>, String> {
        let query = self.query(at_ms)?;
        let counted = query.run(&view.snapshot, self.window(at_ms), &mut view.budget());
        let counted = counted.map_err(|error| chain(&error))?;
        // A count that is too low would resolve what fires.
        if let Some(partial) = counted.partial {
            return Err(format!("the count is not complete: {}", partial.reason));
        }
        let element = |(labels, count): (Vec<Label>, u64)| Element { labels: Labels::new(labels), value: count as f64 };
        Ok(counted.groups.into_iter().map(element).collect())
    }

    fn samples(&self, view: &View, labels: &Labels, at_ms: i64) -> Vec<AlertSample> {
        let found = self.query(at_ms).and_then(|query| {
            let group = group_of(&query, labels);
            let samples = query.samples(
                &group,
                &view.snapshot,
                self.window(at_ms),
                limits::ALERT_SAMPLES_MAX,
                &mut view.budget(),
            );
            samples.map_err(|error| chain(&error))
        });
        // An alert without samples is better than none.
        found.unwrap_or_else(|error| {
            tracing::warn!(expr = self.expr, "no samples for an alert: {error}");
            Vec::new()
        })
    }
}

/// The group of a count that became these labels.
pub fn group_of(query: &CountQuery, labels: &Labels) -> Vec<Label> {
    let value = |name: &String| labels.get(name).map(|value| (name.clone(), value.to_owned()));
    query.by().iter().filter_map(value).collect()
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use model::ManualClock;

    use super::*;
    use crate::promql::MemorySource;

    #[test]
    fn all_queries_of_templates_share_a_budget() {
        let mut source = MemorySource::new();
        source.load("up{job=\"a\"}", "1x10", 0, 1_000).expect("the notation is right");
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::default()));
        let budget = promql::Budget::new(100, Duration::from_secs(1), clock, Cancel::default());
        let asking = Asking { source: &source, options: &Options::new(budget) };
        let answers: Vec<bool> = (0..200).map(|_| asking.query("up", 5_000).is_ok()).collect();
        assert!(answers[0] && !answers[199], "{answers:?}");
        assert!(asking.query("up", 5_000).is_err_and(|error| error.contains("too many samples")));
    }
}
