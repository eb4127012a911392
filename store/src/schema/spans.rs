//! Columns of spans, their events and links.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, FixedSizeBinaryBuilder, Int32Builder, ListArray, StringBuilder, StructArray,
    TimestampNanosecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use model::{Signal, SpanId, Timestamp, TraceId};

use super::attributes::{AttributeColumns, MapColumn, ValueRef};
use super::envelope::{EnvelopeColumns, record_batch};
use super::logs::append_id;
use super::{Batch, column, map_type, timestamp_type};

/// A span but for its attributes, events and links.
#[derive(Clone, Copy, Debug)]
pub struct SpanRow<'a> {
    /// Row of the envelope, from [`EnvelopeColumns::push`].
    pub envelope: u32,
    /// Start.
    pub timestamp: Timestamp,
    /// End, as sent.
    pub end_timestamp: Timestamp,
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The parent; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// The correlation id, if there is one.
    pub correlation_id: Option<&'a str>,
    /// The operation.
    pub name: &'a str,
    /// OTLP's number.
    pub kind: i32,
    /// W3C `tracestate`.
    pub trace_state: &'a str,
    /// OTLP's number.
    pub status_code: i32,
    /// As sent.
    pub status_message: &'a str,
    /// As sent.
    pub flags: u32,
    /// As sent.
    pub dropped_attributes_count: u32,
    /// As sent.
    pub dropped_events_count: u32,
    /// As sent.
    pub dropped_links_count: u32,
}

/// An event of a span.
#[derive(Clone, Copy, Debug)]
pub struct EventRow<'a> {
    /// As sent.
    pub timestamp: Timestamp,
    /// As sent.
    pub name: &'a str,
    /// Of attributes with one key the last counts.
    pub attributes: &'a [(&'a str, ValueRef<'a>)],
    /// As sent.
    pub dropped_attributes_count: u32,
}

/// A link of a span.
#[derive(Clone, Copy, Debug)]
pub struct LinkRow<'a> {
    /// As sent, whatever its length.
    pub trace_id: &'a [u8],
    /// As sent, whatever its length.
    pub span_id: &'a [u8],
    /// As sent.
    pub trace_state: &'a str,
    /// Of attributes with one key the last counts.
    pub attributes: &'a [(&'a str, ValueRef<'a>)],
    /// As sent.
    pub dropped_attributes_count: u32,
    /// As sent.
    pub flags: u32,
}

/// Columns of spans under construction. Filled by `collector::convert`.
#[derive(Debug)]
pub struct SpanColumns {
    /// The envelopes that rows name.
    pub envelopes: EnvelopeColumns,
    rows: usize,
    shared: UInt32Builder,
    timestamp: TimestampNanosecondBuilder,
    end_timestamp: TimestampNanosecondBuilder,
    duration_ns: UInt64Builder,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    parent_span_id: FixedSizeBinaryBuilder,
    correlation_id: StringBuilder,
    name: StringBuilder,
    kind: Int32Builder,
    trace_state: StringBuilder,
    status_code: Int32Builder,
    status_message: StringBuilder,
    flags: UInt32Builder,
    dropped_attributes_count: UInt32Builder,
    dropped_events_count: UInt32Builder,
    dropped_links_count: UInt32Builder,
    events: EventColumns,
    links: LinkColumns,
    attributes: AttributeColumns,
}

impl Default for SpanColumns {
    fn default() -> Self {
        Self {
            envelopes: EnvelopeColumns::default(),
            rows: 0,
            shared: UInt32Builder::new(),
            timestamp: TimestampNanosecondBuilder::new().with_data_type(timestamp_type()),
            end_timestamp: TimestampNanosecondBuilder::new().with_data_type(timestamp_type()),
            duration_ns: UInt64Builder::new(),
            trace_id: FixedSizeBinaryBuilder::new(16),
            span_id: FixedSizeBinaryBuilder::new(8),
            parent_span_id: FixedSizeBinaryBuilder::new(8),
            correlation_id: StringBuilder::new(),
            name: StringBuilder::new(),
            kind: Int32Builder::new(),
            trace_state: StringBuilder::new(),
            status_code: Int32Builder::new(),
            status_message: StringBuilder::new(),
            flags: UInt32Builder::new(),
            dropped_attributes_count: UInt32Builder::new(),
            dropped_events_count: UInt32Builder::new(),
            dropped_links_count: UInt32Builder::new(),
            events: EventColumns::default(),
            links: LinkColumns::default(),
            attributes: AttributeColumns::default(),
        }
    }
}

impl SpanColumns {
    /// Number of spans so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no span yet.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a span. Of attributes with one key the last counts.
    pub fn push(
        &mut self,
        row: &SpanRow<'_>,
        attributes: &[(&str, ValueRef<'_>)],
        events: &[EventRow<'_>],
        links: &[LinkRow<'_>],
    ) {
        self.rows += 1;
        self.shared.append_value(row.envelope);
        self.timestamp.append_value(row.timestamp.as_nanos());
        self.end_timestamp.append_value(row.end_timestamp.as_nanos());
        let duration = row.end_timestamp.as_nanos().saturating_sub(row.timestamp.as_nanos());
        self.duration_ns.append_value(u64::try_from(duration).unwrap_or(0));
        append_id(&mut self.trace_id, Some(row.trace_id.as_bytes()));
        append_id(&mut self.span_id, Some(row.span_id.as_bytes()));
        append_id(&mut self.parent_span_id, row.parent_span_id.as_ref().map(|id| id.as_bytes().as_slice()));
        self.correlation_id.append_option(row.correlation_id);
        self.name.append_value(row.name);
        self.kind.append_value(row.kind);
        self.trace_state.append_value(row.trace_state);
        self.status_code.append_value(row.status_code);
        self.status_message.append_value(row.status_message);
        self.flags.append_value(row.flags);
        self.dropped_attributes_count.append_value(row.dropped_attributes_count);
        self.dropped_events_count.append_value(row.dropped_events_count);
        self.dropped_links_count.append_value(row.dropped_links_count);
        self.events.push_row(events);
        self.links.push_row(links);
        self.attributes.begin_row();
        for (key, value) in attributes.iter().rev() {
            self.attributes.put(column::ATTR_PREFIX, key, *value);
        }
    }

    /// The finished batch.
    pub fn finish(mut self) -> Batch {
        let fixed: [(&str, ArrayRef); 19] = [
            (column::SHARED, Arc::new(self.shared.finish())),
            (column::TIMESTAMP, Arc::new(self.timestamp.finish())),
            (column::END_TIMESTAMP, Arc::new(self.end_timestamp.finish())),
            (column::DURATION_NS, Arc::new(self.duration_ns.finish())),
            (column::TRACE_ID, Arc::new(self.trace_id.finish())),
            (column::SPAN_ID, Arc::new(self.span_id.finish())),
            (column::PARENT_SPAN_ID, Arc::new(self.parent_span_id.finish())),
            (column::CORRELATION_ID, Arc::new(self.correlation_id.finish())),
            (column::NAME, Arc::new(self.name.finish())),
            (column::KIND, Arc::new(self.kind.finish())),
            (column::TRACE_STATE, Arc::new(self.trace_state.finish())),
            (column::STATUS_CODE, Arc::new(self.status_code.finish())),
            (column::STATUS_MESSAGE, Arc::new(self.status_message.finish())),
            (column::FLAGS, Arc::new(self.flags.finish())),
            (column::DROPPED_ATTRIBUTES_COUNT, Arc::new(self.dropped_attributes_count.finish())),
            (column::DROPPED_EVENTS_COUNT, Arc::new(self.dropped_events_count.finish())),
            (column::DROPPED_LINKS_COUNT, Arc::new(self.dropped_links_count.finish())),
            (column::EVENTS, self.events.finish()),
            (column::LINKS, self.links.finish()),
        ];
        let fixed = fixed.map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array));
        let columns = fixed.into_iter().chain(self.attributes.finish(column::OVERFLOW)).collect();
        Batch {
            signal: Signal::Spans,
            rows: record_batch(columns),
            shared: self.envelopes.finish(),
            envelopes: None,
            exemplars: None,
        }
    }
}

#[derive(Debug)]
struct EventColumns {
    ends: Vec<i32>,
    timestamp: TimestampNanosecondBuilder,
    name: StringBuilder,
    attributes: MapColumn,
    dropped: UInt32Builder,
}

impl Default for EventColumns {
    fn default() -> Self {
        Self {
            ends: vec![0],
            timestamp: TimestampNanosecondBuilder::new().with_data_type(timestamp_type()),
            name: StringBuilder::new(),
            attributes: MapColumn::default(),
            dropped: UInt32Builder::new(),
        }
    }
}

impl EventColumns {
    fn push_row(&mut self, events: &[EventRow<'_>]) {
        for event in events {
            self.timestamp.append_value(event.timestamp.as_nanos());
            self.name.append_value(event.name);
            put_map(&mut self.attributes, event.attributes);
            self.dropped.append_value(event.dropped_attributes_count);
        }
        push_end(&mut self.ends, events.len());
    }

    fn finish(mut self) -> ArrayRef {
        let fields = Fields::from(vec![
            Field::new(column::TIMESTAMP, timestamp_type(), false),
            Field::new(column::NAME, DataType::Utf8, false),
            Field::new(column::ATTRIBUTES, map_type(), false),
            Field::new(column::DROPPED_ATTRIBUTES_COUNT, DataType::UInt32, false),
        ]);
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(self.timestamp.finish()),
            Arc::new(self.name.finish()),
            self.attributes.finish(),
            Arc::new(self.dropped.finish()),
        ];
        list_of_structs(fields, arrays, self.ends)
    }
}

#[derive(Debug)]
struct LinkColumns {
    ends: Vec<i32>,
    trace_id: BinaryBuilder,
    span_id: BinaryBuilder,
    trace_state: StringBuilder,
    attributes: MapColumn,
    dropped: UInt32Builder,
    flags: UInt32Builder,
}

impl Default for LinkColumns {
    fn default() -> Self {
        Self {
            ends: vec![0],
            trace_id: BinaryBuilder::new(),
            span_id: BinaryBuilder::new(),
            trace_state: StringBuilder::new(),
            attributes: MapColumn::default(),
            dropped: UInt32Builder::new(),
            flags: UInt32Builder::new(),
        }
    }
}

impl LinkColumns {
    fn push_row(&mut self, links: &[LinkRow<'_>]) {
        for link in links {
            self.trace_id.append_value(link.trace_id);
            self.span_id.append_value(link.span_id);
            self.trace_state.append_value(link.trace_state);
            put_map(&mut self.attributes, link.attributes);
            self.dropped.append_value(link.dropped_attributes_count);
            self.flags.append_value(link.flags);
        }
        push_end(&mut self.ends, links.len());
    }

    fn finish(mut self) -> ArrayRef {
        let fields = Fields::from(vec![
            Field::new(column::TRACE_ID, DataType::Binary, false),
            Field::new(column::SPAN_ID, DataType::Binary, false),
            Field::new(column::TRACE_STATE, DataType::Utf8, false),
            Field::new(column::ATTRIBUTES, map_type(), false),
            Field::new(column::DROPPED_ATTRIBUTES_COUNT, DataType::UInt32, false),
            Field::new(column::FLAGS, DataType::UInt32, false),
        ]);
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.trace_state.finish()),
            self.attributes.finish(),
            Arc::new(self.dropped.finish()),
            Arc::new(self.flags.finish()),
        ];
        list_of_structs(fields, arrays, self.ends)
    }
}

/// Adds a row of attributes to a map column. Of attributes with one key the last counts.
pub(super) fn put_map(map: &mut MapColumn, attributes: &[(&str, ValueRef<'_>)]) {
    map.begin_row();
    for (key, value) in attributes.iter().rev() {
        map.put(key, &value.to_otlp_json_text());
    }
}

/// Notes where a row's entries end.
pub(super) fn push_end(ends: &mut Vec<i32>, added: usize) {
    let last = ends.last().copied().unwrap_or(0);
    let added = i32::try_from(added).expect("a request is limited to 64 MiB, an entry takes more than one byte");
    ends.push(last + added);
}

/// A list column whose entries are structs; `ends` begins with 0 and has one more entry per row.
pub(super) fn list_of_structs(fields: Fields, arrays: Vec<ArrayRef>, ends: Vec<i32>) -> ArrayRef {
    let entries = StructArray::new(fields.clone(), arrays, None);
    let field = Field::new("element", DataType::Struct(fields), false);
    Arc::new(ListArray::new(Arc::new(field), OffsetBuffer::new(ends.into()), Arc::new(entries), None))
}
