//! Spans as rows and as OTLP/JSON.

use arrow::array::{Array as _, ArrayRef, AsArray as _, ListArray, RecordBatch, StructArray};
use arrow::datatypes::{Int32Type, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use model::id::hex;
use model::wire::spans::{SpanEvent, SpanLink, SpanRow, kind_word, status_word};
use serde_json::{Map, Value};
use store::schema::column;

use crate::rows::columns::{AttributeReader, Ids, Maps, Numbers, Texts, Times};
use crate::rows::envelope::{
    Envelope, EnvelopeReader, otlp_attributes, plain, put_list, put_long, put_number, put_text,
};
use crate::traces::assemble::Node;

/// Reads the rows of a batch of spans.
#[derive(Debug)]
pub struct SpanReader {
    envelope: EnvelopeReader,
    timestamp: Times,
    end: Times,
    duration: Numbers<UInt64Type>,
    seq: Numbers<UInt64Type>,
    trace_id: Ids,
    span_id: Ids,
    parent: Ids,
    correlation_id: Texts,
    name: Texts,
    kind: Numbers<Int32Type>,
    trace_state: Texts,
    status_code: Numbers<Int32Type>,
    status_message: Texts,
    flags: Numbers<UInt32Type>,
    dropped: Numbers<UInt32Type>,
    dropped_events: Numbers<UInt32Type>,
    dropped_links: Numbers<UInt32Type>,
    events: Entries,
    links: Entries,
    attributes: AttributeReader,
}

impl SpanReader {
    /// Reads the rows of this batch.
    pub fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            envelope: EnvelopeReader::new(batch)?,
            timestamp: Times::of(batch, column::TIMESTAMP)?,
            end: Times::of(batch, column::END_TIMESTAMP)?,
            duration: Numbers::of(batch, column::DURATION_NS)?,
            seq: Numbers::of(batch, column::INGEST_SEQ)?,
            trace_id: Ids::of(batch, column::TRACE_ID),
            span_id: Ids::of(batch, column::SPAN_ID),
            parent: Ids::of(batch, column::PARENT_SPAN_ID),
            correlation_id: Texts::of(batch, column::CORRELATION_ID)?,
            name: Texts::of(batch, column::NAME)?,
            kind: Numbers::of(batch, column::KIND)?,
            trace_state: Texts::of(batch, column::TRACE_STATE)?,
            status_code: Numbers::of(batch, column::STATUS_CODE)?,
            status_message: Texts::of(batch, column::STATUS_MESSAGE)?,
            flags: Numbers::of(batch, column::FLAGS)?,
            dropped: Numbers::of(batch, column::DROPPED_ATTRIBUTES_COUNT)?,
            dropped_events: Numbers::of(batch, column::DROPPED_EVENTS_COUNT)?,
            dropped_links: Numbers::of(batch, column::DROPPED_LINKS_COUNT)?,
            events: Entries::of(batch, column::EVENTS)?,
            links: Entries::of(batch, column::LINKS)?,
            attributes: AttributeReader::of(batch, column::ATTR_PREFIX, column::OVERFLOW)?,
        })
    }

    /// The row as the API shows it.
    pub fn row(&self, row: usize) -> SpanRow {
        let (start, end) = (self.timestamp.time(row), self.end.time(row));
        SpanRow {
            timestamp: start.to_string(),
            ingest_seq: self.seq.number(row),
            service: self.envelope.service(row),
            trace_id: self.trace_id.hex(row).unwrap_or_default(),
            span_id: self.span_id.hex(row).unwrap_or_default(),
            correlation_id: self.correlation_id.get(row).map(String::from),
            name: self.name.text(row),
            kind: kind_word(self.kind.number(row)),
            duration_ns: self.duration.number(row),
            end_timestamp: end.to_string(),
            status: status_word(self.status_code.number(row)),
            status_message: self.status_message.text(row),
            parent_span_id: self.parent.hex(row),
            trace_state: self.trace_state.text(row),
            clock_skew: end < start,
            events: self.events.rows(row).map(|entry| self.events.event(entry)).collect(),
            links: self.links.rows(row).map(|entry| self.links.link(entry)).collect(),
            attributes: plain(self.attributes.read(row)),
            resource: plain(self.envelope.resource(row)),
            scope: self.envelope.scope(row),
            flags: self.flags.number(row),
            dropped_attributes_count: self.dropped.number(row),
            dropped_events_count: self.dropped_events.number(row),
            dropped_links_count: self.dropped_links.number(row),
            resource_dropped_attributes_count: self.envelope.resource_dropped(row),
            resource_schema_url: self.envelope.resource_schema_url(row),
            other: Map::new(),
        }
    }

    /// The span's place in its trace.
    pub fn node(&self, row: usize) -> Node {
        Node {
            span_id: self.span_id.get(row).unwrap_or_default().to_vec(),
            parent_span_id: self.parent.get(row).map(<[u8]>::to_vec),
            start: self.timestamp.number(row),
            end: self.end.number(row),
            seq: self.seq.number(row),
        }
    }

    /// The trace the span belongs to.
    pub fn trace_id(&self, row: usize) -> Option<&[u8]> {
        self.trace_id.get(row)
    }

    /// The row's resource and scope.
    pub fn envelope(&self, row: usize) -> Envelope {
        self.envelope.otlp(row)
    }

    /// OTLP's `Span`.
    pub fn otlp(&self, row: usize) -> Value {
        let mut span = Map::new();
        put_text(&mut span, "traceId", self.trace_id.hex(row).as_deref());
        put_text(&mut span, "spanId", self.span_id.hex(row).as_deref());
        put_text(&mut span, "traceState", self.trace_state.get(row));
        put_text(&mut span, "parentSpanId", self.parent.hex(row).as_deref());
        put_number(&mut span, "flags", self.flags.number(row));
        put_text(&mut span, "name", self.name.get(row));
        put_number(&mut span, "kind", self.kind.number(row));
        put_long(&mut span, "startTimeUnixNano", self.timestamp.number(row));
        put_long(&mut span, "endTimeUnixNano", self.end.number(row));
        put_list(&mut span, "attributes", otlp_attributes(self.attributes.read(row)));
        put_number(&mut span, "droppedAttributesCount", self.dropped.number(row));
        put_list(&mut span, "events", self.events.rows(row).map(|entry| self.events.otlp_event(entry)).collect());
        put_number(&mut span, "droppedEventsCount", self.dropped_events.number(row));
        put_list(&mut span, "links", self.links.rows(row).map(|entry| self.links.otlp_link(entry)).collect());
        put_number(&mut span, "droppedLinksCount", self.dropped_links.number(row));
        let mut status = Map::new();
        put_text(&mut status, "message", self.status_message.get(row));
        put_number(&mut status, "code", self.status_code.number(row));
        span.insert("status".into(), Value::Object(status));
        Value::Object(span)
    }
}

// Events or links: a list of structs. Each reads the columns that it has.
#[derive(Debug)]
struct Entries {
    list: Option<ListArray>,
    timestamp: Times,
    name: Texts,
    trace_id: Option<ArrayRef>,
    span_id: Option<ArrayRef>,
    trace_state: Texts,
    attributes: Maps,
    dropped: Numbers<UInt32Type>,
    flags: Numbers<UInt32Type>,
}

impl Entries {
    fn of(batch: &RecordBatch, name: &str) -> Result<Self, ArrowError> {
        let list = batch.column_by_name(name).and_then(|array| array.as_list_opt::<i32>().cloned());
        let entries: Option<StructArray> = list.as_ref().and_then(|list| list.values().as_struct_opt().cloned());
        let fields = entries.map_or_else(|| RecordBatch::new_empty(batch.schema()), RecordBatch::from);
        let binary = |name: &str| fields.column_by_name(name).cloned();
        Ok(Self {
            list,
            timestamp: Times::of(&fields, column::TIMESTAMP)?,
            name: Texts::of(&fields, column::NAME)?,
            trace_id: binary(column::TRACE_ID),
            span_id: binary(column::SPAN_ID),
            trace_state: Texts::of(&fields, column::TRACE_STATE)?,
            attributes: Maps::of(&fields, column::ATTRIBUTES),
            dropped: Numbers::of(&fields, column::DROPPED_ATTRIBUTES_COUNT)?,
            flags: Numbers::of(&fields, column::FLAGS)?,
        })
    }

    // Positions of a row's entries among all.
    fn rows(&self, row: usize) -> std::ops::Range<usize> {
        match &self.list {
            Some(list) if list.is_valid(row) => {
                let offsets = list.value_offsets();
                offsets[row] as usize..offsets[row + 1] as usize
            }
            _ => 0..0,
        }
    }

    fn event(&self, entry: usize) -> SpanEvent {
        SpanEvent {
            timestamp: self.timestamp.time(entry).to_string(),
            name: self.name.text(entry),
            attributes: plain(self.attributes.values(entry, "")),
            dropped_attributes_count: self.dropped.number(entry),
        }
    }

    fn link(&self, entry: usize) -> SpanLink {
        SpanLink {
            trace_id: digits(self.trace_id.as_ref(), entry),
            span_id: digits(self.span_id.as_ref(), entry),
            trace_state: self.trace_state.text(entry),
            attributes: plain(self.attributes.values(entry, "")),
            dropped_attributes_count: self.dropped.number(entry),
            flags: self.flags.number(entry),
        }
    }

    fn otlp_event(&self, entry: usize) -> Value {
        let mut event = Map::new();
        put_long(&mut event, "timeUnixNano", self.timestamp.number(entry));
        put_text(&mut event, "name", self.name.get(entry));
        self.put_otlp_attributes(&mut event, entry);
        Value::Object(event)
    }

    fn otlp_link(&self, entry: usize) -> Value {
        let mut link = Map::new();
        put_text(&mut link, "traceId", Some(&digits(self.trace_id.as_ref(), entry)));
        put_text(&mut link, "spanId", Some(&digits(self.span_id.as_ref(), entry)));
        put_text(&mut link, "traceState", self.trace_state.get(entry));
        self.put_otlp_attributes(&mut link, entry);
        put_number(&mut link, "flags", self.flags.number(entry));
        Value::Object(link)
    }

    fn put_otlp_attributes(&self, object: &mut Map<String, Value>, entry: usize) {
        put_list(object, "attributes", otlp_attributes(self.attributes.values(entry, "")));
        put_number(object, "droppedAttributesCount", self.dropped.number(entry));
    }
}

// Ids of links have any length.
fn digits(array: Option<&ArrayRef>, entry: usize) -> String {
    array.and_then(|array| array.as_binary_opt::<i32>()).map(|ids| hex(ids.value(entry))).unwrap_or_default()
}
