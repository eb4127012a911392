//! The shop: microservices that stand on what modern back ends stand on, each with its signals and each breakable on purpose, for `sextant demo`, for tests and as an example to copy.
//!
//! Six services, a process per instance, instrumented by `sextant-sdk`; `README.md` shows how they call each other. The shop knows nothing of Sextant: it speaks OTLP to whatever
//! endpoint it is given. The root package offers its commands as `sextant shop`; `src/main.rs` is the same thing alone.

mod announce;
mod catalog;
pub mod cli;
mod config;
mod context;
mod data;
mod faults;
mod gateway;
mod limits;
mod loadgen;
mod net;
mod notifications;
mod order;
mod order_ids;
mod orders;
mod payments;
mod queue;
#[cfg(all(test, any(feature = "real", feature = "nats")))]
#[path = "../tests/it/real.rs"]
mod real;
mod service;
mod stop;
mod supervisor;
mod watchdog;

pub use config::{Components, ServiceConfig, ServiceName};
pub use faults::{Fault, FaultKind, NoSuchFault};
pub use service::run_service;
pub use stop::stop_requested;
pub use supervisor::{Plan, Shop};
