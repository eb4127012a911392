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

/// The data of `query` and `query_range` with what the query has cost, if that was asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryAnswer {
    /// The answer.
    #[serde(flatten)]
    pub data: QueryData,
    /// What it has cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<QueryStats>,
}

/// What a query has cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryStats {
    /// Its times.
    pub timings: QueryTimings,
    /// Its samples.
    pub samples: QuerySamples,
}

/// Seconds that a query took, in its stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryTimings {
    /// From its plan to its last value.
    pub eval_total_time: f64,
    /// Of this, putting series in order.
    pub result_sort_time: f64,
    /// Of this, planning.
    pub query_preparation_time: f64,
    /// Of this, everything else.
    pub inner_eval_time: f64,
    /// Waiting for a thread.
    pub exec_queue_time: f64,
    /// Everything but waiting.
    pub exec_total_time: f64,
}

/// Samples that a query looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuerySamples {
    /// For each of its steps.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "samples")]
    pub total_queryable_samples_per_step: Vec<(f64, u64)>,
    /// For all of them.
    pub total_queryable_samples: u64,
    /// No more than so many were held at a time.
    pub peak_samples: u64,
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

/// A target that is scraped, in the data of `targets`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveTarget {
    /// Before relabelling.
    pub discovered_labels: Labels,
    /// After it.
    pub labels: Labels,
    /// The job.
    pub scrape_pool: String,
    /// Where it is.
    #[serde(rename = "scrapeUrl")]
    pub scrape_url: String,
    /// Where it is as seen from elsewhere.
    #[serde(rename = "globalUrl")]
    pub global_url: String,
    /// Why the last scrape failed; empty if it did not.
    pub last_error: String,
    /// In RFC 3339.
    pub last_scrape: String,
    /// In seconds.
    pub last_scrape_duration: f64,
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// A duration such as `15s`.
    pub scrape_interval: String,
    /// A duration such as `10s`.
    pub scrape_timeout: String,
}

/// A target that relabelling dropped, in the data of `targets`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedTarget {
    /// Before relabelling.
    pub discovered_labels: Labels,
    /// The job.
    pub scrape_pool: String,
}

/// The data of `targets`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    /// Those that are scraped.
    pub active_targets: Vec<ActiveTarget>,
    /// Those that are not.
    pub dropped_targets: Vec<DroppedTarget>,
    /// How many are not, by job; nothing if they are not asked for.
    pub dropped_target_counts: Option<BTreeMap<String, u64>>,
}

/// The data of `scrape_pools`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrapePools {
    /// The names of the jobs.
    pub scrape_pools: Vec<String>,
}

/// What a target says of a metric, in the data of `targets/metadata`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetMetadata {
    /// Whose word it is.
    pub target: Labels,
    /// The metric, unless it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// `counter`, `gauge` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it means.
    pub help: String,
    /// Its unit.
    pub unit: String,
}

/// A series at one instant: it has a value or a histogram.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VectorSeries {
    /// The labels, `__name__` among them.
    pub metric: Labels,
    /// The number.
    #[serde(default, serialize_with = "maybe", skip_serializing_if = "Option::is_none")]
    pub value: Option<Sample>,
    /// The native histogram.
    #[serde(default, serialize_with = "maybe", skip_serializing_if = "Option::is_none")]
    pub histogram: Option<HistogramSample>,
}

/// Unix seconds with a fraction, and a native histogram.
pub type HistogramSample = (f64, Histogram);

/// A native histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many observations there are, as text.
    pub count: String,
    /// Their sum, as text.
    pub sum: String,
    /// Those that hold observations, from the lowest: which of their ends belong to them (0 the upper, 1 the lower, 2 none, 3 both), the
    /// ends, the count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<(u8, String, String, String)>,
}

/// A series over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixSeries {
    /// The labels, `__name__` among them.
    pub metric: Labels,
    /// The numbers in time order.
    #[serde(default, serialize_with = "samples", skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Sample>,
    /// The native histograms in time order.
    #[serde(default, serialize_with = "samples", skip_serializing_if = "Vec::is_empty")]
    pub histograms: Vec<HistogramSample>,
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
fn sample<S: Serializer, V: Serialize>(sample: &(f64, V), serializer: S) -> Result<S::Ok, S::Error> {
    let (seconds, value) = sample;
    if seconds.fract() == 0.0 && seconds.abs() < 9e15 {
        (*seconds as i64, value).serialize(serializer)
    } else {
        (seconds, value).serialize(serializer)
    }
}

fn timestamp<S: Serializer>(seconds: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if seconds.fract() == 0.0 && seconds.abs() < 9e15 {
        serializer.serialize_i64(*seconds as i64)
    } else {
        serializer.serialize_f64(*seconds)
    }
}

fn maybe<S: Serializer, V: Serialize>(maybe: &Option<(f64, V)>, serializer: S) -> Result<S::Ok, S::Error> {
    match maybe {
        Some(value) => sample(value, serializer),
        None => serializer.serialize_none(),
    }
}

fn samples<S: Serializer, V: Serialize>(samples: &[(f64, V)], serializer: S) -> Result<S::Ok, S::Error> {
    struct Whole<'a, V>(&'a (f64, V));

    impl<V: Serialize> Serialize for Whole<'_, V> {
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
            histograms: Vec::new(),
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

    #[test]
    fn histograms_stand_beside_values() {
        let text = |text: &str| text.to_owned();
        let histogram =
            Histogram { count: text("3"), sum: text("4"), buckets: vec![(0, text("1"), text("2"), text("3"))] };
        let series = VectorSeries { histogram: Some((5.0, histogram)), ..VectorSeries::default() };
        let expected = r#"{"metric":{},"histogram":[5,{"count":"3","sum":"4","buckets":[[0,"1","2","3"]]}]}"#;
        assert_eq!(serde_json::to_string(&series).expect("JSON"), expected);
        assert_eq!(serde_json::from_str::<VectorSeries>(expected).expect("the text reads back"), series);
    }
}
