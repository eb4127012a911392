//! The shop from outside: real processes, a small OTLP receiver, and what arrives there.

mod away;
mod command;
mod faults;
mod load;
mod order;
#[cfg(any(feature = "real", feature = "nats"))]
mod real;
#[path = "../../../../sdk/tests/it/receiver.rs"]
mod receiver;
mod shop;
