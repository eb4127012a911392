//! Measurements: histograms with exemplars, which are recorded through here, and what every process has to say about itself.

mod host;
mod pools;
mod process;
mod procfs;
mod runtime;

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::metrics::Meter;
use opentelemetry::{Context, KeyValue};

use crate::export::reservoir::{self, Reservoir};

pub use pools::{CacheStats, PoolStats, observe_cache, observe_pool};

/// The bounds that the conventions give for durations, in seconds.
pub const DURATION_BOUNDS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The official SDK's bounds for histograms that name none.
const USUAL_BOUNDS: [f64; 15] =
    [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

/// A histogram that keeps, for each bucket of each attribute set, the latest measurement with its trace and correlation id.
#[derive(Clone, Debug)]
pub struct Histogram {
    inner: opentelemetry::metrics::Histogram<f64>,
    exemplars: Arc<Reservoir>,
}

impl Histogram {
    /// Records a measurement made in the current context.
    pub fn record(&self, value: f64, attributes: &[KeyValue]) {
        Context::map_current(|context| self.record_in(context, value, attributes));
    }

    /// Records a measurement made in another context.
    pub fn record_in(&self, context: &Context, value: f64, attributes: &[KeyValue]) {
        self.inner.record(value, attributes);
        self.exemplars.offer(context, value, attributes);
    }
}

/// Makes a [`Histogram`].
#[derive(Debug)]
pub struct HistogramBuilder<'a> {
    meter: &'a Meter,
    name: Cow<'static, str>,
    unit: &'static str,
    description: &'static str,
    bounds: Vec<f64>,
}

/// A histogram with exemplars.
pub fn histogram(meter: &Meter, name: impl Into<Cow<'static, str>>) -> HistogramBuilder<'_> {
    HistogramBuilder { meter, name: name.into(), unit: "", description: "", bounds: USUAL_BOUNDS.to_vec() }
}

impl HistogramBuilder<'_> {
    /// Its unit, as UCUM writes it.
    pub fn with_unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// What it measures.
    pub fn with_description(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// The upper bounds of its buckets, ascending.
    pub fn with_boundaries(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.bounds = bounds.into();
        self
    }

    /// The histogram.
    pub fn build(self) -> Histogram {
        let exemplars = reservoir::of_metric(&self.name, self.bounds.clone());
        let inner = self
            .meter
            .f64_histogram(self.name)
            .with_unit(self.unit)
            .with_description(self.description)
            .with_boundaries(self.bounds)
            .build();
        Histogram { inner, exemplars }
    }
}

/// A meter for the program's own instruments.
pub fn meter(scope: &'static str) -> Meter {
    opentelemetry::global::meter(scope)
}

/// Begins what is measured without anybody's doing.
pub(crate) fn begin(meter: &Meter, process: bool, host: bool) {
    if process {
        process::begin(meter);
        runtime::begin(meter);
    }
    if host {
        host::begin(meter);
    }
}
