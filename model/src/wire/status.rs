//! The answer of `/api/v1/status`: what runs, how far it is, and every refusal by reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// State of a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Sextant's version.
    pub version: String,
    /// `serving`, `starting`, `stopping`, `read_only`.
    pub mode: String,
    /// RFC 3339.
    pub started: String,
    /// The bound addresses by door: `otlp_grpc`, `otlp_http`, `http`.
    pub doors: BTreeMap<String, String>,
    /// The highest committed ingest_seq; 0 before the first record.
    pub ingest_seq: u64,
    /// When an acknowledgement is given: `always` (after fsync), `interval`, `none`.
    pub durability: String,
    /// The write-ahead log.
    pub wal: WalStatus,
    /// By table: `logs`, `spans`, `points`, `exemplars`.
    pub tables: BTreeMap<String, TableStatus>,
    /// Every counter and gauge of `/metrics`, `name{label="value"}` to value.
    pub counters: BTreeMap<String, u64>,
}

/// The write-ahead log's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WalStatus {
    /// Number of segment files.
    pub segments: u64,
    /// Their bytes together.
    pub bytes: u64,
}

/// One table's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableStatus {
    /// Rows in memory.
    pub head_rows: u64,
    /// Approximate bytes of them.
    pub head_bytes: u64,
    /// Parquet parts.
    pub parts: u64,
    /// Rows in parts.
    pub part_rows: u64,
    /// Bytes of parts on disk, index included.
    pub part_bytes: u64,
}
