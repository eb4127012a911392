//! `meta.json` of a part: what is known of it without opening its other files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The newest version of parts. A reader refuses what it does not know.
pub const FORMAT: u32 = 2;

/// The oldest that is read, and what parts have whose columns are all written as they are: who knows no newer one reads them.
pub(super) const FORMAT_OF_ALL_COLUMNS: u32 = 1;

/// The contents of `meta.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Version of everything in the part's directory.
    pub format: u32,
    /// Number of rows of `rows.parquet`.
    pub rows: u64,
    /// Least `timestamp`, nanoseconds since the Unix epoch.
    pub time_min: i64,
    /// Greatest `timestamp`.
    pub time_max: i64,
    /// Least `ingest_seq`.
    pub seq_min: u64,
    /// Greatest `ingest_seq`.
    pub seq_max: u64,
    /// Names of the columns by which the rows are sorted, most significant first.
    pub sorted_by: Vec<String>,
    /// Rows of a granule; the last one may have fewer.
    pub granule_rows: u64,
    /// Bounds of each granule, in order.
    pub granules: Vec<GranuleMeta>,
    /// Columns of `rows.parquet` that are not written because every row has the same in another, whose name this is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub same: BTreeMap<String, String>,
    /// The part's other files by name.
    pub files: BTreeMap<String, FileMeta>,
}

/// Bounds of the rows of one granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GranuleMeta {
    /// Number of rows.
    pub rows: u32,
    /// Least `timestamp`.
    pub time_min: i64,
    /// Greatest `timestamp`.
    pub time_max: i64,
    /// Least `ingest_seq`.
    pub seq_min: u64,
    /// Greatest `ingest_seq`.
    pub seq_max: u64,
    /// Least and greatest `series_id`; of points only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<(u64, u64)>,
}

/// Size and checksum of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Length.
    pub bytes: u64,
    /// CRC-32 (IEEE) of all bytes.
    pub crc32: u32,
}
