//! The one tokenizer. The index, the head and the scan that verifies both use it, so that none of them sees a word the
//! others miss.
//!
//! A token is a maximal run of Unicode letters, Unicode digits and `_`, in lower case.

use std::borrow::Cow;

/// Longest token of the index, in bytes. A longer one is cut here when it is indexed or looked up, and verified whole on the
/// column.
pub const INDEXED_TOKEN_BYTES_MAX: usize = 64;

/// The tokens of a text in order, whole and in lower case.
pub fn tokens(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split(|c: char| !is_token_char(c)).filter(|token| !token.is_empty()).map(lower_case)
}

/// Whether a character belongs to tokens.
pub fn is_token_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A token as the index knows it: cut at [`INDEXED_TOKEN_BYTES_MAX`], between characters.
pub fn indexed(token: &str) -> &str {
    if token.len() <= INDEXED_TOKEN_BYTES_MAX {
        return token;
    }
    let mut end = INDEXED_TOKEN_BYTES_MAX;
    while !token.is_char_boundary(end) {
        end -= 1;
    }
    &token[..end]
}

fn lower_case(token: &str) -> Cow<'_, str> {
    if token.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        Cow::Borrowed(token)
    } else {
        Cow::Owned(token.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_lowers() {
        let cases: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("--", &[]),
            ("Payment DECLINED: card_4242!", &["payment", "declined", "card_4242"]),
            ("user@example.com", &["user", "example", "com"]),
            ("naïve ÉTÉ 東京", &["naïve", "été", "東京"]),
            ("a\u{0}b", &["a", "b"]),
        ];
        for (text, expected) in cases {
            assert_eq!(tokens(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn cuts_between_characters() {
        let token = "é".repeat(40);
        assert_eq!(indexed(&token).len(), 64);
        assert_eq!(indexed(&format!("a{token}")).len(), 63);
    }
}
