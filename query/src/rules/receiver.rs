//! Who is told of firing and resolved alerts: the notifications, or nobody if none are configured.

use model::Timestamp;
use store::StateChange;

use super::Alert;
use super::notify::Notifier;

/// Takes alerts on their way out. [`Notifier`] is one, tests have another, and without an `alertmanager.yml` it is
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
}

impl Receiver for Notifier {
    fn changes(&self, alerts: &[Alert]) -> Vec<StateChange> {
        Notifier::changes(self, alerts)
    }

    fn accept(&self, alerts: Vec<Alert>) {
        Notifier::accept(self, alerts);
    }

    fn last_sent(&self, fingerprint: u64) -> Option<Timestamp> {
        Notifier::last_sent(self, fingerprint)
    }

    fn firing(&self) -> Vec<Alert> {
        Notifier::firing(self)
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
