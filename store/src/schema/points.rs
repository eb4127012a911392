//! Columns of metric data points, the series they belong to, and their exemplars.
//!
//! A series is everything about a point but its time and value. Its id is the first half of a keyed 128-bit hash of that
//! identity, the second half (`series_check`) tells a collision from a repetition.

mod exemplars;
mod lists;
mod series;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::array::{
    ArrayRef, Float64Builder, Int32Builder, Int64Builder, TimestampNanosecondBuilder, UInt8Builder, UInt32Builder,
    UInt64Builder,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema, SchemaRef, UInt64Type};
use model::{Signal, Timestamp};

pub use exemplars::ExemplarRow;
pub use series::{SeriesIdentity, SeriesKey, SeriesRow, SeriesStem};

use self::exemplars::ExemplarColumns;
use self::lists::{NumberLists, QuantileColumns};
use self::series::SeriesColumns;
use super::envelope::record_batch;
use super::hash::ByItself;
use super::{Batch, column, timestamp_type};

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

/// Columns of data points under construction. Filled by `collector::convert`.
#[derive(Debug)]
pub struct PointColumns {
    key: SeriesKey,
    rows: u32,
    series_rows: HashMap<SeriesIdentity, u32, ByItself>,
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

/// The columns that rows of points may have in parts.
pub(crate) fn point_fields() -> &'static SchemaRef {
    static FIELDS: OnceLock<SchemaRef> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let own = PointColumns::new(SeriesKey::default()).finish().rows.schema();
        let own = own.fields().iter().filter(|field| field.name() != column::SHARED).cloned();
        let id = |name| Arc::new(Field::new(name, DataType::UInt64, true));
        let ids = [id(column::INGEST_SEQ), id(column::SERIES_ID)];
        let total = Arc::new(Field::new(column::TOTAL, DataType::Binary, true));
        Arc::new(Schema::new(ids.into_iter().chain(own).chain([total]).collect::<Vec<FieldRef>>()))
    })
}

impl PointColumns {
    /// Empty columns whose series ids are hashed with the data directory's `key`.
    pub fn new(key: SeriesKey) -> Self {
        Self {
            key,
            rows: 0,
            series_rows: HashMap::default(),
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

    /// Forgets all points.
    pub fn clear(&mut self) {
        *self = Self::new(self.key);
    }

    /// What the identities of all series like this one have in common, whatever their attributes.
    pub fn stem(&self, row: &SeriesRow<'_>) -> SeriesStem {
        SeriesStem::new(&self.key, row)
    }

    /// The row of this series, added if it is new in the batch.
    pub fn series(&mut self, row: &SeriesRow<'_>) -> u32 {
        let stem = self.stem(row);
        self.series_of_stem(&stem, stem.with(row.attributes), row)
    }

    /// The same where its identity is known already, with the stem that it was made from.
    pub fn series_of_stem(&mut self, stem: &SeriesStem, identity: SeriesIdentity, row: &SeriesRow<'_>) -> u32 {
        let next = self.series.rows();
        *self.series_rows.entry(identity).or_insert_with(|| {
            self.series.push(stem, identity, row);
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
        let (shared, envelopes) = self.series.finish();
        Batch {
            signal: Signal::Points,
            rows: record_batch(rows.into_iter().collect()),
            shared,
            envelopes: Some(envelopes),
            exemplars: self.exemplars.finish(),
        }
    }
}
