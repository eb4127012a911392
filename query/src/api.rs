//! The HTTP API: answers only, on one router that the root package binds to a listener.

mod error;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use model::stats::Stats;
use model::{Clock, Timestamp};
use store::Store;

pub use error::ApiError;

use crate::Config;
use crate::admission::Admission;

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
}

impl ApiState {
    /// The state of an API over `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, stats: Stats, config: Config, server: Arc<Server>) -> Self {
        let admission = Admission::new(&config, &stats);
        Self { store, clock, stats, config: Arc::new(config), admission, server }
    }
}

/// What runs and since when; the root package fills it in.
#[derive(Debug)]
pub struct Server {
    /// Sextant's version.
    pub version: String,
    /// When the process began.
    pub started: Timestamp,
    /// When an acknowledgement is given: `always`, `interval`, `none`.
    pub durability: String,
    state: RwLock<(Mode, BTreeMap<String, String>)>,
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
    pub fn new(version: impl Into<String>, started: Timestamp, durability: impl Into<String>) -> Self {
        let state = RwLock::new((Mode::Starting, BTreeMap::new()));
        Self { version: version.into(), started, durability: durability.into(), state }
    }

    /// What the server is doing.
    pub fn mode(&self) -> Mode {
        self.state.read().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Changes what the server is doing.
    pub fn set_mode(&self, mode: Mode) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).0 = mode;
    }

    /// The bound addresses by door: `otlp_grpc`, `otlp_http`, `http`.
    pub fn doors(&self) -> BTreeMap<String, String> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Adds the bound address of a door.
    pub fn add_door(&self, door: impl Into<String>, address: impl Into<String>) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).1.insert(door.into(), address.into());
    }
}

/// Every path of the answering door.
pub fn router(state: ApiState) -> Router {
    Router::new().with_state(state)
}
