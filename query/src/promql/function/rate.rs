//! `rate`, `increase`, `delta` and their instant forms: how much a series grew; `changes` and `resets`: how often.

use std::sync::Arc;

use super::{Arguments, During, Remark, Remarks, Window};
use crate::promql::histogram::{Hint, Histogram};
use crate::promql::value::Element;

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
    let sampled = Sampled { first_time, last_time, count: window.times.len() };
    let counted = (counting == Counting::Counter).then_some((first, growth));
    Some(growth * sampled.factor(window, counted, per_seconds))
}

/// Where a window was sampled.
struct Sampled {
    first_time: i64,
    last_time: i64,
    count: usize,
}

impl Sampled {
    // How much more a series grew in the whole window than between its samples. `counted` is a counter's first value and its growth.
    fn factor(&self, window: Window<'_>, counted: Option<(f64, f64)>, per_seconds: Option<f64>) -> f64 {
        let seconds = |millis: i64| millis as f64 / 1000.0;
        let sampled = seconds(self.last_time - self.first_time);
        let distance = sampled / (self.count - 1) as f64;
        let threshold = distance * 1.1;

        let mut to_start = seconds(self.first_time - window.start);
        let mut to_end = seconds(window.end - self.last_time);
        if to_start >= threshold {
            to_start = distance / 2.0;
        }
        if let Some((first, growth)) = counted
            && growth > 0.0
            && first >= 0.0
        {
            let to_zero = sampled * (first / growth);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= threshold {
            to_end = distance / 2.0;
        }
        let factor = (sampled + to_start + to_end) / sampled;
        per_seconds.map_or(factor, |per_seconds| factor / per_seconds)
    }
}

/// Growth of a counter of histograms per second.
pub(super) fn histogram_rate(window: Window<'_>, remarks: &mut Remarks) -> Option<Element> {
    let seconds = (window.end - window.start) as f64 / 1000.0;
    extrapolated_histogram(window, Counting::Counter, Some(seconds), remarks)
}

/// Growth of a counter of histograms.
pub(super) fn histogram_increase(window: Window<'_>, remarks: &mut Remarks) -> Option<Element> {
    extrapolated_histogram(window, Counting::Counter, None, remarks)
}

/// Growth of a gauge of histograms.
pub(super) fn histogram_delta(window: Window<'_>, remarks: &mut Remarks) -> Option<Element> {
    extrapolated_histogram(window, Counting::Gauge, None, remarks)
}

fn extrapolated_histogram(
    window: Window<'_>,
    counting: Counting,
    per_seconds: Option<f64>,
    remarks: &mut Remarks,
) -> Option<Element> {
    if window.is_mixed() {
        remarks.note(Remark::Mixed);
        return None;
    }
    let [first, .., _] = window.histograms else { return None };
    let growth = match counting {
        Counting::Counter => counted(window.histograms, remarks)?,
        Counting::Gauge => grown(window.histograms, remarks)?,
    };
    let (first_time, last_time) = (*window.histogram_times.first()?, *window.histogram_times.last()?);
    let sampled = Sampled { first_time, last_time, count: window.histogram_times.len() };
    let of_counter = (counting == Counting::Counter).then_some((first.count, growth.count));
    let growth = growth.times(sampled.factor(window, of_counter, per_seconds));
    Some(Element::Histogram(Arc::new(growth.into_gauge())))
}

// The growth of a counter from the first to the last, what was counted before resets added. The first is left out if there is a reset
// right behind it: then its buckets need not even be comparable.
fn counted(histograms: &[Arc<Histogram>], remarks: &mut Remarks) -> Option<Histogram> {
    let [first, second, ..] = histograms else { return None };
    let last = histograms.last()?;
    if histograms.iter().any(|histogram| histogram.hint == Hint::Gauge) {
        remarks.note(Remark::NotCounter);
    }
    let begins_anew = second.is_reset_after(first);
    let compared = if begins_anew { &histograms[1..] } else { histograms };
    if compared.iter().any(|histogram| histogram.is_custom() != last.is_custom()) {
        remarks.note(Remark::MixedSchemas);
        return None;
    }
    let mut growth = if begins_anew {
        Histogram::clone(last)
    } else {
        remarks.combined(without_hint(last).minus(&without_hint(first)), During::Subtraction).ok()?
    };
    for pair in compared.windows(2).filter(|pair| pair[1].is_reset_after(&pair[0])) {
        growth = remarks.combined(without_hint(&growth).plus(&without_hint(&pair[0])), During::Addition).ok()?;
    }
    // In the coarsest of all schemas, so that it does not depend on where there were resets.
    let schema = compared.iter().map(|histogram| histogram.schema).min()?;
    Some(growth.in_schema(schema))
}

fn grown(histograms: &[Arc<Histogram>], remarks: &mut Remarks) -> Option<Histogram> {
    let (first, last) = (histograms.first()?, histograms.last()?);
    if first.is_custom() != last.is_custom() {
        remarks.note(Remark::MixedSchemas);
        return None;
    }
    let growth = remarks.combined(without_hint(last).minus(&without_hint(first)), During::Subtraction).ok()?;
    if first.hint != Hint::Gauge || last.hint != Hint::Gauge {
        remarks.note(Remark::NotGauge);
    }
    Some(growth)
}

// Resets are looked at one by one here; that two histograms of one counter have different ones is no contradiction.
fn without_hint(histogram: &Histogram) -> Histogram {
    Histogram { hint: Hint::Unknown, ..histogram.clone() }
}

/// Growth of a counter of histograms per second, from the last two samples.
pub(super) fn histogram_irate(window: Window<'_>, remarks: &mut Remarks) -> Option<Element> {
    instant_histogram(window, Counting::Counter, remarks)
}

/// Growth of a gauge of histograms between the last two samples.
pub(super) fn histogram_idelta(window: Window<'_>, remarks: &mut Remarks) -> Option<Element> {
    instant_histogram(window, Counting::Gauge, remarks)
}

fn instant_histogram(window: Window<'_>, counting: Counting, remarks: &mut Remarks) -> Option<Element> {
    let [.., before, last] = window.histograms else {
        return one_histogram(window, counting, remarks);
    };
    let [.., before_time, last_time] = window.histogram_times else { return None };
    // A number behind the last but one histogram is one of the last two samples.
    let newer = window.times.iter().filter(|time| *time > before_time).count();
    if newer >= 2 && window.times[window.times.len() - 2] > *last_time {
        return instant(window, counting).map(Element::Number);
    }
    if newer > 0 {
        remarks.note(Remark::Mixed);
        return None;
    }
    let wanted = |is_gauge: bool| is_gauge == (counting == Counting::Gauge);
    if !wanted(before.hint == Hint::Gauge) || !wanted(last.hint == Hint::Gauge) {
        remarks.note(if counting == Counting::Counter { Remark::NotCounter } else { Remark::NotGauge });
    }
    let growth = if counting == Counting::Counter && last.is_reset_after(before) {
        Histogram::clone(last)
    } else {
        match remarks.combined(without_hint(last).minus(&without_hint(before)), During::Subtraction) {
            Ok(growth) => growth,
            Err(_) => {
                remarks.note(Remark::MixedSchemas);
                return None;
            }
        }
    };
    let growth = match counting {
        Counting::Counter => growth.over((last_time - before_time) as f64 / 1000.0),
        Counting::Gauge => growth,
    };
    Some(Element::Histogram(Arc::new(growth.into_gauge())))
}

// Of a window with a single histogram: whether it is one of the last two samples.
fn one_histogram(window: Window<'_>, counting: Counting, remarks: &mut Remarks) -> Option<Element> {
    let (Some(time), Some(last)) = (window.histogram_times.last(), window.times.last()) else { return None };
    if last > time && window.times.len() >= 2 && window.times[window.times.len() - 2] > *time {
        return instant(window, counting).map(Element::Number);
    }
    remarks.note(Remark::Mixed);
    None
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
        let window = Window {
            start: range.0,
            end: range.1,
            times: &times,
            values: &values,
            histogram_times: &[],
            histograms: &[],
        };
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
