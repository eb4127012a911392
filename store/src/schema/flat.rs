//! From a committed batch to flat rows: the shape that parts have on disk and that queries see.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take;
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

fn rows_with(batch: &Batch, seq_base: u64, wanted: impl Fn(&str) -> bool) -> Result<RecordBatch, ArrowError> {
    let shared_row = index_column(&batch.rows, column::SHARED)?;
    let seqs = UInt64Array::from_iter_values((seq_base..).take(batch.len()));
    let mut columns = vec![named(column::INGEST_SEQ, Arc::new(seqs))];
    columns.extend(columns_except(&batch.rows, &[column::SHARED]));
    columns.extend(taken(&batch.shared, &shared_row, wanted)?);
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
    columns.extend(taken(&batch.shared, &shared_row, wanted)?);
    to_record_batch(columns).map(Some)
}

/// The series that the batch's points name, one row each. Empty for logs and spans.
pub fn flat_series(batch: &Batch) -> RecordBatch {
    match batch.signal {
        Signal::Points => batch.shared.clone(),
        Signal::Logs | Signal::Spans => RecordBatch::new_empty(Arc::new(Schema::empty())),
    }
}

fn index_column(batch: &RecordBatch, name: &str) -> Result<UInt32Array, ArrowError> {
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
