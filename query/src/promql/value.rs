//! The values of a query: steps, columns of numbers over them, series, and the finished answer.

use model::Labels;

use super::error::PromqlError;
use super::limits;
use super::staleness::{is_stale, stale_marker};

/// The moments a query is evaluated at, in milliseconds since the Unix epoch: one for an instant query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    start: i64,
    step: i64,
    count: usize,
}

impl Steps {
    /// One moment.
    pub fn instant(at: i64) -> Self {
        Self { start: at, step: 1, count: 1 }
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
        Ok(Self { start, step, count: usize::try_from(span / step).unwrap_or(0) + 1 })
    }

    /// The multiples of `step` after `after`, up to and including `end`; `None` if there are none. As many as that: what they may
    /// cost is a matter of the budget.
    pub(super) fn aligned(after: i64, end: i64, step: i64) -> Option<Self> {
        let start = after.div_euclid(step).checked_add(1)?.checked_mul(step)?;
        let span = end.checked_sub(start).filter(|span| *span >= 0)?;
        Some(Self { start, step, count: usize::try_from(span / step).ok()?.checked_add(1)? })
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

    /// All moments in order.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        let steps = *self;
        (0..self.count).map(move |index| steps.time(index))
    }
}

/// One number or none per step. A hole is held as the staleness marker, which no expression can yield: eight bytes a step.
#[derive(Clone, Debug)]
pub struct Column(Vec<f64>);

impl Column {
    /// Nothing at any step.
    pub fn holes(count: usize) -> Self {
        Self(vec![stale_marker(); count])
    }

    /// The same number at every step.
    pub fn constant(value: f64, count: usize) -> Self {
        Self(vec![value; count])
    }

    /// The number at a step, if there is one.
    pub fn get(&self, index: usize) -> Option<f64> {
        Some(self.0[index]).filter(|value| !is_stale(*value))
    }

    /// Puts a number at a step, or takes it away.
    pub fn set(&mut self, index: usize, value: Option<f64>) {
        self.0[index] = value.unwrap_or_else(stale_marker);
    }

    /// The steps that have a number, with their numbers.
    pub fn present(&self) -> impl Iterator<Item = (usize, f64)> {
        self.0.iter().copied().enumerate().filter(|(_, value)| !is_stale(*value))
    }

    /// Whether no step has a number.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|value| is_stale(*value))
    }

    /// Replaces each number by what `change` makes of it; holes stay.
    pub fn map(mut self, mut change: impl FnMut(usize, f64) -> Option<f64>) -> Self {
        for (index, value) in self.0.iter_mut().enumerate() {
            if !is_stale(*value) {
                *value = change(index, *value).unwrap_or_else(stale_marker);
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
}

/// A number at a time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// The number.
    pub value: f64,
}

/// The value of a whole query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(Sample),
    /// One text, and the time it was asked for.
    Text(i64, String),
    /// Series at one moment: in the order `sort` or `topk` at the very outside gives them, or else by their labels.
    Vector(Vec<(Labels, Sample)>),
    /// Series over time, sorted by their labels; none is empty.
    Matrix(Vec<(Labels, Vec<Sample>)>),
}

/// A value with what the asker should know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What may make it wrong.
    pub warnings: Vec<String>,
    /// What may be worth knowing.
    pub infos: Vec<String>,
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
}
