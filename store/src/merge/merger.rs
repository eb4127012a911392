//! Streams the rows of several parts of one table and partition, in their common order, into one new part. What is in memory is
//! bounded: a granule of each part, the one that is being written, the filters of the new index, of spans the plan of their traces, and
//! of points their series.
//!
//! Nothing is changed but the new part's own directory, which nobody knows before it is published: a merge can be stopped, or the
//! machine, at any moment.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{interleave_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimestampNanosecondType, UInt64Type};
use arrow::error::ArrowError;

use super::keep::Keep;
use super::runs::{Run, Traces, whole_parts};
use crate::part::{Footer, Layout, Part, PartName, PartWriter, Place, ROWS_FILE, SERIES_FILE, Stream, granule_rows};
use crate::schema::texts::Texts;
use crate::schema::{Census, Shape, Table, column, is_never_coded, is_overflow, joined};
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
    // Columns that have too many texts for a dictionary, in one part or, as it turns out, in all of them together.
    let mut plain: HashSet<String> = HashSet::new();
    for part in job.parts {
        let columns = part.text_columns()?.into_iter();
        plain.extend(columns.filter(|(_, has_dictionary)| !has_dictionary).map(|(name, _)| name));
    }
    loop {
        let columns = Columns::new(job, &shape, &plain);
        let mut source = Source::new(job, &columns)?;
        match merge_with(job, &columns, &mut source) {
            // Begun anew: what was written has numbers.
            Err(_) if source.too_many.is_some() => plain.extend(source.too_many.take()),
            merged => return merged,
        }
    }
}

fn merge_with(job: &Job<'_>, columns: &Columns, source: &mut Source<'_>) -> Result<Merged, StoreError> {
    let mut output = Output::new(job, columns)?;
    match job.name.table {
        Table::Spans => {
            let traces = Traces::read(job.parts, job.goes_on)?;
            for runs in traces.groups() {
                write_runs(source, &mut output, &runs)?;
            }
        }
        _ => write_runs(source, &mut output, &whole_parts(job.parts))?,
    }
    output.finish(&source.texts)
}

// The columns of the new part, and how they get there.
struct Columns {
    schema: SchemaRef,
    // Columns that are not written, because every row has the same in another.
    same: BTreeMap<String, String>,
    // The same with numbers for texts that have a dictionary.
    coded_schema: SchemaRef,
    // Of the columns that come as they are.
    rest: Shape,
    coded: HashSet<String>,
    // Bytes of texts that each of these may have.
    bytes_max: usize,
}

impl Columns {
    fn new(job: &Job<'_>, shape: &Shape, plain: &HashSet<String>) -> Self {
        let are_coded = matches!(job.name.table, Table::Logs | Table::Spans);
        let is_coded = |field: &Field| {
            let name = field.name();
            let is_text = are_coded && field.data_type() == &DataType::Utf8 && !is_never_coded(name);
            is_text && !shape.takes_from_map(name) && !plain.contains(name)
        };
        let is_same = |(name, written): &(&String, &String)| {
            let is_column = shape.schema().field_with_name(name).is_ok() && !shape.takes_from_map(name);
            is_column && job.parts.iter().all(|part| part.meta().same.get(*name) == Some(*written))
        };
        let same: BTreeMap<String, String> = job.parts[0]
            .meta()
            .same
            .iter()
            .filter(is_same)
            .map(|(name, written)| (name.clone(), written.clone()))
            .collect();
        let fields: Vec<FieldRef> =
            shape.schema().fields().iter().filter(|field| !same.contains_key(field.name())).cloned().collect();
        let coded: HashSet<String> =
            fields.iter().filter(|field| is_coded(field)).map(|field| field.name().clone()).collect();
        let with_numbers = |field: &FieldRef| match coded.contains(field.name()) {
            true => Arc::new(Field::new(field.name(), DataType::UInt32, true)),
            false => Arc::clone(field),
        };
        let coded_schema = Arc::new(Schema::new(fields.iter().map(with_numbers).collect::<Vec<FieldRef>>()));
        let share = limits::MERGE_DICTIONARIES_BYTES_MAX / coded.len().max(1);
        Columns {
            rest: shape.only(|name| !coded.contains(name) && !same.contains_key(name)),
            same,
            schema: Arc::new(Schema::new(fields)),
            coded_schema,
            bytes_max: share.min(limits::MERGE_DICTIONARY_BYTES_MAX),
            coded,
        }
    }
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
            rows.columns().iter().for_each(|map| census.add_overflow(map, |_| 1));
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
    columns: &'a Columns,
    // Of each part, if its texts come in dictionaries.
    footers: Vec<Footer>,
    // Of each part, once its first granule was read.
    streams: Vec<Option<Stream>>,
    texts: Texts,
    // A column that has more texts than a dictionary may.
    too_many: Option<String>,
    loaded: HashMap<(usize, u64), (Arc<Loaded>, u64)>,
    uses: u64,
}

impl<'a> Source<'a> {
    fn new(job: &'a Job<'a>, columns: &'a Columns) -> Result<Self, StoreError> {
        // What is kept may depend on the service, which is read as it is.
        let wanted = |name: &str| columns.coded.contains(name) && name != column::SERVICE;
        let footers = job.parts.iter().map(|part| part.coded_footer(wanted)).collect::<Result<Vec<Footer>, _>>()?;
        let (loaded, texts) = (HashMap::new(), Texts::default());
        let streams = job.parts.iter().map(|_| None).collect();
        Ok(Self { job, columns, footers, streams, texts, too_many: None, loaded, uses: 0 })
    }

    // Rows of a part in the new part's columns.
    fn shaped(&mut self, rows: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::Dictionary(..));
        let mut numbers: HashMap<&str, ArrayRef> = HashMap::new();
        let mut rest = Vec::new();
        for (place, field) in rows.schema_ref().fields().iter().enumerate() {
            let Some(name) = self.columns.coded.get(field.name()).filter(|_| is_text(field.data_type())) else {
                rest.push(place);
                continue;
            };
            let dictionary = self.texts.entry(name);
            let Some(array) = dictionary.encode_any(rows.column(place), self.columns.bytes_max) else {
                self.too_many = Some(name.clone());
                return Err(StoreError::Closed { reason: format!("{name:?} has too many texts") });
            };
            numbers.insert(name, Arc::new(array));
        }
        let rest = rows.project(&rest).and_then(|rest| self.columns.rest.apply(&rest)).map_err(failed)?;
        let mut rest = rest.columns().iter();
        let absent = || new_null_array(&DataType::UInt32, rows.num_rows());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.schema.fields().len());
        for field in self.columns.schema.fields() {
            arrays.push(if self.columns.coded.contains(field.name()) {
                // Its dictionary is there even if no row has a text.
                self.texts.entry(field.name());
                numbers.remove(field.name().as_str()).unwrap_or_else(absent)
            } else {
                rest.next().cloned().unwrap_or_else(|| new_null_array(field.data_type(), rows.num_rows()))
            });
        }
        RecordBatch::try_new(Arc::clone(&self.columns.coded_schema), arrays).map_err(failed)
    }

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
        let rows = self.read(part, granule as usize)?;
        let keep = self.job.keep.mask(&rows)?;
        let rows = self.shaped(&rows)?;
        let loaded = Arc::new(Loaded { keys: keys(self.job.name.table, &rows), rows, keep });
        self.loaded.insert((part, granule), (Arc::clone(&loaded), self.uses));
        Ok(loaded)
    }

    // Mostly one after the other; spans of a trace may lie further ahead or behind.
    fn read(&mut self, part: usize, granule: usize) -> Result<RecordBatch, StoreError> {
        let (of, stream) = (&self.job.parts[part], &mut self.streams[part]);
        let stream = match stream {
            Some(stream) => stream,
            None => stream.insert(of.stream(&self.footers[part])?),
        };
        match stream.next_granule() == granule {
            true => of.read_next(stream),
            false => of.read_coded(&self.footers[part], granule),
        }
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
            output.add(&loaded, row, &source.texts)?;
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
        output.add(&loaded, row, &source.texts)?;
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
    columns: &'a Columns,
    granule_rows: usize,
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
    fn new(job: &'a Job<'a>, columns: &'a Columns) -> Result<Self, StoreError> {
        let (mut rows, mut bytes) = (0, 0);
        for part in job.parts {
            rows += part.rows() as usize;
            bytes += part.decoded_bytes()?;
        }
        let granule_rows = granule_rows(rows, bytes);
        let (picked, granules) = (Vec::with_capacity(granule_rows), Vec::new());
        Ok(Output {
            job,
            columns,
            granule_rows,
            writer: None,
            picked,
            granules,
            series: Vec::new(),
            rows: 0,
            dropped: 0,
        })
    }

    fn add(&mut self, granule: &Arc<Loaded>, row: usize, texts: &Texts) -> Result<(), StoreError> {
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
        if self.picked.len() == self.granule_rows { self.write(texts) } else { Ok(()) }
    }

    fn write(&mut self, texts: &Texts) -> Result<(), StoreError> {
        if self.picked.is_empty() {
            return Ok(());
        }
        (self.job.goes_on)()?;
        let batches: Vec<&RecordBatch> = self.granules.iter().map(|granule| &granule.rows).collect();
        let rows = interleave_record_batch(&batches, &self.picked).map_err(failed)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let Columns { schema, same, .. } = self.columns;
                let layout = Layout { schema: Arc::clone(schema), same: same.clone(), granule_rows: self.granule_rows };
                self.writer.insert(PartWriter::begin(&self.job.place, self.job.name.clone(), layout)?)
            }
        };
        writer.add(&rows, texts)?;
        self.picked.clear();
        self.granules.clear();
        Ok(())
    }

    fn finish(mut self, texts: &Texts) -> Result<Merged, StoreError> {
        self.write(texts)?;
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
        let part = writer.finish(flush::sorted_by(self.job.name.table), series.as_ref(), texts)?;
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
