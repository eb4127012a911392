//! The aggregations of a plan.

use super::{Grouping, Scalar, Vector};

/// An aggregation whose groups need one state per step.
#[derive(Debug)]
pub struct Aggregate {
    /// What is computed.
    pub operation: Aggregation,
    /// Of which series.
    pub vector: Vector,
    /// The labels of the groups.
    pub by: Grouping,
    /// Where the series stand in the query.
    pub position: Option<usize>,
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
    Group,
    Stddev,
    Stdvar,
}

/// `quantile(q, v)`
#[derive(Debug)]
pub struct GroupQuantile {
    /// Between 0 and 1.
    pub quantile: Scalar,
    /// Of which series.
    pub vector: Vector,
    /// The labels of the groups.
    pub by: Grouping,
    /// Where the quantile stands in the query.
    pub position: Option<usize>,
    /// Where the series stand in the query.
    pub series_position: Option<usize>,
}

/// `topk(k, v)` and `bottomk(k, v)`
#[derive(Debug)]
pub struct Choice {
    /// From which end.
    pub side: Side,
    /// How many of each group.
    pub count: Scalar,
    /// Of which series.
    pub vector: Vector,
    /// The labels of the groups.
    pub by: Grouping,
    /// Where the series stand in the query.
    pub position: Option<usize>,
}

/// `limitk(k, v)` and `limit_ratio(r, v)`
#[derive(Debug)]
pub struct Limit {
    /// How many of each group.
    pub portion: Portion,
    /// Of which series.
    pub vector: Vector,
    /// The labels of the groups.
    pub by: Grouping,
    /// Where the number stands in the query.
    pub position: Option<usize>,
}

/// How many series stay.
#[derive(Debug)]
pub enum Portion {
    /// So many, whichever.
    Count(Scalar),
    /// About this share, chosen by what their labels hash to; of a negative one those that the share one greater leaves out.
    Share(Scalar),
}

/// Which numbers come first. NaN comes last either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The greatest.
    Greatest,
    /// The least.
    Least,
}

/// `count_values("label", v)`
#[derive(Debug)]
pub struct CountValues {
    /// The label that gets the value.
    pub label: String,
    /// Of which series.
    pub vector: Vector,
    /// The labels of the groups, `label` among them.
    pub by: Grouping,
}

impl Aggregation {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Aggregation::Sum => "sum",
            Aggregation::Avg => "avg",
            Aggregation::Min => "min",
            Aggregation::Max => "max",
            Aggregation::Count => "count",
            Aggregation::Group => "group",
            Aggregation::Stddev => "stddev",
            Aggregation::Stdvar => "stdvar",
        }
    }
}

impl Side {
    /// The aggregation that chooses from this end.
    pub fn word(self) -> &'static str {
        match self {
            Side::Greatest => "topk",
            Side::Least => "bottomk",
        }
    }

    /// The order of two numbers.
    pub fn compare(self, left: f64, right: f64) -> std::cmp::Ordering {
        let numbers = match self {
            Side::Greatest => right.partial_cmp(&left),
            Side::Least => left.partial_cmp(&right),
        };
        numbers.unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
    }
}
