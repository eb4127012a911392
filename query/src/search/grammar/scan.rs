//! Characters of a query: what comes next, and the texts that quotes, white space and brackets end.

use super::Parser;
use crate::error::QueryError;

impl Parser {
    // `\"` is a quote and `\\` a backslash; before anything else a backslash is itself.
    pub(super) fn quoted(&mut self) -> Result<String, QueryError> {
        let open = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.next() {
                None => {
                    return Err(QueryError::new(open, "the quote is not closed", "add `\"`; inside quotes write \\\""));
                }
                Some('"') => return Ok(text),
                Some('\\') => match self.peek() {
                    Some(escaped @ ('"' | '\\')) => {
                        self.at += 1;
                        text.push(escaped);
                    }
                    _ => text.push('\\'),
                },
                Some(other) => text.push(other),
            }
        }
    }

    pub(super) fn unquoted(&mut self) -> String {
        let segment = self.segment();
        let text = segment.iter().collect();
        self.at += segment.len();
        text
    }

    // The characters up to white space, `)` or `|`.
    pub(super) fn segment(&self) -> &[char] {
        let rest = &self.chars[self.at..];
        let length = rest.iter().position(|c| is_boundary(*c)).unwrap_or(rest.len());
        &rest[..length]
    }

    pub(super) fn require_boundary(&self, what: &str) -> Result<(), QueryError> {
        if self.at_boundary() {
            return Ok(());
        }
        Err(QueryError::new(self.at, format!("text right after {what}"), "add a space"))
    }

    pub(super) fn keyword(&mut self, word: &str) -> bool {
        self.skip_space();
        let after = self.chars.get(self.at + word.len());
        self.follows(word) && after.is_none_or(|c| is_boundary(*c) || matches!(c, '(' | '"'))
    }

    pub(super) fn at_end_of_terms(&mut self) -> bool {
        self.skip_space();
        matches!(self.peek(), None | Some(')' | '|')) || self.keyword("OR")
    }

    pub(super) fn at_boundary(&self) -> bool {
        self.peek().is_none_or(is_boundary)
    }

    pub(super) fn follows(&self, text: &str) -> bool {
        let rest = &self.chars[self.at..];
        rest.len() >= text.len() && text.chars().zip(rest).all(|(wanted, found)| wanted == *found)
    }

    pub(super) fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }
}

fn is_boundary(c: char) -> bool {
    c.is_whitespace() || c == ')' || c == '|'
}
