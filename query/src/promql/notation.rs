//! The notation in which test scripts and rule tests write series down: `up{job="a"}` and `1+2x10 _ stale`.
//!
//! Not PromQL: a sequence has no times of its own, whoever loads it says when it begins and how far its samples are apart.
//! Callers are the runner of rule tests and the engine's own test scripts, both through [`MemorySource::load`].

mod native;

pub use native::histogram;

use std::sync::Arc;

use model::Labels;
use promql_parser::util::unquote_string;

use super::histogram::Histogram;
use super::limits;
use super::source::MemorySource;
use super::staleness::stale_marker;

/// What stands at one place of a sequence.
#[derive(Clone, Debug)]
pub enum Cell {
    /// A sample; the staleness marker is one.
    Number(f64),
    /// No sample.
    Nothing,
    /// A native histogram.
    Histogram(Written),
}

/// A native histogram as it is written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The histogram.
    pub histogram: Arc<Histogram>,
    /// Whether it says something about resets.
    pub says_hint: bool,
}

/// A series or a sequence is not written as it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotationError {
    /// The metric or its labels.
    #[error("cannot read the series {text:?}: {reason}")]
    Series {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The values.
    #[error("cannot read the values {text:?}: {reason}")]
    Values {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl MemorySource {
    /// Adds a series in notation, its first value at `start` and the others `step` milliseconds apart.
    pub fn load(&mut self, series: &str, values: &str, start: i64, step: i64) -> Result<(), NotationError> {
        let labels = self::series(series)?;
        for (index, cell) in cells(values)?.into_iter().enumerate() {
            let time = i64::try_from(index).ok().and_then(|index| start.checked_add(step.checked_mul(index)?));
            let time = time.ok_or_else(|| wrong_values(values, "its times leave the range of time"));
            match cell {
                Cell::Number(value) => self.push(&labels, time?, value),
                Cell::Histogram(written) => self.push_histogram(&labels, time?, Histogram::clone(&written.histogram)),
                Cell::Nothing => {}
            }
        }
        Ok(())
    }
}

/// A metric with its labels: `up`, `{job="a"}`, `up{job="a"}`, `{"http.requests", "service.name"="a"}`.
pub fn series(text: &str) -> Result<Labels, NotationError> {
    let (labels, rest) = metric(text.trim())?;
    match rest {
        "" => Ok(labels),
        rest => Err(wrong_series(text, format!("unexpected {rest:?} behind it"))),
    }
}

/// A metric with its labels at the beginning of a line, and the rest of the line.
pub fn metric(line: &str) -> Result<(Labels, &str), NotationError> {
    let wrong = |reason: String| wrong_series(line, reason);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let (name, mut rest) = line.split_at(line.find(|c| !is_name(c)).unwrap_or(line.len()));
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(wrong(format!("{name:?} is no name")));
    }
    let mut pairs = Vec::new();
    if !name.is_empty() {
        pairs.push((model::labels::METRIC_NAME.to_owned(), name.to_owned()));
    }
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        while !rest.starts_with('}') {
            let (pair, tail) = label(rest).map_err(wrong)?;
            pairs.push(pair);
            let tail = tail.trim_start();
            rest = match tail.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if tail.starts_with('}') => tail,
                None => return Err(wrong(format!("expected a comma or a brace before {tail:?}"))),
            };
        }
        rest = &rest[1..];
    } else if name.is_empty() {
        return Err(wrong("there is neither a name nor a brace".to_owned()));
    }
    Ok((Labels::new(pairs), rest.trim()))
}

fn label(text: &str) -> Result<((String, String), &str), String> {
    let (name, rest) = if text.starts_with(['"', '\'', '`']) {
        quoted(text)?
    } else {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
        if end == 0 || text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("expected a label before {text:?}"));
        }
        (text[..end].to_owned(), &text[end..])
    };
    // `{"name"}` is the metric's name.
    let Some(value) = rest.trim_start().strip_prefix('=') else {
        return match text.starts_with(['"', '\'', '`']) {
            true => Ok(((model::labels::METRIC_NAME.to_owned(), name), rest)),
            false => Err(format!("expected \"=\" behind the label {name:?}")),
        };
    };
    let (value, rest) = quoted(value.trim_start())?;
    Ok(((name, value), rest))
}

/// A quoted text at the beginning with PromQL's escapes resolved, and what follows it.
pub fn quoted(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|c| ['"', '\'', '`'].contains(c));
    let quote = quote.ok_or_else(|| format!("expected a quote before {text:?}"))?;
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => {
                let (quoted, rest) = text.split_at(index + 1);
                let value =
                    unquote_string(quoted).map_err(|_| format!("{quoted} has an escape that does not exist"))?;
                return Ok((value, rest));
            }
            _ => {}
        }
    }
    Err(format!("there is no closing quote in {text}"))
}

/// The cells of a sequence, separated by blanks:
///
/// | item | cells |
/// |---|---|
/// | `1`, `-0.5`, `NaN`, `Inf` | that number |
/// | `_`, `_x3` | none, three times none |
/// | `stale` | the series ends |
/// | `7x3` | `7 7 7 7` |
/// | `1+2x3`, `1-2x3` | `1 3 5 7`, `1 -1 -3 -5` |
/// | `{{schema:1 sum:3 count:2 buckets:[1 1]}}` | that [`histogram`] |
/// | `{{}}x3`, `{{}}+{{}}x3`, `{{}}-{{}}x3` | as with numbers |
pub fn cells(text: &str) -> Result<Vec<Cell>, NotationError> {
    let wrong = |reason: String| wrong_values(text, reason);
    let mut cells = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = item_length(rest).map_err(wrong)?;
        let (item, tail) = rest.split_at(end);
        sequence(item, &mut cells).map_err(wrong)?;
        rest = tail.trim_start();
    }
    Ok(cells)
}

// Blanks within the braces of a histogram end no item.
fn item_length(text: &str) -> Result<usize, String> {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        match rest[..end].find("{{") {
            Some(open) => {
                let close = rest[open..].find("}}").ok_or("a histogram has no end")?;
                at += open + close + 2;
            }
            None => return Ok(at + end),
        }
    }
}

fn sequence(item: &str, cells: &mut Vec<Cell>) -> Result<(), String> {
    // There are no hexadecimal numbers here: `0x3` is `0 0 0 0`.
    let (what, times) = match item.rsplit_once('x') {
        Some((what, times)) => {
            let times = times.parse::<usize>().map_err(|_| format!("{item:?} has no number behind its \"x\""))?;
            (what, Some(times))
        }
        None => (item, None),
    };
    if times.unwrap_or(0).saturating_add(cells.len()) >= limits::NOTATION_CELLS_MAX {
        return Err(format!("more than {} values", limits::NOTATION_CELLS_MAX));
    }
    if what == "_" {
        cells.extend(std::iter::repeat_n(Cell::Nothing, times.unwrap_or(1)));
        return Ok(());
    }
    if what.contains("{{") {
        return native::sequence(what, times, cells);
    }
    // One more than the number says: the first value, and then so many steps.
    let count = times.unwrap_or(0) + 1;
    let (first, increment) = what.split_at(first_number_length(what));
    let mut value = number(first)?;
    if increment.is_empty() {
        cells.extend(std::iter::repeat_n(Cell::Number(value), count));
        return Ok(());
    }
    if times.is_none() {
        return Err(format!("{item:?} does not say how often: \"x\" and a number are missing"));
    }
    let increment = number(increment)?;
    for _ in 0..count {
        cells.push(Cell::Number(value));
        // Step by step, as Prometheus adds them: a product would differ in the last bits.
        value += increment;
    }
    Ok(())
}

// The sign of the increment ends the first number; the sign of an exponent does not.
fn first_number_length(item: &str) -> usize {
    let mut before = ' ';
    for (index, c) in item.char_indices() {
        if index > 0 && (c == '+' || c == '-') && !before.eq_ignore_ascii_case(&'e') {
            return index;
        }
        before = c;
    }
    item.len()
}

/// A number as PromQL writes it, or `stale` for the staleness marker.
pub fn number(text: &str) -> Result<f64, String> {
    if text == "stale" {
        return Ok(stale_marker());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let wrong = || format!("{text:?} is no number");
    let value = match digits.strip_prefix("0x") {
        Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16).map_err(|_| wrong())? as f64,
        None if digits.starts_with(['+', '-']) => return Err(wrong()),
        None => digits.parse().map_err(|_| wrong())?,
    };
    Ok(sign * value)
}

fn wrong_series(text: &str, reason: impl Into<String>) -> NotationError {
    NotationError::Series { text: text.to_owned(), reason: reason.into() }
}

fn wrong_values(text: &str, reason: impl Into<String>) -> NotationError {
    NotationError::Values { text: text.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let cells = cells(text).unwrap_or_else(|error| panic!("{error}"));
        let cells = cells.iter().map(|cell| match cell {
            Cell::Number(value) if crate::promql::is_stale(*value) => "stale".to_owned(),
            Cell::Number(value) => value.to_string(),
            Cell::Nothing => "_".to_owned(),
            Cell::Histogram(written) => written.histogram.to_string(),
        });
        cells.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn sequences() {
        for (text, expected) in [
            ("", ""),
            ("1", "1"),
            ("  1\t-2.5 +3\n", "1 -2.5 3"),
            ("1 _ stale _x2 4", "1 _ stale _ _ 4"),
            ("7x3", "7 7 7 7"),
            ("7x0", "7"),
            ("_x0 1", "1"),
            ("1+2x3 1-2x3", "1 3 5 7 1 -1 -3 -5"),
            ("-1-2x1 -1+2x1", "-1 -3 -1 1"),
            ("1e-3+1e+3x1", "0.001 1000.001"),
            ("NaN Inf -Inf inf +Infx1", "NaN inf -inf inf inf inf"),
            ("0x2 -0x1 0x0", "0 0 0 -0 -0 0"),
            ("{{}} 1", "{count:0, sum:0} 1"),
            (
                "{{count:3 buckets:[1 2]}}+{{sum:1}}x1 1",
                "{count:3, sum:0, (0.5,1]:1, (1,2]:2} {count:3, sum:1, (0.5,1]:1, (1,2]:2} 1",
            ),
            ("{{count:2}}-{{count:1}}x1", "{count:2, sum:0} {count:1, sum:0}"),
            (
                "{{schema:-53 sum:4 count:3 custom_values:[2 4] buckets:[1 1 1] counter_reset_hint:gauge}}x1",
                "{count:3, sum:4, [-Inf,2]:1, (2,4]:1, (4,+Inf]:1} {count:3, sum:4, [-Inf,2]:1, (2,4]:1, (4,+Inf]:1}",
            ),
            (
                "{{z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[1] n_offset:2 n_buckets:[1 0 3]}}",
                "{count:0, sum:0, [-16,-8):3, [-4,-2):1, [-0.5,0.5]:1, (1,2]:1}",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn wrong_sequences_say_why() {
        for (text, reason) in [
            ("1 b", "\"b\" is no number"),
            ("x3", "\"\" is no number"),
            ("1x", "\"1x\" has no number behind its \"x\""),
            ("1+2", "\"1+2\" does not say how often: \"x\" and a number are missing"),
            ("1x-2", "\"1x-2\" has no number behind its \"x\""),
            ("{{sum:1", "a histogram has no end"),
            ("{{sum:a}}", "\"a\" is no number"),
            ("{{some:1}}", "a histogram has no \"some\""),
            ("{{buckets:1}}", "expected numbers in brackets, not \"1\""),
            ("{{buckets:[1 }}", "expected numbers in brackets, not \"[1\""),
            ("{{counter_reset_hint:no}}", "\"no\" is no counter_reset_hint"),
            ("{{schema:9}}", "there is no schema 9"),
            ("{{}}+{{}}", "\"{{}}+{{}}\" does not say how often: \"x\" and a number are missing"),
            ("{{schema:-53}}+{{schema:0}}x1", "exponential and custom buckets do not add up"),
            ("1x99999999999", "more than 10000000 values"),
        ] {
            assert_eq!(cells(text).err(), Some(wrong_values(text, reason)), "{text:?}");
        }
    }

    #[test]
    fn names_and_labels() {
        for (text, expected) in [
            ("up", r#"{__name__="up"}"#),
            ("{}", "{}"),
            (r#" job:up{ a = "x" , b='y', } "#, r#"{__name__="job:up", a="x", b="y"}"#),
            (r#"{"http.requests","service.name"=`\`}"#, r#"{__name__="http.requests", "service.name"="\\"}"#),
            (r#"a{b="\u00e9\x41\n}"}"#, "{__name__=\"a\", b=\"éA\\n}\"}"),
        ] {
            assert_eq!(series(text).map(|labels| labels.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "1a", "a{", "a{b}", "a{b=c}", "a{b=\"c}", "a{b=\"c\" d=\"e\"}", "a b", "a{b=\"\\q\"}"] {
            assert!(series(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sources_are_filled() {
        let mut source = MemorySource::new();
        assert_eq!(source.load("up", "1 _ 3", 1_000, 500), Ok(()));
        assert_eq!(source.load("up", "{{sum:1}}", 0, 1), Ok(()));
        assert!(source.load("up", "1 1", i64::MAX, 1).is_err());
    }
}
