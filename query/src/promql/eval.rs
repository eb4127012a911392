//! Evaluation of a plan, series by series: a node gives a stream of series, each with its numbers at all steps. Selectors read
//! every series once for all steps, and no more than one is decoded at a time; only where groups or pairs of series meet are
//! columns kept.

mod aggregate;
mod budget;
mod call;
mod choose;
mod grouped;
mod histogram;
mod label;
mod matching;
mod operator;
mod range;
mod select;
mod set;
mod unique;

pub use budget::Budget;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use model::Labels;

use super::error::PromqlError;
use super::limits;
use super::plan::{Scalar, Vector, WithScalar};
use super::source::SeriesSource;
use super::value::{Column, Series, Steps};

type Result<T> = std::result::Result<T, PromqlError>;

/// Series as they are computed.
pub(super) type SeriesStream<'a> = Box<dyn Iterator<Item = Result<Series>> + 'a>;

/// Evaluates plans at the same steps. A subquery has one of its own, with other steps.
#[derive(Clone, Copy)]
pub(super) struct Evaluator<'a> {
    pub(super) query: &'a Query<'a>,
    pub(super) steps: Steps,
}

/// What is the same for a whole query and its subqueries.
pub(super) struct Query<'a> {
    pub(super) source: &'a dyn SeriesSource,
    pub(super) text: &'a str,
    /// Of the query as a whole: what `start()` and `end()` mean behind `@`.
    pub(super) steps: Steps,
    pub(super) lookback_ms: i64,
    pub(super) subquery_step_ms: i64,
    pub(super) budget: &'a Budget,
    pub(super) notes: RefCell<Notes>,
}

/// What the asker should know, each once and in order.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) warnings: BTreeSet<String>,
    pub(super) infos: BTreeSet<String>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn scalar(self, node: &'a Scalar) -> Result<Column> {
        let count = self.steps.count();
        self.query.budget.charge(count)?;
        Ok(match node {
            Scalar::Number(value) => Column::constant(*value, count),
            Scalar::Time => self.times(),
            Scalar::Negate(inner) => self.scalar(inner)?.map(|_, value| Some(-value)),
            Scalar::Binary(operator, left, right) => {
                let right = self.scalar(right)?;
                let left = self.scalar(left)?;
                left.map(|index, left| right.get(index).map(|right| operator::number(*operator, left, right)))
            }
            Scalar::Of(vector) => self.only_number(vector)?,
        })
    }

    pub(super) fn vector(self, node: &'a Vector) -> Result<SeriesStream<'a>> {
        match node {
            Vector::Select(select) => self.select(select),
            Vector::SampleTime(select) => self.sample_times(select),
            Vector::StepTime(inner) => {
                let steps = self.steps;
                self.mapped(inner, move |index, _| Some(seconds(steps.time(index))))
            }
            Vector::Constant(scalar) => {
                let series = Series { labels: Labels::empty(), column: self.scalar(scalar)? };
                Ok(Box::new(std::iter::once(Ok(series))))
            }
            Vector::Negate(inner) => self.mapped(inner, |_, value| Some(-value)),
            // The order is a matter of the answer.
            Vector::Sorted(_, inner) => self.vector(inner),
            Vector::WithScalar(node) => self.with_scalar(node),
            Vector::Match(node) => match &node.many {
                None => self.matched(node),
                Some(many) => self.matched_with_many(node, many),
            },
            Vector::Set(node) => self.set(node),
            Vector::Aggregate(node) => self.aggregate(node),
            Vector::GroupQuantile(node) => self.group_quantile(node),
            Vector::Choice(node) => self.choice(node),
            Vector::CountValues(node) => self.count_values(node),
            Vector::OverRange(node) => self.over_range(node),
            Vector::Mapped(node) => self.element_function(node),
            Vector::Absent(labels, inner) => self.absent(labels, inner),
            Vector::LabelReplace(node) => self.label_replace(node),
            Vector::LabelJoin(node) => self.label_join(node),
            Vector::Histogram(node) => self.histogram(node),
        }
    }

    fn with_scalar(self, node: &'a WithScalar) -> Result<SeriesStream<'a>> {
        let scalar = self.scalar(&node.scalar)?;
        let stream = self.vector(&node.vector)?.map(move |series| {
            let Series { labels, column } = series?;
            let labels = if node.drops_name() { labels.without_name() } else { labels };
            let column = column.map(|index, value| {
                let scalar = scalar.get(index)?;
                let (left, right) = if node.scalar_first { (scalar, value) } else { (value, scalar) };
                // A comparison keeps the series' own number, whichever side it stands on.
                operator::vector_element(node.operator, node.return_bool, left, right, value)
            });
            Ok(Series { labels, column })
        });
        self.unique(Box::new(stream), !node.drops_name() || node.vector.is_unique_without_name())
    }

    // Each number by itself; the names go.
    fn mapped(self, inner: &'a Vector, change: impl Fn(usize, f64) -> Option<f64> + 'a) -> Result<SeriesStream<'a>> {
        let stream = self.vector(inner)?.map(move |series| {
            let Series { labels, column } = series?;
            Ok(Series { labels: labels.without_name(), column: column.map(&change) })
        });
        self.unique(Box::new(stream), inner.is_unique_without_name())
    }

    fn times(self) -> Column {
        let mut column = Column::holes(self.steps.count());
        for (index, time) in self.steps.iter().enumerate() {
            column.set(index, Some(seconds(time)));
        }
        column
    }

    pub(super) fn charge(self, samples: usize) -> Result<()> {
        self.query.budget.charge(samples)
    }

    pub(super) fn warn(self, text: String) {
        note(&mut self.query.notes.borrow_mut().warnings, text);
    }

    pub(super) fn inform(self, text: String) {
        note(&mut self.query.notes.borrow_mut().infos, text);
    }

    // ` (1:7)`, behind messages.
    fn place(self, position: Option<usize>) -> String {
        position.map_or_else(String::new, |at| format!(" ({})", super::error::line_column(self.query.text, at)))
    }

    // Says so if a share is none.
    fn check_quantile(self, quantiles: &Column, position: Option<usize>) {
        if let Some((_, wrong)) = quantiles.present().find(|(_, quantile)| !(0.0..=1.0).contains(quantile)) {
            let wrong = short_number(wrong);
            let place = self.place(position);
            self.warn(format!("PromQL warning: quantile value should be between 0 and 1, got {wrong}{place}"));
        }
    }
}

// Whoever adds numbers up later adds them up in the same order each time: the last bits of a rule's result must not depend on
// the seed of a hash map.
fn in_order<T>(map: HashMap<Labels, T>) -> Vec<(Labels, T)> {
    let mut pairs: Vec<(Labels, T)> = map.into_iter().collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

// As Go writes it with %g.
fn short_number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let exponent = value.abs().log10().floor();
    if value == 0.0 || value.is_nan() || (-4.0..21.0).contains(&exponent) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

fn note(notes: &mut BTreeSet<String>, text: String) {
    if notes.len() < limits::NOTES_MAX {
        notes.insert(text);
    }
}

/// The error of two series with one label set at one time.
fn same_labels(labels: &Labels) -> PromqlError {
    PromqlError::Execution(format!(
        "vector cannot contain metrics with the same labelset: {labels} occurs more than once"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_messages() {
        for (value, expected) in [
            (2.0, "2"),
            (-1.5, "-1.5"),
            (1e22, "1e+22"),
            (2.5e-7, "2.5e-07"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(short_number(value), expected);
        }
    }
}
