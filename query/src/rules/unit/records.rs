//! The log records and spans of a test, in a store of their own on a disk in memory: rules count them with the server's own
//! code.

use std::path::Path;
use std::sync::Arc;

use model::stats::Stats;
use model::{Clock, ManualClock, SpanId, Timestamp, TraceId};
use store::disk::SimDisk;
use store::schema::{EnvelopeColumns, LogColumns, LogRow, ResourceRow, ScopeRow, SpanColumns, SpanRow, ValueRef};
use store::{Batch, Setup, Store};

use super::file::TestGroup;
use super::input::{InputLogs, InputSpans, Series, Value};
use super::limits;
use crate::Config;
use crate::admission::Cancel;
use crate::rules::condition::{View, chain};

/// All records of a test. They are there from the beginning: no count looks behind its evaluation.
pub struct Records {
    view: View,
    // What the snapshot looks at ends with it.
    _store: Store,
}

impl Records {
    /// Those of `test`. `clock` is for the bounds of queries.
    pub fn new(test: &TestGroup, clock: &Arc<dyn Clock>) -> Result<Self, String> {
        let series = test.input_logs.iter().map(|logs| &logs.series);
        let count: usize = series.chain(test.input_spans.iter().map(|spans| &spans.series)).map(|one| one.count).sum();
        if count > limits::RECORDS_MAX {
            return Err(format!("the test has more than {} records", limits::RECORDS_MAX));
        }
        let setup = Setup {
            directory: Path::new("/data").to_owned(),
            config: store::Config::default(),
            // Time stands still: nothing becomes old.
            clock: Arc::new(ManualClock::new(Timestamp::from_millis(test.start_ms))),
            disk: Arc::new(SimDisk::new(0)),
            stats: Stats::new(),
        };
        let failed = |error: store::StoreError| format!("cannot keep the records of the test: {}", chain(&error));
        let store = Store::open(setup).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| format!("cannot keep the records of the test: {error}"))?;
        for batch in batches(test) {
            runtime.block_on(store.writer().append(batch)).map_err(failed)?;
        }
        let config = Config::default();
        let view = View {
            snapshot: store.snapshot(),
            translator: Arc::new(config.translator()),
            config: Arc::new(config),
            clock: Arc::clone(clock),
            cancel: Cancel::default(),
        };
        Ok(Self { view, _store: store })
    }

    /// What conditions are evaluated over.
    pub fn view(&self) -> &View {
        &self.view
    }
}

fn batches(test: &TestGroup) -> impl Iterator<Item = Batch> {
    // Spans need ids; those that are given none get their number, counted over the test.
    let mut number = 0;
    let logs = test.input_logs.iter().flat_map(|logs| chunks(&logs.series).map(|chunk| log_batch(logs, chunk, test)));
    let spans = test.input_spans.iter().flat_map(|spans| chunks(&spans.series).map(move |chunk| (spans, chunk)));
    logs.chain(spans.map(move |(spans, chunk)| span_batch(spans, chunk, test, &mut number)))
}

// The positions of the records of one batch.
fn chunks(series: &Series) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
    let count = series.count;
    (0..count).step_by(limits::BATCH_RECORDS).map(move |start| start..count.min(start + limits::BATCH_RECORDS))
}

fn log_batch(logs: &InputLogs, positions: std::ops::Range<usize>, test: &TestGroup) -> Batch {
    let mut columns = LogColumns::default();
    let envelope = envelope(&mut columns.envelopes, &logs.series);
    let attributes = refs(&logs.series.attributes);
    for position in positions {
        let timestamp = time(&logs.series, position, test);
        let row = LogRow {
            envelope,
            timestamp,
            observed_timestamp: timestamp,
            derived_times: 0,
            trace_id: logs.series.trace_id,
            span_id: logs.series.span_id,
            correlation_id: logs.series.correlation_id.as_deref(),
            severity_number: logs.severity_number,
            severity_text: &logs.severity,
            body: (!logs.body.is_empty()).then_some(ValueRef::String(&logs.body)),
            event_name: &logs.event_name,
            flags: 0,
            dropped_attributes_count: 0,
        };
        columns.push(&row, &attributes);
    }
    columns.finish()
}

fn span_batch(spans: &InputSpans, positions: std::ops::Range<usize>, test: &TestGroup, number: &mut u64) -> Batch {
    let mut columns = SpanColumns::default();
    let envelope = envelope(&mut columns.envelopes, &spans.series);
    let attributes = refs(&spans.series.attributes);
    for position in positions {
        *number += 1;
        let (trace_id, span_id) = ids(&spans.series, *number);
        let timestamp = time(&spans.series, position, test);
        let end = timestamp.as_millis().saturating_add(spans.duration_ms);
        let row = SpanRow {
            envelope,
            timestamp,
            end_timestamp: Timestamp::from_millis(end),
            trace_id,
            span_id,
            parent_span_id: None,
            correlation_id: spans.series.correlation_id.as_deref(),
            name: &spans.name,
            kind: spans.kind,
            trace_state: "",
            status_code: spans.status,
            status_message: &spans.status_message,
            flags: 0,
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
        };
        columns.push(&row, &attributes, &[], &[]);
    }
    columns.finish()
}

fn ids(series: &Series, number: u64) -> (TraceId, SpanId) {
    let trace_id = series.trace_id.or_else(|| TraceId::from_slice(&u128::from(number).to_be_bytes()));
    let span_id = series.span_id.or_else(|| SpanId::from_slice(&number.to_be_bytes()));
    let number = "the number is not 0";
    (trace_id.expect(number), span_id.expect(number))
}

fn time(series: &Series, position: usize, test: &TestGroup) -> Timestamp {
    let since_start = series.every_ms.saturating_mul(position as i64).saturating_add(series.start_ms);
    Timestamp::from_millis(test.start_ms.saturating_add(since_start))
}

fn envelope(columns: &mut EnvelopeColumns, series: &Series) -> u32 {
    let mut attributes = refs(&series.resource);
    if !series.service.is_empty() {
        attributes.retain(|(name, _)| *name != "service.name");
        attributes.push(("service.name", ValueRef::String(&series.service)));
    }
    columns.push(&ResourceRow { attributes: &attributes, ..ResourceRow::default() }, &ScopeRow::default())
}

fn refs(attributes: &[(String, Value)]) -> Vec<(&str, ValueRef<'_>)> {
    let value = |value| match value {
        &Value::Int(int) => ValueRef::Int(int),
        &Value::Double(double) => ValueRef::Double(double),
        &Value::Bool(bool) => ValueRef::Bool(bool),
        Value::Text(text) => ValueRef::String(text.as_str()),
    };
    attributes.iter().map(|(name, given)| (name.as_str(), value(given))).collect()
}
