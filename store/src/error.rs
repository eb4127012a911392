//! What can go wrong in the store, and what callers may make of it.

use std::io;
use std::path::{Path, PathBuf};

/// A failed operation of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk refused.
    #[error("cannot {operation} {}", path.display())]
    Disk {
        /// What was tried: `create`, `append to`, `sync`, `read`, ...
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process owns the data directory.
    #[error("the data directory {} is in use by {holder}", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// `process 4711`, or `another process` if it did not leave its number.
        holder: String,
    },
    /// A file is not what was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        what: String,
    },
    /// A file is of another version of Sextant.
    #[error("{} has format {found}, this Sextant reads format {read}; use the one that wrote it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The one that is understood.
        read: u32,
    },
    /// Columns could not be computed; a defect, or a file that was tampered with.
    #[error("cannot {operation}")]
    Columns {
        /// What was tried.
        operation: &'static str,
        /// What Arrow said.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// A batch is larger than one record of the WAL can be.
    #[error("a batch of {bytes} bytes is larger than the WAL's limit of {limit}; send fewer items in one request")]
    TooLarge {
        /// What the batch takes.
        bytes: usize,
        /// What it may take.
        limit: usize,
    },
    /// Two different series have the same id.
    #[error("series id {id:016x} of metric {metric:?} belongs to another series")]
    SeriesCollision {
        /// The id.
        id: u64,
        /// OTLP's metric name of the newcomer.
        metric: String,
    },
    /// Too many rows wait in memory to be written to parts.
    #[error("the rows in memory have reached their bound before they could be written to parts")]
    HeadFull,
    /// The disk is so nearly full that what is left is kept for making room.
    #[error("only {free} bytes are free where the data directory is, fewer than `free_bytes_min` ({limit})")]
    DiskFull {
        /// Bytes free.
        free: u64,
        /// Below which rows are refused.
        limit: u64,
    },
    /// A defect of this program; the log has its message.
    #[error("a defect kept the store from trying to {operation}; please report the panic in the log")]
    Panicked {
        /// What was tried.
        operation: &'static str,
    },
    /// The store is stopping, or its writer has died.
    #[error("the store takes no more writes: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
}

/// What a caller can do about a failed operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing was stored; the same may succeed later.
    Transient,
    /// The same will fail again.
    Permanent,
}

impl StoreError {
    /// For `map_err`: the disk refused this operation on this path.
    pub(crate) fn disk(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        move |source| StoreError::Disk { operation, path: path.to_path_buf(), source }
    }

    /// A second copy of an error of the disk, for the next of several callers who failed together.
    pub(crate) fn disk_again(operation: &'static str, path: &Path, source: &io::Error) -> StoreError {
        let source = match source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(source.kind(), source.to_string()),
        };
        StoreError::Disk { operation, path: path.to_path_buf(), source }
    }

    /// Whether it failed for want of space.
    pub(crate) fn is_out_of_space(&self) -> bool {
        matches!(self, StoreError::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }

    /// Whether trying again can help.
    pub fn kind(&self) -> ErrorKind {
        match self {
            StoreError::Disk { .. }
            | StoreError::HeadFull
            | StoreError::DiskFull { .. }
            | StoreError::Closed { .. } => ErrorKind::Transient,
            _ => ErrorKind::Permanent,
        }
    }
}
