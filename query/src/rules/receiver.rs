//! Who is told of firing and resolved alerts: the notifications, or nobody if none are configured.

use model::Timestamp;
use store::StateChange;

use super::Alert;

/// Takes alerts on their way out. [`super::notify`] is one, tests have another, and without an `alertmanager.yml` it is
/// [`Nobody`].
pub trait Receiver: Send + Sync + 'static {
    /// What makes these alerts known durably. The rules commit it together with their own state.
    fn changes(&self, alerts: &[Alert]) -> Vec<StateChange>;

    /// Takes the alerts whose changes have just been committed.
    fn accept(&self, alerts: Vec<Alert>);

    /// When an alert with this fingerprint was last handed to anyone.
    fn last_sent(&self, fingerprint: u64) -> Option<Timestamp>;
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
}
