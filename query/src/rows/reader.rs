//! Rows of any signal, read from the batches of an answer and written in the form that was asked for.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use model::Signal;
use serde::Serialize;
use store::{Snapshot, StoreError};

use crate::rows::exemplars::ExemplarsOfPoints;
use crate::rows::otlp::Request;
use crate::rows::{LogReader, PointReader, SpanReader};
use crate::search::execute::Place;

/// Readers of some batches of one signal.
#[derive(Debug)]
pub enum RowReader {
    /// Of logs.
    Logs(Vec<LogReader>),
    /// Of spans.
    Spans(Vec<SpanReader>),
    /// Of points, with their exemplars.
    Points(Vec<PointReader>, ExemplarsOfPoints),
}

impl RowReader {
    /// Reads these batches; exemplars come from the snapshot that the batches come from.
    pub fn new(signal: Signal, snapshot: &Snapshot, batches: &[RecordBatch]) -> Result<Self, StoreError> {
        Ok(match signal {
            Signal::Logs => Self::Logs(readers(batches, LogReader::new)?),
            Signal::Spans => Self::Spans(readers(batches, SpanReader::new)?),
            Signal::Points => {
                let points = readers(batches, PointReader::new)?;
                let rows = points.iter().zip(batches);
                let rows = rows.flat_map(|(reader, batch)| (0..batch.num_rows()).map(move |row| (reader, row)));
                let mut numbers: Vec<u64> = rows.filter_map(|(reader, row)| reader.with_exemplars(row)).collect();
                numbers.sort_unstable();
                let exemplars = ExemplarsOfPoints::find(snapshot, &numbers)?;
                Self::Points(points, exemplars)
            }
        })
    }

    /// Appends the row as a JSON object.
    pub fn write(&self, (batch, row): Place, out: &mut Vec<u8>) {
        match self {
            RowReader::Logs(readers) => write_json(&readers[batch].row(row), out),
            RowReader::Spans(readers) => write_json(&readers[batch].row(row), out),
            RowReader::Points(readers, exemplars) => {
                let reader = &readers[batch];
                let exemplars = reader.with_exemplars(row).map(|point| exemplars.rows(point)).unwrap_or_default();
                write_json(&reader.row(row, exemplars), out);
            }
        }
    }

    /// Adds the row to an OTLP/JSON request.
    pub fn add_to(&self, (batch, row): Place, request: &mut Request) {
        match self {
            RowReader::Logs(readers) => request.push(readers[batch].envelope(row), readers[batch].otlp(row)),
            RowReader::Spans(readers) => request.push(readers[batch].envelope(row), readers[batch].otlp(row)),
            RowReader::Points(readers, exemplars) => {
                let reader = &readers[batch];
                let exemplars = reader.with_exemplars(row).map(|point| exemplars.otlp(point)).unwrap_or_default();
                let (metric, kind) = reader.otlp_metric(row);
                request.push_point(reader.envelope(row), metric, kind, reader.otlp_point(row, exemplars));
            }
        }
    }
}

/// One reader per batch.
pub fn readers<R>(
    batches: &[RecordBatch],
    open: fn(&RecordBatch) -> Result<R, ArrowError>,
) -> Result<Vec<R>, StoreError> {
    let failed = |source| StoreError::Columns { operation: "read rows", source };
    batches.iter().map(open).collect::<Result<_, _>>().map_err(failed)
}

/// Appends a value as JSON.
pub fn write_json(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("rows have text keys, and writing to memory does not fail");
}
