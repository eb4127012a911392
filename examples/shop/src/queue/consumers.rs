//! Consumers of a queue, as many as it needs: workers lease messages, have each worked on inside the trace that it came from, and settle it: done, to be tried again after a pause, or
//! dead. One task looks at the queue every second, for the number of workers and for the metrics.

mod retry;
mod scale;
mod signals;
mod stall;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sextant_sdk::messaging::Channel;
use sextant_sdk::opentelemetry::Context as Trace;
use sextant_sdk::opentelemetry::trace::FutureExt;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::retry::{Next, next};
use self::scale::Scale;
use self::signals::Signals;
use super::{Delivery, Message, Queue, QueueError, full};
use crate::context::{Context, Tasks};
use crate::faults::{FaultKind, Faults};
use crate::limits::{ATTEMPTS_MAX, MESSAGE_BATCH, MESSAGE_TIMEOUT, QUEUE_LOOK, QUEUE_PATIENCE, WORKER_IDLE_MAX};

/// What is done with a message. It happens at least once, so twice is to be as good as once.
#[async_trait]
pub(crate) trait Handle: Send + Sync + 'static {
    async fn handle(&self, message: &Message) -> Result<(), Failure>;
}

/// Why a message could not be worked on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Failure {
    /// It may be possible later.
    #[error("{0}")]
    Passing(String),
    /// It will never be: nobody can read it.
    #[error("{0}")]
    Poison(String),
}

/// How a group consumes.
#[derive(Clone, Debug)]
pub(crate) struct Consumers {
    queue: Arc<dyn Queue>,
    group: &'static str,
    timeout: Duration,
    idle: Duration,
    look: Duration,
}

impl Consumers {
    /// The group with this name.
    pub(crate) fn of(queue: &Arc<dyn Queue>, group: &'static str) -> Self {
        let queue = Arc::clone(queue);
        Self { queue, group, timeout: MESSAGE_TIMEOUT, idle: WORKER_IDLE_MAX, look: QUEUE_LOOK }
    }

    /// Consumes until the service stops; what is being worked on then is finished.
    pub(crate) fn begin(self, context: &Context, handler: Arc<dyn Handle>) {
        let (queue, group) = (Arc::clone(&self.queue), self.group);
        let signals = Arc::new(Signals::new(&context.meter, queue.name(), group));
        let (faults, tasks) = (Arc::clone(&context.faults), context.tasks.clone());
        context.tasks.spawn({
            let (signals, faults, tasks) = (Arc::clone(&signals), Arc::clone(&faults), tasks.clone());
            async move { stall::watch(&faults, &signals, queue.name(), &tasks).await }
        });
        let channel = Channel::new(self.queue.system(), self.queue.name()).consumer_group(group);
        let work = Work { consumers: self, channel, handler, signals, faults };
        context.tasks.spawn(supervise(Arc::new(work), tasks));
    }
}

/// What every worker has.
struct Work {
    consumers: Consumers,
    channel: Channel,
    handler: Arc<dyn Handle>,
    signals: Arc<Signals>,
    faults: Arc<Faults>,
}

/// Looks at the queue and keeps as many workers as it needs, until all have ended.
async fn supervise(work: Arc<Work>, tasks: Tasks) {
    let Consumers { queue, idle, look, .. } = &work.consumers;
    let mut scale = Scale::new(*idle);
    let mut workers = JoinSet::new();
    // A worker ends when its sender is dropped.
    let mut employed: Vec<oneshot::Sender<()>> = Vec::new();
    while !tasks.is_stopping() {
        match queue.stats().await {
            Ok(stats) => {
                work.signals.looked(Some(stats));
                scale.next(stats.ready, Instant::now());
            }
            Err(error) => {
                work.signals.looked(None);
                unreachable(&work, &error);
            }
        }
        employed.truncate(scale.workers());
        while employed.len() < scale.workers() {
            let (sender, dismissed) = oneshot::channel();
            employed.push(sender);
            workers.spawn(consume(Arc::clone(&work), dismissed, tasks.clone()));
        }
        work.signals.workers(scale.workers());
        while workers.try_join_next().is_some() {}
        tasks.pause(*look).await;
    }
    while workers.join_next().await.is_some() {}
    work.signals.workers(0);
}

/// One worker, which ends after the messages in hand when fewer workers are needed, and after the one in hand when the service stops.
async fn consume(work: Arc<Work>, mut dismissed: oneshot::Receiver<()>, tasks: Tasks) {
    while !tasks.is_stopping() && dismissed.try_recv() == Err(TryRecvError::Empty) {
        if work.faults.amount(FaultKind::QueueStall).is_some() {
            tokio::select! {
                () = work.faults.stopped(FaultKind::QueueStall) => {}
                () = tasks.stopping() => {}
            }
            continue;
        }
        // Not cut short: what a broker has handed out meanwhile would be nobody's until its lease is over.
        match work.consumers.queue.receive(MESSAGE_BATCH, QUEUE_PATIENCE).await {
            Ok(deliveries) => {
                for delivery in deliveries {
                    if tasks.is_stopping() {
                        give_back(&work, &delivery).await;
                    } else {
                        process(&work, &delivery).await;
                    }
                }
            }
            Err(error) => {
                unreachable(&work, &error);
                tasks.pause(work.consumers.look).await;
            }
        }
    }
}

/// Works on a message, and settles it inside its trace.
async fn process(work: &Work, delivery: &Delivery) {
    let worked = async {
        let result = if delivery.attempt > ATTEMPTS_MAX {
            // Attempts that were settled would not have led here: the processes that made them have ended.
            Err(Failure::Poison("whoever worked on it has ended with it or lost its lease".to_owned()))
        } else {
            attempt(work, &delivery.message).await
        };
        if let Err(error) = settle(work, delivery, &result).await {
            // The message comes again when its lease is over.
            tracing::warn!(
                name: "message.unsettled",
                { error = full(&error), messaging.destination.name = work.consumers.queue.name() },
                "what became of the message could not be told to its queue"
            );
        }
        result
    };
    // What went wrong is said on the span and by `settle`.
    let _ = work.channel.process(&delivery.message.headers, worked).await;
}

async fn attempt(work: &Work, message: &Message) -> Result<(), Failure> {
    let (handler, message) = (Arc::clone(&work.handler), message.clone());
    // A task of its own: a panic in it is an attempt that has failed, and not the end of the worker and of what it has leased beside.
    let mut task = JoinSet::new();
    task.spawn(async move { handler.handle(&message).await }.with_context(Trace::current()));
    let limit = work.consumers.timeout;
    match timeout(limit, task.join_next()).await {
        Ok(Some(Ok(result))) => result,
        Ok(_) => Err(Failure::Passing("the work on it panicked".to_owned())),
        // It is cut off with the set.
        Err(_) => Err(Failure::Passing(format!("not done within {limit:?}"))),
    }
}

async fn settle(work: &Work, delivery: &Delivery, result: &Result<(), Failure>) -> Result<(), QueueError> {
    let (queue, attempt) = (&work.consumers.queue, delivery.attempt);
    let failure = match result {
        Ok(()) => return queue.acknowledge(delivery).await,
        Err(failure) => failure,
    };
    let reason = failure.to_string();
    match next(failure, attempt, fastrand::f64()) {
        Next::Retry(pause) => {
            work.signals.retried();
            let seconds = pause.as_secs_f64();
            tracing::warn!(
                name: "message.retried",
                { error = reason, shop.attempt = attempt, shop.pause_s = seconds, messaging.destination.name = queue.name() },
                "the message is tried again in {seconds:.1} s, after attempt {attempt}: {reason}"
            );
            queue.retry(delivery, pause).await
        }
        Next::DeadLetter => {
            work.signals.dead();
            tracing::error!(
                name: "message.dead_lettered",
                { error = reason, shop.attempt = attempt, messaging.destination.name = queue.name() },
                "the message is a dead letter after {attempt} attempts: {reason}"
            );
            queue.dead_letter(delivery, &reason).await
        }
    }
}

/// Another process may have it at once.
async fn give_back(work: &Work, delivery: &Delivery) {
    if let Err(error) = work.consumers.queue.retry(delivery, Duration::ZERO).await {
        unreachable(work, &error);
    }
}

fn unreachable(work: &Work, error: &QueueError) {
    if work.signals.may_complain() {
        tracing::warn!(
            name: "queue.unreachable",
            { error = full(error), messaging.destination.name = work.consumers.queue.name() },
            "the queue gives no answer"
        );
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("consumers", &self.consumers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
