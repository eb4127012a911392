//! What a program says about its telemetry. What the environment says (`OTEL_*`) wins, so that who runs a service need not build it; the exceptions say so.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use opentelemetry::KeyValue;

use crate::correlation;
use crate::export::points::{DeliveredExemplar, OnDelivery};
use crate::export::transport::Protocol;
use crate::guard::Guard;
use crate::init::{InitError, start};
use crate::limits::SHUTDOWN_MAX;

/// Makes correlation ids for requests that bring none.
pub(crate) type MakeCorrelation = Arc<dyn Fn() -> String + Send + Sync>;

/// The settings of one service; [`crate::builder`] makes one, [`Builder::init`] begins.
#[derive(Clone)]
pub struct Builder {
    pub(crate) service: String,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) endpoint: Option<String>,
    pub(crate) protocol: Option<Protocol>,
    /// Whether the environment has no say in endpoint and protocol.
    pub(crate) fixed: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) batch_delay: Option<Duration>,
    pub(crate) metric_interval: Option<Duration>,
    pub(crate) shutdown_max: Duration,
    pub(crate) correlation_headers: Vec<HeaderName>,
    pub(crate) make_correlation: Option<MakeCorrelation>,
    pub(crate) redact: Vec<String>,
    pub(crate) keep: Vec<String>,
    pub(crate) level: tracing::Level,
    pub(crate) targets: Vec<String>,
    pub(crate) subscriber: bool,
    pub(crate) panic_hook: bool,
    pub(crate) process_metrics: bool,
    pub(crate) host_metrics: bool,
    pub(crate) on_delivery: Option<OnDelivery>,
}

impl Builder {
    pub(crate) fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            attributes: Vec::new(),
            endpoint: None,
            protocol: None,
            fixed: false,
            headers: Vec::new(),
            timeout: None,
            batch_delay: None,
            metric_interval: None,
            shutdown_max: SHUTDOWN_MAX,
            correlation_headers: vec![HeaderName::from_static(correlation::HEADER)],
            make_correlation: None,
            redact: Vec::new(),
            keep: Vec::new(),
            level: tracing::Level::INFO,
            targets: Vec::new(),
            subscriber: true,
            panic_hook: true,
            process_metrics: true,
            host_metrics: false,
            on_delivery: None,
        }
    }

    /// Sets everything up and begins. Keep the guard until the end of `main`: its drop sends what still waits.
    ///
    /// Nothing that is wrong with endpoints or variables is an error: each is one line on stderr, and the service runs on without.
    pub fn init(self) -> Result<Guard, InitError> {
        start(self)
    }

    /// The version of the service, `service.version`.
    pub fn version(self, version: impl Into<String>) -> Self {
        self.attribute("service.version", version.into())
    }

    /// Something else that is true of all that this process sends.
    pub fn attribute(mut self, key: impl Into<opentelemetry::Key>, value: impl Into<opentelemetry::Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    /// Where telemetry goes unless `OTEL_EXPORTER_OTLP_ENDPOINT` and its like say otherwise, as `http://HOST:PORT`.
    pub fn endpoint(mut self, protocol: Protocol, url: impl Into<String>) -> Self {
        (self.endpoint, self.protocol) = (Some(url.into()), Some(protocol));
        self
    }

    /// Where telemetry goes, whatever the environment says: for programs with a flag of their own for it.
    pub fn endpoint_always(mut self, protocol: Protocol, url: impl Into<String>) -> Self {
        self.fixed = true;
        self.endpoint(protocol, url)
    }

    /// A header of every export request, like a token. Those of `OTEL_EXPORTER_OTLP_HEADERS` are sent too, and win.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The longest that an export request takes. The environment: `OTEL_EXPORTER_OTLP_TIMEOUT`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long spans and log records wait for company. The environment: `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BLRP_SCHEDULE_DELAY`.
    pub fn batch_delay(mut self, delay: Duration) -> Self {
        self.batch_delay = Some(delay);
        self
    }

    /// The time between two exports of metrics. The environment: `OTEL_METRIC_EXPORT_INTERVAL`.
    pub fn metric_interval(mut self, interval: Duration) -> Self {
        self.metric_interval = Some(interval);
        self
    }

    /// The longest that the guard's drop takes.
    pub fn shutdown_within(mut self, longest: Duration) -> Self {
        self.shutdown_max = longest;
        self
    }

    /// The headers that a correlation id is taken from, the first of which is also sent. Usually `x-correlation-id`. What is no name of a header is left out.
    pub fn correlation_headers<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.correlation_headers = names.into_iter().filter_map(|name| name.as_ref().parse().ok()).collect();
        self
    }

    /// Makes the correlation ids of requests that bring none, which are random digits otherwise. What is no usable id is not used.
    pub fn make_correlation_id(mut self, make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.make_correlation = Some(Arc::new(make));
        self
    }

    /// Further keys whose values are hidden, by words: `tax_id` hides `customer.taxId` too.
    pub fn redact<T: Into<String>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.redact.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Keys that are usually hidden and are not in this service, like `pin`.
    pub fn do_not_redact<T: Into<String>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.keep.extend(keys.into_iter().map(Into::into));
        self
    }

    /// The most detailed level of spans and events of `tracing` that is sent; usually `INFO`.
    pub fn level(mut self, level: tracing::Level) -> Self {
        self.level = level;
        self
    }

    /// Sends spans and events of `tracing` of this crate, or of others named by further calls, and of no others.
    pub fn only_target(mut self, crate_name: impl Into<String>) -> Self {
        self.targets.push(crate_name.into());
        self
    }

    /// Leaves the process's `tracing` subscriber to the program, which adds [`crate::layer()`] to it.
    pub fn without_subscriber(mut self) -> Self {
        self.subscriber = false;
        self
    }

    /// Leaves panics alone.
    pub fn without_panic_hook(mut self) -> Self {
        self.panic_hook = false;
        self
    }

    /// Leaves out the metrics of the process and of tokio.
    pub fn without_process_metrics(mut self) -> Self {
        self.process_metrics = false;
        self
    }

    /// Sends the metrics of the host too: for one service of each host, or where nothing else watches it.
    pub fn host_metrics(mut self) -> Self {
        self.host_metrics = true;
        self
    }

    /// Told on the metrics' thread whenever a collector has taken a request of metrics, with the exemplars in it.
    pub fn on_delivery(mut self, told: impl Fn(&[DeliveredExemplar<'_>]) + Send + Sync + 'static) -> Self {
        self.on_delivery = Some(Arc::new(told));
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the headers: they have tokens.
        f.debug_struct("Builder")
            .field("service", &self.service)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
