//! A metric data point as a row of `/api/v1/points`, and exemplars.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Attributes, Scope, is_zero};

/// One data point. Which of the value fields are present follows from `type`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PointRow {
    /// RFC 3339 with nanoseconds.
    pub timestamp: String,
    /// The number the point got when it was committed.
    pub ingest_seq: u64,
    /// `service.name` of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// OTLP's metric name.
    pub metric: String,
    /// `gauge`, `sum`, `histogram`, `exponential_histogram`, `summary`.
    #[serde(rename = "type")]
    pub kind: String,
    /// UCUM unit.
    pub unit: String,
    /// What the metric measures.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// `delta`, `cumulative`; absent for gauges and summaries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporality: Option<String>,
    /// Of sums: whether it only grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monotonic: Option<bool>,
    /// RFC 3339: since when a sum or histogram counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_timestamp: Option<String>,
    /// Of gauges and sums: a number, or a string for NaN, infinities and integers beyond 2^53.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Of histograms and summaries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Of histograms and summaries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<Value>,
    /// Of histograms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// Of histograms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// Of histograms: one more than the bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_counts: Option<Vec<u64>>,
    /// Of histograms: upper bounds, ascending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explicit_bounds: Option<Vec<Value>>,
    /// Of exponential histograms: the base is 2^(2^-scale).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<i32>,
    /// Of exponential histograms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_count: Option<u64>,
    /// Of exponential histograms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_threshold: Option<Value>,
    /// Of exponential histograms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<Buckets>,
    /// Of exponential histograms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative: Option<Buckets>,
    /// Of summaries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Vec<Quantile>>,
    /// Whether the point says that there is no value any more.
    #[serde(skip_serializing_if = "is_zero")]
    pub no_recorded_value: bool,
    /// OTLP's data point flags.
    #[serde(skip_serializing_if = "is_zero")]
    pub flags: u32,
    /// Exemplars in the order they were sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exemplars: Vec<Exemplar>,
    /// Attributes of the point.
    pub attributes: Attributes,
    /// Attributes of the resource.
    pub resource: Attributes,
    /// The instrumentation scope.
    pub scope: Scope,
    /// OTLP's metadata of the metric.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Attributes,
    /// How many attributes of the resource were dropped before sending.
    #[serde(skip_serializing_if = "is_zero")]
    pub resource_dropped_attributes_count: u32,
    /// Schema URL of the resource.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_schema_url: String,
    /// Keys this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Buckets of one sign of an exponential histogram.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Buckets {
    /// Index of the first bucket.
    pub offset: i32,
    /// Counts of consecutive buckets.
    pub bucket_counts: Vec<u64>,
}

/// One quantile of a summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// From 0 to 1.
    pub quantile: Value,
    /// The value at it.
    pub value: Value,
}

/// A measurement that stands for others, with the trace it was taken in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exemplar {
    /// RFC 3339 with nanoseconds.
    pub timestamp: String,
    /// The metric's name; only where the exemplar stands alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// `service.name`; only where the exemplar stands alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The measurement.
    pub value: Value,
    /// 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// See the configuration's `correlation.keys`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// OTLP's filtered attributes: those that the point's own do not have.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Attributes,
}
