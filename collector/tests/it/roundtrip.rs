//! Random requests come back from the columns as they were sent: the same items in the same order, attributes as maps.

use collector::convert::{self, Encoding};
use collector::{Outcome, Tally};
use fastrand::Rng;
use prost::Message as _;
use store::schema::{LogColumns, PointColumns, SpanColumns};

use crate::flatten::Lone;
use crate::support::{context, correlation_keys};
use crate::{flatten, generate, rebuild};

const SEEDS: u64 = 400;

fn check<T: std::fmt::Debug>(seed: u64, outcome: &Outcome, sent: &[Lone<T>], kept: &[Lone<T>]) {
    assert_eq!(outcome.accepted, sent.len() as u64, "seed {seed}: {outcome:?}");
    assert!(outcome.rejected == Tally::default() && outcome.warnings == Tally::default(), "seed {seed}: {outcome:?}");
    assert_eq!(sent.len(), kept.len(), "seed {seed}");
    for (position, (sent, kept)) in sent.iter().zip(kept).enumerate() {
        assert_eq!(sent.text(), kept.text(), "seed {seed}, item {position}");
    }
}

#[test]
fn logs_come_back() {
    let keys = correlation_keys();
    let mut items = 0;
    for seed in 0..SEEDS {
        let request = generate::logs(&mut Rng::with_seed(seed));
        let mut columns = LogColumns::default();
        let outcome = convert::logs(&request.encode_to_vec(), Encoding::Protobuf, &context(&keys), &mut columns);
        let outcome = outcome.expect("the request is sound");
        check(seed, &outcome, &flatten::logs(&request), &rebuild::logs(&columns.finish()));
        items += outcome.accepted;
    }
    assert!(items > 1000, "only {items} records were tried");
}

#[test]
fn spans_come_back() {
    let keys = correlation_keys();
    let mut items = 0;
    for seed in 0..SEEDS {
        let request = generate::spans(&mut Rng::with_seed(seed));
        let mut columns = SpanColumns::default();
        let outcome = convert::spans(&request.encode_to_vec(), Encoding::Protobuf, &context(&keys), &mut columns);
        let outcome = outcome.expect("the request is sound");
        check(seed, &outcome, &flatten::spans(&request), &rebuild::spans(&columns.finish()));
        items += outcome.accepted;
    }
    assert!(items > 1000, "only {items} spans were tried");
}

#[test]
fn points_come_back() {
    let keys = correlation_keys();
    let mut items = 0;
    for seed in 0..SEEDS {
        let request = generate::points(&mut Rng::with_seed(seed));
        let mut columns = PointColumns::new([7; 16]);
        let outcome = convert::points(&request.encode_to_vec(), Encoding::Protobuf, &context(&keys), &mut columns);
        let outcome = outcome.expect("the request is sound");
        check(seed, &outcome, &flatten::points(&request), &rebuild::points(&columns.finish()));
        items += outcome.accepted;
    }
    assert!(items > 1000, "only {items} points were tried");
}
