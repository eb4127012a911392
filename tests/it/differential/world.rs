//! Random series, the same for the same seed: what Prometheus and Sextant are both given.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::wire::{Native, STALE, Series, Value};

/// 2025-01-31T23:25:00Z: the samples cross midnight and the end of a month.
pub const BEGIN: i64 = 1_738_365_900_000;
/// How long they go on.
pub const LENGTH: i64 = 50 * 60_000;

/// All series, in the order of their labels: where Prometheus takes series as they come, it takes them in this order too.
pub fn world(seed: u64) -> Vec<Series> {
    let mut rng = Rng::with_seed(seed);
    let bounds = if rng.bool() { vec![1.0, 2.0, 5.0, 10.0] } else { vec![0.5, 2.0, 5.0, 8.0, 10.0] };
    let mut maker = Maker { rng, bounds, made: BTreeMap::new() };
    for (job, instance) in TARGETS {
        let target = [("job", job), ("instance", instance)];
        for code in ["200", "404", "500"] {
            maker.counter("http_requests_total", &[&target[..], &[("code", code)]].concat());
        }
        maker.counter("errors_total", &target);
        for zone in ["1", "2", "10"] {
            maker.gauge("temperature", &[&target[..], &[("zone", zone)]].concat());
        }
        maker.gauge("memory_bytes", &target);
        maker.info(&target);
        maker.classic("latency_seconds", &target);
        maker.exponential("duration_seconds", &target);
        maker.custom("sizes_bytes", &target);
        maker.counter("http.server.requests", &[&target[..], &[("url.path", "/a b")]].concat());
    }
    for kind in ["nan", "inf", "tiny", "huge", "zero", "steps"] {
        maker.odd(kind);
    }
    for name in ["sparse", "sparse_total"] {
        maker.sparse(name);
    }
    for part in ["a", "b"] {
        maker.mixed(part);
    }
    maker.gauge("température", &[("ville", "Orléans")]);
    maker.made.into_iter().map(|(labels, (samples, counts))| Series { labels, samples, counts }).collect()
}

const TARGETS: [(&str, &str); 4] = [("api", "a:80"), ("api", "b:80"), ("web", "a:80"), ("web", "c:81")];

/// Where buckets of all schemas end: where one would be cut, Prometheus 3.5 counts some of its observations twice.
const ZERO_THRESHOLDS: [f64; 3] = [0.0, 1.0 / 1024.0, 0.25];

type Samples = Vec<(i64, Value)>;

struct Maker {
    rng: Rng,
    // Of all histograms with bounds: Prometheus 3.5 gives nothing where others meet.
    bounds: Vec<f64>,
    made: BTreeMap<BTreeMap<String, String>, (Samples, bool)>,
}

impl Maker {
    fn put(&mut self, name: &str, labels: &[(&str, &str)], samples: Samples, counts: bool) {
        let all = labels.iter().copied().chain([("__name__", name)]);
        let labels = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.made.insert(labels, (samples, counts));
    }

    // When a series is scraped: out of phase, a little late each time, now and then not at all. A gap may have a marker.
    fn times(&mut self) -> Vec<(i64, bool)> {
        let interval = [10_000, 15_000, 15_000, 30_000, 60_000][self.rng.usize(0..5)];
        let mut time = BEGIN + self.rng.i64(0..interval);
        let begins_late = self.rng.u8(0..6) == 0;
        if begins_late {
            time += self.rng.i64(0..LENGTH / 2);
        }
        let end = if self.rng.u8(0..6) == 0 { BEGIN + self.rng.i64(LENGTH / 2..LENGTH) } else { BEGIN + LENGTH };
        let mut times = Vec::new();
        while time < end {
            let late = if self.rng.bool() { 0 } else { self.rng.i64(0..interval / 20) };
            let gap = self.rng.u8(0..60) == 0;
            let marked = gap && self.rng.bool();
            times.push((time + late, marked));
            time += if gap { interval * self.rng.i64(2..30) } else { interval };
        }
        times
    }

    fn counter(&mut self, name: &str, labels: &[(&str, &str)]) {
        let step = [1.0, 3.0, 0.25, 117.0][self.rng.usize(0..4)];
        let mut value = if self.rng.bool() { 0.0 } else { self.rng.f64() * 1000.0 };
        let mut samples = Samples::new();
        for (time, stale) in self.times() {
            match self.rng.u8(0..50) {
                0 => value = 0.0,
                1 => value = (value / 3.0).floor(),
                2..12 => {}
                _ => value += step * f64::from(self.rng.u8(0..20)),
            }
            samples.push((time, Value::Number(if stale { STALE } else { value })));
        }
        self.put(name, labels, samples, true);
    }

    fn gauge(&mut self, name: &str, labels: &[(&str, &str)]) {
        let mut value = self.rng.f64() * 100.0 - 20.0;
        let mut samples = Samples::new();
        for (time, stale) in self.times() {
            value += (self.rng.f64() - 0.5) * 10.0;
            let seen = match self.rng.u8(0..60) {
                0 => f64::NAN,
                1 => f64::INFINITY,
                2 => -value,
                3..20 => value.round(),
                _ => value,
            };
            samples.push((time, Value::Number(if stale { STALE } else { seen })));
        }
        self.put(name, labels, samples, false);
    }

    // A version that changes: the series of the one ends where that of the other begins.
    fn info(&mut self, target: &[(&str, &str)]) {
        let changes = BEGIN + self.rng.i64(0..LENGTH);
        let times = self.times();
        let (before, after): (Vec<_>, Vec<_>) =
            times.into_iter().map(|(time, _)| time).partition(|time| *time < changes);
        let ones = |times: &[i64]| times.iter().map(|time| (*time, Value::Number(1.0))).collect::<Samples>();
        for (version, times, next) in [("1.9", &before, after.first()), ("1.10", &after, None)] {
            for (name, extra) in [("build_info", ("branch", "main")), ("target_info", ("os_type", "linux"))] {
                let mut samples = ones(times);
                samples.extend(next.map(|next| (*next, Value::Number(STALE))));
                let labels = [target, &[("version", version), extra]].concat();
                self.put(name, &labels, samples, false);
            }
        }
    }

    fn classic(&mut self, name: &str, target: &[(&str, &str)]) {
        let bounds: &[&str] = match self.rng.u8(0..3) {
            0 => &["0.1", "0.5", "1", "2.5", "+Inf"],
            1 => &["0.1", "0.25", "0.5", "1", "5", "10", "+Inf"],
            _ => &["0.005", "1", "+Inf"],
        };
        let mut counts = vec![0.0; bounds.len()];
        let mut sum = 0.0;
        let (mut buckets, mut of_count, mut of_sum) = (vec![Vec::new(); bounds.len()], Vec::new(), Vec::new());
        for (time, stale) in self.times() {
            if self.rng.u8(0..50) == 0 {
                counts.fill(0.0);
                sum = 0.0;
            }
            for _ in 0..self.rng.u8(0..6) {
                let bucket = self.rng.usize(0..bounds.len());
                counts[bucket..].iter_mut().for_each(|count| *count += 1.0);
                sum += self.rng.f64() * bounds[bucket].parse::<f64>().expect("a bound").min(20.0);
            }
            let value = |value: f64| if stale { STALE } else { value };
            for (bucket, count) in buckets.iter_mut().zip(&counts) {
                bucket.push((time, value(*count)));
            }
            of_count.push((time, value(counts[bounds.len() - 1])));
            of_sum.push((time, value(sum)));
        }
        let numbers = |samples: Vec<(i64, f64)>| -> Samples {
            samples.into_iter().map(|(time, value)| (time, Value::Number(value))).collect()
        };
        for (bound, samples) in bounds.iter().zip(buckets) {
            let labels = [target, &[("le", bound)]].concat();
            self.put(&format!("{name}_bucket"), &labels, numbers(samples), true);
        }
        self.put(&format!("{name}_count"), target, numbers(of_count), true);
        self.put(&format!("{name}_sum"), target, numbers(of_sum), true);
    }

    fn natives(&mut self, mut native: Native, name: &str, labels: &[(&str, &str)]) {
        let mut samples = Samples::new();
        for (time, stale) in self.times() {
            match self.rng.u8(0..60) {
                0 => native = self.begun(native),
                1 if native.bounds.is_empty() => native = self.resized(native),
                _ => self.observe(&mut native),
            }
            let ended = Native { sum: STALE, ..Native::default() };
            samples.push((time, Value::Native(if stale { ended } else { native.clone() })));
        }
        self.put(name, labels, samples, true);
    }

    fn observe(&mut self, native: &mut Native) {
        for _ in 0..self.rng.u8(0..5) {
            let signed = native.bounds.is_empty();
            // No bucket begins within the one around zero.
            let lowest = match native.schema {
                _ if native.zero_threshold > 0.1 => 1,
                ..0 => -3,
                _ => -6,
            };
            match self.rng.u8(0..12) {
                0 if signed => {
                    native.zero_count += 1;
                    continue;
                }
                1..4 if signed && native.zero_threshold > 0.0 => {
                    add(&mut native.negative, lowest + self.rng.i32(0..12));
                    native.sum -= self.rng.f64() * 10.0;
                }
                _ if signed => {
                    add(&mut native.positive, lowest + self.rng.i32(0..18));
                    native.sum += self.rng.f64() * 20.0;
                }
                _ => {
                    let buckets = i32::try_from(native.bounds.len()).expect("few bounds") + 1;
                    add(&mut native.positive, self.rng.i32(0..buckets));
                    native.sum += self.rng.f64() * 20.0;
                }
            }
        }
    }

    // Another resolution or zero bucket.
    fn resized(&mut self, native: Native) -> Native {
        let schema = self.rng.i32(-1..4);
        let zero_threshold = ZERO_THRESHOLDS[self.rng.usize(0..3)];
        self.begun(Native { schema, zero_threshold, ..native })
    }

    // A program that starts, and has observed a good deal when it is seen first: Prometheus 3.5 lets rates of histograms reach back to
    // where there would have been less than nothing.
    fn begun(&mut self, native: Native) -> Native {
        let mut native = Native { positive: Vec::new(), negative: Vec::new(), zero_count: 0, sum: 0.0, ..native };
        for _ in 0..self.rng.u8(40..120) {
            self.observe(&mut native);
        }
        native
    }

    fn exponential(&mut self, name: &str, labels: &[(&str, &str)]) {
        let native = self.resized(Native::default());
        self.natives(native, name, labels);
    }

    fn custom(&mut self, name: &str, labels: &[(&str, &str)]) {
        let bounds = self.bounds.clone();
        let native = self.begun(Native { bounds, ..Native::default() });
        self.natives(native, name, labels);
    }

    fn odd(&mut self, kind: &str) {
        let values: &[f64] = match kind {
            "nan" => &[f64::NAN, 1.0, f64::NAN, -2.0],
            "inf" => &[f64::INFINITY, f64::NEG_INFINITY, 0.5],
            "tiny" => &[5e-324, -1e-300, 1e-310],
            "huge" => &[1e308, -1e308, 9.007_199_254_740_993e15],
            "zero" => &[0.0, -0.0],
            _ => &[1.0, 2.0, 3.0, 3.0, -1.0],
        };
        let mut samples = Samples::new();
        for (time, stale) in self.times() {
            let value = values[self.rng.usize(0..values.len())];
            samples.push((time, Value::Number(if stale { STALE } else { value })));
        }
        self.put("odd", &[("kind", kind)], samples, false);
    }

    fn sparse(&mut self, name: &str) {
        let mut time = BEGIN;
        let mut samples = Samples::new();
        while time < BEGIN + LENGTH {
            samples.push((time, Value::Number(f64::from(self.rng.u8(0..100)))));
            time += self.rng.i64(20_000..720_000);
        }
        self.put(name, &[("job", "rare")], samples, false);
    }

    // Numbers and histograms by turns, as when a program is exchanged for a newer one.
    fn mixed(&mut self, part: &str) {
        let mut native = self.begun(Native { schema: 1, zero_threshold: ZERO_THRESHOLDS[1], ..Native::default() });
        let mut samples = Samples::new();
        let (mut is_native, mut number) = (self.rng.bool(), 0.0);
        // Without markers: Prometheus 3.5 puts one behind numbers of the same message if it comes first and ends a histogram.
        for (time, _) in self.times() {
            if self.rng.u8(0..10) == 0 {
                is_native = !is_native;
            }
            self.observe(&mut native);
            number += f64::from(self.rng.u8(0..9));
            samples.push((
                time,
                match is_native {
                    true => Value::Native(native.clone()),
                    false => Value::Number(number),
                },
            ));
        }
        self.put("mixed", &[("part", part)], samples, false);
    }
}

fn add(buckets: &mut Vec<(i32, u64)>, index: i32) {
    match buckets.binary_search_by_key(&index, |(index, _)| *index) {
        Ok(at) => buckets[at].1 += 1,
        Err(at) => buckets.insert(at, (index, 1)),
    }
}
