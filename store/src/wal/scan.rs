//! What of a segment's bytes counts. Pure: bytes in, places of records out.
//!
//! A crash may leave the last writes torn anywhere, page by page and out of order: from the first record that is not whole,
//! nothing counts. But what was known to be on the disk when a later record was written is no torn end: if it cannot be
//! read, it is damage, and the records behind it count.

use std::ops::Range;

use super::DirectoryId;
use super::record::{HEADER_LEN, Header, MAGIC};
use super::segment::SEGMENT_HEADER_LEN;

/// What was found in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Headers of the whole records, in order.
    pub(super) records: Vec<Header>,
    /// Bytes that should hold records and do not.
    pub(super) damaged: Vec<Range<u64>>,
    /// Where the log ends in this segment. What follows was never acknowledged.
    pub(super) end: u64,
}

/// Looks for records in a segment's bytes. `counted` is how many of them count according to the next segment's header;
/// `None` for the last segment.
pub(super) fn scan(bytes: &[u8], counted: Option<u64>, directory_id: &DirectoryId) -> Scan {
    let start = SEGMENT_HEADER_LEN.min(bytes.len());
    let limit = counted.and_then(|end| usize::try_from(end).ok()).unwrap_or(bytes.len()).clamp(start, bytes.len());
    let bytes = &bytes[..limit];
    let mut scan = Scan { end: start as u64, ..Scan::default() };
    let mut durable_to = 0;
    let mut offset = start;
    while offset < limit {
        let (whole, next) = match header_at(bytes, offset, directory_id) {
            Some((header, payload)) => {
                durable_to = durable_to.max(header.place.durable_to);
                let whole = header.is_of(&bytes[payload.clone()]);
                if whole {
                    scan.records.push(header);
                }
                (whole, payload.end)
            }
            None => (false, next_header(bytes, offset + 1, directory_id).unwrap_or(limit)),
        };
        if !whole {
            scan.damaged.push(offset as u64..next as u64);
        }
        offset = next;
    }
    match counted {
        Some(end) => {
            if end > limit as u64 {
                scan.damaged.push(limit as u64..end);
            }
            scan.end = end;
        }
        None => scan.cut_torn_end(limit as u64, durable_to),
    }
    scan
}

impl Scan {
    fn cut_torn_end(&mut self, limit: u64, durable_to: u64) {
        self.end = limit;
        if let Some(torn) = self.damaged.iter().position(|range| range.start >= durable_to) {
            self.end = self.damaged[torn].start;
            self.damaged.truncate(torn);
            self.records.retain(|header| header.place.offset < self.end);
        }
    }
}

// The header at `offset` and where its payload is, if all of that is there.
fn header_at(bytes: &[u8], offset: usize, directory_id: &DirectoryId) -> Option<(Header, Range<usize>)> {
    let header = Header::from_bytes(&bytes[offset..], offset as u64, directory_id)?;
    let start = offset + HEADER_LEN;
    let end = start.checked_add(header.payload_len as usize).filter(|end| *end <= bytes.len())?;
    Some((header, start..end))
}

fn next_header(bytes: &[u8], from: usize, directory_id: &DirectoryId) -> Option<usize> {
    let candidates = bytes.get(from..)?.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
    candidates.map(|(distance, _)| from + distance).find(|offset| header_at(bytes, *offset, directory_id).is_some())
}
