//! Runs test scripts in the language of Prometheus's `promqltest`: `load`, `clear`, `eval`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, ManualClock, Timestamp};
use query::admission::Cancel;
use query::promql::notation::{self, Cell, number, quoted};
use query::promql::{
    self, Answer, Budget, Matcher, MemorySource, MillisRange, Options, PromqlError, Selection, SeriesSource, Steps,
    Value,
};

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

/// Runs one script and adds to `report`.
pub fn run(file: &str, text: &str, report: &mut Report) {
    let mut source = ScriptSource::default();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut block = Vec::new();
        while let Some((_, line)) = lines.next_if(|(_, line)| !line.trim().is_empty()) {
            let line = line.trim();
            if !line.starts_with('#') {
                block.push(line);
            }
        }
        let place = format!("{file}:{}", number + 1);
        if let Some(step) = line.strip_prefix("load ") {
            if let Err(error) = source.load(step.trim(), &block) {
                report.failures.push(format!("{place}: {error}"));
            }
        } else if let Some(step) = line.strip_prefix("load_with_nhcb ") {
            if let Err(error) = source.load_with_native(step.trim(), &block) {
                report.failures.push(format!("{place}: {error}"));
            }
        } else if line == "clear" {
            source = ScriptSource::default();
            // Only a blank line ends a block, but `clear` has none.
            if let Some(step) = block.first().and_then(|line| line.strip_prefix("load "))
                && let Err(error) = source.load(step.trim(), &block[1..])
            {
                report.failures.push(format!("{place}: {error}"));
            }
        } else {
            let outcome = Case::read(line, &block).and_then(|case| case.check(&source));
            match outcome {
                Ok(Outcome::Agrees) => report.passed += 1,
                Ok(Outcome::Skipped(reason)) => *report.skipped.entry(reason).or_default() += 1,
                Err(error) => report.failures.push(format!("{place}: {line}\n    {error}")),
            }
        }
    }
}

/// Loaded series; those with native histograms are only remembered.
#[derive(Default)]
struct ScriptSource {
    series: MemorySource,
    foreign: MemorySource,
}

const FOREIGN: &str = "native histograms";

impl ScriptSource {
    fn load(&mut self, step: &str, lines: &[&str]) -> Result<(), String> {
        let step = millis(step)?;
        for line in lines {
            let (labels, sequence) = metric(line)?;
            for (index, cell) in cells(sequence)?.into_iter().enumerate() {
                let time = step * index as i64;
                match cell {
                    Cell::Number(value) => self.series.push(&labels, time, value),
                    Cell::Histogram => self.foreign.push(&labels, time, 0.0),
                    Cell::Nothing => {}
                }
            }
        }
        Ok(())
    }

    // Classic histograms, and from each a native one under the name without a suffix.
    fn load_with_native(&mut self, step: &str, lines: &[&str]) -> Result<(), String> {
        self.load(step, lines)?;
        for line in lines {
            let (labels, sequence) = metric(line)?;
            if let Some(name) = labels.metric_name().and_then(|name| name.strip_suffix("_bucket")) {
                let native = labels.with("le", "").with("__name__", name);
                for index in 0..cells(sequence)?.len() {
                    self.foreign.push(&native, millis(step)? * index as i64, 0.0);
                }
            }
        }
        Ok(())
    }
}

impl SeriesSource for ScriptSource {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        range: MillisRange,
        budget: &Budget,
    ) -> Result<Selection<'a>, PromqlError> {
        if !self.foreign.labels(matchers, range, budget)?.is_empty() {
            return Err(PromqlError::Source(FOREIGN.into()));
        }
        self.series.select(matchers, range, budget)
    }

    fn labels(&self, matchers: &[Matcher], range: MillisRange, budget: &Budget) -> Result<Vec<Labels>, PromqlError> {
        self.series.labels(matchers, range, budget)
    }
}

enum Outcome {
    Agrees,
    Skipped(String),
}

/// One evaluation with what is expected of it.
struct Case<'a> {
    query: &'a str,
    when: When,
    fails: bool,
    fail_message: Option<String>,
    text: Option<String>,
    /// Of warnings and infos: whether there have to be some, or none; and the exact text of one.
    warn: Option<bool>,
    info: Option<bool>,
    messages: Vec<String>,
    scalar: Option<f64>,
    series: Vec<(Labels, Vec<Cell>)>,
    /// Whether an instant query has to give the series in this order.
    ordered: bool,
    /// The times of a matrix that an instant query gives.
    raw: Option<Steps>,
}

enum When {
    Instant(i64),
    Range(i64, i64, i64),
}

impl<'a> Case<'a> {
    fn read(line: &'a str, block: &[&str]) -> Result<Self, String> {
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
            query: query.trim(),
            when,
            fails: command == "eval_fail",
            fail_message: None,
            text: None,
            warn: (command == "eval_warn").then_some(true),
            info: (command == "eval_info").then_some(true),
            messages: Vec::new(),
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
            let message = rest.trim().strip_prefix("msg:").map(|message| message.trim().to_owned());
            match word {
                "fail" => {
                    self.fails = true;
                    self.fail_message = message;
                }
                "warn" => self.warn = Some(true),
                "no_warn" => self.warn = Some(false),
                "info" => self.info = Some(true),
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
            if let (false, Some(message)) = (word == "fail", rest.trim().strip_prefix("msg:")) {
                self.messages.push(message.trim().to_owned());
            }
            return Ok(());
        }
        if let Some(message) = line.strip_prefix("expected_fail_message ") {
            self.fail_message = Some(message.trim().to_owned());
        } else if line.starts_with("expected_fail_regexp") {
            self.fails = true;
        } else if let Ok(value) = number(line) {
            self.scalar = Some(value);
        } else {
            let (labels, sequence) = metric(line)?;
            self.series.push((labels, cells(sequence)?));
        }
        Ok(())
    }

    fn check(&self, source: &ScriptSource) -> Result<Outcome, String> {
        let answer = match self.when {
            When::Instant(at) => promql::instant(source, self.query, at, &options()),
            When::Range(start, end, step) => {
                Steps::range(start, end, step).and_then(|steps| promql::range(source, self.query, steps, &options()))
            }
        };
        let answer = match answer {
            Err(PromqlError::Unsupported { construct, .. }) => return Ok(Outcome::Skipped(construct)),
            Err(PromqlError::Source(error)) if error.to_string() == FOREIGN => {
                return Ok(Outcome::Skipped(FOREIGN.to_owned()));
            }
            Err(error) if self.fails => {
                let text = error.to_string();
                return match &self.fail_message {
                    Some(message) if !text.contains(message.as_str()) => Err(format!("fails with {text:?}")),
                    _ => Ok(Outcome::Agrees),
                };
            }
            Err(error) => return Err(format!("fails with {error}")),
            Ok(answer) if self.fails => return Err(format!("does not fail, but gives {answer:?}")),
            Ok(answer) => answer,
        };
        self.check_notes(&answer)?;
        self.check_value(&answer.value)?;
        if let (When::Instant(at), Value::Vector(expected)) = (&self.when, &answer.value) {
            self.check_as_range(source, *at, expected)?;
        }
        Ok(Outcome::Agrees)
    }

    fn check_notes(&self, answer: &Answer) -> Result<(), String> {
        for (expected, notes) in [(self.warn, &answer.warnings), (self.info, &answer.infos)] {
            if expected.is_some_and(|expected| expected == notes.is_empty()) {
                return Err(format!("warnings {:?}, infos {:?}", answer.warnings, answer.infos));
            }
        }
        let all: Vec<&String> = answer.warnings.iter().chain(&answer.infos).collect();
        match self.messages.iter().find(|message| !all.contains(message)) {
            Some(message) => Err(format!("{message:?} is not among {all:?}")),
            None => Ok(()),
        }
    }

    fn check_value(&self, value: &Value) -> Result<(), String> {
        let expected: BTreeMap<Labels, Vec<(usize, f64)>> = self
            .series
            .iter()
            .map(|(labels, cells)| {
                let numbers = cells.iter().enumerate().filter_map(|(index, cell)| match cell {
                    Cell::Number(value) => Some((index, *value)),
                    Cell::Nothing | Cell::Histogram => None,
                });
                (labels.clone(), numbers.collect())
            })
            .collect();
        let index = |time: i64| match (&self.when, &self.raw) {
            (_, Some(steps)) => steps.iter().position(|step| step == time),
            (When::Instant(_), None) => Some(0),
            (When::Range(start, _, step), None) => usize::try_from((time - start) / step).ok(),
        };
        let got: BTreeMap<Labels, Vec<(usize, f64)>> = match value {
            Value::Text(_, text) => {
                return if self.text.as_ref() == Some(text) { Ok(()) } else { Err(format!("gives the text {text:?}")) };
            }
            Value::Scalar(sample) => {
                let same = self.scalar.is_some_and(|expected| close(expected, sample.value));
                return if same { Ok(()) } else { Err(format!("gives the scalar {}", sample.value)) };
            }
            Value::Vector(vector) => {
                let order: Vec<&Labels> = vector.iter().map(|(labels, _)| labels).collect();
                if self.ordered && !order.iter().copied().eq(self.series.iter().map(|(labels, _)| labels)) {
                    return Err(format!("gives the order {order:?}"));
                }
                vector.iter().map(|(labels, sample)| (labels.clone(), vec![(0, sample.value)])).collect()
            }
            Value::Matrix(matrix) => {
                let mut got = BTreeMap::new();
                for (labels, samples) in matrix {
                    let mut cells = Vec::new();
                    for sample in samples {
                        let index = index(sample.time).ok_or_else(|| format!("a sample at {}", sample.time))?;
                        cells.push((index, sample.value));
                    }
                    got.insert(labels.clone(), cells);
                }
                got
            }
        };
        let same_cells = |a: &[(usize, f64)], b: &[(usize, f64)]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && close(a.1, b.1))
        };
        // A scalar over a range is a series without labels.
        if let (Some(expected), Value::Matrix(_)) = (self.scalar, value) {
            let all = got.values().flatten().all(|(_, value)| close(expected, *value));
            return if all { Ok(()) } else { Err(format!("gives {got:?}")) };
        }
        let same =
            expected.len() == got.len() && expected.iter().zip(&got).all(|(a, b)| a.0 == b.0 && same_cells(a.1, b.1));
        if same && self.scalar.is_none() && self.text.is_none() { Ok(()) } else { Err(format!("gives {got:?}")) }
    }

    // An instant is also one step of a range: the same numbers have to come out of the middle of three steps.
    fn check_as_range(
        &self,
        source: &ScriptSource,
        at: i64,
        expected: &[(Labels, promql::Sample)],
    ) -> Result<(), String> {
        if self.query.contains("start()") || self.query.contains("end()") {
            return Ok(());
        }
        let steps = Steps::range(at - 60_000, at + 60_000, 60_000).map_err(|error| error.to_string())?;
        let answer = match promql::range(source, self.query, steps, &options()) {
            Ok(answer) => answer,
            // The steps before and after may have errors of their own.
            Err(PromqlError::Execution(_)) => return Ok(()),
            Err(PromqlError::Source(error)) if error.to_string() == FOREIGN => return Ok(()),
            Err(error) => return Err(format!("fails as a range with {error}")),
        };
        let Value::Matrix(matrix) = answer.value else { return Err("a range query gave no matrix".into()) };
        let mut middle = Vec::new();
        for (labels, samples) in &matrix {
            middle.extend(samples.iter().filter(|sample| sample.time == at).map(|sample| (labels, sample.value)));
        }
        let mut expected: Vec<_> = expected.iter().collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        let same = middle.len() == expected.len()
            && middle.iter().zip(expected).all(|(a, b)| *a.0 == b.0 && close(a.1, b.1.value));
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

fn close(a: f64, b: f64) -> bool {
    // Numbers in scripts are often rounded for people; the tolerance is the one of Prometheus's own runner.
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-6 * (a.abs() + b.abs()).min(f64::MAX)
}

/// Enough of everything, for scripts and oracles.
pub fn options() -> Options {
    let clock = Arc::new(ManualClock::new(Timestamp::default()));
    Options::new(Budget::new(promql::limits::SAMPLES_MAX, Duration::from_secs(60), clock, Cancel::default()))
}

fn metric(line: &str) -> Result<(Labels, &str), String> {
    notation::metric(line).map_err(|error| error.to_string())
}

fn cells(text: &str) -> Result<Vec<Cell>, String> {
    notation::cells(text).map_err(|error| error.to_string())
}

/// Milliseconds of `5m`, `1h30m`, or of plain seconds.
fn millis(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1000.0).round() as i64);
    }
    let nanos = model::time::parse_duration(text).ok_or_else(|| format!("no duration: {text}"))?;
    Ok(nanos / 1_000_000)
}
