//! Matchers of routes: reading them as Alertmanager does, its UTF-8 form first and then the classic one, and writing them
//! as they stand in its group keys.

use std::collections::BTreeMap;
use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::limits::{REGEX_BYTES_MAX, REGEX_DEPTH_MAX};

/// One condition on one label. A label that is missing counts as empty.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    operator: Operator,
    value: String,
    regex: Option<Regex>,
}

/// In the order in which Alertmanager sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Match,
    /// `!~`
    NotMatch,
}

impl Operator {
    fn as_str(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Match => "=~",
            Operator::NotMatch => "!~",
        }
    }

    // The operator that `text` begins with, and what follows it.
    fn strip(text: &str) -> Option<(Operator, &str)> {
        const ALL: [Operator; 4] = [Operator::Match, Operator::NotMatch, Operator::NotEqual, Operator::Equal];
        ALL.into_iter().find_map(|operator| Some((operator, text.strip_prefix(operator.as_str())?)))
    }
}

impl Matcher {
    /// A matcher; regular expressions are anchored at both ends.
    pub fn new(name: impl Into<String>, operator: Operator, value: impl Into<String>) -> Result<Matcher, String> {
        let (name, value) = (name.into(), value.into());
        let regex = match operator {
            Operator::Match | Operator::NotMatch => {
                let mut builder = RegexBuilder::new(&format!("^(?:{value})$"));
                builder.size_limit(REGEX_BYTES_MAX).nest_limit(REGEX_DEPTH_MAX);
                Some(builder.build().map_err(|error| {
                    let reason = error.to_string();
                    format!("the regular expression {value:?} does not work: {}", last_line(&reason))
                })?)
            }
            Operator::Equal | Operator::NotEqual => None,
        };
        Ok(Matcher { name, operator, value, regex })
    }

    /// The matcher of an entry of the old key `match_re`. Group keys show it with its anchors, as Alertmanager's do.
    pub fn of_match_re(name: impl Into<String>, value: &str) -> Result<Matcher, String> {
        let mut matcher = Matcher::new(name, Operator::Match, value)?;
        matcher.value = format!("^(?:{value})$");
        Ok(matcher)
    }

    /// Whether the labels meet it.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.name).map_or("", String::as_str);
        let found = self.regex.as_ref().map_or_else(|| value == self.value, |regex| regex.is_match(value));
        match self.operator {
            Operator::Equal | Operator::Match => found,
            Operator::NotEqual | Operator::NotMatch => !found,
        }
    }

    fn order(&self) -> (&str, &str, Operator) {
        (&self.name, &self.value, self.operator)
    }
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(is_reserved) {
            f.write_str(&quote(&self.name))?
        } else {
            f.write_str(&self.name)?
        }
        write!(f, "{}{}", self.operator.as_str(), quote(&self.value))
    }
}

/// Puts matchers into the order in which Alertmanager keeps them.
pub fn sort(matchers: &mut [Matcher]) {
    matchers.sort_by(|a, b| a.order().cmp(&b.order()));
}

/// Text in double quotes as Go writes it.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if is_printed(c) => out.push(c),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

// The standard library knows what is printable but says so only of what it escapes; marks that join what comes before
// them are escaped at the beginning of a text only.
fn is_printed(c: char) -> bool {
    c.is_ascii_graphic() || c == ' ' || (!c.is_ascii() && !format!("x{c}").escape_debug().to_string().contains('\\'))
}

// Characters that stand in an unquoted name or value only of the classic form.
fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}

/// The matchers of one line: `a="b"`, `{a=~"b|c", "ü"!=d}`, or in the classic form `a=b c`.
pub fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let read = utf8(text).or_else(|reason| classic(text).ok_or(reason))?;
    read.into_iter().map(|(name, operator, value)| Matcher::new(name, operator, value)).collect()
}

type Parts = (String, Operator, String);

fn utf8(text: &str) -> Result<Vec<Parts>, String> {
    let mut rest = text.trim();
    let open = rest.starts_with('{');
    if open {
        rest = rest[1..].trim_start();
    }
    let mut parts = Vec::new();
    while !rest.is_empty() && !rest.starts_with('}') {
        let (name, tail) = token(rest).ok_or_else(|| format!("no label name at {rest:?}"))?;
        let tail = tail.trim_start();
        let (operator, tail) = Operator::strip(tail).ok_or_else(|| format!("none of = != =~ !~ at {tail:?}"))?;
        let tail = tail.trim_start();
        let (value, tail) = token(tail).ok_or_else(|| format!("no label value at {tail:?}"))?;
        parts.push((name, operator, value));
        let tail = tail.trim_start();
        match tail.strip_prefix(',') {
            Some(tail) => rest = tail.trim_start(),
            None if tail.is_empty() || tail.starts_with('}') => rest = tail,
            None => return Err(format!("no comma at {tail:?}")),
        }
    }
    match (open, rest) {
        (true, "}") | (false, "") => Ok(parts),
        (true, _) => Err("the brace is not closed at the end".to_owned()),
        (false, _) => Err("a closing brace without an opening one".to_owned()),
    }
}

// A name or value, quoted or not, and what follows it.
fn token(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return unquote(quoted);
    }
    let end = text.find(is_reserved).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

// Go's escapes, up to the closing quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut out = Vec::new();
    let mut chars = text.char_indices();
    while let Some((position, c)) = chars.next() {
        match c {
            '"' => return Some((String::from_utf8(out).ok()?, &text[position + 1..])),
            '\n' => return None,
            '\\' => {
                let (_, escape) = chars.next()?;
                let code = |chars: &mut std::str::CharIndices<'_>, count: usize, radix: u32, first: u32| {
                    (0..count).try_fold(first, |code, _| {
                        code.checked_mul(radix)?.checked_add(chars.next()?.1.to_digit(radix)?)
                    })
                };
                let simple = match escape {
                    'a' => Some(7),
                    'b' => Some(8),
                    'f' => Some(12),
                    'n' => Some(b'\n'),
                    'r' => Some(b'\r'),
                    't' => Some(b'\t'),
                    'v' => Some(11),
                    '\\' => Some(b'\\'),
                    '"' => Some(b'"'),
                    'x' => Some(u8::try_from(code(&mut chars, 2, 16, 0)?).ok()?),
                    '0'..='7' => Some(u8::try_from(code(&mut chars, 2, 8, escape.to_digit(8)?)?).ok()?),
                    _ => None,
                };
                let wide = match escape {
                    'u' => Some(code(&mut chars, 4, 16, 0)?),
                    'U' => Some(code(&mut chars, 8, 16, 0)?),
                    _ => None,
                };
                match (simple, wide) {
                    (Some(byte), _) => out.push(byte),
                    (None, Some(code)) => push(&mut out, char::from_u32(code)?),
                    (None, None) => return None,
                }
            }
            c => push(&mut out, c),
        }
    }
    None
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

// The form before UTF-8: plain names, values with or without quotes that may hold nearly anything.
fn classic(text: &str) -> Option<Vec<Parts>> {
    let text = text.trim();
    let inner = text.strip_prefix('{').unwrap_or(text);
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in inner.chars() {
        match c {
            ',' if !quoted => {
                pieces.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        pieces.last_mut()?.push(c);
    }
    if pieces.last().is_some_and(|last| last.trim().is_empty()) {
        pieces.pop();
    }
    pieces.iter().map(|piece| classic_one(piece)).collect()
}

fn classic_one(text: &str) -> Option<Parts> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')?;
    let (name, tail) = text.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (operator, value) = Operator::strip(tail.trim_start())?;
    let value = value.trim();
    let (quoted, value) = match value.strip_prefix('"') {
        Some(value) => (true, value),
        None => (false, value),
    };
    let mut out = String::new();
    let mut chars = value.chars().peekable();
    let mut closed = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek().is_none() => closed = true,
            '"' => return None,
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c @ ('"' | '\\')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    (closed == quoted).then(|| (name.to_owned(), operator, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_matchers() {
        for (text, written) in [
            ("a=b", r#"a="b""#),
            (r#" a != "b c" "#, r#"a!="b c""#),
            (r#"{a="b",c=~"d|e",}"#, r#"a="b",c=~"d|e""#),
            (r#""ü b"=~"x.*""#, r#""ü b"=~"x.*""#),
            ("Σ=🙂", r#"Σ="🙂""#),
            (r#"a="x\n\t\"\\ \u00e9\x41""#, r#"a="x\n\t\"\\ éA""#),
            ("a=b c", r#"a="b c""#),
            ("a=", r#"a="""#),
            ("a=~b=c|d", r#"a=~"b=c|d""#),
            (r#"a="\d""#, r#"a="\\d""#),
            ("{}", ""),
            ("a!~b.+", r#"a!~"b.+""#),
        ] {
            let matchers = parse(text).expect(text);
            let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(","), written, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_matcher() {
        for text in ["a", "=b", "a==b\"", "a=~(", "{a=b", "1a=b c", "a=\"b", "a=b\"c", "a=b}"] {
            // An unclosed or lone brace is taken by the classic form, as Alertmanager takes it.
            let classic = matches!(text, "{a=b" | "a=b}");
            assert_eq!(parse(text).is_ok(), classic, "{text}");
        }
    }

    #[test]
    fn quotes_like_go() {
        for (text, quoted) in [
            ("a\u{1}b", r#""a\x01b""#),
            ("\u{7f}", r#""\x7f""#),
            ("\u{a0}\u{200b}", r#""\u00a0\u200b""#),
            ("e\u{301}", "\"e\u{301}\""),
            ("\u{e0001}", r#""\U000e0001""#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
