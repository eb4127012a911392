//! A series as it is written: `name{label="value"}`, `{"name.in.quotes", label="value"}`. First only where it ends, since most
//! are known by their text; then, once, what it says.

use std::borrow::Cow;

use super::line::{echo, quoted_end, skip_blanks, unquoted};
use crate::scrape::labels::{Labels, NAME, is_metric_byte};

/// Where name and labels end at the beginning of a line.
pub(super) fn end(line: &str, blanks: bool) -> Result<usize, String> {
    let bytes = line.as_bytes();
    let name = bytes.iter().enumerate().position(|(at, byte)| !is_metric_byte(*byte, at == 0)).unwrap_or(bytes.len());
    let rest = &line[name..];
    let braces = if blanks { skip_blanks(rest) } else { rest };
    if braces.starts_with('{') {
        let start = line.len() - braces.len();
        return Ok(start + braces_end(braces)?);
    }
    if name == 0 {
        return Err(format!("{} does not begin with a metric's name", echo(line)));
    }
    if !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return Err(format!("{} is no metric's name; names with other characters stand in quotes", echo(line)));
    }
    Ok(name)
}

/// Where braces end that begin here, behind the closing one.
pub(super) fn braces_end(text: &str) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at += quoted_end(&text[at..])?,
            b'}' => return Ok(at + 1),
            _ => at += 1,
        }
    }
    Err("the labels have no closing brace".to_owned())
}

/// The labels of a series, its name among them as `__name__`, or of an exemplar.
pub fn read(series: &str) -> Result<Labels<'_>, String> {
    let (name, braces) = series.split_at(series.find('{').unwrap_or(series.len()));
    let mut labels = Labels::default();
    let name = name.trim_end_matches([' ', '\t']);
    if !name.is_empty() {
        labels.push(Cow::Borrowed(NAME), Cow::Borrowed(name));
    }
    let Some(inside) = braces.strip_prefix('{') else { return Ok(labels) };
    let mut rest = skip_blanks(inside);
    while !rest.starts_with('}') {
        rest = pair(rest, &mut labels)?;
        rest = match skip_blanks(rest) {
            more if more.starts_with(',') => skip_blanks(&more[1..]),
            end if end.starts_with('}') => end,
            other => return Err(format!("a label is followed by {}, not by a comma or a closing brace", echo(other))),
        };
    }
    Ok(labels)
}

// One label, or the metric's name in quotes.
fn pair<'a>(text: &'a str, labels: &mut Labels<'a>) -> Result<&'a str, String> {
    let (name, rest) = if text.starts_with('"') {
        let (quoted, rest) = text.split_at(quoted_end(text)?);
        let name = unquoted(quoted);
        if name.is_empty() {
            return Err("a name in quotes is empty".to_owned());
        }
        if !skip_blanks(rest).starts_with('=') {
            if labels.is_named(NAME) {
                return Err(format!("the metric has a second name, {}", echo(&name)));
            }
            labels.push(Cow::Borrowed(NAME), name);
            return Ok(rest);
        }
        (name, rest)
    } else {
        let is_of_name = |at: usize, byte: u8| byte != b':' && is_metric_byte(byte, at == 0);
        let end = text.bytes().enumerate().position(|(at, byte)| !is_of_name(at, byte)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if name.is_empty() {
            return Err(format!("{} does not begin with a label's name", echo(text)));
        }
        (Cow::Borrowed(name), rest)
    };
    let value = skip_blanks(rest).strip_prefix('=').map(skip_blanks);
    let value = value.ok_or_else(|| format!("the label {} has no value", echo(&name)))?;
    if !value.starts_with('"') {
        return Err(format!("the value of the label {} does not stand in quotes", echo(&name)));
    }
    let (quoted, rest) = value.split_at(quoted_end(value)?);
    if labels.is_named(&name) {
        return Err(format!("the label {} is there twice", echo(&name)));
    }
    labels.push(name, unquoted(quoted));
    Ok(rest)
}
