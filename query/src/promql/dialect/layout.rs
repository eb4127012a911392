//! The way back: a rewritten query that the parser has laid out, in the words of the query that it was.

use super::{ANY_NAME, Entry, entry, is_extension};
use crate::promql::plan::Extension;
use crate::promql::tokens::{Token, TokenKind, tokens};

/// `laid_out` with what `query` has in the places of what stands for it. Both have the same things in the same order.
pub(in crate::promql) fn restored(laid_out: &str, query: &str, entries: &[Entry]) -> String {
    let tokens = tokens(laid_out);
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    let mut comparisons = comparisons(query).into_iter();
    let mut index = 0;
    while index < tokens.len() {
        let token = tokens[index];
        match token.text {
            "{" => {
                if let Some((from, to)) = any_name(laid_out, &tokens, index) {
                    edits.push((from, to, String::new()));
                }
                index = (index..tokens.len()).find(|at| tokens[*at].text == "}").unwrap_or(tokens.len());
            }
            "<" | ">" => {
                if let Some(text) = comparisons.next() {
                    edits.push((token.at, token.at + 1, text));
                }
            }
            text => {
                // A colon belongs to names: that of a subquery hangs on its step.
                let number = text.strip_prefix(':').unwrap_or(text);
                let duration = promql_parser::util::parse_duration(number).ok();
                if let Some(entry) = duration.and_then(|duration| entry(entries, duration)) {
                    let at = token.at + text.len() - number.len();
                    put_back(entry, &tokens, index, (at, at + number.len()), &mut edits);
                }
            }
        }
        index += 1;
    }
    edits.sort_by_key(|(from, ..)| *from);
    let (mut text, mut at) = (String::with_capacity(laid_out.len()), 0);
    for (from, to, replacement) in edits {
        text.push_str(&laid_out[at..from]);
        text.push_str(&replacement);
        at = to;
    }
    text.push_str(&laid_out[at..]);
    text
}

// A duration, and the word that it bore: behind the brackets of a range, behind the offset of a selector.
fn put_back(
    entry: &Entry,
    tokens: &[Token<'_>],
    index: usize,
    (at, end): (usize, usize),
    edits: &mut Vec<(usize, usize, String)>,
) {
    let word = entry.extension.map(|extension| match extension {
        Extension::Anchored => "anchored",
        Extension::Smoothed => "smoothed",
    });
    let offset = index.checked_sub(1).map(|before| tokens[before]).filter(|before| before.text == "offset");
    match (word, offset) {
        (Some(word), Some(offset)) if entry.text.is_empty() => edits.push((offset.at, end, word.to_owned())),
        (Some(word), Some(_)) => edits.push((at, end, format!("{} {word}", entry.text))),
        (Some(word), None) => {
            edits.push((at, end, entry.text.clone()));
            if let Some(close) = tokens[index..].iter().find(|token| token.text == "]") {
                edits.push((close.at + 1, close.at + 1, format!(" {word}")));
            }
        }
        (None, _) => edits.push((at, end, entry.text.clone())),
    }
}

// The operators `<`, `>`, `</` and `>/` of a query, in their order.
fn comparisons(query: &str) -> Vec<String> {
    let tokens = tokens(query);
    let (mut found, mut index) = (Vec::new(), 0);
    while index < tokens.len() {
        match tokens[index].text {
            "{" => index = (index..tokens.len()).find(|at| tokens[*at].text == "}").unwrap_or(tokens.len()),
            text @ ("<" | ">" | "</" | ">/") => found.push(text.to_owned()),
            _ => {}
        }
        index += 1;
    }
    found
}

// Where the matcher is that the selector of `info` was given, if this brace opens one.
fn any_name(text: &str, tokens: &[Token<'_>], open: usize) -> Option<(usize, usize)> {
    let from = tokens[open].at + 1;
    let length = text[from..].strip_prefix(ANY_NAME).map(|_| ANY_NAME.len())?;
    let mut depth = 0usize;
    let call = tokens[..open].iter().rposition(|token| {
        match token.text {
            ")" | "]" | "}" => depth += 1,
            "(" if depth == 0 => return true,
            "(" | "[" | "{" => depth = depth.saturating_sub(1),
            _ => {}
        }
        false
    })?;
    let is_info = call.checked_sub(1).is_some_and(|name| tokens[name].text == "info") && tokens[open - 1].text == ",";
    let behind = &text[from + length..];
    let comma = behind.len() - behind.trim_start_matches([',', ' ']).len();
    is_info.then_some((from, from + length + comma))
}

/// A computed duration with one blank around its operators, and none elsewhere.
pub(super) fn tidied(duration: &str) -> String {
    let mut text = String::with_capacity(duration.len());
    let mut is_operand = false;
    for token in tokens(duration) {
        match token.text {
            "+" | "-" | "*" | "/" | "%" | "^" if is_operand => {
                text.push(' ');
                text.push_str(token.text);
                text.push(' ');
            }
            "," => text.push_str(", "),
            word if is_extension(word).is_none() => text.push_str(&word.to_ascii_lowercase()),
            _ => {}
        }
        is_operand = token.kind != TokenKind::Symbol || token.text == ")";
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::promql::format;

    #[test]
    fn what_the_parser_does_not_know_is_laid_out_too() {
        for (query, expected) in [
            ("sum by(job)(rate(a[5m]))", "sum by (job) (rate(a[5m]))"),
            ("rate(a[ 5m*2 ])", "rate(a[5m * 2])"),
            ("rate(a[-(1h-step( ))])", "rate(a[-(1h - step())])"),
            ("rate(a[MAX(step(),5m)])", "rate(a[max(step(), 5m)])"),
            ("max_over_time(a[1h:step()*2])", "max_over_time(a[1h:step() * 2])"),
            ("max_over_time(a[range():])", "max_over_time(a[range():])"),
            ("max_over_time(a[2*range():3m])", "max_over_time(a[2 * range():3m])"),
            ("a offset (5m+1m)", "a offset (5m + 1m)"),
            ("a offset -(5m^2) + b", "a offset -(5m ^ 2) + b"),
            ("a offset step()", "a offset step()"),
            ("rate(a[5m]anchored)", "rate(a[5m] anchored)"),
            ("rate(a[5m+1m] SMOOTHED offset 1m)", "rate(a[5m + 1m] smoothed offset 1m)"),
            ("a{b='c'} smoothed", "a{b=\"c\"} smoothed"),
            ("a smoothed offset 5m", "a offset 5m smoothed"),
            ("a offset 5m smoothed @ 3", "a @ 3.000 offset 5m smoothed"),
            ("a</2>/b", "a </ 2 >/ b"),
            ("a<1</2>bool 3", "a < 1 </ 2 > bool 3"),
            ("a{b=\"<\"}</1", "a{b=\"<\"} </ 1"),
            ("a + 1_000", "a + 1000"),
            ("info(a,{b=\"c\"})", "info(a, {b=\"c\"})"),
            ("info(a,{})", "info(a, {})"),
            ("info(rate(a[step()]),{b=\"c\"})</2", "info(rate(a[step()]), {b=\"c\"}) </ 2"),
        ] {
            let formatted = format(query).unwrap_or_else(|error| panic!("{query}: {error}"));
            assert_eq!(formatted, expected, "{query}");
            assert_eq!(format(&formatted).ok().as_deref(), Some(expected), "laid out again");
        }
    }

    #[test]
    fn long_lines_are_broken_by_what_they_are() {
        let short = format!("rate({}[5m * 2]) + b", "a".repeat(70));
        assert_eq!(format(&short).ok().as_deref(), Some(short.as_str()));
        let long = format!("rate({}[5m * 2]) + rate({}[step()] smoothed)", "a".repeat(60), "b".repeat(60));
        let formatted = format(&long).unwrap_or_default();
        assert_eq!(formatted.split_whitespace().collect::<String>(), long.split_whitespace().collect::<String>());
        assert!(formatted.lines().count() > 1, "{formatted}");
    }
}
