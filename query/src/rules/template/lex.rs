//! A template's text as tokens, by Go's rules: `{{`, `}}`, trim markers, comments, and what stands inside actions.
//!
//! A mistake is a token too, the last one: the parser says where it stood.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The text is the complaint.
    Error,
    Bool,
    /// A printable character that means nothing by itself.
    Char,
    CharConstant,
    Assign,
    Declare,
    End,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawText,
    RightDelim,
    RightParen,
    Space,
    Quoted,
    Text,
    Variable,
    Dot,
    Nil,
    Keyword(Keyword),
}

/// The words with a meaning of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// A piece of the text.
#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    /// The byte it begins at.
    pub at: usize,
    pub text: String,
    /// The line it begins in, from 1.
    pub line: usize,
}

impl Token {
    /// As complaints name it.
    pub fn describe(&self) -> String {
        match self.kind {
            Kind::End => "EOF".to_owned(),
            Kind::Error => self.text.clone(),
            Kind::Keyword(_) | Kind::Dot | Kind::Nil => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let beginning: String = self.text.chars().take(10).collect();
                format!("{}...", super::quote::quote(&beginning))
            }
            _ => super::quote::quote(&self.text),
        }
    }
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const LEFT_COMMENT: &str = "/*";
const RIGHT_COMMENT: &str = "*/";

/// All tokens of `text`. The last is [`Kind::End`] or [`Kind::Error`].
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer =
        Lexer { text, at: 0, start: 0, line: 1, start_line: 1, parens: 0, inside: false, tokens: Vec::new() };
    while lexer.step() {}
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    start: usize,
    line: usize,
    start_line: usize,
    parens: usize,
    inside: bool,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    // Reads on; false at the end.
    fn step(&mut self) -> bool {
        if self.inside { self.inside_action() } else { self.plain_text() }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.advance(next.len_utf8());
        Some(next)
    }

    fn advance(&mut self, bytes: usize) {
        self.line += self.text[self.at..self.at + bytes].matches('\n').count();
        self.at += bytes;
    }

    fn emit(&mut self, kind: Kind) -> bool {
        let text = self.text[self.start..self.at].to_owned();
        self.tokens.push(Token { kind, at: self.start, text, line: self.start_line });
        self.ignore();
        true
    }

    fn ignore(&mut self) {
        self.start = self.at;
        self.start_line = self.line;
    }

    fn error(&mut self, message: impl Into<String>) -> bool {
        self.tokens.push(Token { kind: Kind::Error, at: self.start, text: message.into(), line: self.start_line });
        false
    }

    fn plain_text(&mut self) -> bool {
        let Some(length) = self.rest().find(LEFT) else {
            self.advance(self.rest().len());
            if self.at > self.start {
                self.emit(Kind::Text);
            }
            self.emit(Kind::End);
            return false;
        };
        let text = &self.rest()[..length];
        let trimmed =
            if trims_left(&self.rest()[length + LEFT.len()..]) { text.trim_end_matches(is_space) } else { text };
        self.advance(trimmed.len());
        if self.at > self.start {
            self.emit(Kind::Text);
        }
        self.advance(length - trimmed.len());
        self.ignore();
        self.left_delimiter()
    }

    fn left_delimiter(&mut self) -> bool {
        let after = &self.rest()[LEFT.len()..];
        let marker = if trims_left(after) { 2 } else { 0 };
        if after[marker..].starts_with(LEFT_COMMENT) {
            self.advance(LEFT.len() + marker);
            self.ignore();
            return self.comment();
        }
        self.advance(LEFT.len());
        self.emit(Kind::LeftDelim);
        self.advance(marker);
        self.ignore();
        self.parens = 0;
        self.inside = true;
        true
    }

    fn comment(&mut self) -> bool {
        let Some(length) = self.rest()[LEFT_COMMENT.len()..].find(RIGHT_COMMENT) else {
            return self.error("unclosed comment");
        };
        self.advance(LEFT_COMMENT.len() + length + RIGHT_COMMENT.len());
        let Some(trims) = self.at_right_delimiter() else {
            return self.error("comment ends before closing delimiter");
        };
        self.skip_right_delimiter(trims);
        true
    }

    // Whether `}}` comes next, and if so, whether it trims what follows it.
    fn at_right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if trims_right(rest) && rest[2..].starts_with(RIGHT) {
            return Some(true);
        }
        rest.starts_with(RIGHT).then_some(false)
    }

    fn skip_right_delimiter(&mut self, trims: bool) {
        self.advance(RIGHT.len() + if trims { 2 } else { 0 });
        if trims {
            let rest = self.rest();
            self.advance(rest.len() - rest.trim_start_matches(is_space).len());
        }
        self.ignore();
    }

    fn right_delimiter(&mut self, trims: bool) -> bool {
        if trims {
            self.advance(2);
            self.ignore();
        }
        self.advance(RIGHT.len());
        self.emit(Kind::RightDelim);
        if trims {
            let rest = self.rest();
            self.advance(rest.len() - rest.trim_start_matches(is_space).len());
            self.ignore();
        }
        self.inside = false;
        true
    }

    fn inside_action(&mut self) -> bool {
        if let Some(trims) = self.at_right_delimiter() {
            if self.parens > 0 {
                return self.error("unclosed left paren");
            }
            return self.right_delimiter(trims);
        }
        let Some(first) = self.next() else { return self.error("unclosed action") };
        match first {
            c if is_space(c) => self.space(),
            '=' => self.emit(Kind::Assign),
            ':' if self.next() == Some('=') => self.emit(Kind::Declare),
            ':' => self.error("expected :="),
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::Quoted, "unterminated quoted string"),
            '`' => self.raw(),
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '$' => self.field_or_variable(Kind::Variable),
            // At the very end a point counts as a number.
            '.' if self.peek().is_some_and(|c| !c.is_ascii_digit()) => self.field_or_variable(Kind::Field),
            '.' | '+' | '-' | '0'..='9' => self.number(),
            c if is_alphanumeric(c) => self.word(),
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => {
                self.emit(Kind::RightParen);
                if self.parens == 0 {
                    return self.error("unexpected right paren");
                }
                self.parens -= 1;
                true
            }
            c if c.is_ascii_graphic() => self.emit(Kind::Char),
            c => self.error(format!("unrecognized character in action: {}", super::quote::code_point(c))),
        }
    }

    fn space(&mut self) -> bool {
        let mut spaces = 1;
        while self.peek().is_some_and(is_space) {
            self.next();
            spaces += 1;
        }
        // The last space may belong to ` -}}`.
        let from_last = &self.text[self.at - 1..];
        if trims_right(from_last) && from_last[2..].starts_with(RIGHT) {
            self.at -= 1;
            if self.text[self.at..].starts_with('\n') {
                self.line -= 1;
            }
            if spaces == 1 {
                return self.right_delimiter(true);
            }
        }
        self.emit(Kind::Space)
    }

    fn word(&mut self) -> bool {
        self.while_next(is_alphanumeric);
        if !self.at_terminator() {
            return self.bad_character();
        }
        let kind = match &self.text[self.start..self.at] {
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Nil,
            "block" => Kind::Keyword(Keyword::Block),
            "break" => Kind::Keyword(Keyword::Break),
            "continue" => Kind::Keyword(Keyword::Continue),
            "define" => Kind::Keyword(Keyword::Define),
            "else" => Kind::Keyword(Keyword::Else),
            "end" => Kind::Keyword(Keyword::End),
            "if" => Kind::Keyword(Keyword::If),
            "range" => Kind::Keyword(Keyword::Range),
            "template" => Kind::Keyword(Keyword::Template),
            "with" => Kind::Keyword(Keyword::With),
            _ => Kind::Identifier,
        };
        self.emit(kind)
    }

    // Its first character has been read.
    fn field_or_variable(&mut self, kind: Kind) -> bool {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Field { Kind::Dot } else { kind });
        }
        self.while_next(is_alphanumeric);
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(kind)
    }

    fn bad_character(&mut self) -> bool {
        let character = self.peek().map_or_else(String::new, super::quote::code_point);
        self.error(format!("bad character {character}"))
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(RIGHT),
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, complaint: &str) -> bool {
        loop {
            match self.next() {
                Some('\\') if self.next().is_some_and(|c| c != '\n') => {}
                Some('\\' | '\n') | None => return self.error(complaint),
                Some(c) if c == quote => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw(&mut self) -> bool {
        loop {
            match self.next() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.emit(Kind::RawText),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> bool {
        self.at = self.start;
        let mut good = self.scan_number();
        // Real and imaginary part.
        if good && self.peek().is_some_and(|c| matches!(c, '+' | '-')) {
            good = self.scan_number() && self.text[..self.at].ends_with('i');
        }
        if !good {
            let syntax = super::quote::quote(&self.text[self.start..self.at]);
            return self.error(format!("bad number syntax: {syntax}"));
        }
        self.emit(Kind::Number)
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.while_next(|c| digits.contains(c));
        if self.accept(".") {
            self.while_next(|c| digits.contains(c));
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.while_next(|c| c.is_ascii_digit() || c == '_');
        }
        self.accept("i");
        let ends = !self.peek().is_some_and(is_alphanumeric);
        if !ends {
            self.next();
        }
        ends
    }

    fn accept(&mut self, any_of: &str) -> bool {
        let accepted = self.peek().is_some_and(|c| any_of.contains(c));
        if accepted {
            self.next();
        }
        accepted
    }

    fn while_next(&mut self, belongs: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&belongs) {
            self.next();
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

// `- ` behind `{{`.
fn trims_left(after: &str) -> bool {
    after.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_space))
}

// ` -` before `}}`.
fn trims_right(before: &str) -> bool {
    before.starts_with(is_space) && before[1..].starts_with('-')
}
