//! Log records from prost's messages.

use model::{Signal, SpanId, Timestamp, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use store::schema::{LogColumns, LogRow, derived};

use super::attributes::{HeldValue, KeyValues};
use super::resource::{Envelope, HeldResource, HeldScope};
use super::{Expansion, Mistakes, Place, correlation, kept_from, known_time, optional_id};
use collector::convert::Context;
use collector::{Outcome, Reason};
use prost::{DecodeError, Message as _};

/// Adds the records of an `ExportLogsServiceRequest` to the columns.
pub fn logs(bytes: &[u8], context: &Context<'_>, columns: &mut LogColumns) -> Result<Outcome, DecodeError> {
    let mut outcome = Outcome::default();
    let request = ExportLogsServiceRequest::decode(bytes)?;
    let mut expansion = Expansion::new(context.limits);
    for (resource_position, of_resource) in request.resource_logs.iter().enumerate() {
        let resource = HeldResource::new(of_resource.resource.as_ref(), &of_resource.schema_url, context);
        outcome.begin(resource.service());
        let kept_from = kept_from(context, Signal::Logs, resource.service());
        for (scope_position, of_scope) in of_resource.scope_logs.iter().enumerate() {
            let scope = HeldScope::new(of_scope.scope.as_ref(), &of_scope.schema_url, context);
            let envelope = Envelope::new(&resource, &scope, context);
            let mut envelope_row = None;
            for (position, record) in of_scope.log_records.iter().enumerate() {
                let place = || {
                    Place {
                        lists: ["resource_logs", "scope_logs", "log_records"],
                        positions: [resource_position, scope_position, position],
                        point: None,
                        name: &record.event_name,
                    }
                    .to_string()
                };
                match push(record, &envelope, &mut envelope_row, kept_from, context, &mut expansion, columns) {
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
    record: &LogRecord,
    envelope: &Envelope<'_>,
    envelope_row: &mut Option<u32>,
    kept_from: Timestamp,
    context: &Context<'_>,
    expansion: &mut Expansion,
    columns: &mut LogColumns,
) -> Result<Mistakes, Reason> {
    envelope.fault()?;
    let mut mistakes = envelope.mistakes();
    let time = known_time(record.time_unix_nano)?;
    let observed = known_time(record.observed_time_unix_nano)?;
    let attributes = KeyValues::new(&record.attributes, &context.limits);
    let body = HeldValue::new(record.body.as_ref(), context.limits.value_depth_max, &mut mistakes.string_index);
    if let Some(reason) = attributes.fault.or(matches!(body, HeldValue::TooDeep).then_some(Reason::Depth)) {
        return Err(reason);
    }
    let observed_timestamp = observed.unwrap_or(context.received);
    let timestamp = time.unwrap_or(observed_timestamp);
    if timestamp < kept_from {
        return Err(Reason::Expired);
    }
    expansion.take(envelope.bytes)?;
    mistakes.string_index |= attributes.string_index;

    let derived_times =
        if time.is_none() { derived::TIMESTAMP } else { 0 } | if observed.is_none() { derived::OBSERVED } else { 0 };
    let pairs = attributes.refs();
    let own_correlation_id = correlation::find(context.correlation_keys, &pairs);
    let trace_id = TraceId::from_slice(&record.trace_id);
    let span_id = SpanId::from_slice(&record.span_id);
    let row = LogRow {
        envelope: *envelope_row
            .get_or_insert_with(|| columns.envelopes.push(&envelope.resource_row(), &envelope.scope_row())),
        timestamp,
        observed_timestamp,
        derived_times,
        trace_id: optional_id(&record.trace_id, TraceId::LEN, trace_id, &mut mistakes),
        span_id: optional_id(&record.span_id, SpanId::LEN, span_id, &mut mistakes),
        correlation_id: own_correlation_id.as_deref().or(envelope.correlation_id.as_deref()),
        severity_number: record.severity_number,
        severity_text: &record.severity_text,
        body: body.as_ref(),
        event_name: &record.event_name,
        flags: record.flags,
        dropped_attributes_count: record.dropped_attributes_count,
    };
    columns.push(&row, &pairs);
    Ok(mistakes)
}
