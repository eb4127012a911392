//! The notation of test scripts for series and durations: `up{job="a"} 1+2x10 _ stale`.

use model::Labels;
use query::promql::stale_marker;

/// What stands at one step of a series.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    Number(f64),
    Nothing,
    /// Something this version has no value for, such as a native histogram.
    Foreign,
}

/// A metric with its labels, and the rest of the line.
pub fn metric(line: &str) -> Result<(Labels, &str), String> {
    let name_length = line.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(name_length);
    let mut pairs = Vec::new();
    if !name.is_empty() {
        pairs.push(("__name__".to_owned(), name.to_owned()));
    }
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        while !rest.starts_with('}') {
            let (pair, tail) = label(rest)?;
            pairs.push(pair);
            rest = tail.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        rest = &rest[1..];
    }
    Ok((Labels::new(pairs), rest.trim()))
}

fn label(text: &str) -> Result<((String, String), &str), String> {
    let (name, rest) = if text.starts_with(['"', '\'']) {
        quoted(text)?
    } else {
        let (name, _) = text.split_once('=').ok_or_else(|| format!("no label in {text:?}"))?;
        (name.trim().to_owned(), &text[name.len()..])
    };
    // `{"name"}` is the metric's name.
    let Some(value) = rest.trim_start().strip_prefix('=') else {
        return Ok((("__name__".to_owned(), name), rest));
    };
    let (value, rest) = quoted(value.trim_start())?;
    Ok(((name, value), rest))
}

/// A quoted text at the beginning, and what follows it.
pub fn quoted(text: &str) -> Result<(String, &str), String> {
    let quote =
        text.chars().next().filter(|c| ['"', '\'', '`'].contains(c)).ok_or_else(|| format!("no quote: {text}"))?;
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((index, c)) = characters.next() {
        match c {
            c if c == quote => return Ok((value, &text[index + 1..])),
            '\\' if quote != '`' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, c)) => value.push(c),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(format!("no closing quote: {text}"))
}

/// The cells of a sequence: `1`, `_`, `stale`, `1x3` (four of them), `1+2x3`, `1-2x3`, `_x5`.
pub fn cells(text: &str) -> Result<Vec<Cell>, String> {
    let mut cells = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            let end = rest.find("}}").ok_or("no end of a histogram")? + 2;
            let tail = &rest[end..];
            // `{{..}}+{{..}}x5` and `{{..}}x5` too.
            let item = tail.find(char::is_whitespace).unwrap_or(tail.len());
            let (mut more, mut after) = tail.split_at(item);
            if more.contains("{{") {
                let end = tail.find("}}").ok_or("no end of a histogram")? + 2;
                let item = tail[end..].find(char::is_whitespace).map_or(tail.len(), |at| at + end);
                (more, after) = tail.split_at(item);
            }
            let count = more.rsplit_once('x').map_or(Ok(1), |(_, n)| n.parse::<usize>().map(|n| n + 1));
            let count = count.map_err(|_| format!("no count in {more:?}"))?;
            cells.extend(std::iter::repeat_n(Cell::Foreign, count));
            rest = after.trim_start();
            continue;
        }
        let (item, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        sequence(item, &mut cells)?;
        rest = tail.trim_start();
    }
    Ok(cells)
}

fn sequence(item: &str, cells: &mut Vec<Cell>) -> Result<(), String> {
    let (item, times) = match item.rsplit_once('x') {
        Some((item, times)) if !item.is_empty() && !item.eq("0") => {
            (item, Some(times.parse::<usize>().map_err(|_| format!("no count in {item}x{times}"))?))
        }
        _ => (item, None),
    };
    if item == "_" {
        cells.extend(std::iter::repeat_n(Cell::Nothing, times.unwrap_or(1)));
        return Ok(());
    }
    let first_length = number_length(item);
    let (first, increment) = item.split_at(first_length);
    let first = number(first)?;
    let increment = if increment.is_empty() { 0.0 } else { number(increment)? };
    let mut value = first;
    for _ in 0..=times.unwrap_or(0) {
        cells.push(Cell::Number(value));
        value += increment;
    }
    Ok(())
}

// The sign of the increment ends the first number; the sign of an exponent does not.
fn number_length(item: &str) -> usize {
    let mut before = ' ';
    for (index, c) in item.char_indices() {
        if index > 0 && (c == '+' || c == '-') && !before.eq_ignore_ascii_case(&'e') {
            return index;
        }
        before = c;
    }
    item.len()
}

/// A number as PromQL writes it.
pub fn number(text: &str) -> Result<f64, String> {
    if text == "stale" {
        return Ok(stale_marker());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(hexadecimal) = digits.strip_prefix("0x") {
        return i64::from_str_radix(hexadecimal, 16).map(|n| sign * n as f64).map_err(|_| format!("no number: {text}"));
    }
    digits.parse::<f64>().map(|n| sign * n).map_err(|_| format!("no number: {text}"))
}

/// Milliseconds of `5m`, `1h30m`, or of plain seconds.
pub fn millis(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1000.0).round() as i64);
    }
    let nanos = model::time::parse_duration(text).ok_or_else(|| format!("no duration: {text}"))?;
    Ok(nanos / 1_000_000)
}
