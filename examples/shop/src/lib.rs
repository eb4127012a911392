//! The shop: small microservices that send real telemetry, for `sextant demo`, for tests and as an example to copy.
//!
//! Three services, one process each: gateway -> orders -> payments, over HTTP with W3C trace context and one
//! correlation id per order. It knows nothing of Sextant: it speaks OTLP to whatever endpoint it is given. The root
//! package starts it as the hidden subcommand `shop-service`; `src/main.rs` is the same thing alone.

mod announce;
mod config;
mod correlation;
mod exemplars;
mod fault;
mod gateway;
mod inbound;
mod instruments;
mod limits;
mod loadgen;
mod order;
mod orders;
mod otlp_headers;
mod outbound;
mod payments;
mod propagate;
mod service;
mod stock;
mod stop;
mod telemetry;

pub use config::{ConfigError, ServiceConfig, ServiceName};
pub use fault::{Fault, NoSuchFault};
pub use service::run_service;
pub use stop::stop_requested;
