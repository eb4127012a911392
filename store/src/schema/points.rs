//! Columns of metric data points, the series they belong to, and their exemplars.
//!
//! A series is everything about a point but its time and value. Its id is the first half of a keyed 128-bit hash of that
//! identity, the second half (`series_check`) tells a collision from a repetition.

use std::collections::HashMap;
use std::hash::Hasher as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int32Builder, Int64Builder, ListArray,
    PrimitiveBuilder, StringBuilder, TimestampNanosecondBuilder, UInt8Builder, UInt32Array, UInt32Builder,
    UInt64Builder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Fields, Float64Type, UInt64Type};
use model::{Signal, SpanId, Timestamp, TraceId};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::attributes::{AttributeColumns, MapColumn, ValueRef};
use super::envelope::{EnvelopeColumns, ResourceRow, ScopeRow, record_batch};
use super::logs::append_id;
use super::spans::{list_of_structs, push_end, put_map};
use super::{Batch, column, metric_type, timestamp_type};

/// The secret of a data directory that series ids are hashed with, so that nobody can aim at a collision.
pub type SeriesKey = [u8; 16];

/// The identity of a series.
#[derive(Clone, Copy, Debug)]
pub struct SeriesRow<'a> {
    /// The resource.
    pub resource: ResourceRow<'a>,
    /// The scope.
    pub scope: ScopeRow<'a>,
    /// OTLP's metric name.
    pub metric: &'a str,
    /// As sent.
    pub description: &'a str,
    /// As sent.
    pub unit: &'a str,
    /// OTLP's metadata of the metric. Of entries with one key the last counts.
    pub metadata: &'a [(&'a str, ValueRef<'a>)],
    /// See [`metric_type`].
    pub metric_type: u8,
    /// OTLP's number; 0 for gauges and summaries.
    pub temporality: i32,
    /// Of sums.
    pub monotonic: bool,
    /// Attributes of the point. Of attributes with one key the last counts.
    pub attributes: &'a [(&'a str, ValueRef<'a>)],
}

/// A data point but for its series.
#[derive(Clone, Copy, Debug)]
pub struct PointRow<'a> {
    /// Row of the series, from [`PointColumns::series`].
    pub series: u32,
    /// The point's time, else the time of receipt.
    pub timestamp: Timestamp,
    /// See [`super::derived`].
    pub derived_times: u8,
    /// Since when the point counts; `None` if unknown.
    pub start_timestamp: Option<Timestamp>,
    /// OTLP's data point flags.
    pub flags: u32,
    /// The value.
    pub value: PointValue<'a>,
}

/// The value of a data point, by the kind of its metric. Fields are OTLP's.
#[allow(missing_docs, reason = "the fields are OTLP's own words")]
#[derive(Clone, Copy, Debug)]
pub enum PointValue<'a> {
    /// No value recorded, or none that the flags allow to be looked at.
    None,
    /// Of gauges and sums.
    Int(i64),
    /// Of gauges and sums.
    Double(f64),
    /// Of histograms.
    Histogram {
        count: u64,
        sum: Option<f64>,
        min: Option<f64>,
        max: Option<f64>,
        bucket_counts: &'a [u64],
        explicit_bounds: &'a [f64],
    },
    /// Of exponential histograms; buckets are offset and counts.
    ExponentialHistogram {
        count: u64,
        sum: Option<f64>,
        min: Option<f64>,
        max: Option<f64>,
        scale: i32,
        zero_count: u64,
        zero_threshold: f64,
        positive: Option<(i32, &'a [u64])>,
        negative: Option<(i32, &'a [u64])>,
    },
    /// Of summaries; pairs of quantile and value.
    Summary { count: u64, sum: f64, quantiles: &'a [(f64, f64)] },
}

/// An exemplar of a point.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarRow<'a> {
    /// The exemplar's time, else the point's.
    pub timestamp: Timestamp,
    /// See [`super::derived`].
    pub derived_times: u8,
    /// The measurement: [`PointValue::Int`], [`PointValue::Double`] or [`PointValue::None`].
    pub value: PointValue<'a>,
    /// The trace, if the exemplar names a valid one.
    pub trace_id: Option<TraceId>,
    /// The span, if the exemplar names a valid one.
    pub span_id: Option<SpanId>,
    /// The correlation id, if there is one.
    pub correlation_id: Option<&'a str>,
    /// OTLP's filtered attributes. Of attributes with one key the last counts.
    pub attributes: &'a [(&'a str, ValueRef<'a>)],
}

/// Columns of data points under construction. Filled by `collector::convert`.
#[derive(Debug)]
pub struct PointColumns {
    key: SeriesKey,
    rows: u32,
    series_rows: HashMap<u128, u32>,
    series: SeriesColumns,
    exemplars: ExemplarColumns,
    shared: UInt32Builder,
    timestamp: TimestampNanosecondBuilder,
    derived_times: UInt8Builder,
    start_timestamp: TimestampNanosecondBuilder,
    flags: UInt32Builder,
    value_int: Int64Builder,
    value_double: Float64Builder,
    count: UInt64Builder,
    sum: Float64Builder,
    min: Float64Builder,
    max: Float64Builder,
    bucket_counts: NumberLists<UInt64Type>,
    explicit_bounds: NumberLists<Float64Type>,
    scale: Int32Builder,
    zero_count: UInt64Builder,
    zero_threshold: Float64Builder,
    positive_offset: Int32Builder,
    positive_counts: NumberLists<UInt64Type>,
    negative_offset: Int32Builder,
    negative_counts: NumberLists<UInt64Type>,
    quantiles: QuantileColumns,
    exemplar_count: UInt32Builder,
}

impl PointColumns {
    /// Empty columns whose series ids are hashed with the data directory's `key`.
    pub fn new(key: SeriesKey) -> Self {
        Self {
            key,
            rows: 0,
            series_rows: HashMap::new(),
            series: SeriesColumns::default(),
            exemplars: ExemplarColumns::default(),
            shared: UInt32Builder::new(),
            timestamp: TimestampNanosecondBuilder::new().with_data_type(timestamp_type()),
            derived_times: UInt8Builder::new(),
            start_timestamp: TimestampNanosecondBuilder::new().with_data_type(timestamp_type()),
            flags: UInt32Builder::new(),
            value_int: Int64Builder::new(),
            value_double: Float64Builder::new(),
            count: UInt64Builder::new(),
            sum: Float64Builder::new(),
            min: Float64Builder::new(),
            max: Float64Builder::new(),
            bucket_counts: NumberLists::default(),
            explicit_bounds: NumberLists::default(),
            scale: Int32Builder::new(),
            zero_count: UInt64Builder::new(),
            zero_threshold: Float64Builder::new(),
            positive_offset: Int32Builder::new(),
            positive_counts: NumberLists::default(),
            negative_offset: Int32Builder::new(),
            negative_counts: NumberLists::default(),
            quantiles: QuantileColumns::default(),
            exemplar_count: UInt32Builder::new(),
        }
    }

    /// Number of points so far.
    pub fn len(&self) -> usize {
        self.rows as usize
    }

    /// Whether there is no point yet.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The row of this series, added if it is new in the batch.
    pub fn series(&mut self, row: &SeriesRow<'_>) -> u32 {
        let identity = identity(&self.key, row);
        let next = self.series.rows();
        *self.series_rows.entry(identity).or_insert_with(|| {
            self.series.push(identity, row);
            next
        })
    }

    /// Adds a point with its exemplars.
    pub fn push(&mut self, row: &PointRow<'_>, exemplars: &[ExemplarRow<'_>]) {
        self.shared.append_value(row.series);
        self.timestamp.append_value(row.timestamp.as_nanos());
        self.derived_times.append_value(row.derived_times);
        self.start_timestamp.append_option(row.start_timestamp.map(Timestamp::as_nanos));
        self.flags.append_value(row.flags);
        self.push_value(row.value);
        for (ordinal, exemplar) in exemplars.iter().enumerate() {
            self.exemplars.push(self.rows, u32::try_from(ordinal).unwrap_or(u32::MAX), row.series, exemplar);
        }
        self.exemplar_count.append_value(u32::try_from(exemplars.len()).unwrap_or(u32::MAX));
        self.rows += 1;
    }

    fn push_value(&mut self, value: PointValue<'_>) {
        let (int, double) = match value {
            PointValue::Int(value) => (Some(value), None),
            PointValue::Double(value) => (None, Some(value)),
            _ => (None, None),
        };
        self.value_int.append_option(int);
        self.value_double.append_option(double);
        let (count, sum, min, max) = match value {
            PointValue::Histogram { count, sum, min, max, .. }
            | PointValue::ExponentialHistogram { count, sum, min, max, .. } => (Some(count), sum, min, max),
            PointValue::Summary { count, sum, .. } => (Some(count), Some(sum), None, None),
            _ => (None, None, None, None),
        };
        self.count.append_option(count);
        self.sum.append_option(sum);
        self.min.append_option(min);
        self.max.append_option(max);
        self.push_buckets(value);
    }

    fn push_buckets(&mut self, value: PointValue<'_>) {
        let (counts, bounds) = match value {
            PointValue::Histogram { bucket_counts, explicit_bounds, .. } => {
                (Some(bucket_counts), Some(explicit_bounds))
            }
            _ => (None, None),
        };
        self.bucket_counts.push(counts);
        self.explicit_bounds.push(bounds);
        let (scale, zero_count, zero_threshold, positive, negative) = match value {
            PointValue::ExponentialHistogram { scale, zero_count, zero_threshold, positive, negative, .. } => {
                (Some(scale), Some(zero_count), Some(zero_threshold), positive, negative)
            }
            _ => (None, None, None, None, None),
        };
        self.scale.append_option(scale);
        self.zero_count.append_option(zero_count);
        self.zero_threshold.append_option(zero_threshold);
        self.positive_offset.append_option(positive.map(|buckets| buckets.0));
        self.positive_counts.push(positive.map(|buckets| buckets.1));
        self.negative_offset.append_option(negative.map(|buckets| buckets.0));
        self.negative_counts.push(negative.map(|buckets| buckets.1));
        self.quantiles.push(match value {
            PointValue::Summary { quantiles, .. } => Some(quantiles),
            _ => None,
        });
    }

    /// The finished batch.
    pub fn finish(mut self) -> Batch {
        let fixed: [(&str, ArrayRef); 22] = [
            (column::SHARED, Arc::new(self.shared.finish())),
            (column::TIMESTAMP, Arc::new(self.timestamp.finish())),
            (column::DERIVED_TIMES, Arc::new(self.derived_times.finish())),
            (column::START_TIMESTAMP, Arc::new(self.start_timestamp.finish())),
            (column::FLAGS, Arc::new(self.flags.finish())),
            (column::VALUE_INT, Arc::new(self.value_int.finish())),
            (column::VALUE_DOUBLE, Arc::new(self.value_double.finish())),
            (column::COUNT, Arc::new(self.count.finish())),
            (column::SUM, Arc::new(self.sum.finish())),
            (column::MIN, Arc::new(self.min.finish())),
            (column::MAX, Arc::new(self.max.finish())),
            (column::BUCKET_COUNTS, self.bucket_counts.finish()),
            (column::EXPLICIT_BOUNDS, self.explicit_bounds.finish()),
            (column::SCALE, Arc::new(self.scale.finish())),
            (column::ZERO_COUNT, Arc::new(self.zero_count.finish())),
            (column::ZERO_THRESHOLD, Arc::new(self.zero_threshold.finish())),
            (column::POSITIVE_OFFSET, Arc::new(self.positive_offset.finish())),
            (column::POSITIVE_COUNTS, self.positive_counts.finish()),
            (column::NEGATIVE_OFFSET, Arc::new(self.negative_offset.finish())),
            (column::NEGATIVE_COUNTS, self.negative_counts.finish()),
            (column::QUANTILES, self.quantiles.finish()),
            (column::EXEMPLAR_COUNT, Arc::new(self.exemplar_count.finish())),
        ];
        let rows = fixed.map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array));
        Batch {
            signal: Signal::Points,
            rows: record_batch(rows.into_iter().collect()),
            shared: self.series.finish(),
            exemplars: self.exemplars.finish(),
        }
    }
}

#[derive(Debug, Default)]
struct SeriesColumns {
    series_id: UInt64Builder,
    series_check: UInt64Builder,
    metric: StringBuilder,
    description: StringBuilder,
    unit: StringBuilder,
    metric_type: UInt8Builder,
    temporality: Int32Builder,
    monotonic: BooleanBuilder,
    attributes: AttributeColumns,
    envelopes: EnvelopeColumns,
    rows: u32,
}

impl SeriesColumns {
    fn rows(&self) -> u32 {
        self.rows
    }

    fn push(&mut self, identity: u128, row: &SeriesRow<'_>) {
        self.rows += 1;
        let [id, check] = [(identity >> 64) as u64, identity as u64];
        self.series_id.append_value(id);
        self.series_check.append_value(check);
        self.metric.append_value(row.metric);
        self.description.append_value(row.description);
        self.unit.append_value(row.unit);
        self.metric_type.append_value(row.metric_type);
        self.temporality.append_value(row.temporality);
        self.monotonic.append_option((row.metric_type == metric_type::SUM).then_some(row.monotonic));
        self.attributes.begin_row();
        for (key, value) in row.attributes.iter().rev() {
            self.attributes.put(column::ATTR_PREFIX, key, *value);
        }
        for (key, value) in row.metadata.iter().rev() {
            self.attributes.put_overflow(&[column::METADATA_PREFIX, key].concat(), &value.to_otlp_json_text());
        }
        self.envelopes.push(&row.resource, &row.scope);
    }

    fn finish(mut self) -> arrow::array::RecordBatch {
        let fixed: [(&str, ArrayRef); 8] = [
            (column::SERIES_ID, Arc::new(self.series_id.finish())),
            (column::SERIES_CHECK, Arc::new(self.series_check.finish())),
            (column::METRIC, Arc::new(self.metric.finish())),
            (column::DESCRIPTION, Arc::new(self.description.finish())),
            (column::UNIT, Arc::new(self.unit.finish())),
            (column::TYPE, Arc::new(self.metric_type.finish())),
            (column::TEMPORALITY, Arc::new(self.temporality.finish())),
            (column::MONOTONIC, Arc::new(self.monotonic.finish())),
        ];
        let fixed = fixed.map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array));
        let attributes = self.attributes.finish(column::OVERFLOW);
        record_batch(fixed.into_iter().chain(self.envelopes.finish_columns()).chain(attributes).collect())
    }
}

#[derive(Debug)]
struct ExemplarColumns {
    point_row: UInt32Builder,
    ordinal: UInt32Builder,
    shared: UInt32Builder,
    timestamp: TimestampNanosecondBuilder,
    derived_times: UInt8Builder,
    value_int: Int64Builder,
    value_double: Float64Builder,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    correlation_id: StringBuilder,
    attributes: MapColumn,
}

impl Default for ExemplarColumns {
    fn default() -> Self {
        Self {
            point_row: UInt32Builder::new(),
            ordinal: UInt32Builder::new(),
            shared: UInt32Builder::new(),
            timestamp: TimestampNanosecondBuilder::new().with_data_type(timestamp_type()),
            derived_times: UInt8Builder::new(),
            value_int: Int64Builder::new(),
            value_double: Float64Builder::new(),
            trace_id: FixedSizeBinaryBuilder::new(16),
            span_id: FixedSizeBinaryBuilder::new(8),
            correlation_id: StringBuilder::new(),
            attributes: MapColumn::default(),
        }
    }
}

impl ExemplarColumns {
    fn push(&mut self, point_row: u32, ordinal: u32, series: u32, row: &ExemplarRow<'_>) {
        self.point_row.append_value(point_row);
        self.ordinal.append_value(ordinal);
        self.shared.append_value(series);
        self.timestamp.append_value(row.timestamp.as_nanos());
        self.derived_times.append_value(row.derived_times);
        let (int, double) = match row.value {
            PointValue::Int(value) => (Some(value), None),
            PointValue::Double(value) => (None, Some(value)),
            _ => (None, None),
        };
        self.value_int.append_option(int);
        self.value_double.append_option(double);
        append_id(&mut self.trace_id, row.trace_id.as_ref().map(|id| id.as_bytes().as_slice()));
        append_id(&mut self.span_id, row.span_id.as_ref().map(|id| id.as_bytes().as_slice()));
        self.correlation_id.append_option(row.correlation_id);
        put_map(&mut self.attributes, row.attributes);
    }

    fn finish(mut self) -> Option<arrow::array::RecordBatch> {
        let point_row: UInt32Array = self.point_row.finish();
        if point_row.is_empty() {
            return None;
        }
        let columns: [(&str, ArrayRef); 11] = [
            (column::POINT_ROW, Arc::new(point_row)),
            (column::ORDINAL, Arc::new(self.ordinal.finish())),
            (column::SHARED, Arc::new(self.shared.finish())),
            (column::TIMESTAMP, Arc::new(self.timestamp.finish())),
            (column::DERIVED_TIMES, Arc::new(self.derived_times.finish())),
            (column::VALUE_INT, Arc::new(self.value_int.finish())),
            (column::VALUE_DOUBLE, Arc::new(self.value_double.finish())),
            (column::TRACE_ID, Arc::new(self.trace_id.finish())),
            (column::SPAN_ID, Arc::new(self.span_id.finish())),
            (column::CORRELATION_ID, Arc::new(self.correlation_id.finish())),
            (column::ATTRIBUTES, self.attributes.finish()),
        ];
        let columns = columns.map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array));
        Some(record_batch(columns.into_iter().collect()))
    }
}

// A list column of numbers, null where a row has none.
#[derive(Debug)]
struct NumberLists<T: ArrowPrimitiveType> {
    ends: Vec<i32>,
    present: Vec<bool>,
    values: PrimitiveBuilder<T>,
}

impl<T: ArrowPrimitiveType> Default for NumberLists<T> {
    fn default() -> Self {
        Self { ends: vec![0], present: Vec::new(), values: PrimitiveBuilder::new() }
    }
}

impl<T: ArrowPrimitiveType> NumberLists<T> {
    fn push(&mut self, row: Option<&[T::Native]>) {
        let numbers = row.unwrap_or_default();
        self.values.append_slice(numbers);
        self.present.push(row.is_some());
        push_end(&mut self.ends, numbers.len());
    }

    fn finish(mut self) -> ArrayRef {
        let field = Field::new("element", T::DATA_TYPE, false);
        let offsets = OffsetBuffer::new(self.ends.into());
        let nulls = NullBuffer::from(self.present);
        Arc::new(ListArray::new(Arc::new(field), offsets, Arc::new(self.values.finish()), Some(nulls)))
    }
}

#[derive(Debug)]
struct QuantileColumns {
    ends: Vec<i32>,
    quantile: Float64Builder,
    value: Float64Builder,
}

impl Default for QuantileColumns {
    fn default() -> Self {
        Self { ends: vec![0], quantile: Float64Builder::new(), value: Float64Builder::new() }
    }
}

impl QuantileColumns {
    fn push(&mut self, row: Option<&[(f64, f64)]>) {
        let pairs = row.unwrap_or_default();
        for (quantile, value) in pairs {
            self.quantile.append_value(*quantile);
            self.value.append_value(*value);
        }
        push_end(&mut self.ends, pairs.len());
    }

    fn finish(mut self) -> ArrayRef {
        let fields = Fields::from(vec![
            Field::new("quantile", DataType::Float64, false),
            Field::new("value", DataType::Float64, false),
        ]);
        list_of_structs(fields, vec![Arc::new(self.quantile.finish()), Arc::new(self.value.finish())], self.ends)
    }
}

// Everything that tells one series from another, hashed. Attribute lists are hashed in the order of their keys, each text
// with its length, so that no two identities share a byte string.
fn identity(key: &SeriesKey, row: &SeriesRow<'_>) -> u128 {
    let mut hasher = SipHasher13::new_with_key(key);
    hash_attributes(&mut hasher, row.resource.attributes);
    hash_text(&mut hasher, row.resource.schema_url);
    hash_text(&mut hasher, row.resource.entity_refs_json);
    hasher.write_u32(row.resource.dropped_attributes_count);
    hash_attributes(&mut hasher, row.scope.attributes);
    for text in [row.scope.name, row.scope.version, row.scope.schema_url, row.metric, row.description, row.unit] {
        hash_text(&mut hasher, text);
    }
    hasher.write_u32(row.scope.dropped_attributes_count);
    hash_attributes(&mut hasher, row.metadata);
    hasher.write_u8(row.metric_type);
    hasher.write_i32(row.temporality);
    hasher.write_u8(u8::from(row.monotonic));
    hash_attributes(&mut hasher, row.attributes);
    hasher.finish128().as_u128()
}

fn hash_attributes(hasher: &mut SipHasher13, attributes: &[(&str, ValueRef<'_>)]) {
    // Sorted by key; among equal keys the last one sent comes first, and the others are skipped.
    let mut order: Vec<usize> = (0..attributes.len()).collect();
    order.sort_unstable_by_key(|position| (attributes[*position].0, usize::MAX - position));
    order.dedup_by_key(|position| attributes[*position].0);
    hasher.write_usize(order.len());
    for position in order {
        let (key, value) = attributes[position];
        hash_text(hasher, key);
        hash_value(hasher, value);
    }
}

fn hash_value(hasher: &mut SipHasher13, value: ValueRef<'_>) {
    match value {
        ValueRef::String(text) => {
            hasher.write_u8(1);
            hash_text(hasher, text);
        }
        ValueRef::Bool(value) => hasher.write(&[2, u8::from(value)]),
        ValueRef::Int(value) => {
            hasher.write_u8(3);
            hasher.write_i64(value);
        }
        ValueRef::Double(value) => {
            hasher.write_u8(4);
            hasher.write_u64(value.to_bits());
        }
        ValueRef::Bytes(bytes) => {
            hasher.write_u8(5);
            hasher.write_usize(bytes.len());
            hasher.write(bytes);
        }
        ValueRef::Nested(_) => {
            hasher.write_u8(6);
            hash_text(hasher, &value.to_otlp_json_text());
        }
    }
}

fn hash_text(hasher: &mut SipHasher13, text: &str) {
    hasher.write_usize(text.len());
    hasher.write(text.as_bytes());
}
