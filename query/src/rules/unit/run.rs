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
use crate::promql::{self, Element, Histogram, MemorySource, Options, PromqlError, Value, stale_marker};
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
    let mut failures: Vec<Failure> = Vec::new();
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
    cells: std::iter::Peekable<std::vec::IntoIter<(i64, Cell)>>,
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
        let mut input = Vec::with_capacity(test.input_series.len());
        for series in &test.input_series {
            let labels = notation::series(&series.series).map_err(|error| error.to_string())?;
            let cells = notation::cells(&series.values).map_err(|error| error.to_string())?;
            let time = |index| test.start_ms.saturating_add(test.interval_ms.saturating_mul(index));
            let cells: Vec<(i64, Cell)> = (0..).map(time).zip(cells).collect();
            input.push(Input { labels, cells: cells.into_iter().peekable() });
        }
        let counts = groups.iter().any(|group| group.kind != GroupKind::Prometheus);
        let records = if counts { Some(Records::new(test, clock)?) } else { None };
        let (clock, source) = (Arc::clone(clock), MemorySource::new());
        Ok(Self { test, clock, subquery_step_ms: interval, source, records, input, rules })
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
            while let Some((time, cell)) = input.cells.next_if(|(time, _)| *time <= until) {
                match cell {
                    Cell::Number(value) => self.source.push(&input.labels, time, value),
                    Cell::Histogram(written) => {
                        self.source.push_histogram(&input.labels, time, Histogram::clone(&written.histogram));
                    }
                    Cell::Nothing => {}
                }
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
                    for (labels, element) in &series {
                        match element {
                            Element::Number(value) => self.source.push(labels, now, *value),
                            Element::Histogram(histogram) => {
                                self.source.push_histogram(labels, now, Histogram::clone(histogram));
                            }
                        }
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
        let at = self.test.start_ms.saturating_add(test.eval_time_ms);
        let mut got = match promql::instant(&self.source, &test.expr, at, &self.options()) {
            Ok(answer) => match answer.value {
                Value::Vector(points) => {
                    points.into_iter().map(|(labels, point)| (labels, point.element)).collect::<Vec<_>>()
                }
                Value::Scalar(sample) => vec![(Labels::empty(), Element::Number(sample.value))],
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
            let labels = match labels {
                Ok(labels) => labels,
                Err(error) => return Some(Outcome::Error(format!("labels {:?}: {error}", sample.labels))),
            };
            expected.push((
                labels,
                match sample.histogram.trim() {
                    "" => Element::Number(sample.value),
                    text => match notation::histogram(text) {
                        Ok(written) => Element::Histogram(written.histogram),
                        Err(error) => return Some(Outcome::Error(format!("histogram {text:?}: {error}"))),
                    },
                },
            ));
        }
        got.sort_by(|one, other| one.0.cmp(&other.0));
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        let same = |(one, other): (&(Labels, Element), &(Labels, Element))| {
            one.0 == other.0
                && match (&one.1, &other.1) {
                    (Element::Number(one), Element::Number(other)) => equal(*one, *other, fuzzy),
                    (Element::Histogram(one), Element::Histogram(other)) => one.same(other),
                    _ => false,
                }
        };
        let all_same = got.len() == expected.len() && expected.iter().zip(&got).all(same);
        (!all_same).then(|| differ(expected, got))
    }
}

fn differ(expected: Vec<(Labels, Element)>, got: Vec<(Labels, Element)>) -> Outcome {
    let numbers = |elements: &[(Labels, Element)]| {
        let number = |(labels, element): &(Labels, Element)| match element {
            Element::Number(value) => Some((labels.clone(), *value)),
            Element::Histogram(_) => None,
        };
        elements.iter().map(number).collect::<Option<Vec<_>>>()
    };
    match (numbers(&expected), numbers(&got)) {
        (Some(expected), Some(got)) => Outcome::Samples { expected, got },
        _ => Outcome::Error(format!("expected {}, got {}", shown(&expected), shown(&got))),
    }
}

fn shown(elements: &[(Labels, Element)]) -> String {
    let shown = elements.iter().map(|(labels, element)| match element {
        Element::Number(value) => format!("{labels} {value}"),
        Element::Histogram(histogram) => format!("{labels} {histogram}"),
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { "nothing".to_owned() } else { shown.join("; ") }
}

// Fuzzy: a difference in the last bit is none.
fn equal(one: f64, other: f64, fuzzy: bool) -> bool {
    let near = fuzzy && (one.next_down() == other || one.next_up() == other);
    one == other || (one.is_nan() && other.is_nan()) || near
}
