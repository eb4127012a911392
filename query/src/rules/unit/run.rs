//! One test: its input comes in as time goes on, the rules are evaluated at each interval, and what they come to is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::{Clock, Labels};

use super::file::{AlertTest, ExprTest, TestFile, TestGroup};
use super::limits;
use super::records::Records;
use super::tested::{Tested, World};
use super::verdict::{Failure, LabelledAlert, Outcome};
use crate::admission::Cancel;
use crate::promql::notation::{self, Cell};
use crate::promql::{self, MemorySource, Options, PromqlError, Value, stale_marker};
use crate::rules::alerting::{ALERT_NAME, AlertState};
use crate::rules::condition;
use crate::rules::file::{Group, GroupKind, RuleFile};
use crate::rules::state::owned;

/// The groups in the order they are evaluated in. Those that are not named share the first place with the first that is, as
/// with promtool, and keep the order of their files.
pub fn ordered<'f>(files: &'f [RuleFile], order: &[String]) -> Result<Vec<&'f Group>, String> {
    let mut places = BTreeMap::new();
    for (place, name) in order.iter().enumerate() {
        if places.insert(name.as_str(), place).is_some() {
            return Err(format!("group name repeated in evaluation order: {name}"));
        }
    }
    let mut groups: Vec<&Group> = files.iter().flat_map(|file| &file.groups).collect();
    groups.sort_by_key(|group| places.get(group.name.as_str()).copied().unwrap_or(0));
    Ok(groups)
}

/// Runs a test, and tells what is not as it should be.
pub fn test(test: &TestGroup, file: &TestFile, groups: &[&Group], clock: &Arc<dyn Clock>) -> Vec<Failure> {
    let interval = file.evaluation_interval_ms;
    let alert_times = test.alert_rule_tests.iter().map(|test| test.eval_time_ms);
    let last = alert_times.chain(test.promql_expr_tests.iter().map(|test| test.eval_time_ms)).max().unwrap_or(0);
    if last / interval > limits::EVALUATIONS_MAX {
        let message = format!("more than {} evaluations until the last eval_time", limits::EVALUATIONS_MAX);
        return vec![Failure::Message(message)];
    }
    let mut bench = match Bench::new(test, interval, groups, clock) {
        Ok(bench) => bench,
        Err(message) => return vec![Failure::Message(message)],
    };
    let mut failures: Vec<Failure> = bench.lacking.drain(..).map(Failure::Unsupported).collect();
    let mut at = 0;
    while at <= last {
        bench.feed(at);
        let failed = bench.evaluate(at);
        if !failed.is_empty() {
            failures.extend(failed);
            return failures;
        }
        // An alert test looks at the last evaluation before its time.
        let mut due: Vec<&AlertTest> =
            test.alert_rule_tests.iter().filter(|test| (at..at + interval).contains(&test.eval_time_ms)).collect();
        due.sort_by_key(|test| test.eval_time_ms);
        failures.extend(due.into_iter().filter_map(|due| bench.compare_alerts(due)));
        at += interval;
    }
    failures.extend(test.promql_expr_tests.iter().filter_map(|one| bench.compare_samples(one, file.fuzzy_compare)));
    failures
}

// A series that waits for its time.
struct Input {
    labels: Labels,
    cells: std::iter::Peekable<std::vec::IntoIter<(i64, f64)>>,
}

// The series, the rules and the time of one test.
struct Bench<'t> {
    test: &'t TestGroup,
    clock: Arc<dyn Clock>,
    subquery_step_ms: i64,
    source: MemorySource,
    // Of tests of rules that count.
    records: Option<Records>,
    input: Vec<Input>,
    // Input that had to be left out.
    lacking: Vec<String>,
    rules: Vec<Tested<'t>>,
}

impl<'t> Bench<'t> {
    fn new(test: &'t TestGroup, interval: i64, groups: &[&'t Group], clock: &Arc<dyn Clock>) -> Result<Self, String> {
        let mut rules = Vec::new();
        for group in groups {
            for rule in &group.rules {
                rules.push(Tested::new(group, rule)?);
            }
        }
        let (mut input, mut lacking) = (Vec::with_capacity(test.input_series.len()), Vec::new());
        for series in &test.input_series {
            let labels = notation::series(&series.series).map_err(|error| error.to_string())?;
            let (mut cells, mut has_histograms) = (Vec::new(), false);
            for (index, cell) in notation::cells(&series.values).map_err(|error| error.to_string())?.iter().enumerate()
            {
                let time = test.start_ms.saturating_add(test.interval_ms.saturating_mul(index as i64));
                match cell {
                    Cell::Number(value) => cells.push((time, *value)),
                    Cell::Nothing => {}
                    Cell::Histogram => has_histograms = true,
                }
            }
            if has_histograms {
                lacking.push(format!("series {}: native histograms are not supported yet", series.series));
            } else {
                input.push(Input { labels, cells: cells.into_iter().peekable() });
            }
        }
        let counts = groups.iter().any(|group| group.kind != GroupKind::Prometheus);
        let records = if counts { Some(Records::new(test, clock)?) } else { None };
        let (clock, source) = (Arc::clone(clock), MemorySource::new());
        Ok(Self { test, clock, subquery_step_ms: interval, source, records, input, lacking, rules })
    }

    fn options(&self) -> Options {
        let timeout = Duration::from_secs(limits::QUERY_SECONDS_MAX);
        let clock = Arc::clone(&self.clock);
        let budget = promql::Budget::new(promql::limits::SAMPLES_MAX, timeout, clock, Cancel::default());
        Options { subquery_step_ms: self.subquery_step_ms, ..Options::new(budget) }
    }

    // Lets in what has happened until `at`: rules that look ahead see nothing, as they would in life.
    fn feed(&mut self, at: i64) {
        let until = self.test.start_ms.saturating_add(at);
        for input in &mut self.input {
            while let Some((time, value)) = input.cells.next_if(|(time, _)| *time <= until) {
                self.source.push(&input.labels, time, value);
            }
        }
    }

    // All rules in order, each over what the one before it has yielded.
    fn evaluate(&mut self, at: i64) -> Vec<Failure> {
        let now = self.test.start_ms.saturating_add(at);
        let mut failures = Vec::new();
        let mut rules = std::mem::take(&mut self.rules);
        for rule in &mut rules {
            match rule.evaluate(&self.world(), now) {
                Ok(series) => {
                    let yielded: BTreeSet<Labels> = series.iter().map(|(labels, _)| labels.clone()).collect();
                    for (labels, value) in &series {
                        self.source.push(labels, now, *value);
                    }
                    for ended in rule.series.difference(&yielded) {
                        self.source.push(ended, now, stale_marker());
                    }
                    rule.series = yielded;
                }
                Err(error) => failures.push(Failure::Rule { name: rule.rule.name.clone(), time_ms: at, error }),
            }
        }
        self.rules = rules;
        failures
    }

    fn world(&self) -> World<'_> {
        let records = self.records.as_ref().map(Records::view);
        World { source: &self.source, records, test: self.test, options: self.options() }
    }

    fn compare_alerts(&self, test: &AlertTest) -> Option<Failure> {
        let named = self.rules.iter().filter(|rule| rule.rule.alert().is_some() && rule.rule.name == test.alertname);
        let firing = named.flat_map(|rule| rule.alerts.values()).filter(|alert| alert.state == AlertState::Firing);
        let mut got: Vec<LabelledAlert> = firing
            .map(|alert| LabelledAlert { labels: owned(&alert.labels), annotations: alert.annotations.clone() })
            .collect();
        let expect = |alert: &super::ExpectedAlert| {
            let mut labels = alert.labels.clone();
            labels.insert(ALERT_NAME.to_owned(), test.alertname.clone());
            LabelledAlert { labels, annotations: alert.annotations.clone() }
        };
        let mut expected: Vec<LabelledAlert> = test.exp_alerts.iter().map(expect).collect();
        got.sort();
        expected.sort();
        let (name, alertname, time_ms) = (self.test.name.clone(), test.alertname.clone(), test.eval_time_ms);
        (got != expected).then_some(Failure::Alerts { test: name, alertname, time_ms, expected, got })
    }

    fn compare_samples(&self, test: &ExprTest, fuzzy: bool) -> Option<Failure> {
        let outcome = self.samples_differ(test, fuzzy)?;
        Some(Failure::Expr { expr: test.expr.clone(), time_ms: test.eval_time_ms, outcome })
    }

    fn samples_differ(&self, test: &ExprTest, fuzzy: bool) -> Option<Outcome> {
        if test.exp_samples.iter().any(|sample| !sample.histogram.is_empty()) {
            return Some(Outcome::Unsupported("native histograms are not supported yet".to_owned()));
        }
        let at = self.test.start_ms.saturating_add(test.eval_time_ms);
        let mut got = match promql::instant(&self.source, &test.expr, at, &self.options()) {
            Ok(answer) => match answer.value {
                Value::Vector(samples) => {
                    samples.into_iter().map(|(labels, sample)| (labels, sample.value)).collect::<Vec<_>>()
                }
                Value::Scalar(sample) => vec![(Labels::empty(), sample.value)],
                _ => return Some(Outcome::Error("rule result is not a vector or scalar".to_owned())),
            },
            Err(error @ PromqlError::Unsupported { .. }) => return Some(Outcome::Unsupported(error.to_string())),
            Err(error) => return Some(Outcome::Error(condition::chain(&error))),
        };
        let mut expected = Vec::with_capacity(test.exp_samples.len());
        for sample in &test.exp_samples {
            let labels = match sample.labels.trim() {
                "" => Ok(Labels::empty()),
                labels => notation::series(labels),
            };
            match labels {
                Ok(labels) => expected.push((labels, sample.value)),
                Err(error) => return Some(Outcome::Error(format!("labels {:?}: {error}", sample.labels))),
            }
        }
        got.sort_by(|one, other| one.0.cmp(&other.0));
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        let same = |(one, other): (&(Labels, f64), &(Labels, f64))| one.0 == other.0 && equal(one.1, other.1, fuzzy);
        let all_same = got.len() == expected.len() && expected.iter().zip(&got).all(same);
        (!all_same).then_some(Outcome::Samples { expected, got })
    }
}

// Fuzzy: a difference in the last bit is none.
fn equal(one: f64, other: f64, fuzzy: bool) -> bool {
    let near = fuzzy && (one.next_down() == other || one.next_up() == other);
    one == other || (one.is_nan() && other.is_nan()) || near
}
