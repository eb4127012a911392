//! The store's settings, the table `[store]` of `sextant.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::retention::{Ages, ServiceAges, Sizes};

/// See `src/default.toml` for what each setting means to its user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// When an append is acknowledged.
    pub durability: Durability,
    /// Milliseconds between fsyncs when `durability` is `interval`.
    pub durability_interval_ms: u64,
    /// Bytes after which a WAL segment is closed and the next one begun.
    pub wal_segment_bytes: u64,
    /// Bytes of one signal's head after which it is flushed to a part.
    pub flush_bytes: u64,
    /// Seconds after which a head that is not empty is flushed, however small.
    pub flush_interval_s: u64,
    /// Bytes of all heads together above which appends are refused until a flush has made room: a disk that takes the log
    /// but no parts, or senders faster than any flush, must not take all memory.
    pub head_bytes_max: u64,
    /// Bytes of footers, indexes and checksums of parts that stay in memory.
    pub cache_bytes_max: u64,
    /// Bytes of a part that a merge makes, and 256 times its rows.
    pub merged_bytes_max: u64,
    /// Bytes that stay free where the data directory is: below it appends are refused until there is room again.
    pub free_bytes_min: u64,
    /// Bytes of a file that is given up when the disk is full after all, so that there is room to delete something.
    pub reserve_bytes: u64,
    /// How long rows are kept.
    pub retention: Ages,
    /// The same for single services, by their names.
    pub retention_services: BTreeMap<String, ServiceAges>,
    /// How many bytes the parts of each signal may take.
    pub retention_bytes: Sizes,
}

impl Config {
    /// Bytes free below which the disk is nearly full: early enough that room is made before anybody is refused.
    pub(crate) fn nearly_full_bytes(&self) -> u64 {
        self.free_bytes_min.saturating_mul(2)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            durability_interval_ms: 200,
            wal_segment_bytes: 64 << 20,
            flush_bytes: 64 << 20,
            flush_interval_s: 300,
            head_bytes_max: 512 << 20,
            cache_bytes_max: 160 << 20,
            merged_bytes_max: 1 << 30,
            free_bytes_min: 256 << 20,
            reserve_bytes: 16 << 20,
            retention: Ages::default(),
            retention_services: BTreeMap::new(),
            retention_bytes: Sizes::default(),
        }
    }
}

/// When an append is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// After the fsync that covers it: safe from a crash and from a power cut.
    Always,
    /// After the write: safe from a crash of the process; a power cut may lose the last interval.
    Interval,
    /// After the write, and never fsynced before a flush: safe from a crash of the process alone.
    None,
}

impl Durability {
    /// The word of the configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Always => "always",
            Durability::Interval => "interval",
            Durability::None => "none",
        }
    }
}
