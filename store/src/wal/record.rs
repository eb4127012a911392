//! One record: a header that can be trusted on its own, and a payload that can be skipped if it cannot.

use model::Signal;

use super::DirectoryId;
use crate::limits;

/// Bytes of a record's header.
pub(crate) const HEADER_LEN: usize = 48;
/// The first bytes of every record.
pub(crate) const MAGIC: [u8; 4] = *b"SxR1";

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A batch.
    Rows(Signal),
    /// Changes of state tables.
    State,
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Kind::Rows(Signal::Logs) => 1,
            Kind::Rows(Signal::Spans) => 2,
            Kind::Rows(Signal::Points) => 3,
            Kind::State => 4,
        }
    }

    fn of_number(number: u8) -> Option<Kind> {
        match number {
            1 => Some(Kind::Rows(Signal::Logs)),
            2 => Some(Kind::Rows(Signal::Spans)),
            3 => Some(Kind::Rows(Signal::Points)),
            4 => Some(Kind::State),
            _ => None,
        }
    }

    /// The word used for counters.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Rows(signal) => signal.as_str(),
            Kind::State => "state",
        }
    }
}

/// What is logged of one append, made ready by the caller so that the commit thread only copies it.
pub(crate) struct Payload {
    pub(crate) kind: Kind,
    /// Items of a batch, 1 for changes of state: how many numbers the record takes.
    pub(crate) rows: u32,
    crc32: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Payload {
    /// A payload of these bytes, as they are: see ADR 006 for why they are not compressed. The error is the length that was
    /// too much.
    pub(crate) fn new(kind: Kind, rows: u32, bytes: Vec<u8>) -> Result<Payload, usize> {
        if bytes.len() > limits::RECORD_BYTES_MAX {
            return Err(bytes.len());
        }
        Ok(Payload { kind, rows, crc32: crc32fast::hash(&bytes), bytes })
    }

    /// The header of this payload's record.
    pub(crate) fn header(&self, place: Place) -> Header {
        Header {
            kind: self.kind,
            payload_len: self.bytes.len() as u32,
            place,
            rows: self.rows,
            payload_crc32: self.crc32,
        }
    }
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Of the header in its segment.
    pub(crate) offset: u64,
    /// How much of the segment was known to be on the disk when the record was written. Tells a torn end from damage.
    pub(crate) durable_to: u64,
    /// The first number that the record takes: of `ingest_seq` for a batch, of the state's own for state.
    pub(crate) seq_base: u64,
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) payload_len: u32,
    pub(crate) place: Place,
    pub(crate) rows: u32,
    payload_crc32: u32,
}

impl Header {
    pub(crate) fn to_bytes(self, directory_id: &DirectoryId) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = self.kind.number();
        bytes[8..12].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.payload_crc32.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.place.offset.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.place.durable_to.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.place.seq_base.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.rows.to_le_bytes());
        let crc = header_crc32(directory_id, &bytes[..44]);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header that stands at `offset` and begins `bytes`, if one does.
    pub(crate) fn from_bytes(bytes: &[u8], offset: u64, directory_id: &DirectoryId) -> Option<Header> {
        let bytes = bytes.get(..HEADER_LEN)?;
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..4] != MAGIC || u32_at(44) != header_crc32(directory_id, &bytes[..44]) {
            return None;
        }
        let header = Header {
            kind: Kind::of_number(bytes[4])?,
            payload_len: u32_at(8),
            place: Place { offset: u64_at(16), durable_to: u64_at(24), seq_base: u64_at(32) },
            rows: u32_at(40),
            payload_crc32: u32_at(12),
        };
        (header.place.offset == offset).then_some(header)
    }

    /// Whether these are the bytes that were written as the payload.
    pub(crate) fn is_of(&self, payload: &[u8]) -> bool {
        crc32fast::hash(payload) == self.payload_crc32
    }

    /// The last number that the record takes.
    pub(crate) fn seq_last(&self) -> u64 {
        self.place.seq_base.saturating_add(u64::from(self.rows).saturating_sub(1))
    }
}

// Seeded with the directory's id: see `DirectoryId`.
fn header_crc32(directory_id: &DirectoryId, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(directory_id);
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: DirectoryId = [7; 16];

    #[test]
    fn headers_read_back_and_show_every_flipped_bit() {
        let payload = Payload::new(Kind::Rows(Signal::Spans), 10, vec![1; 100]).expect("it is small");
        let header = payload.header(Place { offset: 64, durable_to: 64, seq_base: 1 << 40 });
        let bytes = header.to_bytes(&ID);
        assert_eq!(Header::from_bytes(&bytes, 64, &ID), Some(header));
        assert!(header.is_of(&[1; 100]) && !header.is_of(&[1; 99]));
        assert_eq!(header.seq_last(), (1 << 40) + 9);
        assert_eq!(Header::from_bytes(&bytes, 65, &ID), None);
        assert_eq!(Header::from_bytes(&bytes, 64, &[8; 16]), None);
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::from_bytes(&flipped, 64, &ID), None, "bit {bit}");
        }
    }
}
