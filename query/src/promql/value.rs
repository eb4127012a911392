//! The values of a query: steps, columns of numbers and histograms over them, series, and the finished answer.

use std::sync::Arc;
use std::time::Duration;

use model::Labels;

use super::error::PromqlError;
use super::histogram::Histogram;
use super::limits;
use super::staleness::{is_stale, stale_marker};

/// The moments a query is evaluated at, in milliseconds since the Unix epoch: one for an instant query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    start: i64,
    /// 0 of one moment.
    step: i64,
    count: usize,
    /// What was asked for; the last moment may be before it.
    end: i64,
}

impl Steps {
    /// One moment.
    pub fn instant(at: i64) -> Self {
        Self { start: at, step: 0, count: 1, end: at }
    }

    /// `start`, `start + step` and so on, up to and including `end`.
    pub fn range(start: i64, end: i64, step: i64) -> Result<Self, PromqlError> {
        let refuse = |message: &str| Err(PromqlError::Request(message.to_owned()));
        if step <= 0 {
            return refuse("zero or negative query resolution step widths are not accepted. Try a positive integer");
        }
        let Some(span) = end.checked_sub(start).filter(|span| *span >= 0) else {
            return refuse("end timestamp must not be before start time");
        };
        if span / step > limits::STEPS_MAX {
            return refuse(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            );
        }
        Ok(Self { start, step, count: usize::try_from(span / step).unwrap_or(0) + 1, end })
    }

    /// The multiples of `step` after `after`, up to and including `end`; `None` if there are none. As many as that: what they may
    /// cost is a matter of the budget.
    pub(super) fn aligned(after: i64, end: i64, step: i64) -> Option<Self> {
        let start = after.div_euclid(step).checked_add(1)?.checked_mul(step)?;
        let span = end.checked_sub(start).filter(|span| *span >= 0)?;
        Some(Self { start, step, count: usize::try_from(span / step).ok()?.checked_add(1)?, end })
    }

    /// How many moments there are; at least one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The moment with this number.
    pub fn time(&self, index: usize) -> i64 {
        self.start + self.step * index as i64
    }

    /// The first moment.
    pub fn first(&self) -> i64 {
        self.start
    }

    /// The last moment.
    pub fn last(&self) -> i64 {
        self.time(self.count - 1)
    }

    /// The end that was asked for: the last moment, or less than a step after it.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// The distance of the moments; 0 if only one was asked for.
    pub fn step(&self) -> i64 {
        self.step
    }

    /// All moments in order.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        let steps = *self;
        (0..self.count).map(move |index| steps.time(index))
    }
}

/// What a series has at a step.
#[derive(Clone, Debug)]
pub enum Element {
    /// A number.
    Number(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// One number, one histogram or nothing per step. A hole is held as the staleness marker, which no expression can yield: eight bytes a
/// step. Histograms stand in a column of their own, which only series that have some have at all.
#[derive(Clone, Debug)]
pub struct Column {
    numbers: Vec<f64>,
    // At the steps of histograms the numbers have holes.
    histograms: Option<Vec<Option<Arc<Histogram>>>>,
}

impl Column {
    /// Nothing at any step.
    pub fn holes(count: usize) -> Self {
        Self { numbers: vec![stale_marker(); count], histograms: None }
    }

    /// The same number at every step.
    pub fn constant(value: f64, count: usize) -> Self {
        Self { numbers: vec![value; count], histograms: None }
    }

    /// The number at a step, if there is one.
    pub fn get(&self, index: usize) -> Option<f64> {
        Some(self.numbers[index]).filter(|value| !is_stale(*value))
    }

    /// The histogram at a step, if there is one.
    pub fn histogram(&self, index: usize) -> Option<&Arc<Histogram>> {
        self.histograms.as_ref()?[index].as_ref()
    }

    /// What is at a step, if there is anything.
    pub fn element(&self, index: usize) -> Option<Element> {
        match self.histogram(index) {
            Some(histogram) => Some(Element::Histogram(Arc::clone(histogram))),
            None => self.get(index).map(Element::Number),
        }
    }

    /// Whether there is anything at a step.
    pub fn has(&self, index: usize) -> bool {
        !is_stale(self.numbers[index]) || self.histogram(index).is_some()
    }

    /// Whether any step has a histogram.
    pub fn has_histograms(&self) -> bool {
        self.histograms.as_ref().is_some_and(|histograms| histograms.iter().any(Option::is_some))
    }

    /// Puts a number at a step, or takes away what is there.
    pub fn set(&mut self, index: usize, value: Option<f64>) {
        self.numbers[index] = value.unwrap_or_else(stale_marker);
        if let Some(histograms) = &mut self.histograms {
            histograms[index] = None;
        }
    }

    /// Puts a histogram at a step.
    pub fn set_histogram(&mut self, index: usize, histogram: Arc<Histogram>) {
        self.numbers[index] = stale_marker();
        let count = self.numbers.len();
        self.histograms.get_or_insert_with(|| vec![None; count])[index] = Some(histogram);
    }

    /// Puts either at a step, or takes away what is there.
    pub fn put(&mut self, index: usize, element: Option<Element>) {
        match element {
            Some(Element::Histogram(histogram)) => self.set_histogram(index, histogram),
            Some(Element::Number(value)) => self.set(index, Some(value)),
            None => self.set(index, None),
        }
    }

    /// The steps that have a number, with their numbers.
    pub fn present(&self) -> impl Iterator<Item = (usize, f64)> {
        self.numbers.iter().copied().enumerate().filter(|(_, value)| !is_stale(*value))
    }

    /// The steps that have a histogram, with their histograms.
    pub fn histograms(&self) -> impl Iterator<Item = (usize, &Arc<Histogram>)> {
        let histograms = self.histograms.iter().flatten().enumerate();
        histograms.filter_map(|(index, histogram)| histogram.as_ref().map(|histogram| (index, histogram)))
    }

    /// The steps that have anything.
    pub fn occupied(&self) -> impl Iterator<Item = usize> {
        (0..self.numbers.len()).filter(|index| self.has(*index))
    }

    /// Whether no step has anything.
    pub fn is_empty(&self) -> bool {
        self.numbers.iter().all(|value| is_stale(*value)) && !self.has_histograms()
    }

    /// Replaces each number by what `change` makes of it; holes stay, and histograms become holes.
    pub fn map(mut self, mut change: impl FnMut(usize, f64) -> Option<f64>) -> Self {
        for (index, value) in self.numbers.iter_mut().enumerate() {
            if !is_stale(*value) {
                *value = change(index, *value).unwrap_or_else(stale_marker);
            }
        }
        self.histograms = None;
        self
    }

    /// Replaces whatever is at a step by what `numbers` or `histograms` makes of it; holes stay.
    pub fn map_all(
        self,
        numbers: impl FnMut(usize, f64) -> Option<f64>,
        mut histograms: impl FnMut(usize, &Arc<Histogram>) -> Option<Element>,
    ) -> Self {
        if self.histograms.is_none() {
            return self.map(numbers);
        }
        let changed: Vec<(usize, Option<Element>)> =
            self.histograms().map(|(index, histogram)| (index, histograms(index, histogram))).collect();
        let mut column = self.map(numbers);
        for (index, element) in changed {
            column.put(index, element);
        }
        column
    }

    /// Keeps what is at a step if `keep` says so.
    pub fn filter(mut self, mut keep: impl FnMut(usize) -> bool) -> Self {
        for (index, value) in self.numbers.iter_mut().enumerate() {
            if !is_stale(*value) && !keep(index) {
                *value = stale_marker();
            }
        }
        for (index, histogram) in self.histograms.iter_mut().flatten().enumerate() {
            if histogram.is_some() && !keep(index) {
                *histogram = None;
            }
        }
        self
    }
}

/// A set of steps, one bit each.
#[derive(Clone, Debug)]
pub struct StepSet(Box<[u64]>);

impl StepSet {
    /// How many words of eight bytes it takes for `count` steps.
    pub fn words(count: usize) -> usize {
        count.div_ceil(64)
    }

    /// None of `count` steps.
    pub fn none(count: usize) -> Self {
        Self(vec![0; Self::words(count)].into_boxed_slice())
    }

    /// Puts a step in; whether it was not there before.
    pub fn insert(&mut self, index: usize) -> bool {
        let (word, bit) = (&mut self.0[index / 64], 1 << (index % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether a step is in.
    pub fn contains(&self, index: usize) -> bool {
        self.0[index / 64] & (1 << (index % 64)) != 0
    }
}

/// A series over the steps of a query.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Its numbers.
    pub column: Column,
    /// Whether it will have lost its name when the query is answered. Never where names are dropped at once.
    pub name_goes: bool,
}

/// A number at a time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// The number.
    pub value: f64,
}

/// What a series has at a time in milliseconds.
#[derive(Clone, Debug)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// A number or a histogram.
    pub element: Element,
}

/// The points of a series: numbers and histograms apart, each in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Points {
    /// The numbers.
    pub numbers: Vec<Sample>,
    /// The histograms with their times.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

impl Points {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.histograms.is_empty()
    }
}

/// The value of a whole query.
#[derive(Clone, Debug)]
pub enum Value {
    /// One number.
    Scalar(Sample),
    /// One text, and the time it was asked for.
    Text(i64, String),
    /// Series at one moment: in the order `sort` or `topk` at the very outside gives them, or else by their labels.
    Vector(Vec<(Labels, Point)>),
    /// Series over time, sorted by their labels; none is empty.
    Matrix(Vec<(Labels, Points)>),
}

/// A value with what the asker should know about it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What may make it wrong.
    pub warnings: Vec<String>,
    /// What may be worth knowing.
    pub infos: Vec<String>,
    /// How many samples each step has looked at; nothing if that was not asked.
    pub looked_at: Vec<(i64, u64)>,
    /// How long it took to put the series in order.
    pub sorted: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_include_the_end_if_it_is_reached() {
        let times = |start, end, step| Steps::range(start, end, step).map(|steps| steps.iter().collect::<Vec<_>>());
        assert_eq!(times(0, 10, 5).ok(), Some(vec![0, 5, 10]));
        assert_eq!(times(0, 9, 5).ok(), Some(vec![0, 5]));
        assert_eq!(times(-3, -3, 5).ok(), Some(vec![-3]));
        assert!(times(1, 0, 5).is_err());
        assert!(times(0, 1, 0).is_err());
        assert!(times(i64::MIN, i64::MAX, 1).is_err());
        assert_eq!(Steps::range(0, 11_000, 1).map(|steps| steps.count()).ok(), Some(11_001));
        assert!(Steps::range(0, 11_001, 1).is_err());
    }

    #[test]
    fn aligned_steps_are_multiples() {
        let times = |after, end, step| Steps::aligned(after, end, step).map(|steps| steps.iter().collect::<Vec<_>>());
        assert_eq!(times(0, 20, 10), Some(vec![10, 20]));
        assert_eq!(times(-1, 19, 10), Some(vec![0, 10]));
        assert_eq!(times(-25, 5, 10), Some(vec![-20, -10, 0]));
        assert_eq!(times(-20, -10, 10), Some(vec![-10]));
        assert_eq!(times(11, 19, 10), None);
        assert!(Steps::aligned(i64::MAX - 5, i64::MAX, 10).is_none());
    }

    #[test]
    fn step_sets_remember() {
        let mut steps = StepSet::none(130);
        assert!(steps.insert(0) && steps.insert(63) && steps.insert(64) && steps.insert(129));
        assert!(!steps.insert(64));
        let all: Vec<usize> = (0..130).filter(|index| steps.contains(*index)).collect();
        assert_eq!(all, [0, 63, 64, 129]);
    }

    #[test]
    fn columns_tell_holes_from_nan() {
        let mut column = Column::holes(3);
        assert!(column.is_empty());
        column.set(1, Some(f64::NAN));
        assert!(column.get(1).is_some_and(f64::is_nan));
        assert_eq!(column.present().count(), 1);
        let column = column.map(|_, _| Some(4.0));
        assert_eq!(column.present().collect::<Vec<_>>(), [(1, 4.0)]);
    }

    #[test]
    fn a_step_has_a_number_or_a_histogram() {
        let mut column = Column::constant(1.0, 3);
        column.set_histogram(1, Arc::default());
        assert!(column.has(1) && column.get(1).is_none() && column.histogram(1).is_some());
        assert_eq!((column.present().count(), column.histograms().count(), column.occupied().count()), (2, 1, 3));
        let kept = column.clone().filter(|index| index == 1);
        assert_eq!(kept.occupied().collect::<Vec<_>>(), [1]);
        assert!(!column.clone().map(|_, value| Some(value)).has_histograms());
        let swapped = column.map_all(|_, _| None, |_, _| Some(Element::Number(7.0)));
        assert_eq!(swapped.present().collect::<Vec<_>>(), [(1, 7.0)]);
        let mut column = swapped;
        column.set_histogram(1, Arc::default());
        column.set(1, None);
        assert!(column.is_empty());
    }
}
