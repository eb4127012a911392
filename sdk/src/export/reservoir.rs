//! For each bucket of a histogram the latest measurement with its trace: what the official SDK does not keep. No IO; `points` collects them into requests.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};
use opentelemetry::{Array, Context, KeyValue, Value};

use crate::correlation::CorrelationId;
use crate::limits::EXEMPLAR_SETS_MAX;

/// One measurement, and where it was taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) value: f64,
    pub(crate) time: SystemTime,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) correlation: Option<CorrelationId>,
}

/// By attribute set, a place for each bucket.
pub(crate) type Sets = HashMap<SetId, Vec<Option<Seen>>>;

/// The exemplars of one histogram.
#[derive(Debug)]
pub(crate) struct Reservoir {
    bounds: Vec<f64>,
    sets: Mutex<Sets>,
}

impl Reservoir {
    /// `bounds` are the upper, inclusive bounds of all buckets but the last, ascending.
    pub(crate) fn new(bounds: Vec<f64>) -> Self {
        Self { bounds, sets: Mutex::default() }
    }

    /// Keeps a measurement if the trace it was taken in is recorded.
    pub(crate) fn offer(&self, context: &Context, value: f64, attributes: &[KeyValue]) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() || !span.is_sampled() {
            return;
        }
        let set = SetId::of(attributes);
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        let correlation = CorrelationId::of(context);
        let seen =
            Seen { value, time: SystemTime::now(), trace_id: span.trace_id(), span_id: span.span_id(), correlation };
        let mut sets = self.lock();
        if sets.len() >= EXEMPLAR_SETS_MAX && !sets.contains_key(&set) {
            return;
        }
        let places = sets.entry(set).or_insert_with(|| vec![None; self.bounds.len() + 1]);
        places[bucket] = Some(seen);
    }

    /// Hands all over: each is sent once, unless it is given back.
    pub(crate) fn take(&self) -> Sets {
        std::mem::take(&mut self.lock())
    }

    /// Takes back what could not be sent. Newer ones stay.
    pub(crate) fn give_back(&self, unsent: Sets) {
        let mut sets = self.lock();
        for (set, places) in unsent {
            let room = sets.len() < EXEMPLAR_SETS_MAX;
            match sets.get_mut(&set) {
                Some(newer) => {
                    for (place, seen) in newer.iter_mut().zip(places) {
                        *place = place.take().or(seen);
                    }
                }
                None if room => {
                    sets.insert(set, places);
                }
                None => {}
            }
        }
    }

    /// Nothing in here panics half-way through a change, so what a poisoned lock guards is whole.
    fn lock(&self) -> MutexGuard<'_, Sets> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a set of attributes is known by, whatever their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SetId(u64);

impl SetId {
    pub(crate) fn of<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> Self {
        static STATE: LazyLock<foldhash::quality::RandomState> = LazyLock::new(Default::default);
        let one = |attribute: &KeyValue| {
            let mut hasher = STATE.build_hasher();
            attribute.key.as_str().hash(&mut hasher);
            hash_value(&attribute.value, &mut hasher);
            hasher.finish()
        };
        Self(attributes.into_iter().fold(0, |sum: u64, attribute| sum.wrapping_add(one(attribute))))
    }
}

fn hash_value(value: &Value, hasher: &mut impl Hasher) {
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Bool(value) => value.hash(hasher),
        Value::I64(value) => value.hash(hasher),
        Value::F64(value) => value.to_bits().hash(hasher),
        Value::String(value) => value.as_str().hash(hasher),
        Value::Array(Array::Bool(values)) => values.hash(hasher),
        Value::Array(Array::I64(values)) => values.hash(hasher),
        Value::Array(Array::F64(values)) => values.iter().for_each(|value| value.to_bits().hash(hasher)),
        Value::Array(Array::String(values)) => values.iter().for_each(|value| value.as_str().hash(hasher)),
        _ => {}
    }
}

/// The reservoirs of this process by the name of their metric. The official API does not say which scope an instrument belongs to; two histograms of one name share one.
///
/// They stay when their histograms are dropped, as the official instruments do: the last collection comes after the last request, and often after its service.
static RESERVOIRS: Mutex<Vec<(String, Arc<Reservoir>)>> = Mutex::new(Vec::new());

/// The reservoir of a metric, new unless somebody has it already.
pub(crate) fn of_metric(name: &str, bounds: Vec<f64>) -> Arc<Reservoir> {
    let mut known = RESERVOIRS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, existing)) = known.iter().find(|(known, _)| known == name) {
        return Arc::clone(existing);
    }
    let reservoir = Arc::new(Reservoir::new(bounds));
    known.push((name.to_owned(), Arc::clone(&reservoir)));
    reservoir
}

/// The reservoir of a metric, if it has one.
pub(crate) fn known(name: &str) -> Option<Arc<Reservoir>> {
    let known = RESERVOIRS.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().find(|(known, _)| known == name).map(|(_, reservoir)| Arc::clone(reservoir))
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};

    use super::*;

    fn context(correlation: &str, flags: TraceFlags) -> Context {
        let span = SpanContext::new(TraceId::from(7), SpanId::from(8), flags, false, TraceState::NONE);
        let context = Context::new().with_remote_span_context(span);
        CorrelationId::new(correlation).expect("an id").in_context(&context)
    }

    fn offer(reservoir: &Reservoir, correlation: &str, value: f64, attributes: &[KeyValue]) {
        reservoir.offer(&context(correlation, TraceFlags::SAMPLED), value, attributes);
    }

    fn ids(sets: &Sets, attributes: &[KeyValue]) -> Vec<Option<String>> {
        let places = &sets[&SetId::of(attributes)];
        let id = |seen: &Seen| seen.correlation.as_ref().map(|id| id.as_str().to_owned());
        places.iter().map(|place| place.as_ref().and_then(id)).collect()
    }

    #[test]
    fn the_latest_of_each_bucket_and_set_is_handed_over_once() {
        let reservoir = Reservoir::new(vec![1.0]);
        let (a, b) = ([KeyValue::new("x", 1)], [KeyValue::new("x", 1.0)]);
        for (id, value, set) in
            [("first", 0.5, &a), ("second", 1.0, &a), ("third", f64::INFINITY, &b), ("fourth", f64::NAN, &b)]
        {
            offer(&reservoir, id, value, set);
        }
        let sets = reservoir.take();
        assert_eq!(ids(&sets, &a), [Some("second".to_owned()), None]);
        assert!(ids(&sets, &b).contains(&Some("third".to_owned())));
        assert!(reservoir.take().is_empty());
    }

    #[test]
    fn unsent_exemplars_come_back_unless_newer_ones_are_there() {
        let reservoir = Reservoir::new(vec![1.0]);
        offer(&reservoir, "old-low", 0.5, &[]);
        offer(&reservoir, "old-high", 1.5, &[]);
        let unsent = reservoir.take();
        offer(&reservoir, "new-low", 0.5, &[]);
        reservoir.give_back(unsent);
        assert_eq!(ids(&reservoir.take(), &[]), [Some("new-low".to_owned()), Some("old-high".to_owned())]);
    }

    #[test]
    fn what_is_outside_a_sampled_trace_is_no_exemplar() {
        let reservoir = Reservoir::new(vec![1.0]);
        reservoir.offer(&context("id", TraceFlags::default()), 0.5, &[]);
        reservoir.offer(&Context::new(), 0.5, &[]);
        assert!(reservoir.take().is_empty());
    }

    #[test]
    fn the_number_of_sets_is_bounded_and_their_order_does_not_matter() {
        let reservoir = Reservoir::new(vec![]);
        for number in 0..2 * EXEMPLAR_SETS_MAX {
            offer(&reservoir, "id", 1.0, &[KeyValue::new("n", i64::try_from(number).expect("small"))]);
        }
        assert_eq!(reservoir.take().len(), EXEMPLAR_SETS_MAX);
        let (a, b) = (KeyValue::new("a", "1"), KeyValue::new("b", "2"));
        assert_eq!(SetId::of(&[a.clone(), b.clone()]), SetId::of(&[b, a]));
    }
}
