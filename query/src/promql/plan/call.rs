//! The function calls of a plan.

use regex::Regex;

use super::{Range, Scalar, Select, Vector};
use crate::promql::function::{ElementFunction, RangeFunction};

/// A function over a range of samples.
#[derive(Debug)]
pub struct OverRange {
    /// The function.
    pub function: &'static RangeFunction,
    /// Of which samples.
    pub range: Range,
    /// Its other arguments.
    pub arguments: Vec<Scalar>,
    /// Where its first argument stands in the query.
    pub position: Option<usize>,
}

/// A function of single numbers.
#[derive(Debug)]
pub struct Mapped {
    /// The function.
    pub function: ElementFunction,
    /// Of which series.
    pub vector: Vector,
    /// Its other arguments.
    pub arguments: Vec<Scalar>,
}

/// `label_replace(v, destination, replacement, source, regex)`
#[derive(Debug)]
pub struct LabelReplace {
    /// Of which series.
    pub vector: Vector,
    /// The label that is set.
    pub destination: String,
    /// To what, with `$1` for what a group has caught.
    pub replacement: String,
    /// The label that is looked at.
    pub source: String,
    /// What it has to match as a whole.
    pub regex: Regex,
}

/// `label_join(v, destination, separator, sources...)`
#[derive(Debug)]
pub struct LabelJoin {
    /// Of which series.
    pub vector: Vector,
    /// The label that is set.
    pub destination: String,
    /// What stands between the parts.
    pub separator: String,
    /// The labels that are joined.
    pub sources: Vec<String>,
}

/// A function of the buckets of histograms.
#[derive(Debug)]
pub struct HistogramShare {
    /// What is computed.
    pub function: HistogramFunction,
    /// The series, a bucket each.
    pub vector: Vector,
    /// Where the first argument stands in the query.
    pub first_position: Option<usize>,
    /// Where the series stand in the query.
    pub position: Option<usize>,
}

/// What is computed of the buckets of a histogram.
#[derive(Debug)]
pub enum HistogramFunction {
    /// `histogram_quantile(q, v)`
    Quantile(Scalar),
    /// `histogram_fraction(lower, upper, v)`
    Fraction(Scalar, Scalar),
    /// `histogram_quantiles(v, label, q...)`: the label says which quantile it is.
    Quantiles(String, Vec<Scalar>),
}

/// What native histograms tell without further ado.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the language's own words")]
pub enum HistogramFact {
    Count,
    Sum,
    Avg,
    Stddev,
    Stdvar,
}

/// `sort_by_label(v, labels...)` and `sort_by_label_desc`
#[derive(Debug)]
pub struct SortedByLabels {
    /// Of which series.
    pub vector: Vector,
    /// By which labels, the first first.
    pub labels: Vec<String>,
    /// Whether the greatest come first.
    pub descending: bool,
}

/// `info(v, {selector})`
#[derive(Debug)]
pub struct Info {
    /// The series that get labels.
    pub vector: Vector,
    /// The series they get them from.
    pub infos: Select,
    /// The labels they get, and must have if a matcher refuses the empty value; all if there are none.
    pub labels: Vec<String>,
}
