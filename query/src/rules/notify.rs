//! Notifications: an `alertmanager.yml` decides who hears of an alert, groups wait for each other, webhooks are called until
//! they have answered.
//!
//! The rules hand alerts over in two steps: [`Notifier::changes`] are committed together with the rules' own state, and then
//! [`Notifier::accept`] takes the alerts. Every decision to tell somebody is in the store, together with the memory of
//! having been told, before anything leaves; after a kill everything goes on, with the same idempotency key.

pub mod client;
pub mod config;
pub mod dispatch;
mod error;
pub mod group;
pub mod guard;
pub mod limits;
pub mod matcher;
pub mod outbox;
pub mod receiver;
mod record;
pub mod route;
mod run;
mod stats;
pub mod webhook;

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::stats::Stats;
use model::wire::alerts::Notifications;
use model::{Clock, Timestamp};
use store::{StateChange, Store, Writer};
use tokio::sync::Notify;

pub use error::{ConfigError, NotifyError};
pub use outbox::Outcome;
pub use stats::NotifyStats;

use self::client::Client;
use self::config::Config;
use self::dispatch::Dispatch;
use self::group::Endpoint;
use self::guard::{Allowed, Guard, Lookup};
use self::outbox::{OUTBOX, Outbox};
use self::record::{ALERTS, LOG};
use crate::rules::Alert;

/// What notifications are made from.
#[derive(Clone)]
pub struct Settings {
    /// The file with routes and receivers; without it nobody is told.
    pub alertmanager: Option<PathBuf>,
    /// Where people reach this server: the beginning of links.
    pub external_url: String,
    /// Private receivers that may be called.
    pub allowed_receivers: Vec<String>,
    /// How long a receiver may be away before what waits for it is given up.
    pub outage_max: Duration,
    /// The header `User-Agent`.
    pub user_agent: String,
    /// What asks for addresses, if it is not the system.
    pub lookup: Option<Lookup>,
    /// Hears of every attempt.
    pub on_delivery: Option<OnDelivery>,
}

/// See [`Settings::on_delivery`]. Must not block.
pub type OnDelivery = Arc<dyn Fn(&Delivery) + Send + Sync>;

impl Settings {
    /// The settings that follow from the table `[rules]`. `external_url` is what it says, or the bound address.
    pub fn new(config: &crate::rules::Config, external_url: &str, version: &str) -> Settings {
        Settings {
            alertmanager: (!config.alertmanager.is_empty()).then(|| PathBuf::from(&config.alertmanager)),
            external_url: external_url.to_owned(),
            allowed_receivers: config.allowed_receivers.clone(),
            outage_max: limits::OUTAGE_MAX,
            user_agent: format!("Sextant/{version}"),
            lookup: None,
            on_delivery: None,
        }
    }
}

/// One attempt to tell a receiver, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose attempt it was.
    pub endpoint: Endpoint,
    /// Alertmanager's key of the group.
    pub group_key: String,
    /// The same in every attempt.
    pub idempotency_key: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// How many alerts it tells of.
    pub alerts: usize,
    /// The number of the attempt, from 1.
    pub attempt: u64,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it failed.
    pub error: Option<String>,
}

/// Tells receivers of alerts. Cheap to clone: clones share everything.
#[derive(Clone)]
pub struct Notifier {
    inner: Arc<Inner>,
}

struct Inner {
    // Held for short computations only, never over a commit or an attempt.
    core: Mutex<Core>,
    woken: Notify,
    writer: Writer,
    clock: Arc<dyn Clock>,
    stats: NotifyStats,
    on_delivery: Option<OnDelivery>,
}

struct Core {
    dispatch: Dispatch,
    outbox: Outbox,
    config: Option<Arc<Config>>,
    client: Client,
}

impl Core {
    fn configured(config: Option<&Arc<Config>>, endpoint: &Endpoint) -> bool {
        config.and_then(|config| config.receivers.get(&endpoint.receiver)?.webhooks.get(endpoint.webhook)).is_some()
    }
}

impl Notifier {
    /// Reads the configuration and takes up what the store holds. Nothing leaves before [`Notifier::run`].
    pub fn open(
        settings: &Settings,
        store: &Store,
        clock: Arc<dyn Clock>,
        stats: &Stats,
    ) -> Result<Notifier, NotifyError> {
        let stats = NotifyStats::new(stats);
        let (config, guard) = load(settings)?;
        let now = clock.now();
        let mut dispatch = Dispatch::new(config.clone(), settings.external_url.clone(), stats.clone());
        let mut outbox = Outbox::new(settings.outage_max, stats.clone());
        let records = |table| {
            let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
            store.state(table).into_iter().map(move |(key, value)| (text(&key), value))
        };
        let unreadable = |(table, key, source)| NotifyError::State { table, key, source };
        dispatch.restore(records(ALERTS), records(LOG), now).map_err(unreadable)?;
        outbox.restore(records(OUTBOX)).map_err(unreadable)?;
        let client = Client { guard, clock: Arc::clone(&clock), user_agent: settings.user_agent.clone() };
        let inner = Inner {
            core: Mutex::new(Core { dispatch, outbox, config, client }),
            woken: Notify::new(),
            writer: store.writer(),
            clock,
            stats,
            on_delivery: settings.on_delivery.clone(),
        };
        Ok(Notifier { inner: Arc::new(inner) })
    }

    /// What makes these alerts known durably; to be committed with the rules' own state before [`Notifier::accept`].
    pub fn changes(&self, alerts: &[Alert]) -> Vec<StateChange> {
        self.inner.lock().dispatch.changes(alerts, self.inner.clock.now())
    }

    /// Takes alerts over: those that began to fire or were resolved, and any that still fire.
    pub fn accept(&self, alerts: Vec<Alert>) {
        self.inner.lock().dispatch.accept(alerts, self.inner.clock.now());
        self.inner.woken.notify_one();
    }

    /// Groups, waits, decides, delivers and retries until `shutdown` completes; then waits a moment for attempts in flight.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        run::run(&self.inner, shutdown).await;
    }

    /// Reads the configuration again. If it is broken the old one stays in force.
    pub fn reload(&self, settings: &Settings) -> Result<(), NotifyError> {
        let (config, guard) = load(settings)?;
        let mut core = self.inner.lock();
        core.config.clone_from(&config);
        core.client.guard = guard;
        core.dispatch.reconfigure(config, settings.external_url.clone(), self.inner.clock.now());
        drop(core);
        self.inner.woken.notify_one();
        Ok(())
    }

    /// What waits to be delivered, and what was given up.
    pub fn status(&self) -> Notifications {
        self.inner.lock().outbox.status()
    }

    /// When it was last decided to tell somebody of an alert.
    pub fn last_sent(&self, fingerprint: u64) -> Option<Timestamp> {
        self.inner.lock().dispatch.last_sent(fingerprint)
    }

    /// Alerts that fire as far as receivers know or will know. Those that no rule knows any more are to be resolved.
    pub fn firing(&self) -> Vec<Alert> {
        self.inner.lock().dispatch.firing(self.inner.clock.now())
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(settings: &Settings) -> Result<(Option<Arc<Config>>, Guard), NotifyError> {
    let allowed = Allowed::parse(&settings.allowed_receivers)?;
    let config = settings.alertmanager.as_deref().map(|path| Config::load(path, &allowed)).transpose()?;
    let guard = match &settings.lookup {
        Some(lookup) => Guard::with_lookup(allowed, Arc::clone(lookup)),
        None => Guard::new(allowed),
    };
    Ok((config.map(Arc::new), guard))
}
