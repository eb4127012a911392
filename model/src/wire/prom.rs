//! Prometheus's HTTP API: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The envelope of every answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response<D> {
    /// `success` or `error`.
    pub status: String,
    /// The answer; absent on error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<D>,
    /// `bad_data`, `timeout`, `canceled`, `execution`, `internal`, `unavailable`, `not_found`.
    #[serde(rename = "errorType", default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// One sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What may make the answer wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What the asker may want to know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub infos: Vec<String>,
}

/// Label names to values.
pub type Labels = BTreeMap<String, String>;

/// Unix seconds with a fraction, and the value's text.
pub type Sample = (f64, String);

/// The data of `query` and `query_range`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub enum QueryData {
    /// One sample per series.
    Vector(Vec<VectorSeries>),
    /// Samples over time per series.
    Matrix(Vec<MatrixSeries>),
    /// One number.
    Scalar(Sample),
    /// One text.
    String(Sample),
}

/// A series at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorSeries {
    /// The labels, `__name__` among them.
    pub metric: Labels,
    /// The sample.
    pub value: Sample,
}

/// A series over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixSeries {
    /// The labels, `__name__` among them.
    pub metric: Labels,
    /// The samples in time order.
    pub values: Vec<Sample>,
}

/// What is known of a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Metadata {
    /// `counter`, `gauge`, `histogram`, `summary`, `unknown`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The metric's description.
    pub help: String,
    /// The unit.
    pub unit: String,
}
