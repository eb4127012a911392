//! Reads the log when a store is opened: finds the segments that belong to it, and hands over what they hold in order.
//!
//! Nothing that was acknowledged goes silently. What cannot be read is said, and a copy of its segment is kept under
//! `wal/damaged/` before the rest is used; a segment that is missing or foreign stops the start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{HEADER_LEN, Header};
use super::scan::{Scan, scan};
use super::segment::{LogEnd, NoHeader, SEGMENT_HEADER_LEN, SegmentHeader, SegmentInfo, Segments, VERSION};
use super::{DirectoryId, Malformed};
use crate::disk::{Disk, read_file, remove_if_there, write_file};
use crate::{StoreError, layout};

/// The log of a data directory, to be read once.
pub(crate) struct Replay<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) directory: &'a Path,
    pub(crate) directory_id: DirectoryId,
    /// The first segment that is needed; those before it are left over. 0 if the manifest has never named one.
    pub(crate) first: u64,
}

/// What a replay found.
pub(crate) struct Replayed {
    /// Where the log goes on.
    pub(crate) end: LogEnd,
    /// The least number that was never given to a row.
    pub(crate) next_seq: u64,
    /// Ranges of the log that held something acknowledged and could not be read.
    pub(crate) damaged: u64,
    /// Bytes at the end that were never acknowledged and do not count.
    pub(crate) torn_bytes: u64,
}

/// What a replay does with each record.
pub(crate) type Apply<'a> = &'a mut dyn FnMut(&Header, &[u8]) -> Result<(), Malformed>;

// A segment of the log, and how many of its bytes count if the next one says so.
type Link = (u64, Option<u64>);

impl Replay<'_> {
    /// Hands every record to `apply` in order: its header and its payload. A record that
    /// `apply` cannot decode is damaged like one whose checksum is wrong.
    pub(crate) fn run(&self, apply: Apply<'_>) -> Result<Replayed, StoreError> {
        let headers = self.segment_headers()?;
        let chain = self.chain(&headers)?;
        self.put_aside_strangers(&headers, &chain)?;
        let mut replayed = Replayed {
            end: LogEnd {
                segments: Segments::default(),
                previous: None,
                next_number: headers.keys().last().map_or(1, |number| number + 1).max(self.first + 1),
            },
            next_seq: 1,
            damaged: 0,
            torn_bytes: 0,
        };
        let mut infos = Vec::new();
        for (number, counted) in chain {
            if let Some(Ok(header)) = headers.get(&number) {
                replayed.next_seq = replayed.next_seq.max(header.first_seq);
            } else {
                self.report_damage(number, 0..SEGMENT_HEADER_LEN as u64, "the segment's header", &mut replayed)?;
            }
            let info = self.segment(number, counted, &mut replayed, apply)?;
            replayed.end.previous = Some((number, info.bytes));
            infos.push(info);
        }
        if let Some(last) = infos.last() {
            // The process that wrote it may have ended before its fsync. What is shown from here on must stay.
            let path = layout::segment(self.directory, last.number);
            self.disk.sync_file(&path).map_err(StoreError::disk("sync", &path))?;
        }
        replayed.end.segments = Segments::new(infos);
        Ok(replayed)
    }

    // Every segment file that is needed, with its header. What the manifest is past is removed.
    fn segment_headers(&self) -> Result<BTreeMap<u64, Result<SegmentHeader, NoHeader>>, StoreError> {
        let folder = self.directory.join(layout::WAL);
        self.disk.create_dir_all(&folder).map_err(StoreError::disk("create", &folder))?;
        self.disk.sync_dir(self.directory).map_err(StoreError::disk("sync", self.directory))?;
        let mut headers = BTreeMap::new();
        for entry in self.disk.list(&folder).map_err(StoreError::disk("list", &folder))? {
            let Some(number) = layout::segment_number(&entry.path).filter(|_| !entry.is_dir) else {
                continue;
            };
            if number < self.first {
                self.disk.remove(&entry.path).map_err(StoreError::disk("remove", &entry.path))?;
                continue;
            }
            headers.insert(number, self.segment_header(number, &entry.path, entry.len)?);
        }
        Ok(headers)
    }

    fn segment_header(
        &self,
        number: u64,
        path: &Path,
        len: u64,
    ) -> Result<Result<SegmentHeader, NoHeader>, StoreError> {
        if len < SEGMENT_HEADER_LEN as u64 {
            return Ok(Err(NoHeader::Torn));
        }
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        let file = self.disk.open(path).map_err(StoreError::disk("open", path))?;
        file.read_at(0, &mut bytes).map_err(StoreError::disk("read", path))?;
        let damaged = |what: String| StoreError::Damaged { path: path.to_path_buf(), what };
        match SegmentHeader::from_bytes(&bytes, &self.directory_id) {
            Ok(header) if header.number == number => Ok(Ok(header)),
            Ok(_) | Err(NoHeader::Torn) => Ok(Err(NoHeader::Torn)),
            Err(NoHeader::Version(version)) => Err(damaged(format!(
                "it has version {version} of the log, this Sextant reads version {VERSION}; use the Sextant that wrote it"
            ))),
            Err(NoHeader::Foreign) => {
                Err(damaged("it was written for another data directory; put it back where it belongs".to_owned()))
            }
        }
    }

    // The segments that belong to the log, oldest first: from the newest back along what their headers say.
    fn chain(&self, headers: &BTreeMap<u64, Result<SegmentHeader, NoHeader>>) -> Result<Vec<Link>, StoreError> {
        let mut chain: Vec<Link> = Vec::new();
        let mut next = self.newest(headers)?.map(|number| (number, None));
        while let Some((number, counted)) = next {
            chain.push((number, counted));
            next = match headers.get(&number) {
                None => return Err(self.missing(number)),
                Some(Ok(header)) => header.previous.map(|(number, end)| (number, Some(end))),
                Some(Err(_)) => headers.range(..number).next_back().map(|(number, _)| (*number, None)),
            };
            next = next.filter(|(previous, _)| *previous >= self.first && *previous < number);
        }
        if self.first > 0 && chain.last().is_none_or(|(oldest, _)| *oldest != self.first) {
            return Err(self.missing(self.first));
        }
        chain.reverse();
        Ok(chain)
    }

    // A segment without a header is the newest one only if it holds records, that is, if its header was damaged later:
    // otherwise it is one that a crash kept from being begun.
    fn newest(&self, headers: &BTreeMap<u64, Result<SegmentHeader, NoHeader>>) -> Result<Option<u64>, StoreError> {
        for (number, header) in headers.iter().rev() {
            if header.is_ok() || *number == self.first || !self.scan(*number, None)?.1.records.is_empty() {
                return Ok(Some(*number));
            }
        }
        Ok(None)
    }

    fn missing(&self, number: u64) -> StoreError {
        let what = "it is missing and the log needs it; put it back from a copy, or, to go on without its records, make an \
                    empty file of this name";
        StoreError::Damaged { path: layout::segment(self.directory, number), what: what.to_owned() }
    }

    // Files that look like segments and are not in the log: begun in vain, or not by this program.
    fn put_aside_strangers(
        &self,
        headers: &BTreeMap<u64, Result<SegmentHeader, NoHeader>>,
        chain: &[Link],
    ) -> Result<(), StoreError> {
        for number in headers.keys().filter(|number| chain.iter().all(|(known, _)| known != *number)) {
            let path = layout::segment(self.directory, *number);
            let bytes = read_file(self.disk.as_ref(), &path).map_err(StoreError::disk("read", &path))?;
            if bytes.len() > SEGMENT_HEADER_LEN {
                self.keep_copy(*number, &bytes)?;
                tracing::warn!(path = %path.display(), "a file among the WAL's segments is not part of the log");
            }
            self.disk.remove(&path).map_err(StoreError::disk("remove", &path))?;
        }
        Ok(())
    }

    fn segment(
        &self,
        number: u64,
        counted: Option<u64>,
        replayed: &mut Replayed,
        apply: Apply<'_>,
    ) -> Result<SegmentInfo, StoreError> {
        let (bytes, scan) = self.scan(number, counted)?;
        for range in &scan.damaged {
            self.report_damage(number, range.clone(), "a checksum is wrong", replayed)?;
        }
        let mut info = SegmentInfo { number, bytes: scan.end, ..SegmentInfo::default() };
        for header in &scan.records {
            let start = header.place.offset as usize + HEADER_LEN;
            let payload = &bytes[start..start + header.payload_len as usize];
            info.note(header.kind, header.seq_last());
            if let Err(error) = apply(header, payload) {
                let range = header.place.offset..(start + payload.len()) as u64;
                self.report_damage(number, range, error.0, replayed)?;
            }
        }
        let torn = (bytes.len() as u64).saturating_sub(scan.end);
        if torn > 0 {
            let path = layout::segment(self.directory, number);
            tracing::warn!(
                path = %path.display(), offset = scan.end, bytes = torn,
                "the end of a WAL segment was not completely written and never acknowledged; it is left out"
            );
            replayed.torn_bytes += torn;
        }
        Ok(info)
    }

    fn scan(&self, number: u64, counted: Option<u64>) -> Result<(Vec<u8>, Scan), StoreError> {
        let path = layout::segment(self.directory, number);
        let bytes = read_file(self.disk.as_ref(), &path).map_err(StoreError::disk("read", &path))?;
        let found = scan(&bytes, counted, &self.directory_id);
        Ok((bytes, found))
    }

    fn report_damage(
        &self,
        number: u64,
        range: std::ops::Range<u64>,
        what: &str,
        replayed: &mut Replayed,
    ) -> Result<(), StoreError> {
        let path = layout::segment(self.directory, number);
        let bytes = read_file(self.disk.as_ref(), &path).map_err(StoreError::disk("read", &path))?;
        let copy = self.keep_copy(number, &bytes)?;
        replayed.damaged += 1;
        tracing::error!(
            path = %path.display(), from = range.start, to = range.end, copy = %copy.display(),
            "part of the WAL is damaged ({what}): its records are lost to queries; the whole segment is kept as the copy"
        );
        Ok(())
    }

    // A copy that is there already is the better one: it is older.
    fn keep_copy(&self, number: u64, bytes: &[u8]) -> Result<PathBuf, StoreError> {
        let copy = layout::damaged_segment(self.directory, number);
        let folder = copy.parent().unwrap_or(self.directory).to_path_buf();
        let wal = self.directory.join(layout::WAL);
        self.disk.create_dir_all(&folder).map_err(StoreError::disk("create", &folder))?;
        self.disk.sync_dir(&wal).map_err(StoreError::disk("sync", &wal))?;
        if read_file(self.disk.as_ref(), &copy).is_ok_and(|known| known.len() >= bytes.len()) {
            return Ok(copy);
        }
        let mut failed = remove_if_there(self.disk.as_ref(), &copy);
        failed = failed.and_then(|()| write_file(self.disk.as_ref(), &copy, bytes));
        failed.map_err(StoreError::disk("write", &copy))?;
        self.disk.sync_dir(&folder).map_err(StoreError::disk("sync", &folder))?;
        Ok(copy)
    }
}
