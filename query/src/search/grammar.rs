//! The filter language of logs, spans and points: text to a syntax tree. Hand-written, one pass, no backtracking.
//!
//! It knows nothing of columns and types: `plan` gives the terms their meaning. Called by `search::parse`.
//!
//! ```text
//! count = [ or ] "|" "stats" "count()" "as" name [ "by" "(" field { "," field } ")" ] [ "|" "where" name sign number ]
//! or    = and { "OR" and }
//! and   = unary { ["AND"] unary }
//! unary = "NOT" unary | "-" unary | "(" or ")" | term
//! term  = [ field ":" ] matcher
//! ```

pub mod pipe;
mod scan;
mod term;

use crate::error::QueryError;
use crate::limits::{QUERY_CHARACTERS_MAX, QUERY_DEPTH_MAX};

/// A filter as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The empty filter, or a lone `*`.
    Everything,
    /// All of these.
    And(Vec<Filter>),
    /// At least one of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// One condition.
    Term(Term),
}

/// One condition: a field, if one was named, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Where the term begins, in characters from 0.
    pub position: usize,
    /// The field before the colon.
    pub field: Option<FieldName>,
    /// What the field must be.
    pub matcher: Matcher,
}

/// The name before a colon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName {
    /// Where an attribute of this name is looked for.
    pub namespace: Namespace,
    /// The name without its prefix and quotes.
    pub name: String,
}

/// Where a field is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// No prefix: a column, else an attribute of the record, else one of the resource.
    Any,
    /// `attr.`: an attribute of the record.
    Record,
    /// `res.`: an attribute of the resource.
    Resource,
    /// `scope.`: the scope's name or version, else an attribute of it.
    Scope,
}

/// What a field must be, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// A word, or several that must follow each other; quoted or not.
    Words(String),
    /// `pre*`, without the asterisk.
    Prefix(String),
    /// `="text"`.
    Exact(String),
    /// `/pattern/`, without the slashes; `\/` has become `/`.
    Regex(String),
    /// `*`.
    Exists,
    /// `>v`, `>=v`, `<v`, `<=v`.
    Compare(Comparison, Value),
    /// `[low..high]`, both ends included.
    Range(Value, Value),
}

/// The sign of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

/// A number, duration, time or severity; which of them the field decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The text without quotes.
    pub text: String,
    /// Where it begins, in characters from 0.
    pub position: usize,
}

/// Reads a filter. The empty text is [`Filter::Everything`].
pub fn parse(text: &str) -> Result<Filter, QueryError> {
    let mut parser = Parser::new(text, false)?;
    let filter = parser.filter()?;
    match parser.peek() {
        None => Ok(filter),
        Some(_) => Err(parser.pipe()),
    }
}

// This file joins terms, `term` reads them, `pipe` what comes after them, `scan` knows characters.
struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    terms: usize,
    regexes: usize,
    // Whether a pipe may follow the filter.
    with_pipes: bool,
}

impl Parser {
    fn new(text: &str, with_pipes: bool) -> Result<Self, QueryError> {
        let chars: Vec<char> = text.chars().collect();
        if chars.len() > QUERY_CHARACTERS_MAX {
            return Err(QueryError::new(
                QUERY_CHARACTERS_MAX,
                format!("the query is longer than {QUERY_CHARACTERS_MAX} characters"),
                "ask in several queries",
            ));
        }
        Ok(Self { chars, at: 0, depth: 0, terms: 0, regexes: 0, with_pipes })
    }

    // Up to the end or to a `|`.
    fn filter(&mut self) -> Result<Filter, QueryError> {
        let filter = self.or()?;
        self.skip_space();
        match self.peek() {
            None | Some('|') => Ok(filter.unwrap_or(Filter::Everything)),
            // `or` stops at nothing else.
            Some(_) => Err(QueryError::new(
                self.at,
                "`)` closes nothing",
                "remove it, or put text that contains parentheses in quotes",
            )),
        }
    }

    fn or(&mut self) -> Result<Option<Filter>, QueryError> {
        let Some(first) = self.and()? else {
            return match self.keyword("OR") {
                true => Err(self.operand_missing("OR", "before")),
                false => Ok(None),
            };
        };
        let mut alternatives = vec![first];
        while self.keyword("OR") {
            let operator = self.at;
            self.at += 2;
            let Some(next) = self.and()? else {
                self.at = operator;
                return Err(self.operand_missing("OR", "after"));
            };
            alternatives.push(next);
        }
        Ok(Some(one_or(alternatives, Filter::Or)))
    }

    fn and(&mut self) -> Result<Option<Filter>, QueryError> {
        let mut all = Vec::new();
        loop {
            self.skip_space();
            if self.keyword("AND") {
                if all.is_empty() {
                    return Err(self.operand_missing("AND", "before"));
                }
                let operator = self.at;
                self.at += 3;
                self.skip_space();
                if self.at_end_of_terms() || self.keyword("AND") {
                    self.at = operator;
                    return Err(self.operand_missing("AND", "after"));
                }
            }
            if self.at_end_of_terms() {
                break;
            }
            all.push(self.unary()?);
        }
        Ok((!all.is_empty()).then(|| one_or(all, Filter::And)))
    }

    fn unary(&mut self) -> Result<Filter, QueryError> {
        self.depth += 1;
        if self.depth > QUERY_DEPTH_MAX {
            return Err(QueryError::new(
                self.at,
                format!("more than {QUERY_DEPTH_MAX} parentheses or negations inside each other"),
                "a list of alternatives needs one pair of parentheses only: (a OR b OR c)",
            ));
        }
        let filter = self.unary_at_depth();
        self.depth -= 1;
        filter
    }

    fn unary_at_depth(&mut self) -> Result<Filter, QueryError> {
        let start = self.at;
        if self.keyword("NOT") {
            self.at += 3;
            self.skip_space();
            if self.at_end_of_terms() || self.keyword("AND") {
                self.at = start;
                return Err(self.operand_missing("NOT", "after"));
            }
            return Ok(Filter::Not(Box::new(self.unary()?)));
        }
        match self.peek() {
            Some('-') => {
                self.at += 1;
                if self.at_boundary() {
                    return Err(QueryError::new(
                        start,
                        "`-` needs a term right after it",
                        "write -word without a space, or \"-\" in quotes",
                    ));
                }
                Ok(Filter::Not(Box::new(self.unary()?)))
            }
            Some('(') => self.parenthesis(),
            _ => self.term(),
        }
    }

    fn parenthesis(&mut self) -> Result<Filter, QueryError> {
        let open = self.at;
        self.at += 1;
        let inner = self.or()?;
        self.skip_space();
        match self.peek() {
            Some(')') => self.at += 1,
            Some('|') if !self.with_pipes => return Err(self.pipe()),
            _ => return Err(QueryError::new(open, "`(` is not closed", "add `)`, or put the text in quotes")),
        }
        inner.ok_or_else(|| QueryError::new(open, "nothing between the parentheses", "remove `()`"))
    }

    fn operand_missing(&self, operator: &str, side: &str) -> QueryError {
        QueryError::new(
            self.at,
            format!("{operator} needs a filter {side} it"),
            format!("to search for the word itself put it in quotes: \"{operator}\""),
        )
    }

    fn pipe(&self) -> QueryError {
        QueryError::new(
            self.at,
            "pipes come later",
            "a search only filters: end the query before `|`, write OR for alternatives, or put the text in quotes",
        )
    }
}

fn one_or(mut filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.len() {
        1 => filters.remove(0),
        _ => join(filters),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_read_or_refused() {
        const PIECES: [&str; 30] = [
            "a", "é", " ", "\"", "\\", "/", "(", ")", "[", "]", "..", ":", "=", "*", "-", "|", ">", "<", "AND", "OR",
            "NOT", " AND ", " OR ", " NOT ", "attr.", "5", "x:", "x:[1..", "\t", "\u{0}",
        ];
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut read = 0;
        for _ in 0..20_000 {
            let pieces = (0..random.usize(0..12)).map(|_| PIECES[random.usize(0..PIECES.len())]);
            let text: String = pieces.collect();
            match parse(&text) {
                Ok(_) => read += 1,
                Err(error) => {
                    assert!(error.position <= text.chars().count(), "seed {seed}: {text:?}: {error}");
                    assert!(!error.message.is_empty() && !error.hint.is_empty(), "seed {seed}: {text:?}: {error}");
                }
            }
            if let Err(error) = pipe::parse(&text) {
                assert!(error.position <= text.chars().count(), "seed {seed}: {text:?}: {error}");
            }
        }
        assert!((1_000..19_000).contains(&read), "seed {seed}: {read} texts were queries");
    }
}
