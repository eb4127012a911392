//! Words of a text: maximal runs of Unicode letters, digits and `_`, lower-cased.

use std::borrow::Cow;

/// Whether a character belongs to a word.
pub fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of `text` in their order.
pub fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split(|c| !is_word_character(c)).filter(|word| !word.is_empty()).map(|word| {
        if word.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
            Cow::Borrowed(word)
        } else {
            Cow::Owned(word.to_lowercase())
        }
    })
}
