//! The rules of a server: loaded, restored, evaluated by one task per group, reloaded, stopped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::memory::Memory;
use model::stats::{Counter, Gauge, Stats};
use model::{Clock, Timestamp, file_patterns};
use store::Store;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::file::{FileError, RuleFile};
use super::group::{Context, Group, lock};
use super::history::History;
use super::receiver::Receiver;
use super::reload::{self, LoadError};
use super::{Config, limits, restore};
use crate::admission::Cancel;

/// What the rules of a server are made from.
pub struct Setup {
    /// The table `[rules]`.
    pub config: Config,
    /// Bounds of one evaluation.
    pub query: crate::Config,
    /// Where rows are, and where they go.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where the rules count.
    pub stats: Stats,
    /// Who is told of alerts.
    pub receiver: Arc<dyn Receiver>,
    /// Where people reach this server.
    pub external_url: String,
}

/// The rules of a server. Cheap to clone.
#[derive(Clone)]
pub struct Rules {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    context: Arc<Context>,
    // Held to look and to replace, never over an await.
    running: Mutex<Running>,
    // One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    broken: Mutex<Broken>,
    metrics: Metrics,
}

// The mistakes of the files when they were last read.
#[derive(Default)]
struct Broken {
    rules: Vec<FileError>,
    receiver: Option<String>,
}

#[derive(Default)]
struct Running {
    groups: Vec<Arc<Group>>,
    // Of groups that are evaluated; none before `run` and after `stop`.
    tasks: BTreeMap<GroupKey, Task>,
    watcher: Option<Task>,
    evaluating: bool,
}

// A group's file and name.
type GroupKey = (String, String);

struct Task {
    stop: watch::Sender<bool>,
    handle: JoinHandle<()>,
}

struct Metrics {
    groups: Gauge,
    rules: Gauge,
    loaded: Gauge,
    failed_loads: Counter,
}

impl Metrics {
    fn new(stats: &Stats) -> Self {
        let loaded = "1 if the rule files were without mistakes when they were last read, else 0.";
        let failed = "Reads of the rule files that found mistakes and changed nothing.";
        Self {
            groups: stats.gauge("sextant_rule_groups", "Groups of rules that are evaluated.", &[]),
            rules: stats.gauge("sextant_rule_rules", "Rules that are evaluated.", &[]),
            loaded: stats.gauge("sextant_rule_files_last_load_successful", loaded, &[]),
            failed_loads: stats.counter("sextant_rule_files_failed_loads_total", failed, &[]),
        }
    }
}

impl Rules {
    /// In a process that may take so much memory they forget what can be made again when it is short.
    pub fn within(&self, memory: &Memory) {
        let translator = Arc::clone(&self.inner.context.translator);
        memory.on_shortage(move || translator.forget());
    }

    /// Reads the rule files, and takes over the alerts of the process before. Nothing is evaluated yet.
    pub async fn open(setup: Setup) -> Result<Rules, LoadError> {
        let files = load(&setup.config).await?;
        let Setup { config, query, store, clock, stats, receiver, external_url } = setup;
        let metrics = Metrics::new(&stats);
        let context = Context {
            history: History::open(&store, &stats),
            translator: Arc::new(query.translator()),
            config: Arc::new(query),
            external_labels: config.external_labels.clone(),
            permits: Arc::new(Semaphore::new(limits::CONCURRENT_EVALUATIONS)),
            cancel: Cancel::default(),
            store,
            clock,
            stats,
            external_url,
            receiver,
        };
        let inner = Inner {
            context: Arc::new(context),
            running: Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
            broken: Mutex::default(),
            metrics,
            config,
        };
        let rules = Rules { inner: Arc::new(inner) };
        let groups = rules.build(&files)?;
        let mut before = restore::left_in_store(&rules.inner.context);
        restore::take_over(&groups, &mut before);
        restore::end(&rules.inner.context, before).await;
        restore::end_unknown(&rules.inner.context, &groups).await;
        rules.inner.context.tell(Vec::new()).await;
        rules.install(groups);
        Ok(rules)
    }

    /// Evaluates every group from now on, each at its own times, and reads the files again when they change.
    pub fn run(&self) {
        let mut running = lock(&self.inner.running);
        running.evaluating = true;
        for group in running.groups.clone() {
            running.tasks.insert(key(&group), self.spawn(group));
        }
        let (stop, stopped) = watch::channel(false);
        let rules = self.clone();
        let handle = tokio::spawn(async move { rules.watch_files(stopped).await });
        running.watcher = Some(Task { stop, handle });
    }

    /// Evaluates every group once, as if it were due at `at`.
    pub async fn evaluate(&self, at: Timestamp) {
        for group in self.groups() {
            group.evaluate(&self.inner.context, at.as_millis()).await;
        }
    }

    /// Reads the rule files and the file of the notifications again. Where one has a mistake, what was in force stays in force,
    /// and the mistakes are told.
    pub async fn reload(&self) {
        self.reload_receiver();
        // What is wrong was told.
        let _ = self.reload_rules().await;
    }

    /// Reads the rule files again. If one has a mistake, all rules stay as they are.
    pub async fn reload_rules(&self) -> Result<(), LoadError> {
        let _one_at_a_time = self.inner.reloading.lock().await;
        let loaded = match load(&self.inner.config).await {
            Ok(files) => self.build(&files),
            Err(errors) => Err(errors),
        };
        match loaded {
            Ok(groups) => {
                self.replace(groups).await;
                tracing::info!("the rule files were read again");
                Ok(())
            }
            Err(errors) => {
                tracing::error!("the rule files have mistakes, the rules before stay in force:\n{errors}");
                self.inner.metrics.failed_loads.add(1);
                self.inner.metrics.loaded.set(0);
                lock(&self.inner.broken).rules.clone_from(&errors.0);
                Err(errors)
            }
        }
    }

    fn reload_receiver(&self) {
        let outcome = self.inner.context.receiver.reload();
        if let Err(error) = &outcome {
            tracing::error!("the notifications' file has a mistake, the routes before stay in force: {error}");
        }
        lock(&self.inner.broken).receiver = outcome.err();
    }

    /// Lets evaluations that have begun end, and begins no more.
    pub async fn stop(&self) {
        let tasks: Vec<Task> = {
            let mut running = lock(&self.inner.running);
            running.evaluating = false;
            let watcher = running.watcher.take();
            std::mem::take(&mut running.tasks).into_values().chain(watcher).collect()
        };
        end_tasks(tasks).await;
    }

    /// Ends evaluations that have begun; their rules stay as they are.
    pub fn cancel(&self) {
        self.inner.context.cancel.cancel();
    }

    /// The groups in the order of their files.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        lock(&self.inner.running).groups.clone()
    }

    /// What all groups work with.
    pub fn context(&self) -> &Arc<Context> {
        &self.inner.context
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The mistakes of the files when they were last read; what was in force before them is in force.
    pub fn broken(&self) -> Vec<String> {
        let broken = lock(&self.inner.broken);
        broken.rules.iter().map(ToString::to_string).chain(broken.receiver.clone()).collect()
    }

    fn build(&self, files: &[RuleFile]) -> Result<Vec<Arc<Group>>, LoadError> {
        let seconds = i64::try_from(self.inner.config.evaluation_interval_s).unwrap_or(i64::MAX / 1000);
        let interval_ms = seconds.clamp(1, i64::MAX / 1000) * 1000;
        let mut groups = Vec::new();
        for file in files {
            for group in &file.groups {
                let built = Group::new(&file.path, group.clone(), interval_ms, &self.inner.context.stats);
                groups.push(Arc::new(built.map_err(|message| LoadError(vec![file.mistake(group.place, message)]))?));
            }
        }
        Ok(groups)
    }

    fn install(&self, groups: Vec<Arc<Group>>) {
        let metrics = &self.inner.metrics;
        metrics.groups.set(groups.len() as u64);
        metrics.rules.set(groups.iter().map(|group| group.rules.len() as u64).sum());
        metrics.loaded.set(1);
        lock(&self.inner.broken).rules.clear();
        lock(&self.inner.running).groups = groups;
    }

    // Groups that are the same go on; the others are stopped, and what they came to goes to their successors.
    async fn replace(&self, groups: Vec<Arc<Group>>) {
        let old = self.groups();
        let same = |new: &Arc<Group>| old.iter().find(|old| old.path == new.path && old.spec == new.spec).cloned();
        let groups: Vec<Arc<Group>> = groups.into_iter().map(|new| same(&new).unwrap_or(new)).collect();
        let stays = |group: &Arc<Group>| groups.iter().any(|new| Arc::ptr_eq(new, group));
        let going: Vec<Arc<Group>> = old.iter().filter(|group| !stays(group)).cloned().collect();
        let tasks: Vec<Task> = {
            let mut running = lock(&self.inner.running);
            going.iter().filter_map(|group| running.tasks.remove(&key(group))).collect()
        };
        end_tasks(tasks).await;
        let new: Vec<Arc<Group>> =
            groups.iter().filter(|group| !old.iter().any(|old| Arc::ptr_eq(old, group))).cloned().collect();
        let mut before = restore::of_groups(&going);
        restore::take_over(&new, &mut before);
        self.install(groups);
        restore::end(&self.inner.context, before).await;
        let mut running = lock(&self.inner.running);
        if running.evaluating {
            for group in new {
                running.tasks.insert(key(&group), self.spawn(group));
            }
        }
    }

    fn spawn(&self, group: Arc<Group>) -> Task {
        let (stop, stopped) = watch::channel(false);
        let context = Arc::clone(&self.inner.context);
        Task { stop, handle: tokio::spawn(async move { keep_evaluating(&group, &context, stopped).await }) }
    }

    async fn watch_files(&self, mut stopped: watch::Receiver<bool>) {
        let clock = Arc::clone(&self.inner.context.clock);
        let of_receiver =
            || signature(self.inner.context.receiver.file().iter().map(|path| path.display().to_string()).collect());
        let of_rules = || signature(self.inner.config.files.clone());
        let (mut rules, mut receiver) = (of_rules().await, of_receiver().await);
        loop {
            let next = clock.monotonic() + Duration::from_secs(limits::FILES_POLL_S);
            tokio::select! {
                () = clock.sleep_until(next) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
            let (rules_now, receiver_now) = (of_rules().await, of_receiver().await);
            if receiver_now != receiver {
                receiver = receiver_now;
                self.reload_receiver();
            }
            if rules_now != rules {
                rules = rules_now;
                // What is wrong was told.
                let _ = self.reload_rules().await;
            }
        }
    }
}

fn key(group: &Group) -> GroupKey {
    (group.path.clone(), group.spec.name.clone())
}

async fn load(config: &Config) -> Result<Vec<RuleFile>, LoadError> {
    let patterns = config.files.clone();
    let loaded = tokio::task::spawn_blocking(move || reload::load(&patterns)).await;
    loaded.unwrap_or_else(|_| Err(LoadError(Vec::new())))
}

async fn signature(patterns: Vec<String>) -> file_patterns::Signature {
    tokio::task::spawn_blocking(move || reload::signature(&patterns)).await.unwrap_or_default()
}

async fn end_tasks(tasks: Vec<Task>) {
    for task in &tasks {
        task.stop.send_replace(true);
    }
    for task in tasks {
        if let Err(error) = task.handle.await {
            tracing::error!("the task of a group of rules ended badly: {error}");
        }
    }
}

// Waits for the group's next moment, evaluates it there, and counts the moments that passed meanwhile.
async fn keep_evaluating(group: &Group, context: &Arc<Context>, mut stopped: watch::Receiver<bool>) {
    let now = || context.clock.now().as_millis();
    let mut last = group.slot(now());
    loop {
        // At once if the moment has passed meanwhile; the slot bounds the wait if the wall clock was set back.
        let next = last.min(group.slot(now())).saturating_add(group.interval_ms);
        let wait = next.saturating_sub(now());
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
        tokio::select! {
            () = context.clock.sleep_until(context.clock.monotonic().saturating_add(wait)) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        // The wall clock may be a little behind, and may have been set.
        let at = group.slot(now());
        if at == last {
            continue;
        }
        let missed = at.saturating_sub(last) / group.interval_ms - 1;
        if let Ok(missed @ 1..) = u64::try_from(missed) {
            group.note_missed(missed);
        }
        last = at;
        group.evaluate(context, at).await;
        if *stopped.borrow_and_update() {
            return;
        }
    }
}
