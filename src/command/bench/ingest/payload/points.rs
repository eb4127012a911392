//! Points: each of forty pods is read every fifteen seconds: 247 series of numbers (counters and gauges; two of thirteen
//! metrics have values of full precision) and 11 histograms of eleven buckets, 15,600 series in Prometheus's way of counting.

use super::{BEGIN_NANOS, METHODS, PODS, ROUTES, Random, Request, Value, attribute, resource, scope};
use crate::command::bench::wire::Message;

const INTERVAL_NANOS: u64 = 15_000_000_000;
const NUMBERS: u64 = 13 * 19;
const HISTOGRAMS: u64 = 11;
const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    SecondsCounter,
    Gauge,
    RatioGauge,
    PreciseGauge,
}

const METRICS: [(&str, &str, Kind); 13] = [
    ("http.server.requests", "{request}", Kind::Counter),
    ("http.server.request.body.size", "By", Kind::Counter),
    ("http.server.response.body.size", "By", Kind::Counter),
    ("db.client.operations", "{operation}", Kind::Counter),
    ("messaging.client.sent.messages", "{message}", Kind::Counter),
    ("http.server.busy.time", "s", Kind::SecondsCounter),
    ("db.client.busy.time", "s", Kind::SecondsCounter),
    ("http.server.active_requests", "{request}", Kind::Gauge),
    ("db.client.connection.count", "{connection}", Kind::Gauge),
    ("cache.hit.ratio", "1", Kind::RatioGauge),
    ("queue.saturation", "1", Kind::RatioGauge),
    ("http.server.latency.estimate", "s", Kind::PreciseGauge),
    ("http.server.rate.estimate", "{request}/s", Kind::PreciseGauge),
];

pub(super) fn request(number: u64) -> Request {
    let (scrape, service) = (number / 10, number % 10);
    let mut request = Message::default();
    for pod in 0..PODS {
        request.message(1, |of_resource| {
            resource(of_resource, service, pod);
            of_resource.message(2, |of_scope| {
                scope(of_scope, "io.opentelemetry.runtime-telemetry");
                for metric in 0..METRICS.len() {
                    of_scope.message(2, |out| numbers(out, metric, service * PODS + pod, scrape));
                }
                of_scope.message(2, |out| histograms(out, service * PODS + pod, scrape));
            });
        });
    }
    Request { body: request.finish(), items: PODS * (NUMBERS + HISTOGRAMS) }
}

fn time(pod: u64, scrape: u64) -> u64 {
    BEGIN_NANOS + scrape * INTERVAL_NANOS + pod * 7_000_000
}

fn times(out: &mut Message, pod: u64, scrape: u64) {
    out.fixed64(2, BEGIN_NANOS - INTERVAL_NANOS);
    out.fixed64(3, time(pod, scrape));
}

fn numbers(out: &mut Message, metric: usize, pod: u64, scrape: u64) {
    let (name, unit, kind) = METRICS[metric];
    out.text(1, name);
    out.text(3, unit);
    let monotonic = matches!(kind, Kind::Counter | Kind::SecondsCounter);
    out.message(if monotonic { 7 } else { 5 }, |data| {
        for (place, route) in ROUTES.iter().enumerate() {
            let series = (pod * 13 + metric as u64) * 19 + place as u64;
            data.message(1, |point| {
                times(point, pod, scrape);
                value(point, kind, series, scrape);
                attribute(point, 7, "http.route", Value::Text(route));
                attribute(point, 7, "method", Value::Text(METHODS[place % 4]));
            });
        }
        if monotonic {
            data.number(2, 2);
            data.number(3, 1);
        }
    });
}

fn value(point: &mut Message, kind: Kind, series: u64, scrape: u64) {
    let of_series = &mut Random::new(series);
    let noise = &mut Random::new(series << 32 | scrape);
    let rate = 1 + of_series.below(2_000);
    match kind {
        Kind::Counter => point.fixed64(6, scrape * rate + noise.below(rate)),
        Kind::SecondsCounter => point.fixed64(4, ((scrape * rate + noise.below(rate)) as f64 / 1_000.0).to_bits()),
        Kind::Gauge => point.fixed64(6, rate / 10 + noise.below(8)),
        Kind::RatioGauge => point.fixed64(4, ((600 + noise.below(400)) as f64 / 1_000.0).to_bits()),
        Kind::PreciseGauge => {
            point.fixed64(4, (rate as f64 * (1.0 + noise.below(1 << 52) as f64 / 2f64.powi(52))).to_bits())
        }
    }
}

fn histograms(out: &mut Message, pod: u64, scrape: u64) {
    out.text(1, "http.server.request.duration");
    out.text(3, "s");
    out.message(9, |data| {
        for place in 0..HISTOGRAMS {
            data.message(1, |point| {
                times(point, pod, scrape);
                let series = (1 << 20) | (pod * HISTOGRAMS + place);
                let counts: Vec<u64> = (0..=BOUNDS.len() as u64)
                    .map(|bucket| {
                        let rate = Random::new(series << 8 | bucket).below(40);
                        scrape * rate + Random::new(series << 32 | scrape << 4 | bucket).below(rate + 1)
                    })
                    .collect();
                let count: u64 = counts.iter().sum();
                point.fixed64(4, count);
                point.fixed64(5, ((count * 83) as f64 / 1_000.0).to_bits());
                point.packed64(6, counts.into_iter());
                point.packed64(7, BOUNDS.iter().map(|bound| bound.to_bits()));
                attribute(point, 9, "http.route", Value::Text(ROUTES[place as usize]));
            });
        }
        data.number(2, 2);
    });
}
