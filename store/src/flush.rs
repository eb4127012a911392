//! Turns chunks of the head into parts: joins them, decides which partition each row belongs to, sorts, writes. Called by
//! `upkeep`, which publishes what is written here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, FixedSizeBinaryArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{TimestampNanosecondType, UInt64Type};
use arrow::error::ArrowError;
use model::Timestamp;

use crate::StoreError;
use crate::head::Chunk;
use crate::part::{self, Contents, Part, PartName};
use crate::partition::{Partition, Partitioner};
use crate::schema::hash::ByItself;
use crate::schema::texts::Texts;
use crate::schema::{Batch, Coded, Table, coded, column, flat_series_rows, joined};

/// Where parts go.
pub(crate) struct Target<'a> {
    pub(crate) place: part::Place<'a>,
    /// Wall time: rows far beyond it are stray.
    pub(crate) now: Timestamp,
    /// Gives each part its number.
    pub(crate) next_number: &'a dyn Fn() -> u64,
}

/// Writes the rows of these chunks, all of one signal. When it returns the parts are durable but listed nowhere.
pub(crate) fn write(target: &Target<'_>, chunks: &[Arc<Chunk>]) -> Result<Vec<Arc<Part>>, StoreError> {
    let mut parts = Vec::new();
    match write_round(target, chunks, &mut parts) {
        Ok(()) => Ok(parts),
        Err(error) => {
            parts.iter().for_each(|part| part::discard(target.place.disk.as_ref(), part.directory()));
            Err(error)
        }
    }
}

fn write_round(target: &Target<'_>, chunks: &[Arc<Chunk>], parts: &mut Vec<Arc<Part>>) -> Result<(), StoreError> {
    for table in Table::ALL {
        let of_table: Vec<&Chunk> = chunks.iter().map(AsRef::as_ref).filter(|chunk| chunk.table() == table).collect();
        if of_table.iter().any(|chunk| chunk.rows() > 0) {
            write_table(target, table, &of_table, parts)?;
        }
    }
    Ok(())
}

/// What is written and published at a time.
#[derive(Debug)]
pub(crate) struct Round {
    /// Chunks of one signal.
    pub(crate) chunks: Vec<Arc<Chunk>>,
    /// Up to this number they, and those of the rounds before, hold every row.
    pub(crate) up_to_seq: u64,
}

/// A signal's chunks in as few rounds of about `bytes_max` as there can be, all about as large: a batch more or less, which is never
/// torn. Writing one takes several times its bytes; who publishes it and lets it go before the next is written holds no more
/// than that, however large the head has grown.
pub(crate) fn rounds(chunks: Vec<Arc<Chunk>>, up_to_seq: u64, bytes_max: usize) -> Vec<Round> {
    let total: usize = chunks.iter().map(|chunk| chunk.bytes_to_write()).sum();
    let enough = total.div_ceil(total.div_ceil(bytes_max.max(1)).max(1));
    let mut rounds: Vec<Round> = Vec::new();
    let (mut bytes, mut batch) = (0, None);
    for chunk in chunks {
        // The exemplars of a batch go with its points: both are published by their numbers.
        let is_next = batch.replace(chunk.seq_base()) != Some(chunk.seq_base());
        match rounds.last_mut() {
            Some(round) if !is_next || bytes < enough => {
                bytes += chunk.bytes_to_write();
                round.up_to_seq = round.up_to_seq.max(chunk.seq_bounds().1);
                round.chunks.push(chunk);
            }
            _ => {
                bytes = chunk.bytes_to_write();
                rounds.push(Round { up_to_seq: chunk.seq_bounds().1, chunks: vec![chunk] });
            }
        }
    }
    if let Some(last) = rounds.last_mut() {
        last.up_to_seq = up_to_seq;
    }
    rounds
}

fn write_table(
    target: &Target<'_>,
    table: Table,
    chunks: &[&Chunk],
    parts: &mut Vec<Arc<Part>>,
) -> Result<(), StoreError> {
    let Coded { schema, rows, texts, same } = rows_of(table, chunks)?;
    let series = match table {
        Table::Points => Some(all_series(chunks)?),
        _ => None,
    };
    for (partition, mut order) in partitioned(&rows, target.now) {
        sort(table, &rows, &mut order);
        let series = series.as_ref().map(|all| series_of(all, &rows, &order)).transpose()?;
        let contents = Contents {
            schema: &schema,
            same: &same,
            rows: &rows,
            texts: &texts,
            order: &order,
            sorted_by: sorted_by(table),
            series: series.as_ref(),
        };
        let name = PartName { table, partition, number: (target.next_number)() };
        parts.push(part::write(&target.place, name, &contents)?);
    }
    Ok(())
}

fn rows_of(table: Table, chunks: &[&Chunk]) -> Result<Coded, StoreError> {
    let batches: Vec<(&Batch, u64)> = chunks.iter().map(|chunk| (chunk.batch(), chunk.seq_base())).collect();
    let flat = match table {
        Table::Logs | Table::Spans => return coded(&batches).map_err(failed),
        Table::Exemplars => chunks.iter().map(|chunk| chunk.expanded().cloned()).collect::<Result<Vec<_>, _>>()?,
        Table::Points => {
            let flat = chunks.iter().map(|chunk| chunk.flat());
            flat.collect::<Result<Vec<_>, _>>().map_err(failed)?
        }
    };
    let rows = joined(&flat).and_then(|rows| if table == Table::Points { without_absent(&rows) } else { Ok(rows) });
    let rows = rows.map_err(failed)?;
    Ok(Coded { schema: rows.schema(), rows, texts: Texts::default(), same: BTreeMap::new() })
}

// Points of one kind have nothing in most of the columns of the others; readers know which there could be.
fn without_absent(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let there = |place: &usize| rows.column(*place).null_count() < rows.num_rows();
    rows.project(&(0..rows.num_columns()).filter(there).collect::<Vec<usize>>())
}

fn partitioned(rows: &RecordBatch, now: Timestamp) -> BTreeMap<Partition, Vec<u32>> {
    let times = rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
    let partitioner = Partitioner::new(times.iter().copied(), now);
    let mut partitions: BTreeMap<Partition, Vec<u32>> = BTreeMap::new();
    for (row, time) in times.iter().enumerate() {
        partitions.entry(partitioner.partition(*time)).or_default().push(row as u32);
    }
    partitions
}

/// The columns by which the rows of a table's parts are sorted, most significant first.
pub(crate) fn sorted_by(table: Table) -> &'static [&'static str] {
    match table {
        Table::Logs | Table::Exemplars => &[column::TIMESTAMP, column::INGEST_SEQ],
        Table::Points => &[column::SERIES_ID, column::TIMESTAMP, column::INGEST_SEQ],
        // The first column of the order is in no file: it follows from the rows.
        Table::Spans => {
            &["first start of trace", column::TRACE_ID, column::TIMESTAMP, column::SPAN_ID, column::INGEST_SEQ]
        }
    }
}

// Puts rows into the order of their table.
fn sort(table: Table, rows: &RecordBatch, order: &mut [u32]) {
    let times = rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
    let seqs = rows[column::INGEST_SEQ].as_primitive::<UInt64Type>().values();
    match table {
        Table::Logs | Table::Exemplars => {
            order.sort_unstable_by_key(|row| (times[*row as usize], seqs[*row as usize], *row));
        }
        Table::Points => {
            let ids = rows[column::SERIES_ID].as_primitive::<UInt64Type>().values();
            order.sort_unstable_by_key(|row| {
                let row = *row as usize;
                (ids[row], times[row], seqs[row])
            });
        }
        Table::Spans => {
            let traces = rows[column::TRACE_ID].as_fixed_size_binary();
            let spans = rows[column::SPAN_ID].as_fixed_size_binary();
            let starts = first_starts(traces, times, order);
            order.sort_by_cached_key(|row| {
                let row = *row as usize;
                let trace = traces.value(row);
                let first = starts.get(trace).copied().unwrap_or(times[row]);
                (first, id::<16>(trace), times[row], id::<8>(spans.value(row)), seqs[row])
            });
        }
    }
}

// When each trace begins among these rows.
fn first_starts<'a>(traces: &'a FixedSizeBinaryArray, times: &[i64], rows: &[u32]) -> HashMap<&'a [u8], i64> {
    let mut starts: HashMap<&[u8], i64> = HashMap::new();
    for row in rows {
        let row = *row as usize;
        let first = starts.entry(traces.value(row)).or_insert(times[row]);
        *first = times[row].min(*first);
    }
    starts
}

// An id by value: a sort key cannot borrow.
fn id<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

// The series of all chunks, once each, by ascending id. (Two series with one id were refused when they were committed.)
fn all_series(chunks: &[&Chunk]) -> Result<RecordBatch, StoreError> {
    // Requests repeat their series: each is taken once, before its columns are joined with those of others.
    let mut known: HashSet<u64, ByItself> = HashSet::default();
    let mut tables = Vec::new();
    // Tables that chunks share, by where their ids are: all of them live as long as the chunks.
    let mut seen: HashSet<*const u64> = HashSet::new();
    for chunk in chunks {
        let ids = chunk.batch().shared[column::SERIES_ID].as_primitive::<UInt64Type>().values();
        if !seen.insert(ids.as_ptr()) {
            continue;
        }
        let new: Vec<u32> = (0..ids.len() as u32).filter(|row| known.insert(ids[*row as usize])).collect();
        if !new.is_empty() {
            tables.push(flat_series_rows(chunk.batch(), &UInt32Array::from(new)).map_err(failed)?);
        }
    }
    let all = joined(&tables).map_err(failed)?;
    let ids = all[column::SERIES_ID].as_primitive::<UInt64Type>().values();
    let mut order: Vec<u32> = (0..ids.len() as u32).collect();
    order.sort_by_key(|row| ids[*row as usize]);
    take_record_batch(&all, &UInt32Array::from(order)).map_err(failed)
}

// Those series that the rows name; the rows are sorted by them.
fn series_of(all: &RecordBatch, rows: &RecordBatch, order: &[u32]) -> Result<RecordBatch, StoreError> {
    let known = all[column::SERIES_ID].as_primitive::<UInt64Type>().values();
    let ids = rows[column::SERIES_ID].as_primitive::<UInt64Type>().values();
    let mut wanted: Vec<u64> = order.iter().map(|row| ids[*row as usize]).collect();
    wanted.dedup();
    let places = wanted.iter().filter_map(|id| known.binary_search(id).ok());
    let places: UInt32Array = places.map(|place| Some(place as u32)).collect();
    debug_assert_eq!(places.len(), wanted.len(), "every point names a series of its batch");
    take_record_batch(all, &places).map_err(failed)
}

fn failed(source: ArrowError) -> StoreError {
    StoreError::Columns { operation: "join rows for a part", source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use crate::schema::{
        ExemplarRow, LogColumns, LogRow, PointColumns, PointRow, PointValue, ResourceRow, ScopeRow, SeriesRow,
        ValueRef, metric_type,
    };

    #[test]
    fn a_small_request_that_names_a_large_resource_in_each_row_is_a_round_of_its_own() {
        let large = "x".repeat(1 << 20);
        let chunk = |seq_base: u64| {
            let mut columns = LogColumns::default();
            // A text would be written once.
            let attributes = [("large", ValueRef::Bytes(large.as_bytes()))];
            let resource = ResourceRow { attributes: &attributes, ..ResourceRow::default() };
            let envelope = columns.envelopes.push(&resource, &ScopeRow::default());
            (0..200).for_each(|_| columns.push(&LogRow { envelope, ..LogRow::default() }, &[]));
            let batch = columns.finish();
            assert!(batch.memory_bytes() < limits::FLUSH_ROUND_BYTES / 50);
            Chunk::of_batch(batch, seq_base).expect("the batch is whole").pop().map(Arc::new).expect("one chunk")
        };
        let chunks = [chunk(1), chunk(201), chunk(401)];
        let rounds = rounds(chunks.to_vec(), 700, limits::FLUSH_ROUND_BYTES);
        let numbers = rounds.iter().map(|round| (round.chunks.len(), round.up_to_seq));
        assert_eq!(numbers.collect::<Vec<_>>(), [(1, 200), (1, 400), (1, 700)]);
    }

    #[test]
    fn the_exemplars_of_a_batch_are_in_its_round() {
        let batch = || {
            let mut columns = PointColumns::new([7; 16]);
            let series = columns.series(&SeriesRow {
                resource: ResourceRow::default(),
                scope: ScopeRow::default(),
                metric: "m",
                description: "",
                unit: "",
                metadata: &[],
                metric_type: metric_type::GAUGE,
                temporality: 0,
                monotonic: false,
                attributes: &[],
            });
            let point = PointRow {
                series,
                timestamp: Timestamp::from_nanos(5),
                derived_times: 0,
                start_timestamp: None,
                flags: 0,
                value: PointValue::Int(1),
            };
            let exemplar = ExemplarRow {
                timestamp: point.timestamp,
                derived_times: 0,
                value: point.value,
                trace_id: None,
                span_id: None,
                correlation_id: None,
                attributes: &[],
            };
            columns.push(&point, &[exemplar]);
            columns.finish()
        };
        let chunks: Vec<Arc<Chunk>> =
            (1..=4).flat_map(|seq| Chunk::of_batch(batch(), seq).expect("the batch is whole")).map(Arc::new).collect();
        assert_eq!(chunks.len(), 8);
        let all: usize = chunks.iter().map(|chunk| chunk.bytes_to_write()).sum();
        for (bytes_max, expected) in
            [(1, vec![2, 2, 2, 2]), (all / 2, vec![4, 4]), (all - 1, vec![4, 4]), (all, vec![8])]
        {
            let rounds = rounds(chunks.clone(), 4, bytes_max);
            assert_eq!(rounds.iter().map(|round| round.chunks.len()).collect::<Vec<_>>(), expected);
            for round in &rounds {
                assert_eq!(round.up_to_seq, round.chunks.last().map_or(0, |chunk| chunk.seq_base()));
            }
        }
    }
}
