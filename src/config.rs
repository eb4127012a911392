//! The whole configuration: the crates' own settings put together in one file.
//!
//! `sextant.toml`, then `SEXTANT_*` variables, then flags; the later wins. Every key stands with its default and a comment
//! in `config/default.toml`, which is compiled in: it is the list of known keys, the source of the reference page, and
//! compared by a test with the `Default` of the types here and in the crates.

mod door;
pub mod keys;
mod layers;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use door::Door;
pub use layers::load;
pub use layers::variables;
#[cfg(feature = "demo")]
pub use layers::without_file;

/// Every setting of a server.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The directory that holds everything.
    pub data_dir: PathBuf,
    /// OTLP over gRPC.
    pub otlp_grpc: Door,
    /// OTLP over HTTP.
    pub otlp_http: Door,
    /// Queries, `/metrics`, health.
    pub http: Door,
    /// A file whose first line is the bearer token of every door; empty for none.
    pub token_file: PathBuf,
    /// Whether doors may be open to the network without any check of who asks.
    pub insecure: bool,
    /// Bytes of memory that the process may take; 0 for a share of what there is.
    pub memory_bytes_max: u64,
    /// Connections of all doors together.
    pub connections_max: usize,
    /// Connections from one address.
    pub connections_per_peer_max: usize,
    /// What the server says of itself on stderr.
    pub log: String,
    /// Seconds between two looks at its own counters that are stored; 0 to store none.
    pub own_metrics_interval_s: u64,
    /// From which level on its own log records and spans are stored, or "off".
    pub own_records: String,
    /// How long requests in flight may take once the server stops.
    pub drain_timeout_ms: u64,
    /// Receiving.
    pub collector: collector::Config,
    /// The data directory.
    pub store: store::Config,
    /// Answers.
    pub query: query::Config,
    /// Alert and recording rules.
    pub rules: query::rules::Config,
    /// Targets that are asked for their metrics.
    pub scrape: collector::scrape::Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("sextant-data"),
            otlp_grpc: Door::loopback(4317),
            otlp_http: Door::loopback(4318),
            http: Door::loopback(3300),
            token_file: PathBuf::new(),
            insecure: false,
            memory_bytes_max: 0,
            connections_max: 4096,
            connections_per_peer_max: 2048,
            log: "info".to_owned(),
            own_metrics_interval_s: 15,
            own_records: "info".to_owned(),
            drain_timeout_ms: 10_000,
            collector: collector::Config::default(),
            store: store::Config::default(),
            query: query::Config::default(),
            rules: query::rules::Config::default(),
            scrape: collector::scrape::Settings::default(),
        }
    }
}

impl Config {
    /// The doors with the names they have everywhere.
    pub fn doors(&self) -> [(&'static str, Door); 3] {
        [("otlp_grpc", self.otlp_grpc), ("otlp_http", self.otlp_http), ("http", self.http)]
    }
}

/// What a person has to change in the configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where: a file and its line, or the name of a variable or flag.
    pub place: String,
    /// What is wrong there.
    pub message: String,
    /// What to write instead, if that can be guessed.
    pub hint: Option<String>,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    fn in_file(file: &Path, text: &str, offset: usize, message: String, hint: Option<String>) -> Self {
        let line = text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
        Self { place: format!("{}:{line}", file.display()), message, hint }
    }
}

#[cfg(test)]
mod tests;
