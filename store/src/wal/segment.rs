//! Segments: the files of the log, and the side that writes them. Owned by the commit thread alone.
//!
//! A segment that failed once is left for good, never written or synced again: after a failed fsync the system forgets what
//! it could not write. Its successor's header says how much of it counts, so whatever else is found behind that is no
//! record of this log.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use model::Signal;

use super::DirectoryId;
use super::record::{HEADER_LEN, Kind, Payload, Place};
use crate::disk::{AppendFile, Disk, remove_if_there};
use crate::{StoreError, layout, limits};

/// Bytes before the first record.
pub(crate) const SEGMENT_HEADER_LEN: usize = 64;
/// Version of the log's format.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"SEXTNWAL";
const CRC: std::ops::Range<usize> = 12..16;

/// The first bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u64,
    /// The segment before this one, and how many of its bytes count. `None` at the beginning of the log.
    pub(crate) previous: Option<(u64, u64)>,
    /// The next `ingest_seq` when the segment was made: no number below it is ever given again.
    pub(crate) first_seq: u64,
}

/// Why a file has no segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// Too short, or the checksum is wrong.
    Torn,
    /// Written by a version that this one does not know.
    Version(u32),
    /// Written for another data directory.
    Foreign,
}

impl SegmentHeader {
    pub(crate) fn to_bytes(self, directory_id: &DirectoryId) -> [u8; SEGMENT_HEADER_LEN] {
        let (previous, previous_end) = self.previous.unwrap_or((0, 0));
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(directory_id);
        bytes[32..40].copy_from_slice(&self.number.to_le_bytes());
        bytes[40..48].copy_from_slice(&previous.to_le_bytes());
        bytes[48..56].copy_from_slice(&previous_end.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.first_seq.to_le_bytes());
        let crc = segment_crc32(&bytes);
        bytes[CRC].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8], directory_id: &DirectoryId) -> Result<SegmentHeader, NoHeader> {
        let bytes: &[u8; SEGMENT_HEADER_LEN] = bytes.first_chunk().ok_or(NoHeader::Torn)?;
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..8] != MAGIC || u32_at(CRC.start) != segment_crc32(bytes) {
            return Err(NoHeader::Torn);
        }
        if u32_at(8) != VERSION {
            return Err(NoHeader::Version(u32_at(8)));
        }
        if bytes[16..32] != *directory_id {
            return Err(NoHeader::Foreign);
        }
        let previous = u64_at(40);
        Ok(SegmentHeader {
            number: u64_at(32),
            previous: (previous > 0).then(|| (previous, u64_at(48))),
            first_seq: u64_at(56),
        })
    }
}

// Of everything but the checksum itself.
fn segment_crc32(bytes: &[u8; SEGMENT_HEADER_LEN]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..CRC.start]);
    hasher.update(&bytes[CRC.end..]);
    hasher.finalize()
}

/// What a segment holds, as far as it decides when the segment may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentInfo {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    /// The last `ingest_seq` of each signal, in the order of [`Signal::ALL`]; 0 if there is none.
    pub(crate) last_seq: [u64; Signal::ALL.len()],
    /// The last number of a change of state.
    pub(crate) last_state_seq: u64,
}

impl SegmentInfo {
    pub(crate) fn note(&mut self, kind: Kind, seq_last: u64) {
        match kind {
            Kind::Rows(signal) => self.last_seq[signal as usize] = seq_last,
            Kind::State => self.last_state_seq = seq_last,
        }
    }
}

/// The segments of the log from the oldest that is needed to the newest, shared by the commit thread, which adds, and
/// whoever publishes, which removes. Locked for moments only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments(Arc<Mutex<Vec<SegmentInfo>>>);

impl Segments {
    pub(crate) fn new(found: Vec<SegmentInfo>) -> Self {
        Self(Arc::new(Mutex::new(found)))
    }

    /// The number of the first segment that is still needed when everything up to these numbers is elsewhere. The newest
    /// segment always is.
    pub(crate) fn first_needed(&self, flushed: [u64; Signal::ALL.len()], state_seq: u64) -> Option<u64> {
        let segments = self.lock();
        let needed = segments.iter().position(|segment| {
            segment.last_state_seq > state_seq || segment.last_seq.iter().zip(flushed).any(|(last, done)| *last > done)
        });
        let position = needed.unwrap_or(usize::MAX).min(segments.len().checked_sub(1)?);
        Some(segments[position].number)
    }

    /// Forgets the segments before `first`; answers their numbers.
    pub(crate) fn forget_before(&self, first: u64) -> Vec<u64> {
        let mut segments = self.lock();
        let kept = segments.partition_point(|segment| segment.number < first);
        segments.drain(..kept).map(|segment| segment.number).collect()
    }

    /// Number of segments and their bytes.
    pub(crate) fn size(&self) -> (u64, u64) {
        let segments = self.lock();
        (segments.len() as u64, segments.iter().map(|segment| segment.bytes).sum())
    }

    fn update(&self, info: SegmentInfo) {
        let mut segments = self.lock();
        match segments.iter_mut().rev().find(|segment| segment.number == info.number) {
            Some(segment) => *segment = info,
            None => segments.push(info),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SegmentInfo>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of the log, where records are added.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    directory_id: DirectoryId,
    segment_bytes: u64,
    segments: Segments,
    active: Option<Active>,
    // The segment before the next one, and how many of its bytes count.
    previous: Option<(u64, u64)>,
    next_number: u64,
    buffer: Vec<u8>,
}

struct Active {
    file: Box<dyn AppendFile>,
    path: PathBuf,
    info: SegmentInfo,
    // Up to where the file is known to be on the disk.
    durable_to: u64,
}

/// Where a log is continued.
pub(crate) struct LogEnd {
    pub(crate) segments: Segments,
    pub(crate) previous: Option<(u64, u64)>,
    pub(crate) next_number: u64,
}

impl Log {
    /// The log of a data directory. Nothing is written before the first record.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: &Path,
        directory_id: DirectoryId,
        segment_bytes: u64,
        end: LogEnd,
    ) -> Log {
        let LogEnd { segments, previous, next_number } = end;
        let directory = directory.to_path_buf();
        Log {
            disk,
            directory,
            directory_id,
            segment_bytes,
            segments,
            active: None,
            previous,
            next_number,
            buffer: Vec::new(),
        }
    }

    /// Makes sure that there is a segment to write to: a new one if the last failed or is full.
    pub(crate) fn prepare(&mut self, next_seq: u64) -> Result<(), StoreError> {
        if self.active.as_ref().is_some_and(|active| active.info.bytes < self.segment_bytes) {
            return Ok(());
        }
        // What the old one holds has to be durable before anything that comes after it. If that fails the old one is left,
        // and what was to be durable later than its acknowledgement may be lost in a power cut, as configured.
        let synced = self.sync();
        self.leave();
        synced?;
        self.begin(next_seq)
    }

    // From here on the number is used up, whatever happens: a half-made segment may come back after a crash.
    fn begin(&mut self, next_seq: u64) -> Result<(), StoreError> {
        let number = self.next_number;
        self.next_number += 1;
        let folder = self.directory.join(layout::WAL);
        let path = layout::segment(&self.directory, number);
        let header = SegmentHeader { number, previous: self.previous, first_seq: next_seq };
        let made = self.disk.create(&path).map_err(StoreError::disk("create", &path)).and_then(|mut file| {
            file.append(&header.to_bytes(&self.directory_id)).map_err(StoreError::disk("append to", &path))?;
            file.sync().map_err(StoreError::disk("sync", &path))?;
            self.disk.sync_dir(&folder).map_err(StoreError::disk("sync", &folder))?;
            Ok(file)
        });
        let file = match made {
            Ok(file) => file,
            Err(error) => {
                if let Err(error) = remove_if_there(self.disk.as_ref(), &path) {
                    tracing::warn!(path = %path.display(), %error, "cannot remove a WAL segment that could not be begun");
                }
                return Err(error);
            }
        };
        let info = SegmentInfo { number, bytes: SEGMENT_HEADER_LEN as u64, ..SegmentInfo::default() };
        self.segments.update(info);
        self.active = Some(Active { file, path, info, durable_to: info.bytes });
        Ok(())
    }

    /// Appends records, each a payload and its first number, in one go, and syncs them if asked to. On an error none of
    /// them counts. [`Log::prepare`] comes first.
    pub(crate) fn commit(&mut self, records: &[(&Payload, u64)], sync: bool) -> Result<(), StoreError> {
        let Some(active) = &mut self.active else {
            return Err(StoreError::Closed { reason: "the WAL has no open segment".to_owned() });
        };
        match active.write(&mut self.buffer, &self.directory_id, records, sync) {
            Ok(()) => {
                self.segments.update(active.info);
                Ok(())
            }
            Err(error) => {
                self.leave();
                Err(error)
            }
        }
    }

    /// Syncs what was committed without. On an error it may be lost in a power cut.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        if active.durable_to == active.info.bytes {
            return Ok(());
        }
        match active.file.sync() {
            Ok(()) => {
                active.durable_to = active.info.bytes;
                Ok(())
            }
            Err(error) => {
                let error = StoreError::disk("sync", &active.path)(error);
                self.leave();
                Err(error)
            }
        }
    }

    fn leave(&mut self) {
        if let Some(active) = self.active.take() {
            self.previous = Some((active.info.number, active.info.bytes));
        }
    }
}

impl Active {
    fn write(
        &mut self,
        buffer: &mut Vec<u8>,
        directory_id: &DirectoryId,
        records: &[(&Payload, u64)],
        sync: bool,
    ) -> Result<(), StoreError> {
        let mut info = self.info;
        buffer.clear();
        for (payload, seq_base) in records {
            let place = Place { offset: info.bytes, durable_to: self.durable_to, seq_base: *seq_base };
            let header = payload.header(place);
            buffer.extend_from_slice(&header.to_bytes(directory_id));
            buffer.extend_from_slice(&payload.bytes);
            info.bytes += (HEADER_LEN + payload.bytes.len()) as u64;
            info.note(payload.kind, header.seq_last());
            if buffer.len() >= limits::WAL_WRITE_BYTES {
                self.append(buffer)?;
            }
        }
        self.append(buffer)?;
        if sync {
            self.file.sync().map_err(StoreError::disk("sync", &self.path))?;
            self.durable_to = info.bytes;
        }
        self.info = info;
        Ok(())
    }

    fn append(&mut self, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        if buffer.is_empty() {
            return Ok(());
        }
        self.file.append(buffer).map_err(StoreError::disk("append to", &self.path))?;
        buffer.clear();
        // One huge record must not keep its memory for good.
        buffer.shrink_to(2 * limits::WAL_WRITE_BYTES);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_headers_read_back_and_show_every_flipped_bit() {
        let id = [3; 16];
        for previous in [None, Some((6, 12_345))] {
            let header = SegmentHeader { number: 7, previous, first_seq: 99 };
            let bytes = header.to_bytes(&id);
            assert_eq!(SegmentHeader::from_bytes(&bytes, &id), Ok(header));
            assert_eq!(SegmentHeader::from_bytes(&bytes, &[4; 16]), Err(NoHeader::Foreign));
            assert_eq!(SegmentHeader::from_bytes(&bytes[..63], &id), Err(NoHeader::Torn));
            for bit in 0..SEGMENT_HEADER_LEN * 8 {
                let mut flipped = bytes;
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(SegmentHeader::from_bytes(&flipped, &id), Err(NoHeader::Torn), "bit {bit}");
            }
        }
    }

    #[test]
    fn segments_go_when_all_they_hold_is_elsewhere() {
        let segment = |number, last_seq, last_state_seq| SegmentInfo { number, bytes: 1, last_seq, last_state_seq };
        let segments =
            Segments::new(vec![segment(3, [5, 9, 0], 0), segment(4, [12, 0, 0], 2), segment(6, [0, 20, 0], 0)]);
        for (flushed, state_seq, first) in [
            ([4, 99, 99], 9, 3),
            ([5, 9, 0], 0, 4),
            ([5, 8, 0], 0, 3),
            ([12, 9, 0], 1, 4),
            ([12, 9, 0], 2, 6),
            ([99, 99, 99], 9, 6),
        ] {
            assert_eq!(segments.first_needed(flushed, state_seq), Some(first), "{flushed:?} {state_seq}");
        }
        assert_eq!(segments.forget_before(6), [3, 4]);
        assert_eq!(segments.size(), (1, 1));
        assert_eq!(Segments::default().first_needed([0; 3], 0), None);
    }
}
