//! Evaluation of a plan, series by series: a node gives a stream of series, each with its numbers at all steps. Selectors read
//! every series once for all steps, and no more than one is decoded at a time; only where groups or pairs of series meet are
//! columns kept.

mod aggregate;
mod budget;
mod call;
mod choose;
mod extended;
mod fill;
mod grouped;
mod histogram;
mod info;
mod label;
mod limit;
mod matching;
mod operator;
mod range;
mod remark;
mod select;
mod set;
mod unique;

pub use budget::Budget;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::Labels;

use super::error::PromqlError;
use super::function::{greater, lesser};
use super::histogram::{Histogram, short_number};
use super::limits;
use super::plan::{HistogramFact, Operator, QueryFact, Scalar, Side, Span, Vector, WithScalar};
use super::source::SeriesSource;
use super::value::{Column, Element, Series, Steps};

use operator::Operand;

type Result<T> = std::result::Result<T, PromqlError>;

/// Series as they are computed.
pub(super) type SeriesStream<'a> = Box<dyn Iterator<Item = Result<Series>> + 'a>;

/// Evaluates plans at the same steps. A subquery has one of its own, with other steps.
#[derive(Clone, Copy)]
pub(super) struct Evaluator<'a> {
    pub(super) query: &'a Query<'a>,
    pub(super) steps: Steps,
    /// Whether it computes samples of a subquery.
    pub(super) is_inner: bool,
}

/// What is the same for a whole query and its subqueries.
pub(super) struct Query<'a> {
    pub(super) source: &'a dyn SeriesSource,
    pub(super) text: &'a str,
    /// Of the query as a whole: what `start()` and `end()` mean behind `@`.
    pub(super) steps: Steps,
    /// What the plan's computed durations are, in milliseconds.
    pub(super) durations: Vec<i64>,
    pub(super) lookback_ms: i64,
    pub(super) subquery_step_ms: i64,
    pub(super) budget: &'a Budget,
    /// Whether names that functions drop stay until the query is answered.
    pub(super) delays_names: bool,
    pub(super) notes: RefCell<Notes>,
    /// How many samples were looked at for each of its steps, if that is asked.
    pub(super) looked_at: Option<RefCell<Vec<u64>>>,
}

/// What the asker should know, each text once: with the last of the places it is about.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) warnings: BTreeMap<String, Option<usize>>,
    pub(super) infos: BTreeMap<String, Option<usize>>,
}

impl Query<'_> {
    pub(super) fn millis(&self, span: Span) -> i64 {
        match span {
            Span::Millis(millis) => millis,
            Span::Computed(index) => self.durations.get(index).copied().unwrap_or_default(),
        }
    }

    /// How long a range or a step is: more than nothing.
    fn length(&self, span: Span) -> Result<i64> {
        let nothing = || PromqlError::Execution("duration must be greater than 0".to_owned());
        Some(self.millis(span)).filter(|millis| *millis > 0).ok_or_else(nothing)
    }

    /// What `start()` and its sisters give, in seconds.
    fn fact(&self, fact: QueryFact) -> f64 {
        seconds(match fact {
            QueryFact::Start => self.steps.first(),
            QueryFact::End => self.steps.end(),
            QueryFact::Range => self.steps.end() - self.steps.first(),
            QueryFact::Step => self.steps.step(),
        })
    }
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
            Scalar::Query(fact) => Column::constant(self.query.fact(*fact), count),
            Scalar::Extreme(side, left, right) => {
                let right = self.scalar(right)?;
                let choose = if *side == Side::Greatest { greater } else { lesser };
                self.scalar(left)?.map(|index, left| right.get(index).map(|right| choose(left, right)))
            }
        })
    }

    pub(super) fn vector(self, node: &'a Vector) -> Result<SeriesStream<'a>> {
        match node {
            Vector::Select(select) => self.select(select),
            Vector::SampleTime(select) => self.sample_times(select),
            Vector::StepTime(inner) => self.step_times(inner),
            Vector::Constant(scalar) => {
                let series = Series { labels: Labels::empty(), column: self.scalar(scalar)?, name_goes: false };
                Ok(Box::new(std::iter::once(Ok(series))))
            }
            Vector::Negate(inner) => self.negated(inner),
            // The order is a matter of the answer.
            Vector::Sorted(_, inner) => self.only_numbers(inner),
            Vector::SortedByLabels(node) => self.vector(&node.vector),
            Vector::WithScalar(node) => self.with_scalar(node),
            Vector::Match(node) if !node.fill.is_none() => self.matched_filled(node),
            Vector::Match(node) => match &node.many {
                None => self.matched(node),
                Some(many) => self.matched_with_many(node, many),
            },
            Vector::Set(node) => self.set(node),
            Vector::Aggregate(node) => self.aggregate(node),
            Vector::GroupQuantile(node) => self.group_quantile(node),
            Vector::Choice(node) => self.choice(node),
            Vector::CountValues(node) => self.count_values(node),
            Vector::Limit(node) => self.limit(node),
            Vector::OverRange(node) => self.over_range(node),
            Vector::Mapped(node) => self.element_function(node),
            Vector::Absent(labels, inner) => self.absent(labels, inner),
            Vector::LabelReplace(node) => self.label_replace(node),
            Vector::LabelJoin(node) => self.label_join(node),
            Vector::Histogram(node) => self.histogram(node),
            Vector::HistogramFact(fact, inner) => self.histogram_fact(*fact, inner),
            Vector::Info(node) => self.info(node),
        }
    }

    // Nodes are nested as deep as the limit allows: each kind has a function of its own, so that none of them takes up room on the
    // stack for the others.
    fn step_times(self, inner: &'a Vector) -> Result<SeriesStream<'a>> {
        let steps = self.steps;
        let time = move |index| seconds(steps.time(index));
        self.mapped_all(inner, move |index, _| Some(time(index)), move |index, _| Some(Element::Number(time(index))))
    }

    fn negated(self, inner: &'a Vector) -> Result<SeriesStream<'a>> {
        let negative = |histogram: &Histogram| Element::Histogram(Arc::new(histogram.times(-1.0)));
        self.mapped_all(inner, |_, value| Some(-value), move |_, histogram| Some(negative(histogram)))
    }

    // Of what is to be sorted: histograms have no order.
    fn only_numbers(self, inner: &'a Vector) -> Result<SeriesStream<'a>> {
        let stream = self.vector(inner)?.map(|series| {
            let Series { labels, column, name_goes } = series?;
            let column = if column.has_histograms() { column.map(|_, value| Some(value)) } else { column };
            Ok(Series { labels, column, name_goes })
        });
        Ok(Box::new(stream.filter(select::has_elements)))
    }

    fn histogram_fact(self, fact: HistogramFact, inner: &'a Vector) -> Result<SeriesStream<'a>> {
        let number = move |histogram: &Histogram| Element::Number(histogram::fact(fact, histogram));
        self.mapped_all(inner, |_, _| None, move |_, histogram| Some(number(histogram)))
    }

    fn with_scalar(self, node: &'a WithScalar) -> Result<SeriesStream<'a>> {
        let scalar = self.scalar(&node.scalar)?;
        let stream = self.vector(&node.vector)?.map(move |series| {
            let Series { labels, column, name_goes } = series?;
            let (labels, name_goes) = if node.drops_name() { self.nameless(labels) } else { (labels, name_goes) };
            let numbers = |index, value| {
                let scalar = scalar.get(index)?;
                let (left, right) = if node.scalar_first { (scalar, value) } else { (value, scalar) };
                if let Operator::Trim(_) = node.operator {
                    self.inform_of_types(node.operator, node.position, ["float", "float"]);
                    return None;
                }
                // A comparison keeps the series' own number, whichever side it stands on.
                operator::vector_element(node.operator, node.return_bool, left, right, value)
            };
            let column = column.map_all(numbers, |index, histogram| {
                let scalar = Operand::Number(scalar.get(index)?);
                let histogram = Operand::Histogram(histogram);
                let (left, right) = if node.scalar_first { (scalar, histogram) } else { (histogram, scalar) };
                self.elements(node.operator, node.return_bool, node.position, left, right)
            });
            Ok(Series { labels, column, name_goes })
        });
        self.unique(Box::new(stream), !node.drops_name() || node.vector.is_unique_without_name())
    }

    // Each number by itself; the names go.
    fn mapped(self, inner: &'a Vector, change: impl Fn(usize, f64) -> Option<f64> + 'a) -> Result<SeriesStream<'a>> {
        let stream = self.vector(inner)?.map(move |series| {
            let Series { labels, column, .. } = series?;
            let (labels, name_goes) = self.nameless(labels);
            Ok(Series { labels, column: column.map(&change), name_goes })
        });
        self.unique(Box::new(stream), inner.is_unique_without_name())
    }

    // The same of numbers and histograms.
    fn mapped_all(
        self,
        inner: &'a Vector,
        numbers: impl Fn(usize, f64) -> Option<f64> + 'a,
        histograms: impl Fn(usize, &Arc<Histogram>) -> Option<Element> + 'a,
    ) -> Result<SeriesStream<'a>> {
        let stream = self.vector(inner)?.map(move |series| {
            let Series { labels, column, .. } = series?;
            let (labels, name_goes) = self.nameless(labels);
            Ok(Series { labels, column: column.map_all(&numbers, &histograms), name_goes })
        });
        self.unique(Box::new(stream), inner.is_unique_without_name())
    }

    /// Labels without the name, or with it and the note that it goes.
    fn nameless(self, labels: Labels) -> (Labels, bool) {
        if self.query.delays_names { (labels, true) } else { (labels.without_name(), false) }
    }

    /// The series of an answer: those whose name goes have lost it.
    pub(super) fn answered(self, node: &'a Vector) -> Result<SeriesStream<'a>> {
        let stream = self.vector(node)?;
        if !self.query.delays_names {
            return Ok(stream);
        }
        let stream = stream.map(|series| {
            let Series { labels, column, name_goes } = series?;
            let labels = if name_goes { labels.without_name() } else { labels };
            Ok(Series { labels, column, name_goes: false })
        });
        self.unique(Box::new(stream), false)
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

    // Counts samples that were looked at for a step; of a subquery those that it computes, where they are looked at.
    fn look_at(self, step: usize, samples: usize) {
        let Some(looked_at) = self.query.looked_at.as_ref().filter(|_| !self.is_inner) else { return };
        if let Some(count) = looked_at.borrow_mut().get_mut(step) {
            *count += samples as u64;
        }
    }

    fn look_at_all(self, column: &Column) {
        if self.query.looked_at.is_some() {
            column.present().for_each(|(step, _)| self.look_at(step, 1));
            column.histograms().for_each(|(step, histogram)| self.look_at(step, histogram.size()));
        }
    }

    pub(super) fn warn(self, position: Option<usize>, text: String) {
        note(&mut self.query.notes.borrow_mut().warnings, position, text);
    }

    pub(super) fn inform(self, position: Option<usize>, text: String) {
        note(&mut self.query.notes.borrow_mut().infos, position, text);
    }

    // Says so of each share that is none.
    fn check_quantile(self, quantiles: &Column, position: Option<usize>) {
        for (_, wrong) in quantiles.present().filter(|(_, quantile)| !(0.0..=1.0).contains(quantile)) {
            let wrong = short_number(wrong);
            self.warn(position, format!("PromQL warning: quantile value should be between 0 and 1, got {wrong}"));
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

fn note(notes: &mut BTreeMap<String, Option<usize>>, position: Option<usize>, text: String) {
    if let Some(known) = notes.get_mut(&text) {
        *known = (*known).max(position);
    } else if notes.len() < limits::NOTES_COUNTED_MAX {
        notes.insert(text, position);
    }
}

/// The error of two series with one label set at one time.
fn same_labels(labels: &Labels) -> PromqlError {
    PromqlError::Execution(format!(
        "vector cannot contain metrics with the same labelset: {labels} occurs more than once"
    ))
}
