//! The two doors that series come in by: what each can carry of a script's series, and how.

use campaign::binary::Server;
use campaign::otlp;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use promqltest::Series;
use prost::Message as _;
use query::promql::notation::{Cell, Written};
use query::promql::{Hint, Histogram, is_stale};
use tui::Client;
use tui::client::Settings;

use crate::wire::{self, Native, STALE, Value};

/// OTLP's flag of a point that ends a series.
const NO_RECORDED_VALUE: u32 = 1;

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Gauges and exponential histograms over HTTP.
    Otlp,
    /// Versions 1 and 2 by turns.
    RemoteWrite,
}

/// Why something of a series stays outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    Nameless,
    Fractions,
    Hints,
    Custom,
    ZeroWidth,
}

impl Obstacle {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nameless => "a series has no name",
            Self::Fractions => "counts of native histograms are fractions or negative",
            Self::Hints => "native histograms say something about resets",
            Self::Custom => "native histograms have custom buckets, which are classic histograms in OTLP",
            Self::ZeroWidth => "zero buckets reach no further than zero itself, which OTLP has no words for",
        }
    }
}

impl Door {
    pub const ALL: [Self; 2] = [Self::Otlp, Self::RemoteWrite];

    pub fn name(self) -> &'static str {
        match self {
            Self::Otlp => "OTLP",
            Self::RemoteWrite => "remote write",
        }
    }

    /// What it can carry of a series, if anything, and what is in the way of the rest.
    pub fn carried(self, series: &Series) -> (Option<Series>, Vec<Obstacle>) {
        let histograms = || {
            series.samples.iter().filter_map(|(_, cell)| match cell {
                Cell::Histogram(written) => Some(written),
                _ => None,
            })
        };
        let mut obstacles = Vec::new();
        let mut note = |there: bool, obstacle| obstacles.extend(there.then_some(obstacle));
        note(series.labels.metric_name().is_none(), Obstacle::Nameless);
        note(histograms().any(|written| !counts_are_whole(&written.histogram)), Obstacle::Fractions);
        if self == Self::Otlp {
            note(histograms().any(|written| written.histogram.is_custom()), Obstacle::Custom);
            let is_narrow = |histogram: &Histogram| histogram.zero_count != 0.0 && histogram.zero_threshold == 0.0;
            note(histograms().any(|written| is_narrow(&written.histogram)), Obstacle::ZeroWidth);
        }
        let whole = obstacles.is_empty();
        let hinted = histograms().any(|written| written.histogram.hint != Hint::Unknown);
        obstacles.extend(hinted.then_some(Obstacle::Hints));
        let samples = series.samples.iter().map(|(time, cell)| (*time, without_hint(cell)));
        let carried = whole.then(|| Series { labels: series.labels.clone(), samples: samples.collect() });
        (carried, obstacles)
    }

    /// Sends series and sees that they are kept.
    pub async fn send(self, server: &Server, number: usize, series: &[Series]) {
        let client = Client::new(&server.url("otlp_http"), Settings::default()).expect("an address");
        match self {
            Self::Otlp => {
                let body = request(series).encode_to_vec().into();
                let answer = client.post("/v1/metrics", "application/x-protobuf", body).await.expect("an answer");
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                let answer = ExportMetricsServiceResponse::decode(answer.body).expect("protobuf");
                assert_eq!(answer.partial_success, None);
            }
            Self::RemoteWrite => {
                let all: Vec<wire::Series> = series.iter().map(to_write).collect();
                for message in wire::messages(&all, i64::MIN, i64::MAX) {
                    let written =
                        if number.is_multiple_of(2) { wire::version_1(&message) } else { wire::version_2(&message) };
                    let answer = written.post(&client).await;
                    assert!((200..300).contains(&answer.status), "{}", String::from_utf8_lossy(&answer.body));
                }
            }
        }
    }
}

fn without_hint(cell: &Cell) -> Cell {
    match cell {
        Cell::Histogram(written) => {
            let histogram = Histogram { hint: Hint::Unknown, ..Histogram::clone(&written.histogram) };
            Cell::Histogram(Written { histogram: histogram.into(), says_hint: false })
        }
        other => other.clone(),
    }
}

fn counts_are_whole(histogram: &Histogram) -> bool {
    let buckets = histogram.positive.iter().chain(histogram.negative.iter());
    let mut counts = buckets.map(|(_, count)| count).chain([histogram.count, histogram.zero_count]);
    counts.all(|count| count >= 0.0 && count.fract() == 0.0)
}

fn whole(count: f64) -> u64 {
    count as u64
}

fn request(series: &[Series]) -> ExportMetricsServiceRequest {
    let mut metrics = Vec::new();
    for Series { labels, samples } in series {
        let name = labels.metric_name().expect("others are not carried");
        let own = labels.iter().filter(|(label, _)| *label != model::labels::METRIC_NAME);
        let attributes: Vec<KeyValue> = own.map(|(label, value)| otlp::text(label, value)).collect();
        let (mut numbers, mut histograms) = (Vec::new(), Vec::new());
        for (time, cell) in samples {
            match cell {
                Cell::Number(value) => numbers.push(number_point(*time, *value, &attributes)),
                Cell::Histogram(written) => histograms.push(histogram_point(*time, &written.histogram, &attributes)),
                Cell::Nothing => {}
            }
        }
        let exponential = ExponentialHistogram {
            data_points: histograms,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        };
        let has_histograms = !exponential.data_points.is_empty();
        let numbers = Some(Gauge { data_points: numbers }).filter(|gauge| !gauge.data_points.is_empty());
        let histograms = has_histograms.then_some(metric::Data::ExponentialHistogram(exponential));
        let metric = |data| Metric { name: name.to_owned(), data: Some(data), ..Metric::default() };
        metrics.extend(numbers.map(metric::Data::Gauge).into_iter().chain(histograms).map(metric));
    }
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

// 0 is no time in OTLP: what is at the epoch is there a nanosecond later.
fn nanos(millis: i64) -> u64 {
    u64::try_from(millis * 1_000_000).expect("after the epoch").max(1)
}

fn number_point(time: i64, value: f64, attributes: &[KeyValue]) -> NumberDataPoint {
    let stale = is_stale(value);
    NumberDataPoint {
        attributes: attributes.to_vec(),
        time_unix_nano: nanos(time),
        value: (!stale).then_some(number_data_point::Value::AsDouble(value)),
        flags: if stale { NO_RECORDED_VALUE } else { 0 },
        ..NumberDataPoint::default()
    }
}

fn histogram_point(time: i64, histogram: &Histogram, attributes: &[KeyValue]) -> ExponentialHistogramDataPoint {
    // OTLP numbers a bucket by where it begins, Prometheus by where it ends.
    let buckets = |buckets: &query::promql::Buckets| {
        let first = buckets.iter().next().map(|(index, _)| index)?;
        let (last, _) = buckets.iter().next_back()?;
        let bucket_counts = (first..=last).map(|index| whole(buckets.get(index))).collect();
        Some(Buckets { offset: first - 1, bucket_counts })
    };
    ExponentialHistogramDataPoint {
        attributes: attributes.to_vec(),
        time_unix_nano: nanos(time),
        count: whole(histogram.count),
        sum: Some(histogram.sum),
        scale: histogram.schema,
        zero_count: whole(histogram.zero_count),
        zero_threshold: histogram.zero_threshold,
        positive: buckets(&histogram.positive),
        negative: buckets(&histogram.negative),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn to_write(series: &Series) -> wire::Series {
    let labels = series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let samples = series.samples.iter().filter_map(|(time, cell)| {
        let value = match cell {
            Cell::Number(value) if is_stale(*value) => Value::Number(STALE),
            Cell::Number(value) => Value::Number(*value),
            Cell::Histogram(written) => Value::Native(native(&written.histogram)),
            Cell::Nothing => return None,
        };
        Some((*time, value))
    });
    let counts = series.labels.metric_name().is_some_and(|name| name.ends_with("_total"));
    wire::Series { labels, samples: samples.collect(), counts }
}

fn native(histogram: &Histogram) -> Native {
    let counts =
        |buckets: &query::promql::Buckets| buckets.iter().map(|(index, count)| (index, whole(count))).collect();
    Native {
        schema: histogram.schema,
        count: Some(whole(histogram.count)),
        sum: histogram.sum,
        zero_threshold: histogram.zero_threshold,
        zero_count: whole(histogram.zero_count),
        positive: counts(&histogram.positive),
        negative: counts(&histogram.negative),
        bounds: histogram.bounds.to_vec(),
    }
}
