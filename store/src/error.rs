//! What can go wrong in the store, and what callers may make of it.

use std::io;
use std::path::PathBuf;

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
    #[error("the data directory {} is in use by another process", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// A file is not what was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        what: String,
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
    /// Two different series have the same id.
    #[error("series id {id:016x} of metric {metric:?} belongs to another series")]
    SeriesCollision {
        /// The id.
        id: u64,
        /// OTLP's metric name of the newcomer.
        metric: String,
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
    /// Whether trying again can help.
    pub fn kind(&self) -> ErrorKind {
        match self {
            StoreError::Disk { .. } | StoreError::Closed { .. } => ErrorKind::Transient,
            _ => ErrorKind::Permanent,
        }
    }
}
