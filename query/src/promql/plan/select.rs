//! Selectors, ranges and subqueries of a plan: which samples, and when.

use super::Vector;
use crate::promql::matcher::{Matcher, only_name};

/// Which series and, relative to a step, which time.
#[derive(Debug, Clone)]
pub struct Select {
    /// All of them have to accept.
    pub matchers: Vec<Matcher>,
    /// Relative to the step.
    pub when: When,
    /// Byte offset in the query.
    pub position: Option<usize>,
}

/// The modifiers `offset` and `@`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Subtracted from the time of the step, in milliseconds.
    pub offset_ms: i64,
    /// A fixed time instead of the step's.
    pub at: Option<At>,
}

/// The `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since the Unix epoch.
    Time(i64),
    /// The query's start.
    Start,
    /// The query's end.
    End,
}

/// A range of samples.
#[derive(Debug)]
pub enum Range {
    /// Samples as they are stored.
    Select(RangeSelect),
    /// Samples as an expression gives them.
    Subquery(Box<Subquery>),
}

/// A selector with a range.
#[derive(Debug)]
pub struct RangeSelect {
    /// Which series and time.
    pub select: Select,
    /// Samples in `(time - range, time]`.
    pub range_ms: i64,
}

/// `v[range:step]`: `v` evaluated at the multiples of `step`.
#[derive(Debug)]
pub struct Subquery {
    /// What is evaluated.
    pub vector: Vector,
    /// How far back.
    pub range_ms: i64,
    /// At which distance, unless the asker decides.
    pub step_ms: Option<i64>,
    /// Relative to the step of the whole.
    pub when: When,
    /// Byte offset in the query.
    pub position: Option<usize>,
}

impl Range {
    /// How far back, in milliseconds.
    pub fn range_ms(&self) -> i64 {
        match self {
            Range::Select(range) => range.range_ms,
            Range::Subquery(subquery) => subquery.range_ms,
        }
    }

    /// From when.
    pub fn when(&self) -> When {
        match self {
            Range::Select(range) => range.select.when,
            Range::Subquery(subquery) => subquery.when,
        }
    }

    /// Byte offset in the query.
    pub fn position(&self) -> Option<usize> {
        match self {
            Range::Select(range) => range.select.position,
            Range::Subquery(subquery) => subquery.position,
        }
    }

    /// Whether the series stay different from each other once their names are gone.
    pub fn is_unique_without_name(&self) -> bool {
        match self {
            Range::Select(range) => only_name(&range.select.matchers).is_some(),
            Range::Subquery(subquery) => subquery.vector.is_unique_without_name(),
        }
    }
}
