//! Where a byte of a JSON text is, in the words of the protocol: `resourceLogs[0].scopeLogs[2].logRecords[5].timeUnixNano`.
//!
//! Found by a second walk when somebody has to be told, so that reading need not keep track of it.

use crate::limits;

enum Level<'a> {
    Object(&'a [u8]),
    List(usize),
}

/// The path to a byte. The bytes before it are expected to have been read as JSON; whatever they are, this ends.
pub(super) fn at(bytes: &[u8], offset: usize) -> String {
    let mut levels: Vec<Level<'_>> = Vec::new();
    let mut key_is_next = false;
    let mut at = 0;
    while at < offset.min(bytes.len()) {
        let mut step = 1;
        match bytes[at] {
            b'{' => {
                levels.push(Level::Object(b""));
                key_is_next = true;
            }
            b'[' => levels.push(Level::List(0)),
            b'}' | b']' => {
                levels.pop();
            }
            b',' => match levels.last_mut() {
                Some(Level::List(position)) => *position += 1,
                _ => key_is_next = true,
            },
            b'"' => {
                let length = quoted(&bytes[at..]);
                if key_is_next && let Some(Level::Object(key)) = levels.last_mut() {
                    *key = &bytes[at + 1..at + length.max(2) - 1];
                    key_is_next = false;
                }
                step = length;
            }
            _ => {}
        }
        at += step;
    }
    path(&levels)
}

// Bytes of a text in quotes, both included, or all that are left.
fn quoted(bytes: &[u8]) -> usize {
    let mut escaped = false;
    for (position, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return position + 1,
            _ => {}
        }
    }
    bytes.len()
}

fn path(levels: &[Level<'_>]) -> String {
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object(b"") => {}
            Level::Object(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.extend(String::from_utf8_lossy(key).chars().take(limits::NAME_ECHO_CHARS_MAX));
            }
            Level::List(position) => path.push_str(&format!("[{position}]")),
        }
        if path.len() > limits::PLACE_BYTES_MAX {
            path.push_str("...");
            break;
        }
    }
    if path.is_empty() { "the request".to_owned() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_place() {
        let text = r#"{"a" : [ {"b\"[":1}, {"c":[true, "x,{", null]} ], "d":{"e":{}}, "f":2}"#;
        for (mark, expected) in [
            ("{\"a\"", "the request"),
            ("1}", r#"a[0].b\"["#),
            ("true", "a[1].c[0]"),
            ("\"x,{", "a[1].c[1]"),
            ("null", "a[1].c[2]"),
            ("{}", "d.e"),
            ("2}", "f"),
        ] {
            assert_eq!(at(text.as_bytes(), text.find(mark).expect(mark)), expected, "{mark}");
        }
        // Whatever the bytes are, and however deep, there is an answer of bounded length.
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..1000 {
            let bytes: Vec<u8> = (0..100).map(|_| rng.choice(*b"{[]}\",\\:a").unwrap_or(b'a')).collect();
            at(&bytes, 100);
        }
        assert!(at(&b"{\"key\":".repeat(10_000), 70_000).len() < 2 * limits::PLACE_BYTES_MAX);
    }
}
