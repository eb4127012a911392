//! Kills at every point: clocks go on, no transition is lost, nothing leaves that is not durable.

use std::collections::BTreeSet;

use query::rules::Rules;
use store::disk::sim::{Fault, FaultKind, Operation};

use crate::world::World;

const RULES: &str = "groups:
- name: g
  rules:
  - alert: Slow
    expr: up == 0
    for: 1h
    keep_firing_for: 30m
  - alert: Fast
    expr: up == 0
";

// Seconds, and whether the service is up then.
const SCRIPT: [(i64, f64); 8] =
    [(0, 0.0), (1_800, 0.0), (3_600, 0.0), (3_700, 0.0), (4_000, 1.0), (5_000, 1.0), (5_800, 1.0), (6_000, 0.0)];

// The steps of it at which something happens.
const SHORT: [(i64, f64); 5] = [(0, 0.0), (3_600, 0.0), (4_000, 1.0), (5_800, 1.0), (6_000, 0.0)];

const TOLD: [&str; 5] = [
    "Fast firing since 0",
    "Slow firing since 3600",
    "Fast resolved since 0",
    "Slow resolved since 3600",
    "Fast firing since 6000",
];

const HISTORY: [&str; 7] =
    ["Fast firing", "Fast firing", "Fast resolved", "Slow firing", "Slow pending", "Slow pending", "Slow resolved"];

fn first_time(words: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    words.into_iter().filter(|word| seen.insert(word.clone())).collect()
}

#[tokio::test]
async fn clocks_go_on_wherever_the_server_is_killed() {
    for kill_before in 0..=SCRIPT.len() {
        let mut world = World::new();
        world.file("a.yml", RULES);
        let mut rules = world.rules().await;
        for (position, (second, value)) in SCRIPT.into_iter().enumerate() {
            if position == kill_before {
                drop(rules);
                world = world.killed();
                rules = world.rules().await;
            }
            world.gauge("up", &[("job", "a")], second, value).await;
            world.at(&rules, second).await;
        }
        assert_eq!(first_time(world.told.words()), TOLD, "killed before {kill_before}");
        let history: Vec<String> = world.history().await.into_iter().map(|(word, _)| word).collect();
        assert_eq!(history.len(), 7, "killed before {kill_before}: {history:?}");
    }
}

#[tokio::test]
async fn an_outage_of_any_length_changes_no_clock() {
    let world = World::new();
    world.file("a.yml", RULES);
    let rules = world.rules().await;
    world.gauge("up", &[("job", "a")], 0, 0.0).await;
    world.at(&rules, 0).await;
    drop(rules);
    let world = world.killed();
    world.go(100_000);
    let rules = world.rules().await;
    world.gauge("up", &[("job", "a")], 100_000, 0.0).await;
    world.at(&rules, 100_000).await;
    assert_eq!(first_time(world.told.words()), ["Fast firing since 0", "Slow firing since 100000"]);
    let slow = rules.groups()[0].rules[0].state();
    let alert = slow.alerts.values().next().cloned().expect("it is there");
    assert_eq!((alert.active_at, alert.fired_at), (1_000_000_000, Some(1_100_000_000)));
}

/// The disk fails from some write on, and the process is killed; the next one finds what was written until then.
#[tokio::test]
async fn no_transition_is_lost_at_any_write() {
    let mut kills = 0;
    for writes in 0.. {
        let mut world = World::new();
        world.file("a.yml", RULES);
        let mut rules = world.rules().await;
        let fails = |operation, _: &std::path::Path| matches!(operation, Operation::Append | Operation::Sync);
        world.disk.inject(Fault::new(FaultKind::Io, fails).after(writes));
        let mut killed = false;
        for (second, value) in SHORT {
            world.go(second);
            if !step(&world, &rules, second, value).await {
                assert!(!killed, "the new disk is whole");
                killed = true;
                drop(rules);
                world = world.killed();
                rules = world.rules().await;
                assert!(step(&world, &rules, second, value).await, "after {writes} writes");
            }
        }
        assert_eq!(first_time(world.told.words()), TOLD, "after {writes} writes");
        let history = world.history().await;
        let ids: BTreeSet<&(String, String)> = history.iter().collect();
        let mut names: Vec<&str> = ids.iter().map(|(word, _)| word.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, HISTORY, "after {writes} writes");
        // Twice only what was written and not yet forgotten.
        assert!(history.len() <= ids.len() + 1, "after {writes} writes: {history:?}");
        if !killed {
            break;
        }
        kills += 1;
    }
    assert!(kills > 20, "{kills}");
}

// Whether the point and everything that the rules made of it were written.
async fn step(world: &World, rules: &Rules, second: i64, value: f64) -> bool {
    if world.try_gauge("up", &[("job", "a")], second, value).await.is_err() {
        return false;
    }
    rules.evaluate(world.time(second)).await;
    let waiting = world.stats.values().into_iter().find(|(name, ..)| *name == "sextant_rule_history_waiting");
    let healthy = rules.groups()[0].rules.iter().all(|rule| rule.state().health == Some(Ok(())));
    healthy && waiting.is_none_or(|(.., count)| count == 0)
}
