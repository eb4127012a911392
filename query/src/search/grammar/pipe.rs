//! What comes after a filter that counts: `| stats count() as n by (field, field) | where n > 5`, and nothing else yet.

use super::term::ODD_IN_NAMES;
use super::{FieldName, Filter, Parser};
use crate::error::QueryError;
use crate::limits::STATS_FIELDS_MAX;
use crate::search::number::Number;

/// A count as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// What is counted.
    pub filter: Filter,
    /// The filter's text.
    pub filter_text: String,
    /// What the count is called.
    pub name: String,
    /// The fields by whose values it is split.
    pub by: Vec<Grouping>,
    /// What a count must be.
    pub condition: Option<(Comparison, f64)>,
}

/// A field of `by`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Where it begins, in characters from 0.
    pub position: usize,
    /// The field.
    pub field: FieldName,
}

/// How a count is compared.
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
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

// Longer signs stand before those that they begin with.
const SIGNS: [(&str, Comparison); 6] = [
    (">=", Comparison::GreaterOrEqual),
    ("<=", Comparison::LessOrEqual),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    (">", Comparison::Greater),
    ("<", Comparison::Less),
];

const PIPES_TO_COME: [&str; 7] = ["sort", "limit", "fields", "top", "uniq", "parse", "patterns"];
const PIPES: &str = "this version has `| stats count() as n by (field)` and after it `| where n > 5`";

impl Comparison {
    /// The sign.
    pub fn as_str(self) -> &'static str {
        SIGNS.iter().find(|(_, comparison)| *comparison == self).map_or("", |(sign, _)| sign)
    }

    /// Whether `count` compares so with `with`. They are compared exactly.
    pub fn holds(self, count: u64, with: f64) -> bool {
        let order = Number::Int(i128::from(count)).compare(Number::Double(with));
        match self {
            Comparison::Greater => order.is_some_and(|order| order.is_gt()),
            Comparison::GreaterOrEqual => order.is_some_and(|order| order.is_ge()),
            Comparison::Less => order.is_some_and(|order| order.is_lt()),
            Comparison::LessOrEqual => order.is_some_and(|order| order.is_le()),
            Comparison::Equal => order.is_some_and(|order| order.is_eq()),
            Comparison::NotEqual => order.is_none_or(|order| order.is_ne()),
        }
    }
}

/// Reads a count.
pub fn parse(text: &str) -> Result<Count, QueryError> {
    let mut parser = Parser::new(text, true)?;
    let filter = parser.filter()?;
    let filter_text: String = parser.chars[..parser.at].iter().collect();
    let filter_text = filter_text.trim().to_owned();
    parser.first_pipe()?;
    let name = parser.function()?;
    let by = parser.by()?;
    let condition = parser.condition(&name)?;
    Ok(Count { filter, filter_text, name, by, condition })
}

impl Parser {
    fn first_pipe(&mut self) -> Result<(), QueryError> {
        if self.next().is_none() {
            let message = "the query ends before it says what to count";
            return Err(QueryError::new(self.at, message, "add `| stats count() as n by (field)`"));
        }
        let (position, pipe) = self.name();
        match pipe.as_str() {
            "stats" => Ok(()),
            "where" => Err(QueryError::new(
                position,
                "`where` before `stats` comes later",
                "write conditions on records into the filter, before the first `|`",
            )),
            other => Err(unknown_pipe(position, other)),
        }
    }

    // `count() as n`; answers the name.
    fn function(&mut self) -> Result<String, QueryError> {
        const HINT: &str = "write stats count() as n";
        let (position, function) = self.name();
        match function.as_str() {
            "count" => {}
            "" | "as" | "by" => return Err(QueryError::new(position, "`stats` needs a function", HINT)),
            other => {
                let hint = "count() is the only function of this version";
                return Err(QueryError::new(position, format!("the function `{other}` comes later"), hint));
            }
        }
        self.skip_space();
        if self.peek() != Some('(') {
            return Err(QueryError::new(self.at, "no `()` after `count`", HINT));
        }
        let open = self.at;
        self.at += 1;
        self.skip_space();
        if self.peek().is_none() {
            return Err(QueryError::new(open, "`(` is not closed", HINT));
        }
        if self.peek() != Some(')') {
            let hint = "write what is counted into the filter, before the first `|`";
            return Err(QueryError::new(self.at, "count() takes nothing between its parentheses", hint));
        }
        self.at += 1;
        let (position, word) = self.name();
        if word != "as" {
            return Err(QueryError::new(position, "the count has no name", "write count() as n"));
        }
        let (position, name) = self.name();
        if name.is_empty() || name == "by" {
            return Err(QueryError::new(position, "no name after `as`", "write count() as n"));
        }
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            let message = format!("the name `{name}` begins with a digit");
            return Err(QueryError::new(position, message, "write count() as n"));
        }
        Ok(name)
    }

    fn by(&mut self) -> Result<Vec<Grouping>, QueryError> {
        const HINT: &str = "write by (service, name)";
        let (position, word) = self.name();
        match word.as_str() {
            "" => return Ok(Vec::new()),
            "by" => {}
            other => {
                let hint = "write by (field, field) or | where n > 5 after the count";
                return Err(QueryError::new(position, format!("`{other}` after the count"), hint));
            }
        }
        self.skip_space();
        let open = self.at;
        if self.peek() != Some('(') {
            return Err(QueryError::new(open, "no `(` after `by`", HINT));
        }
        self.at += 1;
        let mut fields = Vec::new();
        loop {
            self.skip_space();
            if fields.len() == STATS_FIELDS_MAX {
                let message = format!("more than {STATS_FIELDS_MAX} fields");
                return Err(QueryError::new(self.at, message, "count by those that tell the groups apart"));
            }
            fields.push(self.grouping(open)?);
            self.skip_space();
            match self.peek() {
                Some(',') => self.at += 1,
                Some(')') => {
                    self.at += 1;
                    return Ok(fields);
                }
                None | Some('|') => return Err(QueryError::new(open, "`(` is not closed", HINT)),
                Some(_) if fields.last().is_some_and(|last| last.field.name == "time") => {
                    let hint = "a rule's range is the time that is counted";
                    return Err(QueryError::new(self.at, "steps of time come later", hint));
                }
                Some(_) => return Err(QueryError::new(self.at, "no `,` between two fields", HINT)),
            }
        }
    }

    fn grouping(&mut self, open: usize) -> Result<Grouping, QueryError> {
        let position = self.at;
        let namespace = self.namespace();
        let quoted = self.peek() == Some('"');
        let name = if quoted { self.quoted()? } else { self.name_in_list() };
        if let Some(odd) = name.chars().position(|c| !quoted && (ODD_IN_NAMES.contains(c) || c == ':')) {
            let message = format!("`{}` in a field's name", name.chars().nth(odd).unwrap_or_default());
            return Err(QueryError::new(self.at - name.chars().count() + odd, message, "put the name in quotes"));
        }
        if name.is_empty() {
            let (position, message) = match self.peek() {
                None => (open, "`(` is not closed"),
                Some(_) => (position, "a field's name is missing"),
            };
            return Err(QueryError::new(position, message, "write by (service, name)"));
        }
        Ok(Grouping { position, field: FieldName { namespace, name } })
    }

    fn name_in_list(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|c| !c.is_whitespace() && !matches!(c, ',' | ')' | '|')) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn condition(&mut self, name: &str) -> Result<Option<(Comparison, f64)>, QueryError> {
        let hint = format!("write | where {name} > 5");
        self.skip_space();
        match self.next() {
            None => return Ok(None),
            Some('|') => {}
            Some(',') => {
                let message = "a second function comes later";
                return Err(QueryError::new(self.at - 1, message, "write two queries"));
            }
            Some(other) => {
                let position = self.at - 1;
                let message = format!("`{other}{}` after the count", self.name().1);
                return Err(QueryError::new(position, message, hint));
            }
        }
        let (position, pipe) = self.name();
        match pipe.as_str() {
            "where" => {}
            "stats" => {
                return Err(QueryError::new(position, "a second `stats` comes later", PIPES));
            }
            other => return Err(unknown_pipe(position, other)),
        }
        let (position, counted) = self.name();
        if counted != name {
            let message = match counted.as_str() {
                "" => "`where` needs a condition".to_owned(),
                other => format!("`{other}` is not the name of the count"),
            };
            return Err(QueryError::new(position, message, hint));
        }
        let comparison = self.sign(&hint)?;
        self.skip_space();
        let position = self.at;
        let text = self.unquoted();
        let number = match Number::parse(&text) {
            Some(Number::Int(number)) => number as f64,
            Some(Number::Double(number)) => number,
            None if text.is_empty() => return Err(QueryError::new(position, "no number to compare with", hint)),
            None => return Err(QueryError::new(position, format!("`{text}` is no number"), hint)),
        };
        self.skip_space();
        match self.peek() {
            None => Ok(Some((comparison, number))),
            Some('|') => Err(QueryError::new(self.at, "a pipe after `where` comes later", PIPES)),
            Some(_) => {
                let hint = "one condition is all this version has";
                Err(QueryError::new(self.at, "text after the condition", hint))
            }
        }
    }

    fn sign(&mut self, hint: &str) -> Result<Comparison, QueryError> {
        self.skip_space();
        for (sign, comparison) in SIGNS {
            if self.follows(sign) {
                self.at += sign.len();
                return Ok(comparison);
            }
        }
        let hint = if self.peek() == Some('=') { "write == for equal" } else { hint };
        Err(QueryError::new(self.at, "no `>`, `>=`, `<`, `<=`, `==` or `!=` after the count's name", hint))
    }

    // Where the next name begins, and the name: letters, digits and `_`; empty if something else comes next.
    fn name(&mut self) -> (usize, String) {
        self.skip_space();
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
            self.at += 1;
        }
        (start, self.chars[start..self.at].iter().collect())
    }
}

fn unknown_pipe(position: usize, name: &str) -> QueryError {
    let message = match name {
        "" => "no pipe's name after `|`".to_owned(),
        name if PIPES_TO_COME.contains(&name) => format!("the pipe `{name}` comes later"),
        name => format!("there is no pipe `{name}`"),
    };
    QueryError::new(position, message, PIPES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_pipe_is_read_or_refused() {
        const PIECES: [&str; 24] = [
            " | ", "|", "stats ", "count", "()", "(", ")", " as ", "n", " by ", "(a)", ",", "time", "attr.", "\"é\"",
            "\"", " where ", " > ", "==", "5", "sort", " ", "é", ":",
        ];
        const WHOLE: [&str; 9] = ["a", " | ", "stats count()", " as ", "n", " by ", "(a, b)", " | where n", " > 5"];
        let mut random = fastrand::Rng::with_seed(1);
        let mut read = 0;
        for _ in 0..20_000 {
            // A count with some of its pieces exchanged, taken out or doubled.
            let mut text = String::new();
            for whole in WHOLE {
                match random.u8(0..20) {
                    0 => {}
                    1 => text.extend([whole, whole]),
                    2 => text.push_str(PIECES[random.usize(0..PIECES.len())]),
                    3 => text.extend([whole, PIECES[random.usize(0..PIECES.len())]]),
                    _ => text.push_str(whole),
                }
            }
            match parse(&text) {
                Ok(_) => read += 1,
                Err(error) => {
                    assert!(error.position <= text.chars().count(), "{text:?}: {error}");
                    assert!(!error.message.is_empty() && !error.hint.is_empty(), "{text:?}: {error}");
                }
            }
        }
        assert!((2_000..18_000).contains(&read), "{read} texts were counts");
    }

    #[test]
    fn counts_are_compared_exactly() {
        let all = ["<", "<=", "==", "!=", ">=", ">"];
        for (count, with, holding) in [
            (5, 5.0, ["<=", "==", ">="].as_slice()),
            (5, 5.5, &["<", "<=", "!="]),
            (5, -1.0, &["!=", ">=", ">"]),
            (0, 0.0, &["<=", "==", ">="]),
            // 2^53 + 1 is no double.
            ((1 << 53) + 1, (1_u64 << 53) as f64, &["!=", ">=", ">"]),
            (u64::MAX, f64::INFINITY, &["<", "<=", "!="]),
        ] {
            let holds = |sign: &&str| {
                let (_, comparison) = SIGNS.iter().find(|(known, _)| known == sign).expect("a sign");
                assert_eq!(comparison.as_str(), *sign);
                comparison.holds(count, with)
            };
            assert_eq!(all.into_iter().filter(holds).collect::<Vec<_>>(), holding, "{count} and {with}");
        }
    }
}
