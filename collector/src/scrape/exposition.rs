//! What targets answer: Prometheus's text format 0.0.4 and 1.0.0, and OpenMetrics 1.0 (and 0.0.1) as text. Read where it lies,
//! line by line; a line that is wrong ends the reading with its number and the reason.
//!
//! Knows nothing of targets. As lenient as Prometheus where it is lenient (unknown comments, spaces in the older format, no
//! checks of suffixes), and as strict in what it refuses.

mod line;
mod open_metrics;
mod series;
mod text;

use std::borrow::Cow;
use std::fmt;

pub use self::series::read as read_series;

/// Which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's own.
    Text,
    /// OpenMetrics.
    OpenMetrics,
}

/// What a family of metrics is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Nobody said.
    #[default]
    Unknown,
    /// Only grows.
    Counter,
    /// Any number.
    Gauge,
    /// Counts by bucket.
    Histogram,
    /// A histogram of what is now.
    GaugeHistogram,
    /// Quantiles.
    Summary,
    /// Texts as labels.
    Info,
    /// One of several states.
    StateSet,
}

impl Kind {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Unknown => "unknown",
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::GaugeHistogram => "gaugehistogram",
            Kind::Summary => "summary",
            Kind::Info => "info",
            Kind::StateSet => "stateset",
        }
    }
}

/// One thing that a body says.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    /// `# TYPE`
    Kind(Cow<'a, str>, Kind),
    /// `# HELP`
    Help(Cow<'a, str>, Cow<'a, str>),
    /// `# UNIT`
    Unit(Cow<'a, str>, &'a str),
    /// A value.
    Sample(Sample<'a>),
}

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name and labels as they are written: [`read_series`] reads them. The same text is the same series.
    pub series: &'a str,
    /// The value.
    pub value: f64,
    /// When, if it says so.
    pub millis: Option<i64>,
    /// An example of what was counted.
    pub exemplar: Option<Exemplar<'a>>,
}

/// An exemplar of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar<'a> {
    /// Its labels as they are written, in braces.
    pub labels: &'a str,
    /// The value.
    pub value: f64,
    /// When, if it says so.
    pub millis: Option<i64>,
}

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Malformed {}

/// The entries of a body, front to back. Nothing follows an error.
pub struct Exposition<'a> {
    format: Format,
    rest: &'a str,
    line: usize,
    is_over: bool,
}

impl<'a> Exposition<'a> {
    /// Of a whole body.
    pub fn new(body: &'a [u8], format: Format) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let line = body[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            Malformed { line, what: "it is not UTF-8".to_owned() }
        })?;
        Ok(Self { format, rest: text, line: 0, is_over: false })
    }

    /// The line of the entry that came last, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    fn step(&mut self) -> Result<Option<Entry<'a>>, String> {
        loop {
            if self.rest.is_empty() {
                self.is_over = true;
                let is_cut = self.format == Format::OpenMetrics;
                self.line += usize::from(is_cut);
                return if is_cut { Err("the body ends without # EOF".to_owned()) } else { Ok(None) };
            }
            self.line += 1;
            let (line, rest) = match self.rest.split_once('\n') {
                Some(parts) => parts,
                None if self.format == Format::Text => (self.rest, ""),
                None if self.rest == open_metrics::END => (self.rest, ""),
                None => return Err("the line does not end".to_owned()),
            };
            self.rest = rest;
            let entry = match self.format {
                Format::Text => text::read(line)?,
                Format::OpenMetrics if line == open_metrics::END => {
                    self.is_over = true;
                    if self.rest.is_empty() {
                        return Ok(None);
                    }
                    self.line += 1;
                    return Err("something follows # EOF".to_owned());
                }
                Format::OpenMetrics => open_metrics::read(line)?,
            };
            if entry.is_some() {
                return Ok(entry);
            }
        }
    }
}

impl<'a> Iterator for Exposition<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let step = self.step();
        self.is_over |= step.is_err();
        step.map_err(|what| Malformed { line: self.line, what }).transpose()
    }
}

#[cfg(test)]
mod tests;
