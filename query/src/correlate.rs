//! Everything about one id: the rows that carry it, and all rows of the traces that those name.

mod alerts;

use std::collections::BTreeSet;

use model::id::hex;
use model::wire::alerts::Alert;
use model::wire::correlate::Correlation;
use model::{TimeRange, Timestamp, TraceId};
use store::{Snapshot, StoreError, Table};

use crate::limits::{CORRELATED_ALERT_TRACES_MAX, CORRELATED_ROWS_MAX, CORRELATED_TRACES_MAX};
use crate::rows::exemplars::ExemplarReader;
use crate::rows::reader::readers;
use crate::rows::{LogReader, SpanReader};
use crate::search::budget::{Budget, Partial};
use crate::search::execute::{Found, Hit, Rows, Search, SearchError};
use crate::search::fields;
use crate::search::plan::{Field, Plan, Test};
use crate::traces::find::of_traces;

/// Everything about `id` in `range`. `held` are the alerts of the rules now.
pub fn correlate(
    id: &str,
    range: TimeRange,
    held: Vec<Alert>,
    snapshot: &Snapshot,
    budget: &mut Budget,
) -> Result<Correlation, SearchError> {
    let mut work = Work { id, trace: id.parse::<TraceId>().ok(), range, snapshot, budget, reason: None };
    let (traces, carries_trace) = work.traces()?;
    let mut answer = Correlation {
        id: id.to_owned(),
        kind: if carries_trace { "trace" } else { "correlation" }.to_owned(),
        ..Correlation::default()
    };
    let mut times = Times::default();
    work.spans(&traces, &mut answer, &mut times)?;
    work.logs(&traces, &mut answer, &mut times)?;
    work.exemplars(&traces, &mut answer, &mut times)?;
    work.alerts(&traces, held, &mut answer)?;
    answer.start = times.first.map(|nanos| Timestamp::from_nanos(nanos).to_string());
    answer.end = times.last.map(|nanos| Timestamp::from_nanos(nanos).to_string());
    answer.services = times.services();
    answer.partial = work.reason.is_some();
    answer.reason = work.reason;
    Ok(answer)
}

struct Work<'a> {
    id: &'a str,
    trace: Option<TraceId>,
    range: TimeRange,
    snapshot: &'a Snapshot,
    budget: &'a mut Budget,
    // Why something may be missing; the first reason is told.
    reason: Option<String>,
}

impl Work<'_> {
    // The traces that rows with the id name, and whether the id itself is one of them.
    fn traces(&mut self) -> Result<(Vec<String>, bool), SearchError> {
        let mut traces = BTreeSet::new();
        for table in [Table::Spans, Table::Logs, Table::Exemplars] {
            let found = self.search(table, without_alerts(table, self.carries(table)))?;
            let Rows { batches, places: rows } = found.read(&found.hits).map_err(failed(table))?;
            let mut name = |trace: Option<&[u8]>| traces.extend(trace.map(hex));
            match table {
                Table::Spans => {
                    let readers = readers(&batches, SpanReader::new).map_err(failed(table))?;
                    rows.iter().for_each(|(batch, row)| name(readers[*batch].trace_id(*row)));
                }
                Table::Logs => {
                    let readers = readers(&batches, LogReader::new).map_err(failed(table))?;
                    rows.iter().for_each(|(batch, row)| name(readers[*batch].trace_id(*row)));
                }
                Table::Exemplars | Table::Points => {
                    let readers = readers(&batches, ExemplarReader::new).map_err(failed(table))?;
                    rows.iter().for_each(|(batch, row)| name(readers[*batch].trace_id(*row)));
                }
            }
        }
        let itself = self.trace.map(|trace| trace.to_string());
        let carries_trace = itself.as_ref().is_some_and(|trace| traces.contains(trace));
        let mut traces: Vec<String> = traces.into_iter().collect();
        if traces.len() > CORRELATED_TRACES_MAX {
            // The trace that was asked for is never among those left out.
            traces.sort_by_key(|trace| Some(trace) != itself.as_ref());
            traces.truncate(CORRELATED_TRACES_MAX);
            self.tell(format!("the id is carried by more than {CORRELATED_TRACES_MAX} traces"));
        }
        Ok((traces, carries_trace))
    }

    fn spans(&mut self, traces: &[String], answer: &mut Correlation, times: &mut Times) -> Result<(), SearchError> {
        let (found, Rows { batches, places: rows }) = self.rows(Table::Spans, traces)?;
        let readers = readers(&batches, SpanReader::new).map_err(failed(Table::Spans))?;
        for (hit, (batch, row)) in found.hits.iter().zip(rows) {
            let span = readers[batch].row(row);
            times.add(hit, readers[batch].node(row).end, span.service.as_deref());
            answer.spans.push(span);
        }
        Ok(())
    }

    fn logs(&mut self, traces: &[String], answer: &mut Correlation, times: &mut Times) -> Result<(), SearchError> {
        let (found, Rows { batches, places: rows }) = self.rows(Table::Logs, traces)?;
        let readers = readers(&batches, LogReader::new).map_err(failed(Table::Logs))?;
        for (hit, (batch, row)) in found.hits.iter().zip(rows) {
            let log = readers[batch].row(row);
            times.add(hit, hit.timestamp, log.service.as_deref());
            answer.logs.push(log);
        }
        Ok(())
    }

    fn exemplars(&mut self, traces: &[String], answer: &mut Correlation, times: &mut Times) -> Result<(), SearchError> {
        let (found, Rows { batches, places: rows }) = self.rows(Table::Exemplars, traces)?;
        let readers = readers(&batches, ExemplarReader::new).map_err(failed(Table::Exemplars))?;
        for (hit, (batch, row)) in found.hits.iter().zip(rows) {
            let exemplar = readers[batch].alone(row);
            times.add(hit, hit.timestamp, exemplar.service.as_deref());
            answer.exemplars.push(exemplar);
        }
        Ok(())
    }

    fn alerts(&mut self, traces: &[String], held: Vec<Alert>, answer: &mut Correlation) -> Result<(), SearchError> {
        let itself = self.trace.map(|trace| trace.to_string());
        let about = alerts::about(traces.iter().chain(&itself).take(CORRELATED_ALERT_TRACES_MAX));
        let carried = Plan::or([self.carries(Table::Logs), about]);
        let found = self.search(Table::Logs, Plan::and([alerts::events(), carried]))?;
        let Rows { batches, places: rows } = found.read(&found.hits).map_err(failed(Table::Logs))?;
        let readers = readers(&batches, LogReader::new).map_err(failed(Table::Logs))?;
        let transitions = rows.into_iter().map(|(batch, row)| readers[batch].row(row)).collect();
        let held = held.into_iter().filter(|alert| alerts::is_about(alert, self.id, traces)).collect();
        answer.alerts = alerts::merged(transitions, held);
        Ok(())
    }

    // The rows that carry the id or belong to one of the traces, in time order.
    fn rows(&mut self, table: Table, traces: &[String]) -> Result<(Found, Rows), SearchError> {
        let carried = Plan::or([self.carries(table), of_traces(table, traces.to_vec())]);
        let found = self.search(table, without_alerts(table, carried))?;
        let rows = found.read(&found.hits).map_err(failed(table))?;
        Ok((found, rows))
    }

    fn search(&mut self, table: Table, plan: Plan) -> Result<Found, SearchError> {
        let found = Search::all(table, plan, self.range, CORRELATED_ROWS_MAX).run(self.snapshot, self.budget)?;
        if let Some(Partial { reason, .. }) = &found.partial {
            self.tell(reason.clone());
        } else if found.more {
            self.tell(format!("there are more than {CORRELATED_ROWS_MAX} {}", table.as_str()));
        }
        Ok(found)
    }

    // The rows that carry the id itself.
    fn carries(&self, table: Table) -> Plan {
        let column = fields::column(table, "correlation_id").expect("the table is one of those with correlation ids");
        let correlation = Plan::Is(Field::Column(column), Test::Text(self.id.to_owned()));
        let trace = self.trace.map(|trace| of_traces(table, vec![trace.to_string()]));
        Plan::or([correlation].into_iter().chain(trace))
    }

    fn tell(&mut self, reason: String) {
        self.reason.get_or_insert(reason);
    }
}

// Alerts are no part of what they are about.
fn without_alerts(table: Table, plan: Plan) -> Plan {
    if table == Table::Logs { Plan::and([plan, Plan::negate(alerts::events())]) } else { plan }
}

fn failed(table: Table) -> impl Fn(StoreError) -> SearchError {
    move |source| SearchError::Store { table, source }
}

// First and last moment, and services by their first row.
#[derive(Default)]
struct Times {
    first: Option<i64>,
    last: Option<i64>,
    services: Vec<(i64, String)>,
}

impl Times {
    fn add(&mut self, hit: &Hit, end: i64, service: Option<&str>) {
        self.first = Some(self.first.map_or(hit.timestamp, |first| first.min(hit.timestamp)));
        let last = hit.timestamp.max(end);
        self.last = Some(self.last.map_or(last, |known| known.max(last)));
        let Some(service) = service else { return };
        match self.services.iter_mut().find(|(_, known)| known == service) {
            Some((first, _)) => *first = (*first).min(hit.timestamp),
            None => self.services.push((hit.timestamp, service.to_owned())),
        }
    }

    fn services(mut self) -> Vec<String> {
        self.services.sort();
        self.services.into_iter().map(|(_, service)| service).collect()
    }
}
