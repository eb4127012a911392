//! The filter language of logs, spans and points: text to a syntax tree. Hand-written, one pass, no backtracking.
//!
//! It knows nothing of columns and types: `plan` gives the terms their meaning. Called by `search::parse`.
//!
//! ```text
//! or    = and { "OR" and }
//! and   = unary { ["AND"] unary }
//! unary = "NOT" unary | "-" unary | "(" or ")" | term
//! term  = [ field ":" ] matcher
//! ```

use crate::error::QueryError;
use crate::limits::{QUERY_CHARACTERS_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX};

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
    let chars: Vec<char> = text.chars().collect();
    if chars.len() > QUERY_CHARACTERS_MAX {
        return Err(QueryError::new(
            QUERY_CHARACTERS_MAX,
            format!("the query is longer than {QUERY_CHARACTERS_MAX} characters"),
            "ask in several queries",
        ));
    }
    let mut parser = Parser { chars, at: 0, depth: 0, terms: 0 };
    let filter = parser.or()?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(filter.unwrap_or(Filter::Everything)),
        Some('|') => Err(parser.pipe()),
        // `or` stops at nothing else.
        Some(_) => Err(QueryError::new(
            parser.at,
            "`)` closes nothing",
            "remove it, or put text that contains parentheses in quotes",
        )),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    terms: usize,
}

impl Parser {
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
            Some('|') => return Err(self.pipe()),
            _ => return Err(QueryError::new(open, "`(` is not closed", "add `)`, or put the text in quotes")),
        }
        inner.ok_or_else(|| QueryError::new(open, "nothing between the parentheses", "remove `()`"))
    }

    fn term(&mut self) -> Result<Filter, QueryError> {
        self.terms += 1;
        if self.terms > QUERY_TERMS_MAX {
            return Err(QueryError::new(
                self.at,
                format!("more than {QUERY_TERMS_MAX} terms"),
                "a regular expression can stand for many words: /a|b|c/",
            ));
        }
        let position = self.at;
        let field = self.field()?;
        let matcher = match (&field, self.peek()) {
            (_, Some('"')) => Matcher::Words(self.quoted_value()?),
            (_, Some('/')) => self.regex()?,
            (Some(name), _) => self.field_matcher(position, name)?,
            (None, _) => match self.unquoted_matcher(position)? {
                Matcher::Exists => return Ok(Filter::Everything),
                matcher => matcher,
            },
        };
        Ok(Filter::Term(Term { position, field, matcher }))
    }

    // The field's name and its colon, if a field is what comes next; otherwise nothing is consumed.
    fn field(&mut self) -> Result<Option<FieldName>, QueryError> {
        let start = self.at;
        let namespace = self.namespace();
        if self.peek() == Some('"') {
            let quote = self.at;
            let name = self.quoted()?;
            if self.peek() != Some(':') {
                if namespace != Namespace::Any {
                    let message = "a quoted field name needs `:` right after it";
                    return Err(QueryError::new(self.at, message, "write attr.\"a name\":value"));
                }
                self.at = start;
                return Ok(None);
            }
            self.at += 1;
            if name.is_empty() {
                return Err(QueryError::new(quote, "the field's name is empty", "write name:value"));
            }
            return Ok(Some(FieldName { namespace, name }));
        }
        if self.peek() == Some('/') && namespace == Namespace::Any {
            return Ok(None);
        }
        let segment = self.segment();
        let Some(colon) = segment.iter().position(|c| *c == ':') else {
            self.at = start;
            return Ok(None);
        };
        let name: String = segment[..colon].iter().collect();
        if let Some(odd) = segment[..colon].iter().position(|c| ODD_IN_NAMES.contains(*c)) {
            return Err(QueryError::new(
                self.at + odd,
                format!("`{}` in a field's name", segment[odd]),
                "put the name in quotes, or the whole text if it is not a field: \"a:b\"",
            ));
        }
        if name.is_empty() {
            return Err(QueryError::new(
                self.at,
                "no field's name before `:`",
                "write name:value, or put `:` in quotes",
            ));
        }
        self.at += colon + 1;
        Ok(Some(FieldName { namespace, name }))
    }

    fn namespace(&mut self) -> Namespace {
        for (prefix, namespace) in
            [("attr.", Namespace::Record), ("res.", Namespace::Resource), ("scope.", Namespace::Scope)]
        {
            if self.follows(prefix) {
                self.at += prefix.len();
                return namespace;
            }
        }
        Namespace::Any
    }

    // What comes after `name:`, except for quotes and slashes.
    fn field_matcher(&mut self, position: usize, name: &FieldName) -> Result<Matcher, QueryError> {
        let example = &name.name;
        if self.at_boundary() {
            return Err(QueryError::new(
                position,
                format!("no value after `{example}:`"),
                format!("write {example}:* for rows that have the field, or {example}:=\"\" for an empty one"),
            ));
        }
        for (sign, comparison) in [
            (">=", Comparison::GreaterOrEqual),
            ("<=", Comparison::LessOrEqual),
            (">", Comparison::Greater),
            ("<", Comparison::Less),
        ] {
            if self.follows(sign) {
                self.at += sign.len();
                return Ok(Matcher::Compare(comparison, self.value(sign)?));
            }
        }
        match self.peek() {
            Some('=') => {
                self.at += 1;
                self.exact(example)
            }
            Some('[') => self.range(),
            Some('(') => Err(QueryError::new(
                self.at,
                format!("`(` after `{example}:`"),
                format!("write ({example}:a OR {example}:b), or put the text in quotes"),
            )),
            _ => self.unquoted_matcher(self.at),
        }
    }

    fn exact(&mut self, name: &str) -> Result<Matcher, QueryError> {
        if self.peek() == Some('"') {
            return Ok(Matcher::Exact(self.quoted_value()?));
        }
        let text = self.unquoted();
        if text.is_empty() {
            let message = format!("no value after `{name}:=`");
            return Err(QueryError::new(self.at, message, format!("write {name}:=\"\" for the empty text")));
        }
        Ok(Matcher::Exact(text))
    }

    fn value(&mut self, sign: &str) -> Result<Value, QueryError> {
        let position = self.at;
        let text = if self.peek() == Some('"') { self.quoted_value()? } else { self.unquoted() };
        if text.is_empty() {
            return Err(QueryError::new(
                position,
                format!("no value after `{sign}`"),
                "write field:>=500 without spaces",
            ));
        }
        Ok(Value { text, position })
    }

    fn range(&mut self) -> Result<Matcher, QueryError> {
        const HINT: &str = "write field:[1..5]; for an open end use field:>=1";
        let open = self.at;
        self.at += 1;
        let low = self.range_end(open)?;
        if !self.follows("..") {
            return Err(QueryError::new(self.at, "no `..` in the range", HINT));
        }
        self.at += 2;
        let high = self.range_end(open)?;
        if self.peek() != Some(']') {
            return Err(QueryError::new(open, "`[` is not closed", HINT));
        }
        self.at += 1;
        self.require_boundary("the range")?;
        for end in [&low, &high] {
            if end.text.is_empty() {
                return Err(QueryError::new(end.position, "an end of the range is missing", HINT));
            }
        }
        Ok(Matcher::Range(low, high))
    }

    fn range_end(&mut self, open: usize) -> Result<Value, QueryError> {
        self.skip_space();
        let position = self.at;
        let text = if self.peek() == Some('"') {
            self.quoted()?
        } else {
            while self.peek().is_some_and(|c| c != ']' && !c.is_whitespace()) && !self.follows("..") {
                self.at += 1;
            }
            self.chars[position..self.at].iter().collect()
        };
        self.skip_space();
        if self.peek().is_none() {
            return Err(QueryError::new(open, "`[` is not closed", "write field:[1..5]"));
        }
        Ok(Value { text, position })
    }

    fn unquoted_matcher(&mut self, position: usize) -> Result<Matcher, QueryError> {
        let text = self.unquoted();
        let Some(stem) = text.strip_suffix('*') else {
            return match text.chars().position(|c| c == '*') {
                Some(star) => Err(inner_star(position + star)),
                None => Ok(Matcher::Words(text)),
            };
        };
        match stem.chars().position(|c| c == '*') {
            Some(star) => Err(inner_star(position + star)),
            None if stem.is_empty() => Ok(Matcher::Exists),
            None => Ok(Matcher::Prefix(stem.to_owned())),
        }
    }

    fn regex(&mut self) -> Result<Matcher, QueryError> {
        let open = self.at;
        self.at += 1;
        let mut pattern = String::new();
        loop {
            match self.next() {
                None => {
                    let hint = "add `/` at its end, or put text that contains slashes in quotes: \"/a/b\"";
                    return Err(QueryError::new(open, "the regular expression is not closed", hint));
                }
                Some('/') => break,
                Some('\\') if self.peek() == Some('/') => {
                    self.at += 1;
                    pattern.push('/');
                }
                // Kept together, so that the slash after an escaped backslash is seen as the end.
                Some('\\') => {
                    pattern.push('\\');
                    pattern.extend(self.next());
                }
                Some(other) => pattern.push(other),
            }
        }
        if pattern.is_empty() {
            let hint = "put text that contains slashes in quotes: \"http://host\"";
            return Err(QueryError::new(open, "the regular expression is empty", hint));
        }
        if !self.at_boundary() {
            let hint = "write \\/ for a slash inside it, or put text that contains slashes in quotes: \"/a/b\"";
            return Err(QueryError::new(self.at, "text right after the regular expression", hint));
        }
        Ok(Matcher::Regex(pattern))
    }

    // A quoted text that must stand alone.
    fn quoted_value(&mut self) -> Result<String, QueryError> {
        let text = self.quoted()?;
        self.require_boundary("the closing quote")?;
        Ok(text)
    }

    // `\"` is a quote and `\\` a backslash; before anything else a backslash is itself.
    fn quoted(&mut self) -> Result<String, QueryError> {
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

    fn unquoted(&mut self) -> String {
        let segment = self.segment();
        let text = segment.iter().collect();
        self.at += segment.len();
        text
    }

    // The characters up to white space, `)` or `|`.
    fn segment(&self) -> &[char] {
        let rest = &self.chars[self.at..];
        let length = rest.iter().position(|c| is_boundary(*c)).unwrap_or(rest.len());
        &rest[..length]
    }

    fn require_boundary(&self, what: &str) -> Result<(), QueryError> {
        if self.at_boundary() {
            return Ok(());
        }
        Err(QueryError::new(self.at, format!("text right after {what}"), "add a space"))
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
            "this version only filters: end the query before `|`, write OR for alternatives, or put the text in quotes",
        )
    }

    fn keyword(&mut self, word: &str) -> bool {
        self.skip_space();
        let after = self.chars.get(self.at + word.len());
        self.follows(word) && after.is_none_or(|c| is_boundary(*c) || matches!(c, '(' | '"'))
    }

    fn at_end_of_terms(&mut self) -> bool {
        self.skip_space();
        matches!(self.peek(), None | Some(')' | '|')) || self.keyword("OR")
    }

    fn at_boundary(&self) -> bool {
        self.peek().is_none_or(is_boundary)
    }

    fn follows(&self, text: &str) -> bool {
        let rest = &self.chars[self.at..];
        rest.len() >= text.len() && text.chars().zip(rest).all(|(wanted, found)| wanted == *found)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }
}

// Before the colon of an unquoted field: these hint at text that was not meant as a field.
const ODD_IN_NAMES: &str = "\"'`()[]{}<>=*,;\\";

fn is_boundary(c: char) -> bool {
    c.is_whitespace() || c == ')' || c == '|'
}

fn inner_star(position: usize) -> QueryError {
    QueryError::new(position, "`*` stands only at the end of a word", "write a regular expression: /a.*b/")
}

fn one_or(mut filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.len() {
        1 => filters.remove(0),
        _ => join(filters),
    }
}
