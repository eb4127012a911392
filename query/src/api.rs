//! The HTTP API: answers only, on one router that the root package binds to a listener.

mod error;
mod histogram;
mod notifications;
mod params;
mod prom;
mod rows;
mod rules;
mod services;
mod status;
mod stream;
mod tail;
mod traces;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::get;
use model::memory::Memory;
use model::stats::Stats;
use model::{Clock, Timestamp};
use store::{Snapshot, Store};
use tokio::sync::{Semaphore, watch};

pub use error::ApiError;
pub use prom::{MaybeScraping, Scraping};
pub use status::LargestMetrics;

use crate::Config;
use crate::admission::{Admission, Cancel};
use crate::limits::TAILS_MAX;
use crate::promql::Translator;
use crate::rules::Rules;
use crate::rules::notify::Notifier;
use crate::search::budget::Budget;
use crate::search::execute::SearchError;
use crate::stats::QueryStats;

/// What every path works with. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// Where the rows are.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters of the whole process.
    pub stats: Stats,
    /// Settings.
    pub config: Arc<Config>,
    /// Who may query now.
    pub admission: Admission,
    /// What only the root package knows.
    pub server: Arc<Server>,
    /// The rules; none if the server has none.
    pub rules: Option<Rules>,
    /// Who tells receivers of alerts, if anybody does.
    pub notifier: Option<Notifier>,
    /// Who scrapes, if anybody does.
    pub scraping: MaybeScraping,
    /// Who knows which metrics have the most series, if anybody does.
    pub largest_metrics: Option<Arc<LargestMetrics>>,
    // How series are called in Prometheus.
    translator: Arc<Translator>,
    // Places for tails.
    tails: Arc<Semaphore>,
}

impl ApiState {
    /// The state of an API over `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, stats: Stats, config: Config, server: Arc<Server>) -> Self {
        let admission = Admission::new(&config, &stats);
        let tails = Arc::new(Semaphore::new(TAILS_MAX));
        let translator = Arc::new(config.translator());
        let config = Arc::new(config);
        let (rules, notifier, scraping, largest_metrics) = (None, None, None, None);
        Self {
            store,
            clock,
            stats,
            config,
            admission,
            server,
            rules,
            notifier,
            scraping,
            largest_metrics,
            translator,
            tails,
        }
    }

    /// The same with rules to tell of.
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules: Some(rules), ..self }
    }

    /// The same with someone who scrapes.
    pub fn with_scraping(self, scraping: Arc<dyn Scraping>) -> Self {
        Self { scraping: Some(scraping), ..self }
    }

    /// The same with someone who knows the metrics with the most series.
    pub fn with_largest_metrics(self, largest: Arc<LargestMetrics>) -> Self {
        Self { largest_metrics: Some(largest), ..self }
    }

    /// The same in a process that may take so much memory.
    pub fn with_memory(self, memory: Memory) -> Self {
        let translator = Arc::clone(&self.translator);
        memory.on_shortage(move || translator.forget());
        Self { admission: self.admission.within(memory), ..self }
    }

    /// The same, with someone who tells receivers of alerts.
    pub fn with_notifier(self, notifier: Notifier) -> Self {
        Self { notifier: Some(notifier), ..self }
    }
}

impl ApiState {
    // A fresh budget for a question of this kind, counted under it.
    fn budget(&self, kind: &str, cancel: &Cancel) -> Budget {
        let budget = Budget::new(&self.config, Arc::clone(&self.clock), cancel.clone());
        budget.counted(QueryStats::new(&self.stats, kind))
    }

    // Answers a question of this kind from a snapshot, on a blocking thread once there is a place for it.
    async fn run<T: Send + 'static>(
        self,
        kind: &'static str,
        work: impl FnOnce(&Snapshot, &mut Budget) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let admission = self.admission.clone();
        let result = admission.run(move |cancel| {
            let mut budget = self.budget(kind, cancel);
            work(&self.store.snapshot(), &mut budget)
        });
        Ok(result.await??)
    }
}

/// What runs and since when; the root package fills it in.
#[derive(Debug)]
pub struct Server {
    /// Sextant's version.
    pub version: String,
    /// When the process began.
    pub started: Timestamp,
    mode: watch::Sender<Mode>,
    doors: RwLock<BTreeMap<String, String>>,
}

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not yet ready.
    Starting,
    /// Takes and answers.
    Serving,
    /// Answers, takes no more writes.
    ReadOnly,
    /// Drains.
    Stopping,
}

impl Mode {
    /// The word of the status answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Starting => "starting",
            Mode::Serving => "serving",
            Mode::ReadOnly => "read_only",
            Mode::Stopping => "stopping",
        }
    }
}

impl Server {
    /// A server that is starting and has no doors yet.
    pub fn new(version: impl Into<String>, started: Timestamp) -> Self {
        let mode = watch::Sender::new(Mode::Starting);
        Self { version: version.into(), started, mode, doors: RwLock::default() }
    }

    /// What the server is doing.
    pub fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    /// Changes what the server is doing.
    pub fn set_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Completes when the server is stopping: answers without end must end.
    pub async fn stopping(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.mode.subscribe().wait_for(|mode| *mode == Mode::Stopping).await;
    }

    /// The bound addresses by door: `otlp_grpc`, `otlp_http`, `http`.
    pub fn doors(&self) -> BTreeMap<String, String> {
        self.doors.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds the bound address of a door.
    pub fn add_door(&self, door: impl Into<String>, address: impl Into<String>) {
        self.doors.write().unwrap_or_else(PoisonError::into_inner).insert(door.into(), address.into());
    }
}

/// Every path of the answering door.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/api/v1/logs", get(rows::logs))
        .route("/api/v1/logs/tail", get(tail::logs))
        .route("/api/v1/logs/histogram", get(histogram::logs))
        .route("/api/v1/spans", get(rows::spans))
        .route("/api/v1/spans/histogram", get(histogram::spans))
        .route("/api/v1/points", get(rows::points))
        .route("/api/v1/traces/{trace_id}", get(traces::trace))
        .route("/api/v1/correlate/{id}", get(traces::id))
        .route("/api/v1/services", get(services::services))
        .route("/api/v1/notifications", get(notifications::notifications))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/system", get(status::status))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/alerts", get(rules::alerts))
        .merge(prom::routes(&state))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(state)
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is no {}", uri.path()), "docs/reference/api.md lists the paths")
}

async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    ApiError::method_not_allowed(format!("{} cannot be asked with {method}", uri.path()))
}
