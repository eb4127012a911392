//! The machine's own file system.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use super::{AppendFile, DirEntry, Disk, LockGuard, ReadFile};

// Telemetry is nobody else's business: files and folders are the owner's alone.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
        Ok(Box::new(RealAppendFile { file, len: 0 }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Arc::new(RealReadFile { file, len }))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let is_dir = metadata.is_dir();
            entries.push(DirEntry { path: entry.path(), is_dir, len: if is_dir { 0 } else { metadata.len() } });
        }
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Box::new(RealLock { _file: file }))
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

struct RealAppendFile {
    file: File,
    len: u64,
}

impl AppendFile for RealAppendFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

struct RealReadFile {
    file: File,
    len: u64,
}

impl ReadFile for RealReadFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

// The system lets go of the lock when the file is closed, at the latest when the process ends.
struct RealLock {
    _file: File,
}

impl LockGuard for RealLock {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_grow_read_back_and_are_the_owners_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inner = folder.path().join("a/b");
        RealDisk.create_dir_all(&inner).expect("folders are made");
        RealDisk.create_dir_all(&inner).expect("and may exist");
        let path = inner.join("file");
        let mut file = RealDisk.create(&path).expect("a new file");
        file.append(b"one ").and_then(|()| file.append(b"two")).and_then(|()| file.sync()).expect("it grows");
        assert_eq!(RealDisk.create(&path).err().map(|error| error.kind()), Some(io::ErrorKind::AlreadyExists));
        RealDisk.sync_file(&path).and_then(|()| RealDisk.sync_dir(&inner)).expect("it is synced");

        let read = RealDisk.open(&path).expect("it opens");
        let mut buffer = [0; 5];
        read.read_at(2, &mut buffer).expect("its middle is read");
        assert_eq!((&buffer, read.len()), (b"e two", 7));
        assert_eq!(read.read_at(3, &mut buffer).map_err(|error| error.kind()), Err(io::ErrorKind::UnexpectedEof));

        let mode = |path: &Path| std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&inner)), (0o600, 0o700));
        assert!(RealDisk.free_space(&inner).expect("statvfs") > 0);

        RealDisk.rename(&path, &inner.join("other")).expect("it is renamed");
        let names: Vec<DirEntry> = RealDisk.list(&inner).expect("it is listed");
        assert_eq!(names, [DirEntry { path: inner.join("other"), is_dir: false, len: 7 }]);
        RealDisk.remove(&inner.join("other")).expect("it is removed");
        RealDisk.remove_dir_all(&folder.path().join("a")).expect("the folders are removed");
        assert_eq!(RealDisk.list(folder.path()).expect("it is listed"), []);
    }

    #[test]
    fn a_lock_is_held_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lock");
        let held = RealDisk.lock(&path).expect("it is free");
        assert_eq!(RealDisk.lock(&path).err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
        let text = std::fs::read_to_string(&path).expect("it is text");
        assert_eq!(text.trim().parse(), Ok(std::process::id()));
        drop(held);
        RealDisk.lock(&path).expect("it is free again");
    }
}
