//! What was committed is what parts hold: every column, sorted, in granules, with an index that never hides a row.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::UInt64Type;
use fastrand::Rng;
use model::stats::Stats;
use model::{ManualClock, TimeRange, Timestamp};
use store::disk::{Disk as _, RealDisk, SimDisk};
use store::part::Part;
use store::schema::{LogColumns, LogRow, ResourceRow, ScopeRow, ValueRef, column};
use store::{Batch, Config, Narrow, Projection, SeriesRows, SeriesTable, Setup, Snapshot, Store, Table, limits};

use crate::generate::{self, DAY, NOW, Row, SECOND, numbers, sorted_rows, times};

pub struct Opened {
    pub store: Store,
    pub stats: Stats,
    pub clock: Arc<ManualClock>,
    // Removed when the test is over.
    _directory: tempfile::TempDir,
}

pub fn open() -> Opened {
    open_with(Config { flush_bytes: u64::MAX, flush_interval_s: u64::MAX, ..Config::default() })
}

pub fn open_with(config: Config) -> Opened {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (stats, clock) = (Stats::new(), Arc::new(ManualClock::new(NOW)));
    let store = Store::open(Setup {
        directory: directory.path().to_path_buf(),
        config,
        clock: clock.clone(),
        disk: Arc::new(RealDisk),
        stats: stats.clone(),
    });
    Opened { store: store.expect("an empty directory opens"), stats, clock, _directory: directory }
}

impl Opened {
    pub fn append(&self, batch: Batch) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(self.store.writer().append(batch)).expect("the batch is committed");
    }

    pub fn flushed(&self) -> Snapshot {
        self.store.flush_now().expect("the flush succeeds");
        self.store.snapshot()
    }
}

pub fn read(snapshot: &Snapshot, table: Table, narrow: &Narrow) -> Vec<RecordBatch> {
    let granules = snapshot.granules(table, TimeRange::ALL, narrow).expect("granules are found");
    let read = granules.iter().map(|granule| {
        let rows = granule.read(&Projection::All).expect("a granule is read");
        assert_eq!(rows.num_rows(), granule.rows());
        rows
    });
    read.collect()
}

pub fn token(column: &str, token: &str) -> Narrow {
    Narrow::Token { column: column.to_owned(), token: token.to_owned() }
}

#[test]
fn parts_hold_what_the_head_held() {
    for seed in 0..6 {
        println!("seed {seed}");
        let mut random = Rng::with_seed(seed);
        let opened = open();
        let key = opened.store.writer().series_key();
        for _ in 0..random.usize(1..6) {
            let (rows, keys) = (random.usize(1..700), *random.choice(&[5, 60, 400]).expect("there are some"));
            opened.append(generate::logs(&mut random, rows, keys, 3 * DAY));
            opened.append(generate::spans(&mut random, rows, DAY));
            opened.append(generate::points(&mut random, key, rows, 40, DAY));
        }
        let head = opened.store.snapshot();
        assert!(head.parts().is_empty());
        let parts = opened.flushed();
        for table in Table::ALL {
            let expected = sorted_rows(&read(&head, table, &Narrow::All));
            assert_eq!(sorted_rows(&read(&parts, table, &Narrow::All)), expected, "{table:?}");
            assert_eq!(
                parts.parts().iter().filter(|part| part.table() == table).map(|part| part.rows()).sum::<u64>(),
                expected.len() as u64
            );
        }
        assert_eq!(parts.last_seq(), head.last_seq());
        assert!(parts.parts().iter().all(|part| part.verify().is_ok()));
    }
}

#[test]
fn granules_give_the_columns_and_rows_that_are_asked_for() {
    let mut random = Rng::with_seed(11);
    let opened = open();
    let key = opened.store.writer().series_key();
    opened.append(generate::logs(&mut random, 9_000, 20, DAY / 2));
    opened.append(generate::spans(&mut random, 9_000, DAY / 2));
    opened.append(generate::points(&mut random, key, 9_000, 50, DAY / 2));
    let snapshots = [opened.store.snapshot(), opened.flushed()];
    for table in Table::ALL {
        let [head, parts] = snapshots.each_ref().map(|snapshot| sorted_rows(&read(snapshot, table, &Narrow::All)));
        assert!(head == parts, "{table:?}");
    }
    for (snapshot, table) in snapshots.iter().flat_map(|snapshot| Table::ALL.map(|table| (snapshot, table))) {
        for granule in snapshot.granules(table, TimeRange::ALL, &Narrow::All).expect("granules are found") {
            let whole = granule.read(&Projection::All).expect("a granule is read");
            for _ in 0..5 {
                let names = whole.schema_ref().fields().iter().map(|field| field.name().clone());
                let mut wanted: Vec<String> = names.filter(|_| random.u8(..6) == 0).collect();
                wanted.push("attr:never seen".into());
                let projection = Projection::Columns(wanted.clone());
                let picked: Vec<u32> = (0..whole.num_rows() as u32).filter(|_| random.u8(..50) == 0).collect();
                let places: Vec<usize> = (0..whole.num_columns())
                    .filter(|place| wanted.contains(whole.schema_ref().field(*place).name()))
                    .collect();
                let expected = whole.project(&places).expect("the columns are there");
                let columns = granule.read(&projection).expect("columns are read");
                assert_eq!(columns.num_rows(), whole.num_rows());
                assert_eq!(generate::rows(&columns), generate::rows(&expected));
                let rows = granule.read_rows(&projection, &picked).expect("rows are read");
                assert_eq!(rows.num_rows(), picked.len());
                let expected = generate::rows(&expected);
                let expected: Vec<&Row> = picked.iter().map(|row| &expected[*row as usize]).collect();
                assert_eq!(generate::rows(&rows).iter().collect::<Vec<_>>(), expected);
            }
        }
    }
}

pub fn seqs(snapshot: &Snapshot, table: Table, narrow: &Narrow) -> BTreeSet<u64> {
    let projection = Projection::Columns(vec![column::INGEST_SEQ.into()]);
    let granules = snapshot.granules(table, TimeRange::ALL, narrow).expect("granules are found");
    let batches = granules.iter().map(|granule| granule.read(&projection).expect("a granule is read"));
    batches.flat_map(|batch| numbers(&batch, column::INGEST_SEQ)).collect()
}

#[test]
fn damaged_rows_are_an_error_that_names_the_file() {
    let opened = open();
    opened.append(generate::logs(&mut Rng::with_seed(1), 50, 4, SECOND));
    let snapshot = opened.flushed();
    let path = snapshot.parts()[0].directory().join("rows.parquet");
    std::fs::write(&path, b"PAR1 this is no Parquet file at all PAR1").expect("the file is written");
    let granules = snapshot.granules(Table::Logs, TimeRange::ALL, &Narrow::All).expect("granules are found");
    let error = granules[0].read(&Projection::All).expect_err("it cannot be read").to_string();
    assert!(error.contains("rows.parquet is damaged"), "{error}");
}

#[test]
fn parts_are_sorted() {
    let mut random = Rng::with_seed(4);
    let opened = open();
    let key = opened.store.writer().series_key();
    for _ in 0..3 {
        opened.append(generate::logs(&mut random, 4_000, 3, 2 * DAY));
        opened.append(generate::spans(&mut random, 4_000, 2 * DAY));
        opened.append(generate::points(&mut random, key, 4_000, 30, 2 * DAY));
    }
    let snapshot = opened.flushed();
    snapshot.parts().iter().for_each(|part| check_order(part));
}

// The rows of a part are in the order of its table, and its meta says what is in them.
pub fn check_order(part: &Part) {
    let mut keys: Vec<(Vec<u8>, i64, Vec<u8>, u64)> = Vec::new();
    let mut starts: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    for (granule, meta) in part.meta().granules.iter().enumerate() {
        let rows =
            part.read(granule, std::slice::from_ref(&(0..meta.rows)), &Projection::All).expect("a granule is read");
        let (times, seqs) = (times(&rows), numbers(&rows, column::INGEST_SEQ));
        assert_eq!(times.iter().min(), Some(&meta.time_min));
        assert_eq!(times.iter().max(), Some(&meta.time_max));
        assert_eq!((seqs.iter().min(), seqs.iter().max()), (Some(&meta.seq_min), Some(&meta.seq_max)));
        for row in 0..rows.num_rows() {
            let id = |name: &str| rows[name].as_fixed_size_binary().value(row).to_vec();
            let (first, last) = match part.table() {
                Table::Logs | Table::Exemplars => (Vec::new(), Vec::new()),
                Table::Points => {
                    let id = rows[column::SERIES_ID].as_primitive::<UInt64Type>().value(row);
                    assert!(meta.series.is_some_and(|(least, greatest)| (least..=greatest).contains(&id)));
                    (id.to_be_bytes().to_vec(), Vec::new())
                }
                Table::Spans => (id(column::TRACE_ID), id(column::SPAN_ID)),
            };
            if part.table() == Table::Spans {
                // A trace is one run of rows, and its first row is where it starts.
                let start = *starts.entry(first.clone()).or_insert(times[row]);
                assert!(start <= times[row]);
            }
            keys.push((first, times[row], last, seqs[row]));
        }
    }
    if part.table() == Table::Spans {
        let runs: Vec<&Vec<u8>> = keys.chunk_by(|a, b| a.0 == b.0).map(|run| &run[0].0).collect();
        assert_eq!(runs.len(), starts.len(), "each trace is one run");
        let of_runs: Vec<(i64, &Vec<u8>)> = runs.into_iter().map(|trace| (starts[trace], trace)).collect();
        assert!(of_runs.is_sorted());
        assert!(keys.chunk_by(|a, b| a.0 == b.0).all(|run| run.is_sorted()));
    } else {
        assert!(keys.is_sorted(), "{part:?}");
    }
}

#[test]
fn rows_are_partitioned_by_day_and_far_ones_are_stray() {
    let opened = open();
    let mut random = Rng::with_seed(9);
    opened.append(generate::logs(&mut random, 4_000, 3, 40 * DAY));
    let head = opened.store.snapshot();
    let snapshot = opened.flushed();
    let names: Vec<String> = snapshot.parts().iter().map(|part| part.name().partition.to_string()).collect();
    let mut sorted = names.clone();
    sorted.sort();
    let days = ["24", "25", "26", "27", "28", "29", "30", "31"].map(|day| format!("2026-01-{day}"));
    assert_eq!(sorted[..8], days);
    assert_eq!(sorted[8..], ["stray"]);
    for part in snapshot.parts().iter().filter(|part| part.name().partition.to_string() != "stray") {
        let (least, greatest) = part.time_bounds();
        assert_eq!((least.day(), greatest.day()), (least.day(), least.day()));
        assert!(least.to_string().starts_with(&part.name().partition.to_string()));
    }
    // A range finds the same rows wherever they are.
    for _ in 0..20 {
        let start = NOW.saturating_add(-random.i64(0..41 * DAY));
        let range = TimeRange { start, end: start.saturating_add(random.i64(0..3 * DAY)) };
        let inside = |snapshot: &Snapshot| -> BTreeSet<u64> {
            let granules = snapshot.granules(Table::Logs, range, &Narrow::All).expect("granules are found");
            let batches = granules.iter().map(|granule| {
                let (least, greatest) = granule.time_bounds();
                assert!(range.overlaps(least, greatest));
                granule.read(&Projection::All).expect("a granule is read")
            });
            let rows = batches.flat_map(|batch| times(&batch).into_iter().zip(numbers(&batch, column::INGEST_SEQ)));
            rows.filter(|(time, _)| range.contains(Timestamp::from_nanos(*time))).map(|(_, seq)| seq).collect()
        };
        assert_eq!(inside(&head), inside(&snapshot));
    }
}

#[test]
fn points_find_their_series_and_their_samples() {
    let mut random = Rng::with_seed(6);
    let opened = open();
    let key = opened.store.writer().series_key();
    for _ in 0..3 {
        opened.append(generate::points(&mut random, key, 9_000, 200, DAY / 4));
    }
    let head = opened.store.snapshot();
    let parts = opened.flushed();
    let series = |snapshot: &Snapshot| -> BTreeMap<u64, Row> {
        let tables = snapshot.series(TimeRange::ALL);
        let read = |table: &SeriesTable| table.read().expect("series are read");
        let tables: Vec<Arc<RecordBatch>> = tables.iter().map(read).collect();
        tables
            .iter()
            .flat_map(|table| numbers(table, column::SERIES_ID).into_iter().zip(generate::rows(table)))
            .collect()
    };
    assert_eq!(series(&parts), series(&head));
    assert_eq!(series(&parts).len(), 200);
    let tables = parts.series(TimeRange::ALL);
    let ids = |table: &SeriesTable| numbers(&table.read().expect("series are read"), column::SERIES_ID);
    assert!(tables.iter().all(|table| ids(table).is_sorted()));
    let all_times: Vec<i64> = head
        .granules(Table::Points, TimeRange::ALL, &Narrow::All)
        .expect("granules are chosen")
        .iter()
        .flat_map(|granule| times(&granule.read(&Projection::All).expect("rows are read")))
        .collect();
    let (least, greatest) = (all_times.iter().min().expect("some"), all_times.iter().max().expect("some"));
    let third = (greatest - least) / 3;
    let range =
        |start: i64, end: i64| TimeRange { start: Timestamp::from_nanos(start), end: Timestamp::from_nanos(end) };
    let ranges = [
        TimeRange::ALL,
        range(least + third, greatest - third),
        range(*least, least + 1),
        range(greatest + 1, greatest + 2),
    ];
    let projection = Projection::Columns(vec![column::VALUE_DOUBLE.into(), column::INGEST_SEQ.into()]);
    let all = whole_granules(&head, &projection);
    for (count, range) in [0, 1, 3, 50].into_iter().flat_map(|count| ranges.map(|range| (count, range))) {
        let known: Vec<u64> = series(&head).into_keys().collect();
        let wanted: HashSet<u64> = (0..count).filter_map(|_| random.choice(known.iter().copied())).collect();
        let expected = sorted(
            all.iter()
                .filter(|(id, time, _)| wanted.contains(id) && range.contains(Timestamp::from_nanos(*time)))
                .cloned(),
        );
        for snapshot in [&head, &parts] {
            let pieces = snapshot.samples(&wanted, range, &projection).expect("samples are read");
            let found = sorted(pieces.iter().flat_map(of_runs));
            assert!(found == expected, "{count} series in {range:?}: {} rows, not {}", found.len(), expected.len());
        }
    }
}

type OfSeries = (u64, i64, Row);

fn sorted(rows: impl Iterator<Item = OfSeries>) -> Vec<OfSeries> {
    let mut rows: Vec<OfSeries> = rows.collect();
    rows.sort();
    rows
}

// All rows, with their series and times.
fn whole_granules(snapshot: &Snapshot, projection: &Projection) -> Vec<OfSeries> {
    let granules = snapshot.granules(Table::Points, TimeRange::ALL, &Narrow::All).expect("granules are chosen");
    let Projection::Columns(columns) = projection else { panic!("all columns") };
    let rows = granules.iter().flat_map(|granule| {
        let batch = granule.read(&Projection::All).expect("rows are read");
        let wanted = |row: Row| row.into_iter().filter(|(name, _)| columns.contains(name)).collect();
        let rows = generate::rows(&batch).into_iter().map(wanted);
        let keys = numbers(&batch, column::SERIES_ID).into_iter().zip(times(&batch));
        keys.zip(rows).map(|((id, time), row)| (id, time, row)).collect::<Vec<OfSeries>>()
    });
    rows.collect()
}

fn of_runs(piece: &SeriesRows) -> Vec<OfSeries> {
    let (rows, times) = (generate::rows(&piece.rows), times(&piece.rows));
    let mut next = 0;
    let mut all = Vec::new();
    for run in &piece.runs {
        assert_eq!(run.rows.start, next, "runs follow each other");
        next = run.rows.end;
        for row in run.rows.clone() {
            let mut of_row = rows[row].clone();
            of_row.remove(column::TIMESTAMP);
            all.push((run.series, times[row], of_row));
        }
    }
    assert_eq!(next, piece.rows.num_rows(), "and cover all rows");
    all
}

#[test]
fn an_old_snapshot_goes_on_reading_what_it_had() {
    let mut random = Rng::with_seed(21);
    let opened = open();
    opened.append(generate::logs(&mut random, 100, 3, SECOND));
    let first = opened.store.snapshot();
    let expected = sorted_rows(&read(&first, Table::Logs, &Narrow::All));
    let second = opened.flushed();
    opened.append(generate::logs(&mut random, 100, 3, SECOND));
    let third = opened.flushed();
    for snapshot in [&first, &second] {
        assert_eq!(sorted_rows(&read(snapshot, Table::Logs, &Narrow::All)), expected);
    }
    assert_eq!(seqs(&third, Table::Logs, &Narrow::All).len(), 200);
    assert!(first.version() < second.version() && second.version() < third.version());
}

#[test]
fn heads_are_flushed_when_they_are_full_or_old() {
    // Far longer than the clock moves while the first flush is waited for.
    let flush_interval_s = 1_000_000;
    let opened = open_with(Config { flush_bytes: 200_000, flush_interval_s, ..Config::default() });
    let mut random = Rng::with_seed(30);
    opened.append(generate::spans(&mut random, 10, SECOND));
    opened.append(generate::logs(&mut random, 5_000, 10, SECOND));
    wait_for(&opened, |snapshot| snapshot.parts().len() == 1, "a full head is flushed at once");
    assert_eq!(opened.store.snapshot().parts()[0].table(), Table::Logs);
    opened.clock.advance(Duration::from_secs(flush_interval_s));
    wait_for(
        &opened,
        |snapshot| snapshot.parts().iter().any(|part| part.table() == Table::Spans),
        "an old head is flushed",
    );
    let text = opened.stats.to_prometheus_text();
    assert!(text.contains("sextant_flush_rows_total{signal=\"logs\"} 5000"), "{text}");
}

// The clock moves on a second at a time while the upkeep works; far more of them pass than any flush is due in.
fn wait_for(opened: &Opened, reached: impl Fn(&Snapshot) -> bool, what: &str) {
    use model::Clock as _;
    let started = opened.clock.monotonic();
    for _ in 0..2_000 {
        if reached(&opened.store.snapshot()) {
            return;
        }
        opened.clock.advance(Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(5));
    }
    let stats = opened.stats.to_prometheus_text();
    panic!("{what}: not within {:?}\n{stats}", opened.clock.monotonic() - started);
}

#[test]
fn a_part_of_several_row_groups_is_read_to_its_last_row() {
    let opened = open();
    let rows = limits::ROW_GROUP_ROWS + limits::GRANULE_ROWS + 10;
    let mut columns = LogColumns::default();
    let envelope = columns.envelopes.push(&ResourceRow::default(), &ScopeRow::default());
    for row in 0..rows {
        let timestamp = NOW.saturating_add(row as i64 - SECOND);
        let body = if row % 50_000 == 49_999 { "needle" } else { "hay" };
        let log = LogRow { envelope, timestamp, body: Some(ValueRef::String(body)), ..LogRow::default() };
        columns.push(&log, &[]);
    }
    opened.append(columns.finish());
    let snapshot = opened.flushed();
    let granules = snapshot.granules(Table::Logs, TimeRange::ALL, &Narrow::All).expect("granules are found");
    let projection = Projection::Columns(vec![column::INGEST_SEQ.into()]);
    let read = granules.iter().map(|granule| granule.read(&projection).expect("a granule is read"));
    let seqs: Vec<u64> = read.flat_map(|batch| numbers(&batch, column::INGEST_SEQ)).collect();
    assert_eq!(seqs, (1..=rows as u64).collect::<Vec<_>>());
    let last = granules.last().expect("there are granules");
    assert_eq!(last.rows(), 10);
    let picked = last.read_rows(&projection, &[0, 9]).expect("rows are read");
    assert_eq!(numbers(&picked, column::INGEST_SEQ), [rows as u64 - 9, rows as u64]);
    let needles =
        snapshot.granules(Table::Logs, TimeRange::ALL, &token(column::BODY, "needle")).expect("they are found");
    assert_eq!(needles.len(), 2);
    assert_eq!(
        needles.iter().map(store::Granule::rows).sum::<usize>(),
        2 * limits::GRANULE_ROWS / limits::GRANULE_BLOCKS
    );
    let between = |seqs| {
        let found = snapshot.granules_between(Table::Logs, TimeRange::ALL, seqs, &token(column::BODY, "needle"));
        found.expect("they are found").len()
    };
    assert_eq!(between((0, u64::MAX)), 2);
    assert_eq!(between((60_001, u64::MAX)), 1);
    assert_eq!(between((0, 1)), 0);
    assert_eq!(between((rows as u64 + 1, u64::MAX)), 0);
}

#[test]
fn a_full_disk_keeps_rows_in_the_head_and_gets_nothing_left_behind() {
    let disk = SimDisk::new(1);
    let directory = Path::new("/data");
    let store = Store::open(Setup {
        directory: directory.to_path_buf(),
        config: Config { flush_bytes: u64::MAX, flush_interval_s: u64::MAX, ..Config::default() },
        clock: Arc::new(ManualClock::new(NOW)),
        disk: Arc::new(disk.clone()),
        stats: Stats::new(),
    });
    let store = store.expect("an empty directory opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut random = Rng::with_seed(3);
    let key = store.writer().series_key();
    for batch in [generate::logs(&mut random, 400, 20, 2 * DAY), generate::points(&mut random, key, 400, 9, 2 * DAY)] {
        runtime.block_on(store.writer().append(batch)).expect("the batch is committed");
    }
    let expected = Table::ALL.map(|table| sorted_rows(&read(&store.snapshot(), table, &Narrow::All)));
    let before = bytes_below(&disk, directory);
    for spare in [0, 100, 5_000, 20_000, 60_000] {
        disk.set_capacity(before + spare);
        assert!(store.flush_now().is_err(), "{spare} bytes are enough for logs and points");
        let points = store.snapshot().parts().iter().filter(|part| part.table() == Table::Points).count();
        assert_eq!(points, 0);
        if store.snapshot().parts().is_empty() {
            assert_eq!(bytes_below(&disk, &directory.join("parts")), 0, "{spare}");
        }
        let shown = Table::ALL.map(|table| sorted_rows(&read(&store.snapshot(), table, &Narrow::All)));
        assert_eq!(shown, expected);
    }
    disk.set_capacity(u64::MAX);
    store.flush_now().expect("there is room again");
    let shown = Table::ALL.map(|table| sorted_rows(&read(&store.snapshot(), table, &Narrow::All)));
    assert_eq!(shown, expected);
    assert_eq!(store.snapshot().granules(Table::Logs, TimeRange::ALL, &Narrow::All).map(|all| all.len()).ok(), Some(3));
}

fn bytes_below(disk: &SimDisk, folder: &Path) -> u64 {
    let Ok(entries) = disk.list(folder) else { return 0 };
    entries.iter().map(|entry| if entry.is_dir { bytes_below(disk, &entry.path) } else { entry.len }).sum()
}
