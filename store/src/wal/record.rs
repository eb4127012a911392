//! One record: a header that can be trusted on its own, and a payload that can be skipped if it cannot.

use std::borrow::Cow;

use model::Signal;

use super::{DirectoryId, Malformed};
use crate::limits;

/// Bytes of a record's header.
pub(crate) const HEADER_LEN: usize = 52;
/// The first bytes of every record.
pub(crate) const MAGIC: [u8; 4] = *b"SxR1";

const LZ4: u8 = 1;
// Below this a block has nothing to find again.
const COMPRESS_FROM_BYTES: usize = 256;

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
    flags: u8,
    raw_len: u32,
    crc32: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Payload {
    /// `raw` as it is or compressed, whichever is clearly smaller. The error is the length that was too much.
    pub(crate) fn new(kind: Kind, rows: u32, raw: Vec<u8>) -> Result<Payload, usize> {
        let raw_len = u32::try_from(raw.len()).ok().filter(|_| raw.len() <= limits::RECORD_BYTES_MAX);
        let raw_len = raw_len.ok_or(raw.len())?;
        let (flags, bytes) = match compressed(&raw) {
            Some(bytes) => (LZ4, bytes),
            None => (0, raw),
        };
        Ok(Payload { kind, rows, flags, raw_len, crc32: crc32fast::hash(&bytes), bytes })
    }

    /// The header of this payload's record.
    pub(crate) fn header(&self, place: Place) -> Header {
        Header {
            kind: self.kind,
            flags: self.flags,
            payload_len: self.bytes.len() as u32,
            raw_len: self.raw_len,
            place,
            rows: self.rows,
            payload_crc32: self.crc32,
        }
    }
}

fn compressed(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() < COMPRESS_FROM_BYTES {
        return None;
    }
    let bytes = lz4_flex::block::compress(raw);
    (bytes.len() < raw.len() - raw.len() / 8).then_some(bytes)
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
    flags: u8,
    pub(crate) payload_len: u32,
    raw_len: u32,
    pub(crate) place: Place,
    pub(crate) rows: u32,
    payload_crc32: u32,
}

impl Header {
    pub(crate) fn to_bytes(self, directory_id: &DirectoryId) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = self.kind.number();
        bytes[5] = self.flags;
        bytes[8..12].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.place.offset.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.place.durable_to.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.place.seq_base.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.rows.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.payload_crc32.to_le_bytes());
        let crc = header_crc32(directory_id, &bytes[..48]);
        bytes[48..52].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header that stands at `offset` and begins `bytes`, if one does.
    pub(crate) fn from_bytes(bytes: &[u8], offset: u64, directory_id: &DirectoryId) -> Option<Header> {
        let bytes = bytes.get(..HEADER_LEN)?;
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..4] != MAGIC || u32_at(48) != header_crc32(directory_id, &bytes[..48]) {
            return None;
        }
        let header = Header {
            kind: Kind::of_number(bytes[4])?,
            flags: bytes[5],
            payload_len: u32_at(8),
            raw_len: u32_at(12),
            place: Place { offset: u64_at(16), durable_to: u64_at(24), seq_base: u64_at(32) },
            rows: u32_at(40),
            payload_crc32: u32_at(44),
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

    /// The payload as it was before it was compressed.
    pub(crate) fn raw<'a>(&self, payload: &'a [u8]) -> Result<Cow<'a, [u8]>, Malformed> {
        let raw_len = self.raw_len as usize;
        if raw_len > limits::RECORD_BYTES_MAX {
            return Err(Malformed("its payload is larger than any that is written"));
        }
        match self.flags {
            0 => Ok(Cow::Borrowed(payload)),
            LZ4 => {
                let raw = lz4_flex::block::decompress(payload, raw_len).ok().filter(|raw| raw.len() == raw_len);
                raw.map(Cow::Owned).ok_or(Malformed("its payload cannot be decompressed"))
            }
            _ => Err(Malformed("its payload is compressed in a way that this version does not know")),
        }
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

    fn example(raw: Vec<u8>) -> (Payload, Header) {
        let payload = Payload::new(Kind::Rows(Signal::Spans), 10, raw).expect("it is small");
        let header = payload.header(Place { offset: 64, durable_to: 64, seq_base: 1 << 40 });
        (payload, header)
    }

    #[test]
    fn headers_read_back_and_show_every_flipped_bit() {
        let (_, header) = example(vec![1; 100]);
        let bytes = header.to_bytes(&ID);
        assert_eq!(Header::from_bytes(&bytes, 64, &ID), Some(header));
        assert_eq!(header.seq_last(), (1 << 40) + 9);
        assert_eq!(Header::from_bytes(&bytes, 65, &ID), None);
        assert_eq!(Header::from_bytes(&bytes, 64, &[8; 16]), None);
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::from_bytes(&flipped, 64, &ID), None, "bit {bit}");
        }
    }

    #[test]
    fn payloads_are_compressed_when_that_helps() {
        let random: Vec<u8> = (0..1000).map(|_| fastrand::u8(..)).collect();
        for (raw, smaller) in [(vec![5; 1000], true), (vec![5; 100], false), (random, false), (Vec::new(), false)] {
            let (payload, header) = example(raw.clone());
            assert_eq!(payload.bytes.len() < raw.len(), smaller);
            assert!(header.is_of(&payload.bytes));
            assert_eq!(header.raw(&payload.bytes).as_deref(), Ok(&raw[..]));
        }
    }

    #[test]
    fn garbage_is_not_decompressed() {
        let (payload, header) = example(vec![5; 1000]);
        for cut in 0..payload.bytes.len() {
            assert!(header.raw(&payload.bytes[..cut]).is_err(), "{cut}");
        }
    }
}
