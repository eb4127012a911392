//! Metric data points from prost's messages.

use model::{Signal, SpanId, Timestamp, TraceId};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, Exemplar, Metric, NumberDataPoint, exemplar, number_data_point,
};
use store::schema::{ExemplarRow, PointColumns, PointRow, PointValue, SeriesRow, ValueRef, derived, metric_type};

use super::attributes::KeyValues;
use super::resource::{Envelope, HeldResource, HeldScope};
use super::{Expansion, Mistakes, Place, correlation, histogram, kept_from, known_time, optional_id};
use collector::convert::Context;
use collector::{Outcome, Reason, Warning};
use prost::{DecodeError, Message as _};

/// Adds the data points of an `ExportMetricsServiceRequest` to the columns.
pub fn points(bytes: &[u8], context: &Context<'_>, columns: &mut PointColumns) -> Result<Outcome, DecodeError> {
    let mut outcome = Outcome::default();
    let request = ExportMetricsServiceRequest::decode(bytes)?;
    let mut expansion = Expansion::new(context.limits);
    for (resource_position, of_resource) in request.resource_metrics.iter().enumerate() {
        let resource = HeldResource::new(of_resource.resource.as_ref(), &of_resource.schema_url, context);
        outcome.begin(resource.service());
        let kept_from = kept_from(context, Signal::Points, resource.service());
        for (scope_position, of_scope) in of_resource.scope_metrics.iter().enumerate() {
            let scope = HeldScope::new(of_scope.scope.as_ref(), &of_scope.schema_url, context);
            let envelope = Envelope::new(&resource, &scope, context);
            for (position, metric) in of_scope.metrics.iter().enumerate() {
                let place = Place {
                    lists: ["resource_metrics", "scope_metrics", "metrics"],
                    positions: [resource_position, scope_position, position],
                    point: None,
                    name: &metric.name,
                };
                let Some(data) = &metric.data else {
                    outcome.warnings.note(Warning::MetricWithoutData, 1, || place.to_string());
                    continue;
                };
                let held = HeldMetric::new(metric, data, &envelope, kept_from, context);
                for (position, point) in of_data(data).enumerate() {
                    let place = || Place { point: Some(position), ..place }.to_string();
                    match held.push(point, context, &mut expansion, columns) {
                        Ok(mistakes) => {
                            outcome.accepted += 1;
                            mistakes.note(&mut outcome, place);
                        }
                        Err(reason) => outcome.rejected.note(reason, 1, place),
                    }
                }
            }
        }
    }
    outcome.settle();
    Ok(outcome)
}

// What the points of one metric share.
struct HeldMetric<'a> {
    metric: &'a Metric,
    envelope: &'a Envelope<'a>,
    metadata: KeyValues<'a>,
    metric_type: u8,
    // `None` where the type has none.
    temporality: Option<i32>,
    monotonic: bool,
    bytes: usize,
    kept_from: Timestamp,
}

// A point of any type with what all types have.
#[derive(Clone, Copy)]
struct AnyPoint<'a> {
    attributes: &'a [KeyValue],
    time_unix_nano: u64,
    start_time_unix_nano: u64,
    flags: u32,
    exemplars: &'a [Exemplar],
    value: Value<'a>,
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Point(Result<PointValue<'a>, Reason>),
    // Its quantiles need memory of their own, which is borrowed from where the point is pushed.
    Summary(&'a opentelemetry_proto::tonic::metrics::v1::SummaryDataPoint),
}

impl<'a> HeldMetric<'a> {
    fn new(
        metric: &'a Metric,
        data: &'a Data,
        envelope: &'a Envelope<'a>,
        kept_from: Timestamp,
        context: &Context<'_>,
    ) -> Self {
        let (metric_type, temporality, monotonic) = match data {
            Data::Gauge(_) => (metric_type::GAUGE, None, false),
            Data::Sum(sum) => (metric_type::SUM, Some(sum.aggregation_temporality), sum.is_monotonic),
            Data::Histogram(histogram) => (metric_type::HISTOGRAM, Some(histogram.aggregation_temporality), false),
            Data::ExponentialHistogram(histogram) => {
                (metric_type::EXPONENTIAL_HISTOGRAM, Some(histogram.aggregation_temporality), false)
            }
            Data::Summary(_) => (metric_type::SUMMARY, None, false),
        };
        let metadata_bytes: usize = metric.metadata.iter().map(KeyValue::encoded_len).sum();
        Self {
            metric,
            envelope,
            metadata: KeyValues::new(&metric.metadata, &context.limits),
            metric_type,
            temporality,
            monotonic,
            kept_from,
            bytes: envelope.bytes + metric.name.len() + metric.description.len() + metric.unit.len() + metadata_bytes,
        }
    }

    fn fault(&self) -> Result<(), Reason> {
        self.envelope.fault()?;
        self.metadata.fault.map_or(Ok(()), Err)?;
        if self.metric.name.is_empty() {
            return Err(Reason::MetricName);
        }
        if self.temporality == Some(AggregationTemporality::Unspecified as i32) {
            return Err(Reason::Temporality);
        }
        Ok(())
    }

    fn push(
        &self,
        point: AnyPoint<'_>,
        context: &Context<'_>,
        expansion: &mut Expansion,
        columns: &mut PointColumns,
    ) -> Result<Mistakes, Reason> {
        self.fault()?;
        let mut mistakes = self.envelope.mistakes();
        let quantiles;
        let value = match point.value {
            Value::Point(value) => value_or_none(value, point.flags)?,
            Value::Summary(summary) => {
                quantiles = histogram::quantiles(summary);
                PointValue::Summary { count: summary.count, sum: summary.sum, quantiles: &quantiles }
            }
        };
        let time = known_time(point.time_unix_nano)?;
        let start_timestamp = known_time(point.start_time_unix_nano)?;
        let limits = &context.limits;
        if point.attributes.len() > limits.labels_max {
            return Err(Reason::Labels);
        }
        let attributes = KeyValues::new(point.attributes, limits);
        let of_exemplars: Vec<KeyValues<'_>> =
            point.exemplars.iter().map(|e| KeyValues::new(&e.filtered_attributes, limits)).collect();
        for list in [&attributes].into_iter().chain(&of_exemplars) {
            list.fault.map_or(Ok(()), Err)?;
            mistakes.string_index |= list.string_index;
        }
        mistakes.string_index |= self.metadata.string_index;

        let timestamp = time.unwrap_or(context.received);
        let derived_times = if time.is_none() { derived::TIMESTAMP } else { 0 };
        let pairs = attributes.refs();
        let exemplar_pairs: Vec<Pairs<'_>> = of_exemplars.iter().map(KeyValues::refs).collect();
        let point_correlation_id = correlation::find(context.correlation_keys, &pairs);
        let inherited = point_correlation_id.as_deref().or(self.envelope.correlation_id.as_deref());
        let correlation_ids: Vec<_> =
            exemplar_pairs.iter().map(|pairs| correlation::find(context.correlation_keys, pairs)).collect();
        let mut exemplars = Vec::with_capacity(point.exemplars.len());
        for (position, exemplar) in point.exemplars.iter().enumerate() {
            let correlation_id = correlation_ids[position].as_deref().or(inherited);
            let pairs = &exemplar_pairs[position];
            exemplars.push(exemplar_row(exemplar, pairs, timestamp, correlation_id, &mut mistakes)?);
        }
        if timestamp < self.kept_from {
            return Err(Reason::Expired);
        }
        expansion.take(self.bytes)?;
        let series = self.series(&pairs, columns);
        columns.push(
            &PointRow { series, timestamp, derived_times, start_timestamp, flags: point.flags, value },
            &exemplars,
        );
        Ok(mistakes)
    }

    fn series(&self, attributes: &[(&str, ValueRef<'_>)], columns: &mut PointColumns) -> u32 {
        columns.series(&SeriesRow {
            resource: self.envelope.resource_row(),
            scope: self.envelope.scope_row(),
            metric: &self.metric.name,
            description: &self.metric.description,
            unit: &self.metric.unit,
            metadata: &self.metadata.refs(),
            metric_type: self.metric_type,
            temporality: self.temporality.unwrap_or(0),
            monotonic: self.monotonic,
            attributes,
        })
    }
}

type Pairs<'a> = Vec<(&'a str, ValueRef<'a>)>;

fn of_data(data: &Data) -> Box<dyn Iterator<Item = AnyPoint<'_>> + '_> {
    // A macro, because the three types have equal fields without a common trait.
    macro_rules! any_point {
        ($point:expr, $exemplars:expr, $value:expr) => {
            AnyPoint {
                attributes: &$point.attributes,
                time_unix_nano: $point.time_unix_nano,
                start_time_unix_nano: $point.start_time_unix_nano,
                flags: $point.flags,
                exemplars: $exemplars,
                value: $value,
            }
        };
    }
    let number = |point| {
        let point: &NumberDataPoint = point;
        any_point!(point, &point.exemplars, Value::Point(number_value(point)))
    };
    match data {
        Data::Gauge(gauge) => Box::new(gauge.data_points.iter().map(number)),
        Data::Sum(sum) => Box::new(sum.data_points.iter().map(number)),
        Data::Histogram(data) => {
            Box::new(data.data_points.iter().map(|p| any_point!(p, &p.exemplars, Value::Point(histogram::explicit(p)))))
        }
        Data::ExponentialHistogram(data) => Box::new(
            data.data_points.iter().map(|p| any_point!(p, &p.exemplars, Value::Point(Ok(histogram::exponential(p))))),
        ),
        Data::Summary(data) => Box::new(data.data_points.iter().map(|p| any_point!(p, &[], Value::Summary(p)))),
    }
}

fn number_value(point: &NumberDataPoint) -> Result<PointValue<'static>, Reason> {
    match point.value {
        Some(number_data_point::Value::AsInt(value)) => Ok(PointValue::Int(value)),
        Some(number_data_point::Value::AsDouble(value)) => Ok(PointValue::Double(value)),
        None => Err(Reason::NoValue),
    }
}

// A point that says it has no value need not have a valid one. If it has one all the same it is kept as it came: whoever
// reads values looks at the flag first.
fn value_or_none(value: Result<PointValue<'_>, Reason>, flags: u32) -> Result<PointValue<'_>, Reason> {
    let no_recorded_value = flags & DataPointFlags::NoRecordedValueMask as u32 != 0;
    value.or_else(|reason| if no_recorded_value { Ok(PointValue::None) } else { Err(reason) })
}

fn exemplar_row<'a>(
    exemplar: &Exemplar,
    attributes: &'a Pairs<'a>,
    of_point: Timestamp,
    correlation_id: Option<&'a str>,
    mistakes: &mut Mistakes,
) -> Result<ExemplarRow<'a>, Reason> {
    let time = known_time(exemplar.time_unix_nano)?;
    let trace_id = TraceId::from_slice(&exemplar.trace_id);
    let span_id = SpanId::from_slice(&exemplar.span_id);
    Ok(ExemplarRow {
        timestamp: time.unwrap_or(of_point),
        derived_times: if time.is_none() { derived::TIMESTAMP } else { 0 },
        value: match exemplar.value {
            Some(exemplar::Value::AsInt(value)) => PointValue::Int(value),
            Some(exemplar::Value::AsDouble(value)) => PointValue::Double(value),
            None => PointValue::None,
        },
        trace_id: optional_id(&exemplar.trace_id, TraceId::LEN, trace_id, mistakes),
        span_id: optional_id(&exemplar.span_id, SpanId::LEN, span_id, mistakes),
        correlation_id,
        attributes,
    })
}
