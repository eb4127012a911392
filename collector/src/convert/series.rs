//! How many series there may be, of one metric and of all: each takes memory in heads and in queries, and senders with an id among their
//! labels make new ones without end.
//!
//! A series is known by its id, a metric by its own, keyed hashes of what makes them; a series that nobody has sent for one to two periods is
//! forgotten. A point of a known series costs one look; what is counted by metric is looked at for new series alone. What becomes of points
//! beyond a metric's limit is decided in [`overflow`](super::overflow).

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Clock;
use model::stats::{Gauge, Stats};
use model::wire::status::MetricSeries;
use store::schema::ValueRef;

use super::any::Pair;
use crate::limits::{METRIC_NAMED_FROM, NAME_ECHO_CHARS_MAX, OVERFLOWS_PER_METRIC_MAX, SERIES_PERIOD};
use crate::{Config, Reason};

/// The series that are known. One for the whole process.
pub struct SeriesGate {
    series_max: usize,
    per_metric_max: usize,
    label_value_bytes_max: usize,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    gauges: Gauges,
    keys: RandomState,
}

/// A series that asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub id: u64,
    pub metric_id: u64,
    pub metric: &'a str,
    /// Its labels to be.
    pub labels: &'a [Pair<'a>],
}

#[derive(Debug, Default)]
struct Known {
    // Disjoint.
    current: Ids,
    previous: Ids,
    // Of each metric that has a known series, how many of either. Its overflow series are not among them.
    metrics: HashMap<u64, Count, IdIsItsHash>,
    // Of metrics that have many.
    names: HashMap<u64, Box<str>, IdIsItsHash>,
    // Of metrics that have been full.
    overflows: HashMap<u64, Vec<Overflow>, IdIsItsHash>,
    began: Duration,
    period: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    current: u32,
    previous: u32,
}

// An overflow series.
#[derive(Clone, Copy, Debug)]
struct Overflow {
    service: u64,
    // What its points must have in common to be added up.
    shape: u64,
    asked: u64,
}

#[derive(Debug)]
struct Gauges {
    known: Gauge,
    metrics: Gauge,
}

impl fmt::Debug for SeriesGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesGate")
            .field("series_max", &self.series_max)
            .field("per_metric_max", &self.per_metric_max)
            .finish_non_exhaustive()
    }
}

impl SeriesGate {
    /// Knows none yet, and at most as many as the configuration says.
    pub fn new(config: &Config, clock: Arc<dyn Clock>, stats: &Stats) -> Self {
        let known = Mutex::new(Known { began: clock.monotonic(), ..Known::default() });
        let gauge = |name, help| stats.gauge(name, help, &[]);
        let gauges = Gauges {
            known: gauge("sextant_series_known", "Series that points have come for within an hour or two."),
            metrics: gauge("sextant_series_metrics", "Metrics that have such series."),
        };
        gauge("sextant_series_max", "How many there may be.").set(config.series_max);
        gauge("sextant_series_per_metric_max", "The same of one metric.").set(config.series_per_metric_max);
        let bounds = [config.series_max, config.series_per_metric_max, config.label_value_bytes_max];
        let [series_max, per_metric_max, label_value_bytes_max] = bounds.map(super::saturated);
        Self { series_max, per_metric_max, label_value_bytes_max, clock, known, gauges, keys: RandomState::new() }
    }

    /// How many are known.
    pub fn known(&self) -> usize {
        self.lock().len()
    }

    /// The metrics with the most series, of those that have at least some hundred.
    pub fn largest(&self, limit: usize) -> Vec<MetricSeries> {
        let known = self.lock();
        let mut all: Vec<MetricSeries> = (known.names.iter())
            .filter_map(|(id, name)| {
                let series = known.metrics.get(id)?.all() as u64;
                Some(MetricSeries { metric: name.to_string(), series })
            })
            .collect();
        drop(known);
        all.sort_by(|one, other| other.series.cmp(&one.series).then_with(|| one.metric.cmp(&other.metric)));
        all.truncate(limit);
        all
    }

    /// To be called once for each request: periods end.
    pub(super) fn turn(&self) {
        let now = self.clock.monotonic();
        let mut known = self.lock();
        let passed = now.saturating_sub(known.began);
        if passed >= SERIES_PERIOD {
            known.turn(passed >= 2 * SERIES_PERIOD, self.per_metric_max.min(METRIC_NAMED_FROM));
            known.began = now;
        }
        self.gauges.known.set(known.len() as u64);
        self.gauges.metrics.set(known.metrics.len() as u64);
    }

    /// Whether the series is known or may be. Not if a label of it is too large, [`Reason::LabelValue`]; if its metric is full,
    /// [`Reason::MetricSeries`]; if there are too many of all, [`Reason::Series`].
    pub(super) fn admit(&self, asked: Asked<'_>) -> Result<(), Reason> {
        if self.knows(asked) {
            return Ok(());
        }
        // Without the lock: values may be large.
        if asked.labels.iter().any(|(_, value)| bytes(*value) > self.label_value_bytes_max) {
            return Err(Reason::LabelValue);
        }
        self.admit_new(asked)
    }

    fn knows(&self, asked: Asked<'_>) -> bool {
        let mut known = self.lock();
        if known.current.contains(&asked.id) {
            return true;
        }
        if !known.previous.remove(&asked.id) {
            return false;
        }
        known.current.insert(asked.id);
        let count = known.metrics.entry(asked.metric_id).or_default();
        count.previous = count.previous.saturating_sub(1);
        count.current += 1;
        true
    }

    fn admit_new(&self, asked: Asked<'_>) -> Result<(), Reason> {
        let mut known = self.lock();
        let of_metric = known.metrics.get(&asked.metric_id).map_or(0, |count| count.all());
        if known.current.contains(&asked.id) {
            // Another request was faster.
            return Ok(());
        }
        if of_metric >= self.per_metric_max {
            return Err(Reason::MetricSeries);
        }
        if known.len() >= self.series_max {
            return Err(Reason::Series);
        }
        known.current.insert(asked.id);
        known.metrics.entry(asked.metric_id).or_default().current += 1;
        if of_metric + 1 == self.per_metric_max.min(METRIC_NAMED_FROM) {
            let name: String = asked.metric.chars().take(NAME_ECHO_CHARS_MAX).collect();
            known.names.insert(asked.metric_id, name.into());
        }
        Ok(())
    }

    /// Whether points of this shape may be added up in the metric's overflow series of the service, which is `asked`.
    pub(super) fn admit_overflow(&self, asked: Asked<'_>, service: u64, shape: u64) -> Result<(), Reason> {
        let mut known = self.lock();
        let (period, is_full) = (known.period, known.len() >= self.series_max);
        let of_metric = known.overflows.entry(asked.metric_id).or_default();
        let place = of_metric.iter().position(|overflow| overflow.service == service);
        match place {
            Some(place) if of_metric[place].shape != shape => return Err(Reason::MetricSeries),
            Some(place) => of_metric[place].asked = period,
            None if of_metric.len() >= OVERFLOWS_PER_METRIC_MAX => return Err(Reason::MetricSeries),
            None if is_full => return Err(Reason::Series),
            None => of_metric.push(Overflow { service, shape, asked: period }),
        }
        // Among all series it counts like any other.
        known.previous.remove(&asked.id);
        known.current.insert(asked.id);
        Ok(())
    }

    /// A hash that nobody outside can aim with.
    pub(super) fn hash(&self, what: impl Hash) -> u64 {
        self.keys.hash_one(what)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn len(&self) -> usize {
        self.current.len() + self.previous.len()
    }

    // `idle`: nobody asked for a whole period.
    fn turn(&mut self, idle: bool, named_from: usize) {
        let last = std::mem::take(&mut self.current);
        self.previous = if idle { Ids::default() } else { last };
        self.metrics.retain(|_, count| {
            *count = Count { current: 0, previous: if idle { 0 } else { count.current } };
            count.previous > 0
        });
        let metrics = &self.metrics;
        self.names.retain(|id, _| metrics.get(id).is_some_and(|count| count.all() >= named_from));
        let alive = self.period;
        self.overflows.retain(|_, of_metric| {
            of_metric.retain(|overflow| !idle && overflow.asked == alive);
            !of_metric.is_empty()
        });
        // A burst is over: what it took is given back.
        self.metrics.shrink_to_fit();
        self.period += 1;
    }
}

impl Count {
    fn all(self) -> usize {
        (self.current + self.previous) as usize
    }
}

// Of a value as a label.
fn bytes(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::String(text) => text.len(),
        ValueRef::Bytes(bytes) => bytes.len(),
        ValueRef::Bool(_) | ValueRef::Int(_) | ValueRef::Double(_) => 0,
        ValueRef::Nested(_) => value.to_otlp_json_text().len(),
    }
}

// Ids are keyed hashes already: a table that hashed them again would only take longer.
type IdIsItsHash = BuildHasherDefault<IdIsHash>;
type Ids = HashSet<u64, IdIsItsHash>;

#[derive(Debug, Default)]
struct IdIsHash(u64);

impl Hasher for IdIsHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests;
