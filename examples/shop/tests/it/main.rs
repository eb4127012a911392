//! The shop from outside: real processes, a small OTLP receiver, and what arrives there.

mod alone;
mod away;
mod balance;
mod breaker;
mod cache;
mod catalog;
mod command;
mod database;
mod fakes;
mod faults;
mod gateway;
mod load;
mod notifications;
mod office;
mod order;
mod queue;
#[cfg(any(feature = "real", feature = "nats"))]
mod real;
#[path = "../../../../sdk/tests/it/receiver.rs"]
mod receiver;
mod registry;
mod shop;
mod tls;
