//! Points of series beyond their metric's limit: what can be added up without a lie goes on in the metric's overflow series, one for each
//! service. What is added up and what is refused, and why, is in ADR 032.
//!
//! Of one request there is one point for each overflow series. It has the time of its receipt: the times of its senders say nothing about each
//! other, and the store counts points of such series in the order of their commits.

use std::collections::hash_map::{Entry, HashMap};

use model::attributes::AttributeValue;
use model::names::{OVERFLOW, OVERFLOW_SCOPE};
use model::{SpanId, Timestamp, TraceId};
use store::delta::{Explicit, Exponential, TotalValue};
use store::schema::{ExemplarRow, PointColumns, PointRow, PointValue, ResourceRow, ScopeRow, SeriesRow, ValueRef};

use super::any::Pair;
use super::series::{Asked, SeriesGate};
use crate::Reason;
use crate::limits::OVERFLOW_BUCKETS_MAX;

/// OTLP's number of the temporality whose points can be added up.
const DELTA: i32 = 1;
/// OTLP's flag `NO_RECORDED_VALUE`.
const NO_RECORDED_VALUE: u32 = 1;

/// The overflow series of one request, and what their points have come to.
#[derive(Debug, Default)]
pub(super) struct Overflows {
    rows: Vec<Overflow>,
    by_id: HashMap<u64, usize>,
}

/// A point that would need a series too many of its metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surplus<'p> {
    /// The series it would have, but for its attributes.
    pub series: &'p SeriesRow<'p>,
    /// Namespace and name of the service.
    pub service: [Option<&'p str>; 2],
    pub start: Option<Timestamp>,
    pub flags: u32,
    pub value: PointValue<'p>,
    pub exemplars: &'p [ExemplarRow<'p>],
    /// It was stored before, and added up then.
    pub is_repeated: bool,
}

/// Where a point went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// It is the first of a row.
    First,
    /// It is in a row with others.
    Added,
}

// One row to be.
#[derive(Debug)]
struct Overflow {
    metric: String,
    unit: String,
    metric_type: u8,
    monotonic: bool,
    service: [Option<String>; 2],
    start: Option<Timestamp>,
    sum: Sum,
    exemplars: Vec<OwnExemplar>,
}

// What can be added up, and the two things of histograms that totals do not have.
#[derive(Clone, Debug)]
struct Sum {
    value: TotalValue,
    min: Option<f64>,
    max: Option<f64>,
}

impl Overflows {
    /// Adds a point to the overflow series of its metric and service, or says why it is refused.
    pub(super) fn fold(
        &mut self,
        point: &Surplus<'_>,
        gate: &SeriesGate,
        columns: &PointColumns,
    ) -> Result<Folded, Reason> {
        if point.series.temporality != DELTA || point.flags & NO_RECORDED_VALUE != 0 {
            return Err(Reason::MetricSeries);
        }
        let sum = Sum::of(point.value, point.series.monotonic).ok_or(Reason::MetricSeries)?;
        let [metric, unit] = [point.series.metric, point.series.unit];
        let (metric_type, monotonic) = (point.series.metric_type, point.series.monotonic);
        let identity = with_series(metric, unit, metric_type, monotonic, point.service, |series| {
            let stem = columns.stem(series);
            (stem.with(series.attributes).id(), stem.metric_id())
        });
        let asked = Asked { id: identity.0, metric_id: identity.1, metric, labels: &[] };
        let shape = gate.hash((unit, metric_type, monotonic, sum.shape()));
        gate.admit_overflow(asked, gate.hash(point.service), shape)?;
        if point.is_repeated {
            return Ok(Folded::Added);
        }
        let (row, folded) = match self.by_id.entry(asked.id) {
            Entry::Occupied(known) => {
                let row = &mut self.rows[*known.get()];
                row.sum = row.sum.plus(&sum).ok_or(Reason::MetricSeries)?;
                row.start = row.start.zip(point.start).map(|(one, other)| one.min(other));
                (row, Folded::Added)
            }
            Entry::Vacant(new) => {
                new.insert(self.rows.len());
                self.rows.push(Overflow {
                    metric: metric.to_owned(),
                    unit: unit.to_owned(),
                    metric_type,
                    monotonic,
                    service: point.service.map(|text| text.map(str::to_owned)),
                    start: point.start,
                    sum,
                    exemplars: Vec::new(),
                });
                let place = self.rows.len() - 1;
                (&mut self.rows[place], Folded::First)
            }
        };
        row.exemplars.extend(point.exemplars.iter().map(OwnExemplar::of));
        Ok(folded)
    }

    /// All points have been read: their sums become rows.
    pub(super) fn finish(self, received: Timestamp, columns: &mut PointColumns) {
        for row in self.rows {
            let Overflow { metric, unit, metric_type, monotonic, .. } = &row;
            let service = [0, 1].map(|part| row.service[part].as_deref());
            let series = with_series(metric, unit, *metric_type, *monotonic, service, |series| columns.series(series));
            let pairs: Vec<Vec<Pair<'_>>> = row.exemplars.iter().map(OwnExemplar::pairs).collect();
            let exemplars: Vec<ExemplarRow<'_>> =
                row.exemplars.iter().zip(&pairs).map(|(exemplar, pairs)| exemplar.row(pairs)).collect();
            let start_timestamp = row.start.filter(|start| *start <= received);
            // The row is Sextant's own, and so is its time: nothing was filled in.
            let derived_times = 0;
            row.sum.with_value(|value| {
                let flags = 0;
                let row = PointRow { series, timestamp: received, derived_times, start_timestamp, flags, value };
                columns.push(&row, &exemplars);
            });
        }
    }
}

// The series of an overflow: of who sent it only the service is left, of what it says everything that its sum depends on. Its description is
// not among that: two of them would be two series with the same labels.
fn with_series<T>(
    metric: &str,
    unit: &str,
    metric_type: u8,
    monotonic: bool,
    [namespace, name]: [Option<&str>; 2],
    then: impl FnOnce(&SeriesRow<'_>) -> T,
) -> T {
    let resource = [("service.namespace", namespace), ("service.name", name)];
    let resource: Vec<Pair<'_>> =
        resource.into_iter().filter_map(|(key, text)| Some((key, ValueRef::String(text?)))).collect();
    then(&SeriesRow {
        resource: ResourceRow { attributes: &resource, ..ResourceRow::default() },
        scope: ScopeRow { name: OVERFLOW_SCOPE, ..ScopeRow::default() },
        metric,
        description: "",
        unit,
        metadata: &[],
        metric_type,
        temporality: DELTA,
        monotonic,
        attributes: &[(OVERFLOW, ValueRef::Bool(true))],
    })
}

impl Sum {
    // Nothing if one such point would spoil the sum of all others.
    fn of(value: PointValue<'_>, monotonic: bool) -> Option<Sum> {
        let (value, min, max) = match value {
            PointValue::Int(value) => (!monotonic || value >= 0).then_some((TotalValue::Int(value), None, None))?,
            PointValue::Double(value) => {
                let fits = value.is_finite() && (!monotonic || value >= 0.0);
                fits.then_some((TotalValue::Double(value), None, None))?
            }
            PointValue::Histogram { count, sum, min, max, bucket_counts, explicit_bounds } => {
                let (bounds, counts) = (explicit_bounds.to_vec(), bucket_counts.to_vec());
                (TotalValue::Histogram(Explicit { count, sum, bounds, counts }), min, max)
            }
            PointValue::ExponentialHistogram {
                count,
                sum,
                min,
                max,
                scale,
                zero_count,
                zero_threshold,
                positive,
                negative,
            } => {
                let (positive, negative) = (sparse(positive), sparse(negative));
                let of = Exponential { count, sum, scale, zero_count, zero_threshold, positive, negative };
                (TotalValue::Exponential(of), min, max)
            }
            PointValue::None | PointValue::Summary { .. } => return None,
        };
        let sum = Sum { value, min, max };
        sum.is_sound().then_some(sum)
    }

    fn is_sound(&self) -> bool {
        match &self.value {
            TotalValue::Int(_) | TotalValue::Double(_) => true,
            TotalValue::Histogram(histogram) => histogram.sum.is_none_or(f64::is_finite),
            TotalValue::Exponential(histogram) => {
                let sides = [&histogram.positive, &histogram.negative];
                let narrow = |side: &Buckets| span(side) <= OVERFLOW_BUCKETS_MAX;
                histogram.sum.is_none_or(f64::is_finite)
                    && !histogram.zero_threshold.is_nan()
                    && sides.into_iter().all(narrow)
            }
        }
    }

    fn plus(&self, other: &Sum) -> Option<Sum> {
        let both = |one: Option<f64>, other: Option<f64>, choose: fn(f64, f64) -> f64| Some(choose(one?, other?));
        let value = self.value.plus(&other.value)?;
        let sum = Sum { value, min: both(self.min, other.min, f64::min), max: both(self.max, other.max, f64::max) };
        sum.is_sound().then_some(sum)
    }

    // What has to be the same of two that are added up: whether there is a sum too, as one without would take it from all.
    fn shape(&self) -> (bool, Vec<u64>) {
        match &self.value {
            TotalValue::Int(_) | TotalValue::Double(_) => (true, Vec::new()),
            TotalValue::Histogram(Explicit { sum, bounds, counts, .. }) => {
                let bounds = bounds.iter().map(|bound| bound.to_bits());
                (sum.is_some(), [counts.len() as u64].into_iter().chain(bounds).collect())
            }
            TotalValue::Exponential(histogram) => (histogram.sum.is_some(), vec![histogram.zero_threshold.to_bits()]),
        }
    }

    fn with_value<T>(&self, then: impl FnOnce(PointValue<'_>) -> T) -> T {
        let (min, max) = (self.min, self.max);
        match &self.value {
            TotalValue::Int(value) => then(PointValue::Int(*value)),
            TotalValue::Double(value) => then(PointValue::Double(*value)),
            TotalValue::Histogram(Explicit { count, sum, bounds, counts }) => then(PointValue::Histogram {
                count: *count,
                sum: *sum,
                min,
                max,
                bucket_counts: counts,
                explicit_bounds: bounds,
            }),
            TotalValue::Exponential(of) => {
                let [positive, negative] = [&of.positive, &of.negative].map(dense);
                then(PointValue::ExponentialHistogram {
                    count: of.count,
                    sum: of.sum,
                    min,
                    max,
                    scale: of.scale,
                    zero_count: of.zero_count,
                    zero_threshold: of.zero_threshold,
                    positive: positive.as_ref().map(|(offset, counts)| (*offset, counts.as_slice())),
                    negative: negative.as_ref().map(|(offset, counts)| (*offset, counts.as_slice())),
                })
            }
        }
    }
}

type Buckets = std::collections::BTreeMap<i32, u64>;

fn sparse(side: Option<(i32, &[u64])>) -> Buckets {
    let (first, counts) = side.unwrap_or_default();
    (first..=i32::MAX).zip(counts.iter().copied()).filter(|(_, count)| *count > 0).collect()
}

// From the first bucket to the last.
fn span(side: &Buckets) -> usize {
    let ends = side.first_key_value().zip(side.last_key_value());
    let span = ends.map_or(0, |((first, _), (last, _))| i64::from(*last) - i64::from(*first) + 1);
    usize::try_from(span).unwrap_or(usize::MAX)
}

fn dense(side: &Buckets) -> Option<(i32, Vec<u64>)> {
    let (first, _) = side.first_key_value()?;
    let (last, _) = side.last_key_value()?;
    Some((*first, (*first..=*last).map(|index| side.get(&index).copied().unwrap_or(0)).collect()))
}

// An exemplar that outlives its point.
#[derive(Debug)]
struct OwnExemplar {
    timestamp: Timestamp,
    derived_times: u8,
    value: Option<Measured>,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
    correlation_id: Option<String>,
    attributes: Vec<(String, AttributeValue)>,
}

#[derive(Clone, Copy, Debug)]
enum Measured {
    Int(i64),
    Double(f64),
}

impl OwnExemplar {
    fn of(row: &ExemplarRow<'_>) -> Self {
        Self {
            timestamp: row.timestamp,
            derived_times: row.derived_times,
            value: match row.value {
                PointValue::Int(value) => Some(Measured::Int(value)),
                PointValue::Double(value) => Some(Measured::Double(value)),
                _ => None,
            },
            trace_id: row.trace_id,
            span_id: row.span_id,
            correlation_id: row.correlation_id.map(str::to_owned),
            attributes: row.attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn pairs(&self) -> Vec<Pair<'_>> {
        self.attributes.iter().map(|(key, value)| (key.as_str(), ValueRef::from(value))).collect()
    }

    fn row<'e>(&'e self, attributes: &'e [Pair<'e>]) -> ExemplarRow<'e> {
        ExemplarRow {
            timestamp: self.timestamp,
            derived_times: self.derived_times,
            value: match self.value {
                Some(Measured::Int(value)) => PointValue::Int(value),
                Some(Measured::Double(value)) => PointValue::Double(value),
                None => PointValue::None,
            },
            trace_id: self.trace_id,
            span_id: self.span_id,
            correlation_id: self.correlation_id.as_deref(),
            attributes,
        }
    }
}
