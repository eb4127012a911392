//! The outbox as a machine: order, retries, bounds.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use model::stats::Stats;
use query::rules::notify::client::{Failure, is_permanent, retry_after};
use query::rules::notify::group::Endpoint;
use query::rules::notify::outbox::{Draft, Outbox, Outcome, Room};
use query::rules::notify::webhook::Body;
use query::rules::notify::{NotifyStats, limits};

use super::world::{at, start};

fn endpoint(receiver: &str) -> Endpoint {
    Endpoint { receiver: receiver.to_owned(), webhook: 0 }
}

fn draft(lane: &str, receiver: &str, count: u64, created: Timestamp) -> Draft {
    let body = Body { text: format!("{lane} {count}"), status: "firing", alerts: 1 };
    let (lane, group_key) = (lane.to_owned(), lane.to_owned());
    Draft { lane, endpoint: endpoint(receiver), group_key, count, created: created.as_nanos(), body }
}

fn outbox() -> Outbox {
    Outbox::new(Duration::from_secs(24 * 3600), NotifyStats::new(&Stats::new()))
}

fn save(outbox: &mut Outbox) -> usize {
    let (changes, numbers) = outbox.unsaved();
    outbox.saved(&numbers);
    changes.len()
}

fn failure() -> Failure {
    Failure { kind: "connect", message: "down".to_owned(), permanent: false, retry_after: None }
}

// The bodies of what is tried now, and its numbers.
fn due(outbox: &mut Outbox, now: Timestamp) -> Vec<(u64, String)> {
    outbox.due(now, |_| true).into_iter().map(|attempt| (attempt.number, attempt.entry.body.to_string())).collect()
}

#[test]
fn a_lane_keeps_its_order_and_waits_for_the_store() {
    let mut outbox = outbox();
    outbox.push(vec![draft("a", "hook", 1, start()), draft("a", "hook", 2, start()), draft("b", "hook", 1, start())]);
    assert!(due(&mut outbox, start()).is_empty(), "nothing leaves before the store has it");
    save(&mut outbox);
    let first = due(&mut outbox, start());
    assert_eq!(first.iter().map(|(_, body)| body.as_str()).collect::<Vec<_>>(), ["a 1", "b 1"]);
    assert!(due(&mut outbox, start()).is_empty());
    assert_eq!(outbox.settle(first[0].0, Ok(()), start(), 0.5), Outcome::Delivered);
    assert!(due(&mut outbox, start()).is_empty(), "the next one waits until the store knows");
    assert_eq!(outbox.room(&"a".to_owned(), &endpoint("hook")), Room::Some);
    save(&mut outbox);
    assert_eq!(due(&mut outbox, start())[0].1, "a 2");
}

#[test]
fn retries_double_up_to_five_minutes() {
    let mut outbox = outbox();
    outbox.push(vec![draft("a", "hook", 1, start())]);
    save(&mut outbox);
    let mut now = start();
    for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        let (number, _) = due(&mut outbox, now)[0];
        assert_eq!(outbox.settle(number, Err(failure()), now, 1.0), Outcome::Retried);
        let next = now.saturating_add(expected * 1_000_000_000);
        assert!(due(&mut outbox, next.saturating_add(-1)).is_empty(), "before {expected} s");
        assert_eq!(outbox.next(|_| true), Some(next.as_nanos()));
        now = next;
    }
    let (number, _) = due(&mut outbox, now)[0];
    outbox.settle(number, Err(failure()), now, 0.25);
    assert_eq!(outbox.next(|_| true), Some(now.saturating_add(75_000_000_000).as_nanos()), "full jitter");
}

#[test]
fn one_receiver_delays_no_other_and_a_failing_one_is_asked_once_at_a_time() {
    let mut outbox = outbox();
    let lanes: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    outbox.push(lanes.iter().map(|lane| draft(lane, "down", 1, start())).collect());
    outbox.push(vec![draft("x", "up", 1, start())]);
    save(&mut outbox);
    let first = due(&mut outbox, start());
    assert_eq!(first.len(), 1 + limits::ENDPOINT_ATTEMPTS_MAX);
    for (number, body) in &first {
        outbox.settle(*number, if body == "x 1" { Ok(()) } else { Err(failure()) }, start(), 1.0);
    }
    assert!(due(&mut outbox, start()).is_empty(), "the receiver is paused, not only the lanes");
    let later = at(10);
    let probe = due(&mut outbox, later);
    assert_eq!(probe.len(), 1);
    outbox.settle(probe[0].0, Ok(()), later, 1.0);
    assert_eq!(due(&mut outbox, later).len(), limits::ENDPOINT_ATTEMPTS_MAX, "it is back");
}

#[test]
fn a_receiver_that_asks_for_time_gets_it() {
    let mut outbox = outbox();
    outbox.push(vec![draft("a", "hook", 1, start()), draft("b", "hook", 1, start())]);
    save(&mut outbox);
    let both = due(&mut outbox, start());
    let asks = |seconds| Failure { retry_after: Some(Duration::from_secs(seconds)), ..failure() };
    outbox.settle(both[0].0, Err(asks(120)), start(), 0.0);
    outbox.settle(both[1].0, Err(asks(120)), start(), 0.0);
    assert!(due(&mut outbox, at(119)).is_empty());
    let next = due(&mut outbox, at(120));
    assert_eq!(next.len(), 1);
    // A month is an hour.
    outbox.settle(next[0].0, Err(asks(30 * 86_400)), at(120), 0.0);
    assert!(due(&mut outbox, at(120 + 3599)).is_empty());
    assert_eq!(due(&mut outbox, at(120 + 3600)).len(), 1);
}

#[test]
fn what_is_given_up_is_kept_to_be_seen() {
    let mut outbox = outbox();
    outbox.push(vec![draft("a", "hook", 1, start()), draft("a", "hook", 2, start())]);
    save(&mut outbox);
    let refused = Failure { kind: "status_4xx", message: "no".to_owned(), permanent: true, retry_after: None };
    let (number, _) = due(&mut outbox, start())[0];
    assert_eq!(outbox.settle(number, Err(refused), start(), 0.0), Outcome::Dead);
    save(&mut outbox);
    // The next one goes on, and is given up after a day.
    let mut now = start();
    let mut attempts = 0;
    loop {
        let (number, body) = due(&mut outbox, now)[0].clone();
        assert_eq!(body, "a 2");
        attempts += 1;
        if outbox.settle(number, Err(failure()), now, 1.0) == Outcome::Dead {
            break;
        }
        now = Timestamp::from_nanos(outbox.next(|_| true).expect("it waits"));
    }
    assert_eq!(now.as_nanos() - start().as_nanos(), 86_611_000_000_000);
    assert_eq!(attempts, 297);
    let status = outbox.status();
    assert_eq!((status.queued.len(), status.dead.len()), (0, 2));
    assert_eq!(status.dead[0].last_error.as_deref(), Some("down"), "newest first");
    assert_eq!((status.dead[1].last_error.as_deref(), status.dead[1].attempts), (Some("no"), 1));
    assert!(status.dead.iter().all(|dead| dead.next_attempt.is_none()));
}

#[test]
fn a_day_without_the_server_itself_gives_nothing_up() {
    let mut first = outbox();
    first.push(vec![draft("a", "hook", 1, start())]);
    let (changes, _) = first.unsaved();
    let mut second = outbox();
    let records = changes
        .into_iter()
        .map(|change| (String::from_utf8(change.key).expect("text"), Arc::from(change.value.expect("a record"))));
    second.restore(records).expect("it is read");
    let now = at(3 * 86_400);
    let (number, _) = due(&mut second, now)[0];
    assert_eq!(second.settle(number, Err(failure()), now, 1.0), Outcome::Retried);
}

#[test]
fn a_receiver_that_is_no_longer_configured_is_waited_for() {
    let mut outbox = outbox();
    outbox.push(vec![draft("a", "hook", 1, start())]);
    save(&mut outbox);
    assert!(outbox.due(at(60), |_| false).is_empty());
    let day = 86_400_000_000_000;
    assert_eq!(outbox.next(|_| false), Some(start().as_nanos() + day));
    assert_eq!(outbox.status().queued[0].last_error.as_deref(), Some("its receiver is no longer configured"));
    assert_eq!(due(&mut outbox, at(60)).len(), 1, "it is back");
    outbox.abandon(1);
    assert!(outbox.due(at(86_400), |_| false).is_empty());
    assert_eq!(outbox.status().dead.len(), 1);
}

#[test]
fn everything_has_a_bound() {
    let mut outbox = outbox();
    for count in 0..limits::LANE_ENTRIES_MAX as u64 {
        assert_ne!(outbox.room(&"a".to_owned(), &endpoint("hook")), Room::Full);
        outbox.push(vec![draft("a", "hook", count, start())]);
    }
    assert_eq!(outbox.room(&"a".to_owned(), &endpoint("hook")), Room::Full);
    assert_eq!(outbox.room(&"b".to_owned(), &endpoint("hook")), Room::Empty);
    for count in 0..limits::ENDPOINT_ENTRIES_MAX {
        outbox.push(vec![draft(&format!("lane {count}"), "hook", 1, start())]);
    }
    assert_eq!(outbox.room(&"b".to_owned(), &endpoint("hook")), Room::Full);
    assert_eq!(outbox.room(&"b".to_owned(), &endpoint("other")), Room::Empty);
    save(&mut outbox);
    // Dead letters: the oldest go.
    let refused = Failure { permanent: true, ..failure() };
    let mut dead = 0;
    loop {
        let attempts = due(&mut outbox, start());
        if attempts.is_empty() {
            break;
        }
        for (number, _) in attempts {
            outbox.settle(number, Err(refused.clone()), start(), 0.0);
            dead += 1;
        }
        save(&mut outbox);
    }
    assert_eq!(dead, limits::ENDPOINT_ENTRIES_MAX + limits::LANE_ENTRIES_MAX);
    assert_eq!(outbox.status().dead.len(), limits::DEAD_MAX);
}

#[test]
fn only_what_no_receiver_will_ever_take_is_given_up_at_once() {
    for status in 300..600u16 {
        let expected = [400, 405, 410, 413, 414, 415, 422, 431].contains(&status);
        assert_eq!(is_permanent(status.try_into().expect("a status")), expected, "{status}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    for (value, seconds) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 7 ", Some(7)),
        ("99999999999999999999", Some(u64::MAX)),
        ("Sat, 31 Jan 2026 12:00:30 GMT", Some(30)),
        ("Sat, 31 Jan 2026 11:00:00 GMT", Some(0)),
        ("Sun, 01 Feb 2026 12:00:00 GMT", Some(86_400)),
        ("Sat, 31 Foo 2026 12:00:30 GMT", None),
        ("Sat, 31 Jan 2026 12:00:30", None),
        ("Saturday, 31-Jan-26 12:00:30 GMT", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
    ] {
        assert_eq!(retry_after(value, start()), seconds.map(Duration::from_secs), "{value:?}");
    }
}
