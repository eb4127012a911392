//! From a committed batch to flat rows: the shape that parts have on disk and that queries see.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, UInt32Type};
use arrow::error::ArrowError;
use model::Signal;

use super::{Batch, column};

/// The batch's items as parts keep them, with `ingest_seq` from `seq_base` on: logs and spans with their envelopes
/// expanded, points with `series_id` alone.
pub fn flat_rows(batch: &Batch, seq_base: u64) -> Result<RecordBatch, ArrowError> {
    rows_with(batch, seq_base, |name| batch.signal != Signal::Points || name == column::SERIES_ID)
}

/// The batch's items as queries see them: [`flat_rows`], and points with all columns of their series.
pub fn expanded_rows(batch: &Batch, seq_base: u64) -> Result<RecordBatch, ArrowError> {
    rows_with(batch, seq_base, |_| true)
}

/// The batch's items with their own columns alone, and with their numbers.
pub(super) fn own_rows(batch: &Batch, seq_base: u64) -> Result<RecordBatch, ArrowError> {
    let seqs = UInt64Array::from_iter_values((seq_base..).take(batch.len()));
    let mut columns = vec![named(column::INGEST_SEQ, Arc::new(seqs))];
    columns.extend(columns_except(&batch.rows, &[column::SHARED]));
    to_record_batch(columns)
}

fn rows_with(batch: &Batch, seq_base: u64, wanted: impl Fn(&str) -> bool) -> Result<RecordBatch, ArrowError> {
    let shared_row = index_column(&batch.rows, column::SHARED)?;
    let seqs = UInt64Array::from_iter_values((seq_base..).take(batch.len()));
    let mut columns = vec![named(column::INGEST_SEQ, Arc::new(seqs))];
    columns.extend(columns_except(&batch.rows, &[column::SHARED]));
    match &batch.envelopes {
        Some(_) if wanted(column::SERVICE) => columns.extend(taken(&flat_series(batch)?, &shared_row, wanted)?),
        _ => columns.extend(taken(&batch.shared, &shared_row, wanted)?),
    }
    to_record_batch(columns)
}

/// The batch's exemplars with the `ingest_seq` of their points, and of their series `series_id`, `metric` and `service`.
/// `None` if there are none.
pub fn flat_exemplars(batch: &Batch, seq_base: u64) -> Result<Option<RecordBatch>, ArrowError> {
    let Some(exemplars) = &batch.exemplars else {
        return Ok(None);
    };
    let shared_row = index_column(exemplars, column::SHARED)?;
    let point_row = index_column(exemplars, column::POINT_ROW)?;
    let seqs = UInt64Array::from_iter_values(point_row.values().iter().map(|row| seq_base + u64::from(*row)));
    let mut columns = vec![named(column::INGEST_SEQ, Arc::new(seqs))];
    columns.extend(columns_except(exemplars, &[column::SHARED, column::POINT_ROW]));
    let wanted = |name: &str| [column::SERIES_ID, column::METRIC, column::SERVICE].contains(&name);
    columns.extend(taken(&flat_series(batch)?, &shared_row, wanted)?);
    to_record_batch(columns).map(Some)
}

/// The series that the batch's points name, one row each, with their envelopes. Empty for logs and spans.
pub fn flat_series(batch: &Batch) -> Result<RecordBatch, ArrowError> {
    match batch.signal {
        Signal::Points => with_envelopes(batch, &batch.shared),
        Signal::Logs | Signal::Spans => Ok(RecordBatch::new_empty(Arc::new(Schema::empty()))),
    }
}

/// The same of these rows of the table of series alone.
pub(crate) fn flat_series_rows(batch: &Batch, rows: &UInt32Array) -> Result<RecordBatch, ArrowError> {
    with_envelopes(batch, &take_record_batch(&batch.shared, rows)?)
}

fn with_envelopes(batch: &Batch, series: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let Some(envelopes) = &batch.envelopes else { return Ok(series.clone()) };
    let mut columns = columns_except(series, &[column::ENVELOPE]);
    columns.extend(taken(envelopes, &index_column(series, column::ENVELOPE)?, |_| true)?);
    to_record_batch(columns)
}

/// Bytes that the texts and maps of a batch's envelopes, of the types that are wanted, take once they are expanded into its rows, as [`flat_rows`] does. A
/// small request may name one large envelope in very many rows: what it costs is known from this, not from its own size.
/// 0 for points, whose series stay a table of their own.
pub fn expansion_bytes(batch: &Batch, wanted: impl Fn(&DataType) -> bool) -> Result<usize, ArrowError> {
    if batch.signal == Signal::Points {
        return Ok(0);
    }
    let rows_of = rows_of_shared(batch)?;
    let columns: Vec<&ArrayRef> = batch.shared.columns().iter().filter(|array| wanted(array.data_type())).collect();
    let of_row = |row: usize| -> usize { columns.iter().map(|array| text_bytes(array, row)).sum() };
    Ok(rows_of.iter().enumerate().map(|(row, rows)| rows.saturating_mul(of_row(row))).fold(0, usize::saturating_add))
}

/// How many rows name each row of the shared table.
pub(super) fn rows_of_shared(batch: &Batch) -> Result<Vec<usize>, ArrowError> {
    let mut rows_of = vec![0usize; batch.shared.num_rows()];
    for shared_row in index_column(&batch.rows, column::SHARED)?.values() {
        let missing = || ArrowError::InvalidArgumentError(format!("the batch has no shared row {shared_row}"));
        *rows_of.get_mut(*shared_row as usize).ok_or_else(missing)? += 1;
    }
    Ok(rows_of)
}

// Other columns have a fixed width, which the rows' own columns stand for.
fn text_bytes(array: &ArrayRef, row: usize) -> usize {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).len(),
        DataType::Binary => array.as_binary::<i32>().value(row).len(),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let texts =
                |column: usize| entries.column(column).as_string::<i32>().iter().flatten().map(str::len).sum::<usize>();
            texts(0) + texts(1)
        }
        _ => 0,
    }
}

pub(super) fn index_column(batch: &RecordBatch, name: &str) -> Result<UInt32Array, ArrowError> {
    let column = batch.column_by_name(name).filter(|column| column.data_type() == &DataType::UInt32);
    let column = column.ok_or_else(|| ArrowError::SchemaError(format!("the batch has no index column {name:?}")))?;
    Ok(column.as_primitive::<UInt32Type>().clone())
}

fn columns_except(batch: &RecordBatch, left_out: &[&str]) -> Vec<(Field, ArrayRef)> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    columns
        .filter(|(field, _)| !left_out.contains(&field.name().as_str()))
        .map(|(field, array)| (field.as_ref().clone(), Arc::clone(array)))
        .collect()
}

fn taken(
    shared: &RecordBatch,
    rows: &UInt32Array,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(Field, ArrayRef)>, ArrowError> {
    let schema = shared.schema();
    let columns = schema.fields().iter().zip(shared.columns());
    columns
        .filter(|(field, _)| wanted(field.name()))
        .map(|(field, array)| Ok((field.as_ref().clone(), take(array, rows, None)?)))
        .collect()
}

fn named(name: &str, array: ArrayRef) -> (Field, ArrayRef) {
    (Field::new(name, array.data_type().clone(), true), array)
}

fn to_record_batch(columns: Vec<(Field, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}
