//! Runs test scripts in the language of Prometheus's `promqltest` against the engine, over series in memory.

use std::collections::BTreeMap;
use std::fmt;

use promqltest::{Case, Failure, Step};
use query::promql::{MemorySource, Options, PromqlError};

/// What came of the evaluations of some scripts.
#[derive(Debug, Default)]
pub struct Report {
    pub passed: usize,
    /// How many used a construct that does not exist yet, by construct.
    pub skipped: BTreeMap<String, usize>,
    pub failures: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped: usize = self.skipped.values().sum();
        write!(f, "{} evaluations agree, {} differ, {skipped} skipped", self.passed, self.failures.len())
    }
}

/// Runs one script, with names that wait for the end of the query or with names that go at once, and adds to `report`.
pub fn run(file: &str, text: &str, delays_names: bool, report: &mut Report) {
    for section in promqltest::sections(file, text) {
        let mut source = MemorySource::new();
        for step in section.steps {
            match step {
                Step::Load(series) => promqltest::load(&mut source, &series),
                Step::Wrong(why) => report.failures.push(why),
                Step::Eval(case) => match check(&case, &source, delays_names) {
                    Ok(None) => report.passed += 1,
                    Ok(Some(construct)) => *report.skipped.entry(construct).or_default() += 1,
                    Err(why) => report.failures.push(why),
                },
            }
        }
    }
}

// What the engine does not have yet, if that is why there is no answer.
fn check(case: &Case, source: &MemorySource, delays_names: bool) -> Result<Option<String>, String> {
    let options = || Options { delays_names, ..promqltest::options() };
    let outcome = match promqltest::ask(source, &case.query, case.when, &options()) {
        Err(PromqlError::Unsupported { construct, .. }) => return Ok(Some(construct)),
        outcome => outcome.map_err(Failure::from),
    };
    case.judge(&outcome)?;
    if let Some(when) = case.as_range(&outcome) {
        let range = promqltest::ask(source, &case.query, when, &options()).map_err(Failure::from);
        case.judge_range(&outcome, &range)?;
    }
    Ok(None)
}
