//! The store on a simulated disk: power cuts, kills and failing operations at every moment, and damage afterwards.
//!
//! What has to hold: what was acknowledged is found, once, with the number it was acknowledged with; nothing is found
//! that was not sent; no number is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use model::{ManualClock, Signal, Timestamp};
use store::disk::sim::{Fault, FaultKind, Operation};
use store::disk::{Disk as _, SimDisk};
use store::{Config, Durability, ErrorKind, Receipt, Setup, StateChange, Store, StoreError, Table};

use crate::crash::{setup, shown, table_of};
use crate::sample;
use crate::trials::{self, block_on, caught};

const DIRECTORY: &str = "/data";

fn open(disk: &SimDisk, config: &Config) -> Result<Store, StoreError> {
    Store::open(sim_setup(disk, config))
}

fn sim_setup(disk: &SimDisk, config: &Config) -> Setup {
    setup(Arc::new(disk.clone()), Path::new(DIRECTORY), config.clone())
}

// A reserve is made when the clock says so, and would take the faults and the room that tests count on.
fn unreserved() -> Config {
    Config { reserve_bytes: 0, ..Config::default() }
}

fn segment(number: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("wal/{number:020}.wal"))
}

fn damaged_segment(number: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("wal/damaged/{number:020}.wal"))
}

fn counter(setup: &Setup, name: &'static str) -> u64 {
    setup.stats.counter(name, "", &[]).get()
}

fn put(key: &str, value: u64) -> StateChange {
    StateChange { table: "t".to_owned(), key: key.into(), value: Some(value.to_be_bytes().to_vec()) }
}

fn state(store: &Store, key: &str) -> u64 {
    let table = store.state("t");
    table.get(key.as_bytes()).map_or(0, |value| u64::from_be_bytes(value[..].try_into().expect("eight bytes")))
}

type Rows = BTreeMap<(Table, String), Vec<u64>>;

// Appends one batch with ids of its own and answers them with their numbers.
async fn append(store: &Store, rng: &mut Rng, signal: Signal, name: &str, rows: usize) -> Result<Rows, StoreError> {
    let ids: Vec<String> = (0..rows).map(|row| format!("{name}-{row}")).collect();
    let batch = sample::batch(rng, signal, store.writer().series_key(), &ids);
    let Receipt { first_seq, rows } = store.writer().append(batch).await?;
    assert_eq!(rows, ids.len() as u64);
    Ok(ids.into_iter().zip(first_seq..).map(|(id, seq)| ((table_of(signal), id), vec![seq])).collect())
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Rows(Signal),
    State,
}

#[tokio::test]
async fn a_log_that_is_cut_anywhere_keeps_the_exact_prefix() {
    use Entry::{Rows, State};
    let orders = [
        [Rows(Signal::Points), Rows(Signal::Logs), Rows(Signal::Spans), Rows(Signal::Points)],
        [Rows(Signal::Logs), Rows(Signal::Points), State, Rows(Signal::Logs)],
        [State, Rows(Signal::Spans), State, State],
    ];
    let mut cuts = 0;
    for (number, order) in orders.into_iter().enumerate() {
        let disk = SimDisk::new(number as u64);
        let rng = &mut Rng::with_seed(number as u64);
        let store = open(&disk, &unreserved()).expect("it opens");
        // What is there when the log ends at each place.
        let mut rows = BTreeMap::new();
        let mut prefixes = vec![(64, rows.clone(), 0)];
        let mut changes = 0;
        for (place, entry) in order.into_iter().enumerate() {
            match entry {
                Rows(signal) => {
                    rows.extend(append(&store, rng, signal, &place.to_string(), 2).await.expect("it is committed"));
                }
                State => {
                    changes += 1;
                    store.writer().change_state(vec![put("changes", changes)]).await.expect("it is committed");
                }
            }
            let len = disk.contents(&segment(1)).expect("the first segment").len();
            prefixes.push((len, rows.clone(), changes));
        }
        drop(store);
        let log = disk.contents(&segment(1)).expect("the first segment");
        let (start, _, _) = prefixes[prefixes.len() - 4];
        assert_eq!(log.len(), prefixes[prefixes.len() - 1].0);
        for end in start..=log.len() {
            let cut = disk.copy();
            cut.replace(&segment(1), log[..end].to_vec());
            let setup = sim_setup(&cut, &unreserved());
            let store = Store::open(setup.clone()).expect("it opens");
            let (len, rows, changes) = prefixes.iter().rfind(|prefix| prefix.0 <= end).expect("a prefix");
            assert_eq!((shown(&store), state(&store, "changes")), (rows.clone(), *changes), "{order:?} cut at {end}");
            assert_eq!(counter(&setup, "sextant_wal_torn_bytes_total"), (end - len) as u64);
            assert_eq!(counter(&setup, "sextant_wal_damaged_total"), 0);
            cuts += 1;
            // Now and then: the log goes on behind the cut, and what was cut off does not come back.
            if end % 50 == 0 {
                let mut rows = rows.clone();
                let added = append(&store, rng, Signal::Logs, "later", 1).await.expect("it is committed");
                rows.extend(added);
                drop(store);
                let store = open(&cut.crash(), &unreserved()).expect("it opens");
                assert_eq!((shown(&store), state(&store, "changes")), (rows, *changes), "{order:?} cut at {end}");
            }
        }
    }
    // For the campaign.
    println!("a log that is cut: {cuts} trials");
}

/// What a test knows of all lives of a data directory.
#[derive(Clone, Default)]
pub struct Known {
    acknowledged: Rows,
    sent: BTreeSet<(Table, String)>,
    owners: BTreeMap<u64, (Table, String)>,
    acknowledged_state: u64,
    sent_state: u64,
}

impl Known {
    fn acknowledge(&mut self, rows: Rows, context: &str) {
        for (id, seqs) in rows {
            let before = self.owners.insert(seqs[0], id.clone());
            assert_eq!(before, None, "{context}: the number of {id:?} was given before");
            self.acknowledged.insert(id, seqs);
        }
    }

    /// Asserts that the store shows what it has to, and nothing else.
    pub fn check(&mut self, store: &Store, context: &str) {
        let shown = shown(store);
        for (id, seqs) in &self.acknowledged {
            assert_eq!(shown.get(id), Some(seqs), "{context}: {id:?} was acknowledged");
        }
        for (id, seqs) in shown {
            assert!(self.sent.contains(&id), "{context}: {id:?} was never sent");
            assert_eq!(seqs.len(), 1, "{context}: {id:?} was sent once");
            let owner = self.owners.entry(seqs[0]).or_insert_with(|| id.clone());
            assert_eq!(*owner, id, "{context}: number {seqs:?} has two owners");
        }
        let state = state(store, "k");
        assert!((self.acknowledged_state..=self.sent_state).contains(&state), "{context}: state {state}");
    }
}

/// One process' life: appends and flushes until `steps` are done. Several appends are under way at once.
pub async fn live(store: &Store, rng: &mut Rng, known: &mut Known, life: &str, steps: usize) {
    for step in 0..steps {
        if rng.u8(0..40) == 0 {
            // A refusal is one of the things that happen here.
            let _ = store.flush_now();
        }
        if rng.u8(0..60) == 0 {
            let _ = store.tidy_now();
        }
        let mut appends = tokio::task::JoinSet::new();
        for place in 0..rng.usize(1..5) {
            let name = format!("{life}.{step}.{place}");
            let (signal, rows) = (Signal::ALL[rng.usize(0..3)], rng.usize(1..6));
            known.sent.extend((0..rows).map(|row| (table_of(signal), format!("{name}-{row}"))));
            let (store, mut rng) = (store.clone(), rng.fork());
            appends.spawn(async move { append(&store, &mut rng, signal, &name, rows).await });
        }
        if rng.u8(0..4) == 0 {
            known.sent_state += 1;
            if store.writer().change_state(vec![put("k", known.sent_state)]).await.is_ok() {
                known.acknowledged_state = known.sent_state;
            }
        }
        for result in appends.join_all().await {
            match result {
                Ok(rows) => known.acknowledge(rows, life),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Transient, "{life}: {error}"),
            }
        }
    }
}

/// Whether an operation changes something.
pub fn writes(operation: Operation, _: &Path) -> bool {
    !matches!(operation, Operation::Open | Operation::Read | Operation::List | Operation::FreeSpace | Operation::Lock)
}

fn small_segments() -> Config {
    Config { wal_segment_bytes: 8_000, ..unreserved() }
}

/// Power is cut three times at any moment.
pub async fn power_cuts(seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    let mut disk = SimDisk::new(seed);
    let mut known = Known::default();
    for life in 0..3 {
        let context = format!("life {life}");
        // After so many writing operations the machine loses power: nothing more is written, and then the disk is as it
        // is found. Reads change nothing, and the test itself needs them.
        disk.inject(Fault::new(FaultKind::Io, writes).after(rng.u64(1..120)));
        let setup = sim_setup(&disk, &small_segments());
        if let Ok(store) = Store::open(setup.clone()) {
            known.check(&store, &context);
            live(&store, rng, &mut known, &context, 10).await;
            // No failure came before the end of everything: what was found was whole, but for torn ends.
            assert_eq!(counter(&setup, "sextant_wal_damaged_total"), 0, "{context}");
        }
        disk = disk.crash();
    }
    let store = open(&disk, &small_segments()).expect("a healthy disk opens");
    known.check(&store, "the end");
    store.flush_now().expect("a healthy disk is flushed to");
    known.check(&store, "flushed");
}

#[test]
fn whatever_is_acknowledged_survives_power_cuts_at_any_moment() {
    trials::run("power cuts", 40, |seed| caught(|| block_on(power_cuts(seed))));
}

/// Operations fail now and then, in three lives. A segment whose fsync failed is not fsynced again.
pub async fn failing_disk(seed: u64) {
    let rng = &mut Rng::with_seed(1_000 + seed);
    let mut disk = SimDisk::new(seed);
    let mut known = Known::default();
    for life in 0..3 {
        let context = format!("life {life}");
        let mut chance = rng.fork();
        let one_in = [20, 60][rng.usize(0..2)];
        let kind = [FaultKind::Io, FaultKind::NoSpace][rng.usize(0..2)];
        let poisoned: Arc<Mutex<BTreeSet<PathBuf>>> = Arc::default();
        let synced_again = Arc::new(AtomicU64::new(0));
        let (of_disk, counted) = (Arc::clone(&poisoned), Arc::clone(&synced_again));
        // Reading is left alone: a start that cannot read says so and does nothing, which is another test.
        let strikes = move |operation, path: &Path| {
            let strikes = writes(operation, path) && chance.u8(0..one_in) == 0;
            if operation == Operation::Sync && path.extension().is_some_and(|extension| extension == "wal") {
                let mut poisoned = of_disk.lock().expect("no test panics here");
                counted.fetch_add(u64::from(poisoned.contains(path)), Ordering::Relaxed);
                if strikes {
                    poisoned.insert(path.to_path_buf());
                }
            }
            strikes
        };
        disk.inject(Fault::new(kind, strikes));
        let store = (0..20).find_map(|_| {
            // Another process finds what is on the disk, and makes sure of that.
            poisoned.lock().expect("no test panics here").clear();
            open(&disk, &small_segments()).ok()
        });
        if let Some(store) = store {
            known.check(&store, &context);
            live(&store, rng, &mut known, &context, 10).await;
            known.check(&store, &context);
        }
        assert_eq!(synced_again.load(Ordering::Relaxed), 0, "{context}: a poisoned segment was synced again");
        // The store's threads end with the old disk.
        disk = if rng.bool() { disk.crash() } else { disk.kill() };
    }
    let store = open(&disk, &small_segments()).expect("a healthy disk opens");
    known.check(&store, "the end");
}

#[test]
fn whatever_is_acknowledged_survives_failing_operations() {
    trials::run("failing disk", 40, |seed| caught(|| block_on(failing_disk(seed))));
}

// A store whose head is worth a flush.
async fn full_head(seed: u64) -> (SimDisk, Store, Known, Rng) {
    let mut rng = Rng::with_seed(seed);
    let disk = SimDisk::new(seed);
    let store = open(&disk, &small_segments()).expect("it opens");
    let mut known = Known::default();
    live(&store, &mut rng, &mut known, "first", 8).await;
    (disk, store, known, rng)
}

#[tokio::test]
async fn a_flush_may_fail_at_every_operation() {
    let (disk, store, ..) = full_head(0).await;
    let before = disk.operations();
    store.flush_now().expect("a healthy disk is flushed to");
    // Others have as many, or some more.
    let operations = disk.operations() - before;
    assert!(operations > 100, "a flush takes more than {operations} operations");
    let (mut operation, mut trials, mut refused) = (0, 0, 0);
    while operation < operations {
        for power_cut in [false, true] {
            let (disk, store, mut known, mut rng) = full_head(operation).await;
            disk.inject(Fault::new(FaultKind::Io, |_, _| true).after(operation).times(1 + rng.u64(0..3)));
            refused += u64::from(store.flush_now().is_err());
            disk.heal();
            known.check(&store, &format!("operation {operation}"));
            live(&store, &mut rng, &mut known, "second", 2).await;
            if rng.bool() {
                store.flush_now().expect("a healthy disk is flushed to");
            }
            let disk = if power_cut { disk.crash() } else { disk.kill() };
            drop(store);
            let store = open(&disk, &small_segments()).expect("it opens");
            known.check(&store, &format!("operation {operation}, power cut: {power_cut}"));
            trials += 1;
        }
        operation += stride(9);
    }
    // The others struck where a flush goes on without: the manifest's copy, or what is removed.
    assert!(refused > trials / 2, "{refused} of {trials} flushes were refused");
}

/// How far apart the operations lie at which a run is ended, at most: each run takes a good part of a second. `STRIDE=1` tries every one.
pub fn stride(usual: u64) -> u64 {
    std::env::var("STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

// A store with several parts of each table, worth merging, and rows in the head.
async fn many_parts(store: &Store, rng: &mut Rng, known: &mut Known) {
    store.pause_merges(true);
    for flush in 0..4 {
        live(store, rng, known, &format!("flush {flush}"), 3).await;
        store.flush_now().expect("a healthy disk is flushed to");
    }
    live(store, rng, known, "head", 1).await;
    store.pause_merges(false);
}

fn parts(store: &Store) -> usize {
    store.snapshot().parts().len()
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

// A disk with parts to merge, what is known of it, how many parts it has, and the operations that the merges take.
struct Unmerged {
    disk: SimDisk,
    known: Known,
    parts: usize,
    operations: u64,
}

impl Unmerged {
    async fn new(seed: u64) -> Unmerged {
        let rng = &mut Rng::with_seed(seed);
        let (disk, mut known) = (SimDisk::new(seed), Known::default());
        let store = open(&disk, &small_segments()).expect("it opens");
        many_parts(&store, rng, &mut known).await;
        let parts = parts(&store);
        let disk = disk.kill();
        drop(store);
        let whole = disk.copy();
        let store = open(&whole, &small_segments()).expect("it opens");
        let opened = whole.operations();
        store.tidy_now().expect("a healthy disk is merged on");
        let operations = whole.operations() - opened;
        assert!(operations > 100, "the merges take more than {operations} operations");
        Unmerged { disk, known, parts, operations }
    }

    // The merges end at an operation; nothing is lost, and they are done later.
    async fn end_at(&self, end: End, operation: u64, rng: &mut Rng) {
        let context = format!("{end:?} at operation {operation}");
        let (mut disk, mut known) = (self.disk.copy(), self.known.clone());
        let store = open(&disk, &small_segments()).expect("it opens");
        let times = if end == End::Fault { 1 + rng.u64(0..3) } else { u64::MAX };
        disk.inject(Fault::new(FaultKind::Io, |_, _| true).after(operation).times(times));
        // Whether it succeeds depends on what failed.
        let _ = store.tidy_now();
        if end == End::Fault {
            disk.heal();
            known.check(&store, &context);
            live(&store, rng, &mut known, &context, 1).await;
            store.tidy_now().expect("a healthy disk is merged on");
            known.check(&store, &context);
            disk = disk.crash();
        } else {
            disk = if end == End::Kill { disk.kill() } else { disk.crash() };
        }
        drop(store);
        let store = open(&disk, &small_segments()).expect("it opens");
        known.check(&store, &context);
        store.tidy_now().expect("a healthy disk is merged on");
        known.check(&store, &context);
        let listed: BTreeSet<String> = store.snapshot().parts().iter().map(|part| part.name().to_string()).collect();
        assert!(listed.len() < self.parts, "{context}");
        assert_eq!(store.status().quarantined_parts, 0, "{context}: nothing is damaged");
        store.tidy_now().expect("there is nothing left to do");
        assert_eq!(part_folders(&disk), listed, "{context}: nothing is left behind");
    }
}

/// Merges end at any operation.
pub async fn cut_merge(seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    let unmerged = Unmerged::new(seed).await;
    for end in End::ALL {
        unmerged.end_at(end, 1 + rng.u64(0..unmerged.operations), rng).await;
    }
}

#[tokio::test]
async fn a_merge_may_fail_or_end_at_every_operation() {
    let mut trials = 0;
    for (seed, end) in (0..).zip(End::ALL) {
        let rng = &mut Rng::with_seed(seed);
        let unmerged = Unmerged::new(seed).await;
        let stride = stride(unmerged.operations / 8);
        let mut operation = 0;
        while operation < unmerged.operations {
            (trials, operation) = (trials + 1, operation + rng.u64(1..=stride));
            unmerged.end_at(end, operation, rng).await;
        }
    }
    println!("{trials} trials");
}

// The directories of parts on the disk, as the manifest would name them.
fn part_folders(disk: &SimDisk) -> BTreeSet<String> {
    let parts = Path::new(DIRECTORY).join("parts");
    let folders = |path: &Path| -> Vec<PathBuf> {
        disk.list(path).expect("it is listed").into_iter().map(|entry| entry.path).collect()
    };
    let all = folders(&parts).into_iter().flat_map(|table| folders(&table)).flat_map(|partition| folders(&partition));
    all.map(|path| path.strip_prefix(&parts).expect("below it").to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn what_the_disk_refuses_is_refused_and_the_rest_goes_on() {
    let faults: [(FaultKind, Operation); 6] = [
        (FaultKind::Io, Operation::Append),
        (FaultKind::NoSpace, Operation::Append),
        (FaultKind::Io, Operation::Sync),
        (FaultKind::NoSpace, Operation::Create),
        (FaultKind::ReadOnly, Operation::Create),
        (FaultKind::Io, Operation::SyncDir),
    ];
    for (number, (kind, failing)) in faults.into_iter().enumerate() {
        let disk = SimDisk::new(number as u64);
        let rng = &mut Rng::with_seed(number as u64);
        let store = open(&disk, &unreserved()).expect("it opens");
        let mut expected = append(&store, rng, Signal::Logs, "before", 3).await.expect("it is committed");
        // Without an open segment the next append has to make one.
        disk.inject(Fault::new(FaultKind::Io, |operation, _| operation == Operation::Append).times(1));
        append(&store, rng, Signal::Spans, "lost", 1).await.expect_err("its append fails");
        disk.inject(Fault::new(kind, move |operation, _| operation == failing).times(2));
        for attempt in 0..2 {
            let error = append(&store, rng, Signal::Spans, "refused", 2).await.expect_err("the disk refuses");
            assert_eq!(error.kind(), ErrorKind::Transient);
            assert!(matches!(error, StoreError::Disk { .. }), "{failing:?} {attempt}: {error}");
            assert_eq!(shown(&store), expected, "{failing:?} {attempt}");
        }
        expected.extend(append(&store, rng, Signal::Points, "after", 3).await.expect("it is committed"));
        assert_eq!(shown(&store), expected, "{failing:?}");
        // Something newer is acknowledged, so nothing that was refused can come back.
        for disk in [disk.kill(), disk.crash()] {
            let setup = sim_setup(&disk, &unreserved());
            let store = Store::open(setup.clone()).expect("it opens");
            assert_eq!(shown(&store), expected, "{failing:?}");
            assert_eq!(counter(&setup, "sextant_wal_damaged_total"), 0);
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room() {
    let disk = SimDisk::new(5);
    let rng = &mut Rng::with_seed(5);
    // Without the bound that keeps the disk from becoming full.
    let store = open(&disk, &Config { free_bytes_min: 0, ..unreserved() }).expect("it opens");
    let mut expected = Rows::new();
    disk.set_capacity(30_000);
    let error = loop {
        let name = expected.len().to_string();
        match append(&store, rng, Signal::Logs, &name, 10).await {
            Ok(rows) => expected.extend(rows),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Disk { source, .. } if source.kind() == std::io::ErrorKind::StorageFull));
    assert!(expected.len() > 10);
    assert_eq!(store.status().disk.map(|disk| disk.free_bytes), Some(0));
    assert_eq!(shown(&store), expected);
    disk.set_capacity(u64::MAX);
    expected.extend(append(&store, rng, Signal::Logs, "room", 10).await.expect("it is committed"));
    drop(store);
    assert_eq!(shown(&open(&disk.crash(), &unreserved()).expect("it opens")), expected);
}

#[tokio::test]
async fn starts_that_cannot_work_say_why() {
    let disk = SimDisk::new(1);
    drop(open(&disk, &unreserved()).expect("it opens"));
    let cases = [
        (Operation::Lock, FaultKind::ReadOnly, "cannot lock /data/lock: Read-only file system"),
        (Operation::Read, FaultKind::Io, "cannot read /data/manifest.json: Input/output error"),
    ];
    for (failing, kind, expected) in cases {
        disk.inject(Fault::new(kind, move |operation, _| operation == failing));
        let error = open(&disk, &unreserved()).err().expect("it cannot work");
        let source = std::error::Error::source(&error).expect("what the system said");
        assert!(format!("{error}: {source}").starts_with(expected), "{error}: {source}");
        disk.heal();
    }
    let full = SimDisk::new(1);
    full.set_capacity(10);
    let error = open(&full, &unreserved()).err().expect("there is no room");
    assert!(error.to_string().starts_with("cannot write /data/manifest"), "{error}");
    let store = open(&disk, &unreserved()).expect("it opens");
    let error = open(&disk, &unreserved()).err().expect("it is in use");
    assert_eq!(error.to_string(), "the data directory /data is in use by process 1");
    drop(store);
}

#[tokio::test]
async fn nothing_is_acknowledged_once_the_directory_is_gone() {
    let disk = SimDisk::new(1);
    let rng = &mut Rng::with_seed(1);
    let store = open(&disk, &unreserved()).expect("it opens");
    append(&store, rng, Signal::Logs, "before", 3).await.expect("it is committed");
    // The log is still open, and takes what it is given.
    disk.remove_dir_all(Path::new(DIRECTORY)).expect("it is removed");
    for signal in Signal::ALL {
        let error = append(&store, rng, signal, "after", 2).await.expect_err("there is nowhere to keep it");
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Transient, "cannot find /data/lock"));
    }
    store.writer().change_state(vec![put("k", 1)]).await.expect_err("nor this");
    // A flush makes folders, but it does not make the directory this store's again.
    let _ = store.flush_now();
    append(&store, rng, Signal::Logs, "later", 1).await.expect_err("its log has no name");
}

#[tokio::test]
async fn rows_are_refused_while_too_many_wait_in_memory() {
    let disk = SimDisk::new(1);
    let store = open(&disk, &Config { head_bytes_max: 1, ..unreserved() }).expect("it opens");
    disk.inject(Fault::new(FaultKind::Io, |operation, path| {
        operation == Operation::Create && path.starts_with("/data/parts")
    }));
    let batch =
        || sample::batch(&mut Rng::with_seed(1), Signal::Logs, store.writer().series_key(), &["one".to_owned()]);
    store.writer().append(batch()).await.expect("the head is empty");
    let error = store.writer().append(batch()).await.expect_err("the head is over its bound");
    assert!(matches!(error, StoreError::HeadFull), "{error}");
    assert_eq!(error.kind(), ErrorKind::Transient);
    disk.heal();
    store.flush_now().expect("parts are taken again");
    store.writer().append(batch()).await.expect("there is room again");
}

#[tokio::test]
async fn data_without_a_manifest_is_no_new_directory() {
    for (left, found) in [
        ("/data/wal/00000000000000000001.wal", "a WAL"),
        ("/data/parts/logs/2026-01-31/0000000000000001/rows.parquet", "a folder of parts"),
        ("/data/state/00000000000000000001.state", "a checkpoint of state"),
    ] {
        let disk = SimDisk::new(1);
        let path = std::path::Path::new(left);
        disk.create_dir_all(path.parent().expect("a folder")).expect("made");
        disk.create(path).expect("made").append(b"something").expect("written");
        let error = open(&disk, &unreserved()).err().expect("it is refused");
        assert!(error.to_string().contains(&format!("it is missing, but there is {found};")), "{error}");
        assert!(disk.open(path).is_ok(), "{left} was removed");
    }
}

// A log of three segments with four acknowledged batches each, and the place of each record.
async fn three_segments(disk: &SimDisk) -> (Rows, Vec<(u64, std::ops::Range<usize>, Rows)>) {
    let rng = &mut Rng::with_seed(3);
    let config = Config { wal_segment_bytes: 1, ..unreserved() };
    let mut all = Rows::new();
    let mut records = Vec::new();
    for number in 1..=3 {
        // A segment is left when the store is.
        let store = open(disk, &config).expect("it opens");
        drop(store);
        let store = open(disk, &unreserved()).expect("it opens");
        for place in 0..4 {
            let before = disk.contents(&segment(number)).map_or(64, |bytes| bytes.len());
            let signal = Signal::ALL[place % 3];
            let rows = append(&store, rng, signal, &format!("{number}.{place}"), 2).await.expect("it is committed");
            let after = disk.contents(&segment(number)).expect("the segment").len();
            records.push((number, before..after, rows.clone()));
            all.extend(rows);
        }
    }
    (all, records)
}

#[tokio::test]
async fn damage_costs_only_the_damaged_record_and_is_kept() {
    let disk = SimDisk::new(3);
    let (all, records) = three_segments(&disk).await;
    // The last record cannot be told from one that was never whole.
    for (number, place, rows) in &records[..records.len() - 1] {
        for position in [place.start, place.start + 8, place.start + 47, place.start + 48, place.end - 1] {
            let damaged = disk.copy();
            let mut bytes = disk.contents(&segment(*number)).expect("the segment");
            bytes[position] ^= 0x10;
            damaged.replace(&segment(*number), bytes.clone());
            let setup = sim_setup(&damaged, &unreserved());
            let store = Store::open(setup.clone()).expect("it opens");
            let mut expected = all.clone();
            expected.retain(|id, _| !rows.contains_key(id));
            assert_eq!(shown(&store), expected, "segment {number} at {position} of {place:?}");
            assert_eq!(counter(&setup, "sextant_wal_damaged_total"), 1);
            assert_eq!(damaged.contents(&damaged_segment(*number)), Some(bytes), "the copy");
        }
    }
    // A header that is gone costs no record.
    for number in 1..=3 {
        let damaged = disk.copy();
        let mut bytes = disk.contents(&segment(number)).expect("the segment");
        bytes[20] ^= 1;
        damaged.replace(&segment(number), bytes);
        let setup = sim_setup(&damaged, &unreserved());
        let store = Store::open(setup.clone()).expect("it opens");
        assert_eq!(shown(&store), all, "segment {number}");
        assert_eq!(counter(&setup, "sextant_wal_damaged_total"), 1);
    }
}

#[tokio::test]
async fn a_segment_that_lost_its_end_is_damaged_unless_it_is_the_last() {
    let disk = SimDisk::new(3);
    let (all, records) = three_segments(&disk).await;
    let (number, place, rows) = &records[3];
    let bytes = disk.contents(&segment(*number)).expect("the segment");
    let damaged = disk.copy();
    damaged.replace(&segment(*number), bytes[..place.end - 1].to_vec());
    let setup = sim_setup(&damaged, &unreserved());
    let store = Store::open(setup.clone()).expect("it opens");
    let mut expected = all;
    expected.retain(|id, _| !rows.contains_key(id));
    assert_eq!(shown(&store), expected);
    assert!(counter(&setup, "sextant_wal_damaged_total") > 0);
}

#[tokio::test]
async fn a_log_that_is_not_whole_or_not_its_own_stops_the_start() {
    let disk = SimDisk::new(3);
    let (all, records) = three_segments(&disk).await;
    let problem = |disk: &SimDisk| open(disk, &unreserved()).err().map_or_else(String::new, |e| e.to_string());

    let missing = disk.copy();
    store::disk::Disk::remove(&missing, &segment(2)).expect("it is removed");
    assert!(problem(&missing).contains("00000000000000000002.wal is damaged: it is missing"), "{}", problem(&missing));
    missing.replace(&segment(2), Vec::new());
    let store = open(&missing, &unreserved()).expect("the remedy works");
    let mut expected = all;
    for (_, _, rows) in records.iter().filter(|(number, _, _)| *number == 2) {
        expected.retain(|id, _| !rows.contains_key(id));
    }
    assert_eq!(shown(&store), expected);

    let other = SimDisk::new(4);
    three_segments(&other).await;
    let foreign = disk.copy();
    foreign.replace(&segment(3), other.contents(&segment(3)).expect("the segment"));
    assert!(problem(&foreign).contains("another data directory"), "{}", problem(&foreign));

    // The manifest has a copy; without it nothing says what is live.
    let [manifest, copy] = ["manifest.json", "manifest.copy"].map(|name| Path::new(DIRECTORY).join(name));
    let without = disk.copy();
    without.remove(&manifest).expect("it is removed");
    assert_eq!(problem(&without), "");
    assert_eq!(without.contents(&manifest), disk.contents(&manifest), "it is put back");
    let without = disk.copy();
    without.remove(&manifest).expect("it is removed");
    without.remove(&copy).expect("it is removed");
    assert!(problem(&without).contains("manifest.json is damaged: it is missing"), "{}", problem(&without));
    let mut bytes = disk.contents(&manifest).expect("the manifest");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    without.replace(&manifest, bytes);
    assert!(problem(&without).contains("its checksum is wrong"), "{}", problem(&without));
}

#[tokio::test]
async fn a_part_of_another_version_stops_the_start() {
    let disk = SimDisk::new(6);
    let rng = &mut Rng::with_seed(6);
    let store = open(&disk, &unreserved()).expect("it opens");
    append(&store, rng, Signal::Logs, "a", 3).await.expect("it is committed");
    store.flush_now().expect("it is flushed");
    drop(store);
    // As a newer Sextant would have written it, and its manifest with it.
    let path = Path::new(DIRECTORY).join("parts/logs/2026-01-31/0000000000000001/meta.json");
    let meta = String::from_utf8(disk.contents(&path).expect("a part")).expect("text");
    let newer = meta.replacen("\"format\": 1", "\"format\": 9", 1).into_bytes();
    let (old, new) = (crc32fast::hash(meta.as_bytes()), crc32fast::hash(&newer));
    disk.replace(&path, newer);
    for name in ["manifest.json", "manifest.copy"] {
        let manifest = Path::new(DIRECTORY).join(name);
        let text = String::from_utf8(disk.contents(&manifest).expect("a manifest")).expect("text");
        let (_, body) = text.split_once('\n').expect("two pieces");
        let body = body.replacen(&old.to_string(), &new.to_string(), 1);
        let head = format!("{{\"format\":2,\"crc32\":\"{:08x}\"}}\n", crc32fast::hash(body.as_bytes()));
        disk.replace(&manifest, (head + &body).into_bytes());
    }
    let error = open(&disk, &unreserved()).err().expect("it cannot be read").to_string();
    assert!(
        error.ends_with("meta.json has format 9, this Sextant reads format 2; use the one that wrote it"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_appends_at_once_get_dense_numbers_and_snapshots_only_grow() {
    let disk = SimDisk::new(1);
    let store = open(&disk, &small_segments()).expect("it opens");
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut rng = Rng::with_seed(task);
            let mut all = Rows::new();
            for number in 0..25 {
                let (signal, rows) = (Signal::ALL[rng.usize(0..3)], rng.usize(1..5));
                let name = format!("{task}.{number}");
                let rows = append(&store, &mut rng, signal, &name, rows).await.expect("it is committed");
                // Acknowledged means visible.
                let seen = shown(&store);
                assert!(rows.iter().all(|(id, seqs)| seen.get(id) == Some(seqs)), "{name}");
                all.extend(rows);
            }
            all
        });
    }
    let watcher = tokio::spawn({
        let store = store.clone();
        async move {
            let mut committed = store.committed();
            let mut last = (0, 0);
            while committed.changed().await.is_ok() && last.1 < u64::MAX {
                let (told, snapshot) = (*committed.borrow_and_update(), store.snapshot());
                let next = (snapshot.version(), snapshot.last_seq());
                assert!(next >= last && next.1 >= last.1 && next.1 >= told, "{last:?} {next:?} {told}");
                last = next;
            }
        }
    });
    let mut all = Rows::new();
    while let Some(rows) = tasks.join_next().await {
        all.extend(rows.expect("the task ends well"));
        store.flush_now().expect("it is flushed");
    }
    assert!(!watcher.is_finished(), "the watcher saw something wrong");
    watcher.abort();
    let seqs: Vec<u64> = all.values().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(seqs, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(shown(&store), all);
}

#[tokio::test]
async fn two_series_with_one_id_are_refused() {
    let disk = SimDisk::new(1);
    let rng = &mut Rng::with_seed(1);
    let store = open(&disk, &unreserved()).expect("it opens");
    let key = store.writer().series_key();
    let batch = sample::batch(rng, Signal::Points, key, &["a".to_owned()]);
    let mut forged = batch.clone();
    let schema = forged.shared.schema();
    let check = schema.index_of(store::schema::column::SERIES_CHECK).expect("the column");
    let mut columns = forged.shared.columns().to_vec();
    columns[check] = Arc::new(arrow::array::UInt64Array::from(vec![1]));
    forged.shared = arrow::array::RecordBatch::try_new(schema, columns).expect("the same columns");
    store.writer().append(batch).await.expect("it is committed");
    let refused = async |store: &Store| {
        let before = store.status();
        let error = store.writer().append(forged.clone()).await.expect_err("another series has the id");
        assert!(matches!(&error, StoreError::SeriesCollision { metric, .. } if metric == "requests"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Permanent);
        assert_eq!(store.status(), before, "nothing was logged");
    };
    refused(&store).await;
    drop(store);
    refused(&open(&disk.kill(), &unreserved()).expect("it opens")).await;
}

#[tokio::test]
async fn durability_interval_syncs_when_its_time_has_come() {
    let disk = SimDisk::new(1);
    let rng = &mut Rng::with_seed(1);
    let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(1_769_817_600_000_000_000)));
    let config = Config { durability: Durability::Interval, durability_interval_ms: 200, ..unreserved() };
    let setup = Setup { clock: Arc::clone(&clock) as Arc<dyn model::Clock>, ..sim_setup(&disk, &config) };
    let store = Store::open(setup).expect("it opens");
    let mut expected = append(&store, rng, Signal::Logs, "first", 1).await.expect("it is committed");
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&syncs);
    disk.inject(Fault::new(FaultKind::Io, move |operation, _| {
        counted.fetch_add(u64::from(operation == Operation::Sync), Ordering::Relaxed);
        false
    }));
    for number in 0..5 {
        let name = number.to_string();
        expected.extend(append(&store, rng, Signal::Logs, &name, 1).await.expect("it is committed"));
    }
    assert_eq!(syncs.load(Ordering::Relaxed), 0);
    clock.advance(Duration::from_millis(200));
    // The thread wakes when it does; the test ends when it has.
    while syncs.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let after = disk.crash();
    assert_eq!(shown(&open(&after, &config).expect("it opens")), expected);
}
