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
    /// Room on the disk.
    pub disk: DiskStatus,
    /// Parts that are damaged and out of use; answers that lack their rows say so.
    pub quarantined: QuarantineStatus,
    /// By table: `logs`, `spans`, `points`, `exemplars`.
    pub tables: BTreeMap<String, TableStatus>,
    /// What became of everything that was sent, by door, service and signal.
    pub receipts: Vec<Receipt>,
    /// Series of metrics, and which are too many.
    pub series: SeriesStatus,
    /// The memory of the process.
    pub memory: MemoryStatus,
    /// Every counter and gauge of `/metrics`, `name{label="value"}` to value.
    pub counters: BTreeMap<String, u64>,
}

/// What became of what one service sent through one door as one signal. Accepted items are those that can be asked for, that
/// have expired, and that were erased.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipt {
    /// `otlp_grpc`, `otlp_http` or `remote_write`.
    pub door: String,
    /// The service's name; `(unnamed)`, `(others)` beyond some hundred, `(unread)` for requests refused before they were read.
    pub service: String,
    /// `logs`, `spans` or `points`.
    pub signal: String,
    /// Requests that were answered.
    pub requests: u64,
    /// Items that were stored.
    pub accepted: u64,
    /// Of these, items of requests that had been stored before.
    pub duplicates: u64,
    /// Items that were added to one of those: points of series beyond their metric's limit.
    pub folded: u64,
    /// Items that are neither, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Requests that were told to come again, by reason.
    pub shed: BTreeMap<String, u64>,
    /// Requests that were refused for good, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// Series that points have come for within an hour or two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeriesStatus {
    /// How many.
    pub known: u64,
    /// How many there may be.
    pub known_max: u64,
    /// Of how many metrics.
    pub metrics: u64,
    /// How many of one metric there may be.
    pub per_metric_max: u64,
    /// The metrics with the most, of those with a hundred or more.
    pub largest: Vec<MetricSeries>,
    /// What became of points of series beyond a limit, since the process began; those with the most points first.
    pub limited: Vec<LimitedMetric>,
}

/// A metric and how many series of it are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricSeries {
    /// As it was sent.
    pub metric: String,
    /// How many.
    pub series: u64,
}

/// A metric and what became of points of series beyond a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitedMetric {
    /// As it was sent; `(others)` beyond some hundred.
    pub metric: String,
    /// Points that are part of its overflow series.
    pub folded: u64,
    /// Points that were rejected, by reason.
    pub rejected: BTreeMap<String, u64>,
}

/// The memory of the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStatus {
    /// Bytes it may take.
    pub limit_bytes: u64,
    /// Bytes it has in memory.
    pub resident_bytes: u64,
    /// Bytes of requests being received, converted and stored.
    pub in_flight_bytes: u64,
}

/// Room where the data directory is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskStatus {
    /// `ok`; `nearly_full` when signals with a bound of bytes give way; `full` when rows are refused; empty if the system does not say.
    pub state: String,
    /// Bytes free.
    pub free_bytes: u64,
    /// Below which rows are refused.
    pub free_bytes_min: u64,
}

/// What is damaged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuarantineStatus {
    /// Number of parts.
    pub parts: u64,
    /// Their rows together.
    pub rows: u64,
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
    /// Rows that retention has deleted since the data directory was made.
    pub expired_rows: u64,
}
