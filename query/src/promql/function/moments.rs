//! Sums, means and deviations of a window.

use super::{Arguments, Window};
use crate::promql::summation::{Mean, Sum};

pub(super) fn sum(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    let mut sum = Sum::default();
    window.values.iter().for_each(|value| sum.add(*value));
    Some(sum.total())
}

pub(super) fn count(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    Some(window.values.len() as f64)
}

pub(super) fn avg(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    let mut mean = Mean::default();
    let mut count = 0.0;
    for value in window.values {
        count += 1.0;
        mean.add(*value, count);
    }
    Some(mean.mean(count))
}

/// The variance of the window itself, not an estimate for what it was taken from.
pub(super) fn stdvar(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    // Welford's algorithm. Where it divides, the mean is what the sum of its changes is.
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    let mut count = 0.0;
    for value in window.values {
        count += 1.0;
        let delta = value - mean.total();
        mean.add(delta / count);
        squares.add(delta * (value - mean.total()));
    }
    Some(squares.total() / count)
}

pub(super) fn stddev(window: Window<'_>, arguments: Arguments<'_>) -> Option<f64> {
    stdvar(window, arguments).map(f64::sqrt)
}
