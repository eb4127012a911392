//! Deltas become totals when a committed record is applied, here and in a replay in the same way: what was refused or is sent again
//! never counts. The totals at the end of what is in parts are in the checkpoint of the state; see ADR 029.
//!
//! A series' points count in the order in which they were committed, those of one batch in the order of their times. A point at the time of the last, or before it, does not
//! count: it is there twice, or late. A gap between a point's start and the last point's time, or an overlap of the two, changes nothing.
//! A point that cannot be added, as with other bounds, begins anew.
//!
//! Overflow series (ADR 032) have many senders, whose points carry the time of their receipt and may be committed in another order. Each of
//! them counts: one at the time of the last, or before it, counts at the time of the last, which its total says.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array as _, AsArray as _, BinaryBuilder, ListArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt32Type, UInt64Type,
};
use model::Signal;
use model::names::OVERFLOW_SCOPE;

use crate::delta::{Explicit, Exponential, Total, TotalValue};
use crate::limits;
use crate::schema::hash::ByItself;
use crate::schema::{Batch, column, metric_type};
use crate::state::StateTable;

/// OTLP's number of this temporality.
const DELTA: i32 = 1;
/// OTLP's flag `NO_RECORDED_VALUE`.
const NO_RECORDED_VALUE: u32 = 1;

/// The totals of all series with deltas.
#[derive(Debug, Default)]
pub(crate) struct Accumulators {
    by_series: HashMap<u64, Accumulator, ByItself>,
}

#[derive(Debug)]
struct Accumulator {
    total: Total,
    // When it last counted, on the clock's monotonic time.
    touched: Duration,
}

// Whose point it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Senders {
    // Its start, if it has one: points of one sender follow each other.
    One(Option<i64>),
    // Of an overflow series.
    Many,
}

/// What became of points with deltas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    /// They were added.
    pub(crate) added: u64,
    /// Added, though nothing is known of the time between the last point and their start.
    pub(crate) gaps: u64,
    /// Added, though their start lies before the last point.
    pub(crate) overlaps: u64,
    /// They could not be added and began anew.
    pub(crate) restarts: u64,
    /// At the time of the last point: left out.
    pub(crate) duplicates: u64,
    /// Before the last point: left out.
    pub(crate) late: u64,
    /// Of new series, when there were too many: left out.
    pub(crate) too_many: u64,
}

impl Accumulators {
    /// Those of a checkpoint.
    pub(crate) fn of_table(table: &StateTable, now: Duration) -> Self {
        let read = |(key, value): (&Vec<u8>, &Arc<[u8]>)| {
            let id = u64::from_be_bytes(key.as_slice().try_into().ok()?);
            Some((id, Accumulator { total: Total::decode(value)?, touched: now }))
        };
        Self { by_series: table.iter().filter_map(read).collect() }
    }

    /// Counts a committed batch, and gives what stands beside its points; nothing if none is a delta.
    pub(crate) fn apply(&mut self, batch: &Batch, now: Duration, outcomes: &mut Outcomes) -> Option<RecordBatch> {
        let deltas = Deltas::of(batch)?;
        let mut totals: Vec<Option<Vec<u8>>> = vec![None; batch.len()];
        for row in deltas.in_order() {
            let (Some(id), Some(point)) = (deltas.series_id(row), deltas.point(row)) else { continue };
            let senders = if deltas.is_overflow(row) { Senders::Many } else { Senders::One(deltas.start(row)) };
            totals[row] = self.count(id, point, senders, now, outcomes).map(Total::encode);
        }
        let mut column = BinaryBuilder::new();
        totals.iter().for_each(|total| column.append_option(total.as_ref()));
        RecordBatch::try_from_iter_with_nullable([(column::TOTAL, Arc::new(column.finish()) as _, true)]).ok()
    }

    fn count(
        &mut self,
        id: u64,
        mut point: Total,
        senders: Senders,
        now: Duration,
        outcomes: &mut Outcomes,
    ) -> Option<&Total> {
        let full = self.by_series.len() >= limits::DELTA_SERIES_MAX;
        let known = match self.by_series.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if full => {
                outcomes.too_many += 1;
                return None;
            }
            Entry::Vacant(entry) => {
                outcomes.added += 1;
                return Some(&entry.insert(Accumulator { total: point, touched: now }).total);
            }
        };
        let last = known.total.last;
        if senders == Senders::Many {
            known.touched = now;
            if last.saturating_sub(point.last) > limits::OVERFLOW_BACK_NS {
                // The clock was wrong, now or then. What follows must not wait for the time that it said.
                known.total = point;
                outcomes.restarts += 1;
            } else {
                point.last = point.last.max(last);
                let added = known.total.add(point);
                *if added { &mut outcomes.added } else { &mut outcomes.restarts } += 1;
            }
            return Some(&known.total);
        }
        if point.last <= last {
            if point.last == last {
                outcomes.duplicates += 1
            } else {
                outcomes.late += 1
            }
            return None;
        }
        known.touched = now;
        match (known.total.add(point), senders) {
            (false, _) => outcomes.restarts += 1,
            (true, Senders::One(Some(start))) if start > last => outcomes.gaps += 1,
            (true, Senders::One(Some(start))) if start < last => outcomes.overlaps += 1,
            (true, _) => outcomes.added += 1,
        }
        Some(&known.total)
    }

    /// Forgets series that have not counted for long, and gives their keys in a table.
    pub(crate) fn forget(&mut self, now: Duration) -> Vec<Vec<u8>> {
        let old = |_: &u64, known: &mut Accumulator| now.saturating_sub(known.touched) > limits::DELTA_IDLE;
        self.by_series.extract_if(old).map(|(id, _)| key(id)).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_series.len()
    }
}

/// The key of a series in the table of a checkpoint.
fn key(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

/// Brings a checkpoint's table to where it is behind these batches and their totals, oldest first.
pub(crate) fn advance<'b>(table: &mut StateTable, batches: impl Iterator<Item = (&'b Batch, &'b RecordBatch)>) {
    for (batch, totals) in batches {
        let (Some(deltas), Some(totals)) = (Deltas::of(batch), totals.column(0).as_binary_opt::<i32>()) else {
            continue;
        };
        for row in deltas.in_order() {
            if let (Some(id), true) = (deltas.series_id(row), totals.is_valid(row)) {
                table.insert(key(id), totals.value(row).into());
            }
        }
    }
}

// The points of a batch, as far as they are deltas.
struct Deltas<'b> {
    rows: &'b RecordBatch,
    series: &'b RecordBatch,
    // By row of the table of series.
    is_delta: Vec<bool>,
    // The same; empty if none is.
    is_overflow: Vec<bool>,
}

impl<'b> Deltas<'b> {
    fn of(batch: &'b Batch) -> Option<Self> {
        if batch.signal != Signal::Points {
            return None;
        }
        let temporality = primitive::<Int32Type>(&batch.shared, column::TEMPORALITY)?;
        let kinds = primitive::<UInt8Type>(&batch.shared, column::TYPE)?;
        let counts = [metric_type::SUM, metric_type::HISTOGRAM, metric_type::EXPONENTIAL_HISTOGRAM];
        let pairs = temporality.values().iter().zip(kinds.values());
        let is_delta: Vec<bool> = pairs.map(|(of, kind)| *of == DELTA && counts.contains(kind)).collect();
        let is_overflow = || overflow_series(batch).unwrap_or_default();
        let found = is_delta.contains(&true);
        found.then(|| Self { rows: &batch.rows, series: &batch.shared, is_delta, is_overflow: is_overflow() })
    }

    fn is_overflow(&self, row: usize) -> bool {
        self.series_row(row).is_some_and(|series| self.is_overflow.get(series) == Some(&true))
    }

    // Rows that are deltas with a value, in the order in which they count.
    fn in_order(&self) -> Vec<usize> {
        let flags = primitive::<UInt32Type>(self.rows, column::FLAGS);
        let has_value = |row: &usize| flags.is_none_or(|flags| flags.value(*row) & NO_RECORDED_VALUE == 0);
        let is_delta = |row: &usize| self.series_row(*row).is_some_and(|series| self.is_delta[series]);
        let mut rows: Vec<usize> = (0..self.rows.num_rows()).filter(is_delta).filter(has_value).collect();
        rows.sort_by_key(|row| self.time(*row));
        rows
    }

    fn series_row(&self, row: usize) -> Option<usize> {
        let series = primitive::<UInt32Type>(self.rows, column::SHARED)?.value(row) as usize;
        (series < self.is_delta.len()).then_some(series)
    }

    fn series_id(&self, row: usize) -> Option<u64> {
        Some(primitive::<UInt64Type>(self.series, column::SERIES_ID)?.value(self.series_row(row)?))
    }

    fn time(&self, row: usize) -> Option<i64> {
        number::<TimestampNanosecondType>(self.rows, column::TIMESTAMP, row)
    }

    fn start(&self, row: usize) -> Option<i64> {
        number::<TimestampNanosecondType>(self.rows, column::START_TIMESTAMP, row)
    }

    fn point(&self, row: usize) -> Option<Total> {
        let last = self.time(row)?;
        let start = self.start(row).filter(|start| *start <= last).unwrap_or(last);
        Some(Total { start, last, value: self.value(row)? })
    }

    fn value(&self, row: usize) -> Option<TotalValue> {
        let kind = primitive::<UInt8Type>(self.series, column::TYPE)?.value(self.series_row(row)?);
        let double = |name: &str| number::<Float64Type>(self.rows, name, row);
        if kind == metric_type::SUM {
            let int = number::<Int64Type>(self.rows, column::VALUE_INT, row).map(TotalValue::Int);
            return int.or_else(|| double(column::VALUE_DOUBLE).map(TotalValue::Double));
        }
        let (count, sum) = (number::<UInt64Type>(self.rows, column::COUNT, row)?, double(column::SUM));
        if kind == metric_type::HISTOGRAM {
            let bounds = list::<Float64Type>(self.rows, column::EXPLICIT_BOUNDS, row);
            let counts = list::<UInt64Type>(self.rows, column::BUCKET_COUNTS, row);
            return Some(TotalValue::Histogram(Explicit { count, sum, bounds, counts }));
        }
        let side = |offset: &str, counts: &str| {
            let first = number::<Int32Type>(self.rows, offset, row).unwrap_or_default();
            let counts = list::<UInt64Type>(self.rows, counts, row);
            let indexed = (first..=i32::MAX).zip(counts);
            indexed.filter(|(_, count)| *count > 0).collect()
        };
        Some(TotalValue::Exponential(Exponential {
            count,
            sum,
            scale: number::<Int32Type>(self.rows, column::SCALE, row).unwrap_or_default(),
            zero_count: number::<UInt64Type>(self.rows, column::ZERO_COUNT, row).unwrap_or_default(),
            zero_threshold: double(column::ZERO_THRESHOLD).unwrap_or_default(),
            positive: side(column::POSITIVE_OFFSET, column::POSITIVE_COUNTS),
            negative: side(column::NEGATIVE_OFFSET, column::NEGATIVE_COUNTS),
        }))
    }
}

// Which series are overflow series.
fn overflow_series(batch: &Batch) -> Option<Vec<bool>> {
    let envelopes = batch.envelopes.as_ref().unwrap_or(&batch.shared);
    let scopes = envelopes.column_by_name(column::SCOPE_NAME)?.as_string_opt::<i32>()?;
    if !scopes.iter().any(|scope| scope == Some(OVERFLOW_SCOPE)) {
        return None;
    }
    let is_overflow = |row: usize| row < scopes.len() && scopes.is_valid(row) && scopes.value(row) == OVERFLOW_SCOPE;
    if batch.envelopes.is_none() {
        return Some((0..scopes.len()).map(is_overflow).collect());
    }
    let of_series = primitive::<UInt32Type>(&batch.shared, column::ENVELOPE)?;
    Some(of_series.values().iter().map(|envelope| is_overflow(*envelope as usize)).collect())
}

fn primitive<'b, T: ArrowPrimitiveType>(
    rows: &'b RecordBatch,
    name: &str,
) -> Option<&'b arrow::array::PrimitiveArray<T>> {
    rows.column_by_name(name)?.as_primitive_opt::<T>()
}

fn number<T: ArrowPrimitiveType>(rows: &RecordBatch, name: &str, row: usize) -> Option<T::Native> {
    let column = primitive::<T>(rows, name)?;
    column.is_valid(row).then(|| column.value(row))
}

fn list<T: ArrowPrimitiveType>(rows: &RecordBatch, name: &str, row: usize) -> Vec<T::Native> {
    let lists: Option<&ListArray> = rows.column_by_name(name).and_then(|column| column.as_list_opt());
    let entries = lists.filter(|lists| lists.is_valid(row)).map(|lists| lists.value(row));
    entries.and_then(|entries| Some(entries.as_primitive_opt::<T>()?.values().to_vec())).unwrap_or_default()
}
