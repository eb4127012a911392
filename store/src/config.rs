//! The store's settings, the table `[store]` of `sextant.toml`.

use serde::{Deserialize, Serialize};

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
