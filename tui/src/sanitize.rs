//! Makes texts of unknown origin harmless for a terminal: escape sequences, and characters that reorder or hide what
//! stands beside them, are shown instead of obeyed. Telemetry is written by whoever can reach a service, so every string
//! of it passes here before it is printed. Who prints to a pipe or a file needs none of this.
//!
//! [`line()`] and [`json`] are for what is printed; [`Safe`] is for screens, where every character must also have its cell.

mod safe;

use std::borrow::Cow;
use std::fmt::Write as _;

pub use safe::{Harmless, Safe};

/// One line of text: controls become `\n`, `\x1b`, `\u{202e}`; everything else stays as it is.
pub fn line(text: &str) -> Cow<'_, str> {
    replace(text, push_escape)
}

fn push_escape(c: char, out: &mut String) {
    // Writing into a String cannot fail.
    let _ = match c {
        '\n' => write!(out, "\\n"),
        '\r' => write!(out, "\\r"),
        '\t' => write!(out, "\\t"),
        '\0'..='\x7f' => write!(out, "\\x{:02x}", u32::from(c)),
        _ => write!(out, "\\u{{{:x}}}", u32::from(c)),
    };
}

/// A line of JSON: controls become JSON escapes, so that the line still means the same to whoever parses it.
pub fn json(text: &str) -> Cow<'_, str> {
    replace(text, |c, out| {
        let mut units = [0u16; 2];
        for unit in c.encode_utf16(&mut units) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// Whether a terminal might do something else than show `c` in one place.
pub fn is_hostile(c: char) -> bool {
    matches!(c,
        // C0, DEL and C1: escape sequences begin with these, in seven bits or in eight.
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Marks, embeddings, overrides and isolates of writing direction.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Line and paragraph separators, and characters without any width that can hide text.
        | '\u{2028}' | '\u{2029}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}'
        // Letters that are blank, and the frames of annotations.
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}')
}

fn replace(text: &str, mut write_escape: impl FnMut(char, &mut String)) -> Cow<'_, str> {
    let Some(first) = text.find(is_hostile) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        if is_hostile(c) { write_escape(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_a_terminal_would_obey() {
        for (text, shown) in [
            ("plain text, ünïcödé 漢字 👩‍🚀", "plain text, ünïcödé 漢字 👩‍🚀"),
            ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
            ("a\r\nb\tc\0", "a\\r\\nb\\tc\\x00"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("user\u{202e}txt.exe", "user\\u{202e}txt.exe"),
            ("\u{2066}x\u{2069}\u{200b}\u{feff}\u{2028}", "\\u{2066}x\\u{2069}\\u{200b}\\u{feff}\\u{2028}"),
            ("\x7f", "\\x7f"),
            ("a\u{3164}\u{115f}b\u{fff9}", "a\\u{3164}\\u{115f}b\\u{fff9}"),
        ] {
            assert_eq!(line(text), shown, "{text:?}");
        }
    }

    #[test]
    fn nothing_hostile_is_left_of_any_character() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            assert!(!line(&text).contains(is_hostile), "{c:?}");
            assert!(!json(&text).contains(is_hostile), "{c:?}");
        }
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let original = serde_json::json!({"body": "a\u{9b}2J\u{202e}b\x1b[0m\u{e0041}"});
        let text = original.to_string();
        let shown = json(&text);
        assert!(!shown.contains(is_hostile), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("still JSON"), original);
    }
}
