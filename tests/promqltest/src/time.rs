//! Times as scripts write them.

/// Milliseconds of `5m`, `1h30m`, or of plain seconds.
pub(crate) fn millis(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1000.0).round() as i64);
    }
    let nanos = model::time::parse_duration(text).ok_or_else(|| format!("no duration: {text}"))?;
    Ok(nanos / 1_000_000)
}
