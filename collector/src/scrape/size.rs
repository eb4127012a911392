//! Sizes as Prometheus writes them: `10MB`.

/// Bytes of a size: `10MB`, `1GiB`, `512KB`, always in powers of 1024; 0 for none.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let power = match unit.strip_suffix('B')?.trim_end_matches('i') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * (1u64 << power) as f64;
    (bytes < 9e18).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10MB", Some(10 << 20)),
            ("1.5KiB", Some(1536)),
            ("7B", Some(7)),
            ("10", None),
            ("MB", None),
            ("10XB", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text:?}");
        }
    }
}
