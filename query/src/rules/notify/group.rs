//! One aggregation group of one webhook: its alerts, when it is looked at next, and whether its receiver has to hear
//! something. Pure: no time but what is handed in, no disk, no net.
//!
//! Alertmanager keeps one state per alert. Here an alert that was resolved and fires again before its group is looked at
//! keeps each of its *episodes*, so that each transition is told, in its order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use model::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::EPISODES_MAX;
use super::receiver::Webhook;
use super::route::Options;
use crate::rules::Alert;

/// One time that an alert fired: its fingerprint and when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Episode(pub u64, pub i64);

impl Episode {
    /// The episode that an alert is in.
    pub fn of(alert: &Alert) -> Episode {
        Episode(alert.fingerprint(), alert.starts_at)
    }
}

/// Which webhook of which receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The receiver's name.
    pub receiver: String,
    /// The position among its webhooks, from 0.
    pub webhook: usize,
}

/// What a receiver was told last of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When that was decided, in nanoseconds.
    pub at: i64,
    /// How often it was told something.
    pub count: u64,
    /// Fired, as far as it knows.
    pub firing: BTreeSet<Episode>,
    /// Resolved, as far as it knows or has to know.
    pub resolved: BTreeSet<Episode>,
}

/// Why a receiver is told something, in Alertmanager's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It never heard of the group.
    First,
    /// Some alerts fire that it does not know of.
    Fired,
    /// Some alerts it knows of no longer fire.
    Resolved,
    /// None fires any more.
    AllResolved,
    /// Nothing has changed for a long time.
    Repeat,
}

impl Reason {
    /// The value of `notification_reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::First => "first notification",
            Reason::Fired => "new alerts added",
            Reason::Resolved => "some alerts resolved",
            Reason::AllResolved => "all alerts resolved",
            Reason::Repeat => "repeat interval elapsed",
        }
    }
}

/// Whether a receiver has to be told, given what it was told before.
pub fn reason(
    told: Option<&Told>,
    firing: &BTreeSet<Episode>,
    resolved: &BTreeSet<Episode>,
    send_resolved: bool,
    repeat_interval: i64,
    now: Timestamp,
) -> Option<Reason> {
    let Some(told) = told else {
        // Alertmanager is silent if everything was resolved before it looked; a short failure is one all the same.
        return (!firing.is_empty() || (send_resolved && !resolved.is_empty())).then_some(Reason::First);
    };
    if !firing.is_subset(&told.firing) {
        return Some(Reason::Fired);
    }
    let news = send_resolved && !resolved.is_subset(&told.resolved);
    if firing.is_empty() {
        // Also if the receiver wants no word of it: the log must forget what it knows to be firing.
        return (news || !told.firing.is_empty()).then_some(Reason::AllResolved);
    }
    if news {
        return Some(Reason::Resolved);
    }
    (told.at < now.as_nanos().saturating_sub(repeat_interval)).then_some(Reason::Repeat)
}

/// The group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Who is told.
    pub endpoint: Endpoint,
    /// How.
    pub webhook: Arc<Webhook>,
    /// Alertmanager's key.
    pub key: String,
    /// What its alerts have in common by `group_by`.
    pub labels: BTreeMap<String, String>,
    /// Waits.
    pub options: Options,
    /// When it is looked at next, in nanoseconds.
    pub next: i64,
    flushed: bool,
    // By fingerprint; the episodes of each in order, those already told to be resolved gone.
    alerts: BTreeMap<u64, VecDeque<Arc<Alert>>>,
}

/// What a group says in one notification.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// In Alertmanager's order.
    pub alerts: Vec<Arc<Alert>>,
    /// Those that fire.
    pub firing: BTreeSet<Episode>,
    /// Those that do not.
    pub resolved: BTreeSet<Episode>,
}

impl Group {
    /// A group without alerts. `told_at` is when its receiver was told of it last.
    pub fn new(
        endpoint: Endpoint,
        webhook: Arc<Webhook>,
        key: String,
        labels: BTreeMap<String, String>,
        options: Options,
        told_at: Option<i64>,
        now: Timestamp,
    ) -> Group {
        let now = now.as_nanos();
        let next = match told_at {
            Some(at) => {
                at.saturating_add(options.group_interval).clamp(now, now.saturating_add(options.group_interval))
            }
            None => now.saturating_add(options.group_wait),
        };
        Group { endpoint, webhook, key, labels, options, next, flushed: told_at.is_some(), alerts: BTreeMap::new() }
    }

    /// Puts an alert in, or its news. Answers the episodes that are given up because there are too many.
    pub fn insert(&mut self, alert: Arc<Alert>, now: Timestamp) -> Vec<Episode> {
        if !self.flushed && alert.starts_at.saturating_add(self.options.group_wait) < now.as_nanos() {
            self.next = self.next.min(now.as_nanos());
        }
        let fingerprint = alert.fingerprint();
        let episodes = self.alerts.entry(fingerprint).or_default();
        match episodes.iter_mut().find(|known| known.starts_at == alert.starts_at) {
            Some(known) => *known = alert,
            None => episodes.push_back(alert),
        }
        let surplus = episodes.len().saturating_sub(EPISODES_MAX);
        episodes.drain(..surplus).map(|alert| Episode::of(&alert)).collect()
    }

    /// Whether it holds this episode.
    pub fn holds(&self, episode: Episode) -> bool {
        self.alerts.get(&episode.0).is_some_and(|known| known.iter().any(|alert| alert.starts_at == episode.1))
    }

    /// Takes an episode out.
    pub fn remove(&mut self, episode: Episode) {
        if let Some(known) = self.alerts.get_mut(&episode.0) {
            known.retain(|alert| alert.starts_at != episode.1);
            if known.is_empty() {
                self.alerts.remove(&episode.0);
            }
        }
    }

    /// Whether nothing is left to be told.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    /// How many alerts there are.
    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Sets when it is looked at next, after it has been.
    pub fn looked_at(&mut self, next: i64) {
        self.flushed = true;
        self.next = next;
    }

    /// What there is to tell, in order: usually one round. Of an alert with several episodes each round has the next one.
    pub fn rounds(&self, now: Timestamp) -> Vec<Round> {
        let count = self.alerts.values().map(VecDeque::len).max().unwrap_or(0);
        (0..count).map(|number| self.round(number, now)).collect()
    }

    fn round(&self, number: usize, now: Timestamp) -> Round {
        let mut round = Round::default();
        for episodes in self.alerts.values() {
            let alert = match episodes.get(number) {
                Some(alert) => alert,
                // What is over has been told in an earlier round; what fires is part of each.
                None => match episodes.back().filter(|alert| !alert.is_resolved(now)) {
                    Some(alert) => alert,
                    None => continue,
                },
            };
            let last = number + 1 >= episodes.len();
            // An episode that another one follows is over, whatever the clock says.
            let over = alert.is_resolved(now) || !last;
            let side = if over { &mut round.resolved } else { &mut round.firing };
            side.insert(Episode::of(alert));
            round.alerts.push(Arc::clone(alert));
        }
        round.alerts.sort_by(|a, b| order(&a.labels, &b.labels));
        round
    }
}

/// Alertmanager's order of alerts: by `job`, then `instance`, those that have them first; then fewer labels first; then by
/// the first label in which they differ.
pub fn order(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> std::cmp::Ordering {
    use std::cmp::Ordering::{Equal, Greater, Less};
    for name in ["job", "instance"] {
        match (a.get(name), b.get(name)) {
            (None, None) => {}
            (None, Some(_)) => return Greater,
            (Some(_), None) => return Less,
            (Some(a), Some(b)) if a != b => return a.cmp(b),
            _ => {}
        }
    }
    if a.len() != b.len() {
        return a.len().cmp(&b.len());
    }
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for name in names {
        match (a.get(name), b.get(name)) {
            (None, _) => return Less,
            (_, None) => return Greater,
            (Some(a), Some(b)) if a != b => return a.cmp(b),
            _ => {}
        }
    }
    Equal
}
