//! Gives a filter its meaning for one table: names become fields, texts become typed conditions. Syntax tree in, plan out.

use model::wire::logs::severity_numbers;
use model::{Timestamp, time::parse_duration};
use regex::RegexBuilder;
use store::Table;
use store::text::tokenizer::{is_token_char, tokens};

use crate::error::QueryError;
use crate::limits::{REGEX_BYTES_MAX, REGEX_DEPTH_MAX};
use crate::search::fields::{self, Column, Kind};
use crate::search::grammar::{Comparison, FieldName, Filter, Matcher, Namespace, Term, Value};
use crate::search::number::Number;
use crate::search::plan::{Bound, Bounds, Field, Literal, Pattern, Phrase, Place, Plan, Prefix, Test};

/// The plan of `filter` over `table`; times relative to `now`.
pub fn plan(filter: &Filter, table: Table, now: Timestamp) -> Result<Plan, QueryError> {
    let many = |filters: &[Filter]| filters.iter().map(|f| plan(f, table, now)).collect::<Result<Vec<_>, _>>();
    Ok(match filter {
        Filter::Everything => Plan::Everything,
        Filter::And(filters) => Plan::and(many(filters)?),
        Filter::Or(filters) => Plan::or(many(filters)?),
        Filter::Not(inner) => Plan::negate(plan(inner, table, now)?),
        Filter::Term(term) => Meaning { table, now, term }.condition()?,
    })
}

struct Meaning<'a> {
    table: Table,
    now: Timestamp,
    term: &'a Term,
}

impl Meaning<'_> {
    fn condition(&self) -> Result<Plan, QueryError> {
        let field = match &self.term.field {
            None => Field::Column(fields::default_column(self.table)),
            Some(name) => field_named(self.table, name),
        };
        match &field {
            Field::Column(column) => self.column_condition(column),
            Field::Attribute(..) => Ok(Plan::Is(field, self.any_test()?)),
        }
    }

    fn column_condition(&self, column: &'static Column) -> Result<Plan, QueryError> {
        let test = match column.kind {
            Kind::Any => self.any_test()?,
            Kind::Text | Kind::Bool | Kind::Word(_) => self.text_test(column)?,
            Kind::Id(_) => self.id_test(column)?,
            Kind::Number => self.number_test(column)?,
            Kind::Time => self.ordered_test(column, |value| self.time(value))?,
            Kind::Duration => self.ordered_test(column, duration)?,
            Kind::Severity => return self.severity(column),
        };
        Ok(Plan::Is(Field::Column(column), test))
    }

    // Of values of any type: what can be asked follows from how the literal looks.
    fn any_test(&self) -> Result<Test, QueryError> {
        match &self.term.matcher {
            Matcher::Compare(sign, value) => Ok(Test::Within(compared(*sign, self.any_literal(value)?))),
            Matcher::Range(low, high) => {
                between(self.any_literal(low)?, self.any_literal(high)?, low).map(Test::Within)
            }
            _ => self.words_test(),
        }
    }

    fn text_test(&self, column: &Column) -> Result<Test, QueryError> {
        match &self.term.matcher {
            Matcher::Compare(..) | Matcher::Range(..) => Err(QueryError::new(
                self.term.position,
                format!("`{}` has no order", column.name),
                format!("write {0}:word, {0}:=\"text\" or {0}:/regex/", column.name),
            )),
            _ => self.words_test(),
        }
    }

    // Ids are texts that are always lower-case.
    fn id_test(&self, column: &Column) -> Result<Test, QueryError> {
        Ok(match self.text_test(column)? {
            Test::Text(text) => Test::Text(text.to_ascii_lowercase()),
            other => other,
        })
    }

    fn number_test(&self, column: &Column) -> Result<Test, QueryError> {
        let literal = |value: &Value| match Number::parse(&value.text) {
            Some(number) => Ok(Literal::Number(number)),
            None => Err(QueryError::new(
                value.position,
                format!("`{}` is no number", value.text),
                format!("`{0}` is a number: write {0}:>=500", column.name),
            )),
        };
        match &self.term.matcher {
            Matcher::Compare(sign, value) => Ok(Test::Within(compared(*sign, literal(value)?))),
            Matcher::Range(low, high) => between(literal(low)?, literal(high)?, low).map(Test::Within),
            _ => self.words_test(),
        }
    }

    // Of columns whose values have no text of their own: times and durations.
    fn ordered_test(
        &self,
        column: &Column,
        literal: impl Fn(&Value) -> Result<Literal, QueryError>,
    ) -> Result<Test, QueryError> {
        let equal = |text: &str| {
            let value = Value { text: text.to_owned(), position: self.term.position };
            let literal = literal(&value)?;
            between(literal, literal, &value).map(Test::Within)
        };
        match &self.term.matcher {
            Matcher::Exists => Ok(Test::Exists),
            Matcher::Words(text) | Matcher::Exact(text) => equal(text),
            Matcher::Compare(sign, value) => Ok(Test::Within(compared(*sign, literal(value)?))),
            Matcher::Range(low, high) => between(literal(low)?, literal(high)?, low).map(Test::Within),
            Matcher::Prefix(_) | Matcher::Regex(_) => Err(QueryError::new(
                self.term.position,
                format!("`{}` is compared by its value, not by its text", column.name),
                format!("write {0}:>=a, {0}:<b or {0}:[a..b]", column.name),
            )),
        }
    }

    fn severity(&self, column: &'static Column) -> Result<Plan, QueryError> {
        let number = fields::column(self.table, "severity_number").expect("a table with levels has their numbers");
        let within = |low: Option<Bound>, high: Option<Bound>| {
            // Numbers without a level word are a missing severity.
            let edge = |value: i128| Some(Bound { value: Literal::Number(Number::Int(value)), inclusive: true });
            let bounds = Bounds { low: low.or_else(|| edge(1)), high: high.or_else(|| edge(24)) };
            Plan::Is(Field::Column(number), Test::Within(bounds))
        };
        Ok(match &self.term.matcher {
            Matcher::Exists => within(None, None),
            Matcher::Words(text) if severity_range(text).is_some() => {
                let (low, high) = severity_range(text).expect("just checked");
                within(inclusive(low), inclusive(high))
            }
            Matcher::Compare(sign, value) => {
                let (low, high) = severity_literal(value)?;
                match sign {
                    Comparison::Greater => within(exclusive(high), None),
                    Comparison::GreaterOrEqual => within(inclusive(low), None),
                    Comparison::Less => within(None, exclusive(low)),
                    Comparison::LessOrEqual => within(None, inclusive(high)),
                }
            }
            Matcher::Range(from, to) => {
                let (low, _) = severity_literal(from)?;
                let (_, high) = severity_literal(to)?;
                if low > high {
                    return Err(backwards(from));
                }
                within(inclusive(low), inclusive(high))
            }
            _ => Plan::Is(Field::Column(column), self.words_test()?),
        })
    }

    // The forms that look at a value's text.
    fn words_test(&self) -> Result<Test, QueryError> {
        Ok(match &self.term.matcher {
            Matcher::Exists => Test::Exists,
            Matcher::Words(text) => {
                let words: Vec<String> = tokens(text).map(String::from).collect();
                if words.is_empty() {
                    return Err(self.no_words(text));
                }
                Test::Words(Phrase { words, number: Number::parse(text.trim()) })
            }
            Matcher::Prefix(text) => self.prefix(text)?,
            Matcher::Exact(text) => Test::Text(text.clone()),
            Matcher::Regex(pattern) => Test::Regex(self.regex(pattern)?),
            Matcher::Compare(..) | Matcher::Range(..) => {
                unreachable!("every caller has taken comparisons out")
            }
        })
    }

    fn prefix(&self, text: &str) -> Result<Test, QueryError> {
        let mut words: Vec<String> = tokens(text).map(String::from).collect();
        let goes_on = text.chars().next_back().is_some_and(is_token_char);
        let start = if goes_on { words.pop().unwrap_or_default() } else { String::new() };
        if words.is_empty() && start.is_empty() {
            return Err(self.no_words(text));
        }
        Ok(Test::Prefix(Prefix { words, start, text: text.to_owned() }))
    }

    fn no_words(&self, text: &str) -> QueryError {
        let hint = match &self.term.field {
            Some(name) => format!("write {0}:=\"{text}\" for the whole text or {0}:/regex/", name.name),
            None => "write a regular expression, such as /\\?!/".to_owned(),
        };
        QueryError::new(self.term.position, format!("{text:?} has no letter or digit to search for"), hint)
    }

    fn regex(&self, pattern: &str) -> Result<Pattern, QueryError> {
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).nest_limit(REGEX_DEPTH_MAX);
        builder.build().map(Pattern).map_err(|error| {
            let (reason, hint) = match &error {
                regex::Error::CompiledTooBig(_) => ("it is too large".to_owned(), "make its repetitions smaller"),
                _ => {
                    // The parser's report is a drawing; its last line is the sentence.
                    let report = error.to_string();
                    let sentence = report.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    (sentence, "for the characters themselves put the text in quotes, or a `\\` before each")
                }
            };
            QueryError::new(self.term.position, format!("bad regular expression: {reason}"), hint)
        })
    }

    fn any_literal(&self, value: &Value) -> Result<Literal, QueryError> {
        if let Some(number) = Number::parse(&value.text) {
            return Ok(Literal::Number(number));
        }
        if let Some(nanos) = parse_duration(&value.text) {
            return Ok(Literal::Duration(nanos));
        }
        Timestamp::parse(&value.text, self.now).map(|time| Literal::Time(time.as_nanos())).map_err(|_| {
            QueryError::new(
                value.position,
                format!("`{}` is no number, duration or time", value.text),
                "write 500, 250ms, or a time as in 2026-01-31T12:00:00Z",
            )
        })
    }

    fn time(&self, value: &Value) -> Result<Literal, QueryError> {
        Timestamp::parse(&value.text, self.now).map(|time| Literal::Time(time.as_nanos())).map_err(|_| {
            QueryError::new(
                value.position,
                format!("`{}` is no time", value.text),
                "write 2026-01-31T12:00:00Z, unix seconds, now or -15m",
            )
        })
    }
}

/// The field that a name means in a table.
pub fn field_named(table: Table, name: &FieldName) -> Field {
    let place = match name.namespace {
        Namespace::Any => match fields::column(table, &name.name) {
            Some(column) => return Field::Column(column),
            None => Place::RecordOrResource,
        },
        Namespace::Record => Place::Record,
        Namespace::Resource => Place::Resource,
        // A row shows the scope's name and version beside its attributes.
        Namespace::Scope => match name.name.as_str() {
            "name" | "version" | "schema_url" => {
                let column = fields::column(table, &format!("scope_{}", name.name));
                return Field::Column(column.expect("every table has the columns of its scope"));
            }
            _ => Place::Scope,
        },
    };
    Field::Attribute(place, name.name.clone())
}

fn duration(value: &Value) -> Result<Literal, QueryError> {
    let zero = (value.text == "0").then_some(0);
    parse_duration(&value.text).or(zero).map(Literal::Duration).ok_or_else(|| {
        let hint = match Number::parse(&value.text) {
            Some(_) => format!("write its unit: {0}ms, {0}s", value.text),
            None => "write 250ms, 1.5s or 1h30m".to_owned(),
        };
        QueryError::new(value.position, format!("`{}` is no duration", value.text), hint)
    })
}

// A level word stands for four numbers, a number for itself.
fn severity_range(text: &str) -> Option<(i128, i128)> {
    match Number::parse(text) {
        // Other numbers have no level word: such a severity is a missing one.
        Some(Number::Int(number)) => (1..=24).contains(&number).then_some((number, number)),
        Some(Number::Double(_)) => None,
        None => severity_numbers(text).map(|(low, high)| (i128::from(low), i128::from(high))),
    }
}

fn severity_literal(value: &Value) -> Result<(i128, i128), QueryError> {
    severity_range(&value.text).ok_or_else(|| {
        QueryError::new(
            value.position,
            format!("`{}` is no severity", value.text),
            "write trace, debug, info, warn, error, fatal or a number from 1 to 24",
        )
    })
}

fn inclusive(number: i128) -> Option<Bound> {
    Some(Bound { value: Literal::Number(Number::Int(number)), inclusive: true })
}

fn exclusive(number: i128) -> Option<Bound> {
    Some(Bound { value: Literal::Number(Number::Int(number)), inclusive: false })
}

fn compared(sign: Comparison, value: Literal) -> Bounds {
    let inclusive = matches!(sign, Comparison::GreaterOrEqual | Comparison::LessOrEqual);
    let bound = Some(Bound { value, inclusive });
    match sign {
        Comparison::Greater | Comparison::GreaterOrEqual => Bounds { low: bound, high: None },
        Comparison::Less | Comparison::LessOrEqual => Bounds { low: None, high: bound },
    }
}

fn between(low: Literal, high: Literal, written: &Value) -> Result<Bounds, QueryError> {
    let in_order = match (low, high) {
        (Literal::Number(low), Literal::Number(high)) => low.compare(high).is_some_and(|order| order.is_le()),
        (Literal::Duration(low), Literal::Duration(high)) | (Literal::Time(low), Literal::Time(high)) => low <= high,
        _ => {
            let message = "the ends of the range are of different kinds";
            return Err(QueryError::new(written.position, message, "write two numbers, two durations or two times"));
        }
    };
    if !in_order {
        return Err(backwards(written));
    }
    let bound = |value| Some(Bound { value, inclusive: true });
    Ok(Bounds { low: bound(low), high: bound(high) })
}

fn backwards(written: &Value) -> QueryError {
    QueryError::new(written.position, "the range ends before it begins", "write the smaller end first: [1..5]")
}
