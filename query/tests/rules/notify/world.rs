//! Made-up alerts, and a notifier over a store of its own that delivers to a receiver of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::stats::Stats;
use model::{Clock as _, ManualClock, Timestamp};
use query::rules::Alert;
use query::rules::notify::{Delivery, Notifier, Settings};
use store::disk::Disk;
use store::{Setup, Store};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The wall clock at the beginning of each test.
pub fn start() -> Timestamp {
    Timestamp::parse("2026-01-31T12:00:00Z", Timestamp::default()).expect("a time")
}

/// So many seconds later.
pub fn at(seconds: i64) -> Timestamp {
    start().saturating_add(seconds * 1_000_000_000)
}

pub fn labels(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').expect("name=value"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// An alert that fires from `starts` on, in seconds from the beginning.
pub fn alert(text: &str, starts: i64, ends: Option<i64>) -> Alert {
    Alert {
        labels: labels(text),
        annotations: BTreeMap::new(),
        starts_at: at(starts).as_nanos(),
        ends_at: ends.map(|seconds| at(seconds).as_nanos()),
        value: 1.0,
        generator_url: String::new(),
        links: BTreeMap::new(),
        samples: Vec::new(),
    }
}

/// No test waits longer for anything that has to come, in real time.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A notifier at work.
pub struct World {
    pub clock: Arc<ManualClock>,
    pub stats: Stats,
    pub store: Option<Store>,
    pub notifier: Notifier,
    pub deliveries: mpsc::UnboundedReceiver<Delivery>,
    pub settings: Settings,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

pub type Hook = Arc<Mutex<Option<Box<dyn FnMut(&Delivery) + Send>>>>;

impl World {
    /// Opens a store and a notifier over it, and lets it run.
    pub fn open(disk: Arc<dyn Disk>, directory: &Path, config: &Path, clock: &Arc<ManualClock>, hook: Hook) -> World {
        let stats = Stats::new();
        let setup = Setup {
            directory: directory.to_path_buf(),
            config: store::Config::default(),
            clock: clock.clone(),
            disk,
            stats: stats.clone(),
        };
        let store = Store::open(setup).expect("a store opens");
        let (told, deliveries) = mpsc::unbounded_channel();
        let rules = query::rules::Config {
            alertmanager: config.display().to_string(),
            allowed_receivers: vec!["127.0.0.1".to_owned()],
            ..query::rules::Config::default()
        };
        let mut settings = Settings::new(&rules, "http://sextant.example", "1.2.3");
        settings.on_delivery = Some(Arc::new(move |delivery: &Delivery| {
            if let Some(hook) = hook.lock().expect("a hook").as_mut() {
                hook(delivery);
            }
            // Nobody listens any more when a test is over.
            let _ = told.send(delivery.clone());
        }));
        let notifier = Notifier::open(&settings, &store, clock.clone(), &stats).expect("a notifier opens");
        let (stop, stopped) = oneshot::channel::<()>();
        let running = notifier.clone();
        let task = tokio::spawn(async move {
            running
                .run(async {
                    let _ = stopped.await;
                })
                .await;
        });
        let clock = clock.clone();
        World { clock, stats, store: Some(store), notifier, deliveries, settings, stop: Some(stop), task: Some(task) }
    }

    /// What the rules do with alerts.
    pub async fn tell(&self, alerts: Vec<Alert>) {
        let changes = self.notifier.changes(&alerts);
        let writer = self.store.as_ref().expect("a store").writer();
        if !changes.is_empty() {
            writer.change_state(changes).await.expect("committed");
        }
        self.notifier.accept(alerts);
    }

    /// The next attempt that ends.
    pub async fn delivery(&mut self) -> Delivery {
        let next = tokio::time::timeout(PATIENCE, self.deliveries.recv()).await;
        let next = next.unwrap_or_else(|_| panic!("no attempt ends in time: {:?}", self.notifier.status()));
        next.expect("the notifier runs")
    }

    /// Moves the clock to the next attempt of what waits.
    pub fn advance_to_next_attempt(&self) {
        let status = self.notifier.status();
        let next = status.queued.iter().filter_map(|queued| queued.next_attempt.as_deref()).min().expect("one waits");
        let next = Timestamp::parse(next, start()).expect("a time");
        let wait = next.as_nanos().saturating_sub(self.clock.now().as_nanos()).max(0);
        self.clock.advance(Duration::from_nanos(wait as u64));
    }

    /// Waits, in real time, until something that has to come has come.
    pub async fn until(&self, what: &str, mut come: impl FnMut(&World) -> bool) {
        let began = std::time::Instant::now();
        while !come(self) {
            assert!(began.elapsed() < PATIENCE, "{what} does not come");
            tokio::task::yield_now().await;
        }
    }

    /// Ends like a process that is killed: nothing in flight is waited for.
    pub async fn kill(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
        drop(self.notifier);
        let store = self.store.take();
        // The store's threads end with it.
        tokio::task::spawn_blocking(move || drop(store)).await.expect("dropped");
    }

    /// Ends like a server that is stopped.
    pub async fn stop(mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let task = self.task.take().expect("it runs");
        tokio::time::timeout(PATIENCE, task).await.expect("it stops in time").expect("no panic");
        self.kill().await;
    }
}

/// No hook.
pub fn no_hook() -> Hook {
    Arc::default()
}
