//! Expressions as texts: what to ask for a metric, what stands at the cursor and what it can become, where a mistake is. No
//! parser: the server has it.

use std::collections::BTreeMap;

use model::wire::prom::Metadata;

use crate::dashboard::Unit;
use crate::dashboard::variables::promql_duration;
use crate::sanitize::Safe;
use crate::screen::Completion;

/// More than these nobody reads through; another letter leaves fewer.
const COMPLETIONS_MAX: usize = 100;

/// Words of the language, and what they do.
const WORDS: [(&str, &str); 26] = [
    ("sum", "adds series up"),
    ("avg", "mean of series"),
    ("min", "least of series"),
    ("max", "greatest of series"),
    ("count", "how many series"),
    ("topk", "the greatest series"),
    ("bottomk", "the least series"),
    ("by", "one result for each value of these labels"),
    ("without", "one result, these labels left out"),
    ("rate", "growth a second, over a window"),
    ("increase", "growth over a window"),
    ("irate", "growth a second, of the last two points"),
    ("delta", "change of a gauge over a window"),
    ("idelta", "change of a gauge, of the last two points"),
    ("histogram_quantile", "a quantile of a histogram's buckets"),
    ("absent", "1 where there is no series"),
    ("and", "where the other side has a series too"),
    ("or", "this side, and what only the other has"),
    ("unless", "where the other side has no series"),
    ("on", "match by these labels"),
    ("ignoring", "match by all labels but these"),
    ("group_left", "many at the left for one at the right"),
    ("group_right", "many at the right for one at the left"),
    ("offset", "as it was before"),
    ("bool", "0 or 1 instead of leaving out"),
    ("quantile", "a quantile over series"),
];

/// What one wants to see of a metric of this kind.
pub(super) fn of_metric(name: &str, kind: &str, step_ns: i64) -> String {
    // A window holds four steps, and the points of a minute at least.
    let window = promql_duration((step_ns / 1_000_000).unsigned_abs().saturating_mul(4).max(60_000));
    match kind {
        "counter" => format!("rate({name}[{window}])"),
        "histogram" => format!("histogram_quantile(0.95, sum by (job, le) (rate({name}_bucket[{window}])))"),
        _ => name.to_owned(),
    }
}

/// The requests of a service, which may be a part of the job's name.
pub(super) fn of_service(service: &str) -> String {
    let mut name = String::new();
    for c in service.chars() {
        if "\\.+*?()|[]{}^$\"".contains(c) {
            // Escaped for the regular expression, and once more for the text around it.
            name.push_str(if c == '"' { "\\" } else { "\\\\" });
        }
        if c == '\\' {
            name.push_str("\\\\");
        } else {
            name.push(c);
        }
    }
    format!("sum by (job) (rate(http_server_request_duration_seconds_count{{job=~\"(.*/)?{name}\"}}[1m]))")
}

/// The first word that can be a metric's name.
pub(super) fn first_name(expression: &str) -> Option<&str> {
    // Behind which there is nothing left of a list of labels.
    let mut list_ends = usize::MAX;
    for (word, after) in words(expression) {
        if list_ends != usize::MAX && after.len() >= list_ends {
            continue;
        }
        let next = after.trim_start();
        if matches!(word, "by" | "without" | "on" | "ignoring" | "group_left" | "group_right") {
            list_ends = next.find(')').filter(|_| next.starts_with('(')).map_or(usize::MAX, |end| next.len() - end);
            continue;
        }
        let is_word = WORDS.iter().any(|(known, _)| *known == word);
        if !is_word && !next.starts_with(['(', '=', '!']) {
            return Some(word);
        }
    }
    None
}

/// What the numbers of an expression are, as far as its names tell.
pub(super) fn unit<'a>(expression: &'a str, unit_of: impl Fn(&str) -> Option<&'a str>) -> Unit {
    let Some(name) = first_name(expression) else { return Unit::Short };
    let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let unit = Unit::of_metric(name, unit_of(name).or_else(|| unit_of(bare)).unwrap_or_default());
    let is_rate = expression.contains("rate(");
    let is_divided = expression.contains('/');
    match unit {
        _ if expression.contains("histogram_quantile") => unit,
        _ if is_divided => Unit::Short,
        Unit::Bytes if is_rate => Unit::BytesPerSecond,
        Unit::Short if is_rate => Unit::Ops,
        // Seconds a second are a share of the time, and nothing more.
        Unit::Seconds if is_rate => Unit::Short,
        unit => unit,
    }
}

/// Where the sentence says that the mistake is, in characters from 0: Prometheus writes `1:14: parse error: ...`.
pub(super) fn place(expression: &str, sentence: &str) -> Option<usize> {
    let (_, rest) = sentence
        .match_indices("parse error")
        .map(|(at, _)| sentence.split_at(at))
        .next()
        .or_else(|| sentence.match_indices(" is not supported").map(|(at, _)| sentence.split_at(at)).next())?;
    let before = &sentence[..sentence.len() - rest.len()];
    // The last `line:column:` before it.
    let mut numbers =
        before.split(|c: char| !(c.is_ascii_digit() || c == ':')).filter(|part| part.matches(':').count() >= 2);
    let part = numbers.next_back()?;
    let mut parts = part.split(':').filter(|part| !part.is_empty());
    let (line, column): (usize, usize) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let before: usize = expression.split('\n').take(line.checked_sub(1)?).map(|line| line.len() + 1).sum();
    let byte = before + column.checked_sub(1)?;
    let at = expression.char_indices().take_while(|(at, _)| *at < byte).count();
    Some(at)
}

/// What is wrong, without who says so and where.
pub(super) fn complaint(sentence: &str) -> &str {
    let bare = sentence.split_once("invalid parameter \"query\": ").map_or(sentence, |(_, bare)| bare);
    let is_place = |c: char| c.is_ascii_digit() || c == ':';
    bare.trim_start_matches(is_place).trim_start()
}

/// What the word before the cursor can become.
pub(super) fn completions(
    before: &str,
    names: Option<&BTreeMap<String, Vec<Metadata>>>,
    labels: &[String],
) -> Vec<Completion> {
    let start =
        before.char_indices().rev().take_while(|(_, c)| is_letter(*c)).last().map_or(before.len(), |(at, _)| at);
    let (head, word) = before.split_at(start);
    let completion =
        |text: &str, help: Safe| Completion { text: format!("{head}{text}"), word: Safe::line(text), help };
    let fits = |text: &str| text.starts_with(word) && text != word;
    if wants_label(head) {
        let fitting = labels.iter().filter(|label| fits(label));
        return fitting.take(COMPLETIONS_MAX).map(|label| completion(label, Safe::from_static("label"))).collect();
    }
    if word.is_empty() || is_in_text(head) {
        return Vec::new();
    }
    let mut found: Vec<Completion> = Vec::new();
    for (name, of) in names.into_iter().flatten() {
        let Some(of) = of.first() else { continue };
        let ends: &[&str] = match of.kind.as_str() {
            "histogram" => &["_bucket", "_count", "_sum"],
            "summary" => &["", "_count", "_sum"],
            _ => &[""],
        };
        for end in ends {
            let full = format!("{name}{end}");
            if fits(&full) {
                found.push(completion(&full, Safe::of(format_args!("{} {}", of.kind, of.unit))));
            }
        }
        if found.len() >= COMPLETIONS_MAX {
            break;
        }
    }
    let words = WORDS.iter().filter(|(text, _)| fits(text));
    found.extend(words.map(|(text, help)| completion(text, Safe::from_static(help))));
    found.truncate(COMPLETIONS_MAX);
    found
}

// Inside braces where no value is due, or in the parentheses of by, without, on, ignoring.
fn wants_label(head: &str) -> bool {
    let opened = head.rfind('{').filter(|at| !head[*at..].contains('}'));
    if let Some(at) = opened {
        return matches!(head[at..].trim_end().chars().last(), Some('{' | ','));
    }
    let Some(at) = head.rfind('(').filter(|at| !head[*at..].contains(')')) else { return false };
    let word = head[..at].trim_end().rsplit(|c: char| !is_letter(c)).next().unwrap_or_default();
    matches!(word, "by" | "without" | "on" | "ignoring")
}

fn is_in_text(head: &str) -> bool {
    head.matches('"').count() % 2 == 1
}

// Words of letters outside of texts, braces and brackets, with what follows them.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    let mut is_quoted = false;
    std::iter::from_fn(move || {
        loop {
            let first = rest.chars().next()?;
            if first == '"' {
                is_quoted = !is_quoted;
            }
            let begins = !is_quoted && (first.is_ascii_alphabetic() || first == '_' || first == ':');
            let length = if begins || first.is_ascii_digit() {
                rest.find(|c| !is_letter(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (word, after) = rest.split_at(length);
            rest = after;
            if begins {
                return Some((word, after));
            }
        }
    })
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_become_expressions() {
        let second = 1_000_000_000;
        for (name, kind, step, expected) in [
            ("up", "gauge", 1, "up"),
            ("a_total", "counter", 5, "rate(a_total[60s])"),
            ("a_total", "counter", 60, "rate(a_total[240s])"),
            ("d_seconds", "histogram", 5, "histogram_quantile(0.95, sum by (job, le) (rate(d_seconds_bucket[60s])))"),
        ] {
            assert_eq!(of_metric(name, kind, step * second), expected);
        }
        assert!(of_service("a.b\"c").contains("job=~\"(.*/)?a\\\\.b\\\"c\""), "{}", of_service("a.b\"c"));
    }

    #[test]
    fn names_and_units_are_found() {
        for (expression, name, unit) in [
            ("up", Some("up"), Unit::Short),
            ("sum by (job) (rate(x_bytes_total[5m]))", Some("x_bytes_total"), Unit::BytesPerSecond),
            ("rate(x_bytes_total[5m])", Some("x_bytes_total"), Unit::BytesPerSecond),
            ("histogram_quantile(0.9, rate(d_seconds_bucket[5m]))", Some("d_seconds_bucket"), Unit::Seconds),
            ("\"a b\" 12", None, Unit::Short),
            ("", None, Unit::Short),
        ] {
            assert_eq!(first_name(expression), name, "{expression}");
            assert_eq!(super::unit(expression, |_| None), unit, "{expression}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        for (expression, sentence, expected) in [
            ("sum(", "invalid parameter \"query\": 1:5: parse error: unclosed", Some(4)),
            ("ä + foo(", "the server refused /api/v1/query: invalid parameter \"query\": 1:6: parse error: x", Some(4)),
            ("a\nb)", "1:2:3: parse error: y", None),
            ("a\nb)", "2:2: parse error: y", Some(3)),
            ("absent(x)", "1:1: function \"absent\" is not supported yet", Some(0)),
            ("x", "parse error", None),
            ("x", "timeout", None),
            ("x", "99:99: parse error", Some(1)),
        ] {
            if let Some(found) = place(expression, sentence) {
                assert!(found <= expression.chars().count());
            }
            if expected.is_some() {
                assert_eq!(place(expression, sentence), expected, "{expression:?} {sentence}");
            }
        }
    }

    #[test]
    fn words_are_completed() {
        let of = |kind: &str| vec![Metadata { kind: kind.to_owned(), help: String::new(), unit: String::new() }];
        let names = BTreeMap::from([
            ("http_requests_total".to_owned(), of("counter")),
            ("http_seconds".to_owned(), of("histogram")),
        ]);
        let labels = ["job".to_owned(), "instance".to_owned()];
        for (before, expected) in [
            ("", vec![]),
            ("sum(http_r", vec!["sum(http_requests_total"]),
            ("http_s", vec!["http_seconds_bucket", "http_seconds_count", "http_seconds_sum"]),
            ("rat", vec!["rate"]),
            ("x{j", vec!["x{job"]),
            ("x{", vec!["x{job", "x{instance"]),
            ("x{job=\"j", vec![]),
            ("sum by (in", vec!["sum by (instance"]),
            ("\"http_r", vec![]),
            ("ä漢 http_r", vec!["ä漢 http_requests_total"]),
        ] {
            let found = completions(before, Some(&names), &labels);
            let found: Vec<&str> = found.iter().map(|completion| completion.text.as_str()).collect();
            assert_eq!(found, expected, "{before}");
        }
    }
}
