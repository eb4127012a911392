//! The doors: OTLP over gRPC and over HTTP, and remote write (what is scraped comes in by none, and is counted like theirs). They turn a call into bytes for the [`crate::Intake`], and what it says into the
//! protocol's own answer.

use std::error::Error;
use std::fmt;

use store::StoreError;

use crate::Refusal;

pub mod decode;
pub(crate) mod drain;
pub mod either;
pub mod grpc;
pub mod http;
pub(crate) mod pace;
pub mod protect;
pub(crate) mod remote_write;
pub mod share;
pub(crate) mod status;

/// A way to send requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP.
    Http,
    /// Prometheus's remote write, on the port of OTLP/HTTP.
    RemoteWrite,
    /// None: what Sextant fetches itself.
    Scrape,
}

impl Door {
    /// All doors.
    pub const ALL: [Door; 4] = [Door::Grpc, Door::Http, Door::RemoteWrite, Door::Scrape];

    /// The word of the counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Door::Grpc => "otlp_grpc",
            Door::Http => "otlp_http",
            Door::RemoteWrite => "remote_write",
            Door::Scrape => "scrape",
        }
    }
}

// The server's own failures are its operator's business; what senders do wrong is counted and told to them.
fn log_refusal(door: Door, refusal: &Refusal) {
    let chain = Chain(refusal);
    match refusal {
        // Said once by the store, and again by every retry of every sender.
        Refusal::Store(StoreError::DiskFull { .. }) => {
            tracing::debug!(door = door.as_str(), "refused a request: {chain}")
        }
        Refusal::Store(_) | Refusal::Defect => tracing::error!(door = door.as_str(), "refused a request: {chain}"),
        _ => tracing::debug!(door = door.as_str(), "refused a request: {chain}"),
    }
}

// An error with what caused it.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
