//! How many series there may be: each takes memory in heads and in queries, and senders with an id among their labels make new
//! ones without end.
//!
//! A series is known by a hash of what makes it; one that nobody has sent for one to two periods is forgotten.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hash as _, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Clock;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;

use crate::limits::SERIES_PERIOD;

/// The series that are known. One for the whole process.
pub struct SeriesGate {
    series_max: usize,
    clock: Arc<dyn Clock>,
    // Of its own for each process: nobody can make two series meet on purpose.
    keys: RandomState,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    // Disjoint.
    current: HashSet<u64>,
    previous: HashSet<u64>,
    began: Duration,
}

impl fmt::Debug for SeriesGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesGate").field("series_max", &self.series_max).finish_non_exhaustive()
    }
}

impl SeriesGate {
    /// Knows none yet, and at most `series_max`.
    pub fn new(series_max: u64, clock: Arc<dyn Clock>) -> Self {
        let known = Mutex::new(Known { began: clock.monotonic(), ..Known::default() });
        Self { series_max: super::saturated(series_max), clock, keys: RandomState::new(), known }
    }

    /// How many are known.
    pub fn known(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.current.len() + known.previous.len()
    }

    pub(super) fn envelope(&self, resource: &[KeyValue], scope: &str, scope_attributes: &[KeyValue]) -> u64 {
        self.keys.hash_one((self.list(resource), scope, self.list(scope_attributes)))
    }

    pub(super) fn metric(&self, envelope: u64, metric: &Metric, metric_type: u8) -> u64 {
        self.keys.hash_one((envelope, &metric.name, &metric.unit, metric_type))
    }

    /// Whether the series of these attributes is known or may be.
    pub(super) fn admits(&self, metric: u64, attributes: &[KeyValue]) -> bool {
        let series = self.keys.hash_one((metric, self.list(attributes)));
        let now = self.clock.monotonic();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(known.began) >= SERIES_PERIOD {
            let idle = now.saturating_sub(known.began) >= 2 * SERIES_PERIOD;
            let last = std::mem::take(&mut known.current);
            known.previous = if idle { HashSet::new() } else { last };
            known.began = now;
        }
        if known.current.contains(&series) {
            return true;
        }
        if known.previous.remove(&series) || known.current.len() + known.previous.len() < self.series_max {
            known.current.insert(series);
            return true;
        }
        false
    }

    // In whichever order they come.
    fn list(&self, list: &[KeyValue]) -> u64 {
        list.iter().fold(0u64, |sum, entry| sum.wrapping_add(self.entry(entry)))
    }

    fn entry(&self, entry: &KeyValue) -> u64 {
        let mut hasher = self.keys.build_hasher();
        entry.key.hash(&mut hasher);
        let value = entry.value.as_ref().and_then(|value| value.value.as_ref());
        value.map(std::mem::discriminant).hash(&mut hasher);
        match value {
            None => {}
            Some(Value::StringValue(text)) => text.hash(&mut hasher),
            Some(Value::BoolValue(value)) => value.hash(&mut hasher),
            Some(Value::IntValue(value)) => value.hash(&mut hasher),
            Some(Value::DoubleValue(value)) => value.to_bits().hash(&mut hasher),
            Some(Value::BytesValue(bytes)) => bytes.hash(&mut hasher),
            Some(nested) => {
                let mut bytes = Vec::new();
                nested.encode(&mut bytes);
                bytes.hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use model::{ManualClock, Timestamp};
    use opentelemetry_proto::tonic::common::v1::AnyValue;

    use super::*;

    fn attribute(key: &str, value: i64) -> KeyValue {
        let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    #[test]
    fn known_series_go_on_when_no_new_one_may_come() {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let gate = SeriesGate::new(2, clock.clone());
        let metric = gate.metric(gate.envelope(&[], "", &[]), &Metric::default(), 1);
        let (one, two, three) = ([attribute("a", 1)], [attribute("a", 2)], [attribute("a", 3)]);
        assert!(gate.admits(metric, &one) && gate.admits(metric, &two));
        assert!(!gate.admits(metric, &three));
        assert!(gate.admits(metric, &one) && gate.admits(metric, &two));
        assert_eq!(gate.known(), 2);
        clock.advance(SERIES_PERIOD);
        assert!(gate.admits(metric, &one), "of the period before");
        assert!(!gate.admits(metric, &three), "two is not forgotten yet");
        clock.advance(SERIES_PERIOD);
        assert!(gate.admits(metric, &three), "two is forgotten");
        assert!(gate.admits(metric, &one) && !gate.admits(metric, &two));
    }

    #[test]
    fn order_does_not_make_a_series_but_everything_else_does() {
        let gate = SeriesGate::new(1, Arc::new(ManualClock::new(Timestamp::default())));
        let (a, b) = (attribute("a", 1), attribute("b", 2));
        let metric = gate.metric(0, &Metric::default(), 1);
        assert!(gate.admits(metric, &[a.clone(), b.clone()]));
        assert!(gate.admits(metric, &[b.clone(), a.clone()]));
        assert!(!gate.admits(metric, std::slice::from_ref(&a)));
        assert!(!gate.admits(metric, &[attribute("a", 2), attribute("b", 1)]));
        assert!(!gate.admits(gate.metric(0, &Metric::default(), 2), &[a.clone(), b.clone()]));
        assert!(
            !gate.admits(gate.metric(gate.envelope(std::slice::from_ref(&a), "", &[]), &Metric::default(), 1), &[a, b])
        );
    }
}
