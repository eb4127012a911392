//! The shop from outside: real processes, a small OTLP receiver, and what arrives there.

#[path = "../../../../sdk/tests/it/receiver.rs"]
mod receiver;
