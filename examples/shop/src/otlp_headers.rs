//! The headers of OTEL_EXPORTER_OTLP_HEADERS for requests that the SDK's exporters do not send; those read it themselves.

use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};

const VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// The headers that the environment asks for. What is no header is left out, as by the SDK.
pub(crate) fn from_environment() -> MetadataMap {
    parse(&std::env::var(VARIABLE).unwrap_or_default())
}

// `key=value,key=value`, values percent-encoded.
fn parse(text: &str) -> MetadataMap {
    let mut headers = MetadataMap::new();
    for pair in text.split(',') {
        let Some((key, value)) = pair.split_once('=') else { continue };
        let key = AsciiMetadataKey::from_bytes(key.trim().to_ascii_lowercase().as_bytes());
        let value = AsciiMetadataValue::try_from(decode(value.trim()).as_slice());
        if let (Ok(key), Ok(value)) = (key, value) {
            headers.insert(key, value);
        }
    }
    headers
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = if escaped.is_some() { &after[2..] } else { after };
        bytes.push(escaped.unwrap_or(*first));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs_with_encoded_values() {
        for (text, key, value) in [
            ("authorization=Bearer%20a%2Cb%3D%25", "authorization", Some("Bearer a,b=%")),
            ("x=1, Tenant = two ,y", "tenant", Some("two")),
            ("x=1", "tenant", None),
            ("odd=%zz%4", "odd", Some("%zz%4")),
            ("bad key=1,=2,", "bad key", None),
            ("", "x", None),
        ] {
            let headers = parse(text);
            assert_eq!(headers.get(key).and_then(|value| value.to_str().ok()), value, "{text}");
        }
    }
}
