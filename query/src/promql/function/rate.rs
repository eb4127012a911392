//! `rate`, `increase`, `delta` and their instant forms: how much a series grew; `changes` and `resets`: how often.

use super::{Arguments, Window};

/// How a fall of the values is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    /// As a restart from zero.
    Counter,
    /// As a fall.
    Gauge,
}

/// Growth of a counter per second.
pub(super) fn rate(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    let seconds = (window.end - window.start) as f64 / 1000.0;
    extrapolated(window, Counting::Counter, Some(seconds))
}

/// Growth of a counter.
pub(super) fn increase(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    extrapolated(window, Counting::Counter, None)
}

/// Growth of a gauge.
pub(super) fn delta(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    extrapolated(window, Counting::Gauge, None)
}

/// Growth of a counter per second, from the last two samples.
pub(super) fn irate(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    instant(window, Counting::Counter)
}

/// Growth of a gauge between the last two samples.
pub(super) fn idelta(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    instant(window, Counting::Gauge)
}

/// How often the value became another one. One NaN is like another here.
pub(super) fn changes(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    let changed = |pair: &&[f64]| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan());
    Some(window.values.windows(2).filter(changed).count() as f64)
}

/// How often the value fell.
pub(super) fn resets(window: Window<'_>, _: Arguments<'_>) -> Option<f64> {
    Some(window.values.windows(2).filter(|pair| pair[1] < pair[0]).count() as f64)
}

/// Growth within the window, extrapolated to its ends; divided by `per_seconds` if that is given.
///
/// The samples rarely stand at the ends of the window. Where the gap to an end is at most a tenth more than the mean distance of
/// the samples, the series is taken to have been there and the growth is extrapolated to the end; otherwise the series is
/// taken to have begun or ended half a distance outside. A counter is never extrapolated below zero.
fn extrapolated(window: Window<'_>, counting: Counting, per_seconds: Option<f64>) -> Option<f64> {
    let (first_time, last_time) = (*window.times.first()?, *window.times.last()?);
    let (first, last) = (*window.values.first()?, *window.values.last()?);
    if window.times.len() < 2 {
        return None;
    }
    let mut growth = last - first;
    if counting == Counting::Counter {
        // One by one, so that the last bits come out as Prometheus's do.
        for pair in window.values.windows(2).filter(|pair| pair[1] < pair[0]) {
            growth += pair[0];
        }
    }
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let sampled = seconds(last_time - first_time);
    let distance = sampled / (window.times.len() - 1) as f64;
    let threshold = distance * 1.1;

    let mut to_start = seconds(first_time - window.start);
    let mut to_end = seconds(window.end - last_time);
    if to_start >= threshold {
        to_start = distance / 2.0;
    }
    if counting == Counting::Counter && growth > 0.0 && first >= 0.0 {
        let to_zero = sampled * (first / growth);
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    if to_end >= threshold {
        to_end = distance / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if let Some(per_seconds) = per_seconds {
        factor /= per_seconds;
    }
    Some(growth * factor)
}

/// Growth between the last two samples: per second for a counter, whole for a gauge.
fn instant(window: Window<'_>, counting: Counting) -> Option<f64> {
    let [.., before, last] = window.values else { return None };
    let [.., before_time, last_time] = window.times else { return None };
    match counting {
        Counting::Gauge => Some(last - before),
        Counting::Counter => {
            let growth = if last < before { *last } else { last - before };
            Some(growth / ((last_time - before_time) as f64 / 1000.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(samples: &[(i64, f64)], range: (i64, i64), expected: [Option<f64>; 3]) {
        let times: Vec<i64> = samples.iter().map(|sample| sample.0).collect();
        let values: Vec<f64> = samples.iter().map(|sample| sample.1).collect();
        let window = Window { start: range.0, end: range.1, times: &times, values: &values };
        let got = [
            extrapolated(window, Counting::Counter, None),
            extrapolated(window, Counting::Gauge, None),
            instant(window, Counting::Counter),
        ];
        assert_eq!(got, expected, "{samples:?} in {range:?}");
    }

    #[test]
    fn grows() {
        check(&[], (0, 60_000), [None, None, None]);
        check(&[(1_000, 5.0)], (0, 60_000), [None, None, None]);
        // To both ends: they are one distance away at most.
        check(&[(20_000, 10.0), (40_000, 20.0)], (0, 60_000), [Some(30.0), Some(30.0), Some(0.5)]);
        // Zero is reached before the window's start.
        check(&[(20_000, 2.0), (40_000, 12.0)], (0, 60_000), [Some(22.0), Some(30.0), Some(0.5)]);
        // Half a distance where the series is too far from the end.
        check(&[(100_000, 50.0), (110_000, 60.0)], (0, 200_000), [Some(20.0), Some(20.0), Some(1.0)]);
        // A reset counts from zero; a gauge falls.
        check(&[(20_000, 10.0), (40_000, 4.0)], (20_000, 40_000), [Some(4.0), Some(-6.0), Some(0.2)]);
    }
}
