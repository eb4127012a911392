//! A line of OpenMetrics.

use super::line::{echo, family, kind, number, unescaped};
use super::series::{self, braces_end};
use super::{Entry, Exemplar, Kind, Sample};

/// The last line.
pub(super) const END: &str = "# EOF";

const KINDS: [(&str, Kind); 8] = [
    ("counter", Kind::Counter),
    ("gauge", Kind::Gauge),
    ("histogram", Kind::Histogram),
    ("gaugehistogram", Kind::GaugeHistogram),
    ("stateset", Kind::StateSet),
    ("info", Kind::Info),
    ("summary", Kind::Summary),
    ("unknown", Kind::Unknown),
];

/// What a line says.
pub(super) fn read(line: &str) -> Result<Option<Entry<'_>>, String> {
    if line.is_empty() {
        return Err("OpenMetrics has no empty lines".to_owned());
    }
    match line.strip_prefix("# ") {
        Some(about) => description(about).map(Some),
        None if line.starts_with('#') => Err(format!("{} is neither HELP, TYPE, UNIT nor EOF", echo(line))),
        None => sample(line).map(|sample| Some(Entry::Sample(sample))),
    }
}

fn description(about: &str) -> Result<Entry<'_>, String> {
    let (keyword, rest) = about.split_once(' ').unwrap_or((about, ""));
    if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
        return Err(format!("{} is neither HELP, TYPE, UNIT nor EOF", echo(keyword)));
    }
    let (name, text) = family(rest, keyword)?;
    let text = text.strip_prefix(' ').ok_or_else(|| format!("# {keyword} says nothing about {}", echo(&name)))?;
    match keyword {
        "HELP" => Ok(Entry::Help(name, unescaped(text, true))),
        "TYPE" => Ok(Entry::Kind(name, kind(text, &KINDS)?)),
        _ => {
            let is_suffix = name.strip_suffix(text).is_some_and(|stem| stem.ends_with('_') || stem.ends_with('.'));
            if !text.is_empty() && !is_suffix {
                return Err(format!("the unit {} is no suffix of the metric {}", echo(text), echo(&name)));
            }
            Ok(Entry::Unit(name, text))
        }
    }
}

fn sample(line: &str) -> Result<Sample<'_>, String> {
    let (series, rest) = line.split_at(series::end(line, false)?);
    let rest = rest.strip_prefix(' ').ok_or_else(|| format!("{} has no value", echo(series)))?;
    let (value, rest) = word(rest);
    let value = number(value)?;
    let (millis, rest) = timestamp(rest)?;
    let exemplar = match rest {
        "" => None,
        rest => match rest.strip_prefix(" # ") {
            Some(exemplar) => Some(read_exemplar(exemplar)?),
            None => return Err(format!("{} follows the value", echo(rest))),
        },
    };
    Ok(Sample { series, value, millis, exemplar })
}

fn read_exemplar(text: &str) -> Result<Exemplar<'_>, String> {
    if !text.starts_with('{') {
        return Err(format!("the exemplar {} does not begin with labels", echo(text)));
    }
    let (labels, rest) = text.split_at(braces_end(text)?);
    let rest = rest.strip_prefix(' ').ok_or("the exemplar has no value")?;
    let (value, rest) = word(rest);
    let value = number(value)?;
    let (millis, rest) = timestamp(rest)?;
    match rest {
        "" => Ok(Exemplar { labels, value, millis }),
        rest => Err(format!("{} follows the exemplar", echo(rest))),
    }
}

// Up to the next space.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(' ').unwrap_or(text.len()))
}

// Seconds with a fraction, if there is a number and no exemplar.
fn timestamp(rest: &str) -> Result<(Option<i64>, &str), String> {
    let Some(text) = rest.strip_prefix(' ').filter(|text| !text.starts_with('#')) else { return Ok((None, rest)) };
    let (text, rest) = word(text);
    let millis = number(text).ok().map(|seconds| seconds * 1000.0).filter(|millis| millis.abs() < 9e18);
    match millis {
        Some(millis) => Ok((Some(millis as i64), rest)),
        None => Err(format!("the timestamp {} is no number of seconds", echo(text))),
    }
}
