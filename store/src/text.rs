//! Words: how text becomes tokens, and the index that narrows a search to blocks of rows.
//!
//! The index never decides, it only narrows: whoever reads the rows it leaves over verifies each of them.

mod filter;
mod packed;
mod reader;
pub mod tokenizer;
mod writer;

pub(crate) use reader::Index;
pub(crate) use writer::IndexBuilder;

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use crate::limits;
use crate::schema::{column, is_attribute};

/// Which half of the index knows a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Tantivy: words that repeat, by blocks of rows.
    Words,
    /// The id filters: what has a digit, and ids, by granules.
    Ids,
    /// Neither: the column is not indexed, and nothing can be left out.
    Nowhere,
}

/// Columns of ids: every token of theirs goes to the filters, which cost about a byte per id where words would cost ten.
const ID_COLUMNS: [&str; 4] = [column::TRACE_ID, column::SPAN_ID, column::PARENT_SPAN_ID, column::CORRELATION_ID];

/// Fixed text columns that are indexed.
const TEXT_COLUMNS: [&str; 12] = [
    column::SERVICE,
    column::BODY,
    column::NAME,
    column::EVENT_NAME,
    column::SEVERITY_TEXT,
    column::STATUS_MESSAGE,
    column::TRACE_STATE,
    column::SCOPE_NAME,
    column::SCOPE_VERSION,
    column::RESOURCE_SCHEMA_URL,
    column::SCOPE_SCHEMA_URL,
    column::METRIC,
];

/// The one rule that says where a token of a column is indexed: an id column or an ASCII digit leads to the filters,
/// everything else to tantivy. Reads no more of the token than the index does.
pub fn home(column: &str, token: &str) -> Home {
    if ID_COLUMNS.contains(&column) {
        Home::Ids
    } else if !TEXT_COLUMNS.contains(&column) && !is_attribute(column) {
        Home::Nowhere
    } else {
        home_of_text(tokenizer::indexed(token))
    }
}

// Of a token of a column that is indexed and has no ids, already cut.
fn home_of_text(token: &str) -> Home {
    if token.bytes().any(|byte| byte.is_ascii_digit()) { Home::Ids } else { Home::Words }
}

/// Sets `term` to the bytes that stand for tokens of a column, up to where the token follows.
fn begin_term(term: &mut Vec<u8>, column: &str) {
    term.clear();
    term.extend_from_slice(tokenizer::cut(column, limits::TERM_COLUMN_BYTES_MAX).as_bytes());
    term.push(0);
}

/// The hash of a term: SipHash-1-3 with a key of sixteen zero bytes.
fn term_hash(term: &[u8]) -> u64 {
    TermStem::of(term).hash(&[])
}

/// What stands in a filter for a term of the column with this hash. A trace id is looked for in every granule there is, and
/// one stranger in 128 would be many: two members make it one in 16,384.
fn members(name: &str, hash: u64) -> impl Iterator<Item = u64> {
    std::iter::once(hash).chain((name == column::TRACE_ID).then_some(!hash))
}

impl Default for TermStem {
    fn default() -> Self {
        Self::of(&[])
    }
}

/// The hash of a term as far as its first bytes go, for all terms that begin alike.
#[derive(Clone, Copy, Debug)]
struct TermStem(SipHasher13);

impl TermStem {
    fn of(beginning: &[u8]) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(beginning);
        Self(hasher)
    }

    fn hash(self, rest: &[u8]) -> u64 {
        let mut hasher = self.0;
        hasher.write(rest);
        hasher.finish()
    }
}
