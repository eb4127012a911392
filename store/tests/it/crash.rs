//! The store on the machine's own disk: what was acknowledged is there after it is opened again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::UInt64Type;
use fastrand::Rng;
use model::stats::Stats;
use model::{Signal, SystemClock, TimeRange};
use store::disk::{Disk, RealDisk};
use store::schema::column;
use store::{Config, Durability, ErrorKind, Narrow, Projection, Setup, StateChange, Store, StoreError, Table};

use crate::sample;

/// What a store is opened with in these tests.
pub fn setup(disk: Arc<dyn Disk>, directory: &Path, config: Config) -> Setup {
    let clock = Arc::new(SystemClock::new());
    Setup { directory: directory.to_path_buf(), config, clock, disk, stats: Stats::new() }
}

/// The numbers of every id that a snapshot shows.
pub fn shown(store: &Store) -> BTreeMap<(Table, String), Vec<u64>> {
    let mut found: BTreeMap<(Table, String), Vec<u64>> = BTreeMap::new();
    let snapshot = store.snapshot();
    for (table, id_column) in
        [(Table::Logs, column::BODY), (Table::Spans, column::NAME), (Table::Points, column::SERVICE)]
    {
        let projection = Projection::Columns(vec![column::INGEST_SEQ.to_owned(), id_column.to_owned()]);
        for granule in snapshot.granules(table, TimeRange::ALL, &Narrow::All).expect("granules") {
            let rows = granule.read(&projection).expect("rows");
            let ids = rows.column_by_name(id_column).expect("the column of ids").as_string::<i32>();
            let seqs = rows.column_by_name(column::INGEST_SEQ).expect("numbers").as_primitive::<UInt64Type>();
            for (id, seq) in ids.iter().zip(seqs.values()) {
                found.entry((table, id.expect("an id").to_owned())).or_default().push(*seq);
            }
        }
    }
    found
}

/// The table that a signal's items are found in.
pub fn table_of(signal: Signal) -> Table {
    match signal {
        Signal::Logs => Table::Logs,
        Signal::Spans => Table::Spans,
        Signal::Points => Table::Points,
    }
}

fn ids(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|number| format!("id-{number}")).collect()
}

fn put(key: &str, value: &str) -> StateChange {
    StateChange { table: "alerts".to_owned(), key: key.into(), value: Some(value.into()) }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    for durability in [Durability::Always, Durability::Interval, Durability::None] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Small segments, so that the log has many.
        let config = Config { durability, wal_segment_bytes: 20_000, ..Config::default() };
        let open = || Store::open(setup(Arc::new(RealDisk), folder.path(), config.clone())).expect("it opens");
        let mut rng = Rng::with_seed(7);
        let mut expected = BTreeMap::new();
        let mut next_seq = 1;
        for round in 0..4 {
            let store = open();
            let writer = store.writer();
            assert_eq!(shown(&store), expected, "round {round}");
            for number in 0..12 {
                let signal = Signal::ALL[number % 3];
                let ids = ids(next_seq as usize, rng.usize(1..50));
                let batch = sample::batch(&mut rng, signal, writer.series_key(), &ids);
                let receipt = writer.append(batch).await.expect("it is committed");
                assert_eq!((receipt.first_seq, receipt.rows), (next_seq, ids.len() as u64));
                for id in ids {
                    expected.insert((table_of(signal), id), vec![next_seq]);
                    next_seq += 1;
                }
                assert_eq!(*store.committed().borrow(), next_seq - 1);
            }
            writer.change_state(vec![put("last round", &round.to_string())]).await.expect("it is committed");
            assert_eq!(shown(&store), expected, "round {round}");
            assert!(store.status().wal_segments > round, "{:?}", store.status());
            let state = store.state("alerts");
            assert_eq!(state.get(b"last round".as_slice()).map(|value| &value[..]), Some(round.to_string().as_bytes()));
        }
        assert_eq!(open().state("alerts").len(), 1);
    }
}

#[tokio::test]
async fn a_flush_moves_rows_to_parts_and_lets_the_log_go() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config { wal_segment_bytes: 20_000, ..Config::default() };
    let open = || Store::open(setup(Arc::new(RealDisk), folder.path(), config.clone())).expect("it opens");
    let mut rng = Rng::with_seed(8);
    let mut expected = BTreeMap::new();
    let mut next_seq = 1;
    for round in 0..3 {
        let store = open();
        // On a slow machine there is time for it, and parts are counted below.
        store.pause_merges(true);
        let writer = store.writer();
        for number in 0..30 {
            let signal = Signal::ALL[number % 3];
            let ids = ids(next_seq as usize, rng.usize(1..30));
            let batch = sample::batch(&mut rng, signal, writer.series_key(), &ids);
            writer.append(batch).await.expect("it is committed");
            for id in ids {
                expected.insert((table_of(signal), id), vec![next_seq]);
                next_seq += 1;
            }
        }
        writer.change_state(vec![put("round", &round.to_string())]).await.expect("it is committed");
        assert!(store.status().wal_segments > 2, "{:?}", store.status());
        store.flush_now().expect("it flushes");
        let status = store.status();
        assert_eq!(status.wal_segments, 1, "{status:?}");
        assert!(status.tables.iter().all(|(_, size)| size.head_rows == 0 && size.parts > round), "{status:?}");
        assert_eq!(shown(&store), expected, "round {round}");
        let before = store.snapshot();
        drop((store, writer));
        let store = open();
        store.pause_merges(true);
        assert_eq!((shown(&store), store.status().last_seq), (expected.clone(), next_seq - 1), "round {round}");
        assert_eq!(before.last_seq(), next_seq - 1);
        let state = store.state("alerts");
        assert_eq!(state.get(b"round".as_slice()).map(|value| &value[..]), Some(round.to_string().as_bytes()));
    }
    open().close().expect("there is nothing to flush");
}

#[tokio::test]
async fn a_directory_has_one_owner() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = || Store::open(setup(Arc::new(RealDisk), folder.path(), Config::default()));
    let store = open().expect("it opens");
    let error = open().err().expect("it is in use");
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let owner = format!("process {}", std::process::id());
    assert!(error.to_string().ends_with(&owner), "{error}");
    store.close().expect("there is nothing to flush");
    open().expect("it was given back");
    let batch = sample::batch(&mut Rng::with_seed(1), Signal::Logs, [0; 16], &ids(0, 1));
    let error = store.writer().append(batch).await.expect_err("it is closed");
    assert_eq!((error.kind(), matches!(error, StoreError::Closed { .. })), (ErrorKind::Transient, true));
}
