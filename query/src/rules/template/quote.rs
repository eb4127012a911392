//! Go's quoted texts and characters, in both directions.

use std::fmt::Write as _;

/// The text in double quotes, as `%q` writes it.
pub fn quote(text: &str) -> String {
    quote_with(text, '"', false)
}

/// The text in double quotes with everything but ASCII escaped, as `%+q` writes it.
pub fn quote_ascii(text: &str) -> String {
    quote_with(text, '"', true)
}

/// A character in single quotes.
pub fn quote_char(c: char, ascii: bool) -> String {
    quote_with(c.encode_utf8(&mut [0; 4]), '\'', ascii)
}

/// A character and its number, as `%#U` writes them.
pub fn code_point(c: char) -> String {
    let number = u32::from(c);
    if is_print(c) { format!("U+{number:04X} '{c}'") } else { format!("U+{number:04X}") }
}

fn quote_with(text: &str, quote: char, ascii: bool) -> String {
    let mut quoted = String::from(quote);
    for c in text.chars() {
        match c {
            c if c == quote || c == '\\' => quoted.extend(['\\', c]),
            c if is_print(c) && (!ascii || c.is_ascii()) => quoted.push(c),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            c => {
                let number = u32::from(c);
                // Writing into a string cannot fail.
                let _ = match number {
                    0..=0x1f | 0x7f => write!(quoted, "\\x{number:02x}"),
                    0x80..=0xffff => write!(quoted, "\\u{number:04x}"),
                    _ => write!(quoted, "\\U{number:08x}"),
                };
            }
        }
    }
    quoted.push(quote);
    quoted
}

/// Whether Go prints the character as it is: letters, marks, numbers, punctuation, symbols, and the plain space.
pub fn is_print(c: char) -> bool {
    // Behind a letter, marks are printed too.
    let mut pair = String::from("a");
    pair.push(c);
    matches!(c, '"' | '\'' | '\\') || pair.escape_debug().count() == 2
}

/// What a quoted, raw or character literal stands for, its quotes included. `None` for a syntax Go does not have.
pub fn unquote(literal: &str) -> Option<String> {
    let quote = literal.chars().next()?;
    let inside = literal.strip_prefix(quote)?.strip_suffix(quote)?;
    if quote == '`' {
        return Some(inside.replace('\r', ""));
    }
    let mut bytes = Vec::new();
    let mut rest = inside;
    while let Some(c) = rest.chars().next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let escape = rest[1..].chars().next()?;
        let after = &rest[1 + escape.len_utf8()..];
        rest = match escape {
            'x' | '0'..='7' => {
                let (digits, radix, tail) = if escape == 'x' {
                    (after.get(..2)?, 16, after.get(2..)?)
                } else {
                    (rest.get(1..4)?, 8, rest.get(4..)?)
                };
                let number = digits_of(digits, radix).and_then(|number| u8::try_from(number).ok())?;
                // In a character constant the number is the character, in a text a byte.
                if quote == '\'' {
                    bytes.extend_from_slice(char::from(number).encode_utf8(&mut [0; 4]).as_bytes());
                } else {
                    bytes.push(number);
                }
                tail
            }
            'u' | 'U' => {
                let length = if escape == 'u' { 4 } else { 8 };
                let c = char::from_u32(digits_of(after.get(..length)?, 16)?)?;
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                &after[length..]
            }
            _ => {
                bytes.push(match escape {
                    'a' => 7,
                    'b' => 8,
                    'f' => 12,
                    'n' => b'\n',
                    'r' => b'\r',
                    't' => b'\t',
                    'v' => 11,
                    '\\' => b'\\',
                    c if c == quote => c as u8,
                    _ => return None,
                });
                after
            }
        };
    }
    // Go keeps broken UTF-8; what leaves this server is text.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn digits_of(digits: &str, radix: u32) -> Option<u32> {
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_unquotes_like_go() {
        for (text, quoted) in [
            ("a\"b\\c'", r#""a\"b\\c'""#),
            ("\t\n\u{7f}\u{1}", r#""\t\n\x7f\x01""#),
            ("é\u{301}😀\u{a0}\u{2028}", "\"é\u{301}😀\\u00a0\\u2028\""),
        ] {
            assert_eq!(quote(text), quoted);
            assert_eq!(unquote(quoted).as_deref(), Some(text), "{quoted}");
        }
        assert_eq!(quote_ascii("é😀"), r#""\u00e9\U0001f600""#);
        assert_eq!(quote_char('\'', false), r"'\''");
        assert_eq!(unquote("`a\\n\r`").as_deref(), Some("a\\n"));
        assert_eq!(unquote(r#""\101\x42""#).as_deref(), Some("AB"));
        for wrong in [r#""\q""#, r#""\'""#, r#""\x4""#, r#""\ud800""#, r#""\400""#] {
            assert_eq!(unquote(wrong), None, "{wrong}");
        }
    }
}
