//! Prometheus's HTTP API: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

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
    Scalar(#[serde(serialize_with = "sample")] Sample),
    /// One text.
    String(#[serde(serialize_with = "sample")] Sample),
}

/// The exemplars of a series, in the data of `query_exemplars`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExemplarSeries {
    /// The series' labels, `__name__` among them.
    pub series_labels: Labels,
    /// In the order of time.
    pub exemplars: Vec<WireExemplar>,
}

/// A measurement that stands for many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireExemplar {
    /// `trace_id` and others.
    pub labels: Labels,
    /// The number as text.
    pub value: String,
    /// Unix seconds.
    #[serde(serialize_with = "timestamp")]
    pub timestamp: f64,
}

/// A series at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorSeries {
    /// The labels, `__name__` among them.
    pub metric: Labels,
    /// The sample.
    #[serde(serialize_with = "sample")]
    pub value: Sample,
}

/// A series over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixSeries {
    /// The labels, `__name__` among them.
    pub metric: Labels,
    /// The samples in time order.
    #[serde(serialize_with = "samples")]
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

// Whole seconds are written without a fraction, as Prometheus does: `1700000000`, not `1700000000.0`.
fn sample<S: Serializer>(sample: &Sample, serializer: S) -> Result<S::Ok, S::Error> {
    let (seconds, text) = sample;
    if seconds.fract() == 0.0 && seconds.abs() < 9e15 {
        (*seconds as i64, text).serialize(serializer)
    } else {
        (seconds, text).serialize(serializer)
    }
}

fn timestamp<S: Serializer>(seconds: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if seconds.fract() == 0.0 && seconds.abs() < 9e15 {
        serializer.serialize_i64(*seconds as i64)
    } else {
        serializer.serialize_f64(*seconds)
    }
}

fn samples<S: Serializer>(samples: &[Sample], serializer: S) -> Result<S::Ok, S::Error> {
    struct Whole<'a>(&'a Sample);

    impl Serialize for Whole<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            sample(self.0, serializer)
        }
    }

    serializer.collect_seq(samples.iter().map(Whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_bear_a_fraction_only_if_they_have_one() {
        let series = MatrixSeries {
            metric: Labels::new(),
            values: vec![(1_700_000_000.0, "1".to_owned()), (1_700_000_000.5, "NaN".to_owned())],
        };
        let data = QueryData::Matrix(vec![series]);
        let text = serde_json::to_string(&data).expect("the data are JSON");
        let expected =
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1700000000,"1"],[1700000000.5,"NaN"]]}]}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<QueryData>(&text).expect("the text reads back"), data);
        let scalar = QueryData::Scalar((3.0, "4".to_owned()));
        assert_eq!(serde_json::to_string(&scalar).expect("JSON"), r#"{"resultType":"scalar","result":[3,"4"]}"#);
    }
}
