//! A line of Prometheus's own format.

use super::line::{echo, family, kind, number, skip_blanks, unescaped, word};
use super::{Entry, Kind, Sample, series};

const KINDS: [(&str, Kind); 6] = [
    ("counter", Kind::Counter),
    ("gauge", Kind::Gauge),
    ("histogram", Kind::Histogram),
    ("summary", Kind::Summary),
    ("untyped", Kind::Unknown),
    ("unknown", Kind::Unknown),
];

/// What a line says; nothing if it is empty or a remark.
pub(super) fn read(line: &str) -> Result<Option<Entry<'_>>, String> {
    let line = skip_blanks(line);
    if line.is_empty() {
        return Ok(None);
    }
    match line.strip_prefix('#') {
        Some(comment) if comment.starts_with([' ', '\t']) => remark(skip_blanks(comment)),
        Some(_) => Ok(None),
        None => sample(line).map(|sample| Some(Entry::Sample(sample))),
    }
}

fn remark(comment: &str) -> Result<Option<Entry<'_>>, String> {
    let (keyword, rest) = word(comment);
    let rest_of = skip_blanks(rest);
    match keyword {
        // A word alone is a remark like any other.
        "HELP" if !rest.is_empty() => {
            let (name, text) = family(rest_of, keyword)?;
            Ok(Some(Entry::Help(name, unescaped(skip_blanks(text), false))))
        }
        "TYPE" if !rest.is_empty() => {
            let (name, text) = family(rest_of, keyword)?;
            let named = text.trim_matches([' ', '\t']);
            Ok(Some(Entry::Kind(name, kind(named, &KINDS)?)))
        }
        _ => Ok(None),
    }
}

fn sample(line: &str) -> Result<Sample<'_>, String> {
    let (series, rest) = line.split_at(series::end(line, true)?);
    let (value, rest) = word(skip_blanks(rest));
    if value.is_empty() {
        return Err(format!("{} has no value", echo(series)));
    }
    let value = number(value)?;
    let (time, rest) = word(skip_blanks(rest));
    let millis = match time {
        "" => None,
        time => {
            Some(time.parse().map_err(|_| format!("the timestamp {} is no whole number of milliseconds", echo(time)))?)
        }
    };
    match skip_blanks(rest) {
        "" => Ok(Sample { series, value, millis, exemplar: None }),
        more => Err(format!("{} follows the timestamp", echo(more))),
    }
}
