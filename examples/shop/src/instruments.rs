//! The instruments every service has, named after the semantic conventions for HTTP servers and processes.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, ObservableGauge, UpDownCounter};

/// The bounds that the conventions give for request durations, in seconds.
pub(crate) const DURATION_BOUNDS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What a service measures of the requests it serves, and of itself.
#[derive(Debug)]
pub(crate) struct ServerInstruments {
    active: UpDownCounter<i64>,
    duration: Histogram<f64>,
    /// Held so that its callback lives as long as the service.
    _uptime: ObservableGauge<f64>,
}

impl ServerInstruments {
    pub(crate) fn new(meter: &Meter) -> Self {
        let started = Instant::now();
        Self {
            active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_unit("{request}")
                .with_description("Requests under way")
                .build(),
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("Duration of HTTP server requests")
                .with_boundaries(DURATION_BOUNDS_S.to_vec())
                .build(),
            _uptime: meter
                .f64_observable_gauge("process.uptime")
                .with_unit("s")
                .with_description("Time since the service started")
                .with_callback(move |gauge| gauge.observe(started.elapsed().as_secs_f64(), &[]))
                .build(),
        }
    }

    /// Counts a request as under way until the guard is dropped, which happens too when the caller hangs up.
    pub(crate) fn enter(&self, method: &Method) -> ActiveRequest {
        let attributes = [method_attribute(method)];
        self.active.add(1, &attributes);
        ActiveRequest { active: self.active.clone(), attributes }
    }

    pub(crate) fn served(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let attributes = [
            method_attribute(method),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
        ];
        self.duration.record(took.as_secs_f64(), &attributes);
    }
}

/// One request under way.
pub(crate) struct ActiveRequest {
    active: UpDownCounter<i64>,
    attributes: [KeyValue; 1],
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.active.add(-1, &self.attributes);
    }
}

fn method_attribute(method: &Method) -> KeyValue {
    KeyValue::new("http.request.method", method.as_str().to_owned())
}
