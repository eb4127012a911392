//! Writes a part: its Parquet files, its index, its meta, all durable when it returns. Called by the flush.
//!
//! A part that was cut short by an error or a crash is listed nowhere, and removed.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch, UInt32Array};
use arrow::compute::{max, min, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef, TimestampNanosecondType, UInt64Type};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::meta::{FORMAT, FileMeta, GranuleMeta, Meta};
use super::{INDEX_FILE, META_FILE, PARTS_DIR, Part, PartName, ROWS_FILE, SERIES_FILE};
use crate::disk::{AppendFile, Disk};
use crate::schema::{Table, column};
use crate::text::IndexBuilder;
use crate::{StoreError, limits};

/// Bytes gathered before they are handed to the disk.
const WRITE_BYTES: usize = 256 << 10;

/// What a part is made of.
pub(crate) struct Contents<'a> {
    /// The rows, in any order.
    pub(crate) rows: &'a RecordBatch,
    /// Which of them, in the order in which the part will hold them. Not empty.
    pub(crate) order: &'a [u32],
    /// The columns that the order follows.
    pub(crate) sorted_by: &'a [&'a str],
    /// Of points: the series they belong to, by ascending `series_id`.
    pub(crate) series: Option<&'a RecordBatch>,
}

/// Writes a part and opens it. After an error nothing is left of it, unless the disk refuses that too.
pub(crate) fn write(
    disk: &Arc<dyn Disk>,
    data_directory: &Path,
    name: PartName,
    contents: &Contents<'_>,
) -> Result<Arc<Part>, StoreError> {
    let directory = name.directory(data_directory);
    write_files(disk, data_directory, name, contents).inspect_err(|_| discard(disk.as_ref(), &directory))
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

fn write_files(
    disk: &Arc<dyn Disk>,
    data_directory: &Path,
    name: PartName,
    contents: &Contents<'_>,
) -> Result<Arc<Part>, StoreError> {
    let directory = name.directory(data_directory);
    make_empty(disk.as_ref(), &directory)?;
    let mut files = BTreeMap::new();
    // Points are found by their series, whose table is small; there is nothing in them that words would narrow.
    let mut index = (name.table != Table::Points).then(Index::new);
    let (rows_file, granules) = write_rows(disk.as_ref(), &directory.join(ROWS_FILE), contents, index.as_mut())?;
    files.insert(ROWS_FILE.to_owned(), rows_file);
    if let Some(series) = contents.series {
        let path = directory.join(SERIES_FILE);
        let mut writer = ParquetFile::create(disk.as_ref(), &path, series.schema())?;
        writer.write(series)?;
        files.insert(SERIES_FILE.to_owned(), writer.finish()?);
    }
    if let Some(bytes) = index.and_then(Index::finish) {
        files.insert(INDEX_FILE.to_owned(), write_whole(disk.as_ref(), &directory.join(INDEX_FILE), &bytes)?);
    }
    let meta = summary(contents, granules, files);
    let json = serde_json::to_vec_pretty(&meta).expect("numbers and texts can always be written as JSON");
    write_whole(disk.as_ref(), &directory.join(META_FILE), &json)?;
    sync_up(disk.as_ref(), data_directory, &directory)?;
    Part::open(disk, data_directory, name)
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

fn write_rows(
    disk: &dyn Disk,
    path: &Path,
    contents: &Contents<'_>,
    mut index: Option<&mut Index>,
) -> Result<(FileMeta, Vec<GranuleMeta>), StoreError> {
    let mut writer = ParquetFile::create(disk, path, contents.rows.schema())?;
    let mut granules = Vec::with_capacity(contents.order.len().div_ceil(limits::GRANULE_ROWS));
    for order in contents.order.chunks(limits::GRANULE_ROWS) {
        // A granule is copied out at a time: a sorted copy of everything would double what the flush holds.
        let granule = take_record_batch(contents.rows, &UInt32Array::from(order.to_vec()));
        let granule = granule.map_err(|source| StoreError::Columns { operation: "sort rows", source })?;
        writer.write(&granule)?;
        granules.push(granule_meta(&granule));
        if let Some(index) = &mut index {
            index.add(&granule);
        }
    }
    Ok((writer.finish()?, granules))
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

fn summary(contents: &Contents<'_>, granules: Vec<GranuleMeta>, files: BTreeMap<String, FileMeta>) -> Meta {
    Meta {
        format: FORMAT,
        rows: contents.order.len() as u64,
        time_min: granules.iter().map(|granule| granule.time_min).min().unwrap_or(0),
        time_max: granules.iter().map(|granule| granule.time_max).max().unwrap_or(0),
        seq_min: granules.iter().map(|granule| granule.seq_min).min().unwrap_or(0),
        seq_max: granules.iter().map(|granule| granule.seq_max).max().unwrap_or(0),
        sorted_by: contents.sorted_by.iter().map(|name| (*name).to_owned()).collect(),
        granule_rows: limits::GRANULE_ROWS as u64,
        granules,
        files,
    }
}

// The index of a part, or none once it failed: all of it happens in memory, so a failure is a defect, and rows must not wait
// in the head for its repair. A part without an index is only slower.
struct Index(Option<IndexBuilder>);

impl Index {
    fn new() -> Self {
        let mut index = Index(None);
        index.0 = index.checked(IndexBuilder::new());
        index
    }

    fn add(&mut self, granule: &RecordBatch) {
        if let Some(builder) = &mut self.0
            && let Err(error) = builder.add_granule(granule)
        {
            self.0 = self.checked(Err(error));
        }
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        let bytes = self.0.take()?.finish();
        self.checked(bytes)
    }

    fn checked<T>(&self, result: tantivy::Result<T>) -> Option<T> {
        result.inspect_err(|error| tracing::error!(%error, "a part is written without its index")).ok()
    }
}

// A Parquet file under construction.
struct ParquetFile<'a> {
    path: &'a Path,
    writer: ArrowWriter<Sink>,
}

impl<'a> ParquetFile<'a> {
    fn create(disk: &dyn Disk, path: &'a Path, schema: SchemaRef) -> Result<Self, StoreError> {
        let sink = Sink::create(disk, path)?;
        let properties = properties(&schema);
        let writer = ArrowWriter::try_new(sink, schema, Some(properties)).map_err(parquet_failed(path))?;
        Ok(Self { path, writer })
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), StoreError> {
        self.writer.write(rows).map_err(parquet_failed(self.path))
    }

    fn finish(self) -> Result<FileMeta, StoreError> {
        let sink = self.writer.into_inner().map_err(parquet_failed(self.path))?;
        sink.finish().map_err(StoreError::disk("sync", self.path))
    }
}

fn write_whole(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<FileMeta, StoreError> {
    let mut sink = Sink::create(disk, path)?;
    sink.write_all(bytes).map_err(StoreError::disk("write", path))?;
    sink.finish().map_err(StoreError::disk("sync", path))
}

// Gathers what is written, counts it and sums it up.
struct Sink {
    file: Box<dyn AppendFile>,
    buffer: Vec<u8>,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl Sink {
    fn create(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        let file = disk.create(path).map_err(StoreError::disk("create", path))?;
        Ok(Self { file, buffer: Vec::with_capacity(WRITE_BYTES), crc: crc32fast::Hasher::new(), bytes: 0 })
    }

    fn finish(mut self) -> io::Result<FileMeta> {
        self.flush()?;
        self.file.sync()?;
        Ok(FileMeta { bytes: self.bytes, crc32: self.crc.finalize() })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > WRITE_BYTES {
            self.flush()?;
        }
        self.crc.update(bytes);
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

fn properties(schema: &SchemaRef) -> WriterProperties {
    let level = ZstdLevel::try_new(1).expect("zstd has a level 1");
    let mut builder = WriterProperties::builder()
        .set_created_by("sextant".to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(limits::ROW_GROUP_ROWS))
        // A page ends where a granule ends, and nowhere else.
        .set_data_page_row_count_limit(limits::GRANULE_ROWS)
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
            DataType::UInt64 if PLAIN_NUMBERS.contains(&name) => {
                builder = builder
                    .set_column_dictionary_enabled(path(), false)
                    .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
            }
            DataType::Float64 if name != column::ZERO_THRESHOLD && !crate::schema::is_attribute(name) => {
                builder = builder
                    .set_column_dictionary_enabled(path(), false)
                    .set_column_encoding(path(), Encoding::BYTE_STREAM_SPLIT);
            }
            // Values that hardly repeat, or repeat side by side where zstd finds them: a dictionary would be filled in vain.
            DataType::FixedSizeBinary(_) => builder = builder.set_column_dictionary_enabled(path(), false),
            DataType::Utf8 if name == column::BODY || name == column::CORRELATION_ID => {
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
const PLAIN_NUMBERS: [&str; 4] = [column::INGEST_SEQ, column::DURATION_NS, column::COUNT, column::SERIES_CHECK];

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
