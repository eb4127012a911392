//! A rule under test: the server's conditions, templates and state machine, over what the test says there is.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;

use super::file::TestGroup;
use crate::promql::{Element as Sampled, MemorySource, Options};
use crate::rules::alerting::{self, Alerts, Timing, Wanted};
use crate::rules::condition::{self, Asking, Condition, Element, View};
use crate::rules::expand::{Around, Templates};
use crate::rules::file::{Group, Rule};
use crate::rules::links::{Subject, shown};
use crate::rules::recording;
use crate::rules::samples::{self, Samples};
use crate::rules::template::TemplateError;

/// A rule, and what it has come to.
pub struct Tested<'t> {
    group: &'t Group,
    /// As it was read.
    pub rule: &'t Rule,
    /// Its alerts after the last evaluation.
    pub alerts: Alerts,
    /// The series that the last evaluation yielded.
    pub series: BTreeSet<Labels>,
    condition: Condition,
    templates: Templates,
    samples: Samples,
}

/// What there is when a rule is evaluated.
pub struct World<'w> {
    /// The series.
    pub source: &'w MemorySource,
    /// Log records and spans; `None` if no rule of the test counts any.
    pub records: Option<&'w View>,
    /// Labels and URL of the server that is played.
    pub test: &'w TestGroup,
    /// What the evaluation may cost.
    pub options: Options,
}

impl<'t> Tested<'t> {
    /// A rule that has not been evaluated yet.
    pub fn new(group: &'t Group, rule: &'t Rule) -> Result<Self, String> {
        let nothing = BTreeMap::new();
        let (labels, annotations) = match rule.alert() {
            Some(alert) => (&rule.labels, &alert.annotations),
            // The labels of recorded series are no templates.
            None => (&nothing, &nothing),
        };
        let first = |errors: Vec<(String, TemplateError)>| {
            errors.first().map(|(place, error)| format!("{place}: {error}")).unwrap_or_default()
        };
        Ok(Self {
            group,
            rule,
            alerts: Alerts::new(),
            series: BTreeSet::new(),
            condition: Condition::new(group, rule)?,
            templates: Templates::parse(&rule.name, labels, annotations).map_err(first)?,
            samples: Samples::new(),
        })
    }

    /// The series that it yields at `now`, in milliseconds.
    pub fn evaluate(&mut self, world: &World<'_>, now: i64) -> Result<Vec<(Labels, Sampled)>, String> {
        let Some(alert) = self.rule.alert() else {
            let elements = self.recorded(world, now)?;
            return recording::series(&self.rule.name, &self.rule.labels, elements, self.group.limit);
        };
        let elements = self.elements(world, now)?;
        if let Some(view) = world.records {
            self.samples = samples::look_up(&self.condition, view, &self.samples, &elements, now);
        }
        let wanted = elements.iter().map(|element| self.wanted(world, element, now)).collect();
        let timing =
            Timing { for_ms: alert.for_ms, keep_firing_for_ms: alert.keep_firing_for_ms, limit: self.group.limit };
        let step = alerting::step(&timing, &self.alerts, wanted, now)?;
        self.alerts = step.alerts;
        let series = step.series.into_iter().map(|(labels, value)| (labels, Sampled::Number(value)));
        step.error.map_or(Ok(series.collect()), Err)
    }

    fn recorded(&self, world: &World<'_>, now: i64) -> Result<Vec<(Labels, Sampled)>, String> {
        match (&self.condition, world.records) {
            (Condition::Promql { plan, offset_ms }, _) => {
                condition::sampled(world.source, plan, now.saturating_sub(*offset_ms), &world.options)
            }
            (Condition::Count(_), Some(view)) => self.condition.recorded(view, now),
            (Condition::Count(_), None) => Err("there are no records to count".to_owned()),
        }
    }

    fn elements(&self, world: &World<'_>, now: i64) -> Result<Vec<Element>, String> {
        match (&self.condition, world.records) {
            (Condition::Promql { plan, offset_ms }, _) => {
                condition::vector(world.source, plan, now.saturating_sub(*offset_ms), &world.options)
            }
            (Condition::Count(_), Some(view)) => self.condition.evaluate(view, now),
            (Condition::Count(_), None) => Err("there are no records to count".to_owned()),
        }
    }

    fn wanted(&self, world: &World<'_>, element: &Element, now: i64) -> Wanted {
        let samples = samples::of(&self.samples, &element.labels);
        let subject = Subject {
            condition: &self.condition,
            expr: &self.rule.expr,
            labels: &element.labels,
            samples,
            from_ms: now,
            until_ms: now,
        };
        let (trace_url, logs_url) = shown(&world.test.external_url, &subject);
        let around = Around {
            external_labels: &world.test.external_labels,
            external_url: &world.test.external_url,
            query: &Asking { source: world.source, options: &world.options },
            at_ms: now.saturating_sub(self.group.query_offset_ms),
            samples,
            trace_url: &trace_url,
            logs_url: &logs_url,
        };
        self.templates.wanted(&self.rule.name, element, &around)
    }
}
