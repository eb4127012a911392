//! What is configured of retention.

use model::Signal;
use serde::{Deserialize, Serialize};

/// How long something is kept: a duration such as `30d`, or `none` for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age {
    text: String,
    nanos: Option<i64>,
}

const FOR_EVER: &str = "none";

impl Age {
    /// Nanoseconds; `None` for ever.
    pub fn nanos(&self) -> Option<i64> {
        self.nanos
    }
}

impl Default for Age {
    fn default() -> Self {
        Age { text: FOR_EVER.to_owned(), nanos: None }
    }
}

impl TryFrom<String> for Age {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == FOR_EVER {
            return Ok(Age::default());
        }
        match model::time::parse_duration(&text) {
            Some(nanos) if nanos > 0 => Ok(Age { text, nanos: Some(nanos) }),
            _ => Err(format!(
                "{text:?} is no age to keep rows for; write it like \"30d\", \"12h\", or \"none\" for ever"
            )),
        }
    }
}

impl From<Age> for String {
    fn from(age: Age) -> String {
        age.text
    }
}

/// Of each signal, how long its rows are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ages {
    /// Log records.
    pub logs: Age,
    /// Spans.
    pub spans: Age,
    /// Metric points and their exemplars.
    pub points: Age,
}

impl Ages {
    pub(super) fn of(&self, signal: Signal) -> &Age {
        match signal {
            Signal::Logs => &self.logs,
            Signal::Spans => &self.spans,
            Signal::Points => &self.points,
        }
    }
}

/// The same of one service; a signal that is not named is kept as that of any other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceAges {
    /// Log records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Age>,
    /// Spans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spans: Option<Age>,
    /// Metric points and their exemplars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<Age>,
}

impl ServiceAges {
    pub(super) fn of(&self, signal: Signal) -> Option<&Age> {
        match signal {
            Signal::Logs => self.logs.as_ref(),
            Signal::Spans => self.spans.as_ref(),
            Signal::Points => self.points.as_ref(),
        }
    }
}

/// Of each signal, how many bytes its parts may take; 0 for any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sizes {
    /// Log records.
    pub logs: u64,
    /// Spans.
    pub spans: u64,
    /// Metric points and their exemplars.
    pub points: u64,
}

impl Sizes {
    /// The bound of a signal; `None` if it has none.
    pub fn of(&self, signal: Signal) -> Option<u64> {
        let bytes = match signal {
            Signal::Logs => self.logs,
            Signal::Spans => self.spans,
            Signal::Points => self.points,
        };
        (bytes > 0).then_some(bytes)
    }
}
