//! Spans from prost's messages.

use model::{Signal, SpanId, Timestamp, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use store::schema::{EventRow, LinkRow, SpanColumns, SpanRow, ValueRef};

use super::attributes::KeyValues;
use super::resource::{Envelope, HeldResource, HeldScope};
use super::{Expansion, Mistakes, Place, correlation, kept_from, sent_time};
use collector::convert::Context;
use collector::{Outcome, Reason};
use prost::{DecodeError, Message as _};

/// Adds the spans of an `ExportTraceServiceRequest` to the columns.
pub fn spans(bytes: &[u8], context: &Context<'_>, columns: &mut SpanColumns) -> Result<Outcome, DecodeError> {
    let mut outcome = Outcome::default();
    let request = ExportTraceServiceRequest::decode(bytes)?;
    let mut expansion = Expansion::new(context.limits);
    for (resource_position, of_resource) in request.resource_spans.iter().enumerate() {
        let resource = HeldResource::new(of_resource.resource.as_ref(), &of_resource.schema_url, context);
        outcome.begin(resource.service());
        let kept_from = kept_from(context, Signal::Spans, resource.service());
        for (scope_position, of_scope) in of_resource.scope_spans.iter().enumerate() {
            let scope = HeldScope::new(of_scope.scope.as_ref(), &of_scope.schema_url, context);
            let envelope = Envelope::new(&resource, &scope, context);
            let mut envelope_row = None;
            for (position, span) in of_scope.spans.iter().enumerate() {
                let place = || {
                    Place {
                        lists: ["resource_spans", "scope_spans", "spans"],
                        positions: [resource_position, scope_position, position],
                        point: None,
                        name: &span.name,
                    }
                    .to_string()
                };
                match push(span, &envelope, &mut envelope_row, kept_from, context, &mut expansion, columns) {
                    Ok(mistakes) => {
                        outcome.accepted += 1;
                        mistakes.note(&mut outcome, place);
                    }
                    Err(reason) => outcome.rejected.note(reason, 1, place),
                }
            }
        }
    }
    outcome.settle();
    Ok(outcome)
}

fn push(
    span: &Span,
    envelope: &Envelope<'_>,
    envelope_row: &mut Option<u32>,
    kept_from: Timestamp,
    context: &Context<'_>,
    expansion: &mut Expansion,
    columns: &mut SpanColumns,
) -> Result<Mistakes, Reason> {
    envelope.fault()?;
    let mut mistakes = envelope.mistakes();
    let trace_id = TraceId::from_slice(&span.trace_id).ok_or(Reason::TraceId)?;
    let span_id = SpanId::from_slice(&span.span_id).ok_or(Reason::SpanId)?;
    let parent_span_id = parent(&span.parent_span_id)?;
    let timestamp = sent_time(span.start_time_unix_nano)?;
    let end_timestamp = sent_time(span.end_time_unix_nano)?;
    let limits = &context.limits;
    let attributes = KeyValues::new(&span.attributes, limits);
    let of_events: Vec<KeyValues<'_>> = span.events.iter().map(|e| KeyValues::new(&e.attributes, limits)).collect();
    let of_links: Vec<KeyValues<'_>> = span.links.iter().map(|l| KeyValues::new(&l.attributes, limits)).collect();
    for list in [&attributes].into_iter().chain(&of_events).chain(&of_links) {
        list.fault.map_or(Ok(()), Err)?;
        mistakes.string_index |= list.string_index;
    }
    let pairs = attributes.refs();
    let event_pairs: Vec<Pairs<'_>> = of_events.iter().map(KeyValues::refs).collect();
    let link_pairs: Vec<Pairs<'_>> = of_links.iter().map(KeyValues::refs).collect();
    let events = span.events.iter().zip(&event_pairs).map(|(event, pairs)| event_row(event, pairs));
    let events: Vec<EventRow<'_>> = events.collect::<Result<_, Reason>>()?;
    let links: Vec<LinkRow<'_>> =
        span.links.iter().zip(&link_pairs).map(|(link, pairs)| link_row(link, pairs)).collect();
    if timestamp < kept_from {
        return Err(Reason::Expired);
    }
    expansion.take(envelope.bytes)?;

    let own_correlation_id = correlation::find(context.correlation_keys, &pairs);
    let status = span.status.as_ref();
    let row = SpanRow {
        envelope: *envelope_row
            .get_or_insert_with(|| columns.envelopes.push(&envelope.resource_row(), &envelope.scope_row())),
        timestamp,
        end_timestamp,
        trace_id,
        span_id,
        parent_span_id,
        correlation_id: own_correlation_id.as_deref().or(envelope.correlation_id.as_deref()),
        name: &span.name,
        kind: span.kind,
        trace_state: &span.trace_state,
        status_code: status.map_or(0, |status| status.code),
        status_message: status.map_or("", |status| &status.message),
        flags: span.flags,
        dropped_attributes_count: span.dropped_attributes_count,
        dropped_events_count: span.dropped_events_count,
        dropped_links_count: span.dropped_links_count,
    };
    columns.push(&row, &pairs, &events, &links);
    Ok(mistakes)
}

type Pairs<'a> = Vec<(&'a str, ValueRef<'a>)>;

// No bytes and eight zeros both say "no parent". Anything else that is no id is refused: kept as a root, the span would
// change the shape of its trace, and nobody could tell.
fn parent(bytes: &[u8]) -> Result<Option<SpanId>, Reason> {
    if bytes.is_empty() || bytes.len() == SpanId::LEN {
        return Ok(SpanId::from_slice(bytes));
    }
    Err(Reason::ParentSpanId)
}

fn event_row<'a>(event: &'a Event, pairs: &'a Pairs<'a>) -> Result<EventRow<'a>, Reason> {
    Ok(EventRow {
        timestamp: sent_time(event.time_unix_nano)?,
        name: &event.name,
        attributes: pairs,
        dropped_attributes_count: event.dropped_attributes_count,
    })
}

fn link_row<'a>(link: &'a Link, pairs: &'a Pairs<'a>) -> LinkRow<'a> {
    LinkRow {
        trace_id: &link.trace_id,
        span_id: &link.span_id,
        trace_state: &link.trace_state,
        attributes: pairs,
        dropped_attributes_count: link.dropped_attributes_count,
        flags: link.flags,
    }
}
