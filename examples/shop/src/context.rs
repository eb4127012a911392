//! What every service is given: its settings, what shall break, how to reach the others, and when to stop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sextant_sdk::opentelemetry::metrics::Meter;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::ServiceConfig;
use crate::faults::Faults;
use crate::net::Peers;

/// One service's surroundings.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) config: Arc<ServiceConfig>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) meter: Meter,
    pub(crate) peers: Peers,
    pub(crate) tasks: Tasks,
}

/// What a service does beside answering. Each task is told to stop and is then waited for.
#[derive(Clone)]
pub(crate) struct Tasks {
    running: Arc<Mutex<JoinSet<()>>>,
    stopping: Arc<watch::Sender<bool>>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { running: Arc::default(), stopping: Arc::new(watch::Sender::new(false)) }
    }

    /// Runs a task that ends by itself soon after [`Tasks::stopping`] resolves.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Nothing panics under this lock.
        self.running.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    /// Runs `step` again and again with this pause between, until the service stops.
    pub(crate) fn repeat<F>(&self, pause: Duration, mut step: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let tasks = self.clone();
        self.spawn(async move {
            while !tasks.is_stopping() {
                step().await;
                tasks.pause(pause).await;
            }
        });
    }

    /// Resolves when the service stops.
    pub(crate) async fn stopping(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender is held by `self`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Waits so long, or until the service stops.
    pub(crate) async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = self.stopping() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Tells every task to stop, and waits for them so long; those that are not done by then are ended.
    pub(crate) async fn stop(&self, patience: Duration) {
        self.stopping.send_replace(true);
        let mut running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while running.join_next().await.is_some() {} };
        // What goes on is aborted with the set.
        let _ = tokio::time::timeout(patience, all).await;
    }
}
