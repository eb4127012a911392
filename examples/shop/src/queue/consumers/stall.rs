//! The fault that stops consumption, said when it begins, again and again while it lasts, and when it is over.

use super::signals::Signals;
use crate::context::Tasks;
use crate::faults::{FaultKind, Faults};
use crate::limits::STALLED_AGAIN;

/// Says it until the service stops.
pub(super) async fn watch(faults: &Faults, signals: &Signals, queue: &'static str, tasks: &Tasks) {
    while !tasks.is_stopping() {
        tokio::select! {
            () = faults.started(FaultKind::QueueStall) => {}
            () = tasks.stopping() => return,
        }
        loop {
            let stats = signals.last();
            tracing::warn!(
                name: "queue.stalled",
                {
                    messaging.destination.name = queue, shop.queue.ready = stats.ready,
                    shop.queue.in_flight = stats.in_flight, shop.queue.lag_s = stats.oldest.as_secs_f64()
                },
                "the consumers of {queue} do not consume: {} messages wait, the oldest for {:.0} s",
                stats.ready, stats.oldest.as_secs_f64()
            );
            tokio::select! {
                () = faults.stopped(FaultKind::QueueStall) => break,
                () = tasks.stopping() => return,
                () = tokio::time::sleep(STALLED_AGAIN) => {}
            }
        }
        let ready = signals.last().ready;
        tracing::info!(
            name: "queue.resumed",
            { messaging.destination.name = queue, shop.queue.ready = ready },
            "the consumers of {queue} consume again: {ready} messages wait"
        );
    }
}
