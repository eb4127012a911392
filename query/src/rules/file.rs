//! Rule files: Prometheus's format, strict, and Sextant's groups of `type: logs` and `type: traces`.
//!
//! Every mistake of a file is found in one go, each with its line and column, in Prometheus's words where Prometheus has some.
//! Nothing is evaluated here.

pub(in crate::rules) mod fields;
mod group;

use std::collections::BTreeMap;
use std::fmt;

pub use model::duration::{format_duration, parse_duration};

use self::fields::Errors;
use super::limits;
use model::yaml::{self, Place};

/// A file's groups, all of them right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// The name it was given, for messages and as part of the rules' identity.
    pub path: String,
    /// In the order of the file.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other at one timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Unique in its file.
    pub name: String,
    /// What its expressions ask.
    pub kind: GroupKind,
    /// Milliseconds between evaluations; `None` for the configured ones.
    pub interval_ms: Option<i64>,
    /// How far back from its timestamp a group of PromQL looks.
    pub query_offset_ms: i64,
    /// How long groups of logs and traces wait for late records.
    pub eval_delay_ms: i64,
    /// The most alerts or series a rule may yield; 0 for any number.
    pub limit: usize,
    /// In the order of their evaluation.
    pub rules: Vec<Rule>,
    /// Where it stands.
    pub place: Place,
}

/// What the expressions of a group are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupKind {
    /// PromQL.
    Prometheus,
    /// Counts of log records.
    Logs,
    /// Counts of spans.
    Traces,
}

impl GroupKind {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            GroupKind::Prometheus => "prometheus",
            GroupKind::Logs => "logs",
            GroupKind::Traces => "traces",
        }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The alert's or the series' name.
    pub name: String,
    /// The expression as it was written.
    pub expr: String,
    /// Of logs and traces: the window that is counted, in milliseconds.
    pub range_ms: Option<i64>,
    /// The rule's labels and those of its group that it does not set itself. Of alerts: templates.
    pub labels: BTreeMap<String, String>,
    /// What it yields.
    pub action: Action,
    /// Where it stands.
    pub place: Place,
}

/// What a rule yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Series.
    Record,
    /// Alerts.
    Alert(AlertAction),
}

/// What only alerting rules have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertAction {
    /// How long the condition has to hold before an alert fires, in milliseconds.
    pub for_ms: i64,
    /// How long an alert fires on once its condition no longer holds, in milliseconds.
    pub keep_firing_for_ms: i64,
    /// Templates.
    pub annotations: BTreeMap<String, String>,
}

impl Rule {
    /// What an alerting rule has besides; `None` for recording rules.
    pub fn alert(&self) -> Option<&AlertAction> {
        match &self.action {
            Action::Alert(alert) => Some(alert),
            Action::Record => None,
        }
    }
}

/// One mistake of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file's name as it was given.
    pub path: String,
    /// Where in the file.
    pub place: Place,
    /// In which rule, if it is in one.
    pub rule: Option<RulePlace>,
    /// What kind of mistake it is.
    pub kind: FileErrorKind,
    /// What is wrong.
    pub message: String,
    /// What to write instead, if that can be told.
    pub hint: Option<String>,
}

/// Which rule a mistake is in, as Prometheus tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePlace {
    /// The group's name.
    pub group: String,
    /// The rule's number in the group, from 1.
    pub number: usize,
    /// The rule's name; empty if it has none.
    pub name: String,
}

/// Kinds of mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileErrorKind {
    /// The file cannot be read, or is no YAML.
    Syntax,
    /// A key or a value is wrong.
    Invalid,
    /// An expression is right, but uses what does not exist here yet.
    Unsupported,
}

impl fmt::Display for FileError {
    /// `rules.yml:7:11: group "shop", rule 2, "SlowCheckout": could not parse expression: ...`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.path, self.place.line, self.place.column)?;
        if let Some(RulePlace { group, number, name }) = &self.rule {
            write!(f, "group {group:?}, rule {number}, {name:?}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for FileError {}

impl RuleFile {
    /// A mistake of this file that was found after it was read.
    pub fn mistake(&self, place: Place, message: String) -> FileError {
        let path = self.path.clone();
        FileError { path, place, rule: None, kind: FileErrorKind::Invalid, message, hint: None }
    }

    /// Reads a file's text. `path` is what the file is called in messages and in the rules' identity.
    pub fn parse(path: &str, text: &str) -> Result<RuleFile, Vec<FileError>> {
        let (file, errors) = RuleFile::read(path, text);
        if errors.is_empty() { Ok(file) } else { Err(errors) }
    }

    /// What can be read of a file, and all mistakes in it. Only for looking at: rules with mistakes are among the others.
    pub fn read(path: &str, text: &str) -> (RuleFile, Vec<FileError>) {
        let mut errors = Errors::new(path);
        let groups = match yaml::parse(text, limits::FILE_BOUNDS) {
            Ok(Some(root)) => group::groups(&root, &mut errors),
            // Prometheus takes an empty file for one without groups.
            Ok(None) => Vec::new(),
            Err(error) => {
                errors.syntax(error);
                Vec::new()
            }
        };
        let mut found = errors.into_found();
        found.sort_by_key(|error| error.place);
        found.truncate(limits::FILE_ERRORS_MAX);
        (RuleFile { path: path.to_owned(), groups }, found)
    }
}
