//! The engine against naive recomputation from the raw samples, on random series. A seed is printed when they differ.

mod sets;
mod windows;

use std::collections::BTreeMap;

use fastrand::Rng;
use model::Labels;
use query::promql::{self, MemorySource, Steps, Value, is_stale, stale_marker};

use promqltest::options;

const SEEDS: u64 = 60;

/// Raw samples of one series: (milliseconds, value), ascending.
type Raw = Vec<(i64, f64)>;
type Matrix = BTreeMap<Labels, Vec<(i64, f64)>>;

#[test]
fn selectors_and_rates() {
    for seed in 0..SEEDS {
        let world = World::random(seed);
        for query in 0..10 {
            check_rates(&world, seed * 1_000 + query);
        }
    }
}

#[test]
fn aggregations() {
    for seed in 0..SEEDS {
        check_aggregations(&World::random(seed), seed);
    }
}

pub struct World {
    rng_seed: u64,
    series: BTreeMap<Labels, Raw>,
    pub source: MemorySource,
}

impl World {
    /// Up to twelve series of `m_total`, with gaps, resets, markers and NaN.
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut series = BTreeMap::new();
        let mut source = MemorySource::new();
        for index in 0..rng.usize(1..12) {
            let labels = Labels::new([
                ("__name__", "m_total".to_owned()),
                ("id", index.to_string()),
                ("group", ["a", "b", ""][rng.usize(0..3)].to_owned()),
            ]);
            let mut raw = Raw::new();
            let (mut time, mut value) = (rng.i64(0..600_000), rng.f64() * 100.0);
            for _ in 0..rng.usize(0..80) {
                time += rng.i64(1..40_000);
                value = match rng.usize(0..20) {
                    0 => rng.f64() * 5.0,
                    1 => value,
                    _ => value + rng.f64() * 50.0,
                };
                let sample = match rng.usize(0..40) {
                    0 => stale_marker(),
                    1 => f64::NAN,
                    _ => value,
                };
                raw.push((time, sample));
                source.push(&labels, time, sample);
            }
            series.insert(labels, raw);
        }
        Self { rng_seed: seed, series, source }
    }

    fn run(&self, query: &str, steps: Steps) -> Matrix {
        let answer = promql::range(&self.source, query, steps, &options()).expect("the query is answered");
        let Value::Matrix(matrix) = answer.value else { panic!("a range query gives a matrix") };
        matrix
            .into_iter()
            .map(|(labels, points)| (labels, points.numbers.iter().map(|sample| (sample.time, sample.value)).collect()))
            .collect()
    }

    /// The same by asking each series at each step.
    fn naive(&self, steps: Steps, name: bool, of: impl Fn(&Raw, i64) -> Option<f64>) -> Matrix {
        let mut matrix = Matrix::new();
        for (labels, raw) in &self.series {
            let points: Vec<(i64, f64)> =
                steps.iter().filter_map(|time| of(raw, time).map(|value| (time, value))).collect();
            if !points.is_empty() {
                matrix.insert(if name { labels.clone() } else { labels.without_name() }, points);
            }
        }
        matrix
    }
}

pub fn random_steps(rng: &mut Rng) -> Steps {
    let start = rng.i64(-100_000..2_000_000);
    Steps::range(start, start + rng.i64(0..2_000_000), rng.i64(1_000..200_000)).expect("few steps")
}

fn check_rates(world: &World, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let steps = random_steps(&mut rng);
    // The parser refuses an offset of nothing.
    let (range, offset) = (rng.i64(1..600), rng.i64(1..300) * if rng.bool() { 1 } else { -1 });
    let context = |what: &str| format!("{what}: world {}, query {seed}, [{range}s] offset {offset}s", world.rng_seed);
    let back = |time: i64| time - offset * 1000;

    let got = world.run(&format!("m_total offset {offset}s"), steps);
    let expected = world.naive(steps, true, |raw, time| newest(raw, back(time)));
    assert_same(&got, &expected, 0.0, &context("m_total"));

    for (function, counter, per_second) in [("rate", true, true), ("increase", true, false), ("delta", false, false)] {
        let got = world.run(&format!("{function}(m_total[{range}s] offset {offset}s)"), steps);
        let expected = world.naive(steps, false, |raw, time| {
            let growth = growth(raw, back(time) - range * 1000, back(time), counter)?;
            Some(if per_second { growth / range as f64 } else { growth })
        });
        assert_same(&got, &expected, 1e-9, &context(function));
    }
}

/// The newest sample in the five minutes before `time`, unless it is a marker.
fn newest(raw: &Raw, time: i64) -> Option<f64> {
    let (_, value) = raw.iter().rev().find(|(at, _)| *at <= time && *at > time - 300_000)?;
    Some(*value).filter(|value| !is_stale(*value))
}

/// Prometheus's extrapolated growth, written down again from its description and in exact milliseconds.
fn growth(raw: &Raw, start: i64, end: i64, counter: bool) -> Option<f64> {
    let window: Raw =
        raw.iter().copied().filter(|(time, value)| *time > start && *time <= end && !is_stale(*value)).collect();
    if window.len() < 2 {
        return None;
    }
    let (first, last) = (window[0], window[window.len() - 1]);
    let mut total = last.1 - first.1;
    if counter {
        for index in 1..window.len() {
            if window[index].1 < window[index - 1].1 {
                total += window[index - 1].1;
            }
        }
    }
    let covered = (last.0 - first.0) as f64;
    let gap = covered / (window.len() as f64 - 1.0);
    let reach = |distance: f64| if distance < gap * 1.1 { distance } else { gap / 2.0 };
    let mut left = reach((first.0 - start) as f64);
    if counter && total > 0.0 && first.1 >= 0.0 {
        left = left.min(covered * first.1 / total);
    }
    let right = reach((end - last.0) as f64);
    Some(total * (left + covered + right) / covered)
}

fn check_aggregations(world: &World, seed: u64) {
    let mut rng = Rng::with_seed(seed ^ 0xA66);
    let steps = random_steps(&mut rng);
    for (by, keeps) in [("", &[][..]), ("by (group)", &["group"]), ("without (id)", &["group"]), ("by (id)", &["id"])] {
        for operation in ["sum", "avg", "min", "max", "count", "stdvar", "group"] {
            let got = world.run(&format!("{operation} {by} (m_total)"), steps);
            let mut groups: BTreeMap<Labels, BTreeMap<i64, Vec<f64>>> = BTreeMap::new();
            for (labels, raw) in &world.series {
                let key = labels.filter(|name| keeps.contains(&name));
                for time in steps.iter() {
                    if let Some(value) = newest(raw, time) {
                        groups.entry(key.clone()).or_default().entry(time).or_default().push(value);
                    }
                }
            }
            let expected = groups
                .into_iter()
                .map(|(labels, times)| {
                    (labels, times.into_iter().map(|(time, values)| (time, fold(operation, &values))).collect())
                })
                .collect();
            assert_same(&got, &expected, 1e-12, &format!("{operation} {by}, world {seed}"));
        }
    }
}

fn fold(operation: &str, values: &[f64]) -> f64 {
    let numbers = || values.iter().copied().filter(|value| !value.is_nan());
    match operation {
        "sum" => values.iter().sum(),
        "avg" => values.iter().sum::<f64>() / values.len() as f64,
        "min" => numbers().reduce(f64::min).unwrap_or(f64::NAN),
        "max" => numbers().reduce(f64::max).unwrap_or(f64::NAN),
        "stdvar" => {
            let mean = fold("avg", values);
            values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64
        }
        "group" => 1.0,
        _ => values.len() as f64,
    }
}

fn assert_same(got: &Matrix, expected: &Matrix, tolerance: f64, context: &str) {
    assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{context}");
    for (labels, points) in expected {
        let other = &got[labels];
        let same = points.len() == other.len()
            && points.iter().zip(other).all(|(a, b)| {
                a.0 == b.0 && ((a.1.is_nan() && b.1.is_nan()) || (a.1 - b.1).abs() <= tolerance * a.1.abs().max(1.0))
            });
        assert!(same, "{context}: {labels}\n  expected {points:?}\n  got      {other:?}");
    }
}
