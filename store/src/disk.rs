//! The only way to the files of a data directory. Everything that reads or writes there is handed a [`Disk`], so that a
//! test can own the disk and make it fail.
//!
//! All calls block: they are made from the store's own threads or from blocking tasks, never from an async one.

mod faulty;
mod real;
pub mod sim;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use faulty::{Action, Area, FaultyDisk, PlanError, PlannedFault};
pub use real::RealDisk;
pub use sim::SimDisk;

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Makes a new, empty file that is written from its beginning. Fails if it exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>>;

    /// Makes durable what an earlier process may have written to a file without syncing it.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// Moves a file over another, atomically. Durable only after [`Disk::sync_dir`] of the folder.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder and all that is in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder and those above it; nothing happens if it exists.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The files and folders in a folder, in the order of their names.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Makes durable which names a folder holds.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the exclusive lock on a file, made if it is missing. [`io::ErrorKind::WouldBlock`] if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>>;

    /// Bytes still free for this process in the file system that holds `path`.
    fn free_space(&self, path: &Path) -> io::Result<u64>;
}

/// A file that only grows.
pub trait AppendFile: Send {
    /// Writes all the bytes at the end. After an error an unknown part of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was appended durable (fdatasync). After an error nothing is known about it: never call it again,
    /// leave the file.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is read.
pub trait ReadFile: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` from `offset` on. [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// Held as long as a lock is wanted.
pub trait LockGuard: Send + Sync {}

/// What [`Disk::list`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The whole path.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Length in bytes; 0 for a folder.
    pub len: u64,
}

/// All bytes of a file.
pub fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let len = usize::try_from(file.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Makes a file of these bytes, durable but for its name: that takes [`Disk::sync_dir`] of its folder.
pub fn write_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = disk.create(path)?;
    file.append(bytes)?;
    file.sync()
}

/// Removes a file if it is there.
pub fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
