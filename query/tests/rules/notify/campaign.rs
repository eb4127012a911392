//! Many lives of the machines with a store that is a map: alerts fire and are resolved, receivers fail, and the process
//! is killed between any two steps. Whatever happens, every transition is told, in order, and twice only with the same key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use model::stats::Stats;
use query::rules::Alert;
use query::rules::notify::NotifyStats;
use query::rules::notify::client::Failure;
use query::rules::notify::config::Config;
use query::rules::notify::dispatch::Dispatch;
use query::rules::notify::guard::Allowed;
use query::rules::notify::outbox::Outbox;
use serde_json::Value;
use store::StateChange;

use super::world::{alert, at};

const CONFIG: &str = "
route:
  receiver: fast
  group_by: [group]
  group_wait: 10s
  repeat_interval: 1h
  routes:
  - {receiver: fast, group_interval: 40s, continue: true}
  - {receiver: slow, group_interval: 2m}
receivers:
- name: fast
  webhook_configs: [{url: 'https://one.example.org/'}]
- name: slow
  webhook_configs: [{url: 'https://two.example.org/'}]
";

const NAMES: [&str; 4] = ["alertname=A group=1", "alertname=B group=1", "alertname=C group=2", "alertname=D group=2"];

struct Life {
    rng: Rng,
    now: i64,
    config: Arc<Config>,
    tables: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    dispatch: Dispatch,
    outbox: Outbox,
    kills: usize,
    // What is true of each alert: since when it fires, or its last episode.
    alerts: Vec<Option<(i64, Option<i64>)>>,
    // Every episode that ever was: name, start, end.
    episodes: BTreeMap<(usize, i64), Option<i64>>,
    // What each receiver got: key and body, in order.
    received: BTreeMap<String, Vec<(String, String)>>,
}

impl Life {
    fn new(seed: u64, config: &Arc<Config>) -> Life {
        let stats = NotifyStats::new(&Stats::new());
        let mut life = Life {
            rng: Rng::with_seed(seed),
            now: 0,
            config: Arc::clone(config),
            tables: BTreeMap::new(),
            dispatch: Dispatch::new(None, String::new(), stats.clone()),
            outbox: Outbox::new(Duration::from_secs(86_400), stats),
            kills: 0,
            alerts: vec![None; NAMES.len()],
            episodes: BTreeMap::new(),
            received: BTreeMap::new(),
        };
        life.restart();
        life
    }

    // What is in memory is gone.
    fn restart(&mut self) {
        let stats = NotifyStats::new(&Stats::new());
        self.dispatch = Dispatch::new(Some(Arc::clone(&self.config)), String::new(), stats.clone());
        self.outbox = Outbox::new(Duration::from_secs(86_400), stats);
        let records = |table: &str| {
            let table = self.tables.get(table).cloned().unwrap_or_default();
            table.into_iter().map(|(key, value)| (key, Arc::from(value)))
        };
        let (alerts, log, outbox) = (records("notify_alerts"), records("notify_log"), records("notify_outbox"));
        self.dispatch.restore(alerts, log, at(self.now)).expect("its own records");
        self.outbox.restore(outbox).expect("its own records");
    }

    fn killed(&mut self, chance: f64) -> bool {
        let killed = self.rng.f64() < chance;
        if killed {
            self.kills += 1;
            self.restart();
        }
        killed
    }

    fn commit(&mut self, changes: Vec<StateChange>) {
        for StateChange { table, key, value } in changes {
            let (table, key) = (self.tables.entry(table).or_default(), String::from_utf8(key).expect("text"));
            match value {
                Some(value) => table.insert(key, value),
                None => table.remove(&key),
            };
        }
    }

    fn alert(&self, number: usize) -> Option<Alert> {
        self.alerts[number].map(|(start, end)| alert(NAMES[number], start, end))
    }

    fn tell(&mut self, alerts: Vec<Alert>, chance: f64) {
        let changes = self.dispatch.changes(&alerts, at(self.now));
        self.commit(changes);
        if !self.killed(chance) {
            self.dispatch.accept(alerts, at(self.now));
        }
    }

    fn transition(&mut self, chance: f64) {
        let number = self.rng.usize(..NAMES.len());
        let next = match self.alerts[number] {
            Some((start, None)) => (start, Some(self.now)),
            Some((start, Some(_))) if start == self.now => return,
            _ => (self.now, None),
        };
        self.alerts[number] = Some(next);
        self.episodes.insert((number, next.0), next.1);
        let alert = self.alert(number).expect("it was set");
        self.tell(vec![alert], chance);
    }

    fn decide(&mut self, chance: f64) {
        let outbox = &self.outbox;
        let mut plan = self.dispatch.plan(at(self.now), |lane, endpoint| outbox.room(lane, endpoint));
        self.outbox.push(std::mem::take(&mut plan.drafts));
        let (mut changes, numbers) = self.outbox.unsaved();
        changes.append(&mut plan.changes);
        if self.killed(chance) {
            return;
        }
        self.commit(changes);
        if !self.killed(chance) {
            self.dispatch.apply(plan);
            self.outbox.saved(&numbers);
        }
    }

    fn send(&mut self, failures: f64, chance: f64) {
        for attempt in self.outbox.due(at(self.now), |_| true) {
            let fails = self.rng.f64() < failures;
            // A receiver may have it although the answer is lost.
            if !fails || self.rng.bool() {
                let got = (attempt.entry.key.clone(), attempt.entry.body.to_string());
                self.received.entry(attempt.entry.endpoint.receiver.clone()).or_default().push(got);
            }
            if self.killed(chance) {
                return;
            }
            let failure = || Failure { kind: "reset", message: String::new(), permanent: false, retry_after: None };
            let result = if fails { Err(failure()) } else { Ok(()) };
            let jitter = self.rng.f64();
            self.outbox.settle(attempt.number, result, at(self.now), jitter);
        }
    }

    fn live(&mut self) {
        for _ in 0..150 {
            match self.rng.u32(..10) {
                0..2 => self.transition(0.03),
                // The rules say again what is so.
                2 => {
                    let known: Vec<Alert> = (0..NAMES.len()).filter_map(|number| self.alert(number)).collect();
                    self.tell(known, 0.03);
                }
                3..6 => self.now += self.rng.i64(0..40),
                6..8 => self.decide(0.03),
                _ => self.send(0.3, 0.05),
            }
        }
        // In the end everybody is well.
        for _ in 0..60 {
            self.decide(0.0);
            self.send(0.0, 0.0);
            self.now += 7;
        }
    }

    fn check(&self, seed: u64) {
        for (receiver, received) in &self.received {
            let mut lasts: BTreeMap<String, String> = BTreeMap::new();
            let mut order: BTreeMap<String, (String, u8)> = BTreeMap::new();
            let mut told: BTreeSet<(String, String, String)> = BTreeSet::new();
            let (mut keys, mut bodies, mut ends) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
            for (key, body) in received {
                let json: Value = serde_json::from_str(body).expect("JSON");
                if json["notification_reason"] != "repeat interval elapsed" {
                    let other = bodies.insert(body.clone(), key.clone());
                    assert!(other.is_none_or(|other| other == *key), "seed {seed}: told twice with two keys: {body}");
                }
                let first = keys.insert(key.clone());
                // What comes again is what came last: nothing is repeated after its successor has arrived.
                let group = json["groupKey"].to_string();
                let last = lasts.insert(group, key.clone());
                assert!(first || last.is_some_and(|last| last == *key), "seed {seed}, {receiver}: out of order");
                for alert in json["alerts"].as_array().expect("alerts") {
                    let text = |value: &Value| value.as_str().expect("a text").to_owned();
                    let (name, start, status) =
                        (text(&alert["labels"]["alertname"]), text(&alert["startsAt"]), text(&alert["status"]));
                    if status == "resolved" {
                        let other = ends.insert((name.clone(), start.clone()), key.clone());
                        let same = other.is_none_or(|other| other == *key);
                        assert!(same, "seed {seed}, {receiver}: the end of {name} since {start} is told twice");
                    }
                    if first {
                        let place = (start.clone(), u8::from(status == "resolved"));
                        let before = order.insert(name.clone(), place.clone());
                        assert!(before.is_none_or(|before| before <= place), "seed {seed}, {receiver}: {name}");
                    }
                    told.insert((name, start, status));
                }
            }
            for ((number, start), end) in &self.episodes {
                let name = NAMES[*number].split([' ', '=']).nth(1).expect("a name").to_owned();
                let start = at(*start).to_string().replace(".000000000Z", "Z");
                let has = |status: &str| told.contains(&(name.clone(), start.clone(), status.to_owned()));
                // One that was over before its group was looked at is told once.
                let whole = if end.is_some() { has("resolved") } else { has("firing") };
                assert!(whole, "seed {seed}, {receiver}: {name} since {start} until {end:?} is not told");
            }
        }
        assert!(self.tables.get("notify_outbox").is_none_or(BTreeMap::is_empty), "seed {seed}");
        let firing = self.alerts.iter().flatten().filter(|(_, end)| end.is_none()).count();
        assert_eq!(self.dispatch.firing(at(self.now)).len(), firing, "seed {seed}");
    }
}

#[test]
fn no_transition_is_lost_in_many_lives() {
    let config = Config::parse("am.yml", CONFIG, Path::new(""), &Allowed::default()).expect("it is read");
    let config = Arc::new(config);
    let (mut kills, mut episodes) = (0, 0);
    for seed in 0..200 {
        let mut life = Life::new(seed, &config);
        life.live();
        life.check(seed);
        (kills, episodes) = (kills + life.kills, episodes + life.episodes.len());
    }
    assert!(kills > 500 && episodes > 1_000, "{kills} kills, {episodes} episodes");
}
