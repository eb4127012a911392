//! What the lines of all formats are made of: names, numbers, texts in quotes.

use std::borrow::Cow;

use super::Kind;
use crate::limits::SCRAPE_ECHO_CHARS_MAX;
use crate::scrape::labels::is_metric_byte;

/// The beginning of a text, for complaints.
pub(super) fn echo(text: &str) -> String {
    let mut told: String = text.chars().take(SCRAPE_ECHO_CHARS_MAX).collect();
    if told.len() < text.len() {
        told.push_str("...");
    }
    format!("{told:?}")
}

/// What follows blanks.
pub(super) fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// Up to the next blank, and what follows it.
pub(super) fn word(text: &str) -> (&str, &str) {
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    text.split_at(end)
}

/// Where the text in quotes ends that begins here, behind its closing quote.
pub(super) fn quoted_end(text: &str) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return Ok(at + 1),
            _ => at += 1,
        }
    }
    Err(format!("the text {} has no closing quote", echo(text)))
}

/// The text between the quotes. Unknown escapes stay as they are.
pub(super) fn unquoted(quoted: &str) -> Cow<'_, str> {
    unescaped(&quoted[1..quoted.len() - 1], true)
}

/// With `\\` and `\n`, and `\"` where there are quotes.
pub(super) fn unescaped(text: &str, quotes: bool) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let (mut plain, mut characters) = (String::with_capacity(text.len()), text.chars());
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('\\') => plain.push('\\'),
            Some('"') if quotes => plain.push('"'),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    Cow::Owned(plain)
}

/// A family's name behind `# TYPE`, plain or in quotes, and what follows it.
pub(super) fn family<'a>(text: &'a str, what: &str) -> Result<(Cow<'a, str>, &'a str), String> {
    if text.starts_with('"') {
        let (quoted, rest) = text.split_at(quoted_end(text)?);
        return Ok((unquoted(quoted), rest));
    }
    let end = text.bytes().enumerate().position(|(at, byte)| !is_metric_byte(byte, at == 0)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return Err(format!("# {what} is not followed by a metric's name: {}", echo(text)));
    }
    Ok((Cow::Borrowed(name), rest))
}

/// The kind that a word names.
pub(super) fn kind(word: &str, known: &[(&str, Kind)]) -> Result<Kind, String> {
    let found = known.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
    found.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        format!("there is no type {}; types are {}", echo(word), names.join(", "))
    })
}

/// A value as Go reads it, without hexadecimal digits and underscores.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let wrong = || format!("the value {} is no number", echo(text));
    let value: f64 = text.parse().map_err(|_| wrong())?;
    if value.is_nan() {
        // One NaN: another one means that a series has ended.
        return Ok(f64::NAN);
    }
    if value.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(format!("the value {} is out of range", echo(text)));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_prometheus_reads_them() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("-0", Some(-0.0)),
            ("1.5e3", Some(1500.0)),
            ("+4", Some(4.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("+Inf", Some(f64::INFINITY)),
            ("-inf", Some(f64::NEG_INFINITY)),
            ("Infinity", Some(f64::INFINITY)),
            ("1e999", None),
            ("0x10", None),
            ("1_000", None),
            ("1p4", None),
            ("", None),
            ("1,5", None),
            ("--1", None),
            ("abc", None),
            ("1\r", None),
        ] {
            assert_eq!(number(text).ok(), expected, "{text:?}");
        }
        assert_eq!(number("NaN").map(f64::to_bits), Ok(f64::NAN.to_bits()));
    }

    #[test]
    fn escapes() {
        for (text, quotes, expected) in [
            ("plain", true, "plain"),
            (r"a\nb", true, "a\nb"),
            (r#"\"q\""#, true, "\"q\""),
            (r#"\"q\""#, false, r#"\"q\""#),
            (r"a\\nb", true, r"a\nb"),
            (r"\x", true, r"\x"),
            ("end\\", false, "end\\"),
        ] {
            assert_eq!(unescaped(text, quotes), expected, "{text}");
        }
    }
}
