//! Where the next page of an answer begins. To its holder a cursor is a text without meaning.
//!
//! It carries the last row's key, so that pages neither overlap nor leave a gap, the highest `ingest_seq` of the first page's
//! snapshot, so that rows that came later stay out, and the resolved times, so that `-15m` means the same on every page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

/// A place in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Timestamp of the last row, in nanoseconds.
    #[serde(rename = "t")]
    pub last_time: i64,
    /// `ingest_seq` of the last row.
    #[serde(rename = "q")]
    pub last_seq: u64,
    /// Rows with a higher `ingest_seq` do not belong to the answer.
    #[serde(rename = "m")]
    pub seq_max: u64,
    /// What `now` was for the first page.
    #[serde(rename = "n")]
    now: i64,
    #[serde(rename = "s")]
    start: i64,
    #[serde(rename = "e")]
    end: i64,
    #[serde(rename = "f")]
    fingerprint: u64,
}

/// A text that is no cursor, or that of another query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// No cursor at all.
    #[error("the cursor cannot be read")]
    Unreadable,
    /// A cursor of another table, filter or order.
    #[error("the cursor belongs to another query")]
    OtherQuery,
}

impl Cursor {
    /// The cursor after a row.
    pub fn new(last: (i64, u64), seq_max: u64, now: Timestamp, range: TimeRange, fingerprint: u64) -> Self {
        Self {
            last_time: last.0,
            last_seq: last.1,
            seq_max,
            now: now.as_nanos(),
            start: range.start.as_nanos(),
            end: range.end.as_nanos(),
            fingerprint,
        }
    }

    /// What `now` was for the first page.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.now)
    }

    /// The range of the first page.
    pub fn range(&self) -> TimeRange {
        TimeRange { start: Timestamp::from_nanos(self.start), end: Timestamp::from_nanos(self.end) }
    }

    /// Reads a cursor that [`Cursor`]'s `Display` wrote for the query with this fingerprint.
    pub fn parse(text: &str, fingerprint: u64) -> Result<Self, CursorError> {
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Unreadable)?;
        let cursor: Cursor = serde_json::from_slice(&json).map_err(|_| CursorError::Unreadable)?;
        if cursor.fingerprint != fingerprint {
            return Err(CursorError::OtherQuery);
        }
        Ok(cursor)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json = serde_json::to_vec(self).map_err(|_| std::fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

/// A number that is the same for the same texts, on every machine and in every version: FNV-1a.
pub fn fingerprint(texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in texts.iter().flat_map(|text| text.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_equal_and_only_for_its_query() {
        let mine = fingerprint(&["logs", "error", "desc"]);
        let cursor = Cursor::new((-5, u64::MAX), 7, Timestamp::from_nanos(3), TimeRange::ALL, mine);
        assert_eq!(Cursor::parse(&cursor.to_string(), mine), Ok(cursor.clone()));
        let other = fingerprint(&["logs", "error", "asc"]);
        assert_eq!(Cursor::parse(&cursor.to_string(), other), Err(CursorError::OtherQuery));
        assert_eq!(Cursor::parse("x", mine), Err(CursorError::Unreadable));
        assert_ne!(fingerprint(&["a", "bc"]), fingerprint(&["ab", "c"]));
    }
}
