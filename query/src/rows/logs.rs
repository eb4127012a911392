//! Log records as rows and as OTLP/JSON.

use arrow::array::RecordBatch;
use arrow::datatypes::{Int32Type, UInt8Type, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use model::wire::logs::{LogRow, severity_word};
use serde_json::{Map, Value, json};
use store::schema::{column, derived};

use crate::rows::columns::{AttributeReader, Ids, Maps, Numbers, Texts, Times, read_value};
use crate::rows::envelope::{
    Envelope, EnvelopeReader, otlp_attributes, plain, put_list, put_long, put_number, put_text,
};

/// Reads the rows of a batch of logs.
#[derive(Debug)]
pub struct LogReader {
    envelope: EnvelopeReader,
    timestamp: Times,
    seq: Numbers<UInt64Type>,
    observed: Times,
    derived: Numbers<UInt8Type>,
    trace_id: Ids,
    span_id: Ids,
    correlation_id: Texts,
    severity_number: Numbers<Int32Type>,
    severity_text: Texts,
    body: Texts,
    event_name: Texts,
    flags: Numbers<UInt32Type>,
    dropped: Numbers<UInt32Type>,
    attributes: AttributeReader,
    overflow: Maps,
}

impl LogReader {
    /// Reads the rows of this batch.
    pub fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            envelope: EnvelopeReader::new(batch)?,
            timestamp: Times::of(batch, column::TIMESTAMP)?,
            seq: Numbers::of(batch, column::INGEST_SEQ)?,
            observed: Times::of(batch, column::OBSERVED_TIMESTAMP)?,
            derived: Numbers::of(batch, column::DERIVED_TIMES)?,
            trace_id: Ids::of(batch, column::TRACE_ID),
            span_id: Ids::of(batch, column::SPAN_ID),
            correlation_id: Texts::of(batch, column::CORRELATION_ID)?,
            severity_number: Numbers::of(batch, column::SEVERITY_NUMBER)?,
            severity_text: Texts::of(batch, column::SEVERITY_TEXT)?,
            body: Texts::of(batch, column::BODY)?,
            event_name: Texts::of(batch, column::EVENT_NAME)?,
            flags: Numbers::of(batch, column::FLAGS)?,
            dropped: Numbers::of(batch, column::DROPPED_ATTRIBUTES_COUNT)?,
            attributes: AttributeReader::of(batch, column::ATTR_PREFIX, column::OVERFLOW)?,
            overflow: Maps::of(batch, column::OVERFLOW),
        })
    }

    /// The row as the API shows it.
    pub fn row(&self, row: usize) -> LogRow {
        let number = self.severity_number.number(row);
        LogRow {
            timestamp: self.timestamp.time(row).to_string(),
            ingest_seq: self.seq.number(row),
            service: self.envelope.service(row),
            trace_id: self.trace_id.hex(row),
            span_id: self.span_id.hex(row),
            correlation_id: self.correlation_id.get(row).map(String::from),
            observed_timestamp: self.observed.time(row).to_string(),
            severity: severity_word(number).map(String::from),
            severity_number: number,
            severity_text: self.severity_text.text(row),
            body: self.plain_body(row),
            event_name: self.event_name.text(row),
            attributes: plain(self.attributes.read(row)),
            resource: plain(self.envelope.resource(row)),
            scope: self.envelope.scope(row),
            flags: self.flags.number(row),
            dropped_attributes_count: self.dropped.number(row),
            resource_dropped_attributes_count: self.envelope.resource_dropped(row),
            resource_schema_url: self.envelope.resource_schema_url(row),
            other: Map::new(),
        }
    }

    /// The trace the row names.
    pub fn trace_id(&self, row: usize) -> Option<&[u8]> {
        self.trace_id.get(row)
    }

    /// The row's resource and scope.
    pub fn envelope(&self, row: usize) -> Envelope {
        self.envelope.otlp(row)
    }

    /// OTLP's `LogRecord`, with the times as they were sent.
    pub fn otlp(&self, row: usize) -> Value {
        let derived = self.derived.number(row);
        let sent = |time: &Times, bit: u8| if derived & bit == 0 { time.number(row) } else { 0 };
        let mut record = Map::new();
        put_long(&mut record, "timeUnixNano", sent(&self.timestamp, derived::TIMESTAMP));
        put_long(&mut record, "observedTimeUnixNano", sent(&self.observed, derived::OBSERVED));
        put_number(&mut record, "severityNumber", self.severity_number.number(row));
        put_text(&mut record, "severityText", self.severity_text.get(row));
        if let Some(body) = self.otlp_body(row) {
            record.insert("body".into(), body);
        }
        put_list(&mut record, "attributes", otlp_attributes(self.attributes.read(row)));
        put_number(&mut record, "droppedAttributesCount", self.dropped.number(row));
        put_number(&mut record, "flags", self.flags.number(row));
        put_text(&mut record, "traceId", self.trace_id.hex(row).as_deref());
        put_text(&mut record, "spanId", self.span_id.hex(row).as_deref());
        put_text(&mut record, "eventName", self.event_name.get(row));
        Value::Object(record)
    }

    fn plain_body(&self, row: usize) -> Value {
        match self.special_body(row) {
            Some(json) => read_value(json).map_or(Value::Null, |value| value.to_plain_json()),
            None => self.body.get(row).map_or(Value::Null, Value::from),
        }
    }

    fn otlp_body(&self, row: usize) -> Option<Value> {
        match self.special_body(row) {
            Some(json) => serde_json::from_str(json).ok(),
            None => self.body.get(row).map(|text| json!({ "stringValue": text })),
        }
    }

    // A body that is no text.
    fn special_body(&self, row: usize) -> Option<&str> {
        self.overflow.entries(row).find(|(key, _)| *key == column::BODY_KEY).map(|(_, json)| json)
    }
}
