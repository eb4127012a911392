//! The process's own counters as an OTLP request. They bear the names they have on `/metrics`.

use model::Timestamp;
use model::stats::{LabelPairs, Reading, ReadingValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, number_data_point,
};

use super::{Myself, scope, text, unsigned};

pub(super) fn request(myself: &Myself, readings: &[Reading], now: Timestamp) -> ExportMetricsServiceRequest {
    let times = Times { start_time_unix_nano: unsigned(myself.started), time_unix_nano: unsigned(now) };
    // One metric per family: the series of a family follow each other.
    let mut metrics: Vec<Metric> = Vec::new();
    for reading in readings {
        match metrics.last_mut() {
            Some(metric) if metric.name == reading.name => times.add(metric, reading),
            _ => {
                let mut metric = empty(reading);
                times.add(&mut metric, reading);
                metrics.push(metric);
            }
        }
    }
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(myself.resource()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope("sextant", myself)),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn empty(reading: &Reading) -> Metric {
    let cumulative = AggregationTemporality::Cumulative as i32;
    let data = match reading.value {
        ReadingValue::Counter(_) => {
            Data::Sum(Sum { aggregation_temporality: cumulative, is_monotonic: true, ..Sum::default() })
        }
        ReadingValue::Gauge(_) => Data::Gauge(Gauge::default()),
        ReadingValue::Seconds { .. } => {
            Data::Histogram(Histogram { aggregation_temporality: cumulative, ..Histogram::default() })
        }
    };
    let unit = if matches!(reading.value, ReadingValue::Seconds { .. }) { "s" } else { "" };
    Metric {
        name: reading.name.to_owned(),
        description: reading.help.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

#[derive(Clone, Copy)]
struct Times {
    start_time_unix_nano: u64,
    time_unix_nano: u64,
}

impl Times {
    fn add(self, metric: &mut Metric, reading: &Reading) {
        let attributes = attributes(&reading.labels);
        match (&mut metric.data, &reading.value) {
            (Some(Data::Sum(sum)), ReadingValue::Counter(value)) => {
                sum.data_points.push(self.number(*value, attributes))
            }
            (Some(Data::Gauge(gauge)), ReadingValue::Gauge(value)) => {
                gauge.data_points.push(self.number(*value, attributes))
            }
            (Some(Data::Histogram(histogram)), ReadingValue::Seconds { bounds, counts, sum }) => {
                histogram.data_points.push(HistogramDataPoint {
                    attributes,
                    start_time_unix_nano: self.start_time_unix_nano,
                    time_unix_nano: self.time_unix_nano,
                    count: counts.iter().sum(),
                    sum: Some(*sum),
                    bucket_counts: counts.clone(),
                    explicit_bounds: bounds.clone(),
                    ..HistogramDataPoint::default()
                });
            }
            _ => debug_assert!(false, "a family is of one kind"),
        }
    }

    fn number(self, value: u64, attributes: Vec<KeyValue>) -> NumberDataPoint {
        NumberDataPoint {
            attributes,
            start_time_unix_nano: self.start_time_unix_nano,
            time_unix_nano: self.time_unix_nano,
            value: Some(number_data_point::Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX))),
            ..NumberDataPoint::default()
        }
    }
}

fn attributes(labels: &LabelPairs) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| text(name, value)).collect()
}

#[cfg(test)]
mod tests {
    use model::stats::Stats;

    use super::*;

    #[test]
    fn a_family_is_one_metric_with_a_point_per_series() {
        let stats = Stats::new();
        stats.counter("sextant_a_total", "A.", &[("door", "x")]).add(3);
        stats.counter("sextant_a_total", "A.", &[("door", "y")]).add(4);
        stats.gauge("sextant_b_bytes", "B.", &[]).set(5);
        stats.seconds("sextant_c_seconds", "C.", &[]).observe(std::time::Duration::from_secs(60));
        let myself = Myself {
            version: "1".to_owned(),
            instance: "127.0.0.1:3300".to_owned(),
            started: Timestamp::from_nanos(7),
        };
        let request = request(&myself, &stats.readings(), Timestamp::from_nanos(9));
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["sextant_a_total", "sextant_b_bytes", "sextant_c_seconds"]);
        let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("{metrics:?}") };
        assert_eq!((sum.data_points.len(), sum.is_monotonic), (2, true));
        assert_eq!((sum.data_points[1].start_time_unix_nano, sum.data_points[1].time_unix_nano), (7, 9));
        let Some(Data::Histogram(histogram)) = &metrics[2].data else { panic!("{metrics:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum, point.bucket_counts.last()), (1, Some(60.0), Some(&1)));
    }
}
