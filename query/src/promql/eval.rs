//! Evaluation of a plan, series by series: a node gives a stream of series, each with its numbers at all steps. Selectors read
//! every series once for all steps, and no more than one is decoded at a time; only where groups or pairs of series meet are
//! columns kept.

mod aggregate;
mod budget;
mod matching;
mod operator;
mod select;
mod unique;

pub use budget::Budget;

use std::cell::RefCell;
use std::collections::BTreeSet;

use model::Labels;

use super::error::PromqlError;
use super::limits;
use super::plan::{Scalar, Vector, WithScalar};
use super::source::SeriesSource;
use super::value::{Column, Series, Steps};

type Result<T> = std::result::Result<T, PromqlError>;

/// Series as they are computed.
pub(super) type SeriesStream<'a> = Box<dyn Iterator<Item = Result<Series>> + 'a>;

/// Evaluates plans over one source at the same steps.
pub(super) struct Evaluator<'a> {
    pub(super) source: &'a dyn SeriesSource,
    pub(super) query: &'a str,
    pub(super) steps: Steps,
    pub(super) lookback_ms: i64,
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
    pub(super) fn scalar(&self, node: &Scalar) -> Result<Column> {
        self.budget.charge(self.steps.count())?;
        Ok(match node {
            Scalar::Number(value) => Column::constant(*value, self.steps.count()),
            Scalar::Negate(inner) => self.scalar(inner)?.map(|_, value| Some(-value)),
            Scalar::Binary(operator, left, right) => {
                let right = self.scalar(right)?;
                let left = self.scalar(left)?;
                left.map(|index, left| right.get(index).map(|right| operator::number(*operator, left, right)))
            }
        })
    }

    pub(super) fn vector<'s>(&'s self, node: &'s Vector) -> Result<SeriesStream<'s>> {
        match node {
            Vector::Select(select) => self.select(select),
            Vector::OverRange(function, range) => {
                let stream = self.over_range(*function, range)?;
                self.unique(stream, super::matcher::only_name(&range.select.matchers).is_some())
            }
            Vector::Negate(inner) => {
                let stream = self.vector(inner)?.map(|series| {
                    let Series { labels, column } = series?;
                    Ok(Series { labels: labels.without_name(), column: column.map(|_, value| Some(-value)) })
                });
                self.unique(Box::new(stream), inner.is_unique_without_name())
            }
            Vector::WithScalar(node) => self.with_scalar(node),
            Vector::Match(node) => self.matched(node),
            Vector::Aggregate(node) => self.aggregate(node),
        }
    }

    fn with_scalar<'s>(&'s self, node: &'s WithScalar) -> Result<SeriesStream<'s>> {
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

    pub(super) fn warn(&self, text: String) {
        note(&mut self.notes.borrow_mut().warnings, text);
    }

    pub(super) fn inform(&self, text: String) {
        note(&mut self.notes.borrow_mut().infos, text);
    }
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
