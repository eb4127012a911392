//! What `sextant bench metrics` sends: targets of a hundred series each, as exporters have them, whose samples follow from their number alone. The
//! requests are remote write 1.0, which both servers take.

use std::ops::Range;

use crate::command::bench::ingest::payload::Random;
use crate::command::bench::wire::Message;

/// Series of a target: forty counters, three histograms of fourteen series, ten gauges of whole numbers and eight of any.
pub const TARGET_SERIES: u64 = 100;

/// Services that targets belong to.
pub const JOBS: u64 = 10;

/// When the first sample is, in milliseconds: 2026-01-01T06:00:00Z, whenever the bench runs.
pub const BEGIN_MILLIS: u64 = 1_767_247_200_000;

const ROUTES: [&str; 10] = [
    "/api/orders",
    "/api/orders/{id}",
    "/api/payments",
    "/api/payments/{id}",
    "/api/catalog",
    "/api/catalog/{sku}",
    "/api/search",
    "/api/carts/{id}",
    "/healthz",
    "/metrics",
];
const CODES: [&str; 4] = ["200", "404", "429", "500"];
const BOUNDS: [&str; 12] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
const HISTOGRAMS: usize = 3;
const QUEUES: u64 = 10;
const SENSORS: u64 = 8;

/// Samples of some targets at some steps.
#[derive(Clone, Debug)]
pub struct Span {
    /// Which targets.
    pub targets: Range<u64>,
    /// Which steps.
    pub steps: Range<u64>,
    /// Seconds between two steps.
    pub interval_s: u64,
}

impl Span {
    /// How many samples.
    pub fn samples(&self) -> u64 {
        (self.targets.end - self.targets.start) * TARGET_SERIES * (self.steps.end - self.steps.start)
    }

    /// The body of a request of remote write 1.0.
    pub fn body(&self) -> Vec<u8> {
        let mut request = Message::default();
        for target in self.targets.clone() {
            self.target(&mut request, target);
        }
        packed(&request.finish())
    }

    fn target(&self, request: &mut Message, target: u64) {
        let (job, instance) = (format!("service-{}", target % JOBS), format!("host-{target}:9100"));
        let own = [("instance", instance.as_str()), ("job", job.as_str())];
        let mut number = target * TARGET_SERIES;
        let mut series = |labels: &[(&str, &str)], value: &dyn Fn(u64, u64) -> f64| {
            let of_series = number;
            self.series(request, labels, |step| value(of_series, step));
            number += 1;
        };
        for route in ROUTES {
            for code in CODES {
                let [instance, job] = own;
                let labels = [("__name__", "http_requests_total"), ("code", code), instance, job, ("route", route)];
                series(&labels, &counter);
            }
        }
        for route in &ROUTES[..HISTOGRAMS] {
            let [instance, job] = own;
            let route = ("route", *route);
            for (bucket, bound) in BOUNDS.iter().enumerate() {
                let name = ("__name__", "http_request_duration_seconds_bucket");
                // The number of the first bucket's series stands for the histogram.
                let value = |series: u64, step: u64| up_to(series - bucket as u64, bucket, step);
                series(&[name, instance, job, ("le", bound), route], &value);
            }
            let first = BOUNDS.len() as u64;
            let all = move |series: u64, step: u64| up_to(series - first, BOUNDS.len() - 1, step);
            series(&[("__name__", "http_request_duration_seconds_count"), instance, job, route], &all);
            let sum = move |series: u64, step: u64| all(series - 1, step) * 0.083;
            series(&[("__name__", "http_request_duration_seconds_sum"), instance, job, route], &sum);
        }
        for queue in 0..QUEUES {
            let [instance, job] = own;
            let queue = format!("queue-{queue}");
            series(&[("__name__", "queue_depth"), instance, job, ("queue", &queue)], &depth);
        }
        for sensor in 0..SENSORS {
            let [instance, job] = own;
            let sensor = format!("sensor-{sensor}");
            series(&[("__name__", "temperature_celsius"), instance, job, ("sensor", &sensor)], &temperature);
        }
    }

    fn series(&self, request: &mut Message, labels: &[(&str, &str)], value: impl Fn(u64) -> f64) {
        request.message(1, |series| {
            for (name, text) in labels {
                series.message(1, |label| {
                    label.text(1, name);
                    label.text(2, text);
                });
            }
            for step in self.steps.clone() {
                series.message(2, |sample| {
                    sample.fixed64(1, value(step).to_bits());
                    sample.number(2, BEGIN_MILLIS + step * self.interval_s * 1_000);
                });
            }
        });
    }
}

// So much at the step, so much more or less each time, never less than before.
fn counter(series: u64, step: u64) -> f64 {
    let rate = 1 + Random::new(series).below(2_000);
    (step * rate + Random::new(series << 32 | step).below(rate)) as f64
}

// Observations of a histogram in its buckets up to this one.
fn up_to(histogram: u64, bucket: usize, step: u64) -> f64 {
    let own = |bucket: u64| {
        let rate = Random::new(histogram << 8 | bucket).below(40);
        step * rate + Random::new(histogram << 36 | step << 4 | bucket).below(rate + 1)
    };
    (0..=bucket as u64).map(own).sum::<u64>() as f64
}

fn depth(series: u64, step: u64) -> f64 {
    (Random::new(series).below(200) + Random::new(series << 32 | step).below(8)) as f64
}

// A tenth of a degree is what the sensor tells of half of them; the others have all digits of a calculation.
fn temperature(series: u64, step: u64) -> f64 {
    let middle = 20.0 + Random::new(series).below(40) as f64;
    let noise = Random::new(series << 32 | step).below(1 << 52) as f64 / 2f64.powi(52);
    if series.is_multiple_of(2) { ((middle + noise) * 10.0).round() / 10.0 } else { middle + noise }
}

// Snappy's block format without compressing anything: one literal after the other.
fn packed(bytes: &[u8]) -> Vec<u8> {
    const LITERAL_MAX: usize = 1 << 16;
    let mut packed = Vec::with_capacity(bytes.len() + bytes.len() / LITERAL_MAX * 3 + 16);
    let mut length = bytes.len();
    while length >= 0x80 {
        packed.push(length as u8 | 0x80);
        length >>= 7;
    }
    packed.push(length as u8);
    for literal in bytes.chunks(LITERAL_MAX) {
        // A literal whose length less one stands in the two bytes behind.
        packed.push(61 << 2);
        packed.extend_from_slice(&(literal.len() as u16).wrapping_sub(1).to_le_bytes());
        packed.extend_from_slice(literal);
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_follow_from_their_number() {
        let span = |targets: Range<u64>, steps: Range<u64>| Span { targets, steps, interval_s: 15 };
        let one = span(3..5, 0..4);
        assert_eq!(one.samples(), 800);
        assert_eq!(one.body(), span(3..5, 0..4).body());
        assert_ne!(one.body(), span(3..5, 1..5).body());
    }

    #[test]
    fn counters_only_grow_and_buckets_hold_those_below() {
        for series in [0, 1, 4_711, 999_999] {
            for step in 0..100 {
                assert!(counter(series, step) <= counter(series, step + 1), "{series} {step}");
                for bucket in 0..BOUNDS.len() {
                    assert!(up_to(series, bucket, step) <= up_to(series, bucket, step + 1), "{series} {step}");
                    assert!(bucket == 0 || up_to(series, bucket - 1, step) <= up_to(series, bucket, step));
                }
            }
        }
    }

    #[test]
    fn literals_are_cut_where_they_must_be() {
        assert_eq!(packed(b"abc"), [3, 244, 2, 0, b'a', b'b', b'c']);
        let long = vec![7; (1 << 16) + 1];
        let packed = packed(&long);
        assert_eq!(&packed[..6], [0x81, 0x80, 4, 244, 255, 255]);
        assert_eq!(&packed[6 + (1 << 16)..], [244, 0, 0, 7]);
    }
}
