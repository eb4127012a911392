//! What PromQL has and `promql-parser` has not: durations that are computed, `anchored` and `smoothed`, `</` and `>/`, `1_000`. A query is
//! rewritten into one that the parser knows, and what was taken out stands in a table: a duration of impossible length is the number of an
//! entry.
//!
//! Not a parser of queries: what it does not understand it leaves as it is, and the parser complains.

mod duration;
mod layout;

pub(super) use layout::restored;

use super::plan::{Duration, Extension};
use super::tokens::{Token, TokenKind};

/// Seconds of the duration that stands for the first entry; that of the next is a second more. More than any query may say.
const FIRST: u64 = 20_000_000_000;
// What the selector of `info` begins with.
const ANY_NAME: &str = "__name__!=\"\"";
// So that nobody who writes a long duration hits an entry by chance.
const FRACTION_NANOS: u32 = 500_000_000;

/// A query that the parser knows.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) text: String,
    pub(super) entries: Vec<Entry>,
}

/// What stands for a duration of impossible length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) duration: Duration,
    pub(super) extension: Option<Extension>,
    // The duration as it is written.
    text: String,
}

/// The entry that a duration of the parser's stands for; `None` if it stands for itself.
pub(super) fn entry(entries: &[Entry], duration: std::time::Duration) -> Option<&Entry> {
    let index = duration.as_secs().checked_sub(FIRST).filter(|_| duration.subsec_nanos() == FRACTION_NANOS)?;
    entries.get(usize::try_from(index).ok()?)
}

/// Rewrites a query.
pub(super) fn rewrite(query: &str, tokens: &[Token<'_>]) -> Rewritten {
    let mut rewriter = Rewriter { query, tokens, entries: Vec::new(), edits: Vec::new() };
    let extensions = rewriter.extensions();
    let mut index = 0;
    while index < tokens.len() {
        index = rewriter.token(index, &extensions);
    }
    rewriter.finish()
}

/// `anchored` or `smoothed`, and what it belongs to: the token that closes a range, or the one that begins an offset.
struct Extended {
    target: usize,
    extension: Extension,
}

struct Rewriter<'q, 't> {
    query: &'q str,
    tokens: &'t [Token<'q>],
    entries: Vec<Entry>,
    // Beginning, end, and what stands there instead; in the order of the text.
    edits: Vec<(usize, usize, String)>,
}

impl Rewriter<'_, '_> {
    fn text(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| token.text)
    }

    fn end(&self, index: usize) -> usize {
        self.tokens.get(index).map_or(self.query.len(), |token| token.at + token.text.len())
    }

    // Rewrites what begins at a token; the token to go on with.
    fn token(&mut self, index: usize, extensions: &[Extended]) -> usize {
        let token = self.tokens[index];
        match token.text {
            "{" => return self.past_braces(index),
            "info" if self.text(index + 1) == "(" => self.info(index + 1),
            "</" => self.edits.push((token.at, token.at + 2, "<".to_owned())),
            ">/" => self.edits.push((token.at, token.at + 2, ">".to_owned())),
            "[" => return self.bracket(index, extensions),
            text if text.eq_ignore_ascii_case("offset") => return self.offset(index, extensions),
            text if is_extension(text).is_some() => self.extension(index, extensions),
            text if token.kind == TokenKind::Number && is_grouped(text) => {
                self.edits.push((token.at, token.at + text.len(), text.replace('_', "")));
            }
            _ => {}
        }
        index + 1
    }

    // The selector of `info(v, {...})` may accept everything, which the parser refuses of selectors: it gets a matcher that the plan takes
    // away again.
    fn info(&mut self, open: usize) {
        let mut depth = 0usize;
        for index in open..self.tokens.len() {
            match self.text(index) {
                "{" if depth == 1 && self.text(index - 1) == "," => {
                    let at = self.end(index);
                    self.edits.push((at, at, format!("{ANY_NAME},")));
                    return;
                }
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn past_braces(&self, index: usize) -> usize {
        let close = (index..self.tokens.len()).find(|at| self.tokens[*at].text == "}");
        close.unwrap_or(self.tokens.len()) + 1
    }

    // `[5m*2]`, `[1h:step()]`
    fn bracket(&mut self, open: usize, extensions: &[Extended]) -> usize {
        let Some(close) = (open..self.tokens.len()).find(|at| self.tokens[*at].text == "]") else { return open + 1 };
        let (from, to) = (self.end(open), self.tokens[close].at);
        let extension = extensions.iter().find(|extended| extended.target == close);
        let extension = extension.map(|extended| extended.extension);
        let Some((range, step)) = duration::bracket(&self.query[from..to]) else { return close + 1 };
        if extension.is_none() && is_bare(&self.query[from..to]) {
            return close + 1;
        }
        let (range_text, step_text) = self.query[from..to].split_once(':').unwrap_or((&self.query[from..to], ""));
        let range = self.entry(range, range_text, extension);
        let step = match step {
            Some(Some(step)) => format!(":{}", self.entry(step, step_text, None)),
            Some(None) => ":".to_owned(),
            None => String::new(),
        };
        self.edits.push((from, to, format!("{range}{step}")));
        close + 1
    }

    // `offset -(5m * 2)`, `offset step()`
    fn offset(&mut self, index: usize, extensions: &[Extended]) -> usize {
        let from = self.end(index);
        let Some((duration, length)) = duration::signed(&self.query[from..]) else { return index + 1 };
        let extended = extensions.iter().find(|extended| extended.target == index);
        let to = from + length;
        let written = self.query[from..to].trim().trim_start_matches(['-', '+']);
        // An offset of nothing is refused by the parser.
        let is_plain = is_bare(written) && duration != Duration::Seconds(0.0);
        if !is_plain || extended.is_some() {
            let text = &self.query[from..to];
            let entry = self.entry(duration, text, extended.map(|extended| extended.extension));
            self.edits.push((from, to, format!(" {entry}")));
        }
        (index..self.tokens.len()).find(|at| self.tokens[*at].at >= to).unwrap_or(self.tokens.len())
    }

    // The word itself goes; an instant selector without an offset gets one to bear it.
    fn extension(&mut self, index: usize, extensions: &[Extended]) {
        let token = self.tokens[index];
        let Some(extended) = extensions.iter().find(|extended| extended.target == index) else {
            if self.belongs_to(index).is_some() {
                self.edits.push((token.at, token.at + token.text.len(), String::new()));
            }
            return;
        };
        let entry = self.entry(Duration::Seconds(0.0), "", Some(extended.extension));
        self.edits.push((token.at, token.at + token.text.len(), format!("offset {entry}")));
    }

    fn entry(&mut self, duration: Duration, text: &str, extension: Option<Extension>) -> String {
        self.entries.push(Entry { duration, extension, text: layout::tidied(text) });
        format!("{}.5", FIRST + self.entries.len() as u64 - 1)
    }

    fn extensions(&self) -> Vec<Extended> {
        let words = (0..self.tokens.len()).filter_map(|index| Some((index, is_extension(self.text(index))?)));
        words.filter_map(|(index, extension)| Some(Extended { target: self.belongs_to(index)?, extension })).collect()
    }

    // What the word at `index` belongs to: the end of a range, the beginning of an offset, or itself. `None` if it is a name.
    fn belongs_to(&self, index: usize) -> Option<usize> {
        let mut at = index.checked_sub(1)?;
        // An operator or an open bracket right before it makes it a name.
        if self.tokens[at].kind == TokenKind::Symbol && !["]", "}", ")"].contains(&self.text(at)) {
            return None;
        }
        let mut offset = None;
        // Back over offsets and times, in whichever order.
        loop {
            let token = self.tokens[at];
            let word = token.text.to_ascii_lowercase();
            let of_modifier = match token.kind {
                TokenKind::Number => true,
                TokenKind::Word => ["offset", "start", "end", "step", "range", "min", "max", "min_of", "max_of"]
                    .contains(&word.as_str()),
                TokenKind::Symbol => ["+", "-", "*", "/", "%", "^", "@", "(", ")", ","].contains(&token.text),
                TokenKind::Text => false,
            };
            if !of_modifier {
                break;
            }
            if word == "offset" {
                offset = Some(at);
            }
            at = at.checked_sub(1)?;
        }
        // An offset of a selector may also come behind the word.
        let next = Some(index + 1).filter(|next| self.text(*next).eq_ignore_ascii_case("offset"));
        let bearer = offset.or(next).unwrap_or(index);
        // What was passed has to be a modifier, or nothing.
        let begins = |at: usize| {
            offset.is_some() || self.tokens[at + 1..index].iter().any(|token| token.text == "@") || at + 1 == index
        };
        let token = self.tokens[at];
        match token.text {
            "]" if begins(at) => Some(at),
            "}" if begins(at) => Some(bearer),
            word if token.kind == TokenKind::Word && !is_keyword(word) && begins(at) => Some(bearer),
            _ => None,
        }
    }

    fn finish(mut self) -> Rewritten {
        self.edits.sort_by_key(|(from, ..)| *from);
        let mut text = String::with_capacity(self.query.len());
        let mut at = 0;
        for (from, to, replacement) in &self.edits {
            text.push_str(&self.query[at..*from]);
            text.push_str(replacement);
            at = *to;
        }
        text.push_str(&self.query[at..]);
        Rewritten { text, entries: self.entries }
    }
}

fn is_extension(word: &str) -> Option<Extension> {
    if word.eq_ignore_ascii_case("anchored") {
        Some(Extension::Anchored)
    } else if word.eq_ignore_ascii_case("smoothed") {
        Some(Extension::Smoothed)
    } else {
        None
    }
}

fn is_keyword(word: &str) -> bool {
    const KEYWORDS: [&str; 14] = [
        "and",
        "or",
        "unless",
        "atan2",
        "bool",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "fill",
        "fill_left",
        "fill_right",
    ];
    KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

// Whether it is nothing but numbers and durations.
fn is_bare(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || byte == b'.' || byte == b':')
}

// `1_000_000`: underscores between digits only.
fn is_grouped(number: &str) -> bool {
    number.contains('_') && number.split('_').all(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::tokens::tokens;

    fn rewritten(query: &str) -> (String, Vec<Entry>) {
        let Rewritten { text, entries } = rewrite(query, &tokens(query));
        (text, entries)
    }

    #[test]
    fn leaves_what_the_parser_knows() {
        for query in [
            "rate(a[5m:1m] offset -1h @ end()) </* b",
            "a{b=\"[5m*2]\"} + smoothed + anchored[5m] and smoothed",
            "sum by (smoothed) (a offset 5m)",
            "a[5m",
            "a offset",
            "a[",
            "a offset (",
            "[]",
        ] {
            let (text, entries) = rewritten(query);
            assert!(entries.is_empty(), "{query}: {entries:?}");
            assert_eq!(text.replace("<*", "</*"), query);
        }
    }

    #[test]
    fn takes_out_what_it_does_not() {
        let placeholder = |number: u64| format!("{}.5", FIRST + number);
        let (one, two) = (placeholder(0), placeholder(1));
        for (query, expected) in [
            ("a[5m*2]", format!("a[{one}]")),
            ("a[step():5m]", format!("a[{one}:{two}]")),
            ("a[5m:-step()]", format!("a[{one}:{two}]")),
            ("a offset (1h + 5m) + 1", format!("a offset {one} + 1")),
            ("a offset -step()*0", format!("a offset {one}*0")),
            ("a[(5m)]", format!("a[{one}]")),
            ("a[1_000]", format!("a[{one}]")),
            ("a offset (5m)", format!("a offset {one}")),
            ("a offset 0s", format!("a offset {one}")),
            ("rate(a[5m] anchored)", format!("rate(a[{one}] )")),
            ("rate(a[5m] offset 5m smoothed @ 3)", format!("rate(a[{one}] offset 5m  @ 3)")),
            ("a smoothed", format!("a offset {one}")),
            ("a{b=\"c\"} SMOOTHED + b", format!("a{{b=\"c\"}} offset {one} + b")),
            ("a offset 5m smoothed", format!("a offset {one} ")),
            ("a smoothed offset 5m", format!("a  offset {one}")),
            ("a @ 5 smoothed", format!("a @ 5 offset {one}")),
            ("info(sum(a, {b}), {c})", "info(sum(a, {b}), {__name__!=\"\",c})".to_owned()),
            ("info(a, {})", "info(a, {__name__!=\"\",})".to_owned()),
            ("info(a{b=\"c\"}) info", "info(a{b=\"c\"}) info".to_owned()),
            ("a </ 1_000 >/ 2", "a < 1000 > 2".to_owned()),
        ] {
            assert_eq!(rewritten(query).0, expected, "{query}");
        }
        let duration = std::time::Duration::from_secs_f64(two.parse().expect("a number"));
        let entries = rewritten("a[step():5m]").1;
        assert_eq!(entry(&entries, duration).map(|entry| &entry.duration), Some(&Duration::Seconds(300.0)));
        assert_eq!(entry(&entries[..1], duration), None);
        assert_eq!(entry(&entries, std::time::Duration::from_secs(FIRST)), None);
    }
}
