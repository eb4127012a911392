//! The operators of a plan, and the labels by which series meet.

use model::labels::METRIC_NAME;

use super::{Scalar, Vector};
use crate::promql::histogram::Kept;

/// Binary operators that compute or compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Gives a number.
    Arithmetic(Arithmetic),
    /// Keeps or drops, or gives 1 or 0 with `bool`.
    Compare(Comparison),
    /// `</` and `>/`: histograms without the observations above or below a number.
    Trim(Kept),
}

/// `+ - * / % ^ atan2`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the language's own words")]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Atan2,
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

/// `and or unless`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the language's own words")]
pub enum SetOperator {
    And,
    Or,
    Unless,
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
    /// Where the left side begins in the query.
    pub position: Option<usize>,
    /// The `bool` modifier.
    pub return_bool: bool,
}

/// An operator between two vectors.
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
    /// Which side may have many series for one of the other; without it each series has at most one.
    pub many: Option<ManySide>,
    /// What stands in for a series that the other side has no counterpart to.
    pub fill: Fill,
    /// Where the left side begins in the query.
    pub position: Option<usize>,
}

/// `fill`, `fill_left`, `fill_right`
#[derive(Clone, Copy, Debug, Default)]
pub struct Fill {
    /// What stands in for a missing left side; with `group_right` for the right one.
    pub left: Option<f64>,
    /// What stands in for a missing right side; with `group_right` for the left one.
    pub right: Option<f64>,
}

impl Fill {
    /// Whether nothing is filled.
    pub fn is_none(self) -> bool {
        self.left.is_none() && self.right.is_none()
    }
}

/// `group_left` and `group_right`
#[derive(Debug)]
pub struct ManySide {
    /// Whether the many stand left.
    pub is_left: bool,
    /// Labels the result takes from the one.
    pub include: Vec<String>,
}

/// An operator between two vectors that chooses series.
#[derive(Debug)]
pub struct SetMatch {
    /// The operator.
    pub operator: SetOperator,
    /// The left side.
    pub left: Vector,
    /// The right side.
    pub right: Vector,
    /// Which labels have to be equal.
    pub on: Grouping,
}

/// A choice of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// `by`, `on`: only these.
    Only(Vec<String>),
    /// `without`, `ignoring`: all but these and the name.
    Without(Vec<String>),
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
        self.return_bool || self.makes_other_labels()
    }

    /// Whether that follows from what the result is, and not from its being a truth value alone: then the name goes at once also where
    /// names wait for the end of the query.
    pub fn makes_other_labels(&self) -> bool {
        // One series with one leaves the labels of `on`, and the name is a label like others.
        let left_out = match &self.on {
            Grouping::Only(names) => self.many.is_none() && !names.iter().any(|name| name == METRIC_NAME),
            Grouping::Without(_) => false,
        };
        matches!(self.operator, Operator::Arithmetic(_)) || left_out
    }
}

impl Grouping {
    /// The labels that are chosen from `labels`.
    pub fn of(&self, labels: &model::Labels) -> model::Labels {
        match self {
            Grouping::Only(names) => labels.filter(|name| names.iter().any(|n| n == name)),
            Grouping::Without(names) => labels.filter(|name| name != METRIC_NAME && !names.iter().any(|n| n == name)),
        }
    }

    /// Whether the name is never chosen.
    pub fn leaves_no_name(&self) -> bool {
        match self {
            Grouping::Only(names) => !names.iter().any(|name| name == METRIC_NAME),
            Grouping::Without(_) => true,
        }
    }
}
