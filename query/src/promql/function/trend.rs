//! Where a window is going: a line through its samples, and exponential smoothing.

use super::{Arguments, Window};
use crate::promql::summation::Sum;

/// The slope of the line, per second.
pub(super) fn deriv(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    if window.times.len() < 2 {
        return None;
    }
    // Seconds since a moment near the samples: since 1970 they would have too few digits left.
    Some(regression(window, *window.times.first()?).slope)
}

/// Where the line is so many seconds after the step.
pub(super) fn predict_linear(window: Window<'_>, arguments: Arguments<'_>) -> Option<f64> {
    let ahead = arguments.numbers.first().copied()?;
    if window.times.len() < 2 {
        return None;
    }
    let line = regression(window, arguments.at);
    Some(line.slope * ahead + line.intercept)
}

struct Line {
    slope: f64,
    intercept: f64,
}

// The line of least squares; its intercept is its value at `zero`.
fn regression(window: Window<'_>, zero: i64) -> Line {
    let first = window.values.first().copied().unwrap_or(f64::NAN);
    if window.values.iter().all(|value| *value == first) {
        let nan = f64::NAN;
        let constant = Line { slope: 0.0, intercept: first };
        return if first.is_infinite() { Line { slope: nan, intercept: nan } } else { constant };
    }
    let (mut sum_x, mut sum_y, mut sum_xy, mut sum_xx) =
        (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (time, y) in window.times.iter().zip(window.values) {
        let x = (time - zero) as f64 / 1000.0;
        sum_x.add(x);
        sum_y.add(*y);
        sum_xy.add(x * y);
        sum_xx.add(x * x);
    }
    let count = window.values.len() as f64;
    let (sum_x, sum_y) = (sum_x.total(), sum_y.total());
    let covariance = sum_xy.total() - sum_x * sum_y / count;
    let variance = sum_xx.total() - sum_x * sum_x / count;
    let slope = covariance / variance;
    Line { slope, intercept: sum_y / count - slope * sum_x / count }
}

/// Holt's linear smoothing: the last value, smoothed by the first factor, with a trend that is smoothed by the second.
pub(super) fn smoothed(window: Window<'_>, arguments: Arguments<'_>) -> Option<f64> {
    let [smoothing, trend_smoothing] = arguments.numbers else { return None };
    let [first, second, ..] = window.values else { return None };
    let (mut before, mut level) = (0.0, *first);
    let mut trend = second - first;
    for (index, value) in window.values.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_smoothing * (level - before) + (1.0 - trend_smoothing) * trend;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + trend);
        (before, level) = (level, next);
    }
    Some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let times: Vec<i64> = (0..5).map(|n| 1_700_000_000_000 + n * 10_000).collect();
        let values = [3.0, 5.0, 7.0, 9.0, 11.0];
        let end = times[4];
        let window =
            Window { start: times[0] - 1, end, times: &times, values: &values, histogram_times: &[], histograms: &[] };
        let arguments = Arguments { at: end, numbers: &[20.0] };
        assert_eq!(deriv(window, arguments), Some(0.2));
        assert_eq!(predict_linear(window, arguments), Some(15.0));
        assert_eq!(smoothed(window, Arguments { at: end, numbers: &[0.5, 0.5] }), Some(11.0));
        let one = Window { times: &times[..1], values: &values[..1], ..window };
        assert_eq!(deriv(one, arguments), None);
        let flat = Window { values: &[4.0; 5], ..window };
        assert_eq!(predict_linear(flat, arguments), Some(4.0));
        let endless = Window { values: &[f64::INFINITY; 5], ..window };
        assert!(deriv(endless, arguments).is_some_and(f64::is_nan));
    }
}
