//! Wires one process: settings, export thread, providers, propagator, subscriber, panic hook, in the order in which they need each other.

use std::sync::{Arc, Mutex, OnceLock};

use http::HeaderName;
use opentelemetry::InstrumentationScope;
use opentelemetry::logs::LoggerProvider as _;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::config::{Builder, MakeCorrelation};
use crate::environment::{Settings, settings};
use crate::export::Signal;
use crate::export::points::MetricExporter;
use crate::export::pump::Pump;
use crate::export::queue::{Bounds, Queue};
use crate::export::tally::Tally;
use crate::export::thread::ExportThread;
use crate::export::transport::Transport;
use crate::guard::Guard;
use crate::processors::{Intake, Logs, Spans};
use crate::propagate::Propagator;
use crate::redact::Redaction;
use crate::say::{self, say};
use crate::{layer, metrics, panic, resource};

/// Why telemetry was not set up. What is wrong with endpoints and variables is none of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// A process has one set of telemetry.
    #[error("the telemetry of this process was set up before, as {0}")]
    Twice(String),
}

/// What the layers and helpers find out about the process.
pub(crate) struct Global {
    service: String,
    /// None where no spans are sent: the caller's context then goes through as it is.
    pub(crate) tracer: Option<SdkTracer>,
    /// The one for what the program tells `tracing`.
    pub(crate) bridge: Option<SdkTracer>,
    pub(crate) meter: Meter,
    pub(crate) correlation_headers: Vec<HeaderName>,
    pub(crate) make_correlation: Option<MakeCorrelation>,
    pub(crate) logs: Option<SdkLoggerProvider>,
    pub(crate) level: tracing::Level,
    pub(crate) targets: Vec<String>,
}

static GLOBAL: OnceLock<Global> = OnceLock::new();

/// What `init` has set up, if it was called.
pub(crate) fn global() -> Option<&'static Global> {
    GLOBAL.get()
}

/// The scope of what the SDK itself records.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("sextant-sdk").with_version(env!("CARGO_PKG_VERSION")).build()
}

pub(crate) fn start(program: Builder) -> Result<Guard, InitError> {
    // Held until the end, so that of two callers one sees the other's work.
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = STARTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(global) = global() {
        return Err(InitError::Twice(global.service.clone()));
    }
    let (settings, said) =
        settings(&program, |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()));
    say::as_service(settings.service_name.clone().unwrap_or_else(|| program.service.clone()));
    said.iter().for_each(|line| say(line));
    let started = if settings.disabled { Started::default() } else { started(settings.endpoints.clone()) };
    Ok(wire(program, &settings, started))
}

/// What sends, where something is sent.
#[derive(Default)]
struct Started {
    thread: Option<ExportThread>,
    /// By [`Signal`].
    transports: [Option<Transport>; 3],
}

fn started(endpoints: [Option<crate::export::transport::Endpoint>; 3]) -> Started {
    let mut refused = Vec::new();
    let transports = endpoints.map(|endpoint| {
        let endpoint = endpoint?;
        let name = endpoint.name();
        Transport::new(endpoint).map_err(|why| refused.push(format!("no telemetry is sent to {name}: {why}"))).ok()
    });
    refused.dedup();
    refused.iter().for_each(|line| say(line));
    match ExportThread::start() {
        Ok(thread) => Started { thread: Some(thread), transports },
        Err(error) => {
            say(&format!("there is no telemetry: its thread cannot start: {error}"));
            Started::default()
        }
    }
}

fn wire(program: Builder, settings: &Settings, started: Started) -> Guard {
    let tally = Arc::new(Tally::default());
    let redaction = Redaction::new(&program.redact, &program.keep);
    let (own, service_name) = (&program.attributes, settings.service_name.clone());
    let resource = resource::resource(&program.service, own, service_name, &redaction);
    let encoded: Arc<[u8]> = resource::encoded(&resource).into();
    let mut thread = started.thread;
    let [traces, metric_points, logs] = started.transports;
    let queues = [&settings.spans, &settings.logs].map(|bounds: &Bounds| Arc::new(Queue::new(bounds.clone())));
    let mut intake = |signal, queue: &Arc<Queue>, transport: Option<Transport>| {
        let (thread, transport) = (thread.as_mut()?, transport?);
        let pumped = (Arc::clone(queue), Arc::clone(&tally), Arc::clone(&encoded));
        thread.pump(move |orders| {
            let (queue, tally, resource) = pumped;
            Pump { signal, queue, transport, tally, resource, orders }
        });
        Some(Intake { signal, queue: Arc::clone(queue), tally: Arc::clone(&tally), redaction: redaction.clone() })
    };
    let spans = intake(Signal::Traces, &queues[0], traces);
    let records = intake(Signal::Logs, &queues[1], logs);

    let spans = spans.map(|intake| {
        SdkTracerProvider::builder().with_span_processor(Spans(intake)).with_resource(resource.clone()).build()
    });
    let records = records.map(|intake| {
        SdkLoggerProvider::builder().with_log_processor(Logs(intake)).with_resource(resource.clone()).build()
    });
    let stop_by = Arc::default();
    let exporter = thread.as_ref().zip(metric_points).map(|(thread, transport)| MetricExporter {
        handle: thread.handle.clone(),
        transport: Arc::new(transport),
        tally: Arc::clone(&tally),
        redaction,
        temporality: settings.temporality,
        on_delivery: program.on_delivery.clone(),
        stop_by: Arc::clone(&stop_by),
    });
    let measured = exporter.map(|exporter| {
        let reader = PeriodicReader::builder(exporter).with_interval(settings.metric_interval).build();
        SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build()
    });

    opentelemetry::global::set_text_map_propagator(Propagator::new(settings.propagators));
    if let Some(spans) = &spans {
        opentelemetry::global::set_tracer_provider(spans.clone());
    }
    if let Some(measured) = &measured {
        opentelemetry::global::set_meter_provider(measured.clone());
    }
    // Without a provider of its own the meter is the official one that does nothing.
    let meter = measured.as_ref().map_or_else(
        || opentelemetry::global::meter_with_scope(scope()),
        |measured| measured.meter_with_scope(scope()),
    );
    if let Some(records) = &records {
        // Set once: nobody else has this tally.
        let _ = tally.log.set(records.logger_with_scope(scope()));
    }
    if measured.is_some() {
        let [of_spans, of_logs] = queues;
        tally.register(&meter, [(Signal::Traces, of_spans), (Signal::Logs, of_logs)]);
        metrics::begin(&meter, program.process_metrics, program.host_metrics);
    }
    let global = Global {
        tracer: spans.as_ref().map(|spans| spans.tracer_with_scope(scope())),
        bridge: spans.as_ref().map(|spans| spans.tracer(program.service.clone())),
        service: program.service,
        meter,
        correlation_headers: program.correlation_headers,
        make_correlation: program.make_correlation,
        logs: records.clone(),
        level: program.level,
        targets: program.targets,
    };
    // `start` has looked, and holds its lock.
    GLOBAL.get_or_init(|| global);
    if program.subscriber
        && let Err(error) = layer::subscribe()
    {
        say(&format!(
            "what the service tells `tracing` is not sent: {error}; add sextant_sdk::layer() to the subscriber that it has"
        ));
    }
    if program.panic_hook
        && let Some(records) = &records
    {
        panic::install(records.logger_with_scope(scope()));
    }
    Guard::new(thread, measured, stop_by, tally, program.shutdown_max)
}
