//! `checksums.bin` of a part: a checksum for each block of its other files, so that whatever is read is compared, however little of a file
//! it is. Bits that flip after a part was looked through must not become rows.
//!
//! A part of an older Sextant has none, and is compared as a whole only.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::meta::FileMeta;
use crate::disk::ReadFile;

const MAGIC: &[u8; 8] = b"SXSUMS01";

/// Bytes of a block. An id filter is asked for two bytes at a time, and a block is read for them; a thousandth of the part is paid
/// for it.
const BLOCK_BYTES: usize = 4 << 10;

/// The checksums of one file's blocks, as they grow.
#[derive(Debug, Default)]
pub(super) struct Builder {
    sums: Vec<u32>,
    open: crc32fast::Hasher,
    filled: usize,
}

impl Builder {
    /// More bytes of the file.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.filled));
            self.open.update(now);
            self.filled += now.len();
            if self.filled == BLOCK_BYTES {
                self.close();
            }
            bytes = rest;
        }
    }

    fn close(&mut self) {
        self.sums.push(std::mem::take(&mut self.open).finalize());
        self.filled = 0;
    }

    /// All of them.
    pub(super) fn finish(mut self) -> Vec<u32> {
        if self.filled > 0 {
            self.close();
        }
        self.sums
    }
}

/// The checksums of a part's files, by their names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sums {
    files: BTreeMap<String, Vec<u32>>,
}

impl Sums {
    /// Of these files.
    pub(super) fn new(files: BTreeMap<String, Vec<u32>>) -> Sums {
        Sums { files }
    }

    /// The file's bytes: the magic, and then four bytes for each block, in the order of the files' names.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let sums = self.files.values().flatten().flat_map(|sum| sum.to_le_bytes());
        MAGIC.iter().copied().chain(sums).collect()
    }

    /// Reads them; `files` are those that they are of. `None` if they are not.
    pub(super) fn from_bytes<'a>(
        bytes: &[u8],
        files: impl Iterator<Item = (&'a String, &'a FileMeta)>,
    ) -> Option<Sums> {
        let mut sums = bytes.strip_prefix(MAGIC)?.as_chunks::<4>().0.iter().map(|sum| u32::from_le_bytes(*sum));
        let mut of_files = BTreeMap::new();
        for (name, meta) in files {
            let blocks = usize::try_from(meta.bytes.div_ceil(BLOCK_BYTES as u64)).ok()?;
            let of_file: Vec<u32> = sums.by_ref().take(blocks).collect();
            (of_file.len() == blocks).then(|| of_files.insert(name.clone(), of_file))?;
        }
        (sums.len() == 0).then_some(Sums { files: of_files })
    }

    /// Bytes in memory, roughly.
    pub(super) fn memory_bytes(&self) -> usize {
        self.files.values().map(|sums| size_of_val(&sums[..])).sum::<usize>() + size_of::<Sums>()
    }
}

/// A file whose bytes are compared as they are read. [`io::ErrorKind::InvalidData`] if they are not what was written.
pub(super) struct Checked {
    file: Arc<dyn ReadFile>,
    sums: Arc<Sums>,
    name: &'static str,
}

impl Checked {
    /// `file` is the one of this name.
    pub(super) fn new(file: Arc<dyn ReadFile>, sums: Arc<Sums>, name: &'static str) -> Checked {
        Checked { file, sums, name }
    }
}

impl ReadFile for Checked {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        const BLOCK: u64 = BLOCK_BYTES as u64;
        let sums = self.sums.files.get(self.name).map_or(&[][..], |sums| sums);
        let stop = offset.checked_add(buffer.len() as u64).filter(|stop| *stop <= self.len());
        let stop = stop.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (first, last) = (offset / BLOCK, (stop - 1) / BLOCK);
        let start = first * BLOCK;
        let end = ((last + 1) * BLOCK).min(self.len());
        let mut blocks = vec![0; usize::try_from(end - start).map_err(|_| io::ErrorKind::FileTooLarge)?];
        self.file.read_at(start, &mut blocks)?;
        for (number, block) in (first..).zip(blocks.chunks(BLOCK_BYTES)) {
            let expected = usize::try_from(number).ok().and_then(|number| sums.get(number));
            if expected != Some(&crc32fast::hash(block)) {
                let what = format!("the checksum of its block {number} is wrong");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        let from = (offset - start) as usize;
        buffer.copy_from_slice(&blocks[from..from + buffer.len()]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>);

    impl ReadFile for Bytes {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            let from = self.0.get(offset as usize..).and_then(|rest| rest.get(..buffer.len()));
            buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }

    fn sums_of(bytes: &[u8], piece: usize) -> Vec<u32> {
        let mut builder = Builder::default();
        bytes.chunks(piece).for_each(|piece| builder.update(piece));
        builder.finish()
    }

    #[test]
    fn every_read_is_compared() {
        let mut random = fastrand::Rng::with_seed(1);
        for len in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES + 77] {
            let bytes: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
            let sums = sums_of(&bytes, 1_000);
            assert_eq!(sums, sums_of(&bytes, 1_000_000));
            let names = BTreeMap::from([
                ("a".to_owned(), FileMeta { bytes: len as u64, crc32: 0 }),
                ("b".to_owned(), FileMeta { bytes: len as u64, crc32: 0 }),
            ]);
            let all = Sums::new(BTreeMap::from([("a".to_owned(), sums.clone()), ("b".to_owned(), sums)]));
            let written = all.to_bytes();
            let all = Arc::new(all);
            assert_eq!(Sums::from_bytes(&written, names.iter()).as_ref(), Some(&*all));
            assert_eq!(Sums::from_bytes(&written[..written.len() - 1], names.iter()), None);
            assert_eq!(Sums::from_bytes(&[&written[..], &[0; 4]].concat(), names.iter()), None);
            for _ in 0..200 {
                let (from, to) = (random.usize(0..=len), random.usize(0..=len));
                let range = from.min(to)..from.max(to);
                let mut changed = bytes.clone();
                let place = random.usize(0..len.max(1));
                if let Some(byte) = changed.get_mut(place) {
                    *byte ^= 1 << random.u8(0..8);
                }
                for (is_changed, bytes) in [(false, bytes.clone()), (true, changed)] {
                    let file = Checked::new(Arc::new(Bytes(bytes.clone())), Arc::clone(&all), "b");
                    let mut buffer = vec![0; range.len()];
                    let block = |place: usize| place / BLOCK_BYTES;
                    let touches =
                        !range.is_empty() && (block(range.start)..=block(range.end - 1)).contains(&block(place));
                    let read = file.read_at(range.start as u64, &mut buffer);
                    assert_eq!(read.is_err(), is_changed && touches, "{range:?} of {len}, changed at {place}");
                    assert!(read.is_err() || buffer == bytes[range.clone()]);
                }
            }
            let file = Checked::new(Arc::new(Bytes(bytes)), all, "b");
            let beyond = file.read_at(len as u64, &mut [0]).map_err(|error| error.kind());
            assert_eq!(beyond, Err(io::ErrorKind::UnexpectedEof));
        }
    }
}
