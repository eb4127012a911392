//! Counters of everything that happens inside, for `/metrics` and `/api/v1/status`.
//!
//! Each crate registers its families once and keeps the handles; counting is one atomic addition. Names follow Prometheus:
//! `sextant_` first, the unit last, `_total` on counters.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// All families of a process. Cheap to clone: clones share their contents.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    families: Arc<Mutex<BTreeMap<&'static str, Family>>>,
}

/// Names and values of the labels that tell series of one family apart.
pub type LabelPairs = Vec<(&'static str, String)>;

#[derive(Debug)]
struct Family {
    help: &'static str,
    kind: Kind,
    series: BTreeMap<LabelPairs, Arc<AtomicU64>>,
    histograms: BTreeMap<LabelPairs, Arc<HistogramState>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One series at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The family's name.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Names and values of the labels.
    pub labels: LabelPairs,
    /// The value.
    pub value: ReadingValue,
}

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadingValue {
    /// A sum that only grows, since the process began.
    Counter(u64),
    /// A number that goes up and down.
    Gauge(u64),
    /// Durations since the process began.
    Seconds {
        /// Upper bounds of the buckets, in seconds; the last bucket has none.
        bounds: Vec<f64>,
        /// How many durations lie in each bucket: one more number than there are bounds.
        counts: Vec<u64>,
        /// The durations together, in seconds.
        sum: f64,
    },
}

impl Stats {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter `name` with these labels; the same one each time it is asked for.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        Counter(self.number(name, help, Kind::Counter, labels))
    }

    /// The gauge `name` with these labels; the same one each time it is asked for.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        Gauge(self.number(name, help, Kind::Gauge, labels))
    }

    /// The histogram of seconds `name` with these labels, with buckets from 100 microseconds to 10 seconds.
    pub fn seconds(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Seconds {
        let mut families = self.lock();
        let family = families.entry(name).or_insert_with(|| Family::new(help, Kind::Histogram));
        Seconds(Arc::clone(family.histograms.entry(owned(labels)).or_default()))
    }

    /// Every series of the counters and gauges, in the order of their names: (name, labels, value).
    pub fn values(&self) -> Vec<(&'static str, LabelPairs, u64)> {
        let families = self.lock();
        let mut values = Vec::new();
        for (name, family) in families.iter() {
            for (labels, value) in &family.series {
                values.push((*name, labels.clone(), value.load(Ordering::Relaxed)));
            }
        }
        values
    }

    /// Every series of all kinds, in the order of their names.
    pub fn readings(&self) -> Vec<Reading> {
        let families = self.lock();
        let mut readings = Vec::new();
        for (name, family) in families.iter() {
            let reading =
                |labels: &LabelPairs, value| Reading { name, help: family.help, labels: labels.clone(), value };
            for (labels, number) in &family.series {
                let number = number.load(Ordering::Relaxed);
                let value = if family.kind == Kind::Gauge {
                    ReadingValue::Gauge(number)
                } else {
                    ReadingValue::Counter(number)
                };
                readings.push(reading(labels, value));
            }
            for (labels, state) in &family.histograms {
                readings.push(reading(labels, state.read()));
            }
        }
        readings
    }

    /// The text exposition format of Prometheus, version 0.0.4.
    pub fn to_prometheus_text(&self) -> String {
        let families = self.lock();
        let mut text = String::new();
        for (name, family) in families.iter() {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
            for (labels, value) in &family.series {
                let _ = writeln!(text, "{name}{} {}", label_text(labels, None), value.load(Ordering::Relaxed));
            }
            for (labels, state) in &family.histograms {
                state.write(name, labels, &mut text);
            }
        }
        text
    }

    fn number(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: &[(&'static str, &str)],
    ) -> Arc<AtomicU64> {
        let mut families = self.lock();
        let family = families.entry(name).or_insert_with(|| Family::new(help, kind));
        Arc::clone(family.series.entry(owned(labels)).or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Family>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Family {
    fn new(help: &'static str, kind: Kind) -> Self {
        Self { help, kind, series: BTreeMap::new(), histograms: BTreeMap::new() }
    }
}

/// A number that only grows.
#[derive(Clone, Debug)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down. Never negative.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes `amount` away.
    pub fn sub(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A histogram of durations.
#[derive(Clone, Debug)]
pub struct Seconds(Arc<HistogramState>);

impl Seconds {
    /// Counts one duration.
    pub fn observe(&self, duration: std::time::Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NANOS.partition_point(|bound| *bound < nanos);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

const BOUNDS_NANOS: [u64; 11] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    50_000_000,
    250_000_000,
    1_000_000_000,
    10_000_000_000,
];

#[derive(Debug, Default)]
struct HistogramState {
    buckets: [AtomicU64; BOUNDS_NANOS.len() + 1],
    sum_nanos: AtomicU64,
}

impl HistogramState {
    fn read(&self) -> ReadingValue {
        ReadingValue::Seconds {
            bounds: BOUNDS_NANOS.iter().map(|bound| *bound as f64 / 1e9).collect(),
            counts: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum: self.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9,
        }
    }

    fn write(&self, name: &str, labels: &[(&'static str, String)], text: &mut String) {
        let mut count = 0;
        for (position, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let bound = BOUNDS_NANOS.get(position).map_or_else(|| "+Inf".to_owned(), |b| (*b as f64 / 1e9).to_string());
            let _ = writeln!(text, "{name}_bucket{} {count}", label_text(labels, Some(&bound)));
        }
        let sum = self.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9;
        let _ = writeln!(text, "{name}_sum{} {sum}", label_text(labels, None));
        let _ = writeln!(text, "{name}_count{} {count}", label_text(labels, None));
    }
}

fn owned(labels: &[(&'static str, &str)]) -> LabelPairs {
    labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn label_text(labels: &[(&'static str, String)], bound: Option<&str>) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs = labels.iter().map(|(name, value)| (*name, value.as_str())).chain(bound.map(|bound| ("le", bound)));
    let text: Vec<String> = pairs.map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    if text.is_empty() { String::new() } else { format!("{{{}}}", text.join(",")) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn writes_the_text_format() {
        let stats = Stats::new();
        stats.counter("sextant_a_total", "Things.", &[("reason", "no \"id\"")]).add(3);
        stats.counter("sextant_a_total", "Things.", &[("reason", "no \"id\"")]).add(1);
        stats.seconds("sextant_b_seconds", "Waits.", &[]).observe(Duration::from_millis(3));
        let readings = stats.readings();
        assert_eq!(readings.len(), 2);
        assert_eq!((readings[0].name, &readings[0].value), ("sextant_a_total", &ReadingValue::Counter(4)));
        let ReadingValue::Seconds { bounds, counts, sum } = &readings[1].value else { panic!("{readings:?}") };
        assert_eq!((bounds.len() + 1, counts.iter().sum::<u64>(), *sum), (counts.len(), 1, 0.003));
        let text = stats.to_prometheus_text();
        assert!(
            text.contains("# TYPE sextant_a_total counter\nsextant_a_total{reason=\"no \\\"id\\\"\"} 4\n"),
            "{text}"
        );
        assert!(text.contains("sextant_b_seconds_bucket{le=\"0.0025\"} 0\n"), "{text}");
        assert!(text.contains("sextant_b_seconds_bucket{le=\"0.005\"} 1\n"), "{text}");
        assert!(text.contains("sextant_b_seconds_bucket{le=\"+Inf\"} 1\nsextant_b_seconds_sum 0.003\n"), "{text}");
    }
}
