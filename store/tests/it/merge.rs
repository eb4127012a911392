//! Merged parts hold exactly what their parts held, in the same order and with an index as good; readers keep what they had.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use model::{TimeRange, Timestamp};
use store::schema::{LogColumns, LogRow, ResourceRow, ScopeRow, ValueRef};
use store::{Batch, Narrow, Projection, Snapshot, Table, limits};

use crate::generate::{self, DAY, NOW, SECOND, sorted_rows};
use crate::roundtrip::{Opened, check_order, open, read};

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

#[test]
fn a_damaged_part_is_not_merged_and_the_others_are() {
    let opened = open();
    flushes(&opened, &mut Rng::with_seed(3), 6, 50);
    let damaged = opened.store.snapshot().parts().iter().find(|part| part.table() == Table::Spans).cloned();
    let path = damaged.expect("there are spans").directory().join("rows.parquet");
    let mut bytes = std::fs::read(&path).expect("it is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("it is written");
    let before = opened.store.snapshot().parts().len();
    opened.store.pause_merges(true);
    opened.clock.advance(Duration::from_secs(3 * 86_400));
    opened.store.pause_merges(false);
    let failed = opened.store.tidy_now().is_err();
    assert!(failed, "the damage is said");
    opened.store.tidy_now().expect("it is left alone from now on");
    let snapshot = opened.store.snapshot();
    assert!(snapshot.parts().len() < before);
    assert!(snapshot.parts().iter().any(|part| path.starts_with(part.directory())), "it is still there");
}
