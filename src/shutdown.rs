//! When to stop: one word that everybody can wait for, and the signals that say it.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// A word that is said once. Cheap to clone: clones hear each other.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Not said yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Says it.
    pub fn say(&self) {
        self.0.send_replace(true);
    }

    /// Resolves once it is said.
    pub fn said(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut heard = self.0.subscribe();
        let keep = Arc::clone(&self.0);
        async move {
            // The sender lives in `keep`, so this cannot fail before the word is said.
            let _ = heard.wait_for(|said| *said).await;
            drop(keep);
        }
    }
}

/// SIGINT and SIGTERM, from now on caught instead of ending the process.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to catch.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Resolves when one has come.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
