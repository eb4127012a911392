//! The labels and annotations of alerts: a rule's templates, read once, and what they become for an element of its condition.

use std::collections::BTreeMap;

use model::Labels;
use model::labels::METRIC_NAME;
use model::wire::alerts::AlertSample;

use super::alerting::{ALERT_NAME, Wanted};
use super::condition::Element;
use super::state::owned;
use super::template::{Data, Query, Template, TemplateError};

/// The templates of one alerting rule.
#[derive(Debug)]
pub struct Templates {
    labels: Vec<(String, Template)>,
    annotations: Vec<(String, Template)>,
}

/// What templates may use besides the element.
pub struct Around<'a> {
    /// `$externalLabels`
    pub external_labels: &'a BTreeMap<String, String>,
    /// `$externalURL`
    pub external_url: &'a str,
    /// `query`
    pub query: &'a dyn Query,
    /// The evaluation's time, in milliseconds.
    pub at_ms: i64,
    /// `$samples`
    pub samples: &'a [AlertSample],
    /// `$traceURL`
    pub trace_url: &'a str,
    /// `$logsURL`
    pub logs_url: &'a str,
}

impl Templates {
    /// Reads the templates of the rule `name`. Mistakes come with the place they are in: `label "severity"`.
    pub fn parse(
        name: &str,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, Vec<(String, TemplateError)>> {
        let mut wrong = Vec::new();
        let mut read = |kind: &str, texts: &BTreeMap<String, String>| {
            let mut templates = Vec::with_capacity(texts.len());
            for (key, text) in texts {
                match Template::parse(&format!("__alert_{name}"), text) {
                    Ok(template) => templates.push((key.clone(), template)),
                    Err(error) => wrong.push((format!("{kind} {key:?}"), error)),
                }
            }
            templates
        };
        let templates = Self { labels: read("label", labels), annotations: read("annotation", annotations) };
        if wrong.is_empty() { Ok(templates) } else { Err(wrong) }
    }

    /// The alert that an element asks for. A template that fails becomes the text of its error; the alert fires all the same.
    pub fn wanted(&self, name: &str, element: &Element, around: &Around<'_>) -> Wanted {
        let of_element = owned(&element.labels);
        let data = Data {
            labels: &of_element,
            external_labels: around.external_labels,
            external_url: around.external_url,
            value: element.value,
            at_ms: around.at_ms,
            samples: around.samples,
            trace_url: around.trace_url,
            logs_url: around.logs_url,
        };
        let expand = |template: &Template| {
            template.expand(&data, around.query).unwrap_or_else(|error| {
                tracing::warn!(alert = name, "a template failed: {error}");
                format!("<error expanding template: {error}>")
            })
        };
        let own = of_element.iter().filter(|(label, _)| *label != METRIC_NAME);
        let own = own.map(|(label, value)| (label.clone(), value.clone()));
        let given = self.labels.iter().map(|(label, template)| (label.clone(), expand(template)));
        let named = [(ALERT_NAME.to_owned(), name.to_owned())];
        let labels: Vec<(String, String)> = own.chain(given).chain(named).collect();
        let annotations = self.annotations.iter().map(|(key, template)| (key.clone(), expand(template)));
        Wanted {
            labels: Labels::new(labels),
            annotations: annotations.collect(),
            value: element.value,
            samples: around.samples.to_vec(),
        }
    }
}
