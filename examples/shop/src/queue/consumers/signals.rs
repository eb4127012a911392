//! What a queue's consumers measure. What is in the queue is observed as it was at the last look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::{Counter, Meter};
use tokio::time::Instant;

use crate::limits::COMPLAINT_PAUSE;
use crate::queue::Stats;

/// The instruments of one group on one queue.
#[derive(Debug)]
pub(super) struct Signals {
    seen: Arc<Mutex<Seen>>,
    retries: Counter<u64>,
    dead_letters: Counter<u64>,
    destination: [KeyValue; 1],
}

#[derive(Debug, Default)]
struct Seen {
    /// None while the queue gives no answer: then there is no point either.
    stats: Option<Stats>,
    last: Stats,
    workers: usize,
    complained: Option<Instant>,
}

impl Signals {
    pub(super) fn new(meter: &Meter, queue: &'static str, group: &'static str) -> Self {
        let seen = Arc::default();
        observe(meter, queue, group, &Arc::downgrade(&seen));
        let counter =
            |name, description| meter.u64_counter(name).with_unit("{message}").with_description(description).build();
        let signals = Self {
            seen,
            retries: counter("shop.queue.retries", "Messages that are to be tried again"),
            dead_letters: counter("shop.queue.dead_letters", "Messages that were given up"),
            destination: [KeyValue::new("messaging.destination.name", queue)],
        };
        // A rate begins with a zero.
        signals.retries.add(0, &signals.destination);
        signals.dead_letters.add(0, &signals.destination);
        signals
    }

    pub(super) fn retried(&self) {
        self.retries.add(1, &self.destination);
    }

    pub(super) fn dead(&self) {
        self.dead_letters.add(1, &self.destination);
    }

    /// What a look at the queue has shown.
    pub(super) fn looked(&self, stats: Option<Stats>) {
        let mut seen = lock(&self.seen);
        seen.stats = stats;
        seen.last = stats.unwrap_or(seen.last);
    }

    pub(super) fn workers(&self, workers: usize) {
        lock(&self.seen).workers = workers;
    }

    #[cfg(test)]
    pub(super) fn workers_now(&self) -> usize {
        lock(&self.seen).workers
    }

    /// What was in the queue when it last gave an answer.
    pub(super) fn last(&self) -> Stats {
        lock(&self.seen).last
    }

    /// Whether it is time for another line about a queue that gives no answer.
    pub(super) fn may_complain(&self) -> bool {
        let now = Instant::now();
        let mut seen = lock(&self.seen);
        let may = seen.complained.is_none_or(|last| now.duration_since(last) >= COMPLAINT_PAUSE);
        if may {
            seen.complained = Some(now);
        }
        may
    }
}

fn observe(meter: &Meter, queue: &'static str, group: &'static str, seen: &Weak<Mutex<Seen>>) {
    let destination = KeyValue::new("messaging.destination.name", queue);
    let depth = meter.u64_observable_gauge("shop.queue.depth").with_unit("{message}");
    let (weak, named) = (Weak::clone(seen), destination.clone());
    depth
        .with_description("Messages in a queue")
        .with_callback(move |gauge| {
            let Some(stats) = weak.upgrade().and_then(|seen| lock(&seen).stats) else { return };
            for (state, value) in [("ready", stats.ready), ("in_flight", stats.in_flight), ("dead", stats.dead)] {
                gauge.observe(value, &[named.clone(), KeyValue::new("shop.queue.state", state)]);
            }
        })
        .build();
    let lag = meter.f64_observable_gauge("shop.queue.lag").with_unit("s");
    let weak = Weak::clone(seen);
    lag.with_description("Age of the oldest message that is not acknowledged")
        .with_callback(move |gauge| {
            if let Some(stats) = weak.upgrade().and_then(|seen| lock(&seen).stats) {
                gauge.observe(stats.oldest.as_secs_f64(), std::slice::from_ref(&destination));
            }
        })
        .build();
    let workers = meter.u64_observable_gauge("shop.queue.workers").with_unit("{worker}");
    let weak = Weak::clone(seen);
    workers
        .with_description("Workers of a consumer group")
        .with_callback(move |gauge| {
            if let Some(seen) = weak.upgrade() {
                gauge.observe(lock(&seen).workers as u64, &[KeyValue::new("messaging.consumer.group.name", group)]);
            }
        })
        .build();
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // Nothing panics under this lock.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
