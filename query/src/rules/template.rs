//! Go's text templates as Prometheus uses them in the labels and annotations of alerts, byte for byte, errors too.
//!
//! Besides Prometheus's `$labels`, `$value`, `$externalLabels` and `$externalURL` there are `$samples`, `$traceURL` and
//! `$logsURL`. Not HTML templates, and not the templates of notifications. The alerting rules expand them, `sextant rules
//! check` parses them.

mod builtin;
mod execute;
mod float;
mod function;
mod humanize;
mod lex;
pub mod limits;
mod method;
mod moment;
mod number;
mod parse;
mod print;
mod prometheus;
mod quote;
mod tree;
mod value;

use std::collections::BTreeMap;
use std::rc::Rc;

use model::Labels;
use model::wire::alerts::AlertSample;

// Go's ways of writing, for what else speaks in Prometheus's words.
pub(in crate::rules) use float::{Shape, format as format_float};
pub(in crate::rules) use moment::print_duration;
pub(in crate::rules) use number::parse_float;
pub(in crate::rules) use quote::quote;

use function::Context;
use tree::Trees;
use value::{Map, Root, Value};

/// What stands before every template, as in Prometheus: it gives the variables their names, and columns in complaints count
/// from its beginning.
const PRELUDE: &str =
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// Variables that Prometheus does not have. They are there from the start, so that no column moves.
const OWN_VARIABLES: [&str; 3] = ["$samples", "$traceURL", "$logsURL"];

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    name: String,
    text: String,
    trees: Trees,
}

/// What a template is expanded with.
pub struct Data<'a> {
    /// The alert's labels as the expression gave them, the metric's name among them.
    pub labels: &'a BTreeMap<String, String>,
    /// This server's labels.
    pub external_labels: &'a BTreeMap<String, String>,
    /// Where people reach this server.
    pub external_url: &'a str,
    /// The expression's value.
    pub value: f64,
    /// The moment of the evaluation, in milliseconds since the Unix epoch: `query` asks for it.
    pub at_ms: i64,
    /// Records that made the alert.
    pub samples: &'a [AlertSample],
    /// Where the trace of such a record is shown; may be empty.
    pub trace_url: &'a str,
    /// Where such records are shown; may be empty.
    pub logs_url: &'a str,
}

/// What the function `query` asks.
pub trait Query {
    /// The series of an instant query, and their values.
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<(Labels, f64)>, String>;
}

/// Why a template is none, or could not be expanded. The text is Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It does not parse.
    #[error("error parsing template {name}: {message}")]
    Parse {
        /// The template's name.
        name: String,
        /// Go's complaint; begins with `template: NAME:LINE:`.
        message: String,
    },
    /// It went wrong while it was expanded.
    #[error("error executing template {name}: {message}")]
    Execute {
        /// The template's name.
        name: String,
        /// Go's complaint; begins with `template: NAME:LINE:COLUMN:`.
        message: String,
    },
}

impl TemplateError {
    /// The complaint without the word of what failed.
    pub fn message(&self) -> &str {
        match self {
            TemplateError::Parse { message, .. } | TemplateError::Execute { message, .. } => message,
        }
    }
}

impl Template {
    /// Parses a template. Prometheus names those of an alert `__alert_` and the alert's name.
    pub fn parse(name: &str, text: &str) -> Result<Template, TemplateError> {
        let refuse = |message| TemplateError::Parse { name: name.to_owned(), message };
        if text.len() > limits::TEXT_BYTES_MAX {
            let message = format!("template: {name}:1: more than {} bytes", limits::TEXT_BYTES_MAX);
            return Err(refuse(message));
        }
        let text = format!("{PRELUDE}{text}");
        let trees = parse::parse(name, &text, &OWN_VARIABLES).map_err(refuse)?;
        Ok(Template { name: name.to_owned(), text, trees })
    }

    /// Expands the template. What it may cost is bounded; see [`limits`].
    pub fn expand(&self, data: &Data<'_>, query: &dyn Query) -> Result<String, TemplateError> {
        let root = Root {
            labels: Rc::new(data.labels.clone()),
            external_labels: Rc::new(data.external_labels.clone()),
            external_url: data.external_url.into(),
            value: data.value,
        };
        let records = data.samples.iter().map(|sample| Rc::new(record(sample))).collect();
        let own = [Value::Records(records), Value::text(data.trace_url), Value::text(data.logs_url)];
        let known = OWN_VARIABLES.into_iter().zip(own).collect();
        let context = Context { data, query, queries: 0, cost: 0 };
        execute::execute(&self.name, &self.text, &self.trees, Value::Root(Rc::new(root)), known, context)
            .map_err(|message| TemplateError::Execute { name: self.name.clone(), message })
    }
}

// `$samples` holds maps, so that what a record does not have is empty like a label that is not there.
fn record(sample: &AlertSample) -> Map {
    let known = [
        ("timestamp", Some(&sample.timestamp)),
        ("time", Some(&sample.timestamp)),
        ("service", sample.service.as_ref()),
        ("severity", sample.severity.as_ref()),
        ("text", Some(&sample.text)),
        ("body", Some(&sample.text)),
        ("trace_id", sample.trace_id.as_ref()),
        ("span_id", sample.span_id.as_ref()),
        ("correlation_id", sample.correlation_id.as_ref()),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone()))).collect()
}
