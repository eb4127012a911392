//! The format of test files, strict: what is not known is refused with its line and the nearest key.

use std::collections::BTreeMap;

use model::Timestamp;
use model::yaml::{self, Content, Node};

use super::input::{self, InputLogs, InputSpans};
use crate::rules::file::FileError;
use crate::rules::file::fields::{Errors, Fields};
use crate::rules::limits;
use crate::rules::template::parse_float;

/// A test file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TestFile {
    /// Patterns of rule files, relative to the test file.
    pub rule_files: Vec<String>,
    /// Milliseconds between evaluations.
    pub evaluation_interval_ms: i64,
    /// Names of groups in the order of their evaluation; others keep their place.
    pub group_eval_order: Vec<String>,
    /// Whether values may differ in the last bit.
    pub fuzzy_compare: bool,
    /// The tests.
    pub tests: Vec<TestGroup>,
}

/// Input series, and what is expected of rules and expressions over them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TestGroup {
    /// For messages; may be empty.
    pub name: String,
    /// Milliseconds between two values of the input.
    pub interval_ms: i64,
    /// The input.
    pub input_series: Vec<InputSeries>,
    /// Log records: Sextant's own.
    pub input_logs: Vec<InputLogs>,
    /// Spans: Sextant's own.
    pub input_spans: Vec<InputSpans>,
    /// Expected alerts.
    pub alert_rule_tests: Vec<AlertTest>,
    /// Expected samples.
    pub promql_expr_tests: Vec<ExprTest>,
    /// `$externalLabels`
    pub external_labels: BTreeMap<String, String>,
    /// `$externalURL`
    pub external_url: String,
    /// The time of the first value, in milliseconds since the Unix epoch.
    pub start_ms: i64,
}

/// A series in notation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputSeries {
    /// Its name and labels.
    pub series: String,
    /// Its values.
    pub values: String,
}

/// Which alerts of a name have to fire at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertTest {
    /// Milliseconds since the first value.
    pub eval_time_ms: i64,
    /// The rules' name.
    pub alertname: String,
    /// All of them.
    pub exp_alerts: Vec<ExpectedAlert>,
}

/// An alert that has to fire.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedAlert {
    /// All labels but `alertname`.
    pub labels: BTreeMap<String, String>,
    /// All annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Which samples an expression has to give at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExprTest {
    /// PromQL.
    pub expr: String,
    /// Milliseconds since the first value.
    pub eval_time_ms: i64,
    /// All of them.
    pub exp_samples: Vec<ExpectedSample>,
}

/// A sample that has to be given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedSample {
    /// Name and labels in notation.
    pub labels: String,
    /// Its value.
    pub value: f64,
    /// A native histogram in notation; empty if it is a number.
    pub histogram: String,
}

const MINUTE_MS: i64 = 60_000;

const FILE_KEYS: [&str; 5] = ["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"];
const GROUP_KEYS: [&str; 10] = [
    "name",
    "interval",
    "input_series",
    "input_logs",
    "input_spans",
    "alert_rule_test",
    "promql_expr_test",
    "external_labels",
    "external_url",
    "start_timestamp",
];

impl TestFile {
    /// Reads a file's text. `path` is what the file is called in messages.
    pub fn parse(path: &str, text: &str) -> Result<TestFile, Vec<FileError>> {
        let mut errors = Errors::new(path);
        let file = match yaml::parse(text, limits::FILE_BOUNDS) {
            Ok(root) => root.and_then(|root| file(&root, &mut errors)).unwrap_or_default(),
            Err(error) => {
                errors.syntax(error);
                TestFile::default()
            }
        };
        let found = errors.into_found();
        if found.is_empty() { Ok(file) } else { Err(found) }
    }
}

fn file(root: &Node, errors: &mut Errors) -> Option<TestFile> {
    let fields = Fields::of(root, "a test file", &FILE_KEYS, errors)?;
    let interval = fields.duration("evaluation_interval", errors).filter(|interval| *interval > 0);
    Some(TestFile {
        rule_files: texts(&fields, "rule_files", errors),
        evaluation_interval_ms: interval.unwrap_or(MINUTE_MS),
        group_eval_order: texts(&fields, "group_eval_order", errors),
        fuzzy_compare: flag(&fields, "fuzzy_compare", errors),
        tests: all(fields.list("tests", errors), errors, test),
    })
}

fn test(node: &Node, errors: &mut Errors) -> Option<TestGroup> {
    let fields = Fields::of(node, "a test", &GROUP_KEYS, errors)?;
    let name = fields.text("name", errors);
    let interval_ms = fields.duration("interval", errors).filter(|interval| *interval > 0).unwrap_or(MINUTE_MS);
    let (logs, spans) = (fields.list("input_logs", errors), fields.list("input_spans", errors));
    let test = TestGroup {
        interval_ms,
        input_series: all(fields.list("input_series", errors), errors, input_series),
        input_logs: logs.iter().filter_map(|node| input::logs(node, interval_ms, errors)).collect(),
        input_spans: spans.iter().filter_map(|node| input::spans(node, interval_ms, errors)).collect(),
        alert_rule_tests: all(fields.list("alert_rule_test", errors), errors, alert_test),
        promql_expr_tests: all(fields.list("promql_expr_test", errors), errors, expr_test),
        external_labels: names(&fields, "external_labels", errors),
        external_url: fields.text("external_url", errors),
        start_ms: start(&fields, errors),
        name,
    };
    Some(test)
}

fn input_series(node: &Node, errors: &mut Errors) -> Option<InputSeries> {
    let fields = Fields::of(node, "an input series", &["series", "values"], errors)?;
    Some(InputSeries { series: fields.text("series", errors), values: fields.text("values", errors) })
}

fn alert_test(node: &Node, errors: &mut Errors) -> Option<AlertTest> {
    let fields = Fields::of(node, "an alert test", &["eval_time", "alertname", "exp_alerts"], errors)?;
    let test = AlertTest {
        eval_time_ms: fields.duration("eval_time", errors).unwrap_or(0),
        alertname: fields.text("alertname", errors),
        exp_alerts: all(fields.list("exp_alerts", errors), errors, expected_alert),
    };
    if test.alertname.is_empty() {
        let time = crate::rules::file::format_duration(test.eval_time_ms);
        let message = format!("an item under alert_rule_test misses required attribute alertname at eval_time {time}");
        errors.add(node.place, message);
    }
    Some(test)
}

fn expected_alert(node: &Node, errors: &mut Errors) -> Option<ExpectedAlert> {
    let fields = Fields::of(node, "an expected alert", &["exp_labels", "exp_annotations"], errors)?;
    let labels = names(&fields, "exp_labels", errors);
    Some(ExpectedAlert { labels, annotations: names(&fields, "exp_annotations", errors) })
}

fn expr_test(node: &Node, errors: &mut Errors) -> Option<ExprTest> {
    let fields = Fields::of(node, "an expression test", &["expr", "eval_time", "exp_samples"], errors)?;
    Some(ExprTest {
        expr: fields.text("expr", errors),
        eval_time_ms: fields.duration("eval_time", errors).unwrap_or(0),
        exp_samples: all(fields.list("exp_samples", errors), errors, expected_sample),
    })
}

fn expected_sample(node: &Node, errors: &mut Errors) -> Option<ExpectedSample> {
    let fields = Fields::of(node, "an expected sample", &["labels", "value", "histogram"], errors)?;
    let text = fields.text("value", errors);
    let value = number(&text).unwrap_or_else(|| {
        errors.add(fields.place("value"), format!("value has to be a number, not {text:?}"));
        0.0
    });
    Some(ExpectedSample { labels: fields.text("labels", errors), value, histogram: fields.text("histogram", errors) })
}

// A number as YAML writes it.
fn number(text: &str) -> Option<f64> {
    match text.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str() {
        "" if text.is_empty() => Some(0.0),
        ".inf" => Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        ".nan" => Some(f64::NAN),
        digits if digits.starts_with("0x") => {
            let magnitude = i64::from_str_radix(&digits[2..], 16).ok()? as f64;
            Some(if text.starts_with('-') { -magnitude } else { magnitude })
        }
        // YAML has other words for these.
        digits if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => parse_float(&text.replace('_', "")),
        _ => None,
    }
}

fn start(fields: &Fields<'_>, errors: &mut Errors) -> i64 {
    let text = fields.text("start_timestamp", errors);
    if text.is_empty() {
        return 0;
    }
    // Relative times mean nothing where there is no now.
    let is_absolute = text.starts_with(|c: char| c.is_ascii_digit());
    match Timestamp::parse(&text, Timestamp::default()).ok().filter(|_| is_absolute) {
        Some(start) => start.as_millis(),
        None => {
            let hint = Some("write RFC 3339 or Unix seconds".to_owned());
            errors.add_with_hint(
                fields.place("start_timestamp"),
                format!("cannot read the start_timestamp {text:?}"),
                hint,
            );
            0
        }
    }
}

fn all<T>(nodes: &[Node], errors: &mut Errors, read: fn(&Node, &mut Errors) -> Option<T>) -> Vec<T> {
    nodes.iter().filter_map(|node| read(node, errors)).collect()
}

fn texts(fields: &Fields<'_>, key: &str, errors: &mut Errors) -> Vec<String> {
    let mut texts = Vec::new();
    for node in fields.list(key, errors) {
        match &node.content {
            Content::Scalar(text) => texts.push(text.clone()),
            _ => errors.add(node.place, format!("{key} has to be a list of texts")),
        }
    }
    texts
}

fn names(fields: &Fields<'_>, key: &str, errors: &mut Errors) -> BTreeMap<String, String> {
    fields.texts(key, errors).into_iter().map(|(name, (text, _))| (name, text)).collect()
}

fn flag(fields: &Fields<'_>, key: &str, errors: &mut Errors) -> bool {
    let text = fields.text(key, errors);
    match text.to_ascii_lowercase().as_str() {
        "" | "false" | "no" | "off" => false,
        "true" | "yes" | "on" => true,
        _ => {
            errors.add(fields.place(key), format!("{key} has to be true or false, not {text:?}"));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_yaml() {
        for (text, expected) in [
            ("1", Some(1.0)),
            ("-1.5e3", Some(-1500.0)),
            (".5", Some(0.5)),
            ("1_000", Some(1000.0)),
            ("0x10", Some(16.0)),
            ("-.Inf", Some(f64::NEG_INFINITY)),
            ("", Some(0.0)),
            ("Inf", None),
            ("one", None),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
        assert!(number(".NaN").is_some_and(f64::is_nan));
    }
}
