//! Every bound of the read path, with its reason and what breaks if it is raised.

/// Characters of one filter. Each term is kept in memory and evaluated for each row: longer filters are programs that went
/// wrong. Raised, one request may hold a server's core for long.
pub const QUERY_CHARACTERS_MAX: usize = 16_384;

/// Terms of one filter; see [`QUERY_CHARACTERS_MAX`].
pub const QUERY_TERMS_MAX: usize = 1_000;

/// Nesting of parentheses and negations. Parser and evaluation recurse this deep; raised a thousandfold, the stack ends.
pub const QUERY_DEPTH_MAX: usize = 64;

/// Compiled size of one regular expression, in bytes. Raised, a repetition such as `.{9999}` takes the memory of many rows.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

/// Granules in which a field that no row had is looked for before the asker is warned. More would make a typing error as dear
/// as a scan; fewer would warn of fields that are only rare.
pub const FIELD_LOOKUP_GRANULES_MAX: usize = 32;
