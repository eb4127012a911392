//! Answers, whoever gave them, and when two of their values are one.

use std::sync::Arc;

use model::Labels;
use query::promql::notation::Written;
use query::promql::{self, Buckets, Element, Histogram, PromqlError, Value};

/// What came of a question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The value.
    pub given: Given,
    /// What may make it wrong.
    pub warnings: Vec<String>,
    /// What the asker may want to know.
    pub infos: Vec<String>,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Given {
    /// A text.
    Text(String),
    /// One number.
    Scalar(f64),
    /// Series with what they have now.
    Vector(Vec<(Labels, Seen)>),
    /// Series with what they have at some times, in the order of these.
    Matrix(Vec<(Labels, Vec<(i64, Seen)>)>),
}

/// What a series has at a time.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A number.
    Number(f64),
    /// A native histogram as the engine has it.
    Histogram(Arc<Histogram>),
    /// What an answer over HTTP shows of one.
    Shown(Shown),
}

/// A native histogram without its schema, and without what is known of resets.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// How many observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Its buckets.
    pub buckets: Vec<ShownBucket>,
}

/// Which ends belong to a bucket, in the API's numbers; where it begins and ends; its count.
pub type ShownBucket = (u8, f64, f64, f64);

/// There was no answer.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Why not.
    pub message: String,
    /// Whether the question was sound, and only what it found was not.
    pub in_execution: bool,
}

impl From<promql::Answer> for Answer {
    fn from(answer: promql::Answer) -> Self {
        let given = match answer.value {
            Value::Text(_, text) => Given::Text(text),
            Value::Scalar(sample) => Given::Scalar(sample.value),
            Value::Vector(vector) => {
                let seen = |point: promql::Point| match point.element {
                    Element::Number(value) => Seen::Number(value),
                    Element::Histogram(histogram) => Seen::Histogram(histogram),
                };
                Given::Vector(vector.into_iter().map(|(labels, point)| (labels, seen(point))).collect())
            }
            Value::Matrix(matrix) => {
                let series = matrix.into_iter().map(|(labels, points)| {
                    let numbers = points.numbers.iter().map(|sample| (sample.time, Seen::Number(sample.value)));
                    let histograms = points.histograms.iter();
                    let histograms = histograms.map(|(time, histogram)| (*time, Seen::Histogram(histogram.clone())));
                    let mut all: Vec<(i64, Seen)> = numbers.chain(histograms).collect();
                    all.sort_by_key(|(time, _)| *time);
                    (labels, all)
                });
                Given::Matrix(series.collect())
            }
        };
        Self { given, warnings: answer.warnings, infos: answer.infos }
    }
}

impl From<PromqlError> for Failure {
    fn from(error: PromqlError) -> Self {
        Self { message: error.to_string(), in_execution: matches!(error, PromqlError::Execution(_)) }
    }
}

/// What has to be at a step.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    Number(f64),
    Histogram(Written),
}

impl Expected {
    pub(crate) fn is(&self, got: &Seen) -> bool {
        match (self, got) {
            (Expected::Number(expected), Seen::Number(got)) => close(*expected, *got),
            (Expected::Histogram(expected), Seen::Histogram(got)) => {
                let hint = !expected.says_hint || expected.histogram.hint == got.hint;
                hint && close_histograms(&expected.histogram, got)
            }
            (Expected::Histogram(expected), Seen::Shown(got)) => close_shown(&Shown::of(&expected.histogram), got),
            _ => false,
        }
    }
}

impl Seen {
    /// Whether both are the same, as far as numbers can be.
    pub(crate) fn is(&self, other: &Seen) -> bool {
        match (self, other) {
            (Seen::Number(one), Seen::Number(other)) => close(*one, *other),
            (Seen::Histogram(one), Seen::Histogram(other)) => one.hint == other.hint && close_histograms(one, other),
            (Seen::Shown(one), Seen::Shown(other)) => close_shown(one, other),
            _ => false,
        }
    }
}

impl Shown {
    fn of(histogram: &Histogram) -> Self {
        let buckets = histogram.buckets().into_iter().map(|bucket| {
            let ends = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            (ends, bucket.lower, bucket.upper, bucket.count)
        });
        Self { count: histogram.count, sum: histogram.sum, buckets: buckets.collect() }
    }
}

fn close_shown(one: &Shown, other: &Shown) -> bool {
    let alike = |a: &ShownBucket, b: &ShownBucket| a.0 == b.0 && close(a.1, b.1) && close(a.2, b.2) && close(a.3, b.3);
    close(one.count, other.count)
        && close(one.sum, other.sum)
        && one.buckets.len() == other.buckets.len()
        && one.buckets.iter().zip(&other.buckets).all(|(a, b)| alike(a, b))
}

fn close_histograms(expected: &Histogram, got: &Histogram) -> bool {
    let buckets = |expected: &Buckets, got: &Buckets| {
        let all = expected.iter().chain(got.iter());
        all.map(|(index, _)| index).all(|index| close(expected.get(index), got.get(index)))
    };
    expected.schema == got.schema
        && close(expected.count, got.count)
        && close(expected.sum, got.sum)
        && close(expected.zero_threshold, got.zero_threshold)
        && close(expected.zero_count, got.zero_count)
        && buckets(&expected.positive, &got.positive)
        && buckets(&expected.negative, &got.negative)
        && expected.bounds == got.bounds
}

pub(crate) fn close(a: f64, b: f64) -> bool {
    // Numbers in scripts are often rounded for people; the tolerance is the one of Prometheus's own runner.
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-6 * (a.abs() + b.abs()).min(f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_what_is_shown_of_it() {
        let written = query::promql::notation::histogram("{{count:4 sum:3 z_bucket:1 z_bucket_w:0.5 buckets:[1 2]}}");
        let expected = Expected::Histogram(written.expect("the notation is right"));
        let buckets = vec![(3, -0.5, 0.5, 1.0), (0, 0.5, 1.0, 1.0), (0, 1.0, 2.0, 2.0)];
        let shown = Shown { count: 4.0, sum: 3.0, buckets };
        assert!(expected.is(&Seen::Shown(shown.clone())), "{expected:?} {shown:?}");
        let mut fewer = shown.clone();
        fewer.buckets.pop();
        let other = Shown { sum: 3.1, ..shown.clone() };
        assert!(![fewer, other].into_iter().any(|wrong| expected.is(&Seen::Shown(wrong))));
        assert!(!expected.is(&Seen::Number(4.0)));
    }

    #[test]
    fn numbers_are_close() {
        for (one, other, same) in [
            (1.0, 1.0 + 1e-9, true),
            (1.0, 1.00001, false),
            (f64::NAN, f64::NAN, true),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, 1.0, false),
            (0.0, -0.0, true),
            (0.0, 1e-300, false),
        ] {
            assert_eq!(close(one, other), same, "{one} {other}");
        }
    }
}
