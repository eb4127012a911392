//! Columns of log records.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Int32Builder, StringBuilder, TimestampNanosecondBuilder, UInt8Builder,
    UInt32Builder,
};
use arrow::datatypes::Field;
use model::{Signal, SpanId, Timestamp, TraceId};

use super::attributes::{AttributeColumns, ValueRef};
use super::envelope::{EnvelopeColumns, record_batch};
use super::{Batch, column, timestamp_type};

/// A log record but for its attributes.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRow<'a> {
    /// Row of the envelope, from [`EnvelopeColumns::push`].
    pub envelope: u32,
    /// The record's time, else its observed time.
    pub timestamp: Timestamp,
    /// When the record was observed, else when it was received.
    pub observed_timestamp: Timestamp,
    /// See [`super::derived`].
    pub derived_times: u8,
    /// The trace, if the record names a valid one.
    pub trace_id: Option<TraceId>,
    /// The span, if the record names a valid one.
    pub span_id: Option<SpanId>,
    /// The correlation id, if there is one.
    pub correlation_id: Option<&'a str>,
    /// As sent.
    pub severity_number: i32,
    /// As sent.
    pub severity_text: &'a str,
    /// The body; text has a column, everything else is kept in the overflow and shown there as plain JSON.
    pub body: Option<ValueRef<'a>>,
    /// As sent.
    pub event_name: &'a str,
    /// As sent.
    pub flags: u32,
    /// As sent.
    pub dropped_attributes_count: u32,
}

/// Columns of log records under construction. Filled by `collector::convert`.
#[derive(Debug)]
pub struct LogColumns {
    /// The envelopes that rows name.
    pub envelopes: EnvelopeColumns,
    rows: usize,
    shared: UInt32Builder,
    timestamp: TimestampNanosecondBuilder,
    observed_timestamp: TimestampNanosecondBuilder,
    derived_times: UInt8Builder,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    correlation_id: StringBuilder,
    severity_number: Int32Builder,
    severity_text: StringBuilder,
    body: StringBuilder,
    event_name: StringBuilder,
    flags: UInt32Builder,
    dropped_attributes_count: UInt32Builder,
    attributes: AttributeColumns,
}

impl Default for LogColumns {
    fn default() -> Self {
        Self {
            envelopes: EnvelopeColumns::default(),
            rows: 0,
            shared: UInt32Builder::new(),
            timestamp: TimestampNanosecondBuilder::new().with_data_type(timestamp_type()),
            observed_timestamp: TimestampNanosecondBuilder::new().with_data_type(timestamp_type()),
            derived_times: UInt8Builder::new(),
            trace_id: FixedSizeBinaryBuilder::new(16),
            span_id: FixedSizeBinaryBuilder::new(8),
            correlation_id: StringBuilder::new(),
            severity_number: Int32Builder::new(),
            severity_text: StringBuilder::new(),
            body: StringBuilder::new(),
            event_name: StringBuilder::new(),
            flags: UInt32Builder::new(),
            dropped_attributes_count: UInt32Builder::new(),
            attributes: AttributeColumns::default(),
        }
    }
}

impl LogColumns {
    /// Number of records so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a record. Of attributes with one key the last counts.
    pub fn push(&mut self, row: &LogRow<'_>, attributes: &[(&str, ValueRef<'_>)]) {
        self.rows += 1;
        self.shared.append_value(row.envelope);
        self.timestamp.append_value(row.timestamp.as_nanos());
        self.observed_timestamp.append_value(row.observed_timestamp.as_nanos());
        self.derived_times.append_value(row.derived_times);
        append_id(&mut self.trace_id, row.trace_id.as_ref().map(|id| id.as_bytes().as_slice()));
        append_id(&mut self.span_id, row.span_id.as_ref().map(|id| id.as_bytes().as_slice()));
        self.correlation_id.append_option(row.correlation_id);
        self.severity_number.append_value(row.severity_number);
        self.severity_text.append_value(row.severity_text);
        self.event_name.append_value(row.event_name);
        self.flags.append_value(row.flags);
        self.dropped_attributes_count.append_value(row.dropped_attributes_count);
        self.attributes.begin_row();
        for (key, value) in attributes.iter().rev() {
            self.attributes.put(column::ATTR_PREFIX, key, *value);
        }
        self.push_body(row.body);
    }

    fn push_body(&mut self, body: Option<ValueRef<'_>>) {
        match body {
            None => self.body.append_null(),
            Some(ValueRef::String(text)) => self.body.append_value(text),
            Some(other) => {
                self.attributes.put_overflow(column::BODY_KEY, &other.to_otlp_json_text());
                self.body.append_value(other.to_owned().to_text());
            }
        }
    }

    /// The finished batch.
    pub fn finish(mut self) -> Batch {
        let fixed: [(&str, ArrayRef); 13] = [
            (column::SHARED, Arc::new(self.shared.finish())),
            (column::TIMESTAMP, Arc::new(self.timestamp.finish())),
            (column::OBSERVED_TIMESTAMP, Arc::new(self.observed_timestamp.finish())),
            (column::DERIVED_TIMES, Arc::new(self.derived_times.finish())),
            (column::TRACE_ID, Arc::new(self.trace_id.finish())),
            (column::SPAN_ID, Arc::new(self.span_id.finish())),
            (column::CORRELATION_ID, Arc::new(self.correlation_id.finish())),
            (column::SEVERITY_NUMBER, Arc::new(self.severity_number.finish())),
            (column::SEVERITY_TEXT, Arc::new(self.severity_text.finish())),
            (column::BODY, Arc::new(self.body.finish())),
            (column::EVENT_NAME, Arc::new(self.event_name.finish())),
            (column::FLAGS, Arc::new(self.flags.finish())),
            (column::DROPPED_ATTRIBUTES_COUNT, Arc::new(self.dropped_attributes_count.finish())),
        ];
        let fixed = fixed.map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array));
        let columns = fixed.into_iter().chain(self.attributes.finish(column::OVERFLOW)).collect();
        Batch {
            signal: Signal::Logs,
            rows: record_batch(columns),
            shared: self.envelopes.finish(),
            envelopes: None,
            exemplars: None,
        }
    }
}

/// Appends an id of the builder's width, or null.
pub(super) fn append_id(builder: &mut FixedSizeBinaryBuilder, id: Option<&[u8]>) {
    match id {
        Some(bytes) => builder.append_value(bytes).expect("ids have the width of their column"),
        None => builder.append_null(),
    }
}
