//! The one task of notifications: commits plans, makes attempts, and waits. It decides nothing; `dispatch` and `outbox` do.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use store::{StateChange, Writer};
use tokio::task::{Id, JoinSet};

use super::client::Failure;
use super::dispatch::Plan;
use super::limits::{COMMIT_RETRY, LOOK_INTERVAL, STOP_GRACE};
use super::outbox::{Attempt, Outcome};
use super::{Core, Delivery, Inner};

// A commit on its way; it ends when the store has it.
type Commit = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Running {
    attempts: JoinSet<(Result<(), Failure>, Duration)>,
    of: HashMap<Id, Attempt>,
    commit: Option<(Commit, Plan, Vec<u64>)>,
}

pub(super) async fn run(inner: &Arc<Inner>, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut running = Running { attempts: JoinSet::new(), of: HashMap::new(), commit: None };
    loop {
        running.start_commit(inner, true);
        running.start_attempts(inner);
        let until = running.until(inner);
        tokio::select! {
            () = &mut shutdown => break,
            () = running.step(inner) => {}
            () = inner.woken.notified() => {}
            () = inner.clock.sleep_until(until) => {}
        }
    }
    let grace = inner.clock.sleep_until(inner.clock.monotonic() + STOP_GRACE);
    tokio::select! {
        () = running.end(inner) => {}
        () = grace => tracing::warn!("attempts to notify are cut off; they are made again after the start"),
    }
}

impl Running {
    // Commits what is new, if nothing else is being committed.
    fn start_commit(&mut self, inner: &Arc<Inner>, plans: bool) {
        while self.commit.is_none() {
            let mut guard = inner.lock();
            let core: &mut Core = &mut guard;
            let now = inner.clock.now();
            let mut plan = Plan::default();
            if plans {
                let outbox = &core.outbox;
                plan = core.dispatch.plan(now, |lane, endpoint| outbox.room(lane, endpoint));
                core.outbox.push(std::mem::take(&mut plan.drafts));
            }
            let (mut changes, numbers) = core.outbox.unsaved();
            changes.append(&mut plan.changes);
            if changes.is_empty() {
                let idle = plan.is_empty();
                core.dispatch.apply(plan);
                let more = core.dispatch.next().is_some_and(|next| next <= now.as_nanos());
                if idle || !plans || !more {
                    return;
                }
                continue;
            }
            drop(guard);
            self.commit = Some((Box::pin(commit(Arc::clone(inner), changes)), plan, numbers));
        }
    }

    fn start_attempts(&mut self, inner: &Arc<Inner>) {
        let mut guard = inner.lock();
        let core: &mut Core = &mut guard;
        let config = core.config.clone();
        let due = core.outbox.due(inner.clock.now(), |endpoint| Core::configured(config.as_ref(), endpoint));
        for attempt in due {
            let endpoint = &attempt.entry.endpoint;
            let receiver = config.as_ref().and_then(|config| config.receivers.get(&endpoint.receiver));
            let Some(webhook) = receiver.and_then(|receiver| receiver.webhooks.get(endpoint.webhook)).cloned() else {
                core.outbox.abandon(attempt.number);
                continue;
            };
            let (client, clock) = (core.client.clone(), Arc::clone(&inner.clock));
            let (body, key) = (Arc::clone(&attempt.entry.body), attempt.entry.key.clone());
            let task = self.attempts.spawn(async move {
                let began = clock.monotonic();
                let result = client.deliver(&webhook, &body, &key).await;
                (result, clock.monotonic().saturating_sub(began))
            });
            self.of.insert(task.id(), attempt);
        }
    }

    // Until when there is nothing to do, if nothing happens.
    fn until(&self, inner: &Inner) -> Duration {
        let core = inner.lock();
        let config = core.config.clone();
        let sends = core.outbox.next(|endpoint| Core::configured(config.as_ref(), endpoint));
        let looks = if self.commit.is_none() { core.dispatch.next() } else { None };
        let now = inner.clock.now().as_nanos();
        let wait = sends.into_iter().chain(looks).min().map_or(i64::MAX, |next| next.saturating_sub(now).max(0));
        let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(0));
        inner.clock.monotonic() + wait.min(LOOK_INTERVAL)
    }

    // Waits for the end of a commit or of an attempt, and says so. Waits for ever if there is neither.
    async fn step(&mut self, inner: &Inner) {
        let Running { attempts, of, commit } = self;
        let committed = async {
            match commit.as_mut() {
                Some((commit, ..)) => commit.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = committed => {
                if let Some((_, plan, numbers)) = self.commit.take() {
                    let mut core = inner.lock();
                    core.dispatch.apply(plan);
                    core.outbox.saved(&numbers);
                }
            }
            Some(ended) = attempts.join_next_with_id() => {
                let (id, result) = match ended {
                    Ok((id, result)) => (id, Some(result)),
                    Err(error) => (error.id(), None),
                };
                let Some(attempt) = of.remove(&id) else { return };
                match result {
                    Some((result, took)) => settle(inner, &attempt, result, took),
                    // An attempt that panicked is one that failed, or it would be made again at once.
                    None => {
                        let message = "the attempt ended by a panic".to_owned();
                        let failure = Failure { kind: "panic", message, permanent: false, retry_after: None };
                        settle(inner, &attempt, Err(failure), Duration::ZERO);
                    }
                }
            }
        }
    }

    // Lets everything in flight end, and commits how it ended.
    async fn end(&mut self, inner: &Arc<Inner>) {
        loop {
            self.start_commit(inner, false);
            if self.attempts.is_empty() && self.commit.is_none() {
                return;
            }
            self.step(inner).await;
        }
    }
}

// Commits until the store has it. The same changes each time: after some errors a restart may find the first ones.
async fn commit(inner: Arc<Inner>, changes: Vec<StateChange>) {
    let writer: &Writer = &inner.writer;
    while let Err(error) = writer.change_state(changes.clone()).await {
        inner.stats.commit_failures.add(1);
        tracing::error!(error = &error as &dyn std::error::Error, "notifications wait for the store");
        inner.clock.sleep_until(inner.clock.monotonic() + COMMIT_RETRY).await;
    }
}

fn settle(inner: &Inner, attempt: &Attempt, result: Result<(), Failure>, took: Duration) {
    let error = result.as_ref().err().map(|failure| failure.message.clone());
    let at = inner.clock.now();
    let outcome = inner.lock().outbox.settle(attempt.number, result, at, fastrand::f64());
    let entry = &attempt.entry;
    let delivery = Delivery {
        endpoint: entry.endpoint.clone(),
        group_key: entry.group_key.clone(),
        idempotency_key: entry.key.clone(),
        status: entry.status.clone(),
        alerts: entry.alerts,
        attempt: entry.attempts + 1,
        at,
        took,
        outcome,
        error,
    };
    tell(&delivery);
    if let Some(hook) = &inner.on_delivery {
        hook(&delivery);
    }
}

fn tell(delivery: &Delivery) {
    let Delivery { endpoint, group_key, idempotency_key, status, alerts, attempt, .. } = delivery;
    let (receiver, webhook) = (&endpoint.receiver, endpoint.webhook);
    let took_ms = u64::try_from(delivery.took.as_millis()).unwrap_or(u64::MAX);
    match &delivery.error {
        None => {
            tracing::info!(receiver, webhook, group_key, idempotency_key, status, alerts, attempt, took_ms, "notified");
        }
        Some(error) => {
            let again = delivery.outcome == Outcome::Retried;
            tracing::warn!(
                receiver,
                webhook,
                group_key,
                idempotency_key,
                status,
                alerts,
                attempt,
                took_ms,
                error,
                again,
                "an attempt to notify failed"
            );
        }
    }
}
