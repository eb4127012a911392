//! Reads rows of a part, a granule at a time. Called by granules of snapshots.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use arrow::array::{ArrayRef, AsArray as _, RecordBatch, RecordBatchReader as _, UInt32Array, new_null_array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, UInt64Type};
use bytes::Bytes;
use model::threads;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::{ChunkReader, Length};

use super::decimals;
use super::sums::{Checked, Sums};
use super::{INDEX_FILE, META_FILE, Part, ROWS_FILE, SERIES_FILE, SUMS_FILE, VALUES_KEY};
use crate::disk::{Disk, ReadFile, read_file};
use crate::schema::{Table, column, point_fields};
use crate::text::Index;
use crate::{Projection, StoreError};

/// Bytes read ahead where Parquet asks for no certain number.
const READ_BYTES: usize = 16 << 10;
/// Bytes read at a time to compare a file with its checksum.
const VERIFY_BYTES: usize = 1 << 20;

// What stays in memory of a part's rows: the footer and the places of the pages.
pub(crate) type Footer = ArrowReaderMetadata;

/// Reads granules in their order.
pub(crate) struct Stream {
    reader: ParquetRecordBatchReader,
    next: usize,
}

impl Stream {
    /// The granule that comes next.
    pub(crate) fn next_granule(&self) -> usize {
        self.next
    }
}

/// A row group of a part's rows.
pub(crate) struct RowGroup {
    number: usize,
    first_row: u64,
    rows: usize,
    /// The granules that it holds.
    pub(crate) granules: Range<usize>,
}

impl RowGroup {
    /// The rows of one of its granules, counted from the group's first.
    pub(crate) fn rows_of(&self, granule: usize, part: &Part) -> Range<usize> {
        let first = (granule as u64 * part.meta.granule_rows).saturating_sub(self.first_row) as usize;
        let rows = part.meta.granules.get(granule).map_or(0, |meta| meta.rows as usize);
        first..first + rows
    }
}

impl Part {
    /// Rows of a granule as the part keeps them: those in `ranges`, ascending and apart, counted from the granule's first.
    pub fn read(
        &self,
        granule: usize,
        ranges: &[Range<u32>],
        projection: &Projection,
    ) -> Result<RecordBatch, StoreError> {
        let footer = self.rows_footer()?;
        self.read_with(&footer, granule, ranges, projection)
    }

    fn read_with(
        &self,
        footer: &Footer,
        granule: usize,
        ranges: &[Range<u32>],
        projection: &Projection,
    ) -> Result<RecordBatch, StoreError> {
        let group = self.row_group(footer, granule)?;
        let first = group.rows_of(granule, self).start;
        let ranges = ranges.iter().map(|range| first + range.start as usize..first + range.end as usize);
        self.as_given(self.read_written(footer, &group, ranges, projection)?, projection)
    }

    /// Rows of a row group of points, without columns that no point of the part has a value in: those in `ranges`, ascending and apart,
    /// counted from the group's first.
    pub(crate) fn read_group(
        &self,
        footer: &Footer,
        group: &RowGroup,
        ranges: impl Iterator<Item = Range<usize>> + Clone,
        projection: &Projection,
    ) -> Result<RecordBatch, StoreError> {
        self.with_doubles(self.read_written(footer, group, ranges, projection)?)
    }

    // The columns as they are written.
    fn read_written(
        &self,
        footer: &Footer,
        group: &RowGroup,
        ranges: impl Iterator<Item = Range<usize>> + Clone,
        projection: &Projection,
    ) -> Result<RecordBatch, StoreError> {
        let file = self.open_file(ROWS_FILE)?;
        let rows: usize = ranges.clone().map(|range| range.len()).sum();
        let selection = RowSelection::from_consecutive_ranges(ranges, group.rows);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.clone())
            .with_projection(self.mask(footer, projection))
            .with_row_groups(vec![group.number])
            .with_row_selection(selection)
            .with_batch_size(rows.max(1))
            .build()
            .map_err(|error| self.damaged(ROWS_FILE, error))?;
        let schema = reader.schema();
        whole(schema, reader).map_err(|error| self.damaged(ROWS_FILE, error.into()))
    }

    /// The footer of its rows.
    pub(crate) fn rows_footer(&self) -> Result<Arc<Footer>, StoreError> {
        self.footer(&self.open_file(ROWS_FILE)?)
    }

    /// The row group that holds a granule.
    pub(crate) fn row_group(&self, footer: &Footer, granule: usize) -> Result<RowGroup, StoreError> {
        let row = granule as u64 * self.meta.granule_rows;
        let mut first_row = 0;
        for (number, group) in footer.metadata().row_groups().iter().enumerate() {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            if row < first_row + rows {
                let granule_of = |row: u64| usize::try_from(row.div_ceil(self.meta.granule_rows)).unwrap_or(usize::MAX);
                let granules = granule_of(first_row)..granule_of(first_row + rows);
                return Ok(RowGroup { number, first_row, rows: rows as usize, granules });
            }
            first_row += rows;
        }
        Err(self.damaged(ROWS_FILE, ParquetError::EOF(format!("it has no row {row}"))))
    }

    // The columns that are wanted, but for those that only stand in for others.
    fn mask(&self, footer: &Footer, projection: &Projection) -> ProjectionMask {
        let is_decimals = |name: &str| decimals::is_of_decimals(name) && projection.wants(column::VALUE_DOUBLE);
        let stand_in: Vec<&String> =
            self.meta.same.iter().filter(|(name, _)| projection.wants(name)).map(|(_, written)| written).collect();
        let fields = footer.schema().fields().iter().enumerate();
        let wanted = fields.filter(|(_, field)| {
            projection.wants(field.name()) || stand_in.contains(&field.name()) || is_decimals(field.name())
        });
        ProjectionMask::roots(footer.parquet_schema(), wanted.map(|(place, _)| place))
    }

    // The columns as they were given to the writer.
    fn as_given(&self, rows: RecordBatch, projection: &Projection) -> Result<RecordBatch, StoreError> {
        match self.table() {
            Table::Points => with_absent(&self.with_doubles(rows)?, projection),
            _ => self.with_same(rows, projection),
        }
    }

    // Decimals as the doubles that they were before.
    fn with_doubles(&self, rows: RecordBatch) -> Result<RecordBatch, StoreError> {
        if rows.column_by_name(column::VALUE_UNITS).is_none() {
            return Ok(rows);
        }
        let damaged = || self.damaged(ROWS_FILE, ParquetError::General("its decimals are none".to_owned()));
        let doubles = decimals::joined(&rows).ok_or_else(damaged)?;
        let schema = rows.schema();
        let mut columns: Vec<(FieldRef, ArrayRef)> = Vec::with_capacity(rows.num_columns());
        for (field, array) in schema.fields().iter().zip(rows.columns()) {
            match field.name().as_str() {
                column::VALUE_DOUBLE => columns.push((Arc::clone(field), Arc::clone(&doubles))),
                name if decimals::is_of_decimals(name) => {}
                _ => columns.push((Arc::clone(field), Arc::clone(array))),
            }
        }
        let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(|source| StoreError::Columns { operation: "read decimals as doubles", source })
    }

    // Adds the columns that are not written, and leaves out what was read for them alone.
    fn with_same(&self, rows: RecordBatch, projection: &Projection) -> Result<RecordBatch, StoreError> {
        let wanted: Vec<(&String, &String)> =
            self.meta.same.iter().filter(|(name, _)| projection.wants(name)).collect();
        if wanted.is_empty() {
            return Ok(rows);
        }
        let damaged = |what: String| StoreError::Damaged { path: self.path(ROWS_FILE), what };
        let own = rows.schema_ref().fields().iter().zip(rows.columns());
        let mut columns: Vec<(FieldRef, ArrayRef)> = own
            .filter(|(field, _)| projection.wants(field.name()))
            .map(|(field, array)| (Arc::clone(field), Arc::clone(array)))
            .collect();
        for (name, written) in wanted {
            let array = rows.column_by_name(written);
            let array = array.ok_or_else(|| damaged(format!("it has no column {written:?} to read {name:?} from")))?;
            columns.push((Arc::new(Field::new(name, array.data_type().clone(), true)), Arc::clone(array)));
        }
        let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let joined = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
        joined.map_err(|source| StoreError::Columns { operation: "add columns that are the same", source })
    }

    /// All rows of a granule.
    pub(crate) fn read_granule(&self, granule: usize, projection: &Projection) -> Result<RecordBatch, StoreError> {
        let rows = self.meta.granules.get(granule).map_or(0, |meta| meta.rows);
        self.read(granule, std::slice::from_ref(&(0..rows)), projection)
    }

    /// The columns of texts, and whether each has a dictionary everywhere.
    pub(crate) fn text_columns(&self) -> Result<Vec<(String, bool)>, StoreError> {
        let footer = self.rows_footer()?;
        let metadata = footer.metadata();
        let leaves = metadata.file_metadata().schema_descr().columns();
        let has_dictionary = |name: &str| {
            let leaf = leaves.iter().position(|leaf| leaf.path().parts() == [name]);
            leaf.is_some_and(|leaf| {
                metadata.row_groups().iter().all(|group| group.column(leaf).dictionary_page_offset().is_some())
            })
        };
        let texts = footer.schema().fields().iter().filter(|field| field.data_type() == &DataType::Utf8);
        let written = texts.map(|field| (field.name().clone(), has_dictionary(field.name())));
        Ok(written.chain(self.meta.same.keys().map(|name| (name.clone(), false))).collect())
    }

    /// Compressed bytes of each column of its rows.
    pub(crate) fn column_bytes(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let footer = self.rows_footer()?;
        let schema = footer.parquet_schema();
        let groups = footer.metadata().row_groups().iter();
        let chunks = groups.flat_map(|group| group.columns().iter().enumerate());
        let bytes = chunks.map(|(leaf, chunk)| {
            let name = schema.get_column_root(leaf).name().to_owned();
            (name, u64::try_from(chunk.compressed_size()).unwrap_or(0))
        });
        Ok(bytes.collect())
    }

    /// Bytes of all its rows as columns in memory, roughly: texts that have a dictionary are counted as the numbers that merges read.
    pub(crate) fn decoded_bytes(&self) -> Result<usize, StoreError> {
        const OF_OFFSETS_OR_NUMBERS: i64 = 4;
        let footer = self.rows_footer()?;
        let groups = footer.metadata().row_groups().iter();
        let bytes = groups.map(|group| {
            let fixed = group.num_rows() * group.num_columns() as i64 * OF_OFFSETS_OR_NUMBERS;
            group.total_byte_size() + fixed
        });
        Ok(usize::try_from(bytes.sum::<i64>()).unwrap_or(usize::MAX))
    }

    /// What [`Part::read_coded`] needs: columns of texts that `wanted` names come as the dictionaries they are written with.
    pub(crate) fn coded_footer(&self, wanted: impl Fn(&str) -> bool) -> Result<Footer, StoreError> {
        let footer = self.rows_footer()?;
        let metadata = footer.metadata();
        let fields = footer.schema().fields().iter().map(|field| {
            let name = field.name().as_str();
            if field.data_type() == &DataType::Utf8 && wanted(name) {
                let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                Arc::new(Field::new(name, coded, field.is_nullable()))
            } else {
                Arc::clone(field)
            }
        });
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>())));
        ArrowReaderMetadata::try_new(Arc::clone(metadata), options).map_err(|error| self.damaged(ROWS_FILE, error))
    }

    /// The part's granules one after the other, with dictionaries as the footer says: they are read once for a row group, not once for
    /// a granule.
    pub(crate) fn stream(&self, footer: &Footer) -> Result<Stream, StoreError> {
        let file = self.open_file(ROWS_FILE)?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.clone())
            .with_projection(self.mask(footer, &Projection::All))
            .with_batch_size(self.meta.granule_rows as usize)
            .build();
        Ok(Stream { reader: reader.map_err(|error| self.damaged(ROWS_FILE, error))?, next: 0 })
    }

    /// The next granule of a stream.
    pub(crate) fn read_next(&self, stream: &mut Stream) -> Result<RecordBatch, StoreError> {
        let expected = self.meta.granules.get(stream.next).map_or(0, |granule| granule.rows as usize);
        stream.next += 1;
        let eof = || ParquetError::EOF(format!("its granules end before number {}", stream.next));
        let rows = stream.reader.next().ok_or_else(|| self.damaged(ROWS_FILE, eof()))?;
        let rows = rows.map_err(|error| self.damaged(ROWS_FILE, error.into()))?;
        if rows.num_rows() != expected {
            let what = format!("a granule has {} rows instead of {expected}", rows.num_rows());
            return Err(self.damaged(ROWS_FILE, ParquetError::General(what)));
        }
        self.as_given(rows, &Projection::All)
    }

    /// All rows of a granule, with dictionaries as the footer says.
    pub(crate) fn read_coded(&self, footer: &Footer, granule: usize) -> Result<RecordBatch, StoreError> {
        let rows = self.meta.granules.get(granule).map_or(0, |meta| meta.rows);
        self.read_with(footer, granule, std::slice::from_ref(&(0..rows)), &Projection::All)
    }

    /// The series table of a part of points. Shared by all who hold it at a time, and read again when nobody does: parts
    /// are many, and their tables together may be larger than memory.
    pub fn series(&self) -> Result<Arc<RecordBatch>, StoreError> {
        let known = self.series.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(table) = known {
            return Ok(table);
        }
        let table = Arc::new(self.read_series()?);
        *self.series.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&table);
        Ok(table)
    }

    fn read_series(&self) -> Result<RecordBatch, StoreError> {
        let damaged = |error| self.damaged(SERIES_FILE, error);
        let file = self.open_file(SERIES_FILE)?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(damaged)?;
        let rows = usize::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let reader = builder.with_batch_size(rows.max(1)).build().map_err(damaged)?;
        let schema = reader.schema();
        whole(schema, reader).map_err(|error| damaged(error.into()))
    }

    /// The part's index; `None` if it has none, or one that cannot be trusted: then nothing is left out of a search.
    pub(crate) fn index(&self) -> Arc<Option<Index>> {
        let made = self.opened.indexes.get(self.name.number, || {
            let index = self.open_index();
            let bytes = index.as_ref().map_or(0, Index::memory_bytes);
            Ok::<_, std::convert::Infallible>((index, bytes + size_of::<Index>()))
        });
        made.unwrap_or_else(|never| match never {})
    }

    fn open_index(&self) -> Option<Index> {
        let len = self.meta.files.get(INDEX_FILE)?.bytes;
        let file = Arc::new(OnDemand { disk: Arc::clone(&self.disk), path: self.path(INDEX_FILE), len });
        let opened = match self.checked(file, INDEX_FILE) {
            Ok(file) => Index::open(file).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match opened {
            Ok(index) if index.granules() == self.meta.granules.len() => Some(index),
            Ok(_) => self.no_index("it was made for other rows"),
            Err(error) => self.no_index(&error),
        }
    }

    fn no_index(&self, reason: &str) -> Option<Index> {
        let path = self.path(INDEX_FILE);
        self.opened.suspect(self.name.number);
        tracing::warn!(path = %path.display(), reason, "searches read every row of a part, because its index is of no use");
        None
    }

    /// Reads every file and compares it with its checksum.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.meta.files.keys().try_for_each(|name| self.verify_file(name))
    }

    /// Reads a file and compares it with its checksum, a piece at a time.
    pub(crate) fn verify_file(&self, name: &str) -> Result<(), StoreError> {
        let Some(expected) = self.meta.files.get(name) else { return Ok(()) };
        let path = self.path(name);
        let file = self.open_raw(name)?;
        let mut crc = crc32fast::Hasher::new();
        let mut piece = vec![0; VERIFY_BYTES];
        let mut offset = 0;
        while offset < file.len() && file.len() == expected.bytes {
            let len = usize::try_from(file.len() - offset).map_or(VERIFY_BYTES, |left| left.min(VERIFY_BYTES));
            file.read_at(offset, &mut piece[..len]).map_err(StoreError::disk("read", &path))?;
            crc.update(&piece[..len]);
            offset += len as u64;
        }
        if file.len() != expected.bytes || crc.finalize() != expected.crc32 {
            return Err(StoreError::Damaged { path, what: "its checksum is wrong".to_owned() });
        }
        Ok(())
    }

    /// Compares `meta.json` with what was read of it.
    pub(crate) fn verify_meta(&self) -> Result<(), StoreError> {
        let path = self.path(META_FILE);
        let damaged = |what: &str| StoreError::Damaged { path: path.clone(), what: what.to_owned() };
        match read_file(self.disk.as_ref(), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged("it is missing")),
            Err(error) => Err(StoreError::disk("read", &path)(error)),
            Ok(bytes) if crc32fast::hash(&bytes) != self.meta_crc32 => Err(damaged("its checksum is wrong")),
            Ok(_) => Ok(()),
        }
    }

    fn footer(&self, file: &PartFile) -> Result<Arc<Footer>, StoreError> {
        self.opened.footers.get(self.name.number, || {
            let options = ArrowReaderOptions::new()
                .with_offset_index_policy(PageIndexPolicy::Optional)
                .with_column_index_policy(PageIndexPolicy::Skip);
            let footer = ArrowReaderMetadata::load(file, options).map_err(|error| self.damaged(ROWS_FILE, error))?;
            let bytes = footer.metadata().memory_size();
            Ok((footer, bytes))
        })
    }

    /// The columns of its rows, and of each how many values it has, where the file says so.
    pub(crate) fn columns(&self) -> Result<Vec<(FieldRef, Option<u64>)>, StoreError> {
        let footer = self.rows_footer()?;
        let metadata = footer.metadata();
        let known = metadata.file_metadata().key_value_metadata();
        let known = known.and_then(|pairs| pairs.iter().find(|pair| pair.key == VALUES_KEY)?.value.as_deref());
        let known: HashMap<String, u64> = known.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        // Of parts of an older Sextant, from statistics. Of a column that is no group of others: the one leaf of that name.
        let values = |name: &str| -> Option<u64> {
            if let Some(values) = known.get(name) {
                return Some(*values);
            }
            let leaves = metadata.file_metadata().schema_descr().columns();
            let leaf = leaves.iter().position(|leaf| leaf.path().parts() == [name])?;
            let nulls = metadata.row_groups().iter().map(|group| group.column(leaf).statistics()?.null_count_opt());
            Some(self.meta.rows.saturating_sub(nulls.sum::<Option<u64>>()?))
        };
        let fields = footer.schema().fields().iter().filter(|field| !decimals::is_of_decimals(field.name()));
        let written = fields.map(|field| (Arc::clone(field), values(field.name())));
        let same = self.meta.same.iter().filter_map(|(name, written)| {
            let of = footer.schema().field_with_name(written).ok()?;
            Some((Arc::new(Field::new(name, of.data_type().clone(), true)), values(name)))
        });
        Ok(written.chain(same).collect())
    }

    /// The file of [`Part::index`], open.
    pub(crate) fn open_index_file(&self) -> Result<Arc<dyn ReadFile>, StoreError> {
        self.checked(self.open_raw(INDEX_FILE)?, INDEX_FILE)
    }

    /// An error of the index while it was asked: if it is no whim of the disk, somebody should look.
    pub(crate) fn index_failed(&self, error: &io::Error) {
        if is_damage(error.kind()) {
            self.opened.suspect(self.name.number);
        }
    }

    fn open_file(&self, name: &'static str) -> Result<PartFile, StoreError> {
        let file = self.open_raw(name).inspect_err(|error| self.note(error))?;
        Ok(PartFile(self.checked(file, name).inspect_err(|error| self.note(error))?))
    }

    fn open_raw(&self, name: &str) -> Result<Arc<dyn ReadFile>, StoreError> {
        let path = self.path(name);
        match self.disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Damaged { path, what: "it is missing".to_owned() })
            }
            opened => opened.map_err(StoreError::disk("open", &path)),
        }
    }

    // The same file, compared with its checksums as it is read.
    fn checked(&self, file: Arc<dyn ReadFile>, name: &'static str) -> Result<Arc<dyn ReadFile>, StoreError> {
        let expected = self.meta.files.get(name).map_or(0, |meta| meta.bytes);
        if file.len() != expected {
            let what = format!("it has {} bytes instead of {expected}", file.len());
            return Err(StoreError::Damaged { path: self.path(name), what });
        }
        if !self.has_sums() {
            return Ok(file);
        }
        let sums = self.opened.sums.get(self.name.number, || {
            let sums = self.read_sums()?;
            let bytes = sums.memory_bytes();
            Ok::<_, StoreError>((sums, bytes))
        })?;
        Ok(Arc::new(Checked::new(file, sums, name)))
    }

    /// Whether what is read of it is compared with checksums.
    pub(crate) fn has_sums(&self) -> bool {
        self.meta.files.contains_key(SUMS_FILE)
    }

    fn read_sums(&self) -> Result<Sums, StoreError> {
        let path = self.path(SUMS_FILE);
        self.verify_file(SUMS_FILE)?;
        let bytes = read_file(self.disk.as_ref(), &path).map_err(StoreError::disk("read", &path))?;
        let files = self.meta.files.iter().filter(|(name, _)| *name != SUMS_FILE);
        let damaged = || StoreError::Damaged { path: path.clone(), what: "it is of other files".to_owned() };
        Sums::from_bytes(&bytes, files).ok_or_else(damaged)
    }

    // Damage that a reader meets is looked into by housekeeping.
    fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::Damaged { .. }) {
            self.opened.suspect(self.name.number);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    // An error of the disk comes back out of Parquet's; any other means that the file is not what was written.
    fn damaged(&self, name: &str, error: ParquetError) -> StoreError {
        let path = self.path(name);
        let error = match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(source) if !is_damage(source.kind()) => {
                    StoreError::Disk { operation: "read", path, source: *source }
                }
                Ok(source) => StoreError::Damaged { path, what: source.to_string() },
                Err(other) => StoreError::Damaged { path, what: other.to_string() },
            },
            error => StoreError::Damaged { path, what: error.to_string() },
        };
        self.note(&error);
        error
    }
}

// Whether such an error tells of the file rather than of the disk.
fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

// Points with those wanted columns that are not written because no point of the part has a value there.
fn with_absent(rows: &RecordBatch, projection: &Projection) -> Result<RecordBatch, StoreError> {
    let is_absent = |field: &&FieldRef| projection.wants(field.name()) && rows.column_by_name(field.name()).is_none();
    let mut fields: Vec<FieldRef> = rows.schema_ref().fields().to_vec();
    let mut arrays = rows.columns().to_vec();
    for field in point_fields().fields().iter().filter(is_absent) {
        arrays.push(new_null_array(field.data_type(), rows.num_rows()));
        fields.push(Arc::clone(field));
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|source| StoreError::Columns { operation: "add columns without a value", source })
}

/// Rows of points with the columns of their series beside theirs.
pub(crate) fn with_series(
    points: &RecordBatch,
    series: &RecordBatch,
    projection: &Projection,
) -> Result<RecordBatch, StoreError> {
    let known = series[column::SERIES_ID].as_primitive::<UInt64Type>().values();
    let wanted = points[column::SERIES_ID].as_primitive::<UInt64Type>();
    // Every point's series is in its part's table, which is sorted.
    let rows: UInt32Array =
        wanted.values().iter().map(|id| known.binary_search(id).ok().map(|row| row as u32)).collect();
    let is_own = |name: &str| points.column_by_name(name).is_some();
    let mut columns: Vec<(FieldRef, _)> = Vec::new();
    for (field, array) in points.schema_ref().fields().iter().zip(points.columns()) {
        if projection.wants(field.name()) {
            columns.push((Arc::clone(field), Arc::clone(array)));
        }
    }
    let failed = |source| StoreError::Columns { operation: "join points and series", source };
    for (field, array) in series.schema_ref().fields().iter().zip(series.columns()) {
        if projection.wants(field.name()) && !is_own(field.name()) {
            columns.push((Arc::clone(field), take(array, &rows, None).map_err(failed)?));
        }
    }
    let (fields, arrays): (Vec<FieldRef>, Vec<_>) = columns.into_iter().unzip();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(wanted.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(failed)
}

fn whole<R>(schema: arrow::datatypes::SchemaRef, reader: R) -> Result<RecordBatch, arrow::error::ArrowError>
where
    R: Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>>,
{
    let mut batches = reader.collect::<Result<Vec<_>, _>>()?;
    match batches.len() {
        1 => Ok(batches.remove(0)),
        _ => concat_batches(&schema, &batches),
    }
}

// A file that is open only while it is read: parts are many, and a process may have no more than 1,024 files open unless it
// is told otherwise.
struct OnDemand {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    len: u64,
}

impl ReadFile for OnDemand {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.open(&self.path)?.read_at(offset, buffer)
    }
}

/// A file of a part, as Parquet wants to read it.
#[derive(Clone)]
struct PartFile(Arc<dyn ReadFile>);

impl Length for PartFile {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for PartFile {
    type T = BufReader<FromOffset>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::with_capacity(READ_BYTES, FromOffset { file: self.clone(), offset: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // Between two pages: the values of one are up to a quarter of a millisecond's work.
        threads::make_way();
        let mut bytes = vec![0; length];
        self.0.read_at(start, &mut bytes)?;
        Ok(bytes.into())
    }
}

/// Reads a file from some place on.
struct FromOffset {
    file: PartFile,
    offset: u64,
}

impl Read for FromOffset {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len().saturating_sub(self.offset);
        let len = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.file.0.read_at(self.offset, &mut buffer[..len])?;
        self.offset += len as u64;
        Ok(len)
    }
}
