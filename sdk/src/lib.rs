//! Traces, metrics, logs and a correlation id for a Rust service, in one line:
//!
//! ```no_run
//! # fn main() -> Result<(), sextant_sdk::InitError> {
//! let _guard = sextant_sdk::init("orders")?;
//! # Ok(())
//! # }
//! ```
//!
//! From then on what the service tells `tracing` are spans and log records, what it measures with OpenTelemetry's instruments are metrics, panics are log records, the process and its
//! runtime are measured, and all of it leaves over OTLP for whoever listens. [`http::ServerLayer`] observes an axum or tower service, [`http::ClientLayer`], [`http::Call`] and
//! [`grpc::GrpcLayer`] its calls to others, [`db::Query`] its questions to databases, [`messaging::Channel`] its messages. The standard `OTEL_*` variables win over what the
//! program says.
//!
//! It is a guest in the service: it never blocks it, never panics, and takes at most 64 MiB while no collector is there. It knows nothing of Sextant.

mod config;
pub mod correlation;
pub mod db;
mod environment;
mod export;
pub mod grpc;
mod guard;
pub mod http;
mod init;
mod layer;
mod limits;
pub mod messaging;
pub mod metrics;
mod panic;
mod processors;
pub mod propagate;
mod redact;
mod resource;
mod say;

pub use config::Builder;
pub use correlation::CorrelationId;
pub use export::points::DeliveredExemplar;
pub use export::transport::Protocol;
pub use guard::Guard;
pub use init::InitError;
pub use layer::layer;

/// The official crate whose contexts, attributes and instruments are used here.
pub use opentelemetry;

/// Sets up telemetry under this name. Keep the guard until the end of `main`.
pub fn init(service: impl Into<String>) -> Result<Guard, InitError> {
    builder(service).init()
}

/// Settings to change before [`Builder::init`].
pub fn builder(service: impl Into<String>) -> Builder {
    Builder::new(service)
}
