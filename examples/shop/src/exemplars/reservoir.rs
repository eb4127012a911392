//! A cumulative histogram per attribute set, and for each of its buckets the latest measurement with its trace. No IO.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::SpanContext;

/// One measurement, and where it was taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) value: f64,
    pub(crate) time_unix_nano: u64,
    pub(crate) span: SpanContext,
    pub(crate) correlation_id: String,
}

/// Durations by one attribute, whose values are words of the code: their number is bounded by it.
#[derive(Debug)]
pub(crate) struct DurationHistogram {
    bounds: &'static [f64],
    points: Mutex<BTreeMap<&'static str, Point>>,
}

/// The state of one attribute value. `exemplars` has a slot per bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Point {
    pub(crate) counts: Vec<u64>,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) exemplars: Vec<Option<Seen>>,
}

impl DurationHistogram {
    /// `bounds` are the upper, inclusive bounds of all buckets but the last, ascending.
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, points: Mutex::default() }
    }

    pub(crate) fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// Counts a measurement; it becomes its bucket's exemplar if its trace is sampled.
    pub(crate) fn record(&self, attribute: &'static str, seen: Seen) {
        let bucket = self.bounds.partition_point(|bound| *bound < seen.value);
        let mut points = self.lock();
        let point = points.entry(attribute).or_insert_with(|| Point::empty(self.bounds.len() + 1));
        point.counts[bucket] += 1;
        point.sum += seen.value;
        point.min = point.min.min(seen.value);
        point.max = point.max.max(seen.value);
        if seen.span.is_valid() && seen.span.is_sampled() {
            point.exemplars[bucket] = Some(seen);
        }
    }

    /// The points as they are now. Exemplars are handed over: each is sent once, unless they are given back.
    pub(crate) fn collect(&self) -> Vec<(&'static str, Point)> {
        let mut points = self.lock();
        points.iter_mut().map(|(attribute, point)| (*attribute, point.hand_over())).collect()
    }

    /// Takes back the exemplars of a collection that could not be sent. Newer ones stay.
    pub(crate) fn give_back(&self, collected: Vec<(&'static str, Point)>) {
        let mut points = self.lock();
        for (attribute, unsent) in collected {
            let Some(point) = points.get_mut(attribute) else { continue };
            for (slot, exemplar) in point.exemplars.iter_mut().zip(unsent.exemplars) {
                *slot = slot.take().or(exemplar);
            }
        }
    }

    /// Nothing in here panics half-way through a change, so what a poisoned lock guards is whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Point>> {
        self.points.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Point {
    fn empty(buckets: usize) -> Self {
        Self {
            counts: vec![0; buckets],
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            exemplars: vec![None; buckets],
        }
    }

    fn hand_over(&mut self) -> Self {
        let empty = vec![None; self.exemplars.len()];
        let exemplars = std::mem::replace(&mut self.exemplars, empty);
        Self { exemplars, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    fn seen(value: f64, id: &str) -> Seen {
        seen_with(value, id, TraceFlags::SAMPLED)
    }

    fn seen_with(value: f64, id: &str, flags: TraceFlags) -> Seen {
        let span = SpanContext::new(TraceId::from(7), SpanId::from(8), flags, false, TraceState::NONE);
        Seen { value, time_unix_nano: 1, span, correlation_id: id.to_owned() }
    }

    fn exemplars(point: &Point) -> Vec<Option<&str>> {
        point.exemplars.iter().map(|slot| slot.as_ref().map(|seen| seen.correlation_id.as_str())).collect()
    }

    #[test]
    fn a_value_falls_into_the_bucket_whose_upper_bound_it_does_not_pass() {
        for (value, bucket) in [(0.0, 0), (1.0, 0), (1.1, 1), (2.0, 1), (2.1, 2), (f64::INFINITY, 2)] {
            let histogram = DurationHistogram::new(&[1.0, 2.0]);
            histogram.record("a", seen(value, "id"));
            let (_, point) = histogram.collect().remove(0);
            let mut counts = vec![0; 3];
            counts[bucket] = 1;
            assert_eq!(point.counts, counts, "{value}");
            assert_eq!(point.exemplars[bucket].as_ref().map(|seen| seen.value), Some(value));
        }
    }

    #[test]
    fn counts_accumulate_and_each_exemplar_is_handed_over_once() {
        let histogram = DurationHistogram::new(&[1.0]);
        histogram.record("a", seen(0.5, "first"));
        histogram.record("a", seen(0.25, "second"));
        histogram.record("b", seen(3.0, "third"));
        let points = histogram.collect();
        assert_eq!(points.iter().map(|(attribute, _)| *attribute).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(exemplars(&points[0].1), [Some("second"), None], "the latest of a bucket");
        assert_eq!((points[0].1.sum, points[0].1.min, points[0].1.max), (0.75, 0.25, 0.5));
        assert_eq!(exemplars(&points[1].1), [None, Some("third")]);

        histogram.record("a", seen(2.0, "fourth"));
        let points = histogram.collect();
        assert_eq!(points[0].1.counts, [2, 1], "cumulative");
        assert_eq!(exemplars(&points[0].1), [None, Some("fourth")]);
    }

    #[test]
    fn unsent_exemplars_come_back_unless_newer_ones_are_there() {
        let histogram = DurationHistogram::new(&[1.0]);
        histogram.record("a", seen(0.5, "old low"));
        histogram.record("a", seen(1.5, "old high"));
        let unsent = histogram.collect();
        histogram.record("a", seen(0.5, "new low"));
        histogram.give_back(unsent);
        let (_, point) = histogram.collect().remove(0);
        assert_eq!(point.counts, [2, 1], "nothing is counted twice");
        assert_eq!(exemplars(&point), [Some("new low"), Some("old high")]);
    }

    #[test]
    fn a_measurement_outside_a_sampled_trace_counts_but_is_no_exemplar() {
        let histogram = DurationHistogram::new(&[1.0]);
        histogram.record("a", seen_with(0.5, "unsampled", TraceFlags::default()));
        histogram.record("a", Seen { span: SpanContext::NONE, ..seen(0.5, "no trace") });
        let (_, point) = histogram.collect().remove(0);
        assert_eq!(point.counts, [2, 0]);
        assert_eq!(exemplars(&point), [None, None]);
    }
}
