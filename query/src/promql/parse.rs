//! From a query's text to the syntax tree of `promql-parser`, with the bounds and the error positions that crate lacks.
//!
//! Not the plan: what is supported, and what it means, is decided in [`super::plan`].

use std::sync::Once;

use promql_parser::parser::Expr;
use promql_parser::parser::function::{Function, register_extra_functions};
use promql_parser::parser::value::ValueType;

use super::dialect::{Entry, Rewritten, restored, rewrite};
use super::error::PromqlError;
use super::limits;
use super::tokens::{Token, TokenKind, tokens};

/// A query's tree, and what its durations of impossible length stand for.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) tree: Expr,
    pub(super) entries: Vec<Entry>,
    // Whether the tree is of a text that differs from the query.
    is_rewritten: bool,
}

/// Parses `query`, or says what is wrong and where.
pub(super) fn parse(query: &str) -> Result<Parsed, PromqlError> {
    if query.len() > limits::QUERY_BYTES_MAX {
        let message = format!("the query is longer than {} bytes", limits::QUERY_BYTES_MAX);
        return Err(PromqlError::Request(message));
    }
    let tokens = tokens(query);
    check_size(query, &tokens)?;
    check_durations(query, &tokens)?;
    know_old_names();
    let Rewritten { text, entries } = rewrite(query, &tokens);
    match promql_parser::parser::parse(&text) {
        Ok(tree) => Ok(Parsed { tree, entries, is_rewritten: text != query }),
        Err(message) => Err(explain(query, &tokens, message)),
    }
}

/// The query as Prometheus's formatter lays it out.
pub fn format(query: &str) -> Result<String, PromqlError> {
    let Parsed { tree, entries, is_rewritten } = parse(query)?;
    if !is_rewritten {
        return Ok(tree.prettify());
    }
    // What stands for something is longer than it: that must not break the line.
    let line = restored(&tree.to_string(), query, &entries);
    Ok(if line.len() <= limits::LINE_MAX { line } else { restored(&tree.prettify(), query, &entries) })
}

/// The syntax tree as JSON, in the form of Prometheus's `parse_query`.
pub fn tree(query: &str) -> Result<serde_json::Value, PromqlError> {
    let tree = as_written(query)?;
    serde_json::to_value(&tree).map_err(|error| PromqlError::Request(format!("the syntax tree has no JSON: {error}")))
}

// Of a query that the parser knows as it is.
fn as_written(query: &str) -> Result<Expr, PromqlError> {
    let parsed = parse(query)?;
    match parsed.is_rewritten {
        false => Ok(parsed.tree),
        true => Err(PromqlError::Request(
            "durations that are computed, anchored, smoothed, </, >/, info and numbers such as 1_000 have no such form here yet"
                .to_owned(),
        )),
    }
}

// Rule files are older than Prometheus 3, which has another name for this function; the parser has forgotten the old one.
fn know_old_names() {
    static KNOWN: Once = Once::new();
    KNOWN.call_once(|| {
        let arguments = vec![ValueType::Matrix, ValueType::Scalar, ValueType::Scalar];
        let function = Function::new("holt_winters", arguments, 0, ValueType::Vector, false);
        if let Err(error) = register_extra_functions(vec![function]) {
            tracing::debug!(error, "the parser knows this function by itself");
        }
    });
}

// See `OPERATORS_MAX` and `REGEX_MATCHERS_MAX`.
fn check_size(query: &str, tokens: &[Token<'_>]) -> Result<(), PromqlError> {
    let deepens = |token: &&Token<'_>| match token.kind {
        TokenKind::Symbol => !matches!(token.text, ")" | "]" | "}" | "," | "=" | "=~" | "!~" | "@"),
        TokenKind::Word => {
            ["and", "or", "unless", "atan2"].iter().any(|operator| token.text.eq_ignore_ascii_case(operator))
        }
        TokenKind::Number | TokenKind::Text => false,
    };
    let too_many = |token: &Token<'_>, limit: usize, of_what: &str| {
        let message = format!("more than {limit} {of_what} in one query");
        Err(PromqlError::Parse { query: query.to_owned(), position: Some(token.at), message })
    };
    if let Some(token) = tokens.iter().filter(deepens).nth(limits::OPERATORS_MAX) {
        return too_many(token, limits::OPERATORS_MAX, "operators and brackets");
    }
    let is_regex = |token: &&Token<'_>| is_regex_operator(token);
    if let Some(token) = tokens.iter().filter(is_regex).nth(limits::REGEX_MATCHERS_MAX) {
        return too_many(token, limits::REGEX_MATCHERS_MAX, "regular expressions");
    }
    Ok(())
}

fn is_regex_operator(token: &Token<'_>) -> bool {
    matches!(token.text, "=~" | "!~")
}

// The parser panics on ranges and offsets that fit no `Duration`.
fn check_durations(query: &str, tokens: &[Token<'_>]) -> Result<(), PromqlError> {
    let mut in_brackets = false;
    for (index, token) in tokens.iter().enumerate() {
        match token.text {
            "[" => in_brackets = true,
            "]" => in_brackets = false,
            _ => {}
        }
        let before = |back: usize| index.checked_sub(back).map_or("", |index| tokens[index].text);
        let signed = matches!(before(1), "-" | "+");
        let is_offset = before(if signed { 2 } else { 1 }).eq_ignore_ascii_case("offset");
        let text = token.text.trim_start_matches(':');
        let Ok(seconds) = text.parse::<f64>() else { continue };
        if (in_brackets || is_offset) && !(0.0..=limits::DURATION_SECONDS_MAX).contains(&seconds) {
            let message = format!("{text} seconds are no duration");
            return Err(PromqlError::Parse { query: query.to_owned(), position: Some(token.at), message });
        }
    }
    Ok(())
}

fn explain(query: &str, tokens: &[Token<'_>], message: String) -> PromqlError {
    let query = query.to_owned();
    if let Some(name) = message.strip_prefix("unknown function with name '").and_then(|rest| rest.strip_suffix('\'')) {
        let called = |pair: &&[Token<'_>]| pair[0].text == name && pair[1].text == "(";
        let position = tokens.windows(2).find(called).map(|pair| pair[0].at);
        let message = format!("unknown function with name {name:?}");
        return PromqlError::Parse { query, position, message };
    }
    if tokens.is_empty() {
        return PromqlError::Parse { query, position: None, message };
    }
    // Found by its text: trying ends would compile a huge expression again and again.
    if let Some(pattern) = message.strip_prefix("illegal regex for ") {
        let bare = |text: &str| text.replace('\\', "");
        let bears = |pair: &&[Token<'_>]| is_regex_operator(&pair[0]) && bare(pair[1].text).contains(&bare(pattern));
        let position = tokens.windows(2).find(bears).map(|pair| pair[1].at);
        return PromqlError::Parse { query, position, message };
    }
    // "invalid promql query" is all the parser says of most mistakes.
    let vague = message.contains("invalid promql query");
    match first_wrong_token(&query, tokens) {
        Some(token) => {
            let what =
                if is_identifier(token) { format!("identifier {:?}", token.text) } else { token.text.to_owned() };
            let message = if vague { format!("unexpected {what}") } else { message };
            PromqlError::Parse { position: Some(token.at), query, message }
        }
        None => {
            let message = if vague { "unexpected end of input".to_owned() } else { message };
            PromqlError::Parse { position: Some(query.len()), query, message }
        }
    }
}

// Whether a token is a name and no word of the language.
fn is_identifier(token: &Token<'_>) -> bool {
    const WORDS: [&str; 29] = [
        "and",
        "or",
        "unless",
        "atan2",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "offset",
        "start",
        "end",
        "sum",
        "avg",
        "min",
        "max",
        "count",
        "group",
        "stddev",
        "stdvar",
        "topk",
        "bottomk",
        "quantile",
        "count_values",
        "limitk",
        "limit_ratio",
        "smoothed",
    ];
    token.kind == TokenKind::Word && !WORDS.iter().any(|word| token.text.eq_ignore_ascii_case(word))
}

// The first token after which nothing could make the query right, by trying ends: what stands before the mistake can be
// completed to a query, what includes it cannot. `None` if the whole text is only unfinished.
fn first_wrong_token<'t, 'q>(query: &str, tokens: &'t [Token<'q>]) -> Option<&'t Token<'q>> {
    let completable = |count: usize| {
        let last = &tokens[count - 1];
        is_completable(&query[..last.at + last.text.len()], &tokens[..count])
    };
    let (mut good, mut bad) = (0, tokens.len() + 1);
    while bad - good > 1 {
        let middle = (good + bad) / 2;
        if completable(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    tokens.get(bad - 1)
}

fn is_completable(beginning: &str, tokens: &[Token<'_>]) -> bool {
    const ENDS: [&str; 15] = [
        "",
        " x",
        " 1",
        "(x)",
        " (x)",
        "(x[5m])",
        "[5m]",
        "5m",
        ":5m",
        "x=\"\"",
        "=\"x\"",
        "\"x\"",
        "\"x\"=\"x\"",
        "(1, x)",
        " bool x",
    ];
    let mut closing = Vec::new();
    for token in tokens {
        match token.text {
            "(" => closing.push(')'),
            "[" => closing.push(']'),
            "{" => closing.push('}'),
            ")" | "]" | "}" => drop(closing.pop()),
            _ => {}
        }
    }
    let closing: String = closing.into_iter().rev().collect();
    ENDS.iter().any(|end| {
        let query = format!("{beginning}{end}{closing}");
        promql_parser::parser::parse(&rewrite(&query, &super::tokens::tokens(&query)).text).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_the_mistake_is() {
        for (query, expected) in [
            ("", "unknown position: parse error: no expression found in input"),
            ("sum(", "1:5: parse error: unclosed left parenthesis"),
            ("a +", "1:4: parse error: unexpected end of input"),
            ("a + * b", "1:5: parse error: unexpected *"),
            ("a b", "1:3: parse error: unexpected identifier \"b\""),
            ("rat(a[5m])", "1:1: parse error: unknown function with name \"rat\""),
            ("rate(a)", "1:7: parse error: expected type matrix in call to function 'rate', got vector"),
            ("a{b=}", "1:5: parse error: unexpected }"),
            ("a{b=~\"(\"}", "1:6: parse error: illegal regex for ("),
            ("a{b=~\"x\", c!~\"\\\\pX[\"}", "1:14: parse error: illegal regex for \\pX["),
            ("a[5m", "1:5: parse error: unexpected end of input inside brackets"),
            ("{}", "1:2: parse error: vector selector must contain at least one non-empty matcher"),
            ("a\n  + )", "2:5: parse error: unexpected right parenthesis ')'"),
            ("a[1e300]", "1:3: parse error: 1e300 seconds are no duration"),
            ("a offset -inf", "1:11: parse error: inf seconds are no duration"),
            ("a[5m * ]", "1:8: parse error: unexpected character inside brackets: '*'"),
            ("a[1h:steps()]", "1:5: parse error: unexpected character inside brackets: 's'"),
            ("a offset -(5m) b", "1:16: parse error: unexpected identifier \"b\""),
            ("rate(a[5m] smoothed) smoothed", "1:22: parse error: unexpected smoothed"),
        ] {
            match parse(query) {
                Err(error) => assert_eq!(error.to_string(), expected, "{query}"),
                Ok(tree) => panic!("{query} parsed to {tree:?}"),
            }
        }
    }

    #[test]
    fn refuses_what_would_take_too_much() {
        let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
        let long = "1+".repeat(5_000) + "1";
        let signs = "-".repeat(5_000) + "1";
        let patterns = format!("a{{{}}}", "b=~\"x{9}\",".repeat(200));
        for query in [deep, long, signs, patterns, "a".repeat(limits::QUERY_BYTES_MAX + 1)] {
            assert!(parse(&query).is_err());
        }
    }

    #[test]
    fn never_panics_on_broken_queries() {
        let query = "sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m] offset -1m)) / on() x > bool 1e3";
        for end in 0..query.len() {
            let _ = parse(&query[..end]);
            let _ = parse(&query[end..]);
        }
        assert!(parse(query).is_ok());
    }
}
