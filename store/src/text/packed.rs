//! `index.bin`: several files in one, so that a part has one index to write, sync, check and remove. Written by the index
//! writer; read by tantivy through [`PackedDirectory`], piece by piece. The bytes are drawn in `store/docs/format.md`.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::directory::error::{DeleteError, OpenReadError, OpenWriteError};
use tantivy::directory::{Directory, FileHandle, OwnedBytes, WatchCallback, WatchHandle, WritePtr};

use crate::disk::ReadFile;

const MAGIC: &[u8; 8] = b"SXINDEX2";
/// Directory's offset, its length, the checksum, the magic.
const FOOTER_BYTES: usize = 8 + 4 + 4 + 8;
/// Bytes read at a time when the whole file is checked.
const CHECK_BYTES: usize = 256 << 10;

/// The files as one.
pub(super) fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut packed = MAGIC.to_vec();
    let mut directory = Vec::new();
    for (name, bytes) in files {
        directory.extend_from_slice(&(name.len() as u16).to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
        directory.extend_from_slice(&(packed.len() as u64).to_le_bytes());
        directory.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        packed.extend_from_slice(bytes);
    }
    let offset = packed.len() as u64;
    packed.extend_from_slice(&directory);
    packed.extend_from_slice(&offset.to_le_bytes());
    packed.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    packed.extend_from_slice(&crc32fast::hash(&packed).to_le_bytes());
    packed.extend_from_slice(MAGIC);
    packed
}

/// A packed file, open and checked.
#[derive(Clone)]
pub(super) struct Packed {
    file: Arc<dyn ReadFile>,
    files: Arc<HashMap<String, Range<u64>>>,
}

impl Packed {
    /// Reads the file once to check it, and remembers where its files are. [`io::ErrorKind::InvalidData`] if it is damaged.
    pub(super) fn open(file: Arc<dyn ReadFile>) -> io::Result<Self> {
        let body = file.len().checked_sub(FOOTER_BYTES as u64).ok_or_else(|| damaged("it is too short"))?;
        let mut footer = [0; FOOTER_BYTES];
        file.read_at(body, &mut footer)?;
        if footer[16..] != *MAGIC {
            return Err(damaged("its end is missing"));
        }
        let offset = u64::from_le_bytes(*take(&footer, 0)?);
        let len = u64::from(u32::from_le_bytes(*take(&footer, 8)?));
        if checksum(file.as_ref(), body + 12)? != u32::from_le_bytes(*take(&footer, 12)?) {
            return Err(damaged("its checksum is wrong"));
        }
        if offset.checked_add(len) != Some(body) {
            return Err(damaged("its directory is out of place"));
        }
        let mut directory = vec![0; len as usize];
        file.read_at(offset, &mut directory)?;
        Ok(Packed { file, files: Arc::new(parse_directory(&directory, offset)?) })
    }

    /// A file inside.
    pub(super) fn file(&self, name: &str) -> Option<PackedFile> {
        let range = self.files.get(name)?.clone();
        Some(PackedFile { file: Arc::clone(&self.file), range })
    }
}

fn checksum(file: &dyn ReadFile, len: u64) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; CHECK_BYTES];
    let mut offset = 0;
    while offset < len {
        let piece = &mut buffer[..CHECK_BYTES.min((len - offset) as usize)];
        file.read_at(offset, piece)?;
        hasher.update(piece);
        offset += piece.len() as u64;
    }
    Ok(hasher.finalize())
}

fn parse_directory(mut bytes: &[u8], end: u64) -> io::Result<HashMap<String, Range<u64>>> {
    let mut files = HashMap::new();
    while !bytes.is_empty() {
        let name_len = usize::from(u16::from_le_bytes(*take(bytes, 0)?));
        let name = bytes.get(2..2 + name_len).ok_or_else(|| damaged("its directory is cut"))?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| damaged("a name is no text"))?;
        let start = u64::from_le_bytes(*take(bytes, 2 + name_len)?);
        let len = u64::from_le_bytes(*take(bytes, 10 + name_len)?);
        let range =
            start..start.checked_add(len).filter(|stop| *stop <= end).ok_or_else(|| damaged("a file ends beyond"))?;
        files.insert(name, range);
        bytes = &bytes[18 + name_len..];
    }
    Ok(files)
}

fn take<const N: usize>(bytes: &[u8], offset: usize) -> io::Result<&[u8; N]> {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).ok_or_else(|| damaged("a number is cut"))
}

pub(super) fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A file inside a packed file.
#[derive(Clone)]
pub(super) struct PackedFile {
    file: Arc<dyn ReadFile>,
    range: Range<u64>,
}

impl PackedFile {
    /// Where in the packed file it begins.
    pub(super) fn start(&self) -> u64 {
        self.range.start
    }

    /// Fills `buffer` from `offset` on.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let stop = offset.checked_add(buffer.len() as u64).filter(|stop| *stop <= self.range.end - self.range.start);
        stop.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.file.read_at(self.range.start + offset, buffer)
    }
}

impl fmt::Debug for PackedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackedFile({:?})", self.range)
    }
}

impl tantivy::HasLen for PackedFile {
    fn len(&self) -> usize {
        (self.range.end - self.range.start) as usize
    }
}

impl FileHandle for PackedFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let mut bytes = vec![0; range.len()];
        self.read_at(range.start as u64, &mut bytes)?;
        Ok(OwnedBytes::new(bytes))
    }
}

/// Tantivy's view of a packed file. Read-only: every way to change it fails.
#[derive(Clone)]
pub(super) struct PackedDirectory(pub(super) Packed);

impl PackedDirectory {
    fn find(&self, path: &Path) -> Result<PackedFile, OpenReadError> {
        let found = path.to_str().and_then(|name| self.0.file(name));
        found.ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_path_buf()))
    }
}

impl fmt::Debug for PackedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackedDirectory({:?})", self.0.files)
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "an index is never changed")
}

impl Directory for PackedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(self.find(path)?))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_path_buf() })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.find(path).is_ok())
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_path_buf() })
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let file = self.find(path)?;
        let mut bytes = vec![0; tantivy::HasLen::len(&file)];
        let failed = |error| OpenReadError::IoError { io_error: Arc::new(error), filepath: PathBuf::from(path) };
        file.read_at(0, &mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    fn atomic_write(&self, _path: &Path, _data: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
