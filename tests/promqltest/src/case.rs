//! One evaluation with what is expected of it.

use std::collections::BTreeMap;

use model::Labels;
use query::promql::Steps;
use query::promql::notation::{self, Cell, number, quoted};

use crate::answer::{Answer, Expected, Failure, Given, Seen, close};
use crate::time::millis;

/// A question and what its answer has to be.
#[derive(Debug)]
pub struct Case {
    /// File and line.
    pub place: String,
    /// The expression.
    pub query: String,
    /// The time or times that it is asked for.
    pub when: When,
    line: String,
    fails: bool,
    fail_message: Option<Text>,
    text: Option<String>,
    // Of warnings and infos: whether there have to be some, or none; and what each has to be.
    warn: Option<bool>,
    info: Option<bool>,
    warnings: Vec<Text>,
    infos: Vec<Text>,
    scalar: Option<f64>,
    series: Vec<(Labels, Vec<Cell>)>,
    // Whether an instant query has to give the series in this order.
    ordered: bool,
    // The times of a matrix that an instant query gives.
    raw: Option<Steps>,
}

/// When, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At one time.
    Instant(i64),
    /// From the first to the second, by the third.
    Range(i64, i64, i64),
}

impl Case {
    pub(crate) fn read(place: &str, line: &str, block: &[&str]) -> Result<Self, String> {
        let (command, rest) = line.split_once(' ').ok_or("no command")?;
        let (kind, rest) = rest.trim().split_once(' ').ok_or("no kind of evaluation")?;
        let (when, query) = match kind {
            "instant" => match rest.trim().strip_prefix("at ") {
                Some(rest) => {
                    let (at, query) = rest.trim().split_once(char::is_whitespace).ok_or("no query")?;
                    (When::Instant(millis(at)?), query)
                }
                None => (When::Instant(0), rest),
            },
            "range" => range(rest)?,
            _ => return Err(format!("unknown evaluation {kind:?}")),
        };
        let mut case = Self {
            place: place.to_owned(),
            query: query.trim().to_owned(),
            when,
            line: line.to_owned(),
            fails: command == "eval_fail",
            fail_message: None,
            text: None,
            warn: (command == "eval_warn").then_some(true),
            info: (command == "eval_info").then_some(true),
            warnings: Vec::new(),
            infos: Vec::new(),
            scalar: None,
            series: Vec::new(),
            ordered: command == "eval_ordered",
            raw: None,
        };
        for line in block {
            case.expect(line)?;
        }
        Ok(case)
    }

    fn expect(&mut self, line: &str) -> Result<(), String> {
        if let Some(expectation) = line.strip_prefix("expect ") {
            let (word, rest) = expectation.trim().split_once(char::is_whitespace).unwrap_or((expectation.trim(), ""));
            let message = Text::read(rest)?;
            match word {
                "fail" => {
                    self.fails = true;
                    self.fail_message = message;
                }
                "warn" => {
                    self.warn = Some(true);
                    self.warnings.extend(message);
                }
                "no_warn" => self.warn = Some(false),
                "info" => {
                    self.info = Some(true);
                    self.infos.extend(message);
                }
                "no_info" => self.info = Some(false),
                "string" => self.text = Some(quoted(rest.trim())?.0),
                "ordered" => self.ordered = true,
                "range" => {
                    let rest = rest.trim().strip_prefix("vector").ok_or("no range vector")?;
                    let When::Range(start, end, step) = range(&format!("{} _", rest.trim()))?.0 else {
                        return Err("no range".into());
                    };
                    self.raw = Some(Steps::range(start, end, step).map_err(|error| error.to_string())?);
                }
                _ => return Err(format!("unknown expectation {word:?}")),
            }
            return Ok(());
        }
        if let Some(message) = line.strip_prefix("expected_fail_message ") {
            self.fail_message = Some(Text::Part(message.trim().to_owned()));
        } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp ") {
            self.fails = true;
            self.fail_message = Some(Text::pattern(pattern)?);
        } else if let Ok(value) = number(line) {
            self.scalar = Some(value);
        } else {
            let (labels, sequence) = notation::metric(line).map_err(|error| error.to_string())?;
            self.series.push((labels, notation::cells(sequence).map_err(|error| error.to_string())?));
        }
        Ok(())
    }

    /// What is wrong about an answer, if anything is.
    pub fn judge(&self, outcome: &Result<Answer, Failure>) -> Result<(), String> {
        let judged = match outcome {
            Err(failure) if self.fails => match &self.fail_message {
                Some(message) if !message.is(&failure.message) => Err(format!("fails with {:?}", failure.message)),
                _ => Ok(()),
            },
            Err(failure) => Err(format!("fails with {}", failure.message)),
            Ok(answer) if self.fails => Err(format!("does not fail, but gives {answer:?}")),
            Ok(answer) => self.judge_notes(answer).and_then(|()| self.judge_value(&answer.given)),
        };
        judged.map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &str) -> String {
        format!("{}: {}\n    {error}", self.place, self.line)
    }

    fn judge_notes(&self, answer: &Answer) -> Result<(), String> {
        for (expected, notes) in [(self.warn, &answer.warnings), (self.info, &answer.infos)] {
            if expected.is_some_and(|expected| expected == notes.is_empty()) {
                return Err(format!("warnings {:?}, infos {:?}", answer.warnings, answer.infos));
            }
        }
        for (expected, notes) in [(&self.warnings, &answer.warnings), (&self.infos, &answer.infos)] {
            if let Some(message) = expected.iter().find(|message| !notes.iter().any(|note| message.is(note))) {
                return Err(format!("{message:?} is not among {notes:?}"));
            }
            if !expected.is_empty()
                && let Some(note) = notes.iter().find(|note| !expected.iter().any(|message| message.is(note)))
            {
                return Err(format!("{note:?} is not expected"));
            }
        }
        Ok(())
    }

    fn judge_value(&self, given: &Given) -> Result<(), String> {
        let index = |time: i64| match (&self.when, &self.raw) {
            (_, Some(steps)) => steps.iter().position(|step| step == time),
            (When::Instant(_), None) => Some(0),
            (When::Range(start, _, step), None) => usize::try_from((time - start) / step).ok(),
        };
        let got: BTreeMap<Labels, Vec<(usize, Seen)>> = match given {
            Given::Text(text) => {
                return if self.text.as_ref() == Some(text) { Ok(()) } else { Err(format!("gives the text {text:?}")) };
            }
            Given::Scalar(value) => {
                let same = self.scalar.is_some_and(|expected| close(expected, *value));
                return if same { Ok(()) } else { Err(format!("gives the scalar {value}")) };
            }
            Given::Vector(vector) => {
                let order: Vec<&Labels> = vector.iter().map(|(labels, _)| labels).collect();
                if self.ordered && !order.iter().copied().eq(self.series.iter().map(|(labels, _)| labels)) {
                    return Err(format!("gives the order {order:?}"));
                }
                vector.iter().map(|(labels, seen)| (labels.clone(), vec![(0, seen.clone())])).collect()
            }
            Given::Matrix(matrix) => {
                let mut got = BTreeMap::new();
                for (labels, all) in matrix {
                    let mut cells = Vec::new();
                    for (time, seen) in all {
                        cells.push((index(*time).ok_or_else(|| format!("a sample at {time}"))?, seen.clone()));
                    }
                    got.insert(labels.clone(), cells);
                }
                got
            }
        };
        // A scalar over a range is a series without labels.
        if let (Some(expected), Given::Matrix(_)) = (self.scalar, given) {
            let expected = Expected::Number(expected);
            let all = got.values().flatten().all(|(_, seen)| expected.is(seen));
            return if all { Ok(()) } else { Err(format!("gives {got:?}")) };
        }
        let same_cells = |a: &[(usize, Expected)], b: &[(usize, Seen)]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.is(&b.1))
        };
        let expected = self.expected();
        let same =
            expected.len() == got.len() && expected.iter().zip(&got).all(|(a, b)| a.0 == b.0 && same_cells(a.1, b.1));
        if same && self.scalar.is_none() && self.text.is_none() { Ok(()) } else { Err(format!("gives {got:?}")) }
    }

    fn expected(&self) -> BTreeMap<Labels, Vec<(usize, Expected)>> {
        let series = self.series.iter().map(|(labels, cells)| {
            let cells = cells.iter().enumerate().filter_map(|(index, cell)| match cell {
                Cell::Number(value) => Some((index, Expected::Number(*value))),
                Cell::Histogram(written) => Some((index, Expected::Histogram(written.clone()))),
                Cell::Nothing => None,
            });
            (labels.clone(), cells.collect())
        });
        series.collect()
    }

    /// An instant is also one step of a range: the three steps in whose middle the same numbers have to come out, where the query is
    /// not about its own times.
    pub fn as_range(&self, answer: &Result<Answer, Failure>) -> Option<When> {
        let (When::Instant(at), Ok(Answer { given: Given::Vector(_), .. })) = (self.when, answer) else { return None };
        let query = self.query.to_lowercase();
        let asks_itself = ["start()", "end()", "range()", "step()"].iter().any(|fact| query.contains(fact));
        (!asks_itself).then_some(When::Range(at - 60_000, at + 60_000, 60_000))
    }

    /// What is wrong about the answer to [`Case::as_range`] beside that to the question itself.
    pub fn judge_range(
        &self,
        instant: &Result<Answer, Failure>,
        range: &Result<Answer, Failure>,
    ) -> Result<(), String> {
        self.compare_range(instant, range).map_err(|error| self.wrong(&error))
    }

    fn compare_range(&self, instant: &Result<Answer, Failure>, range: &Result<Answer, Failure>) -> Result<(), String> {
        let (When::Instant(at), Ok(Answer { given: Given::Vector(expected), .. })) = (self.when, instant) else {
            return Err("there is nothing to compare a range with".to_owned());
        };
        let matrix = match range {
            Ok(Answer { given: Given::Matrix(matrix), .. }) => matrix,
            Ok(other) => return Err(format!("gives as a range {other:?}")),
            // The steps before and after may have errors of their own.
            Err(failure) if failure.in_execution => return Ok(()),
            Err(failure) => return Err(format!("fails as a range with {}", failure.message)),
        };
        let mut middle: Vec<(&Labels, &Seen)> = Vec::new();
        for (labels, all) in matrix {
            middle.extend(all.iter().filter(|(time, _)| *time == at).map(|(_, seen)| (labels, seen)));
        }
        let mut expected: Vec<_> = expected.iter().collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        let same =
            middle.len() == expected.len() && middle.iter().zip(expected).all(|(a, b)| *a.0 == b.0 && b.1.is(a.1));
        if same { Ok(()) } else { Err(format!("gives {middle:?} as a range")) }
    }
}

/// `from 0 to 10m step 1m query`
fn range(text: &str) -> Result<(When, &str), String> {
    let mut rest = text.trim();
    let mut values = [0; 3];
    for (value, word) in values.iter_mut().zip(["from", "to", "step"]) {
        rest = rest.strip_prefix(word).ok_or_else(|| format!("no {word:?} in {text:?}"))?.trim_start();
        let (duration, tail) = rest.split_once(char::is_whitespace).ok_or("no query")?;
        *value = millis(duration)?;
        rest = tail.trim_start();
    }
    Ok((When::Range(values[0], values[1], values[2]), rest))
}

/// A text that has to be there: a part of it, all of it but the place at its end, or what a pattern finds.
#[derive(Debug)]
enum Text {
    Part(String),
    Pattern(regex::Regex),
}

impl Text {
    fn read(rest: &str) -> Result<Option<Self>, String> {
        let rest = rest.trim();
        if let Some(message) = rest.strip_prefix("msg:") {
            return Ok(Some(Text::Part(message.trim().to_owned())));
        }
        rest.strip_prefix("regex:").map(Self::pattern).transpose()
    }

    fn pattern(pattern: &str) -> Result<Self, String> {
        regex::Regex::new(pattern.trim()).map(Text::Pattern).map_err(|error| error.to_string())
    }

    fn is(&self, text: &str) -> bool {
        match self {
            Text::Part(part) => text.contains(part.as_str()),
            Text::Pattern(pattern) => pattern.is_match(text),
        }
    }
}
