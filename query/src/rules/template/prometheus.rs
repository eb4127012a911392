//! The functions that Prometheus adds to Go's, and Sextant with it.

use std::rc::Rc;

use super::builtin::query_escape;
use super::function::Context;
use super::humanize;
use super::limits::{DEPTH_MAX, QUERIES_MAX, QUERY_SAMPLES_MAX, REGEX_BYTES_MAX};
use super::moment::Moment;
use super::number::parse_float;
use super::print::sprintf;
use super::quote::quote;
use super::value::{Args, Sample, Value};
use crate::limits::REGEX_DEPTH_MAX;

type Returned = Result<Value, String>;

// Steps that compiling a regular expression counts for.
const REGEX_COST: usize = 1000;

const NIL_POINTER: &str = "runtime error: invalid memory address or nil pointer dereference";

pub fn query(context: &mut Context<'_>, values: &[Value]) -> Returned {
    context.queries += 1;
    if context.queries > QUERIES_MAX {
        return Err(format!("more than {QUERIES_MAX} queries"));
    }
    let found = context.query.query(&text(values, 0), context.data.at_ms)?;
    if found.len() > QUERY_SAMPLES_MAX {
        return Err(format!("more than {QUERY_SAMPLES_MAX} series"));
    }
    context.cost += found.len();
    let sample = |(labels, value): (model::Labels, f64)| Sample {
        labels: Rc::new(labels.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()),
        value,
    };
    Ok(Value::Vector(found.into_iter().map(sample).collect()))
}

pub fn first(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let sample = vector(values, 0).and_then(|samples| samples.first());
    let sample = sample.ok_or("first() called on vector with no elements")?;
    Ok(Value::Sample(Some(sample.clone())))
}

pub fn label(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let label = sample(values, 1)?.labels.get(&*text(values, 0));
    Ok(Value::text(label.map_or("", String::as_str)))
}

pub fn value(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::Float(sample(values, 0)?.value))
}

pub fn strvalue(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(sample(values, 0)?.labels.get("__value__").map_or("", String::as_str)))
}

pub fn sort_by_label(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let by = text(values, 0);
    let mut samples = vector(values, 1).unwrap_or_default().to_vec();
    let key = |sample: &Sample| sample.labels.get(&*by).cloned().unwrap_or_default();
    samples.sort_by_cached_key(key);
    Ok(Value::Vector(samples.into()))
}

pub fn args(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let inner = values.iter().map(|value| if let Value::Args(args) = value { args.depth } else { 0 });
    let depth = inner.max().unwrap_or(0) + 1;
    if depth > DEPTH_MAX {
        return Err(format!("args nested more than {DEPTH_MAX} deep"));
    }
    let entries = values.iter().enumerate().map(|(index, value)| (format!("arg{index}"), value.clone())).collect();
    Ok(Value::Args(Rc::new(Args { entries, depth })))
}

pub fn replace_all(context: &mut Context<'_>, values: &[Value]) -> Returned {
    let pattern = text(values, 0);
    context.cost += REGEX_COST;
    let regex = regex(&pattern).map_err(|message| format!("regexp: Compile({}): {message}", backquoted(&pattern)))?;
    let (replacement, subject) = (text(values, 1), text(values, 2));
    // A replacement that repeats its match may make a long text of a short one.
    let made = regex.replace_all(&subject, &*replacement);
    context.cost += made.len() / 256;
    Ok(Value::text(made))
}

pub fn matches(context: &mut Context<'_>, values: &[Value]) -> Returned {
    context.cost += REGEX_COST;
    Ok(Value::Bool(regex(&text(values, 0))?.is_match(&text(values, 1))))
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    if let Some(part) = nested_repetition(pattern) {
        return Err(format!("error parsing regexp: invalid nested repetition operator: `{part}`"));
    }
    let mut builder = regex::RegexBuilder::new(pattern);
    builder.size_limit(REGEX_BYTES_MAX).nest_limit(REGEX_DEPTH_MAX);
    builder.build().map_err(|error| format!("error parsing regexp: {}", regex_complaint(pattern, &error.to_string())))
}

// `a**` or `a{2}{3}`: RE2 has no use for it, while the library takes it.
fn nested_repetition(pattern: &str) -> Option<&str> {
    let (mut in_class, mut repetition) = (false, None);
    let mut at = 0;
    while let Some(c) = pattern[at..].chars().next() {
        let length = match c {
            '\\' => 1 + pattern[at + 1..].chars().next().map_or(0, char::len_utf8),
            '*' | '+' | '?' if !in_class => 1,
            '{' if !in_class => counted(&pattern[at..]).unwrap_or(0),
            _ => 0,
        };
        let repeats = length > 0 && c != '\\';
        let mut end = at + length.max(c.len_utf8());
        if repeats {
            end += usize::from(pattern[end..].starts_with('?'));
            if let Some(start) = repetition {
                return pattern.get(start..end);
            }
        }
        repetition = repeats.then_some(at);
        in_class = match c {
            '[' => true,
            // Right behind the bracket it belongs to the class.
            ']' => in_class && (pattern[..at].ends_with('[') || pattern[..at].ends_with("[^")),
            _ => in_class,
        };
        at = end;
    }
    None
}

// How long `{2}`, `{2,}` or `{2,5}` is.
fn counted(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let inside = &text[1..end];
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(end + 1)
}

// The commonest mistakes in RE2's words; the part of the pattern is found by the mark that the library puts below it.
fn regex_complaint(pattern: &str, message: &str) -> String {
    let marked = message.lines().find(|line| line.trim_start().starts_with('^'));
    let at = marked.map_or(0, |line| line.len() - line.trim_start().len()).saturating_sub(4);
    let rest = pattern.get(at..).unwrap_or(pattern);
    let part = |length: usize| rest.get(..length).unwrap_or(rest);
    let (complaint, part) = match message.lines().last().unwrap_or_default().trim_start_matches("error: ") {
        "unclosed character class" => ("missing closing ]", rest),
        "unclosed group" => ("missing closing )", pattern),
        "unopened group" => ("unexpected )", pattern),
        "repetition operator missing expression" => ("missing argument to repetition operator", part(1)),
        other if other.starts_with("unrecognized escape") => ("invalid escape sequence", part(2)),
        other if other.starts_with("look-around") => ("invalid or unsupported Perl syntax", part(3)),
        other if other.starts_with("invalid character class range") => ("invalid character class range", part(3)),
        other if other.starts_with("incomplete escape") => ("trailing backslash at end of expression", ""),
        other if other.contains("size limit") => ("expression too large", pattern),
        other => (other, pattern),
    };
    format!("{complaint}: `{part}`")
}

// Go's quoting of a pattern: in backquotes if it can be.
fn backquoted(text: &str) -> String {
    if text.contains(|c: char| c == '`' || (c.is_control() && c != '\t')) { quote(text) } else { format!("`{text}`") }
}

pub fn safe_html(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::Html(text(values, 0)))
}

/// The first letter of each word as a capital, words ending where anything but letters, digits and underscores stands.
pub fn title(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let mut before = ' ';
    let capital = |c: char| {
        let begins = !(before == '_' || before.is_alphanumeric()) && (before.is_ascii() || before.is_whitespace());
        before = c;
        if begins { upper(c) } else { c }
    };
    Ok(Value::text(text(values, 0).chars().map(capital).collect::<String>()))
}

pub fn to_upper(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(text(values, 0).chars().map(upper).collect::<String>()))
}

pub fn to_lower(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let lower = |c: char| c.to_lowercase().next().unwrap_or(c);
    Ok(Value::text(text(values, 0).chars().map(lower).collect::<String>()))
}

// Go maps one character to one: ß stays as it is.
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

pub fn graph_link(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(format!("/graph?g0.expr={}&g0.tab=0", query_escape(&text(values, 0)))))
}

pub fn table_link(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(format!("/graph?g0.expr={}&g0.tab=1", query_escape(&text(values, 0)))))
}

pub fn strip_port(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let address = text(values, 0);
    Ok(split_host_port(&address).map_or_else(|| Value::Text(Rc::clone(&address)), |(host, _)| Value::text(host)))
}

pub fn strip_domain(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let address = text(values, 0);
    let (host, port) = split_host_port(&address).unwrap_or((&address, ""));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(Value::Text(Rc::clone(&address)));
    }
    let name = host.split('.').next().unwrap_or(host);
    Ok(Value::text(match (port, name.contains(':')) {
        ("", _) => name.to_owned(),
        (port, true) => format!("[{name}]:{port}"),
        (port, false) => format!("{name}:{port}"),
    }))
}

// `host:port` or `[host]:port`; `None` for anything else.
fn split_host_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(inside) => inside.split_once("]:")?,
        None => address.rsplit_once(':').filter(|(host, _)| !host.contains(':'))?,
    };
    let odd = |text: &str| text.contains(['[', ']']);
    (!odd(host) && !odd(port) && !port.contains(':')).then_some((host, port))
}

pub fn humanize(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(humanize::decimal(number(values)?)))
}

pub fn humanize_1024(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(humanize::binary(number(values)?)))
}

pub fn humanize_duration(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(humanize::duration(number(values)?)))
}

pub fn humanize_percentage(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(sprintf("%.4g%%", &[Value::Float(number(values)? * 100.0)])))
}

pub fn humanize_timestamp(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let seconds = number(values)?;
    if !seconds.is_finite() {
        return Ok(Value::text(sprintf("%.4g", &[Value::Float(seconds)])));
    }
    Ok(Value::text(moment(seconds)?.print()))
}

pub fn to_time(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let seconds = number(values)?;
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    Ok(Value::Moment(moment(seconds)?))
}

// Prometheus keeps milliseconds.
fn moment(seconds: f64) -> Result<Moment, String> {
    let nanos = seconds * 1e9;
    if !(i64::MIN as f64..=i64::MAX as f64).contains(&nanos) {
        let written = sprintf("%v", &[Value::Float(seconds)]);
        return Err(format!("{written} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    Ok(Moment(nanos as i64 / 1_000_000))
}

pub fn to_duration(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let seconds = number(values)?;
    let nanos = seconds * 1e9;
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    if !(i64::MIN as f64..=i64::MAX as f64).contains(&nanos) {
        let written = sprintf("%v", &[Value::Float(seconds)]);
        return Err(format!("{written} cannot be represented as a nanoseconds duration since it overflows int64"));
    }
    Ok(Value::Duration(nanos as i64))
}

/// The moment of the evaluation in seconds, not of the clock: an expansion can be repeated.
pub fn now(context: &mut Context<'_>, _: &[Value]) -> Returned {
    Ok(Value::Float(context.data.at_ms as f64 / 1000.0))
}

pub fn parse_duration(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::Float(crate::rules::file::parse_duration(&text(values, 0))? as f64 / 1000.0))
}

/// The path of the external URL.
pub fn path_prefix(context: &mut Context<'_>, _: &[Value]) -> Returned {
    let url = context.data.external_url;
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let path = behind.find('/').map_or("", |at| &behind[at..]);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Ok(Value::text(path))
}

pub fn external_url(context: &mut Context<'_>, _: &[Value]) -> Returned {
    Ok(Value::text(context.data.external_url))
}

pub fn url_query_escape(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(query_escape(&text(values, 0))))
}

// Arguments have been checked against their types before a function sees them.
fn text(values: &[Value], index: usize) -> Rc<str> {
    match values.get(index) {
        Some(Value::Text(text)) => Rc::clone(text),
        _ => "".into(),
    }
}

fn vector(values: &[Value], index: usize) -> Option<&[Sample]> {
    match values.get(index) {
        Some(Value::Vector(samples)) => Some(samples),
        _ => None,
    }
}

fn sample(values: &[Value], index: usize) -> Result<&Sample, String> {
    match values.get(index) {
        Some(Value::Sample(Some(sample))) => Ok(sample),
        _ => Err(NIL_POINTER.to_owned()),
    }
}

fn number(values: &[Value]) -> Result<f64, String> {
    match &values[0] {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Duration(nanos) => Ok(*nanos as f64 / 1e9),
        Value::Text(text) => {
            let refuse = |reason: &str| format!("strconv.ParseFloat: parsing {}: {reason}", quote(text));
            let number = parse_float(text).ok_or_else(|| refuse("invalid syntax"))?;
            let says_so = text.to_ascii_lowercase().contains("inf");
            if number.is_infinite() && !says_so { Err(refuse("value out of range")) } else { Ok(number) }
        }
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}
