//! The oracle: queries as plain data, their text, and whether a made-up row matches, decided value by value. Shares nothing
//! with the parser or the evaluation; `docs/reference/search.md` is what both follow.

use std::cmp::Ordering;

use model::Timestamp;
use model::attributes::{AttributeValue, base64_encode};

use crate::world::{Attributes, Envelope, Log, Span};

#[derive(Clone, Debug)]
pub enum Query {
    Everything,
    And(Vec<Query>, bool),
    Or(Vec<Query>),
    Not(Box<Query>, bool),
    Term(Field, Form),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    Default,
    Column(&'static str),
    Any(String),
    Record(String),
    Resource(String),
    Scope(String),
}

#[derive(Clone, Debug)]
pub enum Form {
    Words(String),
    Prefix(String),
    Exact(String),
    Regex(String),
    Exists,
    Compare(Sign, Literal),
    Range(Literal, Literal),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A literal as it is written, and what it means.
#[derive(Clone, Debug)]
pub struct Literal {
    pub text: String,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Int(i128),
    Double(f64),
    Time(i64),
    Duration(i64),
    /// A severity's number, seen as its word.
    Severity(i32),
    /// What is only ever looked at as text: booleans, bytes, lists, ids, words of enumerations.
    Opaque(String),
}

pub trait Row {
    fn column(&self, name: &str) -> Option<Value>;
    fn default(&self) -> Option<Value>;
    fn attributes(&self) -> &Attributes;
    fn envelope(&self) -> &Envelope;
}

impl Row for Log {
    fn column(&self, name: &str) -> Option<Value> {
        match name {
            "timestamp" => Some(Value::Time(self.time)),
            "observed_timestamp" => Some(Value::Time(self.observed)),
            "body" => self.default(),
            "severity" => (1..=24).contains(&self.severity_number).then_some(Value::Severity(self.severity_number)),
            "severity_number" => Some(Value::Int(i128::from(self.severity_number))),
            "severity_text" => Some(Value::Text(self.severity_text.clone())),
            "event_name" => Some(Value::Text(self.event_name.clone())),
            "trace_id" => self.trace_id.map(|id| Value::Opaque(digits(&id))),
            "span_id" => self.span_id.map(|id| Value::Opaque(digits(&id))),
            "correlation_id" => self.correlation_id.clone().map(Value::Text),
            "flags" => Some(Value::Int(i128::from(self.flags))),
            other => common(&self.envelope, other),
        }
    }

    fn default(&self) -> Option<Value> {
        self.body.as_ref().map(value)
    }

    fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    fn envelope(&self) -> &Envelope {
        &self.envelope
    }
}

impl Row for Span {
    fn column(&self, name: &str) -> Option<Value> {
        let enumeration = |words: &[&str], number: i32| {
            let word = usize::try_from(number).ok().and_then(|number| words.get(number));
            Some(Value::Opaque(word.map_or_else(|| number.to_string(), |word| (*word).to_owned())))
        };
        let duration = (self.end - self.start).max(0);
        match name {
            "timestamp" => Some(Value::Time(self.start)),
            "end_timestamp" => Some(Value::Time(self.end)),
            "name" => self.default(),
            "kind" => enumeration(&["unspecified", "internal", "server", "client", "producer", "consumer"], self.kind),
            "status" => enumeration(&["unset", "ok", "error"], self.status),
            "status_message" => Some(Value::Text(self.status_message.clone())),
            "duration" => Some(Value::Duration(duration)),
            "duration_ns" => Some(Value::Int(i128::from(duration))),
            "clock_skew" => Some(Value::Opaque((self.end < self.start).to_string())),
            "trace_id" => Some(Value::Opaque(digits(&self.trace_id))),
            "span_id" => Some(Value::Opaque(digits(&self.span_id))),
            "parent_span_id" => self.parent.map(|id| Value::Opaque(digits(&id))),
            "correlation_id" => self.correlation_id.clone().map(Value::Text),
            other => common(&self.envelope, other),
        }
    }

    fn default(&self) -> Option<Value> {
        Some(Value::Text(self.name.clone()))
    }

    fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    fn envelope(&self) -> &Envelope {
        &self.envelope
    }
}

fn common(envelope: &Envelope, name: &str) -> Option<Value> {
    match name {
        "service" => match find(&envelope.resource, "service.name") {
            Some(AttributeValue::String(name)) => Some(Value::Text(name.clone())),
            _ => None,
        },
        "scope_name" => Some(Value::Text(envelope.scope_name.clone())),
        "scope_version" => Some(Value::Text(envelope.scope_version.clone())),
        "resource_schema_url" => Some(Value::Text(envelope.resource_schema_url.clone())),
        other => panic!("the oracle knows no column {other}"),
    }
}

/// The value of a field in a row.
pub fn lookup(row: &dyn Row, field: &Field) -> Option<Value> {
    match field {
        Field::Default => row.default(),
        Field::Column(name) => row.column(name),
        Field::Record(key) => find(row.attributes(), key).map(value),
        Field::Resource(key) => find(&row.envelope().resource, key).map(value),
        Field::Any(key) => find(row.attributes(), key).or_else(|| find(&row.envelope().resource, key)).map(value),
        Field::Scope(key) => match key.as_str() {
            "name" => row.column("scope_name"),
            "version" => row.column("scope_version"),
            key => find(&row.envelope().scope, key).map(value),
        },
    }
}

/// Whether the row matches.
pub fn matches(query: &Query, row: &dyn Row) -> bool {
    match query {
        Query::Everything => true,
        Query::And(queries, _) => queries.iter().all(|query| matches(query, row)),
        Query::Or(queries) => queries.iter().any(|query| matches(query, row)),
        Query::Not(query, _) => !matches(query, row),
        Query::Term(field, form) => lookup(row, field).is_some_and(|value| passes(field, form, &value)),
    }
}

fn passes(field: &Field, form: &Form, value: &Value) -> bool {
    match form {
        Form::Exists => match (field, value) {
            (Field::Column(name), Value::Text(text)) => {
                *name == "body" || *name == "name" && !text.is_empty() || !text.is_empty()
            }
            (Field::Scope(key), Value::Text(text)) if key == "name" || key == "version" => !text.is_empty(),
            _ => true,
        },
        Form::Words(words) => match value {
            Value::Int(_) | Value::Double(_) if number(words).is_some() => {
                order(value, &number(words).expect("just read")) == Some(Ordering::Equal)
            }
            Value::Severity(found) => level(words).contains(found),
            Value::Time(_) | Value::Duration(_) => panic!("the oracle writes no words for {value:?}"),
            _ => follows(&words_of(&text(value)), &words_of(words), None),
        },
        Form::Prefix(prefix) => {
            let mut words = words_of(prefix);
            let open = prefix.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
            match value {
                Value::Int(_) | Value::Double(_) => text(value).starts_with(prefix.as_str()),
                _ => {
                    let last = if open { words.pop() } else { None };
                    follows(&words_of(&text(value)), &words, last.as_deref())
                }
            }
        }
        Form::Exact(exact) => match field {
            Field::Column("trace_id" | "span_id" | "parent_span_id") => text(value) == exact.to_lowercase(),
            _ => text(value) == *exact,
        },
        Form::Regex(pattern) => {
            regex::Regex::new(pattern).expect("the oracle writes expressions").is_match(&text(value))
        }
        Form::Compare(sign, literal) => compare(*sign, value, &literal.value),
        Form::Range(low, high) => {
            compare(Sign::GreaterOrEqual, value, &low.value) && compare(Sign::LessOrEqual, value, &high.value)
        }
    }
}

fn compare(sign: Sign, value: &Value, literal: &Value) -> bool {
    if let (Value::Severity(found), Value::Severity(_) | Value::Text(_)) = (value, literal) {
        let Value::Text(word) = literal else { panic!("severities are written as words") };
        let numbers = level(word);
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        return match sign {
            Sign::Greater => *found > last,
            Sign::GreaterOrEqual => *found >= first,
            Sign::Less => *found < first,
            Sign::LessOrEqual => *found <= last,
        };
    }
    order(value, literal).is_some_and(|order| match sign {
        Sign::Greater => order == Ordering::Greater,
        Sign::GreaterOrEqual => order != Ordering::Less,
        Sign::Less => order == Ordering::Less,
        Sign::LessOrEqual => order != Ordering::Greater,
    })
}

fn order(value: &Value, literal: &Value) -> Option<Ordering> {
    match (value, literal) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Int(left), Value::Double(right)) => int_and_double(*left, *right),
        (Value::Double(left), Value::Int(right)) => int_and_double(*right, *left).map(Ordering::reverse),
        (Value::Time(left), Value::Time(right)) | (Value::Duration(left), Value::Duration(right)) => {
            Some(left.cmp(right))
        }
        (Value::Text(text), Value::Duration(right)) => {
            let millis: i64 = text.strip_suffix("ms")?.parse().ok()?;
            Some((millis * 1_000_000).cmp(right))
        }
        // All made-up times are written the same way, so that their texts have their order.
        (Value::Text(text), Value::Time(right)) if text.len() == 30 && text.ends_with('Z') => {
            Some(text.as_str().cmp(&Timestamp::from_nanos(*right).to_string()))
        }
        _ => None,
    }
}

fn int_and_double(int: i128, double: f64) -> Option<Ordering> {
    match double {
        double if double.is_nan() => None,
        double if double.abs() > 1e30 => Some(if double > 0.0 { Ordering::Less } else { Ordering::Greater }),
        double if double.fract() == 0.0 => Some(int.cmp(&(double as i128))),
        // With a fraction it is small enough for the rounding not to matter.
        double => (int as f64).partial_cmp(&double),
    }
}

/// The number a text is, if it is one.
pub fn number(text: &str) -> Option<Value> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric = |c: char| c.is_ascii_digit() || ".eE+-".contains(c);
    if !unsigned.chars().all(numeric) || !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.parse::<i128>().map(Value::Int).ok().or_else(|| text.parse().map(Value::Double).ok())
}

fn level(word: &str) -> Vec<i32> {
    if let Some(Value::Int(number)) = number(word) {
        return vec![i32::try_from(number).expect("a small number")];
    }
    let words = ["trace", "debug", "info", "warn", "error", "fatal"];
    let place = words.iter().position(|known| *known == word.to_lowercase()).expect("a level word") as i32;
    (place * 4 + 1..=place * 4 + 4).collect()
}

fn follows(found: &[String], words: &[String], prefix: Option<&str>) -> bool {
    (0..found.len()).any(|start| {
        let rest = &found[start..];
        rest.len() >= words.len() + usize::from(prefix.is_some())
            && rest.iter().zip(words).all(|(left, right)| left == right)
            && prefix.is_none_or(|prefix| rest[words.len()].starts_with(prefix))
    })
}

/// The words of a text, in lower case.
pub fn words_of(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word).to_lowercase());
        }
    }
    words
}

/// The text of a value.
pub fn text(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Opaque(text) => text.clone(),
        Value::Int(value) => value.to_string(),
        Value::Double(value) if value.is_nan() => "NaN".to_owned(),
        Value::Double(value) if value.is_infinite() => (if *value > 0.0 { "Infinity" } else { "-Infinity" }).to_owned(),
        Value::Double(value) => value.to_string(),
        Value::Severity(number) => {
            ["trace", "debug", "info", "warn", "error", "fatal"][(*number as usize - 1) / 4].to_owned()
        }
        Value::Time(_) | Value::Duration(_) => panic!("the oracle looks at no text of {value:?}"),
    }
}

fn value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::String(text) => Value::Text(text.clone()),
        AttributeValue::Int(value) => Value::Int(i128::from(*value)),
        AttributeValue::Double(value) => Value::Double(*value),
        AttributeValue::Bool(value) => Value::Opaque(value.to_string()),
        AttributeValue::Bytes(bytes) => Value::Opaque(base64_encode(bytes)),
        AttributeValue::Empty => Value::Opaque(String::new()),
        other => Value::Opaque(other.to_plain_json().to_string()),
    }
}

fn find<'a>(attributes: &'a Attributes, key: &str) -> Option<&'a AttributeValue> {
    attributes.iter().find(|(known, _)| known == key).map(|(_, value)| value)
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Query {
    /// The query in the filter language.
    pub fn text(&self) -> String {
        let inner = |query: &Query| match query {
            Query::Term(..) => query.text(),
            Query::Everything => "*".to_owned(),
            _ => format!("({})", query.text()),
        };
        match self {
            Query::Everything => String::new(),
            Query::And(queries, word) => {
                queries.iter().map(inner).collect::<Vec<_>>().join(if *word { " AND " } else { " " })
            }
            Query::Or(queries) => queries.iter().map(inner).collect::<Vec<_>>().join(" OR "),
            Query::Not(query, true) => format!("-{}", inner(query)),
            Query::Not(query, false) => format!("NOT {}", inner(query)),
            Query::Term(field, form) => format!("{}{}", field.text(), form.text(*field == Field::Default)),
        }
    }
}

impl Field {
    /// The field as it stands before a value.
    pub fn text(&self) -> String {
        match self {
            Field::Default => String::new(),
            Field::Column(name) => format!("{name}:"),
            Field::Any(key) => format!("{}:", name(key)),
            Field::Record(key) => format!("attr.{}:", name(key)),
            Field::Resource(key) => format!("res.{}:", name(key)),
            Field::Scope(key) => format!("scope.{}:", name(key)),
        }
    }
}

fn name(key: &str) -> String {
    if key.chars().all(|c| c.is_alphanumeric() || "._-".contains(c)) { key.to_owned() } else { quoted(key) }
}

impl Form {
    fn text(&self, bare: bool) -> String {
        match self {
            Form::Words(words) => unquoted_or_quoted(words, bare),
            Form::Prefix(prefix) => format!("{prefix}*"),
            Form::Exact(text) if text.is_empty() || text.chars().any(|c| c.is_whitespace() || "\")|".contains(c)) => {
                format!("={}", quoted(text))
            }
            Form::Exact(text) => format!("={text}"),
            Form::Regex(pattern) => format!("/{}/", pattern.replace('/', "\\/")),
            Form::Exists => "*".to_owned(),
            Form::Compare(sign, literal) => {
                let sign = match sign {
                    Sign::Greater => ">",
                    Sign::GreaterOrEqual => ">=",
                    Sign::Less => "<",
                    Sign::LessOrEqual => "<=",
                };
                format!("{sign}{}", literal.text)
            }
            Form::Range(low, high) => format!("[{}..{}]", low.text, high.text),
        }
    }
}

/// Whether a text can be written without quotes, as a bare word or after a field.
pub fn unquoted(text: &str, bare: bool) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "_-.@".contains(c);
    let keyword = ["AND", "OR", "NOT"].contains(&text);
    !text.is_empty() && text.chars().all(inside) && !(bare && (text.starts_with('-') || keyword))
}

fn unquoted_or_quoted(text: &str, bare: bool) -> String {
    if unquoted(text, bare) { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
