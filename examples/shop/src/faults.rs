//! Faults on purpose: which there are, and which are active in this process. The gateway keeps those of the whole shop ([`control`]); each instance asks it every second, with its
//! heartbeat, which of them are for it, so that an instance that has just been started breaks like the one before it.

pub(crate) mod control;
mod kind;
pub(crate) mod process;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

pub use kind::{Fault, FaultKind, NoSuchFault};

/// What is broken in this process.
#[derive(Debug)]
pub(crate) struct Faults(watch::Sender<BTreeMap<FaultKind, Fault>>);

impl Faults {
    pub(crate) fn none() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }

    /// From now on these are active and no others. Each start and stop is a line in the log.
    pub(crate) fn set(&self, faults: impl IntoIterator<Item = Fault>) {
        let wanted: BTreeMap<_, _> = faults.into_iter().map(|fault| (fault.kind(), fault)).collect();
        self.0.send_if_modified(|active| {
            for (kind, fault) in &wanted {
                if active.get(kind) != Some(fault) {
                    let what = kind.effect();
                    tracing::warn!(name: "fault.started", { shop.fault = %fault, shop.fault.effect = what }, "fault on purpose started");
                }
            }
            for fault in active.values().filter(|fault| !wanted.contains_key(&fault.kind())) {
                tracing::info!(name: "fault.stopped", { shop.fault = %fault }, "fault on purpose stopped");
            }
            let changed = *active != wanted;
            *active = wanted;
            changed
        });
    }

    /// How much of it there is, in the fault's unit, while it is active.
    pub(crate) fn amount(&self, kind: FaultKind) -> Option<f64> {
        self.0.borrow().get(&kind).map(|fault| fault.amount())
    }

    /// Whether it strikes this time: always while it is active, or for its share of the times.
    pub(crate) fn strikes(&self, kind: FaultKind) -> bool {
        self.amount(kind).is_some_and(|amount| !kind.is_share() || fastrand::f64() * 100.0 < amount)
    }

    /// Waits as long as the fault says, if it is one that makes slow.
    pub(crate) async fn dawdle(&self, kind: FaultKind) {
        if let Some(milliseconds) = self.amount(kind) {
            // Never twice the same: real slowness is not even.
            tokio::time::sleep(Duration::from_secs_f64(milliseconds * (0.75 + fastrand::f64() / 2.0) / 1e3)).await;
        }
    }

    /// Resolves when the fault is active: at once if it is.
    pub(crate) async fn started(&self, kind: FaultKind) {
        // The sender is held by `self`.
        let _ = self.0.subscribe().wait_for(|active| active.contains_key(&kind)).await;
    }

    /// Resolves when the fault is not active: at once if it is not.
    pub(crate) async fn stopped(&self, kind: FaultKind) {
        let _ = self.0.subscribe().wait_for(|active| !active.contains_key(&kind)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn faults_begin_and_end_and_strike_their_share() {
        let faults = Faults::none();
        assert!(!faults.strikes(FaultKind::PaymentsError));
        faults.dawdle(FaultKind::SlowDatabase).await;
        faults.set([Fault::new(FaultKind::QueueStall), "payments-error:30%".parse().expect("a fault")]);
        faults.started(FaultKind::QueueStall).await;
        assert!(faults.strikes(FaultKind::QueueStall));
        let struck = (0..10_000).filter(|_| faults.strikes(FaultKind::PaymentsError)).count();
        assert!((2_700..3_300).contains(&struck), "{struck}");
        faults.set([]);
        faults.stopped(FaultKind::QueueStall).await;
        assert!(!faults.strikes(FaultKind::QueueStall));
    }
}
