//! Spans to columns.

use model::{Signal, SpanId, TraceId};
use store::schema::{EventRow, LinkRow, SpanColumns, SpanRow};

use super::any::{Attributes, Pair};
use super::request::{Items, Request, Under};
use super::weight::{self, Budget, Shape};
use super::wire::{Fields, Walk};
use super::{Context, Encoding, Limits, Mistakes, Place, correlation, json, on_the_wire, sent_time};
use crate::{DecodeError, Outcome, Reason};

const REQUEST: weight::Request = weight::Request::Spans;

/// Adds the spans of an `ExportTraceServiceRequest` to empty columns. After an error they are empty again.
pub fn spans(
    bytes: &[u8],
    encoding: Encoding,
    context: &Context<'_>,
    columns: &mut SpanColumns,
) -> Result<Outcome, DecodeError> {
    let mut outcome = Outcome::default();
    let wire = on_the_wire(bytes, encoding, REQUEST, json::traces_request, context, &mut outcome)?;
    let mut request = Request::new(context, outcome);
    let mut spans = Spans { columns, attributes: Attributes::default(), events: Vec::new(), links: Vec::new() };
    match request.walk(&wire, &mut spans) {
        Ok(()) => Ok(request.outcome),
        Err(stop) => {
            *spans.columns = SpanColumns::default();
            Err(REQUEST.refused(stop, &wire, context))
        }
    }
}

struct Spans<'c, 'a> {
    columns: &'c mut SpanColumns,
    // Of the span at hand.
    attributes: Attributes<'a>,
    events: Vec<Event<'a>>,
    links: Vec<Link<'a>>,
}

// A `Span` but for its lists.
#[derive(Debug, Default)]
struct Span<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    trace_state: &'a str,
    parent_span_id: &'a [u8],
    flags: u32,
    name: &'a str,
    kind: i32,
    start_time_unix_nano: u64,
    end_time_unix_nano: u64,
    dropped_attributes_count: u32,
    dropped_events_count: u32,
    dropped_links_count: u32,
    status_message: &'a str,
    status_code: i32,
}

#[derive(Debug, Default)]
struct Event<'a> {
    time_unix_nano: u64,
    name: &'a str,
    attributes: Attributes<'a>,
    dropped_attributes_count: u32,
}

#[derive(Debug, Default)]
struct Link<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    trace_state: &'a str,
    attributes: Attributes<'a>,
    dropped_attributes_count: u32,
    flags: u32,
}

impl<'a> Items<'a> for Spans<'_, 'a> {
    const SIGNAL: Signal = Signal::Spans;
    const LISTS: [&'static str; 3] = ["resource_spans", "scope_spans", "spans"];
    const SHAPE: &'static Shape = &weight::SPAN;

    fn item(&mut self, mut fields: Fields<'a>, under: &mut Under<'_>, request: &mut Request<'_, 'a>) -> Walk<()> {
        self.attributes.clear();
        self.events.clear();
        self.links.clear();
        let (limits, budget) = (&request.context.limits, &mut request.budget);
        let mut span = Span::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => span.trace_id = fields.bytes(key)?,
                2 => span.span_id = fields.bytes(key)?,
                3 => span.trace_state = fields.text(key)?,
                4 => span.parent_span_id = fields.bytes(key)?,
                5 => span.name = fields.text(key)?,
                6 => span.kind = fields.i32(key)?,
                7 => span.start_time_unix_nano = fields.fixed64(key)?,
                8 => span.end_time_unix_nano = fields.fixed64(key)?,
                9 => self.attributes.read(fields.message(key)?, limits, budget)?,
                10 => span.dropped_attributes_count = fields.u32(key)?,
                11 => self.events.push(Event::read(fields.message(key)?, limits, budget)?),
                12 => span.dropped_events_count = fields.u32(key)?,
                13 => self.links.push(Link::read(fields.message(key)?, limits, budget)?),
                14 => span.dropped_links_count = fields.u32(key)?,
                15 => span.read_status(fields.message(key)?)?,
                16 => span.flags = fields.fixed32(key)?,
                _ => fields.skip(key)?,
            }
        }
        let kept = self.push(&span, under, request);
        let place = || {
            let Under { positions, .. } = *under;
            Place { lists: Self::LISTS, positions, point: None, name: span.name }.to_string()
        };
        request.count(kept, place);
        Ok(())
    }
}

impl<'a> Span<'a> {
    fn read_status(&mut self, mut fields: Fields<'a>) -> Walk<()> {
        while let Some(key) = fields.key()? {
            match key.number {
                2 => self.status_message = fields.text(key)?,
                3 => self.status_code = fields.i32(key)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }
}

impl<'a> Event<'a> {
    fn read(mut fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<Self> {
        budget.take(&weight::EVENT)?;
        let mut event = Self::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => event.time_unix_nano = fields.fixed64(key)?,
                2 => event.name = fields.text(key)?,
                3 => event.attributes.read(fields.message(key)?, limits, budget)?,
                4 => event.dropped_attributes_count = fields.u32(key)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(event)
    }

    fn row<'r>(&'r self, pairs: &'r [Pair<'r>]) -> Result<EventRow<'r>, Reason> {
        Ok(EventRow {
            timestamp: sent_time(self.time_unix_nano)?,
            name: self.name,
            attributes: pairs,
            dropped_attributes_count: self.dropped_attributes_count,
        })
    }
}

impl<'a> Link<'a> {
    fn read(mut fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<Self> {
        budget.take(&weight::LINK)?;
        let mut link = Self::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => link.trace_id = fields.bytes(key)?,
                2 => link.span_id = fields.bytes(key)?,
                3 => link.trace_state = fields.text(key)?,
                4 => link.attributes.read(fields.message(key)?, limits, budget)?,
                5 => link.dropped_attributes_count = fields.u32(key)?,
                6 => link.flags = fields.fixed32(key)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(link)
    }

    fn row<'r>(&'r self, pairs: &'r [Pair<'r>]) -> LinkRow<'r> {
        LinkRow {
            trace_id: self.trace_id,
            span_id: self.span_id,
            trace_state: self.trace_state,
            attributes: pairs,
            dropped_attributes_count: self.dropped_attributes_count,
            flags: self.flags,
        }
    }
}

impl<'a> Spans<'_, 'a> {
    fn push(
        &mut self,
        span: &Span<'a>,
        under: &mut Under<'_>,
        request: &mut Request<'_, 'a>,
    ) -> Result<Mistakes, Reason> {
        let (context, envelope) = (request.context, under.envelope);
        envelope.fault()?;
        let mut mistakes = envelope.mistakes();
        let trace_id = TraceId::from_slice(span.trace_id).ok_or(Reason::TraceId)?;
        let span_id = SpanId::from_slice(span.span_id).ok_or(Reason::SpanId)?;
        let parent_span_id = parent(span.parent_span_id)?;
        let timestamp = sent_time(span.start_time_unix_nano)?;
        let end_timestamp = sent_time(span.end_time_unix_nano)?;
        let of_events = self.events.iter().map(|event| &event.attributes);
        let of_links = self.links.iter().map(|link| &link.attributes);
        for list in [&self.attributes].into_iter().chain(of_events).chain(of_links) {
            list.fault(&context.limits).map_or(Ok(()), Err)?;
            mistakes.string_index |= list.string_index;
        }
        let event_pairs: Vec<Vec<Pair<'_>>> = self.events.iter().map(|event| event.attributes.to_pairs()).collect();
        let link_pairs: Vec<Vec<Pair<'_>>> = self.links.iter().map(|link| link.attributes.to_pairs()).collect();
        let events = self.events.iter().zip(&event_pairs).map(|(event, pairs)| event.row(pairs));
        let events: Vec<EventRow<'_>> = events.collect::<Result<_, Reason>>()?;
        let links: Vec<LinkRow<'_>> = self.links.iter().zip(&link_pairs).map(|(link, pairs)| link.row(pairs)).collect();
        if timestamp < under.kept_from {
            return Err(Reason::Expired);
        }
        request.expansion.take(envelope.bytes)?;

        let mut scratch = Vec::new();
        let pairs = self.attributes.pairs(&mut scratch);
        let own_correlation_id = correlation::find(context.correlation_keys, pairs);
        let row = SpanRow {
            envelope: *under
                .row
                .get_or_insert_with(|| self.columns.envelopes.push(&envelope.resource_row(), &envelope.scope_row())),
            timestamp,
            end_timestamp,
            trace_id,
            span_id,
            parent_span_id,
            correlation_id: own_correlation_id.as_deref().or(envelope.correlation_id.as_deref()),
            name: span.name,
            kind: span.kind,
            trace_state: span.trace_state,
            status_code: span.status_code,
            status_message: span.status_message,
            flags: span.flags,
            dropped_attributes_count: span.dropped_attributes_count,
            dropped_events_count: span.dropped_events_count,
            dropped_links_count: span.dropped_links_count,
        };
        self.columns.push(&row, pairs, &events, &links);
        Ok(mistakes)
    }
}

// No bytes and eight zeros both say "no parent". Anything else that is no id is refused: kept as a root, the span would
// change the shape of its trace, and nobody could tell.
fn parent(bytes: &[u8]) -> Result<Option<SpanId>, Reason> {
    if bytes.is_empty() || bytes.len() == SpanId::LEN {
        return Ok(SpanId::from_slice(bytes));
    }
    Err(Reason::ParentSpanId)
}
