//! The one logical plan of all languages that ask for rows: typed conditions on fields, joined by and, or and not.
//!
//! A plan says what a row must be, not how it is found: `execute` evaluates it on columns, `narrow` derives from it what the
//! index can rule out. A condition on a field that a row lacks is false, and so is one on a value of another type; `Not` of
//! it is true. There is no third truth value.

use std::fmt;

use regex::Regex;

use crate::search::fields::Column;
use crate::search::number::Number;

/// What a row must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Any row.
    Everything,
    /// No row.
    Nothing,
    /// All of these hold.
    And(Vec<Plan>),
    /// At least one of these holds.
    Or(Vec<Plan>),
    /// This does not hold.
    Not(Box<Plan>),
    /// The field passes the test.
    Is(Field, Test),
}

/// What a condition is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// A column of the table.
    Column(&'static Column),
    /// An attribute.
    Attribute(Place, String),
}

/// Whose attribute it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The record's, or if the record has none of this name, the resource's.
    RecordOrResource,
    /// The record's.
    Record,
    /// The resource's.
    Resource,
    /// The instrumentation scope's.
    Scope,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The row has the field, whatever its value.
    Exists,
    /// The value's text contains these words, one right after the other.
    Words(Phrase),
    /// The value's text contains these words, and a word that begins with the last of them; or a number's text begins so.
    Prefix(Prefix),
    /// The value's whole text is this.
    Text(String),
    /// The value's whole text is one of these.
    OneOf(Vec<String>),
    /// The expression matches somewhere in the value's text.
    Regex(Pattern),
    /// A number, duration or time between two bounds.
    Within(Bounds),
}

/// Words that follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Phrase {
    /// Lower-cased by the tokenizer; never empty.
    pub words: Vec<String>,
    /// What the text means if the value is a number: equal to it.
    pub number: Option<Number>,
}

/// Words that follow each other, of which the last may go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Prefix {
    /// Complete words before the last.
    pub words: Vec<String>,
    /// How the last word begins. Empty: nothing has to follow the complete words.
    pub start: String,
    /// The prefix as it was written, for the texts of numbers.
    pub text: String,
}

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// A range of values, open where a bound is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The least value.
    pub low: Option<Bound>,
    /// The greatest value.
    pub high: Option<Bound>,
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The end itself.
    pub value: Literal,
    /// Whether the end belongs to the range.
    pub inclusive: bool,
}

/// A value to compare with. It compares only with values of its own kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Literal {
    /// A number.
    Number(Number),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since the Unix epoch.
    Time(i64),
}

impl Plan {
    /// All of `plans`, with what is certain taken out.
    pub fn and(plans: impl IntoIterator<Item = Plan>) -> Plan {
        let mut all = Vec::new();
        for plan in plans {
            match plan {
                Plan::Everything => {}
                Plan::Nothing => return Plan::Nothing,
                Plan::And(inner) => all.extend(inner),
                other => all.push(other),
            }
        }
        match all.len() {
            0 => Plan::Everything,
            1 => all.remove(0),
            _ => Plan::And(all),
        }
    }

    /// At least one of `plans`, with what is certain taken out.
    pub fn or(plans: impl IntoIterator<Item = Plan>) -> Plan {
        let mut any = Vec::new();
        for plan in plans {
            match plan {
                Plan::Nothing => {}
                Plan::Everything => return Plan::Everything,
                Plan::Or(inner) => any.extend(inner),
                other => any.push(other),
            }
        }
        match any.len() {
            0 => Plan::Nothing,
            1 => any.remove(0),
            _ => Plan::Or(any),
        }
    }

    /// The opposite of `plan`.
    pub fn negate(plan: Plan) -> Plan {
        match plan {
            Plan::Everything => Plan::Nothing,
            Plan::Nothing => Plan::Everything,
            Plan::Not(inner) => *inner,
            other => Plan::Not(Box::new(other)),
        }
    }

    /// The fields of all conditions, each as often as it is used.
    pub fn fields(&self) -> Vec<&Field> {
        match self {
            Plan::Everything | Plan::Nothing => Vec::new(),
            Plan::And(plans) | Plan::Or(plans) => plans.iter().flat_map(Plan::fields).collect(),
            Plan::Not(plan) => plan.fields(),
            Plan::Is(field, _) => vec![field],
        }
    }
}

impl fmt::Display for Plan {
    /// The plan as an expression in parentheses, for tests and people who want to know how a query was understood.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, name: &str, plans: &[Plan]| {
            write!(f, "({name}")?;
            plans.iter().try_for_each(|plan| write!(f, " {plan}"))?;
            f.write_str(")")
        };
        match self {
            Plan::Everything => f.write_str("everything"),
            Plan::Nothing => f.write_str("nothing"),
            Plan::And(plans) => list(f, "and", plans),
            Plan::Or(plans) => list(f, "or", plans),
            Plan::Not(plan) => write!(f, "(not {plan})"),
            Plan::Is(field, test) => write!(f, "({field} {test})"),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Column(column) => f.write_str(column.name),
            Field::Attribute(place, key) => {
                let place = match place {
                    Place::RecordOrResource => "any",
                    Place::Record => "attr",
                    Place::Resource => "res",
                    Place::Scope => "scope",
                };
                write!(f, "{place}:{key}")
            }
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Exists => f.write_str("exists"),
            Test::Words(phrase) => match &phrase.number {
                Some(number) => write!(f, "words {:?} or = {number}", phrase.words),
                None => write!(f, "words {:?}", phrase.words),
            },
            Test::Prefix(prefix) => write!(f, "prefix {:?} {:?}", prefix.words, prefix.start),
            Test::Text(text) => write!(f, "text {text:?}"),
            Test::OneOf(texts) => write!(f, "one of {texts:?}"),
            Test::Regex(pattern) => write!(f, "regex {:?}", pattern.0.as_str()),
            Test::Within(bounds) => write!(f, "{bounds}"),
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.low, &self.high) {
            (Some(low), Some(high)) if low == high => write!(f, "= {}", low.value),
            (Some(low), Some(high)) => write!(f, "{} {} {} {}", sign('>', low), low.value, sign('<', high), high.value),
            (Some(low), None) => write!(f, "{} {}", sign('>', low), low.value),
            (None, Some(high)) => write!(f, "{} {}", sign('<', high), high.value),
            (None, None) => f.write_str("is ordered"),
        }
    }
}

fn sign(direction: char, bound: &Bound) -> String {
    if bound.inclusive { format!("{direction}=") } else { direction.to_string() }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Number(number) => write!(f, "{number}"),
            Literal::Duration(nanos) => write!(f, "{nanos}ns"),
            Literal::Time(nanos) => write!(f, "{}", model::Timestamp::from_nanos(*nanos)),
        }
    }
}
