//! In which order a merge takes the rows of its parts. Most tables are sorted by columns, and their parts are merged as they are. Spans
//! are not: a trace is one run of rows, at the place of its first span, and its spans may lie in several parts. Their plan is made first,
//! from two columns.

use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::TimestampNanosecondType;

use crate::part::Part;
use crate::schema::column;
use crate::{Projection, StoreError};

/// Rows of a part that follow each other, sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Place among the parts of the merge.
    pub(super) part: usize,
    /// Its first row.
    pub(super) start: u64,
    /// The row behind its last.
    pub(super) end: u64,
}

/// All rows of each part.
pub(super) fn whole_parts(parts: &[Arc<Part>]) -> Vec<Run> {
    parts.iter().enumerate().map(|(part, of)| Run { part, start: 0, end: of.rows() }).collect()
}

/// The runs of one trace in the parts of a merge, by trace, in the order in which traces are written.
#[derive(Debug, Default)]
pub(super) struct Traces {
    runs: Vec<TraceRun>,
}

// 40 bytes; there is one for each trace in each part.
#[derive(Clone, Copy, Debug)]
struct TraceRun {
    first: i64,
    trace: [u8; 16],
    start: u32,
    rows: u32,
    part: u8,
}

impl Traces {
    /// Reads which traces there are. `goes_on` is asked between granules.
    pub(super) fn read(
        parts: &[Arc<Part>],
        goes_on: &dyn Fn() -> Result<(), StoreError>,
    ) -> Result<Traces, StoreError> {
        let mut runs = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            let mut current: Option<TraceRun> = None;
            let mut row = 0;
            for granule in 0..part.meta().granules.len() {
                goes_on()?;
                let wanted = Projection::Columns(vec![column::TRACE_ID.to_owned(), column::TIMESTAMP.to_owned()]);
                let rows = part.read_granule(granule, &wanted)?;
                let traces = rows[column::TRACE_ID].as_fixed_size_binary();
                let times = rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
                for (place_in_granule, time) in times.iter().enumerate() {
                    let trace: [u8; 16] = traces.value(place_in_granule).try_into().unwrap_or_default();
                    match &mut current {
                        Some(run) if run.trace == trace => {
                            run.rows += 1;
                            run.first = run.first.min(*time);
                        }
                        _ => {
                            let run = TraceRun { first: *time, trace, start: row, rows: 1, part: place as u8 };
                            runs.extend(current.replace(run));
                        }
                    }
                    row += 1;
                }
            }
            runs.extend(current);
        }
        Ok(Traces::sorted(runs))
    }

    // By the first start of the trace in all parts, then by trace.
    fn sorted(mut runs: Vec<TraceRun>) -> Traces {
        runs.sort_unstable_by_key(|run| run.trace);
        for same in runs.chunk_by_mut(|a, b| a.trace == b.trace) {
            let first = same.iter().map(|run| run.first).min().unwrap_or_default();
            same.iter_mut().for_each(|run| run.first = first);
        }
        runs.sort_unstable_by_key(|run| (run.first, run.trace, run.part, run.start));
        Traces { runs }
    }

    /// The runs of each trace.
    pub(super) fn groups(&self) -> impl Iterator<Item = Vec<Run>> {
        let groups = self.runs.chunk_by(|a, b| a.trace == b.trace);
        groups.map(|group| {
            let run = |run: &TraceRun| {
                let start = u64::from(run.start);
                Run { part: usize::from(run.part), start, end: start + u64::from(run.rows) }
            };
            // Runs of one part that follow each other are sorted by the same columns, and stay one where they are one.
            group.iter().map(run).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_in_two_parts_is_written_where_its_first_span_is() {
        let run =
            |trace: u8, first: i64, part: u8, start: u32| TraceRun { first, trace: [trace; 16], start, rows: 2, part };
        let traces = Traces::sorted(vec![run(1, 10, 0, 0), run(2, 30, 0, 2), run(3, 20, 1, 0), run(2, 5, 1, 2)]);
        let order: Vec<Vec<(usize, u64)>> =
            traces.groups().map(|group| group.iter().map(|run| (run.part, run.start)).collect()).collect();
        assert_eq!(order, [vec![(0, 2), (1, 2)], vec![(0, 0)], vec![(1, 0)]]);
    }
}
