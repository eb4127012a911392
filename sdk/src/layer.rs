//! The bridge from `tracing`: its spans become spans, its events log records. What does not come from the service is left out where it would be about exporting.

use std::io::IsTerminal;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::init::{Global, global};

/// The layer for a subscriber of the program's own, together with [`crate::Builder::without_subscriber`]. It does nothing before [`crate::init()`].
pub fn layer<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
{
    global().map(|global| {
        // Events stay out of spans: they are log records already.
        let spans = global.bridge.clone().map(|tracer| {
            let layer = tracing_opentelemetry::layer().with_tracer(tracer);
            let layer =
                layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
            layer.with_filter(filter_fn(move |metadata| metadata.is_span() && is_wanted(metadata, global)))
        });
        let logs = global.logs.as_ref().map(|logs| {
            OpenTelemetryTracingBridge::new(logs)
                .with_filter(filter_fn(move |metadata| metadata.is_event() && is_wanted(metadata, global)))
        });
        Layer::and_then(spans, logs)
    })
}

/// Makes the layer this process's subscriber; with `RUST_LOG` the log is on stderr too.
pub(crate) fn subscribe() -> Result<(), TryInitError> {
    let stderr = std::env::var("RUST_LOG").ok().map(|directives| {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(colour)
            .with_filter(EnvFilter::builder().parse_lossy(directives))
    });
    tracing_subscriber::registry().with(layer()).with(stderr).try_init()
}

fn is_wanted(metadata: &Metadata<'_>, global: &Global) -> bool {
    let origin = metadata.target().split("::").next().unwrap_or_default();
    if *metadata.level() > global.level || origin.starts_with("opentelemetry") {
        return false;
    }
    global.targets.is_empty() || global.targets.iter().any(|target| target.replace('-', "_") == origin)
}
