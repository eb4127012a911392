//! Counts over time: the answers of `/api/v1/{logs,spans}/histogram` and `/api/v1/services`.

use serde::{Deserialize, Serialize};

/// How many records there are over time, split by severity (logs) or status (spans).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// RFC 3339: the start of the first bucket.
    pub start: String,
    /// RFC 3339: the end of the last bucket, not included in it.
    pub end: String,
    /// Width of a bucket, in nanoseconds.
    pub step_ns: u64,
    /// Logs: `fatal`, `error`, `warn`, `info`, `debug`, `trace`, `unspecified`; spans: `error`, `ok`, `unset`. Worst first;
    /// those without any record are left out.
    pub series: Vec<HistogramSeries>,
    /// Matching records together.
    pub total: u64,
    /// Whether records may be missing.
    pub partial: bool,
    /// Why the answer is partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the asker may want to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The records of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistogramSeries {
    /// The severity or status.
    pub key: String,
    /// One number per bucket.
    pub counts: Vec<u64>,
}

/// Every service that sent spans or logs in a time range, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Services {
    /// RFC 3339.
    pub start: String,
    /// RFC 3339.
    pub end: String,
    /// Width of a step of [`Service::rates`], in nanoseconds.
    pub step_ns: u64,
    /// By name.
    pub services: Vec<Service>,
    /// Whether records may be missing.
    pub partial: bool,
    /// Why the answer is partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Rate, errors and duration of one service. Requests are its spans of kind server or consumer, and its root spans.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// `service.name`; empty for records without one.
    pub service: String,
    /// Requests in the whole range.
    pub requests: u64,
    /// Those of them with status error.
    pub errors: u64,
    /// Requests a second.
    pub rate: f64,
    /// `errors / requests`; 0 if there was no request.
    pub error_share: f64,
    /// Median duration; absent if there was no request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ns: Option<u64>,
    /// Absent if there was no request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ns: Option<u64>,
    /// Absent if there was no request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<u64>,
    /// Requests a second in each step.
    pub rates: Vec<f64>,
    /// Share of errors in each step; 0 where there was no request.
    pub error_shares: Vec<f64>,
    /// Log records in the range.
    pub logs: u64,
    /// Those of them with severity error or worse.
    pub log_errors: u64,
    /// RFC 3339: the time of the newest span or log record.
    pub last_seen: String,
}
