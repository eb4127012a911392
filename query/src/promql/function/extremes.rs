//! Least, greatest and in-between values of a window.

use super::{Arguments, Window};

pub(super) fn min(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    window.values.iter().copied().reduce(|least, value| if value < least || least.is_nan() { value } else { least })
}

pub(super) fn max(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    window.values.iter().copied().reduce(|most, value| if value > most || most.is_nan() { value } else { most })
}

/// When the least value was, for the last time, in seconds.
pub(super) fn time_of_min(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    time_of(window, |value, least| value <= least)
}

/// When the greatest value was, for the last time, in seconds.
pub(super) fn time_of_max(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    time_of(window, |value, most| value >= most)
}

fn time_of(window: Window<'_>, wins: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let samples = window.times.iter().copied().zip(window.values.iter().copied());
    let extreme = samples.reduce(|best, next| if wins(next.1, best.1) || best.1.is_nan() { next } else { best });
    super::seconds(extreme.map(|(time, _)| time).as_ref())
}

/// The median of the distances from the median; NaN if any value is.
pub(super) fn mad(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    if window.values.iter().any(|value| value.is_nan()) {
        return Some(f64::NAN);
    }
    let mut values = window.values.to_vec();
    let median = quantile(0.5, &mut values);
    for value in &mut values {
        *value = (*value - median).abs();
    }
    Some(quantile(0.5, &mut values))
}

pub(super) fn quantile_of(window: Window<'_>, arguments: Arguments<'_>) -> Option<f64> {
    let share = arguments.numbers.first().copied().unwrap_or(f64::NAN);
    Some(quantile(share, &mut window.values.to_vec()))
}

/// The value below which `share` of the values lie, interpolated between the two nearest. NaN counts as less than any number.
/// Puts the values in order.
pub fn quantile(share: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || share.is_nan() {
        return f64::NAN;
    }
    if share < 0.0 {
        return f64::NEG_INFINITY;
    }
    if share > 1.0 {
        return f64::INFINITY;
    }
    let is_number = |value: f64| !value.is_nan();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| is_number(*a).cmp(&is_number(*b))));
    let last = values.len() - 1;
    let rank = share * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let nan = f64::NAN;
        for (share, values, expected) in [
            (0.5, &[4.0, 0.0, 1.0][..], 1.0),
            (0.8, &[0.0, 4.0, 1.0], 2.8),
            (0.0, &[3.0, 1.0], 1.0),
            (1.0, &[3.0, 1.0], 3.0),
            (-0.1, &[3.0], f64::NEG_INFINITY),
            (1.1, &[3.0], f64::INFINITY),
            (1.0, &[nan, 7.0, nan], 7.0),
            (0.0, &[7.0, nan], nan),
            (nan, &[7.0], nan),
            (0.5, &[], nan),
        ] {
            let got = quantile(share, &mut values.to_vec());
            assert!((got - expected).abs() < 1e-12 || got == expected || (got.is_nan() && expected.is_nan()), "{got}");
        }
    }
}
