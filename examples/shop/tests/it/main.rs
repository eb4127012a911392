//! The shop from outside: real processes, a small OTLP receiver, and what arrives there.

mod balance;
mod fakes;
mod gateway;
#[path = "../../../../sdk/tests/it/receiver.rs"]
mod receiver;
mod registry;
