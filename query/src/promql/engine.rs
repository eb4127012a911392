//! The engine: a query's text in, an [`Answer`] out. It knows nothing of HTTP and nothing of the store.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::Labels;

use super::error::{PromqlError, line_column};
use super::eval::{Budget, Evaluator, Notes, Query};
use super::limits;
use super::plan::{Grouping, Order, Plan, Range, Root, Scalar, Side, SortedByLabels, Vector};
use super::source::SeriesSource;
use super::value::{Answer, Column, Element, Point, Points, Sample, Series, Steps, Value};

/// How a query is to be evaluated.
pub struct Options {
    /// How far a vector selector looks back.
    pub lookback_ms: i64,
    /// The distance of a subquery's steps where it does not say: how often rules are evaluated.
    pub subquery_step_ms: i64,
    /// What it may cost.
    pub budget: Budget,
    /// Whether the samples that each step looks at are counted.
    pub counts: bool,
    /// Whether names that functions drop are there until the answer: [`super::Feature::DelayedNames`].
    pub delays_names: bool,
}

impl Options {
    /// The usual lookback and steps.
    pub fn new(budget: Budget) -> Self {
        let (lookback_ms, subquery_step_ms) = (limits::LOOKBACK_MS, limits::SUBQUERY_STEP_MS);
        Self { lookback_ms, subquery_step_ms, budget, counts: false, delays_names: false }
    }
}

/// Evaluates `query` at one moment, in milliseconds since the Unix epoch.
pub fn instant(source: &dyn SeriesSource, query: &str, at: i64, options: &Options) -> Result<Answer, PromqlError> {
    instant_plan(source, &Plan::new(query)?, at, options)
}

/// The same of a query that is planned already: rules evaluate theirs again and again.
pub fn instant_plan(source: &dyn SeriesSource, plan: &Plan, at: i64, options: &Options) -> Result<Answer, PromqlError> {
    let run = Run::new(source, plan, Steps::instant(at), options)?;
    let value = match plan.root() {
        Root::Text(text) => Value::Text(at, text.clone()),
        Root::Scalar(scalar) => {
            let column = run.evaluator().scalar(scalar)?;
            Value::Scalar(Sample { time: at, value: column.get(0).unwrap_or(f64::NAN) })
        }
        Root::Vector(vector) => Value::Vector(run.at_one_moment(vector, at)?),
        Root::Range(range) => Value::Matrix(run.raw(range)?),
    };
    Ok(run.answer(value))
}

/// Evaluates `query` at every step. The answer is always a matrix.
pub fn range(source: &dyn SeriesSource, query: &str, steps: Steps, options: &Options) -> Result<Answer, PromqlError> {
    range_plan(source, &Plan::new(query)?, steps, options)
}

/// The same of a query that is planned already.
pub fn range_plan(
    source: &dyn SeriesSource,
    plan: &Plan,
    steps: Steps,
    options: &Options,
) -> Result<Answer, PromqlError> {
    let run = Run::new(source, plan, steps, options)?;
    let refuse = |kind: &str| {
        Err(PromqlError::Request(format!(
            "invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector"
        )))
    };
    let series = match plan.root() {
        Root::Text(_) => return refuse("string"),
        Root::Range(_) => return refuse("range vector"),
        Root::Scalar(scalar) => run.scalar(scalar)?,
        Root::Vector(vector) => run.over_steps(vector)?,
    };
    Ok(run.answer(Value::Matrix(series)))
}

struct Run<'a> {
    query: Query<'a>,
    // How long it took to put the series in order.
    sorted: Cell<Duration>,
}

type Matrix = Vec<(Labels, Points)>;

impl<'a> Run<'a> {
    fn new(
        source: &'a dyn SeriesSource,
        plan: &'a Plan,
        steps: Steps,
        options: &'a Options,
    ) -> Result<Self, PromqlError> {
        let notes = RefCell::new(Notes::default());
        // A step of nothing would have no end.
        let subquery_step_ms = options.subquery_step_ms.max(1);
        let (text, lookback_ms, budget) = (plan.query(), options.lookback_ms, &options.budget);
        let durations = plan.durations().iter().map(|duration| duration.millis(&steps));
        let durations = durations.collect::<Result<Vec<i64>, String>>().map_err(PromqlError::Execution)?;
        let looked_at = options.counts.then(|| RefCell::new(vec![0; steps.count()]));
        let delays_names = options.delays_names;
        let query = Query {
            source,
            text,
            steps,
            durations,
            lookback_ms,
            subquery_step_ms,
            budget,
            delays_names,
            notes,
            looked_at,
        };
        Ok(Self { query, sorted: Cell::default() })
    }

    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { query: &self.query, steps: self.query.steps, is_inner: false }
    }

    fn scalar(&self, scalar: &Scalar) -> Result<Matrix, PromqlError> {
        let column = self.evaluator().scalar(scalar)?;
        Ok(vec![(Labels::empty(), self.samples(&column))])
    }

    fn at_one_moment(&self, vector: &Vector, at: i64) -> Result<Vec<(Labels, Point)>, PromqlError> {
        let mut samples = Vec::new();
        for series in self.evaluator().answered(vector)? {
            let Series { labels, column, .. } = series?;
            samples.extend(column.element(0).map(|element| (labels, Point { time: at, element })));
        }
        let order = vector.order();
        self.timed(|| samples.sort_by(|a, b| compare(&order, a, b)));
        Ok(samples)
    }

    fn over_steps(&self, vector: &Vector) -> Result<Matrix, PromqlError> {
        let mut matrix = Matrix::new();
        for series in self.evaluator().answered(vector)? {
            let Series { labels, column, .. } = series?;
            if !column.is_empty() {
                matrix.push((labels, self.samples(&column)));
            }
        }
        self.timed(|| matrix.sort_by(|a, b| a.0.cmp(&b.0)));
        Ok(matrix)
    }

    // Puts the series in order.
    fn timed(&self, sort: impl FnOnce()) {
        let begun = self.query.budget.now();
        sort();
        self.sorted.set(self.query.budget.now().saturating_sub(begun));
    }

    fn raw(&self, range: &Range) -> Result<Matrix, PromqlError> {
        let mut matrix = self.evaluator().raw(range)?;
        matrix.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(matrix)
    }

    fn samples(&self, column: &Column) -> Points {
        let steps = self.query.steps;
        Points {
            numbers: column.present().map(|(index, value)| Sample { time: steps.time(index), value }).collect(),
            histograms: column
                .histograms()
                .map(|(index, histogram)| (steps.time(index), Arc::clone(histogram)))
                .collect(),
        }
    }

    fn answer(self, value: Value) -> Answer {
        let Notes { warnings, infos } = self.query.notes.into_inner();
        let warnings = notes(self.query.text, warnings, "warning");
        let infos = notes(self.query.text, infos, "info");
        let looked_at = self.query.looked_at.map(RefCell::into_inner).unwrap_or_default();
        let looked_at = self.query.steps.iter().zip(looked_at).collect();
        Answer { value, warnings, infos, looked_at, sorted: self.sorted.get() }
    }
}

// With their places. What is not of the language says that something is missing, and is always there.
fn notes(query: &str, notes: BTreeMap<String, Option<usize>>, kind: &str) -> Vec<String> {
    let (language, others): (Vec<_>, Vec<_>) = notes.into_iter().partition(|(text, _)| text.starts_with("PromQL"));
    let more = language.len().saturating_sub(limits::NOTES_MAX);
    let shown = language.into_iter().take(limits::NOTES_MAX).chain(others).map(|(text, position)| match position {
        Some(at) => format!("{text} ({})", line_column(query, at)),
        None => text,
    });
    let omitted = (more > 0).then(|| format!("{more} more {kind} annotations omitted"));
    shown.chain(omitted).collect()
}

// Where the order leaves a tie, labels decide.
fn compare(order: &Order<'_>, a: &(Labels, Point), b: &(Labels, Point)) -> Ordering {
    let number = |point: &Point| match point.element {
        Element::Number(value) => value,
        Element::Histogram(_) => f64::NAN,
    };
    let by_value = |side: Side| side.compare(number(&a.1), number(&b.1));
    let first = match order {
        Order::Labels => Ordering::Equal,
        Order::Value(side) => by_value(*side),
        Order::Groups(by, side) => {
            let group = |by: &Grouping| by.of(&a.0).cmp(&by.of(&b.0));
            group(by).then_with(|| by_value(*side))
        }
        Order::SomeLabels(node) => return by_labels(node, &a.0, &b.0),
    };
    first.then_with(|| a.0.cmp(&b.0))
}

fn by_labels(node: &SortedByLabels, a: &Labels, b: &Labels) -> Ordering {
    let value = |labels: &Labels, name: &str| labels.get(name).unwrap_or("").to_owned();
    let by_names = node.labels.iter().map(|name| natural(&value(a, name), &value(b, name)));
    let order = by_names.fold(Ordering::Equal, Ordering::then).then_with(|| a.cmp(b));
    if node.descending { order.reverse() } else { order }
}

// As people count: numbers within texts by their size, everything else by its characters.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let (one, two) = (run(a), run(b));
        let order = match (one.parse::<u64>(), two.parse::<u64>()) {
            (Ok(one), Ok(two)) => one.cmp(&two),
            _ => one.cmp(two),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[one.len()..], &b[two.len()..]);
    }
    a.len().cmp(&b.len())
}

// The digits at the beginning, or what stands before the first.
fn run(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    &text[..text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_natural_order() {
        let ordered = ["", "1", "2", "4m5", "4m600", "4m1000", "10", "a", "a1", "a1b", "a02", "a10", "b"];
        for (index, one) in ordered.iter().enumerate() {
            for (other_index, other) in ordered.iter().enumerate() {
                assert_eq!(natural(one, other), index.cmp(&other_index), "{one} {other}");
            }
        }
    }
}
