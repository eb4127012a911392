//! The shop from outside: real processes, a small OTLP receiver, and what arrives there.

#[cfg(feature = "real")]
mod real;
#[path = "../../../../sdk/tests/it/receiver.rs"]
mod receiver;
