//! How much memory a JSON request will take once it is read: [`super::super::weight`] for the other encoding.

use super::super::weight::{Request, Shape};
use super::reader::{Read, Reader};

/// Whether the request will take at most `bytes_max` bytes, as far as it can be read.
pub(super) fn fits(request: Request, text: &str, bytes_max: u64) -> bool {
    // Nearly every request is found small enough by counting two characters; only the others are walked.
    let count = |wanted: u8| text.bytes().filter(|byte| *byte == wanted).count() as u64;
    let at_most = count(b'{') * Shape::BYTES_MAX + count(b'"') / 2 * Shape::TEXT_BYTES;
    if at_most <= bytes_max {
        return true;
    }
    let mut left = bytes_max;
    // What is no JSON is left to the reader to refuse.
    walk(&mut Reader::new(text), request.shape(), &mut left).unwrap_or(Some(())).is_some()
}

// `None` when nothing is left.
fn walk(reader: &mut Reader<'_>, shape: &Shape, left: &mut u64) -> Read<Option<()>> {
    if reader.peek() != Some(b'{') {
        return reader.skip().map(Some);
    }
    let mut object = reader.object()?;
    while let Some(key) = reader.key(&mut object)? {
        let Some((.., child)) = shape.fields.iter().find(|(_, name, _)| *name == key) else {
            reader.skip()?;
            continue;
        };
        if reader.peek() != Some(b'[') {
            if take(reader, child, left)?.is_none() {
                return Ok(None);
            }
            continue;
        }
        reader.enter(b'[', "a list")?;
        let mut first = true;
        while reader.next_of(b']', first)? {
            first = false;
            if take(reader, child, left)?.is_none() {
                return Ok(None);
            }
        }
    }
    Ok(Some(()))
}

fn take(reader: &mut Reader<'_>, shape: &Shape, left: &mut u64) -> Read<Option<()>> {
    let Some(rest) = left.checked_sub(shape.bytes) else { return Ok(None) };
    *left = rest;
    walk(reader, shape, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_weighed() {
        let in_scope = |scope: &str, content: &str| format!(r#"{{"{scope}":[{content}]}}"#);
        let logs = |content: &str| format!(r#"{{"resourceLogs":[{{"scopeLogs":[{content}]}}]}}"#);
        let list = r#"{"logRecords":[{"body":{"arrayValue":{"values":[{},{},null]}}}]}"#;
        for (name, text, weight) in [
            ("no request", "{}".to_owned(), 0),
            ("envelopes", logs("{}"), 512),
            ("records", logs(&in_scope("logRecords", &["{}"; 10].join(","))), 512 + 10 * 512),
            ("a nested list", logs(list), 512 + 512 + 160 + 3 * 160),
            ("unknown keys", logs(&in_scope("spans", &["{}"; 10].join(","))), 512),
        ] {
            assert!(fits(Request::Logs, &text, weight), "{name} takes more");
            assert!(weight == 0 || !fits(Request::Logs, &text, weight - 1), "{name} takes less");
        }
        assert!(fits(Request::Logs, "{\"resourceLogs\":[{{{{", 600), "what is no JSON is left to the reader");
    }
}
