//! The scraper of a server: the jobs of a `prometheus.yml`, read anew when it changes, and what there is to show of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::duration::format_duration;
use model::stats::Stats;
use model::wire::prom::{ActiveTarget, DroppedTarget, TargetMetadata};
use model::{Clock, file_patterns};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::config::{Config, ConfigError};
use super::labels::LabelSet;
use super::pool::{Command, Pool, Shown};
use super::repeat::{Ending, Health, Shared};
use super::stats::ScrapeStats;
use super::target::Target;
use crate::Intake;
use crate::limits::{SCRAPE_FILES_POLL, SCRAPES_AT_A_TIME};

/// The settings of scraping, the table `[scrape]` of `sextant.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The `prometheus.yml`; empty to scrape nothing.
    pub file: String,
}

impl Settings {
    /// Whether the file can work. Nothing is scraped.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.file.is_empty() { Ok(()) } else { Config::load(self.file.as_ref()).map(|_| ()) }
    }
}

/// What a scraper works with.
pub struct Setup {
    /// What to scrape.
    pub settings: Settings,
    /// Where it goes.
    pub intake: Intake,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters of the whole process.
    pub stats: Stats,
    /// Sextant's version.
    pub version: String,
}

/// Scrapes until it is stopped. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Scraper {
    inner: Arc<Inner>,
}

struct Inner {
    file: Option<PathBuf>,
    shared: Arc<Shared>,
    pools: Mutex<BTreeMap<String, Pool>>,
    // Pools whose jobs are gone, until their series have ended.
    leaving: Mutex<JoinSet<()>>,
    // One reload at a time; the configuration that is in force.
    config: tokio::sync::Mutex<Option<Config>>,
    stopping: watch::Sender<bool>,
}

impl Scraper {
    /// A scraper of the settings' file, which is read now. Nothing is scraped before [`Scraper::run`].
    pub fn open(setup: Setup) -> Result<Scraper, ConfigError> {
        let file = (!setup.settings.file.is_empty()).then(|| PathBuf::from(&setup.settings.file));
        let config = file.as_deref().map(Config::load).transpose()?;
        if let Some(config) = &config {
            warn_of_passed(config);
        }
        let shared = Shared {
            intake: setup.intake,
            clock: setup.clock,
            stats: ScrapeStats::new(setup.stats),
            user_agent: format!("sextant/{}", setup.version),
            places: Semaphore::new(SCRAPES_AT_A_TIME),
            lines: AtomicU64::new(0),
            present: Mutex::default(),
        };
        let (stopping, _) = watch::channel(false);
        let inner = Inner {
            file,
            shared: Arc::new(shared),
            pools: Mutex::default(),
            leaving: Mutex::default(),
            config: tokio::sync::Mutex::new(config),
            stopping,
        };
        Ok(Scraper { inner: Arc::new(inner) })
    }

    /// Begins to scrape, and goes on in tasks of its own.
    pub async fn run(&self) {
        if let Some(config) = &*self.inner.config.lock().await {
            self.apply(config).await;
            let scraper = self.clone();
            tokio::spawn(async move { scraper.watch_file().await });
        }
    }

    /// Reads the file anew. If there is a mistake in it everything goes on as before, and the mistake is logged.
    pub async fn reload(&self) {
        let Some(file) = self.inner.file.clone() else { return };
        let mut current = self.inner.config.lock().await;
        let name = file.display().to_string();
        let loaded = tokio::task::spawn_blocking(move || Config::load(&file)).await;
        match loaded {
            Ok(Ok(config)) => {
                if current.as_ref().is_none_or(|before| before.passed != config.passed) {
                    warn_of_passed(&config);
                }
                self.apply(&config).await;
                *current = Some(config);
                self.inner.shared.stats.reloaded("taken");
            }
            Ok(Err(error)) => {
                self.inner.shared.stats.reloaded("refused");
                let hint = if error.hint.is_empty() { String::new() } else { format!("; {}", error.hint) };
                tracing::error!("the scrape configuration stays as it was: {error}{hint}");
            }
            Err(_) => tracing::error!("the scrape configuration stays as it was: {name} could not be read"),
        }
    }

    /// Ends all scrapes. The series go on after the next start: they do not end.
    pub async fn stop(&self) {
        self.inner.stopping.send_replace(true);
        let pools = std::mem::take(&mut *self.pools());
        for pool in pools.values() {
            let _ = pool.commands.send(Command::End(Ending::Stop)).await;
        }
        for pool in pools.into_values() {
            let _ = pool.task.await;
        }
        let mut leaving = std::mem::take(&mut *self.inner.leaving.lock().unwrap_or_else(PoisonError::into_inner));
        leaving.abort_all();
        while leaving.join_next().await.is_some() {}
    }

    /// The names of the jobs.
    pub fn job_names(&self) -> Vec<String> {
        self.pools().keys().cloned().collect()
    }

    /// The targets that are scraped, of one job or of all.
    pub fn active(&self, job: Option<&str>) -> Vec<ActiveTarget> {
        self.of_shown(job, |name, shown| {
            let target = |(target, health): &(Arc<Target>, Arc<Mutex<Health>>)| active(name, target, health);
            shown.active.iter().map(target).collect()
        })
    }

    /// The targets that relabelling dropped, of one job or of all.
    pub fn dropped(&self, job: Option<&str>) -> Vec<DroppedTarget> {
        self.of_shown(job, |name, shown| {
            let target =
                |labels: &LabelSet| DroppedTarget { discovered_labels: wire(labels), scrape_pool: name.to_owned() };
            shown.dropped.iter().map(target).collect()
        })
    }

    /// How many targets relabelling dropped, by job.
    pub fn dropped_counts(&self) -> BTreeMap<String, u64> {
        let count = |pool: &Pool| pool.shown.lock().unwrap_or_else(PoisonError::into_inner).dropped_count;
        self.pools().iter().map(|(name, pool)| (name.clone(), count(pool))).collect()
    }

    /// What targets say of one metric, or of all. No further target is asked once there are `limit` answers. `wanted` judges the
    /// labels of a target.
    pub fn metadata(
        &self,
        metric: Option<&str>,
        limit: usize,
        wanted: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> Vec<TargetMetadata> {
        let targets = self.of_shown(None, |_, shown| {
            let one = |(target, health): &(Arc<Target>, Arc<Mutex<Health>>)| {
                let families = Arc::clone(&health.lock().unwrap_or_else(PoisonError::into_inner).families);
                (wire(&target.labels), families)
            };
            shown.active.iter().map(one).collect()
        });
        let mut found = Vec::new();
        for (labels, families) in targets.into_iter().filter(|(labels, _)| wanted(labels)) {
            if found.len() >= limit {
                break;
            }
            let of_metric = |name: &str| metric.is_none_or(|metric| metric == name);
            for (name, family) in families.iter().filter(|(name, _)| of_metric(name)) {
                found.push(TargetMetadata {
                    target: labels.clone(),
                    metric: metric.is_none().then(|| name.clone()),
                    kind: family.kind.as_str().to_owned(),
                    help: family.help.to_string(),
                    unit: family.unit.to_string(),
                });
            }
        }
        found
    }

    fn pools(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Pool>> {
        self.inner.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_shown<T>(&self, job: Option<&str>, each: impl Fn(&str, &Shown) -> Vec<T>) -> Vec<T> {
        let pools = self.pools();
        let wanted = pools.iter().filter(|(name, _)| job.is_none_or(|job| job == *name));
        wanted.flat_map(|(name, pool)| each(name, &pool.shown.lock().unwrap_or_else(PoisonError::into_inner))).collect()
    }

    // Makes the pools those of the configuration.
    async fn apply(&self, config: &Config) {
        let mut told = Vec::new();
        {
            let mut pools = self.pools();
            let gone: Vec<String> =
                pools.keys().filter(|name| !config.jobs.iter().any(|job| job.name == **name)).cloned().collect();
            for name in gone {
                let Some(pool) = pools.remove(&name) else { continue };
                let mut leaving = self.inner.leaving.lock().unwrap_or_else(PoisonError::into_inner);
                while leaving.try_join_next().is_some() {}
                leaving.spawn(async move {
                    let _ = pool.commands.send(Command::End(Ending::Gone)).await;
                    let _ = pool.task.await;
                });
            }
            for job in &config.jobs {
                match pools.get_mut(&job.name) {
                    Some(pool) if *pool.job == *job => {}
                    Some(pool) => {
                        pool.job = Arc::new(job.clone());
                        told.push((pool.commands.clone(), Arc::clone(&pool.job)));
                    }
                    None => {
                        let pool = Pool::start(Arc::new(job.clone()), Arc::clone(&self.inner.shared));
                        pools.insert(job.name.clone(), pool);
                    }
                }
            }
        }
        for (commands, job) in told {
            let _ = commands.send(Command::Reconfigure(job)).await;
        }
    }

    async fn watch_file(&self) {
        let mut stopping = self.inner.stopping.subscribe();
        let mut seen = self.signature().await;
        let clock = Arc::clone(&self.inner.shared.clock);
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                () = clock.sleep_until(clock.monotonic() + SCRAPE_FILES_POLL) => {}
            }
            let now = self.signature().await;
            if now != seen {
                self.reload().await;
                // The files that it names may be others now.
                seen = self.signature().await;
            }
        }
    }

    async fn signature(&self) -> file_patterns::Signature {
        let (mut paths, patterns) = match &*self.inner.config.lock().await {
            Some(config) => (config.files.clone(), config.patterns.clone()),
            None => Default::default(),
        };
        // It is looked at even while it cannot be read.
        paths.extend(self.inner.file.clone());
        let look = move || {
            // Files may have come that a pattern means.
            paths.extend(patterns.iter().flat_map(|pattern| file_patterns::paths(pattern).unwrap_or_default()));
            file_patterns::signature(&paths)
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

fn warn_of_passed(config: &Config) {
    if config.passed.is_empty() {
        return;
    }
    let path = config.files.first().map(|path| path.display().to_string()).unwrap_or_default();
    let parts = config.passed.iter().map(|passed| format!("line {}: {}: {}", passed.line, passed.key, passed.instead));
    let parts: Vec<String> = parts.collect();
    tracing::warn!("{path} says how to scrape; these parts of it do nothing: {}", parts.join("; "));
}

fn active(pool: &str, target: &Target, health: &Mutex<Health>) -> ActiveTarget {
    let health = health.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let word = match health.is_up {
        None => "unknown",
        Some(true) => "up",
        Some(false) => "down",
    };
    let never = "0001-01-01T00:00:00Z".to_owned();
    ActiveTarget {
        discovered_labels: wire(&target.discovered),
        labels: wire(&target.labels),
        scrape_pool: pool.to_owned(),
        scrape_url: target.url.to_string(),
        global_url: target.url.to_string(),
        last_error: health.last_error,
        last_scrape: health.last_scrape.map_or(never, |moment| moment.to_string()),
        last_scrape_duration: Duration::as_secs_f64(&health.took),
        health: word.to_owned(),
        scrape_interval: format_duration(target.interval_ms),
        scrape_timeout: format_duration(target.timeout_ms),
    }
}

fn wire(labels: &LabelSet) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
