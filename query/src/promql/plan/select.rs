//! Selectors, ranges and subqueries of a plan: which samples, and when.

use super::{Span, Vector};
use crate::promql::matcher::{Matcher, only_name};

/// Which series and, relative to a step, which time.
#[derive(Debug, Clone)]
pub struct Select {
    /// All of them have to accept.
    pub matchers: Vec<Matcher>,
    /// Relative to the step.
    pub when: When,
    /// Samples beside those of the time itself.
    pub extension: Option<Extension>,
    /// Byte offset in the query.
    pub position: Option<usize>,
}

/// The modifiers of extended selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// `anchored`: the sample before a range stands at its beginning.
    Anchored,
    /// `smoothed`: at the ends of a range, or at the time, stands what is interpolated between the samples around it.
    Smoothed,
}

/// The modifiers `offset` and `@`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Subtracted from the time of the step.
    pub offset: Span,
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
    pub range: Span,
}

/// `v[range:step]`: `v` evaluated at the multiples of `step`.
#[derive(Debug)]
pub struct Subquery {
    /// What is evaluated.
    pub vector: Vector,
    /// How far back.
    pub range: Span,
    /// At which distance, unless the asker decides.
    pub step: Option<Span>,
    /// Relative to the step of the whole.
    pub when: When,
    /// Byte offset in the query.
    pub position: Option<usize>,
}

impl Extension {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Extension::Anchored => "anchored",
            Extension::Smoothed => "smoothed",
        }
    }

    /// The functions of ranges that know what to do with it, in the order of their names.
    pub fn functions(self) -> &'static [&'static str] {
        match self {
            Extension::Anchored => &["changes", "delta", "increase", "rate", "resets"],
            Extension::Smoothed => &["delta", "increase", "rate"],
        }
    }
}

impl Range {
    /// The modifier of its selector.
    pub fn extension(&self) -> Option<Extension> {
        match self {
            Range::Select(range) => range.select.extension,
            Range::Subquery(_) => None,
        }
    }

    /// How far back.
    pub fn range(&self) -> Span {
        match self {
            Range::Select(range) => range.range,
            Range::Subquery(subquery) => subquery.range,
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

    /// The same for remarks: Prometheus has no place of a subquery any more once its samples are there, and says 1:1.
    pub fn remarked(&self) -> Option<usize> {
        match self {
            Range::Select(range) => range.select.position,
            Range::Subquery(_) => Some(0),
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
