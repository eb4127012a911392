//! What there is to say about a rule file before a server reads it: its mistakes, and rules that are there twice.
//!
//! A file that only uses PromQL which does not exist here yet is told apart from a wrong one. `sextant rules check` is the
//! caller.

use std::collections::BTreeMap;

use super::Place;
use super::file::{Action, FileError, FileErrorKind, Group, RuleFile};

/// What there is to say about a file.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file's name as it was given.
    pub path: String,
    /// How many groups it has.
    pub groups: usize,
    /// How many rules.
    pub rules: usize,
    /// In the order of the file.
    pub findings: Vec<Finding>,
}

/// Something to say.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// Where, what and how to mend it.
    pub error: FileError,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// No server would take the file.
    Error,
    /// Prometheus would take it, this version does not yet.
    Unsupported,
    /// It works, and is probably not meant so.
    Warning,
}

impl FindingKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            FindingKind::Error => "error",
            FindingKind::Unsupported => "unsupported",
            FindingKind::Warning => "warning",
        }
    }
}

impl Report {
    /// How many findings there are of a kind.
    pub fn count(&self, kind: FindingKind) -> usize {
        self.findings.iter().filter(|finding| finding.kind == kind).count()
    }

    /// Whether a server of this version takes the file.
    pub fn is_accepted(&self) -> bool {
        self.findings.iter().all(|finding| finding.kind == FindingKind::Warning)
    }
}

/// Looks through the text of a file that is called `path`.
pub fn check(path: &str, text: &str) -> Report {
    let (file, errors) = RuleFile::read(path, text);
    let kind = |error: &FileError| match error.kind {
        FileErrorKind::Unsupported => FindingKind::Unsupported,
        FileErrorKind::Syntax | FileErrorKind::Invalid => FindingKind::Error,
    };
    let mut findings: Vec<Finding> = errors.into_iter().map(|error| Finding { kind: kind(&error), error }).collect();
    let repeated = repeated(&file);
    findings.extend(repeated.into_iter().map(|error| Finding { kind: FindingKind::Warning, error }));
    findings.sort_by_key(|finding| finding.error.place);
    let rules = file.groups.iter().map(|group| group.rules.len()).sum();
    Report { path: path.to_owned(), groups: file.groups.len(), rules, findings }
}

// Rules of one kind with one name and the same labels: what they yield cannot be told apart.
fn repeated(file: &RuleFile) -> Vec<FileError> {
    type Identity<'f> = (&'f str, bool, &'f BTreeMap<String, String>);
    let mut seen: BTreeMap<Identity<'_>, Place> = BTreeMap::new();
    let mut repeated = Vec::new();
    for (group, position) in file.groups.iter().flat_map(|group| (0..group.rules.len()).map(move |n| (group, n))) {
        let rule = &group.rules[position];
        if rule.name.is_empty() {
            continue;
        }
        let identity = (rule.name.as_str(), rule.action == Action::Record, &rule.labels);
        match seen.get(&identity) {
            Some(first) => repeated.push(repetition(file, group, position, *first)),
            None => drop(seen.insert(identity, rule.place)),
        }
    }
    repeated
}

fn repetition(file: &RuleFile, group: &Group, position: usize, first: Place) -> FileError {
    let rule = &group.rules[position];
    FileError {
        path: file.path.clone(),
        place: rule.place,
        rule: Some(super::file::RulePlace { group: group.name.clone(), number: position + 1, name: rule.name.clone() }),
        kind: FileErrorKind::Invalid,
        message: format!("the rule of line {} has the same name and the same labels", first.line),
        hint: Some("give one of them a label of its own".to_owned()),
    }
}
