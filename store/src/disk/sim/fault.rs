//! What goes wrong on a simulated disk, and when.

use std::io;
use std::path::Path;

use rustix::io::Errno;

/// What is done to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are the names of the methods of a disk and its files")]
pub enum Operation {
    Create,
    Append,
    Sync,
    Open,
    Read,
    Rename,
    Remove,
    CreateDir,
    List,
    SyncDir,
    Lock,
    FreeSpace,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `EIO`. Of an append, some of the bytes are written; of a sync, some of the pages, and the others never will be.
    Io,
    /// `ENOSPC`. Of an append, some of the bytes are written.
    NoSpace,
    /// `EROFS`.
    ReadOnly,
}

impl FaultKind {
    pub(in crate::disk) fn error(self) -> io::Error {
        io::Error::from(match self {
            FaultKind::Io => Errno::IO,
            FaultKind::NoSpace => Errno::NOSPC,
            FaultKind::ReadOnly => Errno::ROFS,
        })
    }
}

type Matches = Box<dyn FnMut(Operation, &Path) -> bool + Send>;

/// Makes operations fail.
pub struct Fault {
    kind: FaultKind,
    matches: Matches,
    skip: u64,
    times: u64,
}

impl Fault {
    /// Every operation for which `matches` says so fails.
    pub fn new(kind: FaultKind, matches: impl FnMut(Operation, &Path) -> bool + Send + 'static) -> Fault {
        Fault { kind, matches: Box::new(matches), skip: 0, times: u64::MAX }
    }

    /// The first `count` of them succeed.
    pub fn after(self, count: u64) -> Fault {
        Fault { skip: count, ..self }
    }

    /// Only `count` of them fail.
    pub fn times(self, count: u64) -> Fault {
        Fault { times: count, ..self }
    }

    pub(super) fn strikes(&mut self, operation: Operation, path: &Path) -> Option<FaultKind> {
        if self.times == 0 || !(self.matches)(operation, path) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.kind)
    }
}
