//! Log records to columns.

use model::{Signal, SpanId, TraceId};
use store::schema::{LogColumns, LogRow, derived};

use super::any::{Attributes, HeldValue};
use super::request::{Items, Request, Under};
use super::weight::{self, Shape};
use super::wire::{Fields, Walk};
use super::{Context, Encoding, Mistakes, Place, correlation, json, known_time, on_the_wire, optional_id};
use crate::{DecodeError, Outcome, Reason};

const REQUEST: weight::Request = weight::Request::Logs;

/// Adds the records of an `ExportLogsServiceRequest` to empty columns. After an error they are empty again.
pub fn logs(
    bytes: &[u8],
    encoding: Encoding,
    context: &Context<'_>,
    columns: &mut LogColumns,
) -> Result<Outcome, DecodeError> {
    let mut outcome = Outcome::default();
    let wire = on_the_wire(bytes, encoding, REQUEST, json::logs_request, context, &mut outcome)?;
    let mut request = Request::new(context, outcome);
    let mut records = Records { columns, attributes: Attributes::default() };
    match request.walk(&wire, &mut records) {
        Ok(()) => Ok(request.outcome),
        Err(stop) => {
            *records.columns = LogColumns::default();
            Err(REQUEST.refused(stop, &wire, context))
        }
    }
}

struct Records<'c, 'a> {
    columns: &'c mut LogColumns,
    attributes: Attributes<'a>,
}

// A `LogRecord` but for its attributes.
#[derive(Debug, Default)]
struct Record<'a> {
    time_unix_nano: u64,
    observed_time_unix_nano: u64,
    severity_number: i32,
    severity_text: &'a str,
    body: HeldValue<'a>,
    dropped_attributes_count: u32,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a str,
}

impl<'a> Items<'a> for Records<'_, 'a> {
    const SIGNAL: Signal = Signal::Logs;
    const LISTS: [&'static str; 3] = ["resource_logs", "scope_logs", "log_records"];
    const SHAPE: &'static Shape = &weight::LOG_RECORD;

    fn item(&mut self, mut fields: Fields<'a>, under: &mut Under<'_>, request: &mut Request<'_, 'a>) -> Walk<()> {
        self.attributes.clear();
        let mut record = Record::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => record.time_unix_nano = fields.fixed64(key)?,
                2 => record.severity_number = fields.i32(key)?,
                3 => record.severity_text = fields.text(key)?,
                5 => record.body.merge(fields.message(key)?, &mut request.budget)?,
                6 => self.attributes.read(fields.message(key)?, &request.context.limits, &mut request.budget)?,
                7 => record.dropped_attributes_count = fields.u32(key)?,
                8 => record.flags = fields.fixed32(key)?,
                9 => record.trace_id = fields.bytes(key)?,
                10 => record.span_id = fields.bytes(key)?,
                11 => record.observed_time_unix_nano = fields.fixed64(key)?,
                12 => record.event_name = fields.text(key)?,
                _ => fields.skip(key)?,
            }
        }
        let kept = self.push(&mut record, under, request);
        let place = || {
            let Under { positions, .. } = *under;
            Place { lists: Self::LISTS, positions, point: None, name: record.event_name }.to_string()
        };
        request.count(kept, place);
        Ok(())
    }
}

impl<'a> Records<'_, 'a> {
    fn push(
        &mut self,
        record: &mut Record<'a>,
        under: &mut Under<'_>,
        request: &mut Request<'_, 'a>,
    ) -> Result<Mistakes, Reason> {
        let (context, envelope) = (request.context, under.envelope);
        envelope.fault()?;
        let mut mistakes = envelope.mistakes();
        let time = known_time(record.time_unix_nano)?;
        let observed = known_time(record.observed_time_unix_nano)?;
        self.attributes.fault(&context.limits).map_or(Ok(()), Err)?;
        if !record.body.settle(context.limits.value_depth_max) {
            return Err(Reason::Depth);
        }
        let observed_timestamp = observed.unwrap_or(context.received);
        let timestamp = time.unwrap_or(observed_timestamp);
        if timestamp < under.kept_from {
            return Err(Reason::Expired);
        }
        request.expansion.take(envelope.bytes)?;
        mistakes.string_index |= self.attributes.string_index || record.body.has_index();

        let derived_times = if time.is_none() { derived::TIMESTAMP } else { 0 }
            | if observed.is_none() { derived::OBSERVED } else { 0 };
        let mut scratch = Vec::new();
        let pairs = self.attributes.pairs(&mut scratch);
        let own_correlation_id = correlation::find(context.correlation_keys, pairs);
        let trace_id = TraceId::from_slice(record.trace_id);
        let span_id = SpanId::from_slice(record.span_id);
        let row = LogRow {
            envelope: *under
                .row
                .get_or_insert_with(|| self.columns.envelopes.push(&envelope.resource_row(), &envelope.scope_row())),
            timestamp,
            observed_timestamp,
            derived_times,
            trace_id: optional_id(record.trace_id, TraceId::LEN, trace_id, &mut mistakes),
            span_id: optional_id(record.span_id, SpanId::LEN, span_id, &mut mistakes),
            correlation_id: own_correlation_id.as_deref().or(envelope.correlation_id.as_deref()),
            severity_number: record.severity_number,
            severity_text: record.severity_text,
            body: record.body.as_ref(),
            event_name: record.event_name,
            flags: record.flags,
            dropped_attributes_count: record.dropped_attributes_count,
        };
        self.columns.push(&row, pairs);
        Ok(mistakes)
    }
}
