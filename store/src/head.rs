//! The newest rows, in memory: one chunk per committed batch and table, queryable from the moment it is committed until
//! the part that holds its rows is published.

mod accumulate;
mod tables;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Schema, TimestampNanosecondType, UInt64Type};
use arrow::error::ArrowError;
use model::Timestamp;

pub(crate) use self::accumulate::{Accumulators, Outcomes, advance};
use self::tables::table_bytes;
pub(crate) use self::tables::{Expanded, SeriesTables};
use crate::StoreError;
use crate::schema::{Batch, Table, column, expanded_rows, expansion_bytes, flat_exemplars, flat_rows, flat_series};

/// The rows that one committed batch adds to one table. Immutable.
#[derive(Debug)]
pub struct Chunk {
    table: Table,
    seq_base: u64,
    rows: usize,
    bytes: usize,
    bytes_to_write: usize,
    time_min: Timestamp,
    time_max: Timestamp,
    seq_min: u64,
    seq_max: u64,
    batch: Arc<Batch>,
    // Made at the first query that needs it: most heads are flushed without having been asked.
    expanded: OnceLock<RecordBatch>,
    // Of points, likewise, and for all chunks that share a table of series.
    series: Expanded,
    // Of points with deltas: what stands beside them, counted when they are committed and before they are shown.
    totals: OnceLock<RecordBatch>,
}

impl Chunk {
    /// The chunks of a batch that was committed with numbers from `seq_base` on: one for its items, one more for its
    /// exemplars if it has any.
    pub fn of_batch(batch: Batch, seq_base: u64) -> Result<Vec<Chunk>, StoreError> {
        Self::with_series(batch, seq_base, None)
    }

    /// The same of points whose table of series is another chunk's.
    pub(crate) fn with_series(batch: Batch, seq_base: u64, shared: Option<Expanded>) -> Result<Vec<Chunk>, StoreError> {
        let table = match batch.signal {
            model::Signal::Logs => Table::Logs,
            model::Signal::Spans => Table::Spans,
            model::Signal::Points => Table::Points,
        };
        let batch = Arc::new(batch);
        let rows = batch.len();
        // What is another chunk's is counted there.
        let own_bytes = batch.memory_bytes() - shared.as_ref().map_or(0, |_| table_bytes(&batch));
        let series = shared.unwrap_or_default();
        let not_coded = expansion_bytes(&batch, |data_type| *data_type != DataType::Utf8).map_err(expand_error)?;
        let mut chunks = vec![Chunk {
            table,
            seq_base,
            rows,
            bytes: own_bytes.saturating_add(expansion_bytes(&batch, |_| true).map_err(expand_error)?),
            bytes_to_write: own_bytes.saturating_add(not_coded),
            time_min: time_bound(&batch.rows, min)?,
            time_max: time_bound(&batch.rows, max)?,
            seq_min: seq_base,
            seq_max: seq_base + (rows as u64).saturating_sub(1),
            batch: Arc::clone(&batch),
            expanded: OnceLock::new(),
            series: series.clone(),
            totals: OnceLock::new(),
        }];
        if let Some(exemplars) = flat_exemplars(&batch, seq_base).map_err(expand_error)? {
            let seqs = exemplars[column::INGEST_SEQ].as_primitive::<UInt64Type>();
            chunks.push(Chunk {
                table: Table::Exemplars,
                seq_base,
                rows: exemplars.num_rows(),
                bytes: exemplars.get_array_memory_size(),
                bytes_to_write: exemplars.get_array_memory_size(),
                time_min: time_bound(&exemplars, min)?,
                time_max: time_bound(&exemplars, max)?,
                seq_min: min(seqs).unwrap_or(seq_base),
                seq_max: max(seqs).unwrap_or(seq_base),
                batch,
                expanded: exemplars.into(),
                series,
                totals: OnceLock::new(),
            });
        }
        Ok(chunks)
    }

    /// The table the rows belong to.
    pub fn table(&self) -> Table {
        self.table
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that the rows take in memory, roughly, once a query has expanded their envelopes.
    pub fn bytes(&self) -> usize {
        self.bytes + self.totals_bytes()
    }

    /// The same for a flush, which expands no texts of envelopes.
    pub fn bytes_to_write(&self) -> usize {
        self.bytes_to_write + self.totals_bytes()
    }

    fn totals_bytes(&self) -> usize {
        self.totals.get().map_or(0, RecordBatch::get_array_memory_size)
    }

    /// Counts the chunk's points, if they are deltas: once, when they are committed.
    pub(crate) fn count(&self, accumulators: &mut Accumulators, now: Duration, outcomes: &mut Outcomes) {
        if self.table == Table::Points
            && let Some(totals) = accumulators.apply(&self.batch, now, outcomes)
        {
            // Nobody else counts.
            let _ = self.totals.set(totals);
        }
    }

    /// The totals beside its points, if they are deltas.
    pub(crate) fn totals(&self) -> Option<&RecordBatch> {
        self.totals.get()
    }

    /// The rows as parts keep them.
    pub(crate) fn flat(&self) -> Result<RecordBatch, ArrowError> {
        self.with_totals(flat_rows(&self.batch, self.seq_base)?)
    }

    fn with_totals(&self, rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
        let Some(totals) = self.totals.get() else { return Ok(rows) };
        let both = |batch: &RecordBatch| (batch.schema().fields().to_vec(), batch.columns().to_vec());
        let ((mut fields, mut columns), (total_fields, total_columns)) = (both(&rows), both(totals));
        fields.extend(total_fields);
        columns.extend(total_columns);
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }

    /// Least and greatest `timestamp`.
    pub fn time_bounds(&self) -> (Timestamp, Timestamp) {
        (self.time_min, self.time_max)
    }

    /// Least and greatest `ingest_seq`.
    pub fn seq_bounds(&self) -> (u64, u64) {
        (self.seq_min, self.seq_max)
    }

    /// The number of the batch's first item.
    pub fn seq_base(&self) -> u64 {
        self.seq_base
    }

    /// The batch the rows came in.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The rows as queries see them.
    pub fn expanded(&self) -> Result<&RecordBatch, StoreError> {
        if let Some(rows) = self.expanded.get() {
            return Ok(rows);
        }
        let rows = expanded_rows(&self.batch, self.seq_base);
        let rows = rows.and_then(|rows| self.with_totals(rows)).map_err(expand_error)?;
        Ok(self.expanded.get_or_init(|| rows))
    }

    /// What is made of the series when a query asks for them: the same for all chunks that share a table.
    pub(crate) fn expanded_series(&self) -> &Expanded {
        &self.series
    }

    /// The series of the batch's points as queries see them.
    pub fn series(&self) -> Result<Arc<RecordBatch>, StoreError> {
        self.series.get(|| flat_series(&self.batch)).map_err(expand_error)
    }
}

type Bound = fn(&arrow::array::TimestampNanosecondArray) -> Option<i64>;

fn time_bound(rows: &RecordBatch, bound: Bound) -> Result<Timestamp, StoreError> {
    let times =
        rows.column_by_name(column::TIMESTAMP).and_then(|times| times.as_primitive_opt::<TimestampNanosecondType>());
    let missing = || ArrowError::SchemaError("the batch has no column of times".to_owned());
    let times = times.ok_or_else(|| expand_error(missing()))?;
    Ok(Timestamp::from_nanos(bound(times).unwrap_or(0)))
}

fn expand_error(source: ArrowError) -> StoreError {
    StoreError::Columns { operation: "expand a batch of the head", source }
}
