//! Whether one value passes a test: the definition of every form of the filter language, row by row. `evaluate` runs it over
//! columns.

use std::borrow::Cow;
use std::cmp::Ordering;

use model::Timestamp;
use model::attributes::{AttributeValue, base64_encode, double_text};
use model::time::parse_duration;
use store::text::tokenizer::tokens;

use crate::search::number::Number;
use crate::search::plan::{Bound, Bounds, Literal, Prefix, Test};

/// A value of a row.
#[derive(Clone, Copy, Debug)]
pub enum Scalar<'a> {
    /// Text, or a value that is looked at through its text only.
    Text(&'a str),
    /// A number.
    Number(Number),
    /// A boolean.
    Bool(bool),
    /// Bytes, seen as base64.
    Bytes(&'a [u8]),
    /// An array, a map or the empty value.
    Nested(&'a AttributeValue),
    /// Nanoseconds since the Unix epoch.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
}

impl<'a> From<&'a AttributeValue> for Scalar<'a> {
    fn from(value: &'a AttributeValue) -> Self {
        match value {
            AttributeValue::String(text) => Scalar::Text(text),
            AttributeValue::Bool(value) => Scalar::Bool(*value),
            AttributeValue::Int(value) => Scalar::Number(Number::Int(i128::from(*value))),
            AttributeValue::Double(value) => Scalar::Number(Number::Double(*value)),
            AttributeValue::Bytes(bytes) => Scalar::Bytes(bytes),
            AttributeValue::Empty | AttributeValue::Array(_) | AttributeValue::Map(_) => Scalar::Nested(value),
        }
    }
}

impl<'a> Scalar<'a> {
    /// What words, `:=` and expressions look at, and what groups are named after.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Scalar::Text(text) => Cow::Borrowed(text),
            Scalar::Number(Number::Int(value)) => Cow::Owned(value.to_string()),
            Scalar::Number(Number::Double(value)) => Cow::Owned(double_text(value)),
            Scalar::Bool(true) => Cow::Borrowed("true"),
            Scalar::Bool(false) => Cow::Borrowed("false"),
            Scalar::Bytes(bytes) => Cow::Owned(base64_encode(bytes)),
            Scalar::Nested(value) => Cow::Owned(value.to_text()),
            Scalar::Time(nanos) => Cow::Owned(Timestamp::from_nanos(nanos).to_string()),
            Scalar::Duration(nanos) => Cow::Owned(nanos.to_string()),
        }
    }
}

/// Whether the value passes the test.
pub fn passes(test: &Test, value: Scalar<'_>) -> bool {
    match test {
        Test::Exists => true,
        Test::Words(phrase) => match (value, phrase.number) {
            (Scalar::Number(found), Some(wanted)) => found == wanted,
            _ => contains(&value.text(), &phrase.words, ""),
        },
        Test::Prefix(Prefix { words, start, text }) => match value {
            Scalar::Number(_) => value.text().starts_with(text.as_str()),
            _ => contains(&value.text(), words, start),
        },
        Test::Text(text) => value.text() == text.as_str(),
        Test::OneOf(texts) => {
            let value = value.text();
            texts.iter().any(|text| value == text.as_str())
        }
        Test::Regex(pattern) => pattern.0.is_match(&value.text()),
        Test::Within(bounds) => within(bounds, value),
    }
}

fn within(bounds: &Bounds, value: Scalar<'_>) -> bool {
    let holds = |bound: &Option<Bound>, outside: Ordering| match bound {
        None => true,
        Some(bound) => match compare(value, &bound.value) {
            None => false,
            Some(Ordering::Equal) => bound.inclusive,
            Some(order) => order != outside,
        },
    };
    holds(&bounds.low, Ordering::Less) && holds(&bounds.high, Ordering::Greater)
}

// `None` if the two are of different kinds, or one is NaN.
fn compare(value: Scalar<'_>, literal: &Literal) -> Option<Ordering> {
    match (literal, value) {
        (Literal::Number(literal), Scalar::Number(value)) => value.compare(*literal),
        (Literal::Duration(literal), Scalar::Duration(value)) | (Literal::Time(literal), Scalar::Time(value)) => {
            Some(value.cmp(literal))
        }
        (Literal::Duration(literal), Scalar::Text(text)) => Some(parse_duration(text)?.cmp(literal)),
        (Literal::Time(literal), Scalar::Text(text)) => Some(text_time(text)?.cmp(literal)),
        _ => None,
    }
}

// RFC 3339 alone: a text such as "now" or "5" in a row is no time.
fn text_time(text: &str) -> Option<i64> {
    let dated = text.as_bytes().get(4) == Some(&b'-');
    let time = dated.then(|| Timestamp::parse(text, Timestamp::default()).ok()).flatten()?;
    Some(time.as_nanos())
}

/// Whether the words follow each other in the text, and after them, unless `start` is empty, a word that begins with it.
pub fn contains(text: &str, words: &[String], start: &str) -> bool {
    let ascii = text.is_ascii() && words.iter().all(|word| word.is_ascii()) && start.is_ascii();
    match (ascii, words, start) {
        (true, [word], "") => ascii_tokens(text).any(|token| token.eq_ignore_ascii_case(word.as_bytes())),
        (true, [], start) => ascii_tokens(text).any(|token| begins(token, start)),
        (true, words, start) => {
            let found: Vec<&[u8]> = ascii_tokens(text).collect();
            windows(&found, words.len() + usize::from(!start.is_empty())).any(|window| {
                let (complete, last) = window.split_at(words.len());
                complete.iter().zip(words).all(|(token, word)| token.eq_ignore_ascii_case(word.as_bytes()))
                    && last.iter().all(|token| begins(token, start))
            })
        }
        (false, words, start) => {
            let found: Vec<Cow<'_, str>> = tokens(text).collect();
            windows(&found, words.len() + usize::from(!start.is_empty())).any(|window| {
                let (complete, last) = window.split_at(words.len());
                complete.iter().zip(words).all(|(token, word)| token == word)
                    && last.iter().all(|token| token.starts_with(start))
            })
        }
    }
}

fn windows<T>(tokens: &[T], length: usize) -> impl Iterator<Item = &[T]> {
    // The language refuses phrases without words, so the length is at least 1.
    tokens.windows(length.max(1))
}

fn begins(token: &[u8], start: &str) -> bool {
    token.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

// The tokens of an ASCII text before lower-casing. Equal to the store's tokenizer on such texts; it saves the decoding of
// characters, and the copies of tokens with capitals.
fn ascii_tokens(text: &str) -> impl Iterator<Item = &[u8]> {
    text.as_bytes().split(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).map(String::from).collect()
    }

    #[test]
    fn ascii_and_unicode_paths_agree() {
        for text in ["", "a", "a b", "A_1 b-C", "the cat sat", "cat the sat", "ab abc abcd", "x x y x x y z"] {
            // A letter in front takes the other path and changes no token after it.
            let unicode = format!("é {text}");
            for phrase in ["a", "b", "a b", "the cat", "cat sat", "abc", "x x y z", "c"] {
                for start in ["", "a", "ab", "z"] {
                    let found = contains(text, &words(phrase), start);
                    assert_eq!(found, contains(&unicode, &words(phrase), start), "{text:?} {phrase:?} {start:?}");
                }
            }
        }
        assert!(contains("x x y x x y z", &words("x x y z"), ""));
        assert!(contains("a bc", &words("a"), "b"));
        assert!(!contains("a", &words("a"), "b"));
        // The Kelvin sign lower-cases to k.
        assert!(contains("5 \u{212a}", &words("k"), ""));
    }
}
