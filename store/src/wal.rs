//! The write-ahead log: what was acknowledged and is not in parts yet. `writer` appends to it, `store` replays it.
//!
//! Records hold converted columns, never what the sender sent, so that raw values do not touch the disk and replay runs
//! the same code as the first time. Every byte is described in `store/docs/format.md`.

mod bytes;
pub(crate) mod columns;
pub(crate) mod record;
pub(crate) mod replay;
mod scan;
pub(crate) mod segment;

pub(crate) use bytes::{Input, put_bytes, put_varint};

/// Tells one data directory from all others; part of every checksum, so that a record of another directory, or one that
/// somebody planted in a log body, is never taken for one of this.
pub(crate) type DirectoryId = [u8; 16];

/// Why bytes could not be decoded. Never shown to callers of the store: it becomes the `what` of a damaged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);
