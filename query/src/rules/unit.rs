//! Unit tests of rules in promtool's format: series in notation, rules from rule files, and what alerts and expressions have to
//! come to at which time.
//!
//! The rules' own code is what is tested: the same conditions, templates and state machine as in the server, over series in
//! memory and without a clock. For groups of `type: logs` and `type: traces` a test has `input_logs` and `input_spans`, which are
//! Sextant's own; promtool reads files without them. `sextant rules test` is the caller.

mod file;
mod glob;
mod input;
pub mod limits;
mod records;
mod run;
mod tested;
mod verdict;

use std::path::Path;
use std::sync::Arc;

use model::Clock;

pub use file::{AlertTest, ExpectedAlert, ExpectedSample, ExprTest, InputSeries, TestFile, TestGroup};
pub use input::{InputLogs, InputSpans, Series, Value};
pub use verdict::{Failure, LabelledAlert, Outcome, Verdict};

use super::file::{FileErrorKind, RuleFile};

/// Runs the tests of a file. `clock` is for the bounds of queries only; tests have a time of their own.
pub fn run(path: &Path, clock: &Arc<dyn Clock>) -> Verdict {
    let mut verdict = Verdict::new(path);
    let file = match read(path).and_then(|text| TestFile::parse(&path.display().to_string(), &text)) {
        Ok(file) => file,
        Err(errors) => {
            verdict.failures = errors.into_iter().map(Failure::File).collect();
            return verdict;
        }
    };
    let rules = rule_files(path, &file, &mut verdict);
    if !verdict.failures.is_empty() {
        return verdict;
    }
    match run::ordered(&rules, &file.group_eval_order) {
        Ok(groups) => {
            for test in &file.tests {
                verdict.failures.extend(run::test(test, &file, &groups, clock));
            }
            verdict.tests = file.tests.len();
        }
        Err(message) => verdict.failures.push(Failure::Message(message)),
    }
    verdict
}

// The rule files that the patterns name, relative to the test file.
fn rule_files(path: &Path, file: &TestFile, verdict: &mut Verdict) -> Vec<RuleFile> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut rules = Vec::new();
    for pattern in &file.rule_files {
        let found = glob::glob(&folder.join(pattern));
        if found.is_empty() {
            verdict.warnings.push(format!("no file match pattern {}", folder.join(pattern).display()));
        }
        for path in found {
            match read(&path).and_then(|text| RuleFile::parse(&path.display().to_string(), &text)) {
                Ok(file) => rules.push(file),
                Err(errors) => verdict.failures.extend(errors.into_iter().map(Failure::File)),
            }
        }
    }
    rules
}

fn read(path: &Path) -> Result<String, Vec<super::file::FileError>> {
    std::fs::read_to_string(path).map_err(|error| {
        vec![super::file::FileError {
            path: path.display().to_string(),
            place: super::Place { line: 1, column: 1 },
            rule: None,
            kind: FileErrorKind::Syntax,
            message: format!("cannot read the file: {error}"),
            hint: None,
        }]
    })
}
