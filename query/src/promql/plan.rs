//! What a query means, decided once: types told apart, durations in milliseconds, matchers compiled, operators and functions
//! resolved. What the engine cannot do yet is refused here, with its name and place.
//!
//! Scalars and vectors are different types, so that evaluation has no kinds to check.

mod build;

use super::function::RangeFunction;
use super::matcher::Matcher;

/// A whole query, ready to be evaluated any number of times over any source: immutable, and shared freely between threads.
#[derive(Debug)]
pub struct Plan {
    // Messages name places in it.
    query: Box<str>,
    root: Root,
}

/// What a whole query gives.
#[derive(Debug)]
pub(super) enum Root {
    /// One number per step.
    Scalar(Scalar),
    /// Series.
    Vector(Vector),
    /// Samples as they are stored; only an instant query may ask for them.
    Range(RangeSelect),
    /// A text; only an instant query may ask for one.
    Text(String),
}

/// An expression of one number per step.
#[derive(Debug)]
pub enum Scalar {
    /// A literal.
    Number(f64),
    /// `-x`
    Negate(Box<Scalar>),
    /// An operator between two scalars; comparisons give 1 or 0.
    Binary(Operator, Box<Scalar>, Box<Scalar>),
}

/// An expression of any number of series.
#[derive(Debug)]
pub enum Vector {
    /// A selector: the newest sample within the lookback.
    Select(Select),
    /// `-v`
    Negate(Box<Vector>),
    /// An operator between a vector and a scalar.
    WithScalar(Box<WithScalar>),
    /// An operator between two vectors.
    Match(Box<Match>),
    /// An aggregation.
    Aggregate(Box<Aggregate>),
    /// A function over a range of samples.
    OverRange(RangeFunction, RangeSelect),
}

/// Which series and, relative to a step, which time.
#[derive(Debug, Clone)]
pub struct Select {
    /// All of them have to accept.
    pub matchers: Vec<Matcher>,
    /// Subtracted from the time of the step, in milliseconds.
    pub offset_ms: i64,
    /// A fixed time instead of the step's.
    pub at: Option<At>,
    /// Byte offset in the query.
    pub position: Option<usize>,
}

/// A selector with a range.
#[derive(Debug)]
pub struct RangeSelect {
    /// Which series and time.
    pub select: Select,
    /// Samples in `(time - range, time]`.
    pub range_ms: i64,
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

/// Binary operators that compute or compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Gives a number.
    Arithmetic(Arithmetic),
    /// Keeps or drops, or gives 1 or 0 with `bool`.
    Compare(Comparison),
}

/// `+ - * / % ^`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the language's own words")]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

/// `== != < <= > >=`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the language's own words")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// An operator between a vector and a scalar.
#[derive(Debug)]
pub struct WithScalar {
    /// The operator.
    pub operator: Operator,
    /// The series.
    pub vector: Vector,
    /// The number.
    pub scalar: Scalar,
    /// Whether the number stands left of the operator.
    pub scalar_first: bool,
    /// The `bool` modifier.
    pub return_bool: bool,
}

/// An operator between two vectors, each series with at most one of the other side.
#[derive(Debug)]
pub struct Match {
    /// The operator.
    pub operator: Operator,
    /// The left side.
    pub left: Vector,
    /// The right side.
    pub right: Vector,
    /// Which labels have to be equal.
    pub on: Grouping,
    /// The `bool` modifier.
    pub return_bool: bool,
}

/// A choice of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// `by`, `on`: only these.
    Only(Vec<String>),
    /// `without`, `ignoring`: all but these and the name.
    Without(Vec<String>),
}

/// An aggregation.
#[derive(Debug)]
pub struct Aggregate {
    /// What is computed.
    pub operation: Aggregation,
    /// Of which series.
    pub vector: Vector,
    /// The labels of the groups.
    pub by: Grouping,
}

/// What an aggregation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the language's own words")]
pub enum Aggregation {
    Sum,
    Avg,
    Min,
    Max,
    Count,
}

impl Vector {
    /// Whether the series stay different from each other once their names are gone.
    pub fn is_unique_without_name(&self) -> bool {
        match self {
            Vector::Select(select) => super::matcher::only_name(&select.matchers).is_some(),
            Vector::Negate(_) | Vector::OverRange(..) => true,
            Vector::WithScalar(node) => node.drops_name() || node.vector.is_unique_without_name(),
            Vector::Match(node) => node.drops_name(),
            Vector::Aggregate(node) => match &node.by {
                Grouping::Only(labels) => !labels.iter().any(|label| label == model::labels::METRIC_NAME),
                Grouping::Without(_) => true,
            },
        }
    }
}

impl WithScalar {
    /// Whether the result bears no name.
    pub fn drops_name(&self) -> bool {
        self.return_bool || matches!(self.operator, Operator::Arithmetic(_))
    }
}

impl Match {
    /// Whether the result bears no name.
    pub fn drops_name(&self) -> bool {
        self.return_bool || matches!(self.operator, Operator::Arithmetic(_)) || matches!(self.on, Grouping::Only(_))
    }
}

impl Grouping {
    /// The labels that are chosen from `labels`.
    pub fn of(&self, labels: &model::Labels) -> model::Labels {
        match self {
            Grouping::Only(names) => labels.filter(|name| names.iter().any(|n| n == name)),
            Grouping::Without(names) => {
                labels.filter(|name| name != model::labels::METRIC_NAME && !names.iter().any(|n| n == name))
            }
        }
    }
}

impl Plan {
    /// Parses and plans a query.
    pub fn new(query: &str) -> Result<Self, super::PromqlError> {
        let tree = super::parse::parse(query)?;
        Ok(Self { query: query.into(), root: build::Builder::new(query).plan(&tree)? })
    }

    /// The query's text.
    pub fn query(&self) -> &str {
        &self.query
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }
}

/// Reads a series selector, as `match[]` has it: `up{job="shop"}`, without range, offset or time.
pub fn series_selector(query: &str) -> Result<Vec<Matcher>, super::PromqlError> {
    let tree = super::parse::parse(query)?;
    build::Builder::new(query).series_selector(&tree)
}
