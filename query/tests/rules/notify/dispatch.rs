//! Groups and decisions on a clock that is owned: scripts of what the rules say and what receivers are told.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use model::stats::Stats;
use query::rules::notify::NotifyStats;
use query::rules::notify::config::Config;
use query::rules::notify::dispatch::Dispatch;
use query::rules::notify::group::{Episode, Told, order, reason};
use query::rules::notify::guard::Allowed;
use query::rules::notify::outbox::Room;
use serde_json::Value;

use super::world::{alert, at, labels};

const CONFIG: &str = "
route:
  receiver: hook
  group_by: [group]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 1h
  routes:
  - {matchers: [to=quiet], receiver: quiet}
  - {matchers: [to=two], receiver: two}
  - {matchers: [to=now], receiver: hook, group_wait: 0s}
receivers:
- name: hook
  webhook_configs: [{url: 'https://hooks.example.org/'}]
- name: quiet
  webhook_configs: [{url: 'https://hooks.example.org/', send_resolved: false}]
- name: two
  webhook_configs: [{url: 'https://one.example.org/'}, {url: 'https://two.example.org/', send_resolved: false}]
";

fn config(text: &str) -> Option<Arc<Config>> {
    Some(Arc::new(Config::parse("am.yml", text, Path::new(""), &Allowed::default()).expect("it is read")))
}

fn machine() -> Dispatch {
    Dispatch::new(config(CONFIG), String::new(), NotifyStats::new(&Stats::new()))
}

// What is told until `second`, as `second receiver[webhook] reason: name=status ...`.
fn until(machine: &mut Dispatch, now: &mut i64, second: i64, room: Room) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let plan = machine.plan(at(*now), |_, _| room);
        for draft in &plan.drafts {
            let body: Value = serde_json::from_str(&draft.body.text).expect("JSON");
            let alerts = body["alerts"].as_array().expect("alerts").iter();
            let alerts =
                alerts.map(|alert| format!(" {}={}", text(&alert["labels"]["alertname"]), text(&alert["status"])));
            let (receiver, webhook) = (&draft.endpoint.receiver, draft.endpoint.webhook);
            let why = text(&body["notification_reason"]);
            lines.push(format!("{now} {receiver}[{webhook}] {why}:{}", alerts.collect::<String>()));
        }
        machine.apply(plan);
        if *now >= second {
            return lines;
        }
        *now += 1;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

// A step of a script: at this second, the rules say this of an alert.
struct Say(i64, &'static str, i64, Option<i64>);

#[test]
fn receivers_are_told_in_time_and_in_order() {
    let scripts: &[(&str, &[Say], i64, &[&str])] = &[
        (
            "the first waits for group_wait",
            &[Say(0, "alertname=A", 0, None)],
            100,
            &["30 hook[0] first notification: A=firing"],
        ),
        (
            "alerts of one group wait for each other",
            &[
                Say(0, "alertname=A", 0, None),
                Say(10, "alertname=B", 10, None),
                Say(10, "alertname=C group=2", 10, None),
            ],
            100,
            &["30 hook[0] first notification: A=firing B=firing", "40 hook[0] first notification: C=firing"],
        ),
        (
            "an alert that fires for longer than group_wait does not wait",
            &[Say(60, "alertname=A", 0, None)],
            100,
            &["60 hook[0] first notification: A=firing"],
        ),
        (
            "without group_wait nothing waits",
            &[Say(5, "alertname=A to=now", 5, None)],
            20,
            &["5 hook[0] first notification: A=firing"],
        ),
        (
            "news wait for group_interval",
            &[Say(0, "alertname=A", 0, None), Say(40, "alertname=B", 40, None), Say(50, "alertname=A", 0, Some(50))],
            1000,
            &["30 hook[0] first notification: A=firing", "330 hook[0] new alerts added: A=resolved B=firing"],
        ),
        (
            "the end is told, and then the group is forgotten",
            &[
                Say(0, "alertname=A", 0, None),
                Say(100, "alertname=A", 0, Some(100)),
                Say(400, "alertname=A", 400, None),
            ],
            1000,
            &[
                "30 hook[0] first notification: A=firing",
                "330 hook[0] all alerts resolved: A=resolved",
                "430 hook[0] first notification: A=firing",
            ],
        ),
        (
            "some of them end",
            &[Say(0, "alertname=A", 0, None), Say(0, "alertname=B", 0, None), Say(100, "alertname=A", 0, Some(100))],
            1000,
            &[
                "30 hook[0] first notification: A=firing B=firing",
                "330 hook[0] some alerts resolved: A=resolved B=firing",
            ],
        ),
        (
            "what does not change is repeated",
            &[Say(0, "alertname=A", 0, None)],
            8000,
            &[
                "30 hook[0] first notification: A=firing",
                "3930 hook[0] repeat interval elapsed: A=firing",
                "7830 hook[0] repeat interval elapsed: A=firing",
            ],
        ),
        (
            "a short failure is told, though it was over before the group was looked at",
            &[Say(0, "alertname=A", 0, None), Say(10, "alertname=A", 0, Some(10))],
            1000,
            &["30 hook[0] first notification: A=resolved"],
        ),
        (
            "and so is one between two looks",
            &[Say(0, "alertname=A", 0, None), Say(50, "alertname=B", 50, None), Say(60, "alertname=B", 50, Some(60))],
            1000,
            &["30 hook[0] first notification: A=firing", "330 hook[0] some alerts resolved: A=firing B=resolved"],
        ),
        (
            "an alert that ends and fires again between two looks is told both, in order",
            &[
                Say(0, "alertname=A", 0, None),
                Say(50, "alertname=A", 0, Some(50)),
                Say(60, "alertname=A", 60, None),
                Say(60, "alertname=B", 60, None),
            ],
            400,
            &[
                "30 hook[0] first notification: A=firing",
                "330 hook[0] new alerts added: A=resolved B=firing",
                "330 hook[0] new alerts added: A=firing B=firing",
            ],
        ),
        (
            "an end that the rules did not tell follows from the next beginning",
            &[Say(0, "alertname=A", 0, None), Say(60, "alertname=A", 60, None)],
            400,
            &[
                "30 hook[0] first notification: A=firing",
                "330 hook[0] all alerts resolved: A=resolved",
                "330 hook[0] new alerts added: A=firing",
            ],
        ),
        (
            "what the rules repeat changes nothing",
            &[
                Say(0, "alertname=A", 0, None),
                Say(60, "alertname=A", 0, None),
                Say(70, "alertname=A", 0, Some(70)),
                Say(80, "alertname=A", 0, Some(70)),
                Say(500, "alertname=A", 0, Some(70)),
                Say(510, "alertname=A", 0, None),
            ],
            1500,
            &["30 hook[0] first notification: A=firing", "330 hook[0] all alerts resolved: A=resolved"],
        ),
        (
            "a receiver that wants no ends hears of none, and of the next beginning",
            &[
                Say(0, "alertname=A to=quiet", 0, None),
                Say(50, "alertname=A to=quiet", 0, Some(50)),
                Say(60, "alertname=A to=quiet", 60, None),
                Say(100, "alertname=A to=quiet", 60, Some(100)),
                Say(700, "alertname=A to=quiet", 700, None),
                Say(710, "alertname=A to=quiet", 700, Some(710)),
            ],
            2000,
            &["30 quiet[0] first notification: A=firing"],
        ),
        (
            "each webhook of a receiver is told what it wants",
            &[Say(0, "alertname=A to=two", 0, None), Say(50, "alertname=A to=two", 0, Some(50))],
            400,
            &[
                "30 two[0] first notification: A=firing",
                "30 two[1] first notification: A=firing",
                "330 two[0] all alerts resolved: A=resolved",
            ],
        ),
    ];
    for (name, script, end, expected) in scripts {
        let mut machine = machine();
        let (mut now, mut told) = (0, Vec::new());
        for Say(second, text, starts, ends) in *script {
            if *second > now {
                told.extend(until(&mut machine, &mut now, second - 1, Room::Empty));
                now = *second;
            }
            machine.accept(vec![alert(text, *starts, *ends)], at(now));
        }
        told.extend(until(&mut machine, &mut now, *end, Room::Empty));
        assert_eq!(told, *expected, "{name}");
    }
}

#[test]
fn the_decision_is_that_of_alertmanager() {
    let set = |numbers: &[u64]| numbers.iter().map(|number| Episode(*number, 0)).collect::<BTreeSet<_>>();
    let told = |firing: &[u64], resolved: &[u64]| {
        Some(Told { at: at(0).as_nanos(), count: 1, firing: set(firing), resolved: set(resolved) })
    };
    type Case<'a> = (Option<Told>, &'a [u64], &'a [u64], bool, i64, Option<&'a str>);
    let cases: &[Case<'_>] = &[
        (None, &[1], &[], true, 0, Some("first notification")),
        (None, &[1], &[2], false, 0, Some("first notification")),
        // Here Alertmanager is silent.
        (None, &[], &[1], true, 0, Some("first notification")),
        (None, &[], &[1], false, 0, None),
        (None, &[], &[], true, 0, None),
        (told(&[1], &[]), &[1], &[], true, 0, None),
        (told(&[1], &[]), &[1, 2], &[], true, 0, Some("new alerts added")),
        (told(&[1, 2], &[]), &[1], &[], true, 0, None),
        (told(&[1, 2], &[]), &[1], &[2], true, 0, Some("some alerts resolved")),
        (told(&[1, 2], &[]), &[1], &[2], false, 0, None),
        (told(&[1], &[2]), &[1], &[2], true, 0, None),
        (told(&[1], &[]), &[], &[1], true, 0, Some("all alerts resolved")),
        (told(&[1], &[]), &[], &[1], false, 0, Some("all alerts resolved")),
        (told(&[], &[1]), &[], &[1], true, 0, None),
        (told(&[], &[1]), &[], &[2], false, 0, None),
        (told(&[1], &[]), &[1], &[], true, 3600, None),
        (told(&[1], &[]), &[1], &[], true, 3601, Some("repeat interval elapsed")),
        (told(&[], &[]), &[], &[], true, 3601, None),
    ];
    for (number, (told, firing, resolved, send_resolved, second, expected)) in cases.iter().enumerate() {
        let why = reason(told.as_ref(), &set(firing), &set(resolved), *send_resolved, 3_600_000_000_000, at(*second));
        assert_eq!(why.map(|why| why.as_str()), *expected, "case {number}");
    }
}

#[test]
fn alerts_stand_in_the_order_of_alertmanager() {
    // As its sort would put them.
    let sorted = [
        "instance=z job=a",
        "job=a zone=a",
        "job=b",
        "instance=a x=1 y=2",
        "instance=b",
        "b=0",
        "a=1",
        "a=1 c=0",
        "a=1 b=2",
    ];
    let sets: Vec<_> = sorted.iter().map(|text| labels(text)).collect();
    let mut shuffled = sets.clone();
    fastrand::Rng::with_seed(3).shuffle(&mut shuffled);
    shuffled.sort_by(order);
    assert_eq!(shuffled, sets);
}

#[test]
fn a_full_way_loses_nothing() {
    let mut machine = machine();
    let mut now = 0;
    machine.accept(vec![alert("alertname=A", 0, None)], at(now));
    assert_eq!(until(&mut machine, &mut now, 100, Room::Full), Vec::<String>::new());
    machine.accept(vec![alert("alertname=A", 0, Some(100))], at(now));
    machine.accept(vec![alert("alertname=A", 200, None)], at(now));
    assert_eq!(until(&mut machine, &mut now, 700, Room::Full), Vec::<String>::new());
    let told = until(&mut machine, &mut now, 1000, Room::Empty);
    assert_eq!(told, ["930 hook[0] first notification: A=resolved", "930 hook[0] new alerts added: A=firing"]);
    // While something waits, what has not changed is not repeated.
    assert_eq!(until(&mut machine, &mut now, 10_000, Room::Some), Vec::<String>::new());
}

#[test]
fn an_alert_that_flaps_too_fast_loses_its_oldest_and_says_so() {
    let stats = Stats::new();
    let mut machine = Dispatch::new(config(CONFIG), String::new(), NotifyStats::new(&stats));
    for second in 0..40 {
        machine.accept(vec![alert("alertname=A", 2 * second, Some(2 * second + 1))], at(0));
    }
    let mut now = 100;
    assert_eq!(until(&mut machine, &mut now, 100, Room::Empty).len(), 32);
    assert!(stats.to_prometheus_text().contains("sextant_notifications_lost_total{reason=\"flapping\"} 8\n"));
}

#[test]
fn another_configuration_tells_the_new_receiver_and_not_the_old_one_again() {
    let mut machine = machine();
    let mut now = 0;
    machine.accept(vec![alert("alertname=A", 0, None)], at(now));
    assert_eq!(until(&mut machine, &mut now, 40, Room::Empty).len(), 1);
    machine.reconfigure(config(CONFIG), String::new(), at(now));
    assert_eq!(until(&mut machine, &mut now, 1000, Room::Empty), Vec::<String>::new());
    let other = CONFIG.replace("receiver: hook\n  group_by", "receiver: quiet\n  group_by");
    machine.reconfigure(config(&other), String::new(), at(now));
    assert_eq!(until(&mut machine, &mut now, 1001, Room::Empty), ["1000 quiet[0] first notification: A=firing"]);
    // Back again: the old receiver still knows of it.
    machine.reconfigure(config(CONFIG), String::new(), at(now));
    assert_eq!(until(&mut machine, &mut now, 3000, Room::Empty), Vec::<String>::new());
    machine.reconfigure(None, String::new(), at(now));
    machine.accept(vec![alert("alertname=B", 3000, None)], at(now));
    assert_eq!(until(&mut machine, &mut now, 4000, Room::Empty), Vec::<String>::new());
    machine.reconfigure(config(CONFIG), String::new(), at(now));
    // The group was told of A; of B it is told now.
    assert_eq!(until(&mut machine, &mut now, 4400, Room::Empty)[0], "4000 hook[0] new alerts added: A=firing B=firing");
}

#[test]
fn an_hour_lost_by_the_wall_clock_is_not_waited_for() {
    let mut machine = machine();
    machine.accept(vec![alert("alertname=A", 4000, None)], at(4000));
    let mut now = 400;
    assert_eq!(until(&mut machine, &mut now, 400, Room::Empty), ["400 hook[0] first notification: A=firing"]);
}
