//! The shop from outside: real processes, a small OTLP receiver, and what arrives there.

mod alone;
mod cache;
mod catalog;
mod database;
#[cfg(any(feature = "real", feature = "nats"))]
mod real;
#[path = "../../../../sdk/tests/it/receiver.rs"]
mod receiver;
