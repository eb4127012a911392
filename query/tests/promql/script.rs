//! Runs test scripts in the language of Prometheus's `promqltest`: `load`, `clear`, `eval`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, ManualClock, Timestamp};
use query::admission::Cancel;
use query::promql::notation::{self, Cell, Written, number, quoted};
use query::promql::{
    self, Answer, Buckets, Budget, CUSTOM_SCHEMA, Element, Histogram, MemorySource, Options, PromqlError, Steps, Value,
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
    let mut source = MemorySource::new();
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
            if let Err(error) = load(&mut source, step.trim(), &block) {
                report.failures.push(format!("{place}: {error}"));
            }
        } else if let Some(step) = line.strip_prefix("load_with_nhcb ") {
            if let Err(error) = load_with_native(&mut source, step.trim(), &block) {
                report.failures.push(format!("{place}: {error}"));
            }
        } else if line == "clear" {
            source = MemorySource::new();
            // Only a blank line ends a block, but `clear` has none.
            if let Some(step) = block.first().and_then(|line| line.strip_prefix("load "))
                && let Err(error) = load(&mut source, step.trim(), &block[1..])
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

/// Adds series, their values `step` apart.
fn load(source: &mut MemorySource, step: &str, lines: &[&str]) -> Result<(), String> {
    let step = millis(step)?;
    for line in lines {
        let (labels, sequence) = metric(line)?;
        for (cell, time) in cells(sequence)?.into_iter().zip((0..).map(|index| step * index)) {
            match cell {
                Cell::Number(value) => source.push(&labels, time, value),
                Cell::Histogram(written) => {
                    source.push_histogram(&labels, time, Histogram::clone(&written.histogram));
                }
                Cell::Nothing => {}
            }
        }
    }
    Ok(())
}

/// A classic histogram at one time: bounds with cumulative counts, count, sum.
#[derive(Default)]
struct Classic {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// Classic histograms, and from each a native one with custom buckets under the name without a suffix.
fn load_with_native(source: &mut MemorySource, step: &str, lines: &[&str]) -> Result<(), String> {
    load(source, step, lines)?;
    let step = millis(step)?;
    let mut found: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for line in lines {
        let (labels, sequence) = metric(line)?;
        let name = labels.metric_name().unwrap_or("");
        let suffixed = ["_bucket", "_count", "_sum"].into_iter().find_map(|end| Some((name.strip_suffix(end)?, end)));
        let Some((base, suffix)) = suffixed else { continue };
        let bound = labels.get("le").and_then(|bound| bound.parse::<f64>().ok());
        let times = found.entry(labels.with("le", "").with("__name__", base)).or_default();
        for (cell, time) in cells(sequence)?.into_iter().zip((0..).map(|index| step * index)) {
            let Cell::Number(value) = cell else { continue };
            let classic = times.entry(time).or_default();
            match (suffix, bound) {
                ("_bucket", Some(bound)) => classic.buckets.push((bound, value)),
                ("_count", _) => classic.count = Some(value),
                ("_sum", _) => classic.sum = value,
                _ => {}
            }
        }
    }
    for (labels, times) in found {
        for (time, classic) in times {
            source.push_histogram(&labels, time, native(classic));
        }
    }
    Ok(())
}

fn native(mut classic: Classic) -> Histogram {
    classic.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let counts: Vec<f64> = classic.buckets.iter().map(|(_, count)| *count).collect();
    let count = classic.count.or(counts.last().copied()).unwrap_or(0.0);
    let finite: Vec<f64> = classic.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect();
    let cumulative = counts.iter().copied().take(finite.len()).chain([count]);
    let mut before = 0.0;
    let buckets = cumulative.zip(0..).map(|(cumulative, index)| {
        let own = cumulative - before;
        before = cumulative;
        (index, own)
    });
    let positive = Buckets::new(buckets.collect::<Vec<_>>());
    Histogram {
        schema: CUSTOM_SCHEMA,
        count,
        sum: classic.sum,
        positive,
        bounds: finite.into(),
        ..Histogram::default()
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
    fail_message: Option<Text>,
    text: Option<String>,
    /// Of warnings and infos: whether there have to be some, or none; and what each has to be.
    warn: Option<bool>,
    info: Option<bool>,
    warnings: Vec<Text>,
    infos: Vec<Text>,
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
            let (labels, sequence) = metric(line)?;
            self.series.push((labels, cells(sequence)?));
        }
        Ok(())
    }

    fn check(&self, source: &MemorySource) -> Result<Outcome, String> {
        let answer = match self.when {
            When::Instant(at) => promql::instant(source, self.query, at, &options()),
            When::Range(start, end, step) => {
                Steps::range(start, end, step).and_then(|steps| promql::range(source, self.query, steps, &options()))
            }
        };
        let answer = match answer {
            Err(PromqlError::Unsupported { construct, .. }) => return Ok(Outcome::Skipped(construct)),
            Err(error) if self.fails => {
                let text = error.to_string();
                return match &self.fail_message {
                    Some(message) if !message.is(&text) => Err(format!("fails with {text:?}")),
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

    fn check_value(&self, value: &Value) -> Result<(), String> {
        let expected: BTreeMap<Labels, Vec<(usize, Expected)>> = self
            .series
            .iter()
            .map(|(labels, cells)| {
                let cells = cells.iter().enumerate().filter_map(|(index, cell)| match cell {
                    Cell::Number(value) => Some((index, Expected::Number(*value))),
                    Cell::Histogram(written) => Some((index, Expected::Histogram(written.clone()))),
                    Cell::Nothing => None,
                });
                (labels.clone(), cells.collect())
            })
            .collect();
        let index = |time: i64| match (&self.when, &self.raw) {
            (_, Some(steps)) => steps.iter().position(|step| step == time),
            (When::Instant(_), None) => Some(0),
            (When::Range(start, _, step), None) => usize::try_from((time - start) / step).ok(),
        };
        let got: BTreeMap<Labels, Vec<(usize, Element)>> = match value {
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
                vector.iter().map(|(labels, point)| (labels.clone(), vec![(0, point.element.clone())])).collect()
            }
            Value::Matrix(matrix) => {
                let mut got = BTreeMap::new();
                for (labels, points) in matrix {
                    let numbers = points.numbers.iter().map(|sample| (sample.time, Element::Number(sample.value)));
                    let histograms = points.histograms.iter();
                    let histograms = histograms.map(|(time, histogram)| (*time, Element::Histogram(histogram.clone())));
                    let mut cells = Vec::new();
                    for (time, element) in numbers.chain(histograms) {
                        cells.push((index(time).ok_or_else(|| format!("a sample at {time}"))?, element));
                    }
                    cells.sort_by_key(|(index, _)| *index);
                    got.insert(labels.clone(), cells);
                }
                got
            }
        };
        let same_cells = |a: &[(usize, Expected)], b: &[(usize, Element)]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.is(&b.1))
        };
        // A scalar over a range is a series without labels.
        if let (Some(expected), Value::Matrix(_)) = (self.scalar, value) {
            let expected = Expected::Number(expected);
            let all = got.values().flatten().all(|(_, element)| expected.is(element));
            return if all { Ok(()) } else { Err(format!("gives {got:?}")) };
        }
        let same =
            expected.len() == got.len() && expected.iter().zip(&got).all(|(a, b)| a.0 == b.0 && same_cells(a.1, b.1));
        if same && self.scalar.is_none() && self.text.is_none() { Ok(()) } else { Err(format!("gives {got:?}")) }
    }

    // An instant is also one step of a range: the same numbers have to come out of the middle of three steps.
    fn check_as_range(
        &self,
        source: &MemorySource,
        at: i64,
        expected: &[(Labels, promql::Point)],
    ) -> Result<(), String> {
        if ["start()", "end()", "range()", "step()"].iter().any(|fact| self.query.to_lowercase().contains(fact)) {
            return Ok(());
        }
        let steps = Steps::range(at - 60_000, at + 60_000, 60_000).map_err(|error| error.to_string())?;
        let answer = match promql::range(source, self.query, steps, &options()) {
            Ok(answer) => answer,
            // The steps before and after may have errors of their own.
            Err(PromqlError::Execution(_)) => return Ok(()),
            Err(error) => return Err(format!("fails as a range with {error}")),
        };
        let Value::Matrix(matrix) = answer.value else { return Err("a range query gave no matrix".into()) };
        let mut middle = Vec::new();
        for (labels, points) in &matrix {
            let numbers = points.numbers.iter().filter(|sample| sample.time == at);
            middle.extend(numbers.map(|sample| (labels, Element::Number(sample.value))));
            let histograms = points.histograms.iter().filter(|(time, _)| *time == at);
            middle.extend(histograms.map(|(_, histogram)| (labels, Element::Histogram(histogram.clone()))));
        }
        let mut expected: Vec<_> = expected.iter().collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        let same = middle.len() == expected.len()
            && middle.iter().zip(expected).all(|(a, b)| *a.0 == b.0 && Expected::from(&b.1.element).is(&a.1));
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

/// What has to be at a step.
#[derive(Clone, Debug)]
enum Expected {
    Number(f64),
    Histogram(Written),
}

impl From<&Element> for Expected {
    fn from(element: &Element) -> Self {
        match element {
            Element::Number(value) => Expected::Number(*value),
            Element::Histogram(histogram) => {
                Expected::Histogram(Written { histogram: histogram.clone(), says_hint: true })
            }
        }
    }
}

impl Expected {
    fn is(&self, got: &Element) -> bool {
        match (self, got) {
            (Expected::Number(expected), Element::Number(got)) => close(*expected, *got),
            (Expected::Histogram(expected), Element::Histogram(got)) => {
                let hint = !expected.says_hint || expected.histogram.hint == got.hint;
                hint && close_histograms(&expected.histogram, got)
            }
            _ => false,
        }
    }
}

fn close_histograms(expected: &Histogram, got: &Histogram) -> bool {
    let buckets = |expected: &Buckets, got: &Buckets| {
        let all = expected.iter().chain(got.iter());
        all.map(|(index, _)| index).all(|index| close(expected.get(index), got.get(index)))
    };
    expected.schema == got.schema
        && close(expected.count, got.count)
        && close(expected.sum, got.sum)
        && close(expected.zero_threshold, got.zero_threshold)
        && close(expected.zero_count, got.zero_count)
        && buckets(&expected.positive, &got.positive)
        && buckets(&expected.negative, &got.negative)
        && expected.bounds == got.bounds
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
