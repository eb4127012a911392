//! A duration histogram with exemplars, which the official Rust SDK does not send: `reservoir` measures, `export`
//! writes the OTLP request and sends it. The official API has no place to hang this in, so it stands beside the SDK.

mod export;
mod reservoir;

pub(crate) use export::{Exporter, export_until, now_unix_nano};
pub(crate) use reservoir::{DurationHistogram, Seen};
