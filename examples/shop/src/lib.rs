//! The shop: small microservices that send real telemetry, for `sextant demo`, for tests and as an example to copy.
//!
//! Three services, one process each: gateway -> orders -> payments, over HTTP with W3C trace context and one
//! correlation id per order, instrumented by `sextant-sdk`. It knows nothing of Sextant: it speaks OTLP to whatever endpoint it is given. The root
//! package starts it as the hidden subcommand `shop-service`; `src/main.rs` is the same thing alone.

mod announce;
mod config;
mod fault;
mod gateway;
mod limits;
mod loadgen;
mod order;
mod order_ids;
mod orders;
mod outbound;
mod payments;
mod service;
mod stock;
mod stop;

pub use config::{ConfigError, ServiceConfig, ServiceName};
pub use fault::{Fault, NoSuchFault};
pub use service::run_service;
pub use stop::stop_requested;
