//! Retention: what is expired is not shown, not taken and soon not there; nothing else ever goes, whatever clocks do; and what was
//! accepted is queryable or counted as expired.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::datatypes::{TimestampNanosecondType, UInt64Type};
use fastrand::Rng;
use model::stats::Stats;
use model::{ManualClock, Signal, SpanId, TimeRange, Timestamp, TraceId};
use store::disk::SimDisk;
use store::disk::sim::{Fault, FaultKind, Operation};
use store::schema::{
    LogColumns, LogRow, PointColumns, PointRow, PointValue, ResourceRow, ScopeRow, SeriesKey, SeriesRow, SpanColumns,
    SpanRow, ValueRef, column, metric_type,
};
use store::{Batch, Config, ErrorKind, Narrow, Projection, Setup, Store, StoreError, Table};

use crate::simulate::stride;
use crate::trials::{self, block_on, caught};

const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
const START: i64 = 20_484 * DAY + 12 * HOUR;
const DIRECTORY: &str = "/data";
const SERVICES: [&str; 3] = ["checkout", "audit", "noisy"];

/// A row as the naive model knows it.
#[derive(Clone, Copy, Debug)]
struct Known {
    signal: Signal,
    service: &'static str,
    time: i64,
}

struct World {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    config: Config,
    store: Store,
    // Everything that was acknowledged, by number.
    rows: BTreeMap<u64, Known>,
}

fn open(disk: &SimDisk, clock: &Arc<ManualClock>, config: &Config) -> Result<Store, StoreError> {
    Store::open(Setup {
        directory: DIRECTORY.into(),
        config: config.clone(),
        clock: Arc::clone(clock) as Arc<dyn model::Clock>,
        disk: Arc::new(disk.clone()),
        stats: Stats::new(),
    })
}

fn settings(json: &str) -> Config {
    let config: Config = serde_json::from_str(json).expect("settings");
    Config { flush_interval_s: u64::MAX, ..config }
}

const AGES: &str = r#"{"retention": {"logs": "5d", "spans": "2d", "points": "30d"}, "reserve_bytes": 0,
    "retention_services": {"audit": {"logs": "none", "spans": "9d"}, "noisy": {"logs": "1d", "points": "36h"}}}"#;

impl World {
    fn new(seed: u64, config: Config) -> World {
        let (disk, clock) = (SimDisk::new(seed), Arc::new(ManualClock::new(Timestamp::from_nanos(START))));
        let store = open(&disk, &clock, &config).expect("an empty disk opens");
        World { disk, clock, config, store, rows: BTreeMap::new() }
    }

    fn now(&self) -> i64 {
        model::Clock::now(self.clock.as_ref()).as_nanos()
    }

    async fn append(&mut self, signal: Signal, rows: &[(&'static str, i64)], worth: bool) -> Result<(), StoreError> {
        let batch = batch(signal, self.store.writer().series_key(), rows, worth);
        let receipt = self.store.writer().append(batch).await?;
        for ((service, time), seq) in rows.iter().zip(receipt.first_seq..) {
            self.rows.insert(seq, Known { signal, service, time: *time });
        }
        Ok(())
    }

    async fn append_random(&mut self, rng: &mut Rng) {
        let signal = Signal::ALL[rng.usize(0..3)];
        let days = rng.i64(1..6);
        let rows: Vec<(&str, i64)> =
            (0..rng.usize(1..30)).map(|_| (SERVICES[rng.usize(0..3)], self.now() - rng.i64(0..days * DAY))).collect();
        self.append(signal, &rows, rng.bool()).await.expect("it is committed");
    }

    // Another process, which finds the time where it was.
    fn reopen(&mut self, disk: SimDisk) {
        self.disk = disk;
        self.store = open(&self.disk, &self.clock, &self.config).expect("it opens");
    }

    fn age(&self, row: &Known) -> Option<i64> {
        let of_service = self.config.retention_services.get(row.service).and_then(|ages| match row.signal {
            Signal::Logs => ages.logs.clone(),
            Signal::Spans => ages.spans.clone(),
            Signal::Points => ages.points.clone(),
        });
        let of_signal = match row.signal {
            Signal::Logs => &self.config.retention.logs,
            Signal::Spans => &self.config.retention.spans,
            Signal::Points => &self.config.retention.points,
        };
        of_service.unwrap_or_else(|| of_signal.clone()).nanos()
    }

    // What the model says, against what is shown, admitted and counted.
    fn check(&self, context: &str) {
        let now = self.now();
        let lives = |row: &Known| self.age(row).is_none_or(|age| row.time >= now - age);
        let expected: BTreeSet<u64> = self.rows.iter().filter(|(_, row)| lives(row)).map(|(seq, _)| *seq).collect();
        assert_eq!(shown(&self.store), expected, "{context}");
        let writer = self.store.writer();
        let retention = writer.retention();
        for row in self.rows.values() {
            let admitted = retention.admits(row.signal, Some(row.service), Timestamp::from_nanos(row.time)).is_ok();
            assert_eq!(admitted, lives(row), "{context}: {row:?}");
        }
        self.check_count(context);
    }

    // What is not too old by the true time is shown.
    fn check_none_is_lost(&self, now: i64, context: &str) {
        let shown = shown(&self.store);
        for (seq, row) in &self.rows {
            let lives = self.age(row).is_none_or(|age| row.time >= now - age);
            assert!(!lives || shown.contains(seq), "{context}: {row:?} is not shown");
        }
    }

    // Accepted is queryable, or expired.
    fn check_count(&self, context: &str) {
        let (snapshot, status) = (self.store.snapshot(), self.store.status());
        for signal in Signal::ALL {
            let table = table(signal);
            let accepted = self.rows.values().filter(|row| row.signal == signal).count() as u64;
            let queryable = shown_of(&self.store, table).len() as u64;
            let hidden = snapshot.expired_rows(table).expect("they are counted");
            let deleted = status.tables.iter().find(|(of, _)| *of == table).map_or(0, |(_, size)| size.expired_rows);
            assert_eq!(accepted, queryable + hidden + deleted, "{context}, {signal}: {queryable} {hidden} {deleted}");
        }
    }

    fn part_rows(&self) -> u64 {
        self.store.snapshot().parts().iter().map(|part| part.rows()).sum()
    }
}

fn table(signal: Signal) -> Table {
    match signal {
        Signal::Logs => Table::Logs,
        Signal::Spans => Table::Spans,
        Signal::Points => Table::Points,
    }
}

fn shown_of(store: &Store, table: Table) -> BTreeSet<u64> {
    let wanted = Projection::Columns(vec![column::INGEST_SEQ.to_owned()]);
    let mut found = BTreeSet::new();
    for granule in store.snapshot().granules(table, TimeRange::ALL, &Narrow::All).expect("granules") {
        let rows = granule.read(&wanted).expect("rows");
        assert_eq!(rows.num_rows(), granule.rows());
        let seqs = rows[column::INGEST_SEQ].as_primitive::<UInt64Type>().values();
        assert!(seqs.iter().all(|seq| found.insert(*seq)), "a row is shown twice");
        // Single rows are the same ones.
        if let Some(last) = seqs.last() {
            let row = granule.read_rows(&wanted, &[seqs.len() as u32 - 1]).expect("a row");
            assert_eq!(row[column::INGEST_SEQ].as_primitive::<UInt64Type>().values()[..], [*last]);
        }
    }
    found
}

fn shown(store: &Store) -> BTreeSet<u64> {
    Signal::ALL.into_iter().flat_map(|signal| shown_of(store, table(signal))).collect()
}

// Rows of these services and times; `worth` says whether logs are errors and traces failed.
fn batch(signal: Signal, key: SeriesKey, rows: &[(&str, i64)], worth: bool) -> Batch {
    let resource = |service| [("service.name", ValueRef::String(service))];
    match signal {
        Signal::Logs => {
            let mut columns = LogColumns::default();
            for (service, time) in rows {
                let attributes = resource(service);
                let of = ResourceRow { attributes: &attributes, ..ResourceRow::default() };
                let envelope = columns.envelopes.push(&of, &ScopeRow::default());
                let (timestamp, severity_number) = (Timestamp::from_nanos(*time), if worth { 17 } else { 5 });
                let body = Some(ValueRef::String("something happened, and this is what was said of it"));
                columns.push(&LogRow { envelope, timestamp, severity_number, body, ..LogRow::default() }, &[]);
            }
            columns.finish()
        }
        Signal::Spans => {
            let mut columns = SpanColumns::default();
            for (number, (service, time)) in rows.iter().enumerate() {
                let attributes = resource(service);
                let of = ResourceRow { attributes: &attributes, ..ResourceRow::default() };
                let envelope = columns.envelopes.push(&of, &ScopeRow::default());
                let id = time.unsigned_abs() + u64::from(worth);
                let row = SpanRow {
                    envelope,
                    timestamp: Timestamp::from_nanos(*time),
                    end_timestamp: Timestamp::from_nanos(time + 5),
                    trace_id: TraceId::from_slice(&u128::from(id).to_be_bytes()).expect("it is not zero"),
                    span_id: SpanId::from_slice(&(number as u64 + 1).to_be_bytes()).expect("it is not zero"),
                    parent_span_id: None,
                    correlation_id: None,
                    name: "GET /",
                    kind: 2,
                    trace_state: "",
                    status_code: if worth { 2 } else { 1 },
                    status_message: "",
                    flags: 0,
                    dropped_attributes_count: 0,
                    dropped_events_count: 0,
                    dropped_links_count: 0,
                };
                columns.push(&row, &[], &[], &[]);
            }
            columns.finish()
        }
        Signal::Points => {
            let mut columns = PointColumns::new(key);
            for (service, time) in rows {
                let attributes = resource(service);
                let series = columns.series(&SeriesRow {
                    resource: ResourceRow { attributes: &attributes, ..ResourceRow::default() },
                    scope: ScopeRow::default(),
                    metric: "requests",
                    description: "",
                    unit: "1",
                    metadata: &[],
                    metric_type: metric_type::GAUGE,
                    temporality: 0,
                    monotonic: false,
                    attributes: &[],
                });
                let row = PointRow {
                    series,
                    timestamp: Timestamp::from_nanos(*time),
                    derived_times: 0,
                    start_timestamp: None,
                    flags: 0,
                    value: PointValue::Int(5),
                };
                columns.push(&row, &[]);
            }
            columns.finish()
        }
    }
}

#[tokio::test]
async fn what_is_shown_is_what_a_naive_model_says() {
    for seed in 0..6 {
        let rng = &mut Rng::with_seed(seed);
        let mut world = World::new(seed, settings(AGES));
        for step in 0..20 {
            let context = format!("seed {seed}, step {step}");
            match rng.u8(0..10) {
                0..=4 => world.append_random(rng).await,
                5..=6 => world.store.flush_now().expect("it is flushed"),
                7 => world.store.tidy_now().expect("it is tidied"),
                8 => world.clock.advance(Duration::from_secs(rng.u64(0..3 * 86_400))),
                _ => {
                    // The time is remembered by what a flush publishes.
                    world.append_random(rng).await;
                    world.store.flush_now().expect("it is flushed");
                    let disk = if rng.bool() { world.disk.kill() } else { world.disk.crash() };
                    world.reopen(disk);
                }
            }
            world.check(&context);
        }
        world.store.flush_now().expect("it is flushed");
        world.clock.advance(Duration::from_secs(400 * 86_400));
        world.store.tidy_now().expect("it is tidied");
        world.check(&format!("seed {seed}, a year later"));
        let snapshot = world.store.snapshot();
        let hidden: u64 =
            Table::ALL.into_iter().map(|table| snapshot.expired_rows(table).expect("they are counted")).sum();
        assert_eq!(hidden, 0, "seed {seed}: what is expired is deleted, also from parts that are not");
    }
}

// How a run comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fault,
    Kill,
    PowerCut,
}

impl End {
    const ALL: [End; 3] = [End::Fault, End::Kill, End::PowerCut];
}

// A world in which retention has something to do, its disk, and the operations that takes.
async fn expiring(seed: u64) -> (World, SimDisk, u64) {
    let rng = &mut Rng::with_seed(seed);
    let mut world = World::new(seed, settings(AGES));
    world.store.pause_merges(true);
    for _ in 0..3 {
        for _ in 0..4 {
            world.append_random(rng).await;
        }
        world.store.flush_now().expect("it is flushed");
    }
    world.clock.advance(Duration::from_secs(4 * 86_400));
    // So that the time is remembered.
    world.append(Signal::Logs, &[("audit", world.now())], true).await.expect("it is committed");
    world.store.flush_now().expect("it is flushed");
    let prepared = world.disk.kill();
    world.reopen(prepared.copy());
    let opened = world.disk.operations();
    world.store.tidy_now().expect("a healthy disk is tidied");
    let operations = world.disk.operations() - opened;
    assert!(operations > 40, "retention takes more than {operations} operations");
    (world, prepared, operations)
}

// Retention ends at an operation; nothing that is not expired is lost, nothing expired comes back, and it is done later.
fn end_at(world: &mut World, prepared: &SimDisk, end: End, operation: u64, rng: &mut Rng) {
    let context = format!("{end:?} at operation {operation}");
    world.reopen(prepared.copy());
    let before = world.part_rows();
    let times = if end == End::Fault { 1 + rng.u64(0..3) } else { u64::MAX };
    world.disk.inject(Fault::new(FaultKind::Io, |_, _| true).after(operation).times(times));
    // Whether it succeeds depends on what failed.
    let _ = world.store.tidy_now();
    if end == End::Fault {
        world.disk.heal();
        world.check(&context);
    }
    let disk = if end == End::Kill { world.disk.kill() } else { world.disk.crash() };
    world.reopen(disk);
    world.check(&context);
    world.store.tidy_now().expect("a healthy disk is tidied");
    world.check(&context);
    assert!(world.part_rows() < before, "{context}");
}

/// Retention ends at any operation.
pub async fn cut(seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    let (mut world, prepared, operations) = expiring(seed).await;
    for end in End::ALL {
        end_at(&mut world, &prepared, end, 1 + rng.u64(0..operations), rng);
    }
}

#[tokio::test]
async fn retention_may_fail_or_end_at_every_operation() {
    let mut trials = 0;
    for (seed, end) in (0..).zip(End::ALL) {
        let rng = &mut Rng::with_seed(seed);
        let (mut world, prepared, operations) = expiring(seed).await;
        let stride = stride(operations / 8);
        let mut operation = 0;
        while operation < operations {
            (trials, operation) = (trials + 1, operation + rng.u64(1..=stride));
            end_at(&mut world, &prepared, end, operation, rng);
        }
    }
    println!("{trials} trials");
}

/// The clock jumps an hour or years, ahead and back, and is set right within hours; processes come and go; rows are of any time. Nothing is
/// hidden or deleted that is not too old by the true time.
pub async fn jumping_clock(seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    let mut world = World::new(seed, settings(AGES));
    // The true time, how far the clock is off, and since when it has been ahead.
    let (mut now, mut off, mut ahead_since): (i64, i64, Option<i64>) = (START, 0, None);
    for step in 0..25 {
        match rng.u8(0..8) {
            0..=2 => {
                let odd = [0, i64::MAX - 5, now + DAY, now + 3_650 * DAY, now - 400 * DAY];
                let mut rows: Vec<(&str, i64)> = Vec::new();
                for _ in 0..rng.usize(1..20) {
                    let usual = now - rng.i64(0..8 * DAY);
                    let time = if rng.u8(0..4) == 0 { odd[rng.usize(0..odd.len())] } else { usual };
                    rows.push((SERVICES[rng.usize(0..3)], time));
                }
                let signal = Signal::ALL[step % 3];
                world.append(signal, &rows, true).await.expect("it is committed");
            }
            3 => world.store.flush_now().expect("it is flushed"),
            4 => world.store.tidy_now().expect("it is tidied"),
            5 => {
                off = [0, HOUR, -HOUR, 3_650 * DAY, -3_650 * DAY, 2 * DAY, 30 * 1_000_000_000][rng.usize(0..7)];
                world.clock.set_wall(Timestamp::from_nanos(now + off));
            }
            6 => {
                world.store.flush_now().expect("it is flushed");
                world.clock = Arc::new(ManualClock::new(Timestamp::from_nanos(now + off)));
                let disk = if rng.bool() { world.disk.kill() } else { world.disk.crash() };
                world.reopen(disk);
            }
            _ => {
                let by = rng.i64(0..2 * HOUR);
                now += by;
                world.clock.advance(Duration::from_nanos(by.unsigned_abs()));
            }
        }
        ahead_since = if off > 0 { ahead_since.or(Some(now)) } else { None };
        // Somebody sets it right: a clock that runs on for six hours is believed.
        if ahead_since.is_some_and(|since| now - since > 3 * HOUR) {
            (off, ahead_since) = (0, None);
            world.clock.set_wall(Timestamp::from_nanos(now));
        }
        world.check_none_is_lost(now, &format!("step {step}, {} s off", off / 1_000_000_000));
    }
    world.clock.set_wall(Timestamp::from_nanos(now));
    world.store.flush_now().expect("it is flushed");
    world.store.tidy_now().expect("it is tidied");
    world.check_none_is_lost(now, "set right");
    // And retention goes on.
    now += 7 * HOUR;
    world.clock.advance(Duration::from_secs(7 * 3_600));
    world.check_none_is_lost(now, "hours later");
    assert_eq!(world.now(), now);
    world.check("hours later");
}

#[test]
fn a_clock_that_jumps_loses_nothing() {
    trials::run("jumping clock", 8, |seed| caught(|| block_on(jumping_clock(seed))));
}

#[test]
fn retention_and_merges_end_anywhere() {
    trials::run("cut retention", 2, |seed| caught(|| block_on(cut(seed))));
    trials::run("cut merges", 2, |seed| caught(|| block_on(crate::simulate::cut_merge(seed))));
}

#[tokio::test]
async fn clocks_that_jump_delete_nothing() {
    let mut world = World::new(1, settings(AGES));
    let now = world.now();
    for signal in Signal::ALL {
        world.append(signal, &[("checkout", now), ("noisy", now - HOUR)], true).await.expect("it is committed");
        world.store.flush_now().expect("it is flushed");
        // Stray rows, which are in no day: years ahead, and a time that no clock has.
        world.append(signal, &[("checkout", now + 3_650 * DAY)], true).await.expect("it is committed");
    }
    world.store.flush_now().expect("it is flushed");
    let all = shown(&world.store);
    assert_eq!(all.len(), world.rows.len());
    for jump in [HOUR, 2 * DAY, 3_650 * DAY, -3_650 * DAY, 0] {
        // Another start, with another clock: the worst that can happen.
        let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(now + jump)));
        let disk = world.disk.copy();
        let store = open(&disk, &clock, &world.config).expect("it opens");
        for _ in 0..5 {
            store.tidy_now().expect("it is tidied");
            assert_eq!(shown(&store), all, "a jump of {} hours", jump / HOUR);
            clock.advance(Duration::from_secs(1_800));
        }
        // It is set right, and everything is still there.
        let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(now + 3 * HOUR)));
        drop(store);
        let store = open(&disk, &clock, &world.config).expect("it opens");
        store.tidy_now().expect("it is tidied");
        assert_eq!(shown(&store), all, "after a jump of {} hours", jump / HOUR);
    }
}

#[tokio::test]
async fn the_oldest_parts_go_when_a_signal_takes_too_many_bytes() {
    let mut world = World::new(1, settings(r#"{"reserve_bytes": 0}"#));
    world.store.pause_merges(true);
    let start = world.now();
    for day in 0..6 {
        for signal in [Signal::Logs, Signal::Spans] {
            world.append(signal, &[("checkout", start - day * DAY); 40], true).await.expect("it is committed");
        }
        world.store.flush_now().expect("it is flushed");
    }
    let of_logs: Vec<u64> = {
        let snapshot = world.store.snapshot();
        snapshot.parts().iter().filter(|part| part.table() == Table::Logs).map(|part| part.bytes()).collect()
    };
    let limit = of_logs[..3].iter().sum::<u64>() + 10;
    world.config = settings(&format!(r#"{{"reserve_bytes": 0, "retention_bytes": {{"logs": {limit}}}}}"#));
    world.reopen(world.disk.kill());
    world.store.pause_merges(true);
    world.store.tidy_now().expect("it is tidied");
    let expected: BTreeSet<u64> = world
        .rows
        .iter()
        .filter(|(_, row)| row.signal == Signal::Spans || row.time > start - 3 * DAY)
        .map(|(seq, _)| *seq)
        .collect();
    assert_eq!(shown(&world.store), expected, "the three newest days of logs, and all spans");
    world.check_count("bounded");
    let before = world.store.snapshot().version();
    world.store.tidy_now().expect("there is nothing to do");
    assert_eq!(world.store.snapshot().version(), before);
}

fn used(disk: &SimDisk) -> u64 {
    u64::MAX - store::disk::Disk::free_space(disk, Path::new(DIRECTORY)).expect("it says")
}

#[tokio::test]
async fn rows_are_refused_before_the_disk_is_full_and_taken_again_when_there_is_room() {
    let mut world = World::new(1, settings(r#"{"reserve_bytes": 0, "free_bytes_min": 50000}"#));
    let now = world.now();
    let used = used(&world.disk);
    world.disk.set_capacity(used + 60_000);
    let mut refused = None;
    for _ in 0..200 {
        if let Err(error) = world.append(Signal::Logs, &[("checkout", now); 5], true).await {
            refused = Some(error);
            break;
        }
    }
    let error = refused.expect("there is an end to it");
    assert!(matches!(error, StoreError::DiskFull { limit: 50_000, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Transient);
    // The rest goes on: answers, flushes, and the state of alerts.
    world.check("refusing");
    world.store.writer().change_state(Vec::new()).await.expect("state is small, and matters");
    world.store.flush_now().expect("there is room for that");
    world.check("flushed");
    world.disk.set_capacity(u64::MAX);
    world.append(Signal::Logs, &[("checkout", now)], true).await.expect("without a restart");
    world.check("again");
}

#[tokio::test]
async fn what_is_worth_least_goes_first_when_the_disk_is_nearly_full() {
    let config =
        r#"{"reserve_bytes": 0, "free_bytes_min": 100000, "retention_bytes": {"logs": 1000000, "spans": 1000000}}"#;
    let mut world = World::new(1, settings(config));
    world.store.pause_merges(true);
    let now = world.now();
    let mut worth = BTreeSet::new();
    for number in 0..6 {
        for signal in Signal::ALL {
            let rows: Vec<(&str, i64)> = (0..40).map(|row| ("checkout", now - number * HOUR - row * 1_000)).collect();
            for is_worth in [false, true] {
                let before = world.rows.len();
                world.append(signal, &rows, is_worth).await.expect("it is committed");
                if is_worth || signal == Signal::Points {
                    worth.extend(world.rows.keys().skip(before));
                }
            }
        }
        world.store.flush_now().expect("it is flushed");
    }
    let all = shown(&world.store);
    world.store.pause_merges(false);
    // Room enough: nothing goes.
    let taken = used(&world.disk);
    world.disk.set_capacity(taken + 1_000_000);
    world.store.tidy_now().expect("it is tidied");
    assert_eq!(shown(&world.store), all);
    // Not quite: the rows of least worth go, of the signals that may.
    world.disk.set_capacity(u64::MAX);
    let taken = used(&world.disk);
    world.disk.set_capacity(taken + 150_000);
    world.store.tidy_now().expect("it is tidied");
    let left = shown(&world.store);
    assert_eq!(left, worth, "errors and points stay");
    world.check_count("shed");
    // Done once.
    let version = world.store.snapshot().version();
    world.store.tidy_now().expect("it is tidied");
    assert_eq!(world.store.snapshot().version(), version);
}

#[tokio::test]
async fn a_full_disk_gives_up_its_reserve_to_delete() {
    let config = r#"{"retention": {"logs": "1d"}, "reserve_bytes": 20000, "free_bytes_min": 0}"#;
    let mut world = World::new(1, settings(config));
    let reserve = Path::new(DIRECTORY).join("reserve");
    let now = world.now();
    world.append(Signal::Logs, &[("checkout", now); 100], true).await.expect("it is committed");
    world.store.flush_now().expect("it is flushed");
    world.store.tidy_now().expect("it is tidied");
    assert_eq!(world.disk.contents(&reserve).map(|bytes| bytes.len()), Some(20_000));
    world.disk.set_capacity(used(&world.disk));
    world.clock.advance(Duration::from_secs(3 * 86_400));
    world.store.tidy_now().expect("what is expired can be deleted");
    assert!(world.store.snapshot().parts().is_empty());
    world.check("deleted");
    world.disk.set_capacity(u64::MAX);
    world.store.tidy_now().expect("it is tidied");
    assert_eq!(world.disk.contents(&reserve).map(|bytes| bytes.len()), Some(20_000), "it is made again");
    world.reopen(world.disk.crash());
    world.check("after a power cut");
}

/// Space runs out at a write, and there is some again later. Answers whether anything was refused.
pub async fn full_disk(index: u64) -> bool {
    let context = format!("write {index}");
    let rng = &mut Rng::with_seed(index);
    let mut world = World::new(index, settings(AGES));
    let writes = |operation, _: &Path| matches!(operation, Operation::Append | Operation::Create);
    world.disk.inject(Fault::new(FaultKind::NoSpace, writes).after(index));
    let mut refused = false;
    for _ in 0..2 {
        for _ in 0..2 {
            let signal = Signal::ALL[rng.usize(0..3)];
            let now = world.now();
            let rows: Vec<(&str, i64)> =
                (0..5).map(|_| (SERVICES[rng.usize(0..3)], now - rng.i64(0..3 * DAY))).collect();
            match world.append(signal, &rows, rng.bool()).await {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Transient, "{context}: {error}");
                    refused = true;
                }
            }
        }
        refused |= world.store.flush_now().is_err();
        refused |= world.store.tidy_now().is_err();
        world.check(&context);
    }
    // There is room again, and everything goes on without a restart.
    world.disk.heal();
    world.append_random(rng).await;
    world.store.flush_now().expect("it is flushed");
    world.store.tidy_now().expect("it is tidied");
    world.check(&context);
    world.reopen(if rng.bool() { world.disk.kill() } else { world.disk.crash() });
    world.check(&context);
    refused
}

#[tokio::test]
async fn space_may_run_out_at_every_write() {
    // Flushes and merges write many times, and the runs take seconds.
    let stride = stride(5);
    let mut index = 0;
    while full_disk(index).await {
        index += stride;
    }
    assert!(index > 30, "there are more than {index} writes");
    println!("space ran out at {index} writes");
}

#[tokio::test]
async fn times_are_read_as_they_were_written() {
    let mut world = World::new(1, settings(AGES));
    let now = world.now();
    world.append(Signal::Logs, &[("noisy", now - 2 * DAY), ("audit", now - 90 * DAY)], true).await.expect("committed");
    let granules = world.store.snapshot().granules(Table::Logs, TimeRange::ALL, &Narrow::All).expect("granules");
    let rows = granules[0].read(&Projection::All).expect("rows");
    assert_eq!(rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values()[..], [now - 90 * DAY]);
    let error =
        world.store.writer().retention().admits(Signal::Logs, Some("noisy"), Timestamp::from_nanos(now - 2 * DAY));
    assert!(error.is_err_and(|error| error.to_string().contains("no longer kept")));
}
