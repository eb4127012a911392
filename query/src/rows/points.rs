//! Data points as rows and as OTLP/JSON.

use arrow::array::BooleanArray;
use arrow::array::{Array as _, AsArray as _, ListArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use model::attributes::double_json;
use model::wire::points::{Buckets, Exemplar, PointRow, Quantile};
use serde_json::{Map, Value, json};
use store::schema::{column, derived, metric_type};

use crate::rows::columns::{AttributeReader, Maps, Numbers, Texts, Times};
use crate::rows::envelope::{
    Envelope, EnvelopeReader, otlp_attributes, plain, put_list, put_long, put_number, put_text,
};
use crate::rows::exemplars::{put_otlp_value, value_json};
use crate::search::evaluate::temporality_word;

/// OTLP's flag of a point that says that there is no value.
const NO_RECORDED_VALUE: u32 = 1;

/// Reads the rows of a batch of points with the columns of their series.
#[derive(Debug)]
pub struct PointReader {
    envelope: EnvelopeReader,
    timestamp: Times,
    derived: Numbers<UInt8Type>,
    start: Times,
    seq: Numbers<UInt64Type>,
    metric: Texts,
    description: Texts,
    unit: Texts,
    metric_type: Numbers<UInt8Type>,
    temporality: Numbers<Int32Type>,
    monotonic: Option<BooleanArray>,
    flags: Numbers<UInt32Type>,
    value_int: Numbers<Int64Type>,
    value_double: Numbers<Float64Type>,
    count: Numbers<UInt64Type>,
    sum: Numbers<Float64Type>,
    min: Numbers<Float64Type>,
    max: Numbers<Float64Type>,
    bucket_counts: Lists,
    explicit_bounds: Lists,
    scale: Numbers<Int32Type>,
    zero_count: Numbers<UInt64Type>,
    zero_threshold: Numbers<Float64Type>,
    positive_offset: Numbers<Int32Type>,
    positive_counts: Lists,
    negative_offset: Numbers<Int32Type>,
    negative_counts: Lists,
    quantiles: Lists,
    exemplar_count: Numbers<UInt32Type>,
    attributes: AttributeReader,
    overflow: Maps,
}

impl PointReader {
    /// Reads the rows of this batch.
    pub fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            envelope: EnvelopeReader::new(batch)?,
            timestamp: Times::of(batch, column::TIMESTAMP)?,
            derived: Numbers::of(batch, column::DERIVED_TIMES)?,
            start: Times::of(batch, column::START_TIMESTAMP)?,
            seq: Numbers::of(batch, column::INGEST_SEQ)?,
            metric: Texts::of(batch, column::METRIC)?,
            description: Texts::of(batch, column::DESCRIPTION)?,
            unit: Texts::of(batch, column::UNIT)?,
            metric_type: Numbers::of(batch, column::TYPE)?,
            temporality: Numbers::of(batch, column::TEMPORALITY)?,
            monotonic: batch.column_by_name(column::MONOTONIC).and_then(|array| array.as_boolean_opt().cloned()),
            flags: Numbers::of(batch, column::FLAGS)?,
            value_int: Numbers::of(batch, column::VALUE_INT)?,
            value_double: Numbers::of(batch, column::VALUE_DOUBLE)?,
            count: Numbers::of(batch, column::COUNT)?,
            sum: Numbers::of(batch, column::SUM)?,
            min: Numbers::of(batch, column::MIN)?,
            max: Numbers::of(batch, column::MAX)?,
            bucket_counts: Lists::of(batch, column::BUCKET_COUNTS),
            explicit_bounds: Lists::of(batch, column::EXPLICIT_BOUNDS),
            scale: Numbers::of(batch, column::SCALE)?,
            zero_count: Numbers::of(batch, column::ZERO_COUNT)?,
            zero_threshold: Numbers::of(batch, column::ZERO_THRESHOLD)?,
            positive_offset: Numbers::of(batch, column::POSITIVE_OFFSET)?,
            positive_counts: Lists::of(batch, column::POSITIVE_COUNTS),
            negative_offset: Numbers::of(batch, column::NEGATIVE_OFFSET)?,
            negative_counts: Lists::of(batch, column::NEGATIVE_COUNTS),
            quantiles: Lists::of(batch, column::QUANTILES),
            exemplar_count: Numbers::of(batch, column::EXEMPLAR_COUNT)?,
            attributes: AttributeReader::of(batch, column::ATTR_PREFIX, column::OVERFLOW)?,
            overflow: Maps::of(batch, column::OVERFLOW),
        })
    }

    /// The point's `ingest_seq`, if it has exemplars.
    pub fn with_exemplars(&self, row: usize) -> Option<u64> {
        (self.exemplar_count.number(row) > 0).then(|| self.seq.number(row))
    }

    /// The row as the API shows it.
    pub fn row(&self, row: usize, exemplars: Vec<Exemplar>) -> PointRow {
        let flags = self.flags.number(row);
        let double = |column: &Numbers<Float64Type>| column.get(row).map(double_json);
        PointRow {
            timestamp: self.timestamp.time(row).to_string(),
            ingest_seq: self.seq.number(row),
            service: self.envelope.service(row),
            metric: self.metric.text(row),
            kind: metric_type::word(self.metric_type.number(row)).to_owned(),
            unit: self.unit.text(row),
            description: self.description.text(row),
            temporality: temporality_word(self.temporality.number(row)),
            monotonic: self.monotonic(row),
            start_timestamp: self.start.get(row).map(|_| self.start.time(row).to_string()),
            value: value_json(self.value_int.get(row), self.value_double.get(row)),
            count: self.count.get(row),
            sum: double(&self.sum),
            min: double(&self.min),
            max: double(&self.max),
            bucket_counts: self.bucket_counts.numbers::<UInt64Type>(row),
            explicit_bounds: self.explicit_bounds.numbers::<Float64Type>(row).map(doubles),
            scale: self.scale.get(row),
            zero_count: self.zero_count.get(row),
            zero_threshold: double(&self.zero_threshold),
            positive: buckets(&self.positive_offset, &self.positive_counts, row),
            negative: buckets(&self.negative_offset, &self.negative_counts, row),
            quantiles: self.is(row, metric_type::SUMMARY).then(|| self.quantile_pairs(row)),
            no_recorded_value: flags & NO_RECORDED_VALUE != 0,
            flags,
            exemplars,
            attributes: plain(self.attributes.read(row)),
            resource: plain(self.envelope.resource(row)),
            scope: self.envelope.scope(row),
            metadata: plain(self.overflow.values(row, column::METADATA_PREFIX)),
            resource_dropped_attributes_count: self.envelope.resource_dropped(row),
            resource_schema_url: self.envelope.resource_schema_url(row),
            other: Map::new(),
        }
    }

    /// The row's resource and scope.
    pub fn envelope(&self, row: usize) -> Envelope {
        self.envelope.otlp(row)
    }

    /// OTLP's `Metric` without its points, and the name of the field that the points go into.
    pub fn otlp_metric(&self, row: usize) -> (Value, &'static str) {
        let mut metric = Map::new();
        put_text(&mut metric, "name", self.metric.get(row));
        put_text(&mut metric, "description", self.description.get(row));
        put_text(&mut metric, "unit", self.unit.get(row));
        put_list(&mut metric, "metadata", otlp_attributes(self.overflow.values(row, column::METADATA_PREFIX)));
        let mut data = Map::new();
        put_number(&mut data, "aggregationTemporality", self.temporality.number(row));
        if self.monotonic(row) == Some(true) {
            data.insert("isMonotonic".into(), Value::Bool(true));
        }
        let kind = match self.metric_type.number(row) {
            metric_type::SUM => "sum",
            metric_type::HISTOGRAM => "histogram",
            metric_type::EXPONENTIAL_HISTOGRAM => "exponentialHistogram",
            metric_type::SUMMARY => "summary",
            _ => "gauge",
        };
        metric.insert(kind.into(), Value::Object(data));
        (Value::Object(metric), kind)
    }

    /// OTLP's data point, with the times as they were sent.
    pub fn otlp_point(&self, row: usize, exemplars: Vec<Value>) -> Value {
        let mut point = Map::new();
        put_list(&mut point, "attributes", otlp_attributes(self.attributes.read(row)));
        if let Some(start) = self.start.get(row) {
            put_long(&mut point, "startTimeUnixNano", start);
        }
        let sent = self.derived.number(row) & derived::TIMESTAMP == 0;
        put_long(&mut point, "timeUnixNano", if sent { self.timestamp.number(row) } else { 0 });
        put_otlp_value(&mut point, self.value_int.get(row), self.value_double.get(row));
        if let Some(count) = self.count.get(row) {
            put_long(&mut point, "count", count);
        }
        for (key, numbers) in [("sum", &self.sum), ("min", &self.min), ("max", &self.max)] {
            if let Some(number) = numbers.get(row) {
                point.insert(key.into(), double_json(number));
            }
        }
        self.put_otlp_buckets(&mut point, row);
        put_list(&mut point, "exemplars", exemplars);
        put_number(&mut point, "flags", self.flags.number(row));
        Value::Object(point)
    }

    fn put_otlp_buckets(&self, point: &mut Map<String, Value>, row: usize) {
        let longs = |counts: Vec<u64>| counts.into_iter().map(|count| Value::String(count.to_string())).collect();
        put_list(point, "bucketCounts", self.bucket_counts.numbers::<UInt64Type>(row).map(longs).unwrap_or_default());
        let bounds = self.explicit_bounds.numbers::<Float64Type>(row).map(doubles);
        put_list(point, "explicitBounds", bounds.unwrap_or_default());
        put_number(point, "scale", self.scale.number(row));
        if let Some(count) = self.zero_count.get(row) {
            put_long(point, "zeroCount", count);
        }
        if let Some(threshold) = self.zero_threshold.get(row).filter(|threshold| *threshold != 0.0) {
            point.insert("zeroThreshold".into(), double_json(threshold));
        }
        for (key, offset, counts) in [
            ("positive", &self.positive_offset, &self.positive_counts),
            ("negative", &self.negative_offset, &self.negative_counts),
        ] {
            if let Some(Buckets { offset, bucket_counts }) = buckets(offset, counts, row) {
                let counts: Vec<Value> = longs(bucket_counts);
                point.insert(key.into(), json!({ "offset": offset, "bucketCounts": counts }));
            }
        }
        if self.is(row, metric_type::SUMMARY) {
            let pairs = self.quantile_pairs(row).into_iter();
            let pairs = pairs.map(|pair| json!({ "quantile": pair.quantile, "value": pair.value })).collect();
            put_list(point, "quantileValues", pairs);
        }
    }

    fn is(&self, row: usize, kind: u8) -> bool {
        self.metric_type.number(row) == kind
    }

    fn monotonic(&self, row: usize) -> Option<bool> {
        let array = self.monotonic.as_ref()?;
        array.is_valid(row).then(|| array.value(row))
    }

    fn quantile_pairs(&self, row: usize) -> Vec<Quantile> {
        let Some(entries) = self.quantiles.entries(row) else {
            return Vec::new();
        };
        let Some(pairs) = entries.as_struct_opt() else {
            return Vec::new();
        };
        let [quantiles, values] = [0, 1].map(|child| pairs.column(child).as_primitive::<Float64Type>().clone());
        let pair = |entry: usize| Quantile {
            quantile: double_json(quantiles.value(entry)),
            value: double_json(values.value(entry)),
        };
        (0..pairs.len()).map(pair).collect()
    }
}

// A column of lists.
#[derive(Debug)]
struct Lists(Option<ListArray>);

impl Lists {
    fn of(batch: &RecordBatch, name: &str) -> Self {
        Self(batch.column_by_name(name).and_then(|array| array.as_list_opt::<i32>().cloned()))
    }

    fn entries(&self, row: usize) -> Option<arrow::array::ArrayRef> {
        let lists = self.0.as_ref()?;
        lists.is_valid(row).then(|| lists.value(row))
    }

    fn numbers<T: ArrowPrimitiveType>(&self, row: usize) -> Option<Vec<T::Native>> {
        let entries = self.entries(row)?;
        Some(entries.as_primitive_opt::<T>()?.values().to_vec())
    }
}

fn buckets(offset: &Numbers<Int32Type>, counts: &Lists, row: usize) -> Option<Buckets> {
    Some(Buckets { offset: offset.get(row)?, bucket_counts: counts.numbers::<UInt64Type>(row).unwrap_or_default() })
}

fn doubles(numbers: Vec<f64>) -> Vec<Value> {
    numbers.into_iter().map(double_json).collect()
}
