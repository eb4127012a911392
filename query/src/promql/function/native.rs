//! Functions of windows with histograms. Numbers may stand among them: most functions refuse that, some count both.

use std::sync::Arc;

use super::{During, Remark, Remarks, Window};
use crate::promql::histogram::Histogram;
use crate::promql::value::Element;

/// A sample of either kind.
#[derive(Clone, Copy)]
enum Sample<'a> {
    Number(f64),
    Histogram(&'a Arc<Histogram>),
}

impl Sample<'_> {
    fn element(self) -> Element {
        match self {
            Sample::Number(value) => Element::Number(value),
            Sample::Histogram(histogram) => Element::Histogram(Arc::clone(histogram)),
        }
    }
}

// Both kinds in the order of their times.
fn samples(window: Window<'_>) -> Vec<(i64, Sample<'_>)> {
    let numbers = window.times.iter().zip(window.values).map(|(time, value)| (*time, Sample::Number(*value)));
    let histograms = window.histogram_times.iter().zip(window.histograms);
    let mut samples: Vec<(i64, Sample<'_>)> =
        numbers.chain(histograms.map(|(time, histogram)| (*time, Sample::Histogram(histogram)))).collect();
    samples.sort_by_key(|(time, _)| *time);
    samples
}

pub(super) fn first(window: Window<'_>, _: &mut Remarks) -> Option<Element> {
    match (window.times.first(), window.histogram_times.first()) {
        (Some(number), Some(histogram)) if number < histogram => window.values.first().copied().map(Element::Number),
        (_, Some(_)) => window.histograms.first().cloned().map(Element::Histogram),
        (_, None) => window.values.first().copied().map(Element::Number),
    }
}

pub(super) fn last(window: Window<'_>, _: &mut Remarks) -> Option<Element> {
    samples(window).last().map(|(_, sample)| sample.element())
}

/// When the first sample was, in seconds.
pub(super) fn time_of_first(window: Window<'_>, _: &mut Remarks) -> Option<Element> {
    super::seconds(window.times.first().into_iter().chain(window.histogram_times.first()).min()).map(Element::Number)
}

/// When the last sample was, in seconds.
pub(super) fn time_of_last(window: Window<'_>, _: &mut Remarks) -> Option<Element> {
    super::seconds(window.times.last().into_iter().chain(window.histogram_times.last()).max()).map(Element::Number)
}

/// How often the value became another one. A histogram is another one than any number.
pub(super) fn changes(window: Window<'_>, _: &mut Remarks) -> Option<Element> {
    count_pairs(window, |before, now| match (before, now) {
        (Sample::Number(before), Sample::Number(now)) => before != now && !(before.is_nan() && now.is_nan()),
        (Sample::Histogram(before), Sample::Histogram(now)) => !now.same(before),
        _ => true,
    })
}

/// How often a counter began anew. Between a number and a histogram it surely did.
pub(super) fn resets(window: Window<'_>, _: &mut Remarks) -> Option<Element> {
    count_pairs(window, |before, now| match (before, now) {
        (Sample::Number(before), Sample::Number(now)) => now < before,
        (Sample::Histogram(before), Sample::Histogram(now)) => now.is_reset_after(before),
        _ => true,
    })
}

fn count_pairs(window: Window<'_>, counts: impl Fn(Sample<'_>, Sample<'_>) -> bool) -> Option<Element> {
    let samples = samples(window);
    let pairs = samples.windows(2).filter(|pair| counts(pair[0].1, pair[1].1));
    Some(Element::Number(pairs.count() as f64))
}

pub(super) fn sum(window: Window<'_>, remarks: &mut Remarks) -> Option<Element> {
    total(window, remarks).map(|total| Element::Histogram(Arc::new(total)))
}

pub(super) fn avg(window: Window<'_>, remarks: &mut Remarks) -> Option<Element> {
    let count = window.histograms.len() as f64;
    total(window, remarks).map(|total| Element::Histogram(Arc::new(total.over(count))))
}

fn total(window: Window<'_>, remarks: &mut Remarks) -> Option<Histogram> {
    if window.is_mixed() {
        remarks.note(Remark::Mixed);
        return None;
    }
    let (first, rest) = window.histograms.split_first()?;
    let total = rest.iter().try_fold(Histogram::clone(first), |total, histogram| {
        remarks.combined(total.plus(histogram), During::Aggregation)
    });
    if total.is_err() {
        remarks.note(Remark::MixedSchemas);
    }
    total.ok()
}
