//! The targets of one job: what its lists come to, and a task for each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::client;
use super::config::{Group, Job};
use super::discovery::{self, Update, Updates};
use super::known::Known;
use super::labels::LabelSet;
use super::repeat::{Ending, Health, Repeat, Shared};
use super::target::{Made, Target, TargetKey, of_group};
use crate::limits::TARGETS_MAX;

/// What a pool is told.
pub(super) enum Command {
    /// Its job is another one.
    Reconfigure(Arc<Job>),
    /// It ends: its targets are gone, or the server stops.
    End(Ending),
}

/// A pool from outside.
pub(super) struct Pool {
    pub(super) job: Arc<Job>,
    pub(super) shown: Arc<Mutex<Shown>>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) task: JoinHandle<()>,
}

/// What is shown of a pool.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) active: Vec<(Arc<Target>, Arc<Mutex<Health>>)>,
    pub(super) dropped: Vec<LabelSet>,
    pub(super) dropped_count: u64,
}

impl Pool {
    pub(super) fn start(job: Arc<Job>, shared: Arc<Shared>) -> Self {
        let shown = Arc::new(Mutex::default());
        let (commands, received) = mpsc::channel(4);
        let working = Working {
            job: Arc::clone(&job),
            shared,
            shown: Arc::clone(&shown),
            forced: Arc::default(),
            sources: Vec::new(),
            running: HashMap::new(),
            ending: HashMap::new(),
            discoveries: JoinSet::new(),
        };
        let task = tokio::spawn(working.run(received));
        Self { job, shown, commands, task }
    }
}

// What a list of targets is made of: to tell whether it is the same after a reload.
#[derive(Clone, PartialEq)]
enum Source {
    Static,
    Files(super::config::FileDiscovery),
    Http(Box<super::config::HttpDiscovery>),
}

struct Working {
    job: Arc<Job>,
    shared: Arc<Shared>,
    shown: Arc<Mutex<Shown>>,
    forced: Arc<Mutex<Option<String>>>,
    // What each list has; nothing if it was not read yet.
    sources: Vec<(Source, Option<Vec<Group>>)>,
    running: HashMap<TargetKey, Running>,
    // Targets that are gone and whose series have not ended yet.
    ending: HashMap<TargetKey, Running>,
    discoveries: JoinSet<()>,
}

struct Running {
    target: Arc<Target>,
    health: Arc<Mutex<Health>>,
    stop: watch::Sender<Ending>,
    task: JoinHandle<Known>,
}

impl Working {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut updates = self.configure();
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Reconfigure(job)) => {
                        self.job = job;
                        updates = self.configure();
                    }
                    Some(Command::End(ending)) => return self.end(ending).await,
                    None => return self.end(Ending::Stop).await,
                },
                Some(Update { source, groups }) = updates.recv() => {
                    if let Some((_, known)) = self.sources.get_mut(source) {
                        *known = Some(groups);
                    }
                    self.sync();
                }
            }
        }
    }

    // Begins to look at the job's lists. What the job before knew of the same lists holds until they are read.
    fn configure(&mut self) -> mpsc::Receiver<Update> {
        self.discoveries.abort_all();
        self.discoveries = JoinSet::new();
        let job = Arc::clone(&self.job);
        let files = job.file_sd.iter().cloned().map(Source::Files);
        let lists = job.http_sd.iter().cloned().map(|list| Source::Http(Box::new(list)));
        let before = std::mem::take(&mut self.sources);
        let known =
            |source: &Source| before.iter().find(|(old, _)| old == source).and_then(|(_, groups)| groups.clone());
        self.sources = std::iter::once(Source::Static)
            .chain(files)
            .chain(lists)
            .map(|source| {
                let groups = if source == Source::Static { Some(job.static_groups.clone()) } else { known(&source) };
                (source, groups)
            })
            .collect();
        let (to, updates) = mpsc::channel(4);
        for (place, (source, _)) in self.sources.iter().enumerate() {
            let (shared, job) = (Arc::clone(&self.shared), job.name.clone());
            let told = Updates { source: place, to: to.clone(), job };
            match source.clone() {
                Source::Static => {}
                Source::Files(files) => drop(self.discoveries.spawn(discovery::watch_files(files, shared, told))),
                Source::Http(list) => drop(self.discoveries.spawn(discovery::ask_again(*list, shared, told))),
            }
        }
        self.sync();
        updates
    }

    // Makes what runs what there is.
    fn sync(&mut self) {
        // Relabelling a long list takes a core for a while.
        let (wanted, mut dropped, bad) = client::aside(|| self.make());
        let limit = self.job.limits.targets;
        let is_beyond = limit > 0 && wanted.len() as u64 > limit;
        let forced =
            is_beyond.then(|| format!("target_limit exceeded (number of targets: {}, limit: {limit})", wanted.len()));
        *self.forced.lock().unwrap_or_else(PoisonError::into_inner) = forced;
        self.shared.stats.targets(&self.job.name, wanted.len() as u64, dropped.len() as u64, bad);
        self.replace(wanted);
        let dropped_count = dropped.len() as u64;
        let kept = match self.job.limits.kept_dropped_targets {
            0 => crate::limits::DROPPED_TARGETS_SHOWN_MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        dropped.truncate(kept);
        let mut active: Vec<_> = self.running.iter().collect();
        active.sort_by(|one, other| one.0.cmp(other.0));
        let active = active.iter().map(|(_, running)| (Arc::clone(&running.target), Arc::clone(&running.health)));
        let shown = Shown { active: active.collect(), dropped, dropped_count };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    // What the lists come to: targets, those that are dropped, and how many cannot be scraped.
    fn make(&self) -> (BTreeMap<TargetKey, Arc<Target>>, Vec<LabelSet>, u64) {
        let (mut wanted, mut dropped, mut bad) = (BTreeMap::new(), Vec::new(), 0u64);
        let groups = self.sources.iter().filter_map(|(_, groups)| groups.as_ref()).flatten();
        for made in groups.flat_map(|group| of_group(&self.job, group)) {
            match made {
                Made::Kept(key, target) if wanted.len() < TARGETS_MAX => drop(wanted.insert(key, target)),
                Made::Kept(..) => bad += 1,
                Made::Dropped(labels) => dropped.push(labels),
                Made::Bad(labels, why) => {
                    bad += 1;
                    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
                    tracing::warn!(job = self.job.name, "a target cannot be scraped: {why}: {{{}}}", labels.join(", "));
                }
            }
        }
        (wanted, dropped, bad)
    }

    fn replace(&mut self, wanted: BTreeMap<TargetKey, Arc<Target>>) {
        self.ending.retain(|_, running| !running.task.is_finished());
        let gone: Vec<TargetKey> = self.running.keys().filter(|key| !wanted.contains_key(key)).cloned().collect();
        for key in gone {
            if let Some(running) = self.running.remove(&key) {
                running.stop.send_replace(Ending::Gone);
                self.ending.insert(key, running);
            }
        }
        for (key, target) in wanted {
            let before = match self.running.remove(&key) {
                Some(running) if Arc::ptr_eq(&running.target.job, &self.job) => {
                    // What it was made of may be something else now, which is shown.
                    self.running.insert(key, Running { target, ..running });
                    continue;
                }
                Some(running) => Some(running),
                None => self.ending.remove(&key),
            };
            self.running.insert(key, self.start(target, before));
        }
    }

    // A target whose job has changed, or that was gone for a moment, goes on with what is known of its series.
    fn start(&self, target: Arc<Target>, before: Option<Running>) -> Running {
        let (stop, stopped) = watch::channel(Ending::None);
        let health = before.as_ref().map_or_else(Arc::default, |running| Arc::clone(&running.health));
        let (shared, forced) = (Arc::clone(&self.shared), Arc::clone(&self.forced));
        let (of_target, of_health) = (Arc::clone(&target), Arc::clone(&health));
        let task = tokio::spawn(async move {
            let known = match before {
                Some(running) => {
                    running.stop.send_replace(Ending::Handover);
                    let known = running.task.await.unwrap_or_default();
                    if running.target.job.reads_like(&of_target.job) { known } else { known.reconfigured() }
                }
                None => Known::default(),
            };
            Repeat::new(of_target, shared, of_health, forced, known).run(stopped).await
        });
        Running { target, health, stop, task }
    }

    async fn end(mut self, ending: Ending) {
        self.discoveries.abort_all();
        for running in self.running.values().chain(self.ending.values().filter(|_| ending == Ending::Stop)) {
            running.stop.send_replace(ending);
        }
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Shown::default();
        self.shared.stats.targets(&self.job.name, 0, 0, 0);
        for running in self.running.into_values().chain(self.ending.into_values()) {
            let _ = running.task.await;
        }
    }
}
