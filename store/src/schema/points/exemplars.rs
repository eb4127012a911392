//! Exemplars of points: measurements that name a trace.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampNanosecondBuilder, UInt8Builder, UInt32Array, UInt32Builder,
};
use arrow::datatypes::Field;
use model::{SpanId, Timestamp, TraceId};

use super::PointValue;
use crate::schema::attributes::{MapColumn, ValueRef};
use crate::schema::envelope::record_batch;
use crate::schema::logs::append_id;
use crate::schema::spans::put_map;
use crate::schema::{column, timestamp_type};

/// An exemplar of a point.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarRow<'a> {
    /// The exemplar's time, else the point's.
    pub timestamp: Timestamp,
    /// See [`crate::schema::derived`].
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

/// Columns of exemplars under construction.
#[derive(Debug)]
pub(super) struct ExemplarColumns {
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
    pub(super) fn push(&mut self, point_row: u32, ordinal: u32, series: u32, row: &ExemplarRow<'_>) {
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

    pub(super) fn finish(mut self) -> Option<RecordBatch> {
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
