//! What a test file comes to, in the words of promtool: people search for them.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use model::Labels;

use crate::rules::file::{FileError, FileErrorKind, format_duration};
use crate::rules::template::{Shape, format_float, print_duration, quote};

/// What a test file comes to.
#[derive(Debug)]
pub struct Verdict {
    /// The file.
    pub path: PathBuf,
    /// How many tests there were.
    pub tests: usize,
    /// What was left out.
    pub warnings: Vec<String>,
    /// What is not as it should be; empty if all is well.
    pub failures: Vec<Failure>,
}

impl Verdict {
    /// Of a file about which nothing is known yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), tests: 0, warnings: Vec::new(), failures: Vec::new() }
    }

    /// Whether all is well.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Something that is not as it should be.
#[derive(Debug)]
pub enum Failure {
    /// In the test file or in a rule file.
    File(FileError),
    /// Before anything could be evaluated.
    Message(String),
    /// The test uses what does not exist here yet; the rest of it is run without.
    Unsupported(String),
    /// A rule could not be evaluated.
    Rule {
        /// Its name.
        name: String,
        /// Milliseconds since the start.
        time_ms: i64,
        /// Why.
        error: String,
    },
    /// Other alerts fire than should.
    Alerts {
        /// The test's name; may be empty.
        test: String,
        /// The rules' name.
        alertname: String,
        /// Milliseconds since the start.
        time_ms: i64,
        /// Which should.
        expected: Vec<LabelledAlert>,
        /// Which do.
        got: Vec<LabelledAlert>,
    },
    /// An expression gives other samples than it should.
    Expr {
        /// PromQL.
        expr: String,
        /// Milliseconds since the start.
        time_ms: i64,
        /// What it gives.
        outcome: Outcome,
    },
}

/// What an expression gave.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing: it cannot be evaluated, or what is expected cannot be read.
    Error(String),
    /// It uses what does not exist here yet.
    Unsupported(String),
    /// Other samples.
    Samples {
        /// What it should give.
        expected: Vec<(Labels, f64)>,
        /// What it gives.
        got: Vec<(Labels, f64)>,
    },
}

/// An alert as tests compare them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelledAlert {
    /// `alertname` among them.
    pub labels: BTreeMap<String, String>,
    /// Expanded.
    pub annotations: BTreeMap<String, String>,
}

impl Failure {
    /// Whether it says nothing about the rules, but that this version lacks something they or the test use.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Failure::File(error) => error.kind == FileErrorKind::Unsupported,
            Failure::Expr { outcome: Outcome::Unsupported(_), .. } => true,
            Failure::Unsupported(_) => true,
            _ => false,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Failure::File(error) => write!(f, "{error}"),
            Failure::Message(message) | Failure::Unsupported(message) => f.write_str(message),
            Failure::Rule { name, time_ms, error } => {
                let time = print_duration(time_ms.saturating_mul(1_000_000));
                write!(f, "    rule: {name}, time: {time}, err: {error}")
            }
            Failure::Alerts { test, alertname, time_ms, expected, got } => {
                if !test.is_empty() {
                    writeln!(f, "    name: {test},")?;
                }
                let time = format_duration(*time_ms);
                let (expected, got) = (alerts(expected), alerts(got));
                write!(f, "    alertname: {alertname}, time: {time}, \n        exp:{expected}, \n        got:{got}")
            }
            Failure::Expr { expr, time_ms, outcome } => {
                write!(f, "    expr: {}, time: {},", quote(expr), format_duration(*time_ms))?;
                match outcome {
                    Outcome::Error(error) | Outcome::Unsupported(error) => write!(f, " err: {error}"),
                    Outcome::Samples { expected, got } => {
                        write!(f, "\n        exp: {}\n        got: {}", samples(expected), samples(got))
                    }
                }
            }
        }
    }
}

fn alerts(alerts: &[LabelledAlert]) -> String {
    if alerts.is_empty() {
        return "[]".to_owned();
    }
    let one = |(number, alert): (usize, &LabelledAlert)| {
        let LabelledAlert { labels, annotations } = alert;
        format!(
            "\n            {number}:\n              Labels:{}\n              Annotations:{}",
            braced(labels),
            braced(annotations)
        )
    };
    let all: Vec<String> = alerts.iter().enumerate().map(one).collect();
    format!("[{}\n            ]", all.join(","))
}

fn braced(pairs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn samples(samples: &[(Labels, f64)]) -> String {
    if samples.is_empty() {
        return "nil".to_owned();
    }
    let one = |(labels, value): &(Labels, f64)| {
        let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
        format!("{{{}}} {}", pairs.join(", "), number(*value))
    };
    samples.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn number(value: f64) -> String {
    let written = format_float(value, Shape::Exponent, None);
    if value.is_finite() { written.to_ascii_uppercase() } else { written }
}
