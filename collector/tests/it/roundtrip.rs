//! Random requests come back from the columns as they were sent: the same items in the same order, attributes as maps.

use collector::convert::{self, Encoding};
use collector::{Outcome, Tally};
use fastrand::Rng;
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
        let (sent, kept) = (sent.text(), kept.text());
        assert!(sent == kept, "seed {seed}, item {position}: {}", difference(&sent, &kept));
    }
}

// What stands around the first difference: the whole of both is too much to read.
fn difference(sent: &str, kept: &str) -> String {
    let differs = sent.chars().zip(kept.chars()).position(|(a, b)| a != b).unwrap_or(0);
    let window = |text: &str| text.chars().skip(differs.saturating_sub(120)).take(240).collect::<String>();
    format!("sent ...{}..., kept ...{}...", window(sent), window(kept))
}

// The bytes, and what they say: protobuf does not carry everything, -0.0 for instance.
fn on_the_wire<M: prost::Message + Default>(request: M) -> (Vec<u8>, M) {
    let bytes = request.encode_to_vec();
    let request = M::decode(&bytes[..]).expect("prost reads what it wrote");
    (bytes, request)
}

#[test]
fn logs_come_back() {
    let keys = correlation_keys();
    let mut items = 0;
    for seed in 0..SEEDS {
        let (bytes, request) = on_the_wire(generate::logs(&mut Rng::with_seed(seed)));
        let mut columns = LogColumns::default();
        let outcome = convert::logs(&bytes, Encoding::Protobuf, &context(&keys), &mut columns);
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
        let (bytes, request) = on_the_wire(generate::spans(&mut Rng::with_seed(seed)));
        let mut columns = SpanColumns::default();
        let outcome = convert::spans(&bytes, Encoding::Protobuf, &context(&keys), &mut columns);
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
        let (bytes, request) = on_the_wire(generate::points(&mut Rng::with_seed(seed)));
        let mut columns = PointColumns::new([7; 16]);
        let outcome = convert::points(&bytes, Encoding::Protobuf, &context(&keys), &mut columns);
        let outcome = outcome.expect("the request is sound");
        check(seed, &outcome, &flatten::points(&request), &rebuild::points(&columns.finish()));
        items += outcome.accepted;
    }
    assert!(items > 1000, "only {items} points were tried");
}
