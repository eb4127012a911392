//! One trace by its id: all its spans, and the tree they make.

use model::wire::traces::{Trace, TraceSpan};
use model::{TimeRange, Timestamp, TraceId};
use store::{Snapshot, Table};

use crate::limits::TRACE_SPANS_MAX;
use crate::rows::SpanReader;
use crate::rows::reader::readers;
use crate::search::budget::{Budget, Partial};
use crate::search::execute::{Rows, Search, SearchError};
use crate::search::fields;
use crate::search::plan::{Field, Plan, Test};
use crate::traces::assemble::{Node, assemble};

/// The plan of the rows of a table that belong to one of these traces.
pub fn of_traces(table: Table, ids: Vec<String>) -> Plan {
    let column = fields::column(table, "trace_id").expect("the table is one of those with trace ids");
    Plan::Is(Field::Column(column), Test::OneOf(ids))
}

/// No span of the trace was found.
#[derive(Clone, Debug)]
pub struct Absent {
    /// Set if that need not mean that there is none.
    pub partial: Option<Partial>,
}

/// The trace with this id.
pub fn find(
    id: TraceId,
    range: TimeRange,
    snapshot: &Snapshot,
    budget: &mut Budget,
) -> Result<Result<Trace, Absent>, SearchError> {
    let failed = |source| SearchError::Store { table: Table::Spans, source };
    let search = Search::all(Table::Spans, of_traces(Table::Spans, vec![id.to_string()]), range, TRACE_SPANS_MAX);
    let found = search.run(snapshot, budget)?;
    let Rows { batches, places: rows } = found.read(&found.hits).map_err(failed)?;
    let readers = readers(&batches, SpanReader::new).map_err(failed)?;
    let nodes: Vec<Node> = rows.iter().map(|(batch, row)| readers[*batch].node(*row)).collect();
    let (Some(start), Some(end)) = (nodes.iter().map(|node| node.start).min(), nodes.iter().map(last_moment).max())
    else {
        return Ok(Err(Absent { partial: found.partial }));
    };
    let mut trace = Trace {
        trace_id: id.to_string(),
        start: Timestamp::from_nanos(start).to_string(),
        end: Timestamp::from_nanos(end).to_string(),
        duration_ns: distance(start, end),
        ..Trace::default()
    };
    // The hits are in the order of their starts.
    for (batch, row) in &rows {
        if let Some(service) = readers[*batch].row(*row).service.filter(|service| !trace.services.contains(service)) {
            trace.services.push(service);
        }
    }
    let mut missing = 0;
    for place in assemble(&nodes) {
        let (batch, row) = rows[place.node];
        let span = readers[batch].row(row);
        trace.errors += usize::from(span.status == "error");
        missing += usize::from(place.missing_parent);
        let offset_ns = distance(start, nodes[place.node].start);
        trace.spans.push(TraceSpan { depth: place.depth, missing_parent: place.missing_parent, offset_ns, span });
    }
    trace.reason = match found.partial {
        Some(partial) => Some(partial.reason),
        None if found.more => Some(format!("the trace has more than {TRACE_SPANS_MAX} spans")),
        None if missing > 0 => Some(format!("spans whose parent is not there: {missing}")),
        None => None,
    };
    trace.partial = trace.reason.is_some();
    Ok(Ok(trace))
}

// A span whose end lies before its start ends where it starts.
fn last_moment(node: &Node) -> i64 {
    node.end.max(node.start)
}

fn distance(start: i64, end: i64) -> u64 {
    u64::try_from(i128::from(end) - i128::from(start)).unwrap_or(0)
}
