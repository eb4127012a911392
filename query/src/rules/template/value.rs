//! The values a template works with. Go's reflection shows their types in complaints and in `%T`, so each knows Go's name of
//! its own.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::moment::Moment;

/// Label names and values.
pub type Map = BTreeMap<String, String>;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing: `nil`, or what a missing key of `args` gives.
    Nothing,
    Bool(bool),
    Int(i64),
    /// A byte of a text.
    Byte(u8),
    Float(f64),
    Text(Rc<str>),
    /// A text that `safeHtml` made; not taken where a text is asked for.
    Html(Rc<str>),
    Map(Rc<Map>),
    /// What `args` makes.
    Args(Rc<Args>),
    /// What `query` answers.
    Vector(Rc<[Sample]>),
    /// One series of it.
    Sample(Option<Sample>),
    /// `$samples`: the records that made the alert.
    Records(Rc<[Rc<Map>]>),
    Moment(Moment),
    /// Nanoseconds.
    Duration(i64),
    /// What `.` is at first.
    Root(Rc<Root>),
}

/// Values by `arg0`, `arg1` and so on.
#[derive(Debug)]
pub struct Args {
    pub entries: BTreeMap<String, Value>,
    /// How many of these stand in each other, itself included. Printing and dropping recurse.
    pub depth: usize,
}

/// One series of a query's answer.
#[derive(Clone, Debug)]
pub struct Sample {
    pub labels: Rc<Map>,
    pub value: f64,
}

/// The data of an alert.
#[derive(Debug)]
pub struct Root {
    pub labels: Rc<Map>,
    pub external_labels: Rc<Map>,
    pub external_url: Rc<str>,
    pub value: f64,
}

impl Root {
    /// Its fields in Go's order.
    pub fn fields(&self) -> [(&'static str, Value); 4] {
        [
            ("Labels", Value::Map(Rc::clone(&self.labels))),
            ("ExternalLabels", Value::Map(Rc::clone(&self.external_labels))),
            ("ExternalURL", Value::Text(Rc::clone(&self.external_url))),
            ("Value", Value::Float(self.value)),
        ]
    }
}

impl Sample {
    /// Its fields in Go's order.
    pub fn fields(&self) -> [(&'static str, Value); 2] {
        [("Labels", Value::Map(Rc::clone(&self.labels))), ("Value", Value::Float(self.value))]
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Rc<str>>) -> Self {
        Value::Text(text.into())
    }

    /// Go's name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nothing => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Byte(_) => "uint8",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::Html(_) => "template.HTML",
            Value::Map(_) => "map[string]string",
            Value::Args(_) => "map[string]interface {}",
            Value::Vector(_) => "template.queryResult",
            Value::Sample(_) => "*template.sample",
            Value::Records(_) => "[]map[string]string",
            Value::Moment(_) => "*time.Time",
            Value::Duration(_) => "*time.Duration",
            Value::Root(_) => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value float64 }"
            }
        }
    }

    /// Whether it counts as true: not nothing, not zero, not empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nothing | Value::Sample(None) => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Byte(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(_) | Value::Html(_) | Value::Map(_) | Value::Args(_) | Value::Vector(_) | Value::Records(_) => {
                self.len().is_some_and(|length| length > 0)
            }
            Value::Sample(Some(_)) | Value::Moment(_) | Value::Duration(_) | Value::Root(_) => true,
        }
    }

    /// How long it is: bytes of a text, entries of the others.
    pub fn len(&self) -> Option<usize> {
        match self {
            Value::Text(text) | Value::Html(text) => Some(text.len()),
            Value::Map(map) => Some(map.len()),
            Value::Args(args) => Some(args.entries.len()),
            Value::Vector(samples) => Some(samples.len()),
            Value::Records(records) => Some(records.len()),
            _ => None,
        }
    }

    /// Whether Go sees a string in it.
    pub fn is_textual(&self) -> bool {
        matches!(self, Value::Text(_) | Value::Html(_))
    }
}
