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

/// Calls `visit` with each of [`tokens`], without memory of its own for each. `scratch` is any string, overwritten.
pub fn each_token(text: &str, scratch: &mut String, mut visit: impl FnMut(&str)) {
    if !text.is_ascii() {
        tokens(text).for_each(|token| visit(&token));
        return;
    }
    // Of ASCII text one lower-cased copy is made, and its tokens are found by their bytes.
    scratch.clear();
    scratch.push_str(text);
    scratch.make_ascii_lowercase();
    let bytes = scratch.as_bytes();
    let mut start = 0;
    for (end, byte) in bytes.iter().enumerate() {
        if !(byte.is_ascii_alphanumeric() || *byte == b'_') {
            if start < end {
                visit(&scratch[start..end]);
            }
            start = end + 1;
        }
    }
    if start < bytes.len() {
        visit(&scratch[start..]);
    }
}

/// Whether a character belongs to tokens.
pub fn is_token_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A token as the index knows it: cut at [`INDEXED_TOKEN_BYTES_MAX`], between characters.
pub fn indexed(token: &str) -> &str {
    cut(token, INDEXED_TOKEN_BYTES_MAX)
}

/// The longest beginning of a text that has at most so many bytes and ends between characters.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
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
        let cases: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("--", &[]),
            ("Payment DECLINED: card_4242!", &["payment", "declined", "card_4242"]),
            ("user@example.com", &["user", "example", "com"]),
            ("naïve ÉTÉ 東京", &["naïve", "été", "東京"]),
            ("a\u{0}b", &["a", "b"]),
            (" x", &["x"]),
        ];
        for (text, expected) in cases {
            assert_eq!(tokens(text).collect::<Vec<_>>(), expected, "{text:?}");
            let mut visited = Vec::new();
            each_token(text, &mut String::new(), |token| visited.push(token.to_owned()));
            assert_eq!(visited, expected, "{text:?}");
        }
    }

    #[test]
    fn both_ways_see_the_same_tokens() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let text: String = (0..random.usize(..40))
                .map(|_| if random.u8(..20) == 0 { random.char(..) } else { random.char('\0'..'\u{80}') })
                .collect();
            let mut visited = Vec::new();
            each_token(&text, &mut String::new(), |token| visited.push(token.to_owned()));
            assert_eq!(visited, tokens(&text).collect::<Vec<_>>(), "{text:?}");
        }
    }

    #[test]
    fn cuts_between_characters() {
        let token = "é".repeat(40);
        assert_eq!(indexed(&token).len(), 64);
        assert_eq!(indexed(&format!("a{token}")).len(), 63);
    }
}
