//! Writes a part: its Parquet files, its index, its meta, all durable when it returns. Called by the flush, and granule by granule
//! by a merge.
//!
//! A part that was cut short by an error or a crash is listed nowhere, and removed.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array as _, AsArray as _, RecordBatch, UInt32Array};
use arrow::compute::{max, min, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef, TimestampNanosecondType, UInt64Type};
use arrow::error::ArrowError;
use model::Clock;
use model::stats::Seconds;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::chunk::{CodedChunk, LEVEL, Zstd};
use super::decimals;
use super::meta::{FORMAT, FORMAT_OF_ALL_COLUMNS, FileMeta, GranuleMeta, Meta};
use super::sums::{Builder, Sums};
use super::{
    INDEX_FILE, META_FILE, Opened, PARTS_DIR, Part, PartName, ROWS_FILE, SERIES_FILE, SUMS_FILE, VALUES_KEY,
    granule_rows,
};
use crate::disk::{AppendFile, Disk};
use crate::schema::texts::{Dictionary, Texts};
use crate::schema::{Table, column, is_attribute, is_never_coded};
use crate::text::IndexBuilder;
use crate::{StoreError, limits};

/// Bytes gathered before they are handed to the disk.
const WRITE_BYTES: usize = 256 << 10;

/// Where parts are written.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) data_directory: &'a Path,
    /// Remembers what is open of the new part.
    pub(crate) opened: &'a Arc<Opened>,
}

/// What a part is made of.
pub(crate) struct Contents<'a> {
    /// The columns of the part.
    pub(crate) schema: &'a SchemaRef,
    /// Columns that are the same as others.
    pub(crate) same: &'a BTreeMap<String, String>,
    /// The rows, in any order, with these columns; some may have numbers instead of texts.
    pub(crate) rows: &'a RecordBatch,
    /// The texts of columns of numbers.
    pub(crate) texts: &'a Texts,
    /// Which of them, in the order in which the part will hold them. Not empty.
    pub(crate) order: &'a [u32],
    /// The columns that the order follows.
    pub(crate) sorted_by: &'a [&'a str],
    /// Of points: the series they belong to, by ascending `series_id`.
    pub(crate) series: Option<&'a RecordBatch>,
}

/// Writes a part and opens it. After an error nothing is left of it, unless the disk refuses that too.
pub(crate) fn write(place: &Place<'_>, name: PartName, contents: &Contents<'_>) -> Result<Arc<Part>, StoreError> {
    let granule_rows = granule_rows(contents.rows.num_rows(), contents.rows.get_array_memory_size());
    let layout = Layout { schema: Arc::clone(contents.schema), same: contents.same.clone(), granule_rows };
    let mut writer = PartWriter::begin(place, name, layout)?;
    for order in contents.order.chunks(granule_rows) {
        // A granule is copied out at a time: a sorted copy of everything would double what the flush holds.
        let granule = take_record_batch(contents.rows, &UInt32Array::from(order.to_vec()));
        let granule = granule.map_err(|source| StoreError::Columns { operation: "sort rows", source })?;
        writer.add(&granule, contents.texts)?;
    }
    writer.finish(contents.sorted_by, contents.series, contents.texts)
}

/// How the rows of a part are laid out.
pub(crate) struct Layout {
    /// The columns of the part, but for those that are the same as others.
    pub(crate) schema: SchemaRef,
    /// Columns that are not written, and those that they are the same as.
    pub(crate) same: BTreeMap<String, String>,
    /// Rows of each granule, but for the last one.
    pub(crate) granule_rows: usize,
}

/// A part under construction. Dropped before it is finished, nothing is left of it.
pub(crate) struct PartWriter {
    files: Unfinished,
    rows: ParquetFile,
    granule_rows: usize,
    granules: Vec<GranuleMeta>,
    same: BTreeMap<String, String>,
    // Whether doubles that are decimal numbers have columns of their own.
    has_decimals: bool,
    index: Option<Index>,
}

struct Unfinished {
    disk: Arc<dyn Disk>,
    opened: Arc<Opened>,
    data_directory: PathBuf,
    name: PartName,
    directory: PathBuf,
    is_finished: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            discard(self.disk.as_ref(), &self.directory);
        }
    }
}

impl PartWriter {
    /// Begins a part.
    pub(crate) fn begin(place: &Place<'_>, name: PartName, layout: Layout) -> Result<PartWriter, StoreError> {
        let Layout { schema, same, granule_rows } = layout;
        let has_decimals = name.table == Table::Points && schema.index_of(column::VALUE_DOUBLE).is_ok();
        let schema = if has_decimals { decimals::with_decimals(&schema) } else { schema };
        let directory = name.directory(place.data_directory);
        make_empty(place.disk.as_ref(), &directory)?;
        // Points are found by their series, whose table is small; there is nothing in them that words would narrow.
        let index = (name.table != Table::Points).then(|| Index::new(granule_rows, place.clock));
        let files = Unfinished {
            disk: Arc::clone(place.disk),
            opened: Arc::clone(place.opened),
            data_directory: place.data_directory.to_path_buf(),
            name,
            directory,
            is_finished: false,
        };
        let are_coded = matches!(files.name.table, Table::Logs | Table::Spans);
        let path = files.directory.join(ROWS_FILE);
        let rows = ParquetFile::create(files.disk.as_ref(), path, schema, are_coded, granule_rows)?;
        Ok(PartWriter { files, rows, granule_rows, granules: Vec::new(), same, has_decimals, index })
    }

    /// Adds the next granule: as many rows as the layout says, fewer only in the last one. It has the part's columns, but for those that have
    /// numbers of `texts`: which these are stays the same.
    pub(crate) fn add(&mut self, granule: &RecordBatch, texts: &Texts) -> Result<(), StoreError> {
        if self.has_decimals {
            let split = decimals::split(granule, decimals::choose_scale(granule));
            let split = split.map_err(|source| StoreError::Columns { operation: "split decimals off", source })?;
            self.rows.write(&split, texts)?;
        } else {
            self.rows.write(granule, texts)?;
        }
        self.granules.push(granule_meta(granule));
        if let Some(index) = &mut self.index {
            index.add(granule, texts);
        }
        Ok(())
    }

    /// Makes everything durable and opens the part. Of points: `series` are those that the rows name, by ascending `series_id`.
    pub(crate) fn finish(
        self,
        sorted_by: &[&str],
        series: Option<&RecordBatch>,
        texts: &Texts,
    ) -> Result<Arc<Part>, StoreError> {
        let PartWriter { files: mut unfinished, mut rows, granule_rows, granules, same, index, .. } = self;
        for (name, written) in &same {
            let values = rows.values.get(written).copied().unwrap_or(0);
            rows.values.insert(name.clone(), values);
        }
        let (disk, directory) = (Arc::clone(&unfinished.disk), unfinished.directory.clone());
        let mut written = vec![(ROWS_FILE, rows.finish(texts)?)];
        if let Some(series) = series {
            let path = directory.join(SERIES_FILE);
            let mut writer = ParquetFile::create(disk.as_ref(), path, series.schema(), false, limits::GRANULE_ROWS)?;
            writer.write(series, texts)?;
            written.push((SERIES_FILE, writer.finish(texts)?));
        }
        if let Some(bytes) = index.and_then(|index| index.finish(&unfinished.opened.index_seconds)) {
            written.push((INDEX_FILE, write_whole(disk.as_ref(), &directory.join(INDEX_FILE), &bytes)?));
        }
        let mut files: BTreeMap<String, FileMeta> =
            written.iter().map(|(name, file)| ((*name).to_owned(), file.meta)).collect();
        let sums = written.into_iter().map(|(name, file)| (name.to_owned(), file.sums)).collect();
        let sums = write_whole(disk.as_ref(), &directory.join(SUMS_FILE), &Sums::new(sums).to_bytes())?;
        files.insert(SUMS_FILE.to_owned(), sums.meta);
        // Of points, columns without a value are left out.
        let is_plain =
            same.is_empty() && unfinished.name.table != Table::Points && granule_rows == limits::GRANULE_ROWS;
        let format = if is_plain { FORMAT_OF_ALL_COLUMNS } else { FORMAT };
        let meta = Meta { format, same, ..summary(sorted_by, granule_rows, granules, files) };
        let json = serde_json::to_vec_pretty(&meta).expect("numbers and texts can always be written as JSON");
        write_whole(disk.as_ref(), &directory.join(META_FILE), &json)?;
        sync_up(disk.as_ref(), &unfinished.data_directory, &directory)?;
        let (name, crc32) = (unfinished.name.clone(), Some(crc32fast::hash(&json)));
        let part = Part::open(&disk, &unfinished.data_directory, name, crc32, &unfinished.opened)?;
        unfinished.is_finished = true;
        Ok(part)
    }
}

/// Removes a part that nobody refers to. A failed flush is tried again with new names: on a full disk, what it leaves behind
/// must not be what fills it.
pub(crate) fn discard(disk: &dyn Disk, directory: &Path) {
    match disk.remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %directory.display(), %error, "a part that was not finished cannot be removed");
        }
        _ => {}
    }
}

fn make_empty(disk: &dyn Disk, directory: &Path) -> Result<(), StoreError> {
    match disk.remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::disk("remove", directory)(error));
        }
        _ => {}
    }
    disk.create_dir_all(directory).map_err(StoreError::disk("create", directory))
}

// Makes the names of the part's files durable, and those of every folder above that may be new.
fn sync_up(disk: &dyn Disk, data_directory: &Path, directory: &Path) -> Result<(), StoreError> {
    let inside = directory.ancestors().take_while(|folder| folder.starts_with(data_directory.join(PARTS_DIR)));
    for folder in inside.chain([data_directory]) {
        disk.sync_dir(folder).map_err(StoreError::disk("sync", folder))?;
    }
    Ok(())
}

fn granule_meta(rows: &RecordBatch) -> GranuleMeta {
    let times = rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>();
    let seqs = rows[column::INGEST_SEQ].as_primitive::<UInt64Type>();
    // Exemplars name their series too, but are not sorted by it.
    let series = rows.column_by_name(column::SERIES_ID).filter(|_| rows.column_by_name(column::ORDINAL).is_none());
    let series = series.map(|ids| ids.as_primitive::<UInt64Type>());
    GranuleMeta {
        rows: rows.num_rows() as u32,
        time_min: min(times).unwrap_or(0),
        time_max: max(times).unwrap_or(0),
        seq_min: min(seqs).unwrap_or(0),
        seq_max: max(seqs).unwrap_or(0),
        series: series.and_then(|ids| Some((min(ids)?, max(ids)?))),
    }
}

fn summary(
    sorted_by: &[&str],
    granule_rows: usize,
    granules: Vec<GranuleMeta>,
    files: BTreeMap<String, FileMeta>,
) -> Meta {
    Meta {
        format: FORMAT_OF_ALL_COLUMNS,
        rows: granules.iter().map(|granule| u64::from(granule.rows)).sum(),
        time_min: granules.iter().map(|granule| granule.time_min).min().unwrap_or(0),
        time_max: granules.iter().map(|granule| granule.time_max).max().unwrap_or(0),
        seq_min: granules.iter().map(|granule| granule.seq_min).min().unwrap_or(0),
        seq_max: granules.iter().map(|granule| granule.seq_max).max().unwrap_or(0),
        sorted_by: sorted_by.iter().map(|name| (*name).to_owned()).collect(),
        granule_rows: granule_rows as u64,
        granules,
        same: BTreeMap::new(),
        files,
    }
}

// The index of a part, or none once it failed: all of it happens in memory, so a failure is a defect, and rows must not wait
// in the head for its repair. A part without an index is only slower.
struct Index {
    builder: Option<IndexBuilder>,
    clock: Arc<dyn Clock>,
    took: Duration,
}

impl Index {
    fn new(granule_rows: usize, clock: &Arc<dyn Clock>) -> Self {
        let builder = checked(IndexBuilder::new(granule_rows));
        Index { builder, clock: Arc::clone(clock), took: Duration::ZERO }
    }

    fn add(&mut self, granule: &RecordBatch, texts: &Texts) {
        let began = self.clock.monotonic();
        if let Some(builder) = &mut self.builder
            && let Err(error) = builder.add_granule(granule, texts)
        {
            self.builder = checked(Err(error));
        }
        self.took += self.clock.monotonic() - began;
    }

    fn finish(self, seconds: &Seconds) -> Option<Vec<u8>> {
        let began = self.clock.monotonic();
        let bytes = checked(self.builder?.finish());
        seconds.observe(self.took + (self.clock.monotonic() - began));
        bytes
    }
}

fn checked<T>(result: tantivy::Result<T>) -> Option<T> {
    result.inspect_err(|error| tracing::error!(%error, "a part is written without its index")).ok()
}

// A Parquet file under construction. It has the columns of `schema`; rows may have numbers of a dictionary where it has texts.
struct ParquetFile {
    path: PathBuf,
    schema: SchemaRef,
    writer: SerializedFileWriter<Sink>,
    groups: ArrowRowGroupWriterFactory,
    group: Option<Group>,
    zstd: Zstd,
    // Of each attribute's column, and of the one that an attribute may be the same as, how many there are.
    values: BTreeMap<String, u64>,
}

// A row group under construction.
struct Group {
    rows: usize,
    columns: Vec<Column>,
}

enum Column {
    // One for each leaf.
    Plain(Vec<ArrowColumnWriter>),
    Coded(CodedChunk),
}

impl ParquetFile {
    // If texts that are few come as numbers, those that come as texts are many.
    fn create(
        disk: &dyn Disk,
        path: PathBuf,
        schema: SchemaRef,
        are_coded: bool,
        page_rows: usize,
    ) -> Result<Self, StoreError> {
        let sink = Sink::create(disk, &path)?;
        let begin = || -> Result<_, ParquetError> {
            let mut properties = properties(&schema, are_coded, page_rows);
            add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
            let root = ArrowSchemaConverter::new().convert(&schema)?.root_schema_ptr();
            let writer = SerializedFileWriter::new(sink, root, Arc::new(properties))?;
            let groups = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&schema));
            Ok((writer, groups, Zstd::new()?))
        };
        let (writer, groups, zstd) = begin().map_err(parquet_failed(&path))?;
        Ok(Self { path, schema, writer, groups, group: None, zstd, values: BTreeMap::new() })
    }

    fn write(&mut self, rows: &RecordBatch, texts: &Texts) -> Result<(), StoreError> {
        for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            if is_attribute(field.name()) || field.name() == column::CORRELATION_ID {
                let values = (array.len() - array.null_count()) as u64;
                match self.values.get_mut(field.name()) {
                    Some(known) => *known += values,
                    None => _ = self.values.insert(field.name().clone(), values),
                }
            }
        }
        let mut start = 0;
        while start < rows.num_rows() {
            let room = limits::ROW_GROUP_ROWS - self.group.as_ref().map_or(0, |group| group.rows);
            let piece = rows.slice(start, room.min(rows.num_rows() - start));
            self.write_piece(&piece, texts).map_err(parquet_failed(&self.path))?;
            start += piece.num_rows();
            if self.group.as_ref().is_some_and(Group::is_full) {
                self.close_group(texts).map_err(parquet_failed(&self.path))?;
            }
        }
        Ok(())
    }

    fn write_piece(&mut self, rows: &RecordBatch, texts: &Texts) -> Result<(), ParquetError> {
        let group = match &mut self.group {
            Some(group) => group,
            None => self.group.insert(Group::begin(&self.writer, &self.groups, &self.schema, rows)?),
        };
        group.rows += rows.num_rows();
        for ((field, array), column) in self.schema.fields().iter().zip(rows.columns()).zip(&mut group.columns) {
            match column {
                Column::Plain(leaves) => {
                    for (leaf, writer) in compute_leaves(field, array)?.iter().zip(leaves) {
                        writer.write(leaf)?;
                    }
                }
                Column::Coded(chunk) => {
                    chunk.write(array.as_primitive(), dictionary(texts, field.name())?, &mut self.zstd)?;
                }
            }
        }
        Ok(())
    }

    fn close_group(&mut self, texts: &Texts) -> Result<(), ParquetError> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let mut writer = self.writer.next_row_group()?;
        for (field, column) in self.schema.fields().iter().zip(group.columns) {
            match column {
                Column::Plain(leaves) => {
                    leaves.into_iter().try_for_each(|leaf| leaf.close()?.append_to_row_group(&mut writer))?;
                }
                Column::Coded(chunk) => {
                    let (bytes, close) = chunk.finish(dictionary(texts, field.name())?, &mut self.zstd)?;
                    writer.append_column(&bytes, close)?;
                }
            }
        }
        writer.close().map(|_| ())
    }

    fn finish(mut self, texts: &Texts) -> Result<Written, StoreError> {
        self.close_group(texts).map_err(parquet_failed(&self.path))?;
        let values = serde_json::to_string(&self.values).expect("texts and numbers can always be written as JSON");
        self.writer.append_key_value_metadata(KeyValue::new(VALUES_KEY.to_owned(), values));
        let sink = self.writer.into_inner().map_err(parquet_failed(&self.path))?;
        sink.finish().map_err(StoreError::disk("sync", &self.path))
    }
}

impl Group {
    fn is_full(&self) -> bool {
        let bytes = self.columns.iter().map(|column| match column {
            Column::Plain(leaves) => leaves.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum(),
            Column::Coded(chunk) => chunk.compressed_bytes(),
        });
        self.rows >= limits::ROW_GROUP_ROWS || bytes.sum::<usize>() >= limits::ROW_GROUP_BYTES
    }

    // Columns of numbers where the file has texts are written by their numbers.
    fn begin(
        writer: &SerializedFileWriter<Sink>,
        groups: &ArrowRowGroupWriterFactory,
        schema: &SchemaRef,
        rows: &RecordBatch,
    ) -> Result<Group, ParquetError> {
        let description = writer.schema_descr();
        let mut leaves =
            groups.create_column_writers(writer.flushed_row_groups().len())?.into_iter().enumerate().peekable();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (root, (field, array)) in schema.fields().iter().zip(rows.columns()).enumerate() {
            let mut own = Vec::new();
            while let Some(leaf) = leaves.next_if(|(leaf, _)| description.get_column_root_idx(*leaf) == root) {
                own.push(leaf);
            }
            columns.push(match &own[..] {
                [(leaf, _)] if array.data_type() != field.data_type() => {
                    Column::Coded(CodedChunk::new(description.column(*leaf)))
                }
                _ => Column::Plain(own.into_iter().map(|(_, writer)| writer).collect()),
            });
        }
        Ok(Group { rows: 0, columns })
    }
}

fn dictionary<'t>(texts: &'t Texts, column: &str) -> Result<&'t Dictionary, ParquetError> {
    texts.get(column).ok_or_else(|| ParquetError::General(format!("there are no texts for the numbers of {column:?}")))
}

fn write_whole(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<Written, StoreError> {
    let mut sink = Sink::create(disk, path)?;
    sink.write_all(bytes).map_err(StoreError::disk("write", path))?;
    sink.finish().map_err(StoreError::disk("sync", path))
}

// Gathers what is written, counts it and sums it up.
struct Sink {
    file: Box<dyn AppendFile>,
    buffer: Vec<u8>,
    crc: crc32fast::Hasher,
    sums: Builder,
    bytes: u64,
}

// What is known of a file that is written.
struct Written {
    meta: FileMeta,
    sums: Vec<u32>,
}

impl Sink {
    fn create(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        let file = disk.create(path).map_err(StoreError::disk("create", path))?;
        let (buffer, sums) = (Vec::with_capacity(WRITE_BYTES), Builder::default());
        Ok(Self { file, buffer, crc: crc32fast::Hasher::new(), sums, bytes: 0 })
    }

    fn finish(mut self) -> io::Result<Written> {
        self.flush()?;
        self.file.sync()?;
        let meta = FileMeta { bytes: self.bytes, crc32: self.crc.finalize() };
        Ok(Written { meta, sums: self.sums.finish() })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > WRITE_BYTES {
            self.flush()?;
        }
        self.crc.update(bytes);
        self.sums.update(bytes);
        self.bytes += bytes.len() as u64;
        if bytes.len() >= WRITE_BYTES {
            self.file.append(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.append(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

fn properties(schema: &SchemaRef, are_coded: bool, page_rows: usize) -> WriterProperties {
    let level = ZstdLevel::try_new(LEVEL).expect("zstd has a level 1");
    let mut builder = WriterProperties::builder()
        .set_created_by("sextant".to_owned())
        .set_compression(Compression::ZSTD(level))
        // A page ends where a granule ends, and nowhere else.
        .set_data_page_row_count_limit(page_rows)
        .set_data_page_size_limit(usize::MAX)
        // A column with more distinct values than fit is written as it is from there on: filling a large dictionary in vain
        // costs more than it saves.
        .set_dictionary_page_size_limit(limits::DICTIONARY_BYTES_MAX)
        // Least and greatest values of texts would cost two comparisons a value; nobody prunes by them.
        .set_statistics_enabled(EnabledStatistics::None);
    for field in schema.fields() {
        let name = field.name().as_str();
        let path = || ColumnPath::from(name);
        match field.data_type() {
            DataType::Timestamp(..) => {
                builder = builder
                    .set_column_dictionary_enabled(path(), false)
                    .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
            }
            DataType::UInt64 | DataType::Int64 if PLAIN_NUMBERS.contains(&name) => {
                builder = builder
                    .set_column_dictionary_enabled(path(), false)
                    .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
            }
            DataType::Float64 if name != column::ZERO_THRESHOLD && !is_attribute(name) => {
                builder = builder
                    .set_column_dictionary_enabled(path(), false)
                    .set_column_encoding(path(), Encoding::BYTE_STREAM_SPLIT);
            }
            // Values that hardly repeat, or repeat side by side where zstd finds them: a dictionary would be filled in vain.
            DataType::FixedSizeBinary(_) => builder = builder.set_column_dictionary_enabled(path(), false),
            DataType::Utf8 if are_coded || is_never_coded(name) => {
                builder = builder.set_column_dictionary_enabled(path(), false);
            }
            _ => {}
        }
        if [column::TIMESTAMP, column::INGEST_SEQ, column::SERIES_ID].contains(&name) {
            builder = builder.set_column_statistics_enabled(path(), EnabledStatistics::Page);
        }
    }
    builder.build()
}

// Numbers that grow or spread, unlike counts of what was dropped.
const PLAIN_NUMBERS: [&str; 6] = [
    column::INGEST_SEQ,
    column::DURATION_NS,
    column::COUNT,
    column::SERIES_CHECK,
    column::VALUE_INT,
    column::VALUE_UNITS,
];

// The disk's own error comes back out of Parquet's; any other is a defect.
fn parquet_failed(path: &Path) -> impl FnOnce(ParquetError) -> StoreError {
    move |error| {
        let source = match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(source) => return StoreError::disk("write", path)(*source),
                Err(source) => ArrowError::ExternalError(source),
            },
            error => ArrowError::from(error),
        };
        StoreError::Columns { operation: "write columns", source }
    }
}
