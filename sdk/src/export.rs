//! From a finished span, record or measurement to the collector, on one thread of its own with a runtime of its own: it works whatever becomes of the service's runtime,
//! and the service never waits for it.
//!
//! `encode` writes spans and log records where they are made, `queue` holds them within a bound of bytes, `pump` sends them and tries again. `points` makes the requests of
//! metrics and adds the exemplars of the `reservoir`. `transport` speaks OTLP over gRPC and HTTP, `answer` reads what comes back, `tally` counts what was lost.

pub(crate) mod answer;
pub(crate) mod connect;
pub(crate) mod encode;
pub(crate) mod points;
pub(crate) mod pump;
pub(crate) mod queue;
pub(crate) mod reservoir;
pub(crate) mod tally;
pub(crate) mod thread;
pub(crate) mod transport;

/// The three kinds of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// As it stands in the names of `OTEL_*` variables.
    pub(crate) const fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    /// The path of OTLP over HTTP.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// The path of OTLP over gRPC.
    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }

    /// What its items are called.
    pub(crate) const fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "metric points",
            Self::Logs => "log records",
        }
    }
}
