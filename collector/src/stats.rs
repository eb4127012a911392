//! What the collector counts: requests, items and bytes, by door and signal.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::Signal;
use model::stats::{Counter, Gauge, Seconds, Stats};

use crate::limits::METRICS_NAMED_MAX;
use crate::outcome::{Fate, Limited};
use crate::receipts::{Fingerprint, Receipts};
use crate::receiver::Door;
use crate::{Outcome, Refusal};

/// The families of the collector. The handles of what every request touches are kept; the rest is looked up when it happens.
#[derive(Debug)]
pub struct Counters {
    stats: Stats,
    /// By service.
    pub receipts: Receipts,
    /// Bytes that requests in flight hold.
    pub in_flight_bytes: Gauge,
    by_door: Vec<OfDoor>,
    limited: LimitedMetrics,
}

#[derive(Debug)]
struct OfDoor {
    door: Door,
    signal: Signal,
    requests: Counter,
    wire_bytes: Counter,
    bytes: Counter,
    accepted: Counter,
    seconds: Seconds,
}

const REFUSED: &str = "sextant_ingest_refused_requests_total";
const REJECTED: &str = "sextant_ingest_rejected_items_total";
const WARNINGS: &str = "sextant_ingest_warnings_total";

impl Counters {
    /// Registers the families.
    pub fn new(stats: Stats) -> Self {
        let doors = Door::ALL.into_iter().flat_map(|door| Signal::ALL.map(|signal| (door, signal)));
        let by_door = doors.map(|(door, signal)| OfDoor::new(&stats, door, signal)).collect();
        let help = "Bytes of requests being received, converted and stored.";
        Self {
            in_flight_bytes: stats.gauge("sextant_ingest_in_flight_bytes", help, &[]),
            by_door,
            limited: LimitedMetrics::default(),
            receipts: Receipts::new(stats.clone()),
            stats,
        }
    }

    /// Where all of them are.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Counts a request that has arrived: its bytes as sent and decompressed.
    pub fn arrived(&self, door: Door, signal: Signal, wire_bytes: usize, bytes: usize) {
        let of_door = self.of(door, signal);
        of_door.wire_bytes.add(wire_bytes as u64);
        of_door.bytes.add(bytes as u64);
    }

    /// Counts the items of a request that is stored.
    pub fn stored(&self, door: Door, signal: Signal, outcome: &Outcome, print: Fingerprint, took: Duration) {
        self.receipts.stored(door, signal, outcome, print);
        let of_door = self.of(door, signal);
        of_door.accepted.add(outcome.accepted);
        of_door.seconds.observe(took);
        for (reason, noted) in outcome.rejected.iter() {
            let labels = [("door", door.as_str()), ("signal", signal.as_str()), ("reason", reason.as_str())];
            self.stats.counter(REJECTED, "Items that were not stored, by reason.", &labels).add(noted.count);
        }
        self.limited.count(&outcome.limited, &self.stats);
        for (warning, noted) in outcome.warnings.iter() {
            let labels = [("door", door.as_str()), ("signal", signal.as_str()), ("warning", warning.as_str())];
            let help = "Items that were kept in another form than they were sent.";
            self.stats.counter(WARNINGS, help, &labels).add(noted.count);
        }
    }

    /// Counts a request that gets its answer.
    pub fn answered(&self, door: Door, signal: Signal, result: &Result<Outcome, Refusal>) {
        self.of(door, signal).requests.add(1);
        if let Err(refusal) = result {
            self.refused(door, signal.as_str(), refusal);
            self.receipts.refused(door, signal, refusal);
        }
    }

    /// Counts a request that belongs to no signal.
    pub fn astray(&self, door: Door, refusal: &Refusal) {
        self.refused(door, "none", refusal);
    }

    fn refused(&self, door: Door, signal: &str, refusal: &Refusal) {
        let labels = [("door", door.as_str()), ("signal", signal), ("reason", refusal.reason())];
        self.stats.counter(REFUSED, "Requests that were refused whole, by reason.", &labels).add(1);
    }

    fn of(&self, door: Door, signal: Signal) -> &OfDoor {
        let found = self.by_door.iter().find(|of_door| of_door.door == door && of_door.signal == signal);
        found.expect("there is one for every door and signal")
    }
}

impl OfDoor {
    fn new(stats: &Stats, door: Door, signal: Signal) -> Self {
        let labels = [("door", door.as_str()), ("signal", signal.as_str())];
        let counter = |name, help| stats.counter(name, help, &labels);
        Self {
            door,
            signal,
            requests: counter("sextant_ingest_requests_total", "Requests that were answered, refusals included."),
            wire_bytes: counter("sextant_ingest_wire_bytes_total", "Bytes of requests as they were sent."),
            bytes: counter("sextant_ingest_bytes_total", "Bytes of requests after decompression."),
            accepted: counter("sextant_ingest_accepted_items_total", "Items that were stored."),
            seconds: stats.seconds(
                "sextant_ingest_seconds",
                "Time from a request's last byte to its durability.",
                &labels,
            ),
        }
    }
}

const LIMITED: &str = "sextant_series_limited_points_total";

// Metrics beyond METRICS_NAMED_MAX.
const OTHERS: &str = "(others)";

// The metrics that have had points of series beyond a limit.
#[derive(Debug, Default)]
struct LimitedMetrics {
    named: Mutex<BTreeSet<String>>,
}

impl LimitedMetrics {
    fn count(&self, limited: &Limited, stats: &Stats) {
        for (metric, counts) in limited.iter() {
            let metric = metric.and_then(|name| self.name(name)).unwrap_or(OTHERS);
            for (fate, count) in Fate::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
                let labels = [("metric", metric), ("outcome", fate.as_str())];
                let help = "Points of series beyond a limit, by metric: added up in its overflow series, or rejected.";
                stats.counter(LIMITED, help, &labels).add(count);
            }
        }
    }

    // The name to count under, if there is room for it.
    fn name<'m>(&self, metric: &'m str) -> Option<&'m str> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if !named.contains(metric) {
            if named.len() >= METRICS_NAMED_MAX {
                return None;
            }
            named.insert(metric.to_owned());
        }
        Some(metric)
    }
}
