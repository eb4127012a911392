//! What is known of alerts, the groups they are in, and the plan of what is to be told and remembered next. A pure machine:
//! events and the time go in, plans come out; `run` commits them and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::Timestamp;
use store::StateChange;

use super::config::Config;
use super::group::{Endpoint, Episode, Group, Told, reason};
use super::limits::{ALERTS_MAX, COMMIT_BYTES_MAX, FINISHED_KEPT, GROUPS_PER_COMMIT, LOG_KEPT};
use super::outbox::{Draft, Room};
use super::record::{self, ALERTS, LOG};
use super::stats::NotifyStats;
use super::webhook::render;
use crate::rules::Alert;

/// A group of one webhook, as text: the order of its notifications is kept, and the log is by it.
pub type Lane = String;

#[derive(Clone, Debug)]
struct Known {
    // `None` once it is finished.
    alert: Option<Arc<Alert>>,
    finished: Option<i64>,
    // Groups that hold it.
    holders: usize,
    // Whether the store has it.
    durable: bool,
}

/// The machine.
pub struct Dispatch {
    config: Option<Arc<Config>>,
    external_url: String,
    known: BTreeMap<Episode, Known>,
    groups: BTreeMap<Lane, Group>,
    told: BTreeMap<Lane, Told>,
    last_sent: BTreeMap<u64, i64>,
    // Resolved and held by no group.
    loose: BTreeSet<Episode>,
    swept: i64,
    stats: NotifyStats,
}

/// What is to be committed, and then applied, together.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Of the tables of this file.
    pub changes: Vec<StateChange>,
    /// What is to be sent.
    pub drafts: Vec<Draft>,
    told: Vec<(Lane, Told)>,
    // Episodes whose end was told, by group.
    done: Vec<(Lane, Vec<Episode>)>,
    finished: Vec<(Episode, i64)>,
    forgotten: Vec<Episode>,
    forgotten_lanes: Vec<Lane>,
}

impl Plan {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        let memory = self.done.is_empty() && self.finished.is_empty() && self.forgotten.is_empty();
        self.changes.is_empty() && self.drafts.is_empty() && memory
    }
}

impl Dispatch {
    /// A machine that knows nothing yet.
    pub fn new(config: Option<Arc<Config>>, external_url: String, stats: NotifyStats) -> Dispatch {
        Dispatch {
            config,
            external_url,
            known: BTreeMap::new(),
            groups: BTreeMap::new(),
            told: BTreeMap::new(),
            last_sent: BTreeMap::new(),
            loose: BTreeSet::new(),
            swept: i64::MIN,
            stats,
        }
    }

    /// Takes up where an earlier process was: records of the two tables.
    pub fn restore(
        &mut self,
        alerts: impl Iterator<Item = (String, Arc<[u8]>)>,
        log: impl Iterator<Item = (String, Arc<[u8]>)>,
        now: Timestamp,
    ) -> Result<(), (&'static str, String, serde_json::Error)> {
        for (lane, bytes) in log {
            let told: Told = serde_json::from_slice(&bytes).map_err(|error| (LOG, lane.clone(), error))?;
            self.note_sent(&told);
            self.told.insert(lane, told);
        }
        for (key, bytes) in alerts {
            let (alert, finished) = record::read_alert(&bytes).map_err(|error| (ALERTS, key.clone(), error))?;
            let Some(episode) = record::episode_of_key(&key) else { continue };
            let alert = alert.map(Arc::new);
            self.known.insert(episode, Known { alert, finished, holders: 0, durable: true });
        }
        self.regroup(now);
        Ok(())
    }

    /// Another configuration: the groups are made anew from the alerts that are known.
    pub fn reconfigure(&mut self, config: Option<Arc<Config>>, external_url: String, now: Timestamp) {
        (self.config, self.external_url) = (config, external_url);
        self.regroup(now);
    }

    fn regroup(&mut self, now: Timestamp) {
        self.groups.clear();
        self.loose.clear();
        let episodes: Vec<Episode> = self.known.keys().copied().collect();
        for episode in episodes {
            if let Some(known) = self.known.get_mut(&episode).filter(|known| known.finished.is_none()) {
                known.holders = 0;
                if let Some(alert) = known.alert.clone() {
                    self.insert(alert, now);
                }
            }
        }
        self.count();
    }

    /// The changes that make these alerts durable. Those that bring nothing but another value or annotation make none.
    pub fn changes(&self, alerts: &[Alert], now: Timestamp) -> Vec<StateChange> {
        if self.config.is_none() {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for alert in alerts {
            let news = self.news(alert, now);
            changes.extend(news.overtaken.map(|alert| record::put_alert(&alert)));
            let durable = self.known.get(&Episode::of(alert)).is_some_and(|known| known.durable);
            if news.wanted && (!durable || news.ends) {
                changes.push(record::put_alert(alert));
            }
        }
        changes
    }

    /// Alerts that the store has.
    pub fn accept(&mut self, alerts: Vec<Alert>, now: Timestamp) {
        for alert in alerts {
            let news = self.news(&alert, now);
            if news.too_many {
                self.stats.lost("too_many_alerts", 1);
            }
            if !news.wanted {
                continue;
            }
            if let Some(overtaken) = news.overtaken {
                self.take(overtaken, now);
            }
            self.take(alert, now);
        }
        self.count();
    }

    fn take(&mut self, alert: Alert, now: Timestamp) {
        let (episode, alert, durable) = (Episode::of(&alert), Arc::new(alert), self.config.is_some());
        let known = self.known.entry(episode);
        let known = known.or_insert(Known { alert: None, finished: None, holders: 0, durable: false });
        known.alert = Some(Arc::clone(&alert));
        known.durable |= durable;
        self.insert(alert, now);
    }

    // What an alert brings that is not known.
    fn news(&self, alert: &Alert, now: Timestamp) -> News {
        let episode = Episode::of(alert);
        let last = self.known.range(Episode(episode.0, i64::MIN)..=Episode(episode.0, i64::MAX)).next_back();
        let mut news = News::default();
        match last {
            // An end that comes so late is one that was told and forgotten.
            None => {
                let old = now.saturating_add(-nanos(FINISHED_KEPT)).as_nanos();
                news.wanted = alert.ends_at.is_none_or(|end| end > old);
            }
            Some((Episode(_, start), _)) if *start > alert.starts_at => {}
            Some((Episode(_, start), known)) if *start == alert.starts_at => {
                let open = known.alert.as_ref().filter(|known| !known.is_resolved(now));
                news.wanted = open.is_some();
                news.ends = open.is_some_and(|known| known.ends_at != alert.ends_at);
            }
            Some((_, known)) => {
                news.wanted = true;
                // The rules did not say when the episode before ended; it has.
                news.overtaken = known.alert.as_ref().filter(|known| !known.is_resolved(now)).map(|known| {
                    let mut ended = Alert::clone(known);
                    ended.ends_at = Some(alert.starts_at.min(now.as_nanos()));
                    ended
                });
            }
        }
        if news.wanted && !self.known.contains_key(&episode) && self.known.len() >= ALERTS_MAX {
            (news.wanted, news.too_many) = (false, true);
        }
        news
    }

    // Into every group it belongs to.
    fn insert(&mut self, alert: Arc<Alert>, now: Timestamp) {
        let episode = Episode::of(&alert);
        let config = self.config.clone();
        let routes = config.iter().flat_map(|config| config.route.matching(&alert.labels));
        let mut given_up = Vec::new();
        for route in routes {
            let receiver = config.as_ref().and_then(|config| config.receivers.get(&route.options.receiver));
            let labels = route.group_labels(&alert.labels);
            for (number, webhook) in receiver.iter().flat_map(|receiver| receiver.webhooks.iter().enumerate()) {
                let endpoint = Endpoint { receiver: route.options.receiver.clone(), webhook: number };
                let lane = lane(&endpoint, &route.id, &labels);
                let told = self.told.get(&lane);
                // After a restart: others have yet to hear of its end, this one has.
                if told.is_some_and(|told| told.resolved.contains(&episode)) {
                    continue;
                }
                // A group of which everything ended begins anew.
                let told_at = told.filter(|told| !told.firing.is_empty()).map(|told| told.at);
                let group = self.groups.entry(lane).or_insert_with(|| {
                    let key = route.group_key(&labels);
                    let webhook = Arc::clone(webhook);
                    Group::new(endpoint, webhook, key, labels.clone(), route.options.clone(), told_at, now)
                });
                if !group.holds(episode) {
                    self.known.entry(episode).and_modify(|known| known.holders += 1);
                }
                given_up.extend(group.insert(Arc::clone(&alert), now));
            }
        }
        self.stats.lost("flapping", given_up.len() as u64);
        for episode in given_up {
            self.release(episode, now);
        }
        self.loosen(episode, now);
    }

    fn release(&mut self, episode: Episode, now: Timestamp) {
        if let Some(known) = self.known.get_mut(&episode) {
            known.holders = known.holders.saturating_sub(1);
        }
        self.loosen(episode, now);
    }

    fn loosen(&mut self, episode: Episode, now: Timestamp) {
        let loose = self.known.get(&episode).is_some_and(|known| {
            known.holders == 0 && known.finished.is_none() && known.alert.as_ref().is_none_or(|a| a.is_resolved(now))
        });
        if loose {
            self.loose.insert(episode);
        }
    }

    /// When something is to be done next.
    pub fn next(&self) -> Option<i64> {
        let loose = (!self.loose.is_empty()).then_some(i64::MIN);
        self.groups.values().map(|group| group.next).min().into_iter().chain(loose).min()
    }

    /// What is to be told and remembered now. `room` says how full the way to a receiver is. The plan has to be applied
    /// before the next one is made.
    pub fn plan(&mut self, now: Timestamp, room: impl Fn(&Lane, &Endpoint) -> Room) -> Plan {
        let mut plan = Plan::default();
        let due = self.groups.iter().filter(|(_, group)| is_due(group, now)).map(|(lane, _)| lane.clone());
        let due: Vec<Lane> = due.take(GROUPS_PER_COMMIT).collect();
        for lane in due {
            if plan.drafts.iter().map(|draft| draft.body.text.len()).sum::<usize>() >= COMMIT_BYTES_MAX {
                break;
            }
            let Some(group) = self.groups.get_mut(&lane) else { continue };
            group.looked_at(now.as_nanos().saturating_add(group.options.group_interval));
            let free = room(&lane, &group.endpoint);
            if free == Room::Full {
                self.stats.postponed(&group.endpoint);
                continue;
            }
            let group = &self.groups[&lane];
            let told = self.told.get(&lane).cloned();
            self.tell(&lane, group, told, free, now, &mut plan);
        }
        self.finish(now, &mut plan);
        self.sweep(now, &mut plan);
        plan
    }

    // All rounds of one group.
    fn tell(&self, lane: &Lane, group: &Group, mut told: Option<Told>, free: Room, now: Timestamp, plan: &mut Plan) {
        let (send_resolved, repeat) = (group.webhook.send_resolved, group.options.repeat_interval);
        let mut done = Vec::new();
        let mut changed = false;
        for round in group.rounds(now) {
            done.extend(round.resolved.iter().copied());
            let why = reason(told.as_ref(), &round.firing, &round.resolved, send_resolved, repeat, now);
            let Some(why) = why else { continue };
            if why == super::group::Reason::Repeat && free != Room::Empty {
                // It has not heard the last one yet.
                continue;
            }
            let before = told.take().unwrap_or_default();
            // What others have yet to hear of comes back after a restart, and must not be told here again.
            let kept = before.resolved.into_iter().filter(|episode| self.is_open(*episode));
            let resolved = kept.chain(round.resolved.iter().copied()).collect();
            let next = Told { at: now.as_nanos(), count: before.count + 1, firing: round.firing.clone(), resolved };
            if let Some(body) = render(group, &round, why, &self.external_url) {
                plan.drafts.push(Draft {
                    lane: lane.clone(),
                    endpoint: group.endpoint.clone(),
                    group_key: group.key.clone(),
                    count: next.count,
                    created: now.as_nanos(),
                    body,
                });
            }
            (told, changed) = (Some(next), true);
        }
        if let Some(told) = told.filter(|_| changed) {
            plan.changes.push(record::put(LOG, lane.clone(), &told));
            plan.told.push((lane.clone(), told));
        }
        if !done.is_empty() {
            plan.done.push((lane.clone(), done));
        }
    }

    fn is_open(&self, episode: Episode) -> bool {
        self.known.get(&episode).is_some_and(|known| known.finished.is_none())
    }

    // Episodes that everybody has heard the end of once this plan is committed.
    fn finish(&mut self, now: Timestamp, plan: &mut Plan) {
        let mut left: BTreeMap<Episode, usize> = self.loose.iter().map(|episode| (*episode, 0)).collect();
        for episode in plan.done.iter().flat_map(|(_, episodes)| episodes) {
            let holders = self.known.get(episode).map_or(0, |known| known.holders);
            let left = left.entry(*episode).or_insert(holders);
            *left = left.saturating_sub(1);
        }
        for episode in left.into_iter().filter(|(_, left)| *left == 0).map(|(episode, _)| episode) {
            if self.known.get(&episode).is_some_and(|known| known.durable) {
                plan.changes.push(record::finish_alert(episode, now.as_nanos()));
            }
            plan.finished.push((episode, now.as_nanos()));
        }
    }

    // Forgets, now and then, what has been over for long.
    fn sweep(&mut self, now: Timestamp, plan: &mut Plan) {
        const INTERVAL: i64 = 60_000_000_000;
        let at = now.as_nanos();
        if at.abs_diff(self.swept) < INTERVAL as u64 {
            return;
        }
        self.swept = at;
        for (episode, known) in &self.known {
            if known.finished.is_some_and(|finished| finished.saturating_add(nanos(FINISHED_KEPT)) <= at) {
                if known.durable {
                    plan.changes.push(record::delete_alert(*episode));
                }
                plan.forgotten.push(*episode);
            }
        }
        for (lane, told) in &self.told {
            // What is known to fire would be told anew if an old configuration came back.
            let over = told.firing.is_empty() && !told.resolved.iter().any(|episode| self.is_open(*episode));
            let old = over || told.at.saturating_add(nanos(LOG_KEPT)) <= at;
            if old && !self.groups.contains_key(lane) && !plan.told.iter().any(|(planned, _)| planned == lane) {
                plan.changes.push(record::delete(LOG, lane.clone()));
                plan.forgotten_lanes.push(lane.clone());
            }
        }
    }

    /// The plan is committed.
    pub fn apply(&mut self, plan: Plan) {
        for (lane, told) in plan.told {
            self.note_sent(&told);
            self.told.insert(lane, told);
        }
        for (lane, episodes) in plan.done {
            let Some(group) = self.groups.get_mut(&lane) else { continue };
            for episode in episodes {
                if group.holds(episode) {
                    group.remove(episode);
                    self.known.entry(episode).and_modify(|known| known.holders = known.holders.saturating_sub(1));
                }
            }
            if group.is_empty() {
                self.groups.remove(&lane);
            }
        }
        for (episode, at) in plan.finished {
            self.loose.remove(&episode);
            if let Some(known) = self.known.get_mut(&episode) {
                (known.alert, known.finished) = (None, Some(at));
            }
        }
        for episode in plan.forgotten {
            self.known.remove(&episode);
            let others = self.known.range(Episode(episode.0, i64::MIN)..=Episode(episode.0, i64::MAX)).next();
            if others.is_none() {
                self.last_sent.remove(&episode.0);
            }
        }
        for lane in plan.forgotten_lanes {
            self.told.remove(&lane);
        }
        self.count();
    }

    fn note_sent(&mut self, told: &Told) {
        for Episode(fingerprint, _) in told.firing.iter().chain(&told.resolved) {
            let at = self.last_sent.entry(*fingerprint).or_insert(told.at);
            *at = told.at.max(*at);
        }
    }

    /// When somebody was last told of an alert.
    pub fn last_sent(&self, fingerprint: u64) -> Option<Timestamp> {
        self.last_sent.get(&fingerprint).copied().map(Timestamp::from_nanos)
    }

    /// Alerts that fire as far as is known.
    pub fn firing(&self, now: Timestamp) -> Vec<Alert> {
        let alerts = self.known.values().filter_map(|known| known.alert.as_ref());
        alerts.filter(|alert| !alert.is_resolved(now)).map(|alert| Alert::clone(alert)).collect()
    }

    fn count(&self) {
        self.stats.alerts.set(self.known.values().filter(|known| known.finished.is_none()).count() as u64);
        self.stats.groups.set(self.groups.len() as u64);
    }
}

#[derive(Default)]
struct News {
    // Whether it is to be taken at all.
    wanted: bool,
    // Whether it says that the alert ends.
    ends: bool,
    too_many: bool,
    // The episode before, ended.
    overtaken: Option<Alert>,
}

// A wall clock that jumped back must not keep a group waiting for longer than its waits.
fn is_due(group: &Group, now: Timestamp) -> bool {
    let (now, longest) = (now.as_nanos(), group.options.group_wait.max(group.options.group_interval));
    group.next <= now || group.next > now.saturating_add(longest)
}

fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn lane(endpoint: &Endpoint, route: &str, labels: &BTreeMap<String, String>) -> Lane {
    let group = format!("{route}:{}", super::route::label_text(labels));
    // A list of texts and a number always becomes JSON.
    serde_json::to_string(&(&endpoint.receiver, endpoint.webhook, group)).unwrap_or_default()
}
