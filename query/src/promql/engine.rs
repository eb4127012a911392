//! The engine: a query's text in, an [`Answer`] out. It knows nothing of HTTP and nothing of the store.

use std::cell::RefCell;
use std::cmp::Ordering;

use model::Labels;

use super::error::PromqlError;
use super::eval::{Budget, Evaluator, Notes, Query};
use super::limits;
use super::plan::{Grouping, Order, Plan, Range, Root, Scalar, Side, Vector};
use super::source::SeriesSource;
use super::value::{Answer, Column, Sample, Series, Steps, Value};

/// How a query is to be evaluated.
pub struct Options {
    /// How far a vector selector looks back.
    pub lookback_ms: i64,
    /// The distance of a subquery's steps where it does not say: how often rules are evaluated.
    pub subquery_step_ms: i64,
    /// What it may cost.
    pub budget: Budget,
}

impl Options {
    /// The usual lookback and steps.
    pub fn new(budget: Budget) -> Self {
        Self { lookback_ms: limits::LOOKBACK_MS, subquery_step_ms: limits::SUBQUERY_STEP_MS, budget }
    }
}

/// Evaluates `query` at one moment, in milliseconds since the Unix epoch.
pub fn instant(source: &dyn SeriesSource, query: &str, at: i64, options: &Options) -> Result<Answer, PromqlError> {
    instant_plan(source, &Plan::new(query)?, at, options)
}

/// The same of a query that is planned already: rules evaluate theirs again and again.
pub fn instant_plan(source: &dyn SeriesSource, plan: &Plan, at: i64, options: &Options) -> Result<Answer, PromqlError> {
    let run = Run::new(source, plan, Steps::instant(at), options);
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
    let run = Run::new(source, plan, steps, options);
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
}

type Matrix = Vec<(Labels, Vec<Sample>)>;

impl<'a> Run<'a> {
    fn new(source: &'a dyn SeriesSource, plan: &'a Plan, steps: Steps, options: &'a Options) -> Self {
        let notes = RefCell::new(Notes::default());
        // A step of nothing would have no end.
        let subquery_step_ms = options.subquery_step_ms.max(1);
        let (text, lookback_ms, budget) = (plan.query(), options.lookback_ms, &options.budget);
        Self { query: Query { source, text, steps, lookback_ms, subquery_step_ms, budget, notes } }
    }

    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { query: &self.query, steps: self.query.steps }
    }

    fn scalar(&self, scalar: &Scalar) -> Result<Matrix, PromqlError> {
        let column = self.evaluator().scalar(scalar)?;
        Ok(vec![(Labels::empty(), self.samples(&column))])
    }

    fn at_one_moment(&self, vector: &Vector, at: i64) -> Result<Vec<(Labels, Sample)>, PromqlError> {
        let mut samples = Vec::new();
        for series in self.evaluator().vector(vector)? {
            let Series { labels, column } = series?;
            samples.extend(column.get(0).map(|value| (labels, Sample { time: at, value })));
        }
        let order = vector.order();
        samples.sort_by(|a, b| compare(&order, a, b));
        Ok(samples)
    }

    fn over_steps(&self, vector: &Vector) -> Result<Matrix, PromqlError> {
        let mut matrix = Matrix::new();
        for series in self.evaluator().vector(vector)? {
            let Series { labels, column } = series?;
            if !column.is_empty() {
                matrix.push((labels, self.samples(&column)));
            }
        }
        matrix.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(matrix)
    }

    fn raw(&self, range: &Range) -> Result<Matrix, PromqlError> {
        let mut matrix = self.evaluator().raw(range)?;
        matrix.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(matrix)
    }

    fn samples(&self, column: &Column) -> Vec<Sample> {
        column.present().map(|(index, value)| Sample { time: self.query.steps.time(index), value }).collect()
    }

    fn answer(self, value: Value) -> Answer {
        let Notes { warnings, infos } = self.query.notes.into_inner();
        Answer { value, warnings: warnings.into_iter().collect(), infos: infos.into_iter().collect() }
    }
}

// Where the order leaves a tie, labels decide.
fn compare(order: &Order<'_>, a: &(Labels, Sample), b: &(Labels, Sample)) -> Ordering {
    let by_value = |side: Side| side.compare(a.1.value, b.1.value);
    let first = match order {
        Order::Labels => Ordering::Equal,
        Order::Value(side) => by_value(*side),
        Order::Groups(by, side) => {
            let group = |by: &Grouping| by.of(&a.0).cmp(&by.of(&b.0));
            group(by).then_with(|| by_value(*side))
        }
    };
    first.then_with(|| a.0.cmp(&b.0))
}
