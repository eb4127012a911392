//! Where things stand in a query's text.
//!
//! The syntax tree carries no positions, but walking it visits selectors, calls and operators in the order of the text: a
//! [`Locator`] walks the tokens alongside. Not a parser: it trusts that the text has been parsed.

/// What a token is, as far as finding places needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name, a keyword or a word operator.
    Word,
    /// A number or a duration.
    Number,
    /// A quoted text, with its quotes.
    Text,
    /// Anything else: operators, brackets, commas.
    Symbol,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'q> {
    pub(super) kind: TokenKind,
    pub(super) text: &'q str,
    /// Byte offset in the query.
    pub(super) at: usize,
}

/// Cuts a query into tokens. Total: what is no PromQL becomes some token too.
pub(super) fn tokens(query: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = query[at..].chars().next() {
        let rest = &query[at..];
        let (kind, length) = match first {
            '#' => (None, rest.find('\n').unwrap_or(rest.len())),
            '"' | '\'' | '`' => (Some(TokenKind::Text), quoted_length(rest, first)),
            c if c.is_whitespace() => (None, c.len_utf8()),
            c if is_word_start(c) => (Some(TokenKind::Word), run(rest, |c| is_word_start(c) || c.is_ascii_digit())),
            c if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) => {
                (Some(TokenKind::Number), number_length(rest))
            }
            _ => {
                let double =
                    ["==", "!=", ">=", "<=", "=~", "!~", "</", ">/"].iter().any(|operator| rest.starts_with(operator));
                (Some(TokenKind::Symbol), if double { 2 } else { first.len_utf8() })
            }
        };
        if let Some(kind) = kind {
            tokens.push(Token { kind, text: &rest[..length], at });
        }
        at += length;
    }
    tokens
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

// Digits, units and exponents: `1.5e-3`, `0x1f`, `1h30m`.
fn number_length(text: &str) -> usize {
    let length = run(text, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
    let signed_exponent = text[..length].ends_with(['e', 'E']) && text[length..].starts_with(['+', '-']);
    if signed_exponent && !text.starts_with("0x") {
        length + 1 + run(&text[length + 1..], |c| c.is_ascii_digit())
    } else {
        length
    }
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// Walks the tokens of a query while its syntax tree is walked in the order of the text. Every method gives the byte offset
/// of what it was asked for and moves past it; `None` if it is not there, which costs a message its position and nothing else.
pub(super) struct Locator<'q> {
    tokens: Vec<Token<'q>>,
    next: usize,
}

impl<'q> Locator<'q> {
    pub(super) fn new(query: &'q str) -> Self {
        Self { tokens: tokens(query), next: 0 }
    }

    /// A function or aggregation: its name, and past the grouping that may stand before its arguments.
    pub(super) fn call(&mut self, name: &str) -> Option<usize> {
        let at = self.find(|token| token.kind == TokenKind::Word && token.text.eq_ignore_ascii_case(name))?;
        if self.peek_word(&["by", "without"]) {
            self.next += 1;
            self.skip_brackets();
        }
        Some(at)
    }

    /// A selector: its name, or its opening brace if it has none.
    pub(super) fn selector(&mut self, name: Option<&str>) -> Option<usize> {
        let at = match name {
            Some(name) => self.find(|token| token.kind == TokenKind::Word && token.text == name)?,
            None => {
                let at = self.find(|token| token.text == "{")?;
                self.next -= 1;
                at
            }
        };
        if self.peek_symbol("{") {
            self.skip_brackets();
        }
        Some(at)
    }

    /// A number.
    pub(super) fn number(&mut self) -> Option<usize> {
        self.find(|token| {
            token.kind == TokenKind::Number || ["nan", "inf"].iter().any(|word| token.text.eq_ignore_ascii_case(word))
        })
    }

    /// A quoted text.
    pub(super) fn text(&mut self) -> Option<Token<'q>> {
        self.find(|token| token.kind == TokenKind::Text)?;
        self.tokens.get(self.next - 1).copied()
    }

    /// Where what comes next begins; the walk stays where it is.
    pub(super) fn upcoming(&self) -> Option<usize> {
        self.tokens.get(self.next).map(|token| token.at)
    }

    /// Where what comes next begins within so many brackets; the walk stays where it is.
    pub(super) fn within(&self, brackets: usize) -> Option<usize> {
        let ahead = self.tokens[self.next..].iter().take(brackets).take_while(|token| token.text == "(").count();
        self.tokens.get(self.next + ahead).map(|token| token.at)
    }

    /// Past the bracket behind a call: where its first argument begins.
    pub(super) fn first_argument(&mut self) -> Option<usize> {
        if self.peek_symbol("(") {
            self.next += 1;
        }
        self.upcoming()
    }

    /// Past a bracket that opens, if that comes next.
    pub(super) fn open(&mut self) {
        if self.peek_symbol("(") {
            self.next += 1;
        }
    }

    /// Past what is left of an argument and the comma behind it: where the next one begins.
    pub(super) fn next_argument(&mut self) -> Option<usize> {
        while let Some(token) = self.tokens.get(self.next) {
            match token.text {
                "(" | "[" | "{" => self.skip_brackets(),
                "," => {
                    self.next += 1;
                    return self.upcoming();
                }
                _ => self.next += 1,
            }
        }
        None
    }

    /// An operator, and past the modifiers behind it; besides, whether it is the trimming one that the parser takes for it.
    pub(super) fn operator_or_trim(&mut self, operator: &str) -> (Option<usize>, bool) {
        let trim = [("<", "</"), (">", ">/")].into_iter().find(|(plain, _)| *plain == operator).map(|(_, trim)| trim);
        let start = self.next;
        let found = self.find(|token| token.text.eq_ignore_ascii_case(operator) || Some(token.text) == trim);
        let trims = found.is_some() && self.next > 0 && Some(self.tokens[self.next - 1].text) == trim;
        if found.is_some() && !trims {
            self.next = start;
            return (self.operator(operator), false);
        }
        (found, trims)
    }

    /// An operator, and past the modifiers behind it.
    pub(super) fn operator(&mut self, operator: &str) -> Option<usize> {
        let at = self.find(|token| token.text.eq_ignore_ascii_case(operator))?;
        loop {
            if self.peek_word(&["bool"]) {
                self.next += 1;
            } else if self.peek_word(&[
                "on",
                "ignoring",
                "group_left",
                "group_right",
                "fill",
                "fill_left",
                "fill_right",
            ]) {
                self.next += 1;
                if self.peek_symbol("(") {
                    self.skip_brackets();
                }
            } else {
                return Some(at);
            }
        }
    }

    /// What comes next with this text; the walk stays where it is.
    pub(super) fn modifier(&self, word: &str) -> Option<usize> {
        let token = self.tokens[self.next..].iter().find(|token| token.text.eq_ignore_ascii_case(word))?;
        Some(token.at)
    }

    // Moves past the first token that `wanted` accepts. What stands in square brackets, and the sign of an offset or of a
    // time behind `@`, is no operator.
    fn find(&mut self, wanted: impl Fn(&Token<'q>) -> bool) -> Option<usize> {
        let start = self.next;
        while let Some(token) = self.tokens.get(self.next) {
            if wanted(token) {
                self.next += 1;
                return Some(token.at);
            }
            match token.text {
                "[" => self.skip_brackets(),
                "@" => self.skip_signed(),
                word if word.eq_ignore_ascii_case("offset") => self.skip_signed(),
                _ => self.next += 1,
            }
        }
        self.next = start;
        None
    }

    fn skip_signed(&mut self) {
        self.next += 1;
        if self.peek_symbol("-") || self.peek_symbol("+") {
            self.next += 1;
        }
        // `5m`, `(5m * 2)`, `step()`.
        if !self.peek_symbol("(") {
            self.next += 1;
        }
        if self.peek_symbol("(") {
            self.skip_brackets();
        }
    }

    fn skip_brackets(&mut self) {
        let mut depth = 0usize;
        while let Some(token) = self.tokens.get(self.next) {
            self.next += 1;
            match token.text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn peek_word(&self, words: &[&str]) -> bool {
        self.tokens.get(self.next).is_some_and(|token| words.iter().any(|word| token.text.eq_ignore_ascii_case(word)))
    }

    fn peek_symbol(&self, symbol: &str) -> bool {
        self.tokens.get(self.next).is_some_and(|token| token.text == symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_queries() {
        let query = "sum by (a) (x{b=~\"c\\\"}\"}[5m:1s]) # end\n>= bool 1e-3 -.5";
        let texts: Vec<&str> = tokens(query).iter().map(|token| token.text).collect();
        assert_eq!(
            texts,
            [
                "sum",
                "by",
                "(",
                "a",
                ")",
                "(",
                "x",
                "{",
                "b",
                "=~",
                "\"c\\\"}\"",
                "}",
                "[",
                "5m",
                ":1s",
                "]",
                ")",
                ">=",
                "bool",
                "1e-3",
                "-",
                ".5"
            ]
        );
    }

    #[test]
    fn finds_places_in_order() {
        let query = "-a offset -5m - on (a) sum by (a) (a{x=\"a\"}[1m]) + 2";
        let mut locator = Locator::new(query);
        let found = [
            locator.operator("-"),
            locator.selector(Some("a")),
            locator.operator("-"),
            locator.call("SUM"),
            locator.selector(Some("a")),
            locator.operator("+"),
            locator.number(),
            locator.number(),
        ];
        assert_eq!(found, [Some(0), Some(1), Some(14), Some(23), Some(35), Some(49), Some(51), None]);
    }

    #[test]
    fn survives_any_text() {
        for query in ["\"", "'\\", "{", "[[[", "é#", "1e", "@", "offset", "\u{0}", "..", "`"] {
            let mut locator = Locator::new(query);
            assert_eq!(locator.call("absent"), None, "{query}");
            assert_eq!(locator.operator("+"), None, "{query}");
        }
    }
}
