//! Records of a group, as alerts carry them.

use model::TimeRange;
use model::wire::alerts::AlertSample;
use store::schema::column;
use store::{Snapshot, Table};

use crate::rows::columns::{Ids, Texts, Times};
use crate::rows::reader::readers;
use crate::rows::{LogReader, SpanReader};
use crate::search::budget::Budget;
use crate::search::execute::{Order, Rows, Search, SearchError};
use crate::search::plan::{Field, Plan, Test};
use crate::search::scan::{failed, unreadable};

/// The rows whose field has this text; of the empty text, the rows without the field too.
pub fn has_value(field: &Field, value: &str) -> Plan {
    let is = |test| Plan::Is(field.clone(), test);
    let equal = is(Test::Text(value.to_owned()));
    if value.is_empty() { Plan::or([equal, Plan::negate(is(Test::Exists))]) } else { equal }
}

/// The newest rows of the plan.
pub fn newest(
    table: Table,
    plan: Plan,
    snapshot: &Snapshot,
    range: TimeRange,
    limit: usize,
    budget: &mut Budget,
) -> Result<Vec<AlertSample>, SearchError> {
    let search = Search { order: Order::Descending, ..Search::all(table, plan, range, limit) };
    let found = search.run(snapshot, budget)?;
    let Rows { batches, places } = found.read(&found.hits).map_err(failed(table))?;
    match table {
        Table::Logs => {
            let readers = readers(&batches, LogReader::new).map_err(failed(table))?;
            Ok(places.into_iter().map(|(batch, row)| of_log(&readers[batch], row)).collect())
        }
        Table::Spans => {
            let readers = readers(&batches, SpanReader::new).map_err(failed(table))?;
            Ok(places.into_iter().map(|(batch, row)| of_span(&readers[batch], row)).collect())
        }
        Table::Points | Table::Exemplars => places
            .into_iter()
            .map(|(batch, row)| {
                let batch = &batches[batch];
                Ok(AlertSample {
                    timestamp: Times::of(batch, column::TIMESTAMP)?.time(row).to_string(),
                    service: Texts::of(batch, column::SERVICE)?.get(row).map(String::from),
                    text: Texts::of(batch, column::METRIC)?.text(row),
                    trace_id: Ids::of(batch, column::TRACE_ID).hex(row),
                    span_id: Ids::of(batch, column::SPAN_ID).hex(row),
                    ..AlertSample::default()
                })
            })
            .collect::<Result<_, _>>()
            .map_err(unreadable(table, "read samples")),
    }
}

fn of_log(reader: &LogReader, row: usize) -> AlertSample {
    let log = reader.row(row);
    AlertSample {
        timestamp: log.timestamp,
        service: log.service,
        severity: log.severity,
        text: match log.body {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        },
        trace_id: log.trace_id,
        span_id: log.span_id,
        correlation_id: log.correlation_id,
    }
}

fn of_span(reader: &SpanReader, row: usize) -> AlertSample {
    let span = reader.row(row);
    AlertSample {
        timestamp: span.timestamp,
        service: span.service,
        severity: None,
        text: span.name,
        trace_id: Some(span.trace_id),
        span_id: Some(span.span_id),
        correlation_id: span.correlation_id,
    }
}
