//! The points of some series. Parts have their rows sorted by series and time: in a row group each series is one run of rows, and only the runs
//! that are wanted are decoded.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, TimestampNanosecondType, UInt64Type};
use model::{TimeRange, Timestamp};

use super::{Granule, Source};
use crate::part::{Footer, Part, RowGroup};
use crate::schema::column;
use crate::snapshot::columns_error;
use crate::{Projection, StoreError};

/// Rows of some series.
#[derive(Clone, Debug)]
pub struct SeriesRows {
    /// The rows as parts keep them: without the columns of their series.
    pub rows: RecordBatch,
    /// Whose they are. They cover all rows.
    pub runs: Vec<Run>,
}

/// Rows of one series that follow each other. There may be more of that series elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The series.
    pub series: u64,
    /// Their places.
    pub rows: Range<usize>,
}

/// What is wanted.
pub(crate) struct Wanted<'a> {
    /// The ids of the series, ascending.
    pub(crate) series: &'a [u64],
    /// Of which time.
    pub(crate) range: TimeRange,
    /// Which columns.
    pub(crate) projection: &'a Projection,
}

impl Wanted<'_> {
    /// Hands over what there is, so much at a time as is read at once. What was read and held nothing is handed over too.
    pub(crate) fn read<E: From<StoreError>>(
        &self,
        granules: Vec<Granule>,
        mut take: impl FnMut(SeriesRows) -> Result<(), E>,
    ) -> Result<(), E> {
        let may_have = |granule: &Granule| granule.may_have_series(self.series);
        let mut granules = granules.into_iter().filter(may_have).peekable();
        while let Some(granule) = granules.next() {
            let Some((part, first)) = of_part(&granule) else {
                take(self.picked(&granule)?)?;
                continue;
            };
            let mut numbers = vec![first];
            let is_next = |next: &Granule| of_part(next).is_some_and(|(other, _)| Arc::ptr_eq(other, part));
            while let Some(next) = granules.next_if(is_next) {
                numbers.extend(of_part(&next).map(|(_, number)| number));
            }
            let footer = part.rows_footer()?;
            let mut numbers = &numbers[..];
            while let Some(first) = numbers.first() {
                let group = part.row_group(&footer, *first)?;
                let (now, rest) = numbers.split_at(numbers.partition_point(|number| group.granules.contains(number)));
                take(self.of_group(part, &footer, &group, now)?)?;
                numbers = rest;
            }
        }
        Ok(())
    }

    // Of granules of one row group, ascending.
    fn of_group(
        &self,
        part: &Part,
        footer: &Footer,
        group: &RowGroup,
        granules: &[usize],
    ) -> Result<SeriesRows, StoreError> {
        let mut runs = self.runs(part, footer, group, granules)?;
        let metas = granules.iter().filter_map(|granule| part.meta().granules.get(*granule));
        let is_inside = |nanos: i64| self.range.contains(Timestamp::from_nanos(nanos));
        if !metas.clone().all(|meta| is_inside(meta.time_min) && is_inside(meta.time_max)) {
            self.narrow(&mut runs, part, footer, group)?;
        }
        if runs.is_empty() {
            return Ok(SeriesRows { rows: RecordBatch::new_empty(Arc::new(Schema::empty())), runs });
        }
        let rows = part.read_group(footer, group, ranges(&runs), self.projection)?;
        let mut read = 0;
        for run in &mut runs {
            let len = run.rows.len();
            run.rows = read..read + len;
            read += len;
        }
        Ok(SeriesRows { rows, runs })
    }

    // Where in the group the rows of the series are.
    fn runs(&self, part: &Part, footer: &Footer, group: &RowGroup, granules: &[usize]) -> Result<Vec<Run>, StoreError> {
        let mut pieces: Vec<Range<usize>> = Vec::new();
        for piece in granules.iter().map(|granule| group.rows_of(*granule, part)) {
            match pieces.last_mut() {
                Some(last) if last.end == piece.start => last.end = piece.end,
                _ => pieces.push(piece),
            }
        }
        let only_ids = Projection::Columns(vec![column::SERIES_ID.to_owned()]);
        let rows = part.read_group(footer, group, pieces.iter().cloned(), &only_ids)?;
        let mut ids: &[u64] = rows[column::SERIES_ID].as_primitive::<UInt64Type>().values();
        let mut runs = Vec::new();
        for piece in pieces {
            let (of_piece, rest) = ids.split_at(piece.len());
            add_runs(&mut runs, of_piece, self.series, piece.start);
            ids = rest;
        }
        Ok(runs)
    }

    // To the rows in the range: rows of a run are sorted by time.
    fn narrow(&self, runs: &mut Vec<Run>, part: &Part, footer: &Footer, group: &RowGroup) -> Result<(), StoreError> {
        if runs.is_empty() {
            return Ok(());
        }
        let only_times = Projection::Columns(vec![column::TIMESTAMP.to_owned()]);
        let rows = part.read_group(footer, group, ranges(runs), &only_times)?;
        let mut times: &[i64] = rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
        let (start, end) = (self.range.start.as_nanos(), self.range.end.as_nanos());
        for run in &mut *runs {
            let (of_run, rest) = times.split_at(run.rows.len());
            let from = of_run.partition_point(|time| *time < start);
            let to = of_run.partition_point(|time| *time < end).max(from);
            run.rows = run.rows.start + from..run.rows.start + to;
            times = rest;
        }
        runs.retain(|run| !run.rows.is_empty());
        Ok(())
    }

    // Of rows in any order.
    fn picked(&self, granule: &Granule) -> Result<SeriesRows, StoreError> {
        let rows = granule.read_flat(&self.projection.with(column::SERIES_ID))?;
        let ids = rows[column::SERIES_ID].as_primitive::<UInt64Type>().values();
        let times = rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
        let mut last = None;
        let mut is_wanted = |id: u64| match last {
            Some((known, wanted)) if known == id => wanted,
            _ => last.insert((id, self.series.binary_search(&id).is_ok())).1,
        };
        let mut runs: Vec<Run> = Vec::new();
        let mut picked = 0;
        let mut pick = |(id, time): (&u64, &i64)| {
            let picks = self.range.contains(Timestamp::from_nanos(*time)) && is_wanted(*id);
            if picks {
                match runs.last_mut() {
                    Some(run) if run.series == *id => run.rows.end += 1,
                    _ => runs.push(Run { series: *id, rows: picked..picked + 1 }),
                }
                picked += 1;
            }
            picks
        };
        // What is asked about a moment is little of a granule: the rest is not even copied.
        let mask: BooleanBuffer = ids.iter().zip(times.iter()).map(&mut pick).collect();
        let rows = filter_record_batch(&self.projection.apply(&rows)?, &BooleanArray::new(mask, None));
        Ok(SeriesRows { rows: rows.map_err(columns_error("pick the points of series"))?, runs })
    }
}

fn ranges(runs: &[Run]) -> impl Iterator<Item = Range<usize>> + Clone {
    runs.iter().map(|run| run.rows.clone())
}

// The part whose granule it is, and which of its granules, if all of its rows are shown.
fn of_part(granule: &Granule) -> Option<(&Arc<Part>, usize)> {
    match &granule.source {
        Source::Part(piece) if granule.expiring.is_none() => Some((&piece.part, piece.granule)),
        _ => None,
    }
}

// The runs of those series that are wanted, both ascending.
fn add_runs(runs: &mut Vec<Run>, ids: &[u64], wanted: &[u64], first_row: usize) {
    let Some((least, greatest)) = ids.first().zip(ids.last()) else { return };
    let wanted = &wanted[wanted.partition_point(|id| id < least)..];
    let mut row = 0;
    for series in wanted.iter().take_while(|id| *id <= greatest) {
        row += ids[row..].partition_point(|id| id < series);
        let len = ids[row..].partition_point(|id| id == series);
        if len > 0 {
            runs.push(Run { series: *series, rows: first_row + row..first_row + row + len });
        }
        row += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_what_is_wanted() {
        for (ids, wanted, expected) in [
            (&[2, 2, 5, 7, 7, 7][..], &[1, 2, 6, 7, 9][..], &[(2, 10..12), (7, 13..16)][..]),
            (&[2, 2, 5], &[5], &[(5, 12..13)]),
            (&[2, 5], &[1, 3, 9], &[]),
            (&[], &[1], &[]),
            (&[4], &[], &[]),
        ] {
            let mut runs = Vec::new();
            add_runs(&mut runs, ids, wanted, 10);
            let runs: Vec<(u64, Range<usize>)> = runs.into_iter().map(|run| (run.series, run.rows)).collect();
            assert_eq!(runs, expected, "{wanted:?} of {ids:?}");
        }
    }
}
