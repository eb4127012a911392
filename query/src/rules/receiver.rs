//! Who is told of firing and resolved alerts: the notifications, or nobody if none are configured.

use std::path::PathBuf;

use model::Timestamp;
use store::StateChange;

use super::Alert;
use super::condition::chain;
use super::notify::{Notifier, Settings};

/// Takes alerts on their way out. [`Notified`] is one, tests have another, and without an `alertmanager.yml` it is
/// [`Nobody`].
pub trait Receiver: Send + Sync + 'static {
    /// What makes these alerts known durably. The rules commit it together with their own state.
    fn changes(&self, alerts: &[Alert]) -> Vec<StateChange>;

    /// Takes the alerts whose changes have just been committed.
    fn accept(&self, alerts: Vec<Alert>);

    /// When an alert with this fingerprint was last handed to anyone.
    fn last_sent(&self, fingerprint: u64) -> Option<Timestamp>;

    /// The alerts that fire as far as anybody was told. At a start, those that no rule has are over.
    fn firing(&self) -> Vec<Alert>;

    /// The file that says who is told, if there is one.
    fn file(&self) -> Option<PathBuf> {
        None
    }

    /// Reads that file again. If it has a mistake, what it said before stays in force.
    fn reload(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The notifications, with what they are read from.
pub struct Notified {
    /// Who tells.
    pub notifier: Notifier,
    /// Where the routes and receivers stand.
    pub settings: Settings,
}

impl Receiver for Notified {
    fn changes(&self, alerts: &[Alert]) -> Vec<StateChange> {
        self.notifier.changes(alerts)
    }

    fn accept(&self, alerts: Vec<Alert>) {
        self.notifier.accept(alerts);
    }

    fn last_sent(&self, fingerprint: u64) -> Option<Timestamp> {
        self.notifier.last_sent(fingerprint)
    }

    fn firing(&self) -> Vec<Alert> {
        self.notifier.firing()
    }

    fn file(&self) -> Option<PathBuf> {
        self.settings.alertmanager.clone()
    }

    fn reload(&self) -> Result<(), String> {
        self.notifier.reload(&self.settings).map_err(|error| match error.hint() {
            "" => chain(&error),
            hint => format!("{}; {hint}", chain(&error)),
        })
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Receiver for Nobody {
    fn changes(&self, _: &[Alert]) -> Vec<StateChange> {
        Vec::new()
    }

    fn accept(&self, _: Vec<Alert>) {}

    fn last_sent(&self, _: u64) -> Option<Timestamp> {
        None
    }

    fn firing(&self) -> Vec<Alert> {
        Vec::new()
    }
}
