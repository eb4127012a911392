//! What a query means, decided once: types told apart, durations in milliseconds, matchers compiled, operators and functions
//! resolved. What the engine cannot do yet is refused here, with its name and place.
//!
//! Scalars and vectors are different types, so that evaluation has no kinds to check.

mod aggregate;
mod build;
mod call;
mod duration;
mod operator;
mod select;

pub use aggregate::{Aggregate, Aggregation, Choice, CountValues, GroupQuantile, Limit, Portion, Side};
pub use call::{
    HistogramFact, HistogramFunction, HistogramShare, Info, LabelJoin, LabelReplace, Mapped, OverRange, SortedByLabels,
};
pub use duration::{Duration, Span};
pub use operator::{
    Arithmetic, Comparison, Fill, Grouping, ManySide, Match, Operator, SetMatch, SetOperator, WithScalar,
};
pub use select::{At, Extension, Range, RangeSelect, Select, Subquery, When};

use promql_parser::parser::{Expr, VectorSelector};

use super::features::Features;
use super::matcher::Matcher;

/// A whole query, ready to be evaluated any number of times over any source: immutable, and shared freely between threads.
#[derive(Debug)]
pub struct Plan {
    // Messages name places in it.
    query: Box<str>,
    root: Root,
    // Durations that depend on the query's times.
    durations: Vec<Duration>,
}

/// What a whole query gives.
#[derive(Debug)]
pub(super) enum Root {
    /// One number per step.
    Scalar(Scalar),
    /// Series.
    Vector(Vector),
    /// Samples as they are stored; only an instant query may ask for them.
    Range(Range),
    /// A text; only an instant query may ask for one.
    Text(String),
}

/// An expression of one number per step.
#[derive(Debug)]
pub enum Scalar {
    /// A literal.
    Number(f64),
    /// `time()`
    Time,
    /// `-x`
    Negate(Box<Scalar>),
    /// An operator between two scalars; comparisons give 1 or 0.
    Binary(Operator, Box<Scalar>, Box<Scalar>),
    /// `scalar(v)`: the number of the only series, NaN if there is none or more than one.
    Of(Box<Vector>),
    /// `start()`, `end()`, `range()`, `step()`
    Query(QueryFact),
    /// `max_of(a, b)` and `min_of(a, b)`
    Extreme(Side, Box<Scalar>, Box<Scalar>),
}

/// What a query knows of itself, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryFact {
    /// When it starts.
    Start,
    /// When it ends.
    End,
    /// How long it is.
    Range,
    /// How far its steps are apart; 0 if there is only one.
    Step,
}

/// An expression of any number of series.
#[derive(Debug)]
pub enum Vector {
    /// A selector: the newest sample within the lookback.
    Select(Select),
    /// `timestamp(selector)`: the time of the newest sample within the lookback.
    SampleTime(Select),
    /// `timestamp(v)` of anything else: the time of the step.
    StepTime(Box<Vector>),
    /// `vector(x)`: one series without labels.
    Constant(Scalar),
    /// `-v`
    Negate(Box<Vector>),
    /// `sort(v)` and `sort_desc(v)`, which count at the very end only.
    Sorted(Side, Box<Vector>),
    /// `sort_by_label` and `sort_by_label_desc`, likewise.
    SortedByLabels(Box<SortedByLabels>),
    /// An operator between a vector and a scalar.
    WithScalar(Box<WithScalar>),
    /// An operator between two vectors that computes or compares.
    Match(Box<Match>),
    /// An operator between two vectors that chooses series.
    Set(Box<SetMatch>),
    /// An aggregation.
    Aggregate(Box<Aggregate>),
    /// `quantile`
    GroupQuantile(Box<GroupQuantile>),
    /// `topk` and `bottomk`
    Choice(Box<Choice>),
    /// `count_values`
    CountValues(Box<CountValues>),
    /// `limitk` and `limit_ratio`
    Limit(Box<Limit>),
    /// A function over a range of samples.
    OverRange(Box<OverRange>),
    /// A function of single numbers.
    Mapped(Box<Mapped>),
    /// `absent(v)`: one series with these labels where `v` has none.
    Absent(model::Labels, Box<Vector>),
    /// `label_replace`
    LabelReplace(Box<LabelReplace>),
    /// `label_join`
    LabelJoin(Box<LabelJoin>),
    /// A function of the buckets of histograms.
    Histogram(Box<HistogramShare>),
    /// A number that native histograms tell.
    HistogramFact(HistogramFact, Box<Vector>),
    /// `info`
    Info(Box<Info>),
}

/// The order in which an instant query gives its series.
#[derive(Debug)]
pub(super) enum Order<'a> {
    /// By their labels.
    Labels,
    /// By their numbers.
    Value(Side),
    /// Group by group, and in each by their numbers.
    Groups(&'a Grouping, Side),
    /// By the values of these labels.
    SomeLabels(&'a SortedByLabels),
}

impl Vector {
    /// Whether the series stay different from each other once their names are gone.
    pub fn is_unique_without_name(&self) -> bool {
        match self {
            Vector::Select(select) => super::matcher::only_name(&select.matchers).is_some(),
            Vector::OverRange(node) if node.function.keeps_name => node.range.is_unique_without_name(),
            Vector::SampleTime(_)
            | Vector::StepTime(_)
            | Vector::Constant(_)
            | Vector::Negate(_)
            | Vector::OverRange(_)
            | Vector::Mapped(_)
            | Vector::Absent(..)
            | Vector::HistogramFact(..)
            | Vector::Histogram(_) => true,
            Vector::SortedByLabels(node) => node.vector.is_unique_without_name(),
            Vector::Limit(node) => node.vector.is_unique_without_name(),
            Vector::Sorted(_, inner) => inner.is_unique_without_name(),
            Vector::WithScalar(node) => node.drops_name() || node.vector.is_unique_without_name(),
            Vector::Match(node) => node.drops_name(),
            Vector::Aggregate(node) => node.by.leaves_no_name(),
            Vector::GroupQuantile(node) => node.by.leaves_no_name(),
            Vector::Choice(node) => node.vector.is_unique_without_name(),
            Vector::Set(_)
            | Vector::CountValues(_)
            | Vector::LabelReplace(_)
            | Vector::LabelJoin(_)
            | Vector::Info(_) => false,
        }
    }

    pub(super) fn order(&self) -> Order<'_> {
        match self {
            Vector::Sorted(side, _) => Order::Value(*side),
            Vector::SortedByLabels(node) => Order::SomeLabels(node),
            Vector::Choice(node) => Order::Groups(&node.by, node.side),
            _ => Order::Labels,
        }
    }
}

impl Plan {
    /// Parses and plans a query that may use every feature.
    pub fn new(query: &str) -> Result<Self, super::PromqlError> {
        Self::with_features(query, &Features::default())
    }

    /// Parses and plans a query that may use these features.
    pub fn with_features(query: &str, features: &Features) -> Result<Self, super::PromqlError> {
        let parsed = super::parse::parse(query)?;
        let mut builder = build::Builder::new(query, parsed.entries, features);
        let root = builder.plan(&parsed.tree)?;
        Ok(Self { query: query.into(), root, durations: builder.into_durations() })
    }

    /// The query's text.
    pub fn query(&self) -> &str {
        &self.query
    }

    pub(super) fn durations(&self) -> &[Duration] {
        &self.durations
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }
}

/// What a selector somewhere in `query` matches.
pub(super) fn matchers_of(query: &str, selector: &VectorSelector) -> Result<Vec<Matcher>, super::PromqlError> {
    let plain = VectorSelector { offset: None, at: None, ..selector.clone() };
    build::Builder::new(query, Vec::new(), &Features::default()).series_selector(&Expr::VectorSelector(plain))
}

/// Reads a series selector, as `match[]` has it: `up{job="shop"}`, without range, offset or time.
pub fn series_selector(query: &str) -> Result<Vec<Matcher>, super::PromqlError> {
    let parsed = super::parse::parse(query)?;
    build::Builder::new(query, parsed.entries, &Features::default()).series_selector(&parsed.tree)
}
