//! A group of rules at work: its rules one after the other at one timestamp, each over what the one before it has committed.
//!
//! What happens at one evaluation of an alerting rule, in this order: the condition, the state machine, one commit of the alerts'
//! state with their history and what the notifications keep, and only then anything leaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::stats::{Counter, Gauge, Seconds, Stats};
use model::{Clock, Timestamp};
use store::Store;
use tokio::sync::Semaphore;

use super::alert::fingerprint;
use super::alerting::{ActiveAlert, Step, Transition};
use super::condition::{View, chain};
use super::file;
use super::history::{History, Record};
use super::limits;
use super::receiver::Receiver;
use super::rule::RunningRule;
use super::state::{RuleId, owned};
use crate::admission::Cancel;
use crate::promql::Translator;

/// What all groups work with.
pub struct Context {
    /// Where rows are, and where they go.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters of the whole process.
    pub stats: Stats,
    /// Bounds of one evaluation.
    pub config: Arc<crate::Config>,
    /// Shared by all PromQL of rules.
    pub translator: Arc<Translator>,
    /// Added to every alert that leaves.
    pub external_labels: BTreeMap<String, String>,
    /// Where people reach this server.
    pub external_url: String,
    /// Who is told.
    pub receiver: Arc<dyn Receiver>,
    /// The transitions on their way to the log.
    pub history: History,
    /// Places for evaluations.
    pub permits: Arc<Semaphore>,
    /// Set when the server stops.
    pub cancel: Cancel,
}

impl Context {
    /// The store as it is now, for one evaluation.
    pub fn view(&self) -> View {
        View {
            snapshot: self.store.snapshot(),
            translator: Arc::clone(&self.translator),
            config: Arc::clone(&self.config),
            clock: Arc::clone(&self.clock),
            cancel: self.cancel.clone(),
        }
    }

    /// The labels an alert leaves with. Its own win over the external ones.
    pub fn labels_of(&self, alert: &ActiveAlert) -> BTreeMap<String, String> {
        let mut labels = self.external_labels.clone();
        labels.extend(owned(&alert.labels));
        labels
    }

    /// What is written down of a step.
    pub fn records(&self, rule: &RuleId, step: &Step, at: Timestamp) -> Vec<Record> {
        let record = |transition: &Transition| {
            Record::new(rule, transition, fingerprint(&self.labels_of(&transition.alert)), at)
        };
        step.transitions.iter().map(record).collect()
    }

    /// Writes transitions to the log. They are durable already: if the log does not take them now, they wait.
    pub async fn tell(&self, records: Vec<Record>) {
        if let Err(error) = self.history.write(records).await {
            tracing::warn!("transitions of alerts wait for the log: {}", chain(&error));
        }
    }
}

/// A group of a rule file, and how far it is.
pub struct Group {
    /// The file it stands in.
    pub path: String,
    /// As it was read.
    pub spec: file::Group,
    /// Milliseconds between evaluations.
    pub interval_ms: i64,
    /// In the order of their evaluation.
    pub rules: Vec<Arc<RunningRule>>,
    progress: Mutex<Progress>,
    metrics: Metrics,
}

/// How far a group is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// When the last evaluation began.
    pub last_evaluation: Option<Timestamp>,
    /// How long it took.
    pub took: Duration,
    /// Evaluations that were left out because the one before took too long.
    pub missed: u64,
}

#[derive(Clone)]
struct Metrics {
    evaluations: Counter,
    failures: Counter,
    missed: Counter,
    seconds: Seconds,
    last: Gauge,
}

impl Metrics {
    fn new(stats: &Stats, path: &str, group: &str) -> Self {
        let name = format!("{path};{group}");
        let labels = [("rule_group", name.as_str())];
        Self {
            evaluations: stats.counter("sextant_rule_evaluations_total", "Evaluations of rules.", &labels),
            failures: stats.counter("sextant_rule_evaluation_failures_total", "Those that failed.", &labels),
            missed: stats.counter(
                "sextant_rule_group_iterations_missed_total",
                "Evaluations of groups that were left out because the one before took too long.",
                &labels,
            ),
            seconds: stats.seconds("sextant_rule_group_seconds", "Time that an evaluation of a group takes.", &labels),
            last: stats.gauge(
                "sextant_rule_group_last_evaluation_timestamp_seconds",
                "When the last evaluation of a group began, in seconds since the Unix epoch.",
                &labels,
            ),
        }
    }
}

impl Group {
    /// A group that has not been evaluated yet. Its rules were read without a mistake.
    pub fn new(path: &str, spec: file::Group, default_interval_ms: i64, stats: &Stats) -> Result<Self, String> {
        let mut rules = Vec::with_capacity(spec.rules.len());
        let mut ordinals: BTreeMap<(String, BTreeMap<String, String>), usize> = BTreeMap::new();
        for rule in &spec.rules {
            let ordinal = ordinals.entry((rule.name.clone(), rule.labels.clone())).or_default();
            let (file, group) = (path.to_owned(), spec.name.clone());
            let id = RuleId { file, group, name: rule.name.clone(), labels: rule.labels.clone(), ordinal: *ordinal };
            *ordinal += 1;
            rules.push(Arc::new(RunningRule::new(id, &spec, rule)?));
        }
        let metrics = Metrics::new(stats, path, &spec.name);
        let interval_ms = spec.interval_ms.unwrap_or(default_interval_ms).max(limits::INTERVAL_MIN_MS);
        Ok(Self { path: path.to_owned(), spec, interval_ms, rules, progress: Mutex::default(), metrics })
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        *lock(&self.progress)
    }

    /// The last moment at or before `now_ms` at which the group is due: groups are spread over their interval by a hash of file
    /// and name, the same at every start.
    pub fn slot(&self, now_ms: i64) -> i64 {
        let name =
            BTreeMap::from([("file".to_owned(), self.path.clone()), ("name".to_owned(), self.spec.name.clone())]);
        let offset = (fingerprint(&name) % self.interval_ms.unsigned_abs()) as i64;
        now_ms - (now_ms - offset).rem_euclid(self.interval_ms)
    }

    /// Counts evaluations that were left out.
    pub fn note_missed(&self, missed: u64) {
        self.metrics.missed.add(missed);
        lock(&self.progress).missed += missed;
    }

    /// Evaluates all rules at `at_ms`. What fails is noted at its rule; the others go on.
    pub async fn evaluate(&self, context: &Arc<Context>, at_ms: i64) {
        let (began, start) = (context.clock.now(), context.clock.monotonic());
        for rule in &self.rules {
            if context.cancel.is_cancelled() {
                return;
            }
            self.metrics.evaluations.add(1);
            if let Err(error) = rule.evaluate(context, at_ms).await {
                self.metrics.failures.add(1);
                tracing::warn!(file = self.path, group = self.spec.name, rule = rule.id.name, "a rule failed: {error}");
            }
        }
        let took = context.clock.monotonic().saturating_sub(start);
        self.metrics.seconds.observe(took);
        self.metrics.last.set(u64::try_from(began.as_millis() / 1000).unwrap_or(0));
        let mut progress = lock(&self.progress);
        progress.last_evaluation = Some(began);
        progress.took = took;
    }
}

/// Locks what is only held to look or to replace: nothing can be half done when a holder panics.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
