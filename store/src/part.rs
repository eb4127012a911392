//! Parts: immutable directories of files that hold rows of one table, sorted. What is in each file is written in
//! `store/docs/format.md`.
//!
//! A part is written by the flush, listed by the manifest, and opened once; snapshots share it. Its files stay until nothing
//! refers to them.

mod cache;
mod chunk;
mod decimals;
mod meta;
mod reader;
mod sums;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, Weak};

use arrow::array::RecordBatch;
use model::Timestamp;

pub(crate) use cache::Opened;
use meta::FORMAT_OF_ALL_COLUMNS;
pub use meta::{FORMAT, FileMeta, GranuleMeta, Meta};
pub(crate) use reader::{Footer, RowGroup, Stream, with_series};
pub(crate) use writer::{Contents, Layout, PartWriter, Place, discard, write};

use crate::disk::{Disk, read_file};
use crate::partition::Partition;
use crate::schema::Table;
use crate::{StoreError, limits};

/// Folder of all parts inside a data directory.
pub const PARTS_DIR: &str = "parts";
/// A part's rows.
pub const ROWS_FILE: &str = "rows.parquet";
/// What the footer of a part's Parquet file says under this key: of each attribute's column how many values it has, as JSON.
const VALUES_KEY: &str = "sextant:values";
/// Of a part of points: its series.
pub const SERIES_FILE: &str = "series.parquet";
/// A part's words and id filters.
pub const INDEX_FILE: &str = "index.bin";
/// A checksum for each block of the others.
pub const SUMS_FILE: &str = "checksums.bin";
/// What is known of a part without opening the others.
pub const META_FILE: &str = "meta.json";

/// Which part: what the manifest lists. Written as the path below `parts/`: `logs/2026-01-31/0000000000000007`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartName {
    /// The table its rows belong to.
    pub table: Table,
    /// What its rows have in common.
    pub partition: Partition,
    /// Told apart by, in one data directory.
    pub number: u64,
}

impl PartName {
    /// The part's directory.
    pub fn directory(&self, data_directory: &Path) -> PathBuf {
        data_directory.join(PARTS_DIR).join(self.to_string())
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{:016}", self.table.as_str(), self.partition, self.number)
    }
}

impl FromStr for PartName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut pieces = text.split('/');
        let (Some(table), Some(partition), Some(number), None) =
            (pieces.next(), pieces.next(), pieces.next(), pieces.next())
        else {
            return Err(());
        };
        let table = Table::ALL.into_iter().find(|known| known.as_str() == table).ok_or(())?;
        let name = PartName { table, partition: partition.parse()?, number: number.parse().map_err(|_| ())? };
        if name.to_string() == text { Ok(name) } else { Err(()) }
    }
}

/// How many rows a granule of a part has whose rows take `bytes` as columns in memory: a power of two, and at least one for each block.
pub(crate) fn granule_rows(rows: usize, bytes: usize) -> usize {
    // Of few rows the columns' own size is most.
    if bytes <= limits::GRANULE_BYTES {
        return limits::GRANULE_ROWS;
    }
    let of_one = bytes.div_ceil(rows.max(1)).max(1);
    let fitting = (limits::GRANULE_BYTES / of_one).clamp(limits::GRANULE_BLOCKS, limits::GRANULE_ROWS);
    1 << fitting.ilog2()
}

/// An open part.
pub struct Part {
    name: PartName,
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    meta: Meta,
    meta_crc32: u32,
    // What is known of the other files is read when it is asked for. No file stays open.
    opened: Arc<Opened>,
    series: Mutex<Weak<RecordBatch>>,
}

impl Part {
    /// Opens a part by its `meta.json`; the other files are opened when they are needed, and `opened` remembers what it can of them.
    /// [`StoreError::Damaged`] if it is missing, or not the one with this checksum; a manifest of format 1 knows none.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        data_directory: &Path,
        name: PartName,
        meta_crc32: Option<u32>,
        opened: &Arc<Opened>,
    ) -> Result<Arc<Part>, StoreError> {
        let directory = name.directory(data_directory);
        let path = directory.join(META_FILE);
        let damaged = |what: String| StoreError::Damaged { path: path.clone(), what };
        let bytes = match read_file(disk.as_ref(), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("it is missing".to_owned())),
            read => read.map_err(StoreError::disk("read", &path))?,
        };
        let crc32 = crc32fast::hash(&bytes);
        if meta_crc32.is_some_and(|expected| expected != crc32) {
            return Err(damaged("its checksum is wrong".to_owned()));
        }
        let meta: Meta =
            serde_json::from_slice(&bytes).map_err(|error| damaged(format!("it is no part's meta: {error}")))?;
        if !(FORMAT_OF_ALL_COLUMNS..=FORMAT).contains(&meta.format) {
            return Err(StoreError::Version { path, found: meta.format, read: FORMAT });
        }
        Ok(Arc::new(Part {
            name,
            directory,
            disk: Arc::clone(disk),
            meta,
            meta_crc32: crc32,
            opened: Arc::clone(opened),
            series: Mutex::default(),
        }))
    }

    /// The same without the checksums of its blocks, for whoever compares its files as a whole first: those of the blocks may be what
    /// is damaged.
    pub(crate) fn unchecked(&self) -> Arc<Part> {
        let mut meta = self.meta.clone();
        meta.files.remove(SUMS_FILE);
        Arc::new(Part {
            name: self.name.clone(),
            directory: self.directory.clone(),
            disk: Arc::clone(&self.disk),
            meta,
            meta_crc32: self.meta_crc32,
            opened: Arc::clone(&self.opened),
            series: Mutex::default(),
        })
    }

    /// Which part it is.
    pub fn name(&self) -> &PartName {
        &self.name
    }

    /// The table its rows belong to.
    pub fn table(&self) -> Table {
        self.name.table
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is known of it without reading rows.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The column that a column's values are written in.
    pub(crate) fn written_as<'c>(&'c self, column: &'c str) -> &'c str {
        self.meta.same.get(column).map_or(column, String::as_str)
    }

    /// CRC-32 (IEEE) of `meta.json`.
    pub(crate) fn meta_crc32(&self) -> u32 {
        self.meta_crc32
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.meta.rows
    }

    /// Rows of a block; the last one may have fewer.
    pub(crate) fn block_rows(&self) -> u32 {
        (self.meta.granule_rows / limits::GRANULE_BLOCKS as u64) as u32
    }

    /// Bytes of all files but `meta.json`.
    pub fn bytes(&self) -> u64 {
        self.meta.files.values().map(|file| file.bytes).sum()
    }

    /// Least and greatest `timestamp`.
    pub fn time_bounds(&self) -> (Timestamp, Timestamp) {
        (Timestamp::from_nanos(self.meta.time_min), Timestamp::from_nanos(self.meta.time_max))
    }

    /// Least and greatest `ingest_seq`.
    pub fn seq_bounds(&self) -> (u64, u64) {
        (self.meta.seq_min, self.meta.seq_max)
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({}, {} rows)", self.name, self.meta.rows)
    }
}
