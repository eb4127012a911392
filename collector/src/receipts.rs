//! Receipts: what became of everything that was sent, by door, service and signal.
//!
//! Accepted items are in the store; rejected ones are not, each for one reason; a request that was shed was told to come
//! again and nothing of it is kept. A request that was stored already and comes again is stored again, as OTLP allows, and
//! its items are counted as duplicates: they are among the accepted ones, so that accepted is what is stored.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashSet};
use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};

use foldhash::quality::FixedState;
use model::Signal;
use model::stats::{Counter, Stats};

use crate::limits::{REMEMBERED_REQUESTS_MAX, SERVICE_NAME_CHARS_MAX, SERVICES_NAMED_MAX};
use crate::receiver::Door;
use crate::{Outcome, Refusal, RefusalKind};

/// Requests refused before anybody knew whose they were.
const UNREAD: &str = "(unread)";
/// Services without a name.
const UNNAMED: &str = "(unnamed)";
/// Services beyond [`SERVICES_NAMED_MAX`].
const OTHERS: &str = "(others)";

/// The families of receipts.
#[derive(Debug)]
pub struct Receipts {
    stats: Stats,
    named: Mutex<BTreeSet<String>>,
    stored: Mutex<Stored>,
    // Of its own for each process: nobody can make two requests meet on purpose.
    keys: FixedState,
}

// Two generations, so that forgetting costs nothing.
#[derive(Debug, Default)]
struct Stored {
    current: HashSet<u64>,
    previous: HashSet<u64>,
}

/// What a request is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Receipts {
    /// Nothing was sent yet.
    pub fn new(stats: Stats) -> Self {
        Self {
            stats,
            named: Mutex::default(),
            stored: Mutex::default(),
            keys: FixedState::with_seed(RandomState::new().hash_one(0)),
        }
    }

    /// Of a request as it is after decompression.
    pub fn fingerprint(&self, signal: Signal, bytes: &[u8]) -> Fingerprint {
        Fingerprint(self.keys.hash_one((signal.as_str(), bytes)))
    }

    /// Writes a receipt for a request that is stored.
    pub fn stored(&self, door: Door, signal: Signal, outcome: &Outcome, fingerprint: Fingerprint) {
        let again = outcome.accepted + outcome.folded > 0 && self.remember(fingerprint);
        for (service, of) in outcome.services.iter() {
            let service = self.name(service);
            let row = Row { stats: &self.stats, door, service: &service, signal };
            row.requests().add(1);
            row.count(ACCEPTED).add(of.accepted);
            row.count(FOLDED).add(of.folded);
            row.count(DUPLICATES).add(if again { of.accepted } else { 0 });
            for (reason, count) in &of.rejected {
                row.by(REJECTED, reason.as_str()).add(*count);
            }
        }
    }

    /// Whether the request was stored before, as far as it is remembered.
    pub fn knows(&self, Fingerprint(print): Fingerprint) -> bool {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.current.contains(&print) || stored.previous.contains(&print)
    }

    /// Writes a receipt for a request that is not.
    pub fn refused(&self, door: Door, signal: Signal, refusal: &Refusal) {
        let row = Row { stats: &self.stats, door, service: UNREAD, signal };
        row.requests().add(1);
        let family = if matches!(refusal.kind(), RefusalKind::Transient { .. }) { SHED } else { REFUSED };
        row.by(family, refusal.reason()).add(1);
    }

    // Whether it was stored before.
    fn remember(&self, Fingerprint(print): Fingerprint) -> bool {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let again = stored.previous.contains(&print) || !stored.current.insert(print);
        if stored.current.len() >= REMEMBERED_REQUESTS_MAX {
            stored.previous = std::mem::take(&mut stored.current);
        }
        again
    }

    // The name to count under.
    fn name(&self, service: &str) -> String {
        if service.is_empty() {
            return UNNAMED.to_owned();
        }
        let name: String = service.chars().take(SERVICE_NAME_CHARS_MAX).collect();
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if !named.contains(&name) {
            if named.len() >= SERVICES_NAMED_MAX {
                return OTHERS.to_owned();
            }
            named.insert(name.clone());
        }
        name
    }
}

type Family = (&'static str, &'static str);

const REQUESTS: Family = ("sextant_receipts_requests_total", "Requests that were answered, by service.");
const ACCEPTED: Family = ("sextant_receipts_accepted_items_total", "Items that were stored, by service.");
const FOLDED: Family =
    ("sextant_receipts_folded_items_total", "Items that were added to one that was stored, by service.");
const DUPLICATES: Family =
    ("sextant_receipts_duplicate_items_total", "Stored items of requests that had been stored before, by service.");
const REJECTED: Family =
    ("sextant_receipts_rejected_items_total", "Items that were not stored, by service and reason.");
const SHED: Family = ("sextant_receipts_shed_requests_total", "Requests that were told to come again, by reason.");
const REFUSED: Family = ("sextant_receipts_refused_requests_total", "Requests that were refused for good, by reason.");

struct Row<'a> {
    stats: &'a Stats,
    door: Door,
    service: &'a str,
    signal: Signal,
}

impl Row<'_> {
    fn requests(&self) -> Counter {
        self.count(REQUESTS)
    }

    fn count(&self, (name, help): Family) -> Counter {
        let labels = [("door", self.door.as_str()), ("service", self.service), ("signal", self.signal.as_str())];
        self.stats.counter(name, help, &labels)
    }

    fn by(&self, (name, help): Family, reason: &str) -> Counter {
        let [door, service, signal] =
            [("door", self.door.as_str()), ("service", self.service), ("signal", self.signal.as_str())];
        self.stats.counter(name, help, &[door, service, signal, ("reason", reason)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(stats: &Stats, family: &str, service: &str) -> u64 {
        let of = stats.values().into_iter().filter(|(name, labels, _)| {
            *name == family && labels.iter().any(|(name, value)| *name == "service" && value == service)
        });
        of.map(|(.., value)| value).sum()
    }

    fn outcome(service: &str, accepted: u64) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.begin(service);
        outcome.accepted += accepted;
        outcome.settle();
        outcome
    }

    #[test]
    fn a_request_that_comes_again_is_recognised_and_counted() {
        let stats = Stats::new();
        let receipts = Receipts::new(stats.clone());
        for bytes in [&b"one"[..], b"two", b"one", b"one"] {
            let print = receipts.fingerprint(Signal::Logs, bytes);
            receipts.stored(Door::Http, Signal::Logs, &outcome("shop", 5), print);
        }
        assert_eq!(sum(&stats, ACCEPTED.0, "shop"), 20);
        assert_eq!(sum(&stats, DUPLICATES.0, "shop"), 10);
        assert_ne!(receipts.fingerprint(Signal::Logs, b"one"), receipts.fingerprint(Signal::Spans, b"one"));
        // Remembered for at least as many further requests as the window holds.
        for number in 0..REMEMBERED_REQUESTS_MAX as u64 - 1 {
            receipts.remember(receipts.fingerprint(Signal::Logs, &number.to_be_bytes()));
        }
        assert!(receipts.remember(receipts.fingerprint(Signal::Logs, b"two")));
    }

    #[test]
    fn names_are_bounded_in_number_and_length() {
        let stats = Stats::new();
        let receipts = Receipts::new(stats.clone());
        for number in 0..SERVICES_NAMED_MAX + 7 {
            let print = receipts.fingerprint(Signal::Logs, &number.to_be_bytes());
            receipts.stored(Door::Grpc, Signal::Logs, &outcome(&format!("{number:0>200}"), 1), print);
        }
        assert!(receipts.name("").starts_with('('));
        // All those zeros are one name.
        assert_eq!(sum(&stats, ACCEPTED.0, &"0".repeat(SERVICE_NAME_CHARS_MAX)), SERVICES_NAMED_MAX as u64 + 7);
        for number in 0..SERVICES_NAMED_MAX + 7 {
            receipts.name(&number.to_string());
        }
        assert_eq!(receipts.name("one more"), OTHERS);
        assert_eq!(receipts.name("7"), "7");
        receipts.refused(Door::Grpc, Signal::Spans, &Refusal::Memory);
        assert_eq!((sum(&stats, SHED.0, UNREAD), sum(&stats, REFUSED.0, UNREAD)), (1, 0));
    }
}
