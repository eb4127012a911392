//! What has been decided to be sent and is not yet known to have arrived. A pure machine over records of the state table
//! `notify_outbox`: `run` commits its changes, makes the attempts and tells it how they went.
//!
//! Notifications of one lane (one group of one webhook) leave in their order, one at a time, and the next one only when the
//! store knows that the one before has arrived: a kill repeats at most that one, with the same key.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use model::wire::alerts::{Notification, Notifications};
use serde::{Deserialize, Serialize};
use store::StateChange;

use super::client::Failure;
use super::dispatch::Lane;
use super::group::Endpoint;
use super::limits::{
    BACKOFF_MAX, BACKOFF_MIN, DEAD_MAX, ENDPOINT_ATTEMPTS_MAX, ENDPOINT_BYTES_MAX, ENDPOINT_ENTRIES_MAX,
    LANE_ENTRIES_MAX, RETRY_AFTER_MAX,
};
use super::record::{delete, put};
use super::stats::NotifyStats;
use super::webhook::{Body, idempotency_key};

/// The state table.
pub const OUTBOX: &str = "notify_outbox";

/// A notification that has been decided and is not yet in the outbox.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Whose order it keeps.
    pub lane: Lane,
    /// Who is told.
    pub endpoint: Endpoint,
    /// Alertmanager's key of the group.
    pub group_key: String,
    /// How often this lane was told something, this included.
    pub count: u64,
    /// When it was decided.
    pub created: i64,
    /// What is told.
    pub body: Body,
}

/// How full the way to a receiver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Nothing of this lane waits.
    Empty,
    /// Something waits, more may.
    Some,
    /// No more may wait.
    Full,
}

/// A record of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The same in every attempt.
    pub key: String,
    /// Whose order it keeps.
    pub lane: Lane,
    /// Who is told.
    pub endpoint: Endpoint,
    /// Alertmanager's key of the group.
    pub group_key: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// How many alerts it tells of.
    pub alerts: usize,
    /// When it was decided.
    pub created: i64,
    /// What is sent; empty once it is given up.
    #[serde(with = "shared_text")]
    pub body: Arc<str>,
    /// Attempts so far.
    pub attempts: u64,
    /// When it is tried next.
    pub next_attempt: i64,
    /// Since when its receiver had been failing at the last attempt.
    pub failing_since: Option<i64>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was given up.
    pub dead_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    // Until the store has it, or has the news of it.
    Saving,
    Waiting,
    Trying,
    // Arrived or given up; goes when the store knows.
    Over,
}

struct Slot {
    entry: Entry,
    phase: Phase,
}

#[derive(Default)]
struct Receiver {
    trying: usize,
    waiting: usize,
    bytes: usize,
    failures: u32,
    failing_since: Option<i64>,
    paused_until: i64,
}

impl Receiver {
    // One attempt is enough to see whether a receiver that failed is back.
    fn limit(&self) -> usize {
        if self.failures > 0 { 1 } else { ENDPOINT_ATTEMPTS_MAX }
    }
}

/// The machine.
pub struct Outbox {
    slots: BTreeMap<u64, Slot>,
    lanes: BTreeMap<Lane, VecDeque<u64>>,
    receivers: BTreeMap<Endpoint, Receiver>,
    // By number, oldest first.
    dead: BTreeMap<u64, Entry>,
    // Numbers whose record is not what the store has.
    unsaved: BTreeSet<u64>,
    next: u64,
    outage_max: i64,
    stats: NotifyStats,
}

/// What is to be tried now.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The entry's number, to say how it went.
    pub number: u64,
    /// The entry.
    pub entry: Entry,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Delivered,
    /// It is tried again.
    Retried,
    /// It is given up.
    Dead,
}

impl Outbox {
    /// An outbox that gives up after `outage_max`.
    pub fn new(outage_max: Duration, stats: NotifyStats) -> Outbox {
        Outbox {
            slots: BTreeMap::new(),
            lanes: BTreeMap::new(),
            receivers: BTreeMap::new(),
            dead: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            next: 1,
            outage_max: nanos(outage_max),
            stats,
        }
    }

    /// Takes up where an earlier process was: the records of the table.
    pub fn restore(
        &mut self,
        records: impl Iterator<Item = (String, Arc<[u8]>)>,
    ) -> Result<(), (&'static str, String, serde_json::Error)> {
        for (key, bytes) in records {
            let entry: Entry = serde_json::from_slice(&bytes).map_err(|error| (OUTBOX, key.clone(), error))?;
            let Ok(number) = u64::from_str_radix(&key, 16) else { continue };
            self.next = self.next.max(number + 1);
            if entry.dead_at.is_some() {
                self.dead.insert(number, entry);
                continue;
            }
            let receiver = self.receivers.entry(entry.endpoint.clone()).or_default();
            receiver.failing_since = receiver.failing_since.into_iter().chain(entry.failing_since).min();
            self.enter(number, entry, Phase::Waiting);
        }
        self.count();
        Ok(())
    }

    /// How much more may wait for a lane.
    pub fn room(&self, lane: &Lane, endpoint: &Endpoint) -> Room {
        let waiting = self.lanes.get(lane).map_or(0, VecDeque::len);
        let receiver = self.receivers.get(endpoint);
        let full = receiver.is_some_and(|r| r.waiting >= ENDPOINT_ENTRIES_MAX || r.bytes >= ENDPOINT_BYTES_MAX);
        match waiting {
            _ if full || waiting >= LANE_ENTRIES_MAX => Room::Full,
            0 => Room::Empty,
            _ => Room::Some,
        }
    }

    /// Takes drafts in. They may leave when [`Outbox::saved`] has been told of their numbers.
    pub fn push(&mut self, drafts: Vec<Draft>) {
        for draft in drafts {
            let number = self.next;
            self.next += 1;
            let entry = Entry {
                key: idempotency_key(&draft.lane, draft.created, draft.count, &draft.body.text),
                lane: draft.lane,
                endpoint: draft.endpoint,
                group_key: draft.group_key,
                status: draft.body.status.to_owned(),
                alerts: draft.body.alerts,
                created: draft.created,
                body: draft.body.text.into(),
                attempts: 0,
                next_attempt: draft.created,
                failing_since: None,
                last_error: None,
                dead_at: None,
            };
            self.enter(number, entry, Phase::Saving);
            self.unsaved.insert(number);
        }
        self.count();
    }

    fn enter(&mut self, number: u64, entry: Entry, phase: Phase) {
        let receiver = self.receivers.entry(entry.endpoint.clone()).or_default();
        receiver.waiting += 1;
        receiver.bytes += entry.body.len();
        self.lanes.entry(entry.lane.clone()).or_default().push_back(number);
        self.slots.insert(number, Slot { entry, phase });
    }

    /// The changes that the store does not have yet, and the numbers they are of.
    pub fn unsaved(&mut self) -> (Vec<StateChange>, Vec<u64>) {
        let numbers: Vec<u64> = std::mem::take(&mut self.unsaved).into_iter().collect();
        let changes = numbers.iter().map(|number| {
            let key = format!("{number:016x}");
            match self.slots.get(number) {
                Some(Slot { phase: Phase::Over, .. }) => delete(OUTBOX, key),
                Some(slot) => put(OUTBOX, key, &slot.entry),
                None => self
                    .dead
                    .get(number)
                    .map_or_else(|| delete(OUTBOX, key.clone()), |dead| put(OUTBOX, key.clone(), dead)),
            }
        });
        (changes.collect(), numbers)
    }

    /// The store has the changes of these numbers.
    pub fn saved(&mut self, numbers: &[u64]) {
        for number in numbers.iter().filter(|number| !self.unsaved.contains(*number)).copied().collect::<Vec<_>>() {
            let Some(slot) = self.slots.get_mut(&number) else { continue };
            match slot.phase {
                Phase::Saving => slot.phase = Phase::Waiting,
                Phase::Over => self.leave(number),
                Phase::Waiting | Phase::Trying => {}
            }
        }
        self.count();
    }

    fn leave(&mut self, number: u64) {
        let Some(slot) = self.slots.remove(&number) else { return };
        if let Some(lane) = self.lanes.get_mut(&slot.entry.lane) {
            lane.retain(|other| *other != number);
            if lane.is_empty() {
                self.lanes.remove(&slot.entry.lane);
            }
        }
        if let Some(receiver) = self.receivers.get_mut(&slot.entry.endpoint) {
            receiver.waiting = receiver.waiting.saturating_sub(1);
            receiver.bytes = receiver.bytes.saturating_sub(slot.entry.body.len());
        }
    }

    /// What is to be tried now, marked as being tried. `configured` says whether there is such a webhook.
    pub fn due(&mut self, now: Timestamp, configured: impl Fn(&Endpoint) -> bool) -> Vec<Attempt> {
        let now = now.as_nanos();
        let mut heads: Vec<(i64, u64)> = self.heads().map(|(number, entry)| (entry.next_attempt, number)).collect();
        heads.sort_unstable();
        let mut attempts = Vec::new();
        for (_, number) in heads {
            let Some(slot) = self.slots.get_mut(&number) else { continue };
            let Some(receiver) = self.receivers.get_mut(&slot.entry.endpoint) else { continue };
            if !configured(&slot.entry.endpoint) {
                if slot.entry.created.saturating_add(self.outage_max) <= now {
                    self.give_up(number, now, "its receiver is no longer configured".to_owned(), "unconfigured");
                } else {
                    slot.entry.last_error.get_or_insert_with(|| "its receiver is no longer configured".to_owned());
                }
                continue;
            }
            let come = has_come(receiver.paused_until, now) && has_come(slot.entry.next_attempt, now);
            if !come || receiver.trying >= receiver.limit() {
                continue;
            }
            receiver.trying += 1;
            slot.phase = Phase::Trying;
            attempts.push(Attempt { number, entry: slot.entry.clone() });
        }
        attempts
    }

    // The first of each lane, if it waits.
    fn heads(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.lanes.values().filter_map(|lane| {
            let number = *lane.front()?;
            let slot = self.slots.get(&number).filter(|slot| slot.phase == Phase::Waiting)?;
            Some((number, &slot.entry))
        })
    }

    /// When something is to be tried next, unless an attempt ends before.
    pub fn next(&self, configured: impl Fn(&Endpoint) -> bool) -> Option<i64> {
        let moments = self.heads().filter_map(|(_, entry)| {
            if !configured(&entry.endpoint) {
                return Some(entry.created.saturating_add(self.outage_max));
            }
            let receiver = self.receivers.get(&entry.endpoint)?;
            (receiver.trying < receiver.limit()).then_some(entry.next_attempt.max(receiver.paused_until))
        });
        moments.min()
    }

    /// Says how an attempt went. `chance` in 0..1 spreads the retries.
    pub fn settle(&mut self, number: u64, result: Result<(), Failure>, now: Timestamp, chance: f64) -> Outcome {
        let now = now.as_nanos();
        let Some(slot) = self.slots.get_mut(&number) else { return Outcome::Delivered };
        let Some(receiver) = self.receivers.get_mut(&slot.entry.endpoint) else { return Outcome::Delivered };
        receiver.trying = receiver.trying.saturating_sub(1);
        slot.entry.attempts += 1;
        let failure = match result {
            Ok(()) => {
                (receiver.failures, receiver.failing_since, receiver.paused_until) = (0, None, 0);
                self.stats.delivered(&slot.entry.endpoint, now.saturating_sub(slot.entry.created));
                slot.phase = Phase::Over;
                self.unsaved.insert(number);
                return Outcome::Delivered;
            }
            Err(failure) => failure,
        };
        self.stats.failed(&slot.entry.endpoint, failure.kind);
        if failure.permanent {
            // The receiver answers; only this one it does not take.
            (receiver.failures, receiver.failing_since) = (0, None);
            self.give_up(number, now, failure.message, failure.kind);
            return Outcome::Dead;
        }
        receiver.failures = receiver.failures.saturating_add(1);
        let since = *receiver.failing_since.get_or_insert(now);
        let old = |moment: i64| moment.saturating_add(self.outage_max) <= now;
        if old(since) && old(slot.entry.created) {
            self.give_up(number, now, failure.message, failure.kind);
            return Outcome::Dead;
        }
        let wait = |failures: u64| now.saturating_add(backoff(failures, chance));
        slot.entry.next_attempt = wait(slot.entry.attempts);
        receiver.paused_until = wait(u64::from(receiver.failures));
        if let Some(asked) = failure.retry_after {
            receiver.paused_until = now.saturating_add(nanos(asked.min(RETRY_AFTER_MAX)));
            slot.entry.next_attempt = receiver.paused_until;
        }
        slot.entry.failing_since = Some(since);
        slot.entry.last_error = Some(failure.message);
        slot.phase = Phase::Waiting;
        self.unsaved.insert(number);
        Outcome::Retried
    }

    /// An attempt ended without saying how it went: it is made again.
    pub fn abandon(&mut self, number: u64) {
        let Some(slot) = self.slots.get_mut(&number) else { return };
        slot.phase = Phase::Waiting;
        if let Some(receiver) = self.receivers.get_mut(&slot.entry.endpoint) {
            receiver.trying = receiver.trying.saturating_sub(1);
        }
    }

    // Into the dead letters; the lane goes on.
    fn give_up(&mut self, number: u64, now: i64, error: String, kind: &'static str) {
        let Some(slot) = self.slots.get(&number) else { return };
        let mut entry = slot.entry.clone();
        self.stats.dead(&entry.endpoint, kind);
        tracing::error!(
            receiver = entry.endpoint.receiver,
            group = entry.group_key,
            key = entry.key,
            error,
            "a notification is given up"
        );
        (entry.body, entry.dead_at, entry.last_error) = ("".into(), Some(now), Some(error));
        self.leave(number);
        self.dead.insert(number, entry);
        self.unsaved.insert(number);
        while self.dead.len() > DEAD_MAX {
            if let Some((oldest, _)) = self.dead.pop_first() {
                self.unsaved.insert(oldest);
            }
        }
        self.count();
    }

    /// What waits and what was given up.
    pub fn status(&self) -> Notifications {
        // What waits for another one of its lane is not tried before it.
        let mut before: BTreeMap<&Lane, i64> = BTreeMap::new();
        let mut queued = Vec::new();
        for slot in self.slots.values().filter(|slot| slot.phase != Phase::Over) {
            let paused = self.receivers.get(&slot.entry.endpoint).map_or(0, |receiver| receiver.paused_until);
            let next = before.entry(&slot.entry.lane).or_insert(paused);
            *next = slot.entry.next_attempt.max(*next);
            queued.push(shown(&slot.entry, Some(*next)));
        }
        let dead = self.dead.values().rev().map(|entry| shown(entry, None));
        Notifications { queued, dead: dead.collect() }
    }

    fn count(&self) {
        self.stats.queued.set(self.slots.len() as u64);
        self.stats.queued_bytes.set(self.receivers.values().map(|receiver| receiver.bytes as u64).sum());
        self.stats.dead_letters.set(self.dead.len() as u64);
    }
}

mod shared_text {
    //! A text that attempts share, as JSON.

    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        Ok(String::deserialize(deserializer)?.into())
    }
}

fn shown(entry: &Entry, next: Option<i64>) -> Notification {
    Notification {
        idempotency_key: entry.key.clone(),
        receiver: entry.endpoint.receiver.clone(),
        group_key: entry.group_key.clone(),
        status: entry.status.clone(),
        alerts: entry.alerts,
        created: Timestamp::from_nanos(entry.created).to_string(),
        attempts: entry.attempts,
        next_attempt: next.map(|next| Timestamp::from_nanos(next).to_string()),
        last_error: entry.last_error.clone(),
    }
}

// A wall clock that jumped back must not keep anything waiting for longer than the longest wait.
fn has_come(moment: i64, now: i64) -> bool {
    moment <= now || moment > now.saturating_add(nanos(RETRY_AFTER_MAX))
}

// Full jitter: anything up to the bound, which doubles with each failure.
fn backoff(failures: u64, chance: f64) -> i64 {
    let doubled = BACKOFF_MIN.as_secs_f64() * 2f64.powi(i32::try_from(failures.clamp(1, 32) - 1).unwrap_or(0));
    let bound = doubled.min(BACKOFF_MAX.as_secs_f64());
    (bound * chance.clamp(0.0, 1.0) * 1e9) as i64
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
