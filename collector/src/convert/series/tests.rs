//! The gate at its limits, and beside a naive one.

use std::collections::{BTreeMap, BTreeSet};

use model::attributes::AttributeValue;
use model::{ManualClock, Timestamp};

use super::*;

struct World {
    clock: Arc<ManualClock>,
    gate: SeriesGate,
}

fn world(series_max: u64, series_per_metric_max: u64) -> World {
    let clock = Arc::new(ManualClock::new(Timestamp::default()));
    let config = Config { series_max, series_per_metric_max, ..Config::default() };
    let gate = SeriesGate::new(&config, clock.clone(), &Stats::new());
    World { clock, gate }
}

impl World {
    fn admit(&self, metric_id: u64, id: u64) -> Result<(), Reason> {
        self.gate.admit(Asked { id, metric_id, metric: &format!("metric {metric_id}"), labels: &[] })
    }

    fn overflow(&self, metric_id: u64, id: u64, service: u64, shape: u64) -> Result<(), Reason> {
        self.gate.admit_overflow(Asked { id, metric_id, metric: "", labels: &[] }, service, shape)
    }

    fn pass(&self, periods: u32) {
        self.clock.advance(periods * SERIES_PERIOD);
        self.gate.turn();
    }
}

#[test]
fn known_series_go_on_when_no_new_one_may_come() {
    let world = world(2, 100);
    let (one, two, three) = (1 << 60, 2, 3 << 33);
    assert_eq!((world.admit(1, one), world.admit(1, two)), (Ok(()), Ok(())));
    assert_eq!(world.admit(1, three), Err(Reason::Series));
    assert_eq!((world.admit(1, one), world.admit(1, two)), (Ok(()), Ok(())));
    assert_eq!(world.gate.known(), 2);
    world.pass(1);
    assert_eq!(world.admit(1, one), Ok(()), "of the period before");
    assert_eq!(world.admit(1, three), Err(Reason::Series), "two is not forgotten yet");
    world.pass(1);
    assert_eq!(world.admit(1, three), Ok(()), "two is forgotten");
    assert_eq!((world.admit(1, one), world.admit(1, two)), (Ok(()), Err(Reason::Series)));
}

#[test]
fn a_full_metric_leaves_room_for_others() {
    let world = world(4, 2);
    assert_eq!((world.admit(1, 10), world.admit(1, 11)), (Ok(()), Ok(())));
    assert_eq!(world.admit(1, 12), Err(Reason::MetricSeries));
    assert_eq!((world.admit(2, 20), world.admit(3, 30)), (Ok(()), Ok(())));
    assert_eq!(world.admit(3, 31), Err(Reason::Series));
    assert_eq!(world.admit(1, 12), Err(Reason::MetricSeries), "its own limit is named first");
    world.pass(2);
    assert_eq!((world.gate.known(), world.gate.largest(10)), (0, vec![]));
    assert_eq!(world.admit(1, 12), Ok(()), "nobody has asked for two periods");
}

#[test]
fn a_metric_has_one_overflow_series_for_each_service_while_there_is_room() {
    let world = world(OVERFLOWS_PER_METRIC_MAX as u64 + 1, 1);
    assert_eq!(world.admit(1, 10), Ok(()));
    for service in 0..OVERFLOWS_PER_METRIC_MAX as u64 {
        assert_eq!(world.overflow(1, 100 + service, service, 7), Ok(()));
    }
    assert_eq!(world.gate.known(), OVERFLOWS_PER_METRIC_MAX + 1, "they count among all");
    assert_eq!(world.overflow(1, 99, 1_000, 7), Err(Reason::MetricSeries), "one service too many");
    assert_eq!(world.overflow(1, 100, 0, 8), Err(Reason::MetricSeries), "another shape");
    assert_eq!(world.overflow(2, 98, 0, 7), Err(Reason::Series), "there are too many of all");
    assert_eq!(world.overflow(1, 100, 0, 7), Ok(()), "a known one goes on");
    world.pass(1);
    assert_eq!(world.overflow(1, 100, 0, 7), Ok(()));
    world.pass(1);
    assert_eq!((world.gate.known(), world.overflow(1, 100, 0, 8)), (1, Err(Reason::MetricSeries)));
    assert_eq!(world.overflow(1, 101, 1, 8), Ok(()), "forgotten, and so is its shape");
    world.pass(2);
    assert_eq!(world.overflow(1, 100, 0, 8), Ok(()));
}

#[test]
fn values_that_are_too_large_for_labels_are_refused_when_their_series_is_new() {
    let world = world(10, 10);
    let max = crate::limits::LABEL_VALUE_BYTES_MAX as usize;
    let text = "x".repeat(max + 1);
    let list = AttributeValue::Array(vec![AttributeValue::String(text.clone())]);
    let (long, nested) = (ValueRef::String(&text), ValueRef::Nested(&list));
    for (id, value, expected) in [
        (1, ValueRef::String(&text[1..]), Ok(())),
        (2, long, Err(Reason::LabelValue)),
        (3, ValueRef::Bytes(text.as_bytes()), Err(Reason::LabelValue)),
        (4, nested, Err(Reason::LabelValue)),
        (1, long, Ok(())),
    ] {
        let labels = &[("short", ValueRef::Int(1)), ("key", value)];
        assert_eq!(world.gate.admit(Asked { id, metric_id: 1, metric: "m", labels }), expected, "{id}");
    }
    assert_eq!(world.gate.known(), 1);
}

#[test]
fn the_largest_metrics_are_named() {
    let world = world(1_000, 500);
    for (metric, series) in [(1, METRIC_NAMED_FROM), (2, METRIC_NAMED_FROM - 1), (3, 600)] {
        (0..series as u64).for_each(|id| _ = world.admit(metric, metric << 32 | id));
    }
    let largest = |limit| -> Vec<(String, u64)> {
        world.gate.largest(limit).into_iter().map(|of| (of.metric, of.series)).collect()
    };
    assert_eq!(largest(9), [("metric 3".to_owned(), 500), ("metric 1".to_owned(), METRIC_NAMED_FROM as u64)]);
    assert_eq!(largest(1), [("metric 3".to_owned(), 500)]);
    world.pass(1);
    assert_eq!(world.admit(1, 1 << 32), Ok(()));
    world.pass(1);
    assert_eq!(largest(9), []);
}

// The same without anything to be quick or small.
#[derive(Default)]
struct Naive {
    // Metric and period of the last point, by id.
    known: BTreeMap<u64, (u64, u64)>,
    period: u64,
}

impl Naive {
    fn admit(&mut self, metric: u64, id: u64, limits: (usize, usize)) -> Result<(), Reason> {
        let of_metric = self.known.values().filter(|(of, _)| *of == metric).count();
        if !self.known.contains_key(&id) {
            if of_metric >= limits.1 {
                return Err(Reason::MetricSeries);
            }
            if self.known.len() >= limits.0 {
                return Err(Reason::Series);
            }
        }
        self.known.insert(id, (metric, self.period));
        Ok(())
    }

    fn pass(&mut self, periods: u64) {
        self.period += periods;
        let period = self.period;
        self.known.retain(|_, (_, last)| *last + 1 >= period);
    }
}

#[test]
fn every_answer_is_that_of_a_naive_gate() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let limits = (random.usize(1..60), random.usize(1..20));
        let world = world(limits.0 as u64, limits.1 as u64);
        let mut naive = Naive::default();
        for step in 0..600 {
            if random.u8(0..60) == 0 {
                let periods = random.u32(1..4);
                world.pass(periods);
                naive.pass(u64::from(periods));
            } else {
                let metric = random.u64(0..6);
                let id = metric << 40 | random.u64(0..25);
                let expected = naive.admit(metric, id, limits);
                assert_eq!(world.admit(metric, id), expected, "seed {seed}, step {step}");
            }
            assert_eq!(world.gate.known(), naive.known.len(), "seed {seed}, step {step}");
            let metrics: BTreeSet<u64> = naive.known.values().map(|(metric, _)| *metric).collect();
            assert_eq!(world.gate.lock().metrics.len(), metrics.len(), "seed {seed}, step {step}");
        }
    }
}

#[test]
fn a_million_series_take_little() {
    let world = world(1_000_000, 1_000_000);
    let mut random = fastrand::Rng::with_seed(1);
    for number in 0..1_000_000 {
        // A thousand series of each metric, as their ids come: hashes.
        assert_eq!(world.admit(number % 1_000, random.u64(..)), Ok(()));
    }
    assert_eq!(world.admit(5, 5), Err(Reason::Series));
    let known = world.gate.lock();
    // Tables of eight bytes and one, at most twice as large as what is in them.
    let bytes = 9 * (known.current.capacity() + known.previous.capacity()) + 17 * known.metrics.capacity();
    assert!(bytes < 20 << 20, "{bytes} bytes");
    assert_eq!((known.metrics.len(), known.names.len()), (1_000, 1_000));
}
