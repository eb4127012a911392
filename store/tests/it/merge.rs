//! Merged parts hold exactly what their parts held, in the same order and with an index as good; readers keep what they had.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray as _;
use fastrand::Rng;
use model::{TimeRange, Timestamp};
use store::disk::SimDisk;
use store::schema::{LogColumns, LogRow, ResourceRow, ScopeRow, ValueRef, column};
use store::{Batch, Config, Missing, Narrow, Projection, Snapshot, Store, Table, limits};

use crate::generate::{self, DAY, NOW, SECOND, sorted_rows};
use crate::roundtrip::{Opened, check_order, open, read, token};

fn all_rows(snapshot: &Snapshot) -> [Vec<generate::Row>; 4] {
    Table::ALL.map(|table| sorted_rows(&read(snapshot, table, &Narrow::All)))
}

// Flushes of all tables, none of them merged.
fn flushes(opened: &Opened, random: &mut Rng, count: usize, rows: usize) {
    opened.store.pause_merges(true);
    let key = opened.store.writer().series_key();
    for _ in 0..count {
        let keys = if rows > 1_000 { 5 } else { *random.choice(&[5, 60, 400]).expect("there are some") };
        let rows = random.usize(rows / 2..rows);
        opened.append(generate::logs(random, rows, keys, 2 * DAY));
        opened.append(generate::spans(random, rows, DAY));
        opened.append(generate::points(random, key, rows, 40, DAY));
        opened.store.flush_now().expect("the flush succeeds");
    }
    opened.store.pause_merges(false);
}

// Merged as on the day after the next: whatever is worth it.
fn tidy(opened: &Opened) {
    opened.clock.advance(Duration::from_secs(3 * 86_400));
    opened.store.tidy_now().expect("the merges succeed");
}

#[test]
fn merged_parts_hold_what_their_parts_held() {
    for seed in 0..6 {
        println!("seed {seed}");
        let mut random = Rng::with_seed(seed);
        let opened = open();
        // The last one merges to several granules.
        let (count, rows) = if seed < 5 { (random.usize(3..14), 250) } else { (3, 9_000) };
        flushes(&opened, &mut random, count, rows);
        let before = opened.store.snapshot();
        let expected = all_rows(&before);
        tidy(&opened);
        let after = opened.store.snapshot();
        assert!(after.parts().len() < before.parts().len());
        assert!(after.version() > before.version());
        let rows: u64 = after.parts().iter().map(|part| part.rows()).sum();
        assert_eq!(rows, before.parts().iter().map(|part| part.rows()).sum::<u64>());
        for (table, (merged, expected)) in Table::ALL.into_iter().zip(all_rows(&after).into_iter().zip(&expected)) {
            assert!(merged == *expected, "{table:?}");
        }
        for part in after.parts() {
            check_order(part);
            part.verify().expect("its checksums are right");
        }
        // Once more changes nothing.
        opened.store.tidy_now().expect("there is nothing to merge");
        assert_eq!(opened.store.snapshot().version(), after.version());
        // And what was there before is still read.
        let still: Vec<_> = all_rows(&before).into_iter().collect();
        assert!(still == expected);
    }
}

// What a merge and a query hold is granules: their bytes are bounded, whatever a row takes.
#[test]
fn granules_of_wide_rows_have_few() {
    const ROWS: usize = 600;
    let opened = open();
    let mut random = Rng::with_seed(5);
    opened.store.pause_merges(true);
    for flush in 0..4 {
        let mut columns = LogColumns::default();
        let envelope = columns.envelopes.push(&ResourceRow::default(), &ScopeRow::default());
        for row in 0..ROWS {
            let mut body: String = (0..8_000).map(|_| random.lowercase()).collect();
            if row == 300 {
                body.push_str(" needle");
            }
            let timestamp = NOW.saturating_add((4 * row + flush) as i64 - SECOND);
            columns
                .push(&LogRow { envelope, timestamp, body: Some(ValueRef::String(&body)), ..LogRow::default() }, &[]);
        }
        opened.append(columns.finish());
        opened.store.flush_now().expect("the flush succeeds");
    }
    let flushed = opened.store.snapshot();
    let expected = all_rows(&flushed);
    opened.store.pause_merges(false);
    tidy(&opened);
    let merged = opened.store.snapshot();
    assert_eq!((flushed.parts().len(), merged.parts().len()), (4, 1));
    assert!(all_rows(&merged) == expected);
    for snapshot in [&flushed, &merged] {
        for part in snapshot.parts() {
            let meta = part.meta();
            assert!((128..=512).contains(&meta.granule_rows), "{}", meta.granule_rows);
            assert!(meta.granules.iter().rev().skip(1).all(|granule| u64::from(granule.rows) == meta.granule_rows));
            part.verify().expect("its checksums are right");
        }
        // One block for each row that has the word, and of full granules an eighth.
        let found = snapshot.granules(Table::Logs, TimeRange::ALL, &token(column::BODY, "needle"));
        let rows: usize = found.expect("granules are found").iter().map(store::Granule::rows).sum();
        assert!((4..=4 * 512 / limits::GRANULE_BLOCKS).contains(&rows), "{rows}");
        let batches = read(snapshot, Table::Logs, &token(column::BODY, "needle"));
        let bodies = batches.iter().flat_map(|batch| batch[column::BODY].as_string::<i32>());
        let needles = bodies.filter(|body| body.is_some_and(|body| body.ends_with(" needle")));
        assert_eq!(needles.count(), 4);
    }
}

#[test]
fn files_of_merged_parts_go_with_the_last_snapshot_that_shows_them() {
    let opened = open();
    flushes(&opened, &mut Rng::with_seed(1), 4, 50);
    let before = opened.store.snapshot();
    let folders: Vec<PathBuf> = before.parts().iter().map(|part| part.directory().to_path_buf()).collect();
    tidy(&opened);
    assert!(opened.store.snapshot().parts().len() < folders.len());
    let live: BTreeSet<PathBuf> =
        opened.store.snapshot().parts().iter().map(|part| part.directory().to_path_buf()).collect();
    assert!(folders.iter().all(|folder| folder.exists()));
    let granules = before.granules(Table::Logs, TimeRange::ALL, &Narrow::All).expect("granules");
    drop(before);
    opened.store.tidy_now().expect("there is nothing to merge");
    assert!(
        granules.iter().all(|granule| granule.read(&Projection::All).is_ok()),
        "a granule is as good as a snapshot"
    );
    drop(granules);
    opened.store.tidy_now().expect("there is nothing to merge");
    for folder in folders {
        assert_eq!(folder.exists(), live.contains(&folder), "{}", folder.display());
    }
}

#[test]
fn a_pause_keeps_parts_as_they_are_and_an_end_does_not_wait() {
    let opened = open();
    flushes(&opened, &mut Rng::with_seed(2), 4, 50);
    opened.store.pause_merges(true);
    let before = opened.store.snapshot().parts().len();
    opened.store.tidy_now().expect("there is nothing it may do");
    assert_eq!(opened.store.snapshot().parts().len(), before);
    opened.store.close().expect("it closes");
    assert!(opened.store.tidy_now().is_err(), "it is closed");
}

// Logs with a value of `key` in each of so many rows, and in each another key.
fn keyed(key: &str, rows: usize, value: impl Fn(usize) -> Option<i64>) -> Batch {
    let mut columns = LogColumns::default();
    let envelope = columns.envelopes.push(&ResourceRow::default(), &ScopeRow::default());
    for row in 0..rows {
        let own = format!("own{row}");
        let mut attributes = vec![(own.as_str(), ValueRef::Bool(true))];
        match value(row) {
            Some(number) => attributes.push((key, ValueRef::Int(number))),
            None => attributes.push((key, ValueRef::String("text"))),
        }
        let timestamp = Timestamp::from_nanos(NOW.as_nanos() + row as i64 * SECOND);
        columns.push(&LogRow { envelope, timestamp, ..LogRow::default() }, &attributes);
    }
    columns.finish()
}

#[test]
fn columns_are_chosen_anew() {
    let opened = open();
    opened.store.pause_merges(true);
    // In one part the key is mostly text, in the others it is a number; the rest has a key for each row.
    for part in 0..4 {
        opened.append(keyed("code", 300, |row| (part > 0 || row % 3 == 0).then_some(row as i64)));
        opened.store.flush_now().expect("the flush succeeds");
    }
    opened.store.pause_merges(false);
    let before = all_rows(&opened.store.snapshot());
    tidy(&opened);
    let after = opened.store.snapshot();
    assert_eq!(after.parts().len(), 1);
    assert!(all_rows(&after) == before);
    let rows = read(&after, Table::Logs, &Narrow::All);
    let schema = rows[0].schema();
    let code = schema.field_with_name("attr:code").expect("it has a column");
    assert_eq!(code.data_type(), &arrow::datatypes::DataType::Int64);
    let attributes = schema.fields().iter().filter(|field| field.name().starts_with("attr:")).count();
    assert_eq!(attributes, limits::ATTRIBUTE_COLUMNS_MAX);
}

fn flip_middle(path: &Path) {
    let mut bytes = std::fs::read(path).expect("it is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("it is written");
}

#[test]
fn a_damaged_part_is_quarantined_and_the_others_are_merged() {
    let opened = open();
    flushes(&opened, &mut Rng::with_seed(3), 6, 50);
    let damaged = opened.store.snapshot().parts().iter().find(|part| part.table() == Table::Spans).cloned();
    let damaged = damaged.expect("there are spans");
    flip_middle(&damaged.directory().join("rows.parquet"));
    let count = opened.store.snapshot().parts().len();
    opened.store.pause_merges(true);
    opened.clock.advance(Duration::from_secs(3 * 86_400));
    opened.store.pause_merges(false);
    // The damage is said once, here or in the background.
    let _ = opened.store.tidy_now();
    opened.store.tidy_now().expect("it is out of the way");
    let snapshot = opened.store.snapshot();
    assert!(snapshot.parts().len() < count - 1, "the others are merged");
    assert!(snapshot.parts().iter().all(|part| part.name() != damaged.name()));
    assert!(damaged.directory().join("rows.parquet").exists(), "its files are kept");
    let missing: Vec<&Missing> = snapshot.missing(Table::Spans, TimeRange::ALL).collect();
    assert_eq!(
        missing.iter().map(|part| (&part.name, part.rows)).collect::<Vec<_>>(),
        [(damaged.name(), damaged.rows())]
    );
    let (least, greatest) = damaged.time_bounds();
    let after = TimeRange { start: greatest.saturating_add(1), end: Timestamp::MAX };
    assert_eq!((snapshot.missing(Table::Spans, after).count(), missing[0].time), (0, (least, greatest)));
    assert_eq!(snapshot.missing(Table::Logs, TimeRange::ALL).count(), 0);
    assert_eq!(opened.store.status().quarantined_parts, 1);
    for table in Table::ALL {
        read(&snapshot, table, &Narrow::All);
    }
}

#[tokio::test]
async fn damage_is_found_after_a_start() {
    let disk = SimDisk::new(1);
    let setup = |disk: &SimDisk| {
        let config = Config { reserve_bytes: 0, ..Config::default() };
        crate::crash::setup(Arc::new(disk.clone()), Path::new("/data"), config)
    };
    let store = Store::open(setup(&disk)).expect("it opens");
    let mut random = Rng::with_seed(1);
    store.writer().append(generate::logs(&mut random, 300, 5, SECOND)).await.expect("it is committed");
    let key = store.writer().series_key();
    store.writer().append(generate::points(&mut random, key, 300, 5, SECOND)).await.expect("it is committed");
    store.flush_now().expect("it is flushed");
    let expected = all_rows(&store.snapshot());
    let folders: Vec<(Table, PathBuf)> =
        store.snapshot().parts().iter().map(|part| (part.table(), part.directory().to_path_buf())).collect();
    drop(store);
    for (table, folder) in folders {
        for file in ["rows.parquet", "series.parquet", "index.bin"] {
            let path = folder.join(file);
            let Some(mut bytes) = disk.contents(&path) else { continue };
            let damaged = disk.copy();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            damaged.replace(&path, bytes);
            let context = path.display();
            let store = Store::open(setup(&damaged)).expect("it opens");
            store.tidy_now().expect("damage is dealt with");
            let snapshot = store.snapshot();
            for (of, expected) in Table::ALL.into_iter().zip(&expected) {
                let is_gone = of == table && file != "index.bin";
                let missing = snapshot.missing(of, TimeRange::ALL).map(|part| part.rows).sum::<u64>();
                assert_eq!(missing, if is_gone { expected.len() as u64 } else { 0 }, "{context}: {of:?}");
                let rows = sorted_rows(&read(&snapshot, of, &Narrow::All));
                assert!(if is_gone { rows.is_empty() } else { rows == *expected }, "{context}: {of:?}");
            }
            snapshot.parts().iter().for_each(|part| part.verify().expect("what is in use is whole"));
            drop((snapshot, store));
            // It stays so, and what is damaged is kept.
            let store = Store::open(setup(&damaged.kill())).expect("it opens");
            let is_index = file == "index.bin";
            assert_eq!(store.status().quarantined_parts, u64::from(!is_index), "{context}");
            assert_eq!(damaged.contents(&path).is_some(), !is_index, "{context}");
        }
    }
}
