//! A rule at work: what its condition yields becomes alerts or series, and those become durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{Labels, Timestamp};
use store::StoreError;

use super::alert::Alert;
use super::alerting::{ActiveAlert, Alerts, Step, Timing, step};
use super::condition::{Asking, Condition, Element, chain};
use super::expand::{Around, Templates};
use super::file::{self, Action, Rule};
use super::group::{Context, lock};
use super::history::History;
use super::links::{Subject, links, shown};
use super::recording;
use super::samples::{self, Samples};
use super::state::{self, RuleId};
use super::template::{Query, TemplateError};
use crate::promql::Element as Sampled;

/// A rule, and what it has come to.
pub struct RunningRule {
    /// What makes it the same rule after a reload.
    pub id: RuleId,
    /// As it was read.
    pub rule: Rule,
    /// Its expression.
    pub condition: Condition,
    timing: Timing,
    query_offset_ms: i64,
    templates: Templates,
    // Held to look and to replace, never over an evaluation.
    state: Mutex<RuleState>,
}

/// What a rule has come to.
#[derive(Clone, Debug, Default)]
pub struct RuleState {
    /// Of alerting rules.
    pub alerts: Arc<Alerts>,
    /// The series of the last evaluation that did not fail.
    pub series: Arc<BTreeSet<Labels>>,
    /// `Ok` if the last evaluation did not fail; `None` before the first.
    pub health: Option<Result<(), String>>,
    /// When the last evaluation began.
    pub last_evaluation: Option<Timestamp>,
    /// The moment it was about, in milliseconds.
    pub at_ms: i64,
    /// How long it took.
    pub took: Duration,
    // Records by the labels of the condition's elements, with the time they were looked up.
    samples: Arc<Samples>,
}

impl RuleState {
    /// Of a rule that has these alerts and was not evaluated yet.
    pub fn of(alerts: Alerts) -> Self {
        Self { alerts: Arc::new(alerts), ..Self::default() }
    }
}

// What an evaluation comes to, before anything of it is durable.
enum Outcome {
    Series(Vec<(Labels, Sampled)>),
    Alerts(Step, Samples),
}

impl RunningRule {
    /// A rule that has not been evaluated yet, and that was read without a mistake.
    pub fn new(id: RuleId, group: &file::Group, rule: &Rule) -> Result<Self, String> {
        let nothing = BTreeMap::new();
        let (labels, annotations) = match &rule.action {
            Action::Alert(alert) => (&rule.labels, &alert.annotations),
            // The labels of recorded series are no templates.
            Action::Record => (&nothing, &nothing),
        };
        let first = |errors: Vec<(String, TemplateError)>| {
            errors.first().map(|(place, error)| format!("{place}: {error}")).unwrap_or_default()
        };
        let alert = rule.alert().cloned().unwrap_or_default();
        Ok(Self {
            id,
            condition: Condition::new(group, rule)?,
            timing: Timing { for_ms: alert.for_ms, keep_firing_for_ms: alert.keep_firing_for_ms, limit: group.limit },
            query_offset_ms: group.query_offset_ms,
            templates: Templates::parse(&rule.name, labels, annotations).map_err(first)?,
            rule: rule.clone(),
            state: Mutex::default(),
        })
    }

    /// What it has come to.
    pub fn state(&self) -> RuleState {
        lock(&self.state).clone()
    }

    /// Takes over what the same rule had come to before a reload or a restart.
    pub fn take_over(&self, before: RuleState) {
        *lock(&self.state) = before;
    }

    /// Evaluates the rule at `at_ms` and notes how that went. On an error its alerts are as they were.
    pub async fn evaluate(self: &Arc<Self>, context: &Arc<Context>, at_ms: i64) -> Result<(), String> {
        let (began, start) = (context.clock.now(), context.clock.monotonic());
        let result = self.try_evaluate(context, at_ms).await;
        let mut state = lock(&self.state);
        state.health = Some(result.clone());
        state.last_evaluation = Some(began);
        state.at_ms = at_ms;
        state.took = context.clock.monotonic().saturating_sub(start);
        result
    }

    async fn try_evaluate(self: &Arc<Self>, context: &Arc<Context>, at_ms: i64) -> Result<(), String> {
        // The semaphore is never closed.
        let permit = Arc::clone(&context.permits).acquire_owned().await.map_err(|error| error.to_string())?;
        let (rule, with) = (Arc::clone(self), Arc::clone(context));
        let computed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            rule.compute(&with, at_ms)
        });
        let outcome =
            computed.await.map_err(|_| "a defect ended the evaluation; the log has its message".to_owned())??;
        match outcome {
            Outcome::Series(series) => self.record(context, series, at_ms).await.map_err(|error| chain(&error)),
            Outcome::Alerts(step, samples) => {
                let (error, series) = (step.error.clone(), step.series.clone());
                self.commit(context, step, at_ms).await.map_err(|error| chain(&error))?;
                lock(&self.state).samples = Arc::new(samples);
                let series = series.into_iter().map(|(labels, value)| (labels, Sampled::Number(value))).collect();
                let recorded = self.record(context, series, at_ms).await.map_err(|error| chain(&error));
                error.map_or(recorded, Err)
            }
        }
    }

    fn compute(&self, context: &Context, at_ms: i64) -> Result<Outcome, String> {
        let view = context.view();
        if self.rule.alert().is_none() {
            let elements = self.condition.recorded(&view, at_ms)?;
            return recording::series(&self.rule.name, &self.rule.labels, elements, self.timing.limit)
                .map(Outcome::Series);
        }
        let elements = self.condition.evaluate(&view, at_ms)?;
        let before = self.state();
        let samples = samples::look_up(&self.condition, &view, &before.samples, &elements, at_ms);
        let query = Asking { source: &view.series(), options: &view.options() };
        let wanted = elements.iter().map(|element| self.wanted(context, &query, &samples, element, at_ms)).collect();
        Ok(Outcome::Alerts(step(&self.timing, &before.alerts, wanted, at_ms)?, samples))
    }

    fn wanted(
        &self,
        context: &Context,
        query: &dyn Query,
        samples: &Samples,
        element: &Element,
        at_ms: i64,
    ) -> super::alerting::Wanted {
        let samples = samples::of(samples, &element.labels);
        let subject = Subject {
            condition: &self.condition,
            expr: &self.rule.expr,
            labels: &element.labels,
            samples,
            from_ms: at_ms,
            until_ms: at_ms,
        };
        let (trace_url, logs_url) = shown(&context.external_url, &subject);
        let around = Around {
            external_labels: &context.external_labels,
            external_url: &context.external_url,
            query,
            at_ms,
            samples,
            trace_url: &trace_url,
            logs_url: &logs_url,
        };
        self.templates.wanted(&self.rule.name, element, &around)
    }

    // Makes the step durable, then lets it out.
    async fn commit(&self, context: &Context, step: Step, at_ms: i64) -> Result<(), StoreError> {
        let before = self.state().alerts;
        let records = context.records(&self.id, &step, Timestamp::from_millis(at_ms));
        let leaving: Vec<Alert> = step.send.iter().map(|alert| self.outgoing(context, alert, at_ms)).collect();
        let mut changes = state::changes(&self.id, &before, &step.alerts);
        changes.extend(History::changes(&records));
        changes.extend(context.receiver.changes(&leaving));
        if !changes.is_empty() {
            context.store.writer().change_state(changes).await?;
        }
        lock(&self.state).alerts = Arc::new(step.alerts);
        context.receiver.accept(leaving);
        context.tell(records).await;
        Ok(())
    }

    // Appends the series, and ends those that the evaluation before yielded and this one does not.
    async fn record(&self, context: &Context, series: Vec<(Labels, Sampled)>, at_ms: i64) -> Result<(), StoreError> {
        let before = self.state().series;
        let now: BTreeSet<Labels> = series.iter().map(|(labels, _)| labels.clone()).collect();
        let at = Timestamp::from_millis(at_ms.saturating_sub(self.query_offset_ms));
        let writer = context.store.writer();
        let batch = recording::batch(writer.series_key(), at, &series, before.difference(&now));
        writer.append(batch).await?;
        lock(&self.state).series = Arc::new(now);
        Ok(())
    }

    /// An alert as it leaves.
    pub fn outgoing(&self, context: &Context, alert: &ActiveAlert, until_ms: i64) -> Alert {
        let links = links(&context.external_url, &self.subject(alert, until_ms));
        let looked_at = ["metrics", "logs", "traces"].iter().find_map(|name| links.get(*name));
        Alert { generator_url: looked_at.cloned().unwrap_or_default(), links, ..bare(context, alert) }
    }

    /// What links of an alert are about.
    pub fn subject<'a>(&'a self, alert: &'a ActiveAlert, until_ms: i64) -> Subject<'a> {
        Subject {
            condition: &self.condition,
            expr: &self.rule.expr,
            labels: &alert.labels,
            samples: &alert.samples,
            from_ms: alert.active_at,
            until_ms,
        }
    }
}

/// An alert as it leaves if its rule is no longer there: without links.
pub fn bare(context: &Context, alert: &ActiveAlert) -> Alert {
    let nanos = |millis: i64| Timestamp::from_millis(millis).as_nanos();
    Alert {
        labels: context.labels_of(alert),
        annotations: alert.annotations.clone(),
        starts_at: nanos(alert.fired_at.unwrap_or(alert.active_at)),
        ends_at: alert.resolved_at.map(nanos),
        value: alert.value,
        generator_url: String::new(),
        links: BTreeMap::new(),
        samples: alert.samples.clone(),
    }
}
