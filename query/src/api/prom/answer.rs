//! Prometheus's envelope around answers and errors.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use model::wire::prom::{
    Histogram as WireHistogram, HistogramSample, Labels, MatrixSeries, QueryData, Response, Sample as WireSample,
    VectorSeries,
};
use serde::Serialize;

use crate::promql::{Answer, Bucket, Element, Histogram, Kind, PromqlError, Sample, Value};

/// An answer with what the asker should know about it.
pub(in crate::api) struct Reply<D> {
    pub(in crate::api) data: D,
    pub(in crate::api) warnings: Vec<String>,
    pub(in crate::api) infos: Vec<String>,
}

impl<D> Reply<D> {
    /// An answer about which nothing needs to be said.
    pub(in crate::api) fn plain(data: D) -> Self {
        Self { data, warnings: Vec::new(), infos: Vec::new() }
    }

    /// Cuts `items` to `limit` (0: no limit) and says so.
    pub(in crate::api) fn limited<T>(mut items: Vec<T>, limit: usize, wrap: impl FnOnce(Vec<T>) -> D) -> Self {
        let mut reply_warnings = Vec::new();
        if limit > 0 && items.len() > limit {
            items.truncate(limit);
            reply_warnings.push(TRUNCATED.to_owned());
        }
        Self { data: wrap(items), warnings: reply_warnings, infos: Vec::new() }
    }
}

const TRUNCATED: &str = "results truncated due to limit";

impl<D: Serialize> IntoResponse for Reply<D> {
    fn into_response(self) -> HttpResponse {
        let envelope = Response {
            status: "success".to_owned(),
            data: Some(self.data),
            error_type: None,
            error: None,
            warnings: self.warnings,
            infos: self.infos,
        };
        Json(envelope).into_response()
    }
}

/// An error as Prometheus answers it.
#[derive(Debug)]
pub(in crate::api) struct PromError {
    status: StatusCode,
    error_type: &'static str,
    message: String,
}

impl PromError {
    /// The request is wrong.
    pub(in crate::api) fn bad_data(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error_type: "bad_data", message: message.into() }
    }

    /// A parameter is wrong.
    pub(in crate::api) fn bad_parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {reason}"))
    }

    /// Not now.
    pub(in crate::api) fn unavailable(message: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error_type: "unavailable", message: message.into() }
    }

    /// Our own fault. The asker learns that reading failed; which file it was stands in the log alone.
    pub(in crate::api) fn internal(error: &dyn std::error::Error) -> Self {
        let chain: Vec<String> =
            std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
        tracing::error!(error = chain.join(": "), "a query could not read the store");
        let message = "the store could not be read; the server's log names the file".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, error_type: "internal", message }
    }

    /// What became of the query in the parameter `parameter`.
    pub(in crate::api) fn of_query(parameter: &str, error: &PromqlError) -> Self {
        let (status, error_type) = match error.kind() {
            Kind::BadData => return Self::bad_parameter(parameter, error),
            Kind::Internal => return Self::internal(error),
            Kind::Execution => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            Kind::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            Kind::Canceled => (StatusCode::SERVICE_UNAVAILABLE, "canceled"),
        };
        Self { status, error_type, message: error.to_string() }
    }
}

impl IntoResponse for PromError {
    fn into_response(self) -> HttpResponse {
        let envelope: Response<()> = Response {
            status: "error".to_owned(),
            data: None,
            error_type: Some(self.error_type.to_owned()),
            error: Some(self.message),
            warnings: Vec::new(),
            infos: Vec::new(),
        };
        let mut response = (self.status, Json(envelope)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A query's answer on the wire, with at most `limit` series (0: all).
pub(super) fn query_reply(answer: Answer, limit: usize) -> Reply<QueryData> {
    let mut reply = match answer.value {
        Value::Scalar(sample) => Reply::plain(QueryData::Scalar(wire_sample(sample))),
        Value::Text(time, text) => Reply::plain(QueryData::String((seconds(time), text))),
        Value::Vector(vector) => {
            let series = vector.into_iter().map(|(labels, point)| {
                let metric = wire_labels(&labels);
                match point.element {
                    Element::Number(value) => {
                        let value = Some(wire_sample(Sample { time: point.time, value }));
                        VectorSeries { metric, value, histogram: None }
                    }
                    Element::Histogram(histogram) => {
                        let histogram = Some(wire_histogram(point.time, &histogram));
                        VectorSeries { metric, value: None, histogram }
                    }
                }
            });
            Reply::limited(series.collect(), limit, QueryData::Vector)
        }
        Value::Matrix(matrix) => {
            let series = matrix.into_iter().map(|(labels, points)| MatrixSeries {
                metric: wire_labels(&labels),
                values: points.numbers.into_iter().map(wire_sample).collect(),
                histograms: points
                    .histograms
                    .iter()
                    .map(|(time, histogram)| wire_histogram(*time, histogram))
                    .collect(),
            });
            Reply::limited(series.collect(), limit, QueryData::Matrix)
        }
    };
    reply.warnings.extend(answer.warnings);
    reply.infos.extend(answer.infos);
    reply
}

/// Labels on the wire.
pub(super) fn wire_labels(labels: &model::Labels) -> Labels {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn wire_sample(sample: Sample) -> WireSample {
    (seconds(sample.time), number_text(sample.value))
}

fn wire_histogram(time: i64, histogram: &Histogram) -> HistogramSample {
    let bucket = |bucket: Bucket| {
        let ends = match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        (ends, number_text(bucket.lower), number_text(bucket.upper), number_text(bucket.count))
    };
    let buckets = histogram.buckets().into_iter().map(bucket).collect();
    let histogram = WireHistogram { count: number_text(histogram.count), sum: number_text(histogram.sum), buckets };
    (seconds(time), histogram)
}

pub(super) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// A number as Prometheus writes it: shortest digits that read back equal, an exponent of two digits or more only for the very
/// small and the very large.
pub(super) fn number_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value == 0.0 || (1e-6..1e21).contains(&value.abs()) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_prometheus_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (-1.5e-10, "-1.5e-10"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.25e300, "1.25e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number_text(value), expected);
        }
    }
}
