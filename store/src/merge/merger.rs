//! Streams the rows of several parts of one table and partition, in their common order, into one new part. What is in memory is
//! bounded: a granule of each part, the one that is being written, the filters of the new index, of spans the plan of their traces, and
//! of points their series.
//!
//! Nothing is changed but the new part's own directory, which nobody knows before it is published: a merge can be stopped, or the
//! machine, at any moment.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{interleave_record_batch, take_record_batch};
use arrow::datatypes::{FieldRef, Schema, TimestampNanosecondType, UInt64Type};
use arrow::error::ArrowError;

use super::keep::Keep;
use super::runs::{Run, Traces, whole_parts};
use crate::part::{Part, PartName, PartWriter, Place, ROWS_FILE, SERIES_FILE};
use crate::schema::{Census, Shape, Table, column, is_overflow, joined};
use crate::{Projection, StoreError, flush, limits};

/// What is to be merged.
pub(crate) struct Job<'a> {
    /// Where the new part goes.
    pub(crate) place: Place<'a>,
    /// What it is called.
    pub(crate) name: PartName,
    /// Parts of the same table, at most 255; one is enough if some of its rows are to go.
    pub(crate) parts: &'a [Arc<Part>],
    /// Which rows stay.
    pub(crate) keep: &'a Keep,
    /// Asked at every granule: an error ends the merge.
    pub(crate) goes_on: &'a dyn Fn() -> Result<(), StoreError>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The new part, durable but listed nowhere; `None` if no row was kept.
    pub(crate) part: Option<Arc<Part>>,
    /// How many rows were not kept.
    pub(crate) dropped: u64,
}

/// Merges.
pub(crate) fn merge(job: &Job<'_>) -> Result<Merged, StoreError> {
    // What is damaged must not be written anew with a checksum that says it is whole: if it is not compared while it is read, it is
    // before. The index is made anew from the rows.
    for part in job.parts.iter().filter(|part| !part.has_sums()) {
        (job.goes_on)()?;
        part.verify_file(ROWS_FILE)?;
        part.verify_file(SERIES_FILE)?;
    }
    let shape = shape(job)?;
    let mut source = Source { job, shape: &shape, loaded: HashMap::new(), uses: 0 };
    let mut output = Output::new(job, &shape);
    match job.name.table {
        Table::Spans => {
            let traces = Traces::read(job.parts, job.goes_on)?;
            for runs in traces.groups() {
                write_runs(&mut source, &mut output, &runs)?;
            }
        }
        _ => write_runs(&mut source, &mut output, &whole_parts(job.parts))?,
    }
    output.finish()
}

// Chooses the columns of the new part: which attributes have the most values in all of the old ones.
fn shape(job: &Job<'_>) -> Result<Shape, StoreError> {
    let mut census = Census::default();
    for part in job.parts {
        let columns = part.columns()?;
        let fields: Vec<FieldRef> = columns.iter().map(|(field, _)| Arc::clone(field)).collect();
        census.add_fields(&Schema::new(fields));
        let mut maps = Vec::new();
        for (field, values) in columns {
            census.add_column(field.name(), field.data_type(), values.unwrap_or(part.rows()));
            if is_overflow(field.name()) {
                maps.push(field.name().clone());
            }
        }
        let wanted = Projection::Columns(maps);
        for granule in 0..part.meta().granules.len() {
            (job.goes_on)()?;
            let rows = part.read_granule(granule, &wanted)?;
            rows.columns().iter().for_each(|map| census.add_overflow(map));
        }
    }
    Ok(census.shape())
}

// By what rows are sorted within a run, most significant first.
type Key = (u64, u64, u64);

// A granule in the new part's columns.
struct Loaded {
    rows: RecordBatch,
    keys: Vec<Key>,
    keep: Option<BooleanArray>,
}

// Reads granules, and keeps some.
struct Source<'a> {
    job: &'a Job<'a>,
    shape: &'a Shape,
    loaded: HashMap<(usize, u64), (Arc<Loaded>, u64)>,
    uses: u64,
}

impl Source<'_> {
    fn granule(&mut self, part: usize, granule: u64) -> Result<Arc<Loaded>, StoreError> {
        self.uses += 1;
        if let Some((loaded, used)) = self.loaded.get_mut(&(part, granule)) {
            *used = self.uses;
            return Ok(Arc::clone(loaded));
        }
        (self.job.goes_on)()?;
        if self.loaded.len() >= limits::MERGE_GRANULES_MAX {
            let oldest = self.loaded.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            oldest.and_then(|key| self.loaded.remove(&key));
        }
        let of = &self.job.parts[part];
        let rows = of.read_granule(granule as usize, &Projection::All)?;
        let keep = self.job.keep.mask(&rows)?;
        let rows = self.shape.apply(&rows).map_err(failed)?;
        let loaded = Arc::new(Loaded { keys: keys(self.job.name.table, &rows), rows, keep });
        self.loaded.insert((part, granule), (Arc::clone(&loaded), self.uses));
        Ok(loaded)
    }

    // No row of it is needed again, most likely.
    fn forget(&mut self, part: usize, granule: u64) {
        self.loaded.remove(&(part, granule));
    }

    // What no key of the granule is less than, without reading it: parts that follow each other in time are read one after
    // the other.
    fn least_key(&self, part: usize, granule: u64) -> Key {
        let Some(meta) = self.job.parts[part].meta().granules.get(granule as usize) else { return (0, 0, 0) };
        match self.job.name.table {
            Table::Logs | Table::Exemplars => (ordered(meta.time_min), 0, 0),
            Table::Points => (meta.series.map_or(0, |series| series.0), 0, 0),
            Table::Spans => (0, 0, 0),
        }
    }
}

fn keys(table: Table, rows: &RecordBatch) -> Vec<Key> {
    let times = rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
    let seqs = rows[column::INGEST_SEQ].as_primitive::<UInt64Type>().values();
    let times = times.iter().map(|time| ordered(*time));
    match table {
        Table::Logs | Table::Exemplars => times.zip(seqs).map(|(time, seq)| (time, *seq, 0)).collect(),
        Table::Points => {
            let ids = rows[column::SERIES_ID].as_primitive::<UInt64Type>().values();
            ids.iter().zip(times).zip(seqs).map(|((id, time), seq)| (*id, time, *seq)).collect()
        }
        Table::Spans => {
            let spans = rows[column::SPAN_ID].as_fixed_size_binary();
            let ids = (0..spans.len()).map(|row| u64::from_be_bytes(spans.value(row).try_into().unwrap_or_default()));
            times.zip(ids).zip(seqs).map(|((time, id), seq)| (time, id, *seq)).collect()
        }
    }
}

// Numbers whose order is that of the times.
fn ordered(time: i64) -> u64 {
    time.cast_unsigned() ^ (1 << 63)
}

// Where a run is read.
struct Cursor {
    run: Run,
    granule_rows: u64,
    // The granule of the next row, once it was needed.
    loaded: Option<(u64, Arc<Loaded>)>,
}

impl Cursor {
    fn granule(&self) -> u64 {
        self.run.start / self.granule_rows
    }

    fn load(&mut self, source: &mut Source<'_>) -> Result<(Arc<Loaded>, usize), StoreError> {
        let (granule, row) = (self.granule(), (self.run.start % self.granule_rows) as usize);
        let loaded = match &self.loaded {
            Some((known, loaded)) if *known == granule => Arc::clone(loaded),
            _ => {
                let loaded = source.granule(self.run.part, granule)?;
                self.loaded = Some((granule, Arc::clone(&loaded)));
                loaded
            }
        };
        if row < loaded.keys.len() {
            return Ok((loaded, row));
        }
        let path = source.job.parts[self.run.part].directory().to_path_buf();
        Err(StoreError::Damaged { path, what: "it has fewer rows than its meta says".to_owned() })
    }

    // Goes to the next row; whether there is one.
    fn step(&mut self, source: &mut Source<'_>) -> bool {
        let granule = self.granule();
        self.run.start += 1;
        if self.granule() != granule {
            self.loaded = None;
            source.forget(self.run.part, granule);
        }
        self.run.start < self.run.end
    }
}

// Writes the rows of sorted runs in their common order.
fn write_runs(source: &mut Source<'_>, output: &mut Output<'_>, runs: &[Run]) -> Result<(), StoreError> {
    let cursor = |run: &Run| {
        let granule_rows = source.job.parts[run.part].meta().granule_rows.max(1);
        Cursor { run: *run, granule_rows, loaded: None }
    };
    let mut cursors: Vec<Cursor> = runs.iter().filter(|run| run.start < run.end).map(cursor).collect();
    if let [cursor] = &mut cursors[..] {
        loop {
            let (loaded, row) = cursor.load(source)?;
            output.add(&loaded, row)?;
            if !cursor.step(source) {
                return Ok(());
            }
        }
    }
    // The least key first, of equals the earlier run. A key that is only a bound comes before its row does.
    let mut next: BinaryHeap<Reverse<(Key, usize, bool)>> = BinaryHeap::new();
    for (place, cursor) in cursors.iter().enumerate() {
        next.push(Reverse((source.least_key(cursor.run.part, cursor.granule()), place, false)));
    }
    while let Some(Reverse((_, place, is_loaded))) = next.pop() {
        let cursor = &mut cursors[place];
        let (loaded, row) = cursor.load(source)?;
        if !is_loaded {
            next.push(Reverse((loaded.keys[row], place, true)));
            continue;
        }
        output.add(&loaded, row)?;
        let granule = cursor.granule();
        if cursor.step(source) {
            if cursor.granule() == granule {
                next.push(Reverse((loaded.keys[row + 1], place, true)));
            } else {
                next.push(Reverse((source.least_key(cursor.run.part, cursor.granule()), place, false)));
            }
        }
    }
    Ok(())
}

// Gathers rows to granules and writes them.
struct Output<'a> {
    job: &'a Job<'a>,
    shape: &'a Shape,
    writer: Option<PartWriter>,
    // The rows of the granule that is being gathered, and the granules they are of.
    picked: Vec<(usize, usize)>,
    granules: Vec<Arc<Loaded>>,
    // Of points: the series of the rows, ascending.
    series: Vec<u64>,
    rows: u64,
    dropped: u64,
}

impl<'a> Output<'a> {
    fn new(job: &'a Job<'a>, shape: &'a Shape) -> Self {
        let (picked, granules) = (Vec::with_capacity(limits::GRANULE_ROWS), Vec::new());
        Output { job, shape, writer: None, picked, granules, series: Vec::new(), rows: 0, dropped: 0 }
    }

    fn add(&mut self, granule: &Arc<Loaded>, row: usize) -> Result<(), StoreError> {
        if granule.keep.as_ref().is_some_and(|keep| !keep.value(row)) {
            self.dropped += 1;
            return Ok(());
        }
        // Mostly the one that came last.
        let place = match self.granules.iter().rposition(|known| Arc::ptr_eq(known, granule)) {
            Some(place) => place,
            None => {
                self.granules.push(Arc::clone(granule));
                self.granules.len() - 1
            }
        };
        self.picked.push((place, row));
        self.rows += 1;
        let series = granule.keys[row].0;
        if self.job.name.table == Table::Points && self.series.last() != Some(&series) {
            self.series.push(series);
        }
        if self.picked.len() == limits::GRANULE_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        if self.picked.is_empty() {
            return Ok(());
        }
        (self.job.goes_on)()?;
        let batches: Vec<&RecordBatch> = self.granules.iter().map(|granule| &granule.rows).collect();
        let rows = interleave_record_batch(&batches, &self.picked).map_err(failed)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let schema = Arc::clone(self.shape.schema());
                self.writer.insert(PartWriter::begin(&self.job.place, self.job.name.clone(), schema)?)
            }
        };
        writer.add(&rows)?;
        self.picked.clear();
        self.granules.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Merged, StoreError> {
        self.write()?;
        let there: u64 = self.job.parts.iter().map(|part| part.rows()).sum();
        if self.rows + self.dropped != there {
            let path = self.job.name.directory(self.job.place.data_directory);
            let what = format!("it would hold {} rows of {there}; this is a defect", self.rows + self.dropped);
            return Err(StoreError::Damaged { path, what });
        }
        let Some(writer) = self.writer else { return Ok(Merged { part: None, dropped: self.dropped }) };
        let series = match self.job.name.table {
            Table::Points => Some(series(self.job.parts, &self.series)?),
            _ => None,
        };
        let part = writer.finish(flush::sorted_by(self.job.name.table), series.as_ref())?;
        Ok(Merged { part: Some(part), dropped: self.dropped })
    }
}

// The series of all parts that are wanted, once each.
fn series(parts: &[Arc<Part>], wanted: &[u64]) -> Result<RecordBatch, StoreError> {
    let tables = parts.iter().map(|part| part.series().map(|table| table.as_ref().clone()));
    let all = joined(&tables.collect::<Result<Vec<_>, _>>()?).map_err(failed)?;
    let ids = all[column::SERIES_ID].as_primitive::<UInt64Type>().values();
    let mut order: Vec<u32> = (0..ids.len() as u32).collect();
    order.sort_by_key(|row| ids[*row as usize]);
    order.dedup_by_key(|row| ids[*row as usize]);
    order.retain(|row| wanted.binary_search(&ids[*row as usize]).is_ok());
    take_record_batch(&all, &UInt32Array::from(order)).map_err(failed)
}

pub(super) fn failed(source: ArrowError) -> StoreError {
    StoreError::Columns { operation: "merge parts", source }
}
