//! Sends what waits in one queue, batch by batch, and tries again while the collector is away. Runs on the export thread; is told to flush and to stop by others.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until};

use super::Signal;
use super::answer::Answer;
use super::queue::{Batch, Queue};
use super::tally::{Loss, Tally};
use super::transport::Transport;
use crate::limits::{RETRY_FIRST, RETRY_LONGEST, RETRY_MAX};

/// What a pump is told.
pub(crate) enum Order {
    /// Send what waits now, then say so.
    Flush(SyncSender<()>),
    /// Send what waits until then, give up the rest, say so and end.
    Stop { by: Instant, done: SyncSender<()> },
}

pub(crate) struct Pump {
    pub(crate) signal: Signal,
    pub(crate) queue: Arc<Queue>,
    pub(crate) transport: Transport,
    pub(crate) tally: Arc<Tally>,
    /// The encoded `Resource` as a field of a `ResourceSpans`.
    pub(crate) resource: Arc<[u8]>,
    pub(crate) orders: UnboundedReceiver<Order>,
}

/// What was ordered and is not done.
#[derive(Default)]
struct Ordered {
    flushes: Vec<SyncSender<()>>,
    stop: Option<(Instant, SyncSender<()>)>,
}

impl Pump {
    pub(crate) async fn run(mut self) {
        let mut ordered = Ordered::default();
        loop {
            let mut everything = true;
            if ordered.stop.is_none() {
                tokio::select! {
                    () = self.queue.complete.notified() => everything = false,
                    () = sleep(self.queue.bounds.delay) => {}
                    order = self.orders.recv() => ordered.note(order),
                }
            }
            while let Some(batch) = self.queue.take(!everything) {
                self.deliver(&batch, &mut ordered).await;
                self.queue.done(&batch);
                // Orders that came meanwhile are about everything that waits.
                while let Ok(order) = self.orders.try_recv() {
                    ordered.note(Some(order));
                }
                everything |= !ordered.flushes.is_empty() || ordered.stop.is_some();
            }
            // Nobody may wait any more, which is no reason to fail.
            for flushed in ordered.flushes.drain(..) {
                let _ = flushed.try_send(());
            }
            if let Some((_, done)) = ordered.stop.take() {
                let _ = done.try_send(());
                return;
            }
        }
    }

    /// Sends one batch until it is taken, refused, or has to be given up.
    async fn deliver(&mut self, batch: &Batch, ordered: &mut Ordered) {
        let body = self.transport.body(batch.request(&self.resource));
        let give_up = Instant::now() + RETRY_MAX;
        let mut pause = RETRY_FIRST;
        let endpoint = self.transport.endpoint.name();
        loop {
            let (why, after) = match self.attempt(body.clone(), ordered).await {
                Answer::Taken { rejected, .. } => {
                    let rejected = rejected.min(batch.items);
                    self.tally.sent(self.signal, batch.items - rejected);
                    self.tally.lost(self.signal, Loss::Rejected, rejected);
                    self.tally.collector_is_there(&endpoint);
                    return;
                }
                Answer::Refused { why } => {
                    self.tally.lost(self.signal, Loss::Rejected, batch.items);
                    self.tally.refused(self.signal, &endpoint, &why);
                    self.tally.collector_is_there(&endpoint);
                    return;
                }
                Answer::Away { why } => (why, None),
                Answer::Later { after, why } => (why, Some(after)),
            };
            self.tally.collector_is_away(&endpoint, &why);
            let now = Instant::now();
            // Who ends does not wait for a collector that is not there, and gives one that says "later" what time there is.
            let by = ordered.stop.as_ref().map_or(give_up, |(by, _)| if after.is_some() { *by } else { now });
            let next = now + after.flatten().unwrap_or_else(|| jittered(pause, fastrand::f64()));
            if next >= by {
                self.tally.lost(self.signal, Loss::Unsent, batch.items);
                return;
            }
            self.wait_until(next, ordered).await;
            pause = (pause * 2).min(RETRY_LONGEST);
        }
    }

    /// One attempt, cut short by the time to stop.
    async fn attempt(&mut self, body: Bytes, ordered: &mut Ordered) -> Answer {
        let sending = self.transport.send(body);
        tokio::pin!(sending);
        loop {
            let stop = ordered.stop.as_ref().map(|(by, _)| *by);
            tokio::select! {
                biased;
                answer = &mut sending => return answer,
                order = self.orders.recv(), if stop.is_none() => ordered.note(order),
                () = sleep_until(stop.unwrap_or_else(Instant::now)), if stop.is_some() => {
                    return Answer::Away { why: "the service ends".to_owned() };
                }
            }
        }
    }

    /// A pause, which an order to stop ends.
    async fn wait_until(&mut self, next: Instant, ordered: &mut Ordered) {
        let stopping = ordered.stop.is_some();
        while stopping || ordered.stop.is_none() {
            tokio::select! {
                () = sleep_until(next) => return,
                order = self.orders.recv(), if !stopping => ordered.note(order),
            }
        }
    }
}

impl Ordered {
    fn note(&mut self, order: Option<Order>) {
        match order {
            Some(Order::Flush(done)) => self.flushes.push(done),
            Some(Order::Stop { by, done }) => self.stop = Some((by, done)),
            // The guard is gone and did not say when to stop: now.
            None => self.stop = Some((Instant::now(), std::sync::mpsc::sync_channel(1).0)),
        }
    }
}

/// A pause between four and six fifths: services that lost the same collector do not all come back to it at once. `chance` is uniform in [0, 1).
fn jittered(pause: Duration, chance: f64) -> Duration {
    pause.mul_f64(0.8 + 0.4 * chance)
}
