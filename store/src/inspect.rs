//! What a data directory holds, read without the lock and without changing anything: for people who look at it while a server
//! uses it, or when no server will start. Called by the command line's `inspect`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::Timestamp;
use model::stats::Stats;

use crate::disk::{DirEntry, Disk, read_file};
use crate::manifest::Manifest;
use crate::part::{Opened, Part, PartName, ROWS_FILE};
use crate::schema::Table;
use crate::{StoreError, layout};

/// What a data directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Every live part, in the order of the manifest.
    pub parts: Vec<PartSummary>,
    /// Parts that are damaged and out of use: name and rows.
    pub damaged: Vec<(String, u64)>,
    /// The write-ahead log's segments, oldest first: name and bytes.
    pub wal: Vec<(String, u64)>,
    /// Copies of segments in which something acknowledged could not be read: name and bytes.
    pub wal_damaged: Vec<(String, u64)>,
}

/// A live part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSummary {
    /// Its directory below `parts/`.
    pub name: String,
    /// The table its rows belong to.
    pub table: Table,
    /// Number of rows.
    pub rows: u64,
    /// Least and greatest `timestamp`.
    pub time: (Timestamp, Timestamp),
    /// Least and greatest `ingest_seq`.
    pub seq: (u64, u64),
    /// Its files and their bytes.
    pub files: BTreeMap<String, u64>,
}

/// What the rows of a table take on disk, by column of `rows.parquet` and by the other files. Columns that a part writes as another
/// are that other one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableBytes {
    /// Rows of all live parts.
    pub rows: u64,
    /// Compressed bytes by name of the column, headers of pages included.
    pub columns: BTreeMap<String, u64>,
    /// Bytes by name of the file, and of `rows.parquet` what is not in its columns.
    pub files: BTreeMap<String, u64>,
}

/// Reads the footer of every live part that is whole.
pub fn bytes_by_column(disk: &Arc<dyn Disk>, directory: &Path) -> Result<BTreeMap<Table, TableBytes>, StoreError> {
    let mut tables: BTreeMap<Table, TableBytes> = BTreeMap::new();
    for part in live_parts(disk, directory)?.0 {
        let table = tables.entry(part.table()).or_default();
        table.rows += part.rows();
        for (name, file) in &part.meta().files {
            *table.files.entry(name.clone()).or_default() += file.bytes;
        }
        for (name, bytes) in part.column_bytes()? {
            *table.columns.entry(name).or_default() += bytes;
            if let Some(rest) = table.files.get_mut(ROWS_FILE) {
                *rest = rest.saturating_sub(bytes);
            }
        }
    }
    Ok(tables)
}

/// Reads the manifest, the meta of every part, and the sizes of the write-ahead log's segments.
pub fn inspect(disk: &Arc<dyn Disk>, directory: &Path) -> Result<Inspection, StoreError> {
    let (parts, damaged) = live_parts(disk, directory)?;
    let summary = |part: &Arc<Part>| PartSummary {
        name: part.name().to_string(),
        table: part.table(),
        rows: part.rows(),
        time: part.time_bounds(),
        seq: part.seq_bounds(),
        files: part.meta().files.iter().map(|(name, file)| (name.clone(), file.bytes)).collect(),
    };
    let parts = parts.iter().map(summary).collect();
    let wal = directory.join(layout::WAL);
    let wal_damaged = files(disk.as_ref(), &wal.join(layout::WAL_DAMAGED))?;
    Ok(Inspection { parts, damaged, wal: files(disk.as_ref(), &wal)?, wal_damaged })
}

// The parts that the manifest lists, and of those that are damaged the name and the rows.
type Listed = (Vec<Arc<Part>>, Vec<(String, u64)>);

fn live_parts(disk: &Arc<dyn Disk>, directory: &Path) -> Result<Listed, StoreError> {
    let path = directory.join(layout::MANIFEST);
    let bytes = read_file(disk.as_ref(), &path).map_err(StoreError::disk("read", &path))?;
    let manifest = Manifest::from_bytes(&bytes).map_err(|flaw| flaw.of(&path))?;
    let opened = Arc::new(Opened::new(crate::Config::default().cache_bytes_max, &Stats::new()));
    let mut parts = Vec::with_capacity(manifest.parts.len());
    let mut damaged: Vec<(String, u64)> =
        manifest.quarantined.into_iter().map(|entry| (entry.name, entry.rows)).collect();
    for entry in manifest.parts {
        let name: PartName = entry.name.parse().map_err(|()| StoreError::Damaged {
            path: path.clone(),
            what: format!("it lists {:?}, which is no name of a part", entry.name),
        })?;
        match Part::open(disk, directory, name, entry.meta_crc32, &opened) {
            Ok(part) => parts.push(part),
            // A server that starts will say so, and go on without it.
            Err(StoreError::Damaged { .. }) => damaged.push((entry.name, entry.rows)),
            Err(error) => return Err(error),
        }
    }
    Ok((parts, damaged))
}

fn files(disk: &dyn Disk, folder: &Path) -> Result<Vec<(String, u64)>, StoreError> {
    let entries = match disk.list(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(StoreError::disk("list", folder))?,
    };
    let name = |entry: &DirEntry| entry.path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| Some((name(entry)?, entry.len))).collect())
}
