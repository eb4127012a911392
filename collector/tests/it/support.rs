//! A server for tests: an intake before a store in a folder of its own, and both doors on ports of their own.

use collector::Config;
use collector::convert::{Context, Limits};
use model::Timestamp;

/// When every converted request was received.
pub const RECEIVED: Timestamp = Timestamp::from_nanos(1_800_000_000_000_000_000);

pub fn correlation_keys() -> Vec<String> {
    Config::default().correlation_keys
}

pub fn context(keys: &[String]) -> Context<'_> {
    Context { received: RECEIVED, correlation_keys: keys, limits: Limits::default() }
}
