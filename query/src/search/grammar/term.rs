//! Terms: what stands between the operators. Field names, words, quotes, expressions, comparisons and ranges.

use super::{Comparison, FieldName, Filter, Matcher, Namespace, Parser, Term, Value};
use crate::error::QueryError;
use crate::limits::{QUERY_REGEXES_MAX, QUERY_TERMS_MAX};

// Before the colon of an unquoted field: these hint at text that was not meant as a field.
pub(super) const ODD_IN_NAMES: &str = "\"'`()[]{}<>=*,;\\";

impl Parser {
    pub(super) fn term(&mut self) -> Result<Filter, QueryError> {
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

    pub(super) fn namespace(&mut self) -> Namespace {
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
        self.regexes += 1;
        if self.regexes > QUERY_REGEXES_MAX {
            return Err(QueryError::new(
                open,
                format!("more than {QUERY_REGEXES_MAX} regular expressions"),
                "one expression can stand for many: /a|b|c/",
            ));
        }
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
}

fn inner_star(position: usize) -> QueryError {
    QueryError::new(position, "`*` stands only at the end of a word", "write a regular expression: /a.*b/")
}
