//! How each algorithm spreads ten thousand requests, and what it does when an instance is slow, busy or away.

use std::collections::BTreeMap;

use super::*;

const CHOICES: usize = 10_000;

fn candidate(instance: &str) -> Candidate<'_> {
    Candidate { instance, weight: 1, active: 0, response_s: 0.0, load: Load::default() }
}

fn three() -> [Candidate<'static>; 3] {
    ["a", "b", "c"].map(candidate)
}

/// How many of so many requests each got, in the candidates' order.
fn spread(balancer: &mut Balancer, candidates: &[Candidate<'_>]) -> Vec<usize> {
    let mut counts = vec![0; candidates.len()];
    for _ in 0..CHOICES {
        counts[balancer.choose(candidates, None).expect("there are some")] += 1;
    }
    counts
}

fn about(counts: &[usize], expected: &[usize]) {
    let near = |(count, expected): (&usize, &usize)| count.abs_diff(*expected) <= CHOICES / 100;
    assert!(counts.iter().zip(expected).all(near), "{counts:?} instead of {expected:?}");
}

#[test]
fn nobody_is_chosen_of_none_and_the_only_one_always() {
    use Algorithm::*;
    for algorithm in
        [RoundRobin, Weighted, LeastConnections, WeightedLeastConnections, LeastResponseTime, IpHash, Resource]
    {
        let mut balancer = Balancer::new(algorithm);
        assert_eq!(balancer.choose(&[], Some("client")), None, "{algorithm:?}");
        assert_eq!(spread(&mut balancer, &[candidate("a")]), [CHOICES], "{algorithm:?}");
        let idle = spread(&mut balancer, &three());
        about(&idle, &[CHOICES / 3; 3]);
    }
}

#[test]
fn round_robin_goes_on_where_it_was_when_one_leaves() {
    let mut balancer = Balancer::new(Algorithm::RoundRobin);
    let all = three();
    let mut chosen = |candidates: &[Candidate<'static>]| {
        balancer.choose(candidates, None).map_or("", |place| candidates[place].instance)
    };
    assert_eq!([chosen(&all), chosen(&all)], ["a", "b"]);
    assert_eq!([chosen(&[all[0], all[2]]), chosen(&[all[0], all[2]]), chosen(&all)], ["c", "a", "b"]);
    assert_eq!([chosen(&all[..2]), chosen(&all[..2])], ["a", "b"]);
}

#[test]
fn weights_are_obeyed_smoothly() {
    let mut all = three();
    all[0].weight = 5;
    let mut balancer = Balancer::new(Algorithm::Weighted);
    let order: String = (0..7).filter_map(|_| Some(all[balancer.choose(&all, None)?].instance)).collect();
    assert_eq!(order, "aabacaa", "as nginx documents it");
    about(&spread(&mut balancer, &all), &[CHOICES * 5 / 7, CHOICES / 7, CHOICES / 7]);
    about(&spread(&mut balancer, &all[1..]), &[CHOICES / 2; 2]);
}

#[test]
fn least_connections_avoids_the_busy_one() {
    let mut balancer = Balancer::new(Algorithm::LeastConnections);
    let mut all = three();
    all[1].active = 1;
    about(&spread(&mut balancer, &all), &[CHOICES / 2, 0, CHOICES / 2]);
    // One that takes five times as long gets a fifth: each choice is under way for so many further ones.
    let mut under_way: Vec<(usize, usize)> = Vec::new();
    let mut counts = [0; 3];
    for now in 0..CHOICES {
        under_way.retain(|(_, until)| *until > now);
        let mut all = three();
        for (place, _) in &under_way {
            all[*place].active += 1;
        }
        let chosen = balancer.choose(&all, None).expect("there are some");
        counts[chosen] += 1;
        under_way.push((chosen, now + if chosen == 1 { 50 } else { 10 }));
    }
    assert!(counts[1] * 4 < counts[0] && counts[1] * 6 > counts[0], "{counts:?}");
}

#[test]
fn weighted_least_connections_fills_by_weight() {
    let mut balancer = Balancer::new(Algorithm::WeightedLeastConnections);
    let mut all = three();
    (all[0].weight, all[1].weight, all[2].weight) = (4, 2, 2);
    about(&spread(&mut balancer, &all), &[CHOICES / 2, CHOICES / 4, CHOICES / 4]);
    // None ever ends: they are as full as they weigh.
    for _ in 0..800 {
        let chosen = balancer.choose(&all, None).expect("there are some");
        all[chosen].active += 1;
    }
    assert_eq!(all.map(|candidate| candidate.active), [400, 200, 200]);
    all[0].active = 100;
    about(&spread(&mut balancer, &all), &[CHOICES, 0, 0]);
}

#[test]
fn least_response_time_prefers_the_fast_one_until_it_is_busy() {
    let mut balancer = Balancer::new(Algorithm::LeastResponseTime);
    let mut all = three();
    (all[0].response_s, all[1].response_s, all[2].response_s) = (0.2, 0.01, 0.02);
    about(&spread(&mut balancer, &all), &[0, CHOICES, 0]);
    all[1].active = 2;
    about(&spread(&mut balancer, &all), &[0, 0, CHOICES]);
    // A new one is tried once before anything is known of it, and not by everybody at once.
    all[0].response_s = 0.0;
    assert_eq!(balancer.choose(&all, None), Some(0));
    all[0].active = 1;
    assert_eq!(balancer.choose(&all, None), Some(2));
}

#[test]
fn a_lost_instance_moves_only_its_own_clients() {
    let mut balancer = Balancer::new(Algorithm::IpHash);
    let all = three();
    let mut home = |client: usize, candidates: &[Candidate<'static>]| {
        let client = format!("10.0.{}.{}", client / 256, client % 256);
        balancer.choose(candidates, Some(&client)).map(|place| candidates[place].instance)
    };
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for client in 0..CHOICES {
        let (before, after, back) = (home(client, &all), home(client, &[all[0], all[2]]), home(client, &all));
        assert_eq!(before, back, "the same client comes to the same instance");
        if before != Some("b") {
            assert_eq!(before, after, "the others stay where they are");
        }
        *counts.entry((before, after)).or_default() += 1;
    }
    let of_lost = |to| counts.get(&(Some("b"), Some(to))).copied().unwrap_or_default();
    let homes: Vec<usize> = ["a", "b", "c"]
        .map(|name| counts.iter().filter(|((home, _), _)| *home == Some(name)).map(|(_, n)| n).sum())
        .into();
    let far = |count: usize, expected: usize| count.abs_diff(expected) > expected / 10;
    assert!(homes.iter().all(|count| !far(*count, CHOICES / 3)), "{homes:?}");
    assert!(!far(of_lost("a"), CHOICES / 6) && !far(of_lost("c"), CHOICES / 6), "{counts:?}");
}

#[test]
fn resource_gives_each_what_it_can_spare() {
    let mut balancer = Balancer::new(Algorithm::Resource);
    let mut all = three();
    (all[0].load.cpu, all[1].load.cpu, all[2].load.cpu) = (0.2, 0.6, 1.0);
    about(&spread(&mut balancer, &all), &[CHOICES * 2 / 3, CHOICES / 3, 0]);
    let mut all = three();
    all[1].load.active = 9;
    about(&spread(&mut balancer, &all), &[CHOICES * 10 / 21, CHOICES / 21, CHOICES * 10 / 21]);
}
