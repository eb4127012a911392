//! An attribute that is the correlation id in every row is written once, and read and found as if it were twice.

use std::time::Duration;

use arrow::array::{Array as _, AsArray as _, StringArray};
use model::{TimeRange, Timestamp};
use store::schema::{LogColumns, LogRow, ResourceRow, ScopeRow, ValueRef, column};
use store::{Batch, Narrow, Projection, Snapshot, Table};

use crate::generate::{NOW, SECOND};
use crate::roundtrip::{Opened, open, seqs, token};

const ATTRIBUTE: &str = "attr:order.id";

// Every third record has no id; the last has it from its resource, if it is to differ.
fn logs(first: usize, differs: bool) -> Batch {
    let mut columns = LogColumns::default();
    let envelope = columns.envelopes.push(&ResourceRow::default(), &ScopeRow::default());
    for row in first..first + 30 {
        let id = format!("Order-{row}");
        let is_other = differs && row == first + 29;
        let has_id = row % 3 > 0 || is_other;
        let attributes = [("n", ValueRef::Int(row as i64)), ("order.id", ValueRef::String(&id))];
        let timestamp = Timestamp::from_nanos(NOW.as_nanos() + row as i64 * SECOND);
        let correlation_id = has_id.then_some(if is_other { "another" } else { id.as_str() });
        columns.push(
            &LogRow { envelope, timestamp, correlation_id, ..LogRow::default() },
            &attributes[..1 + usize::from(has_id)],
        );
    }
    columns.finish()
}

fn flush(opened: &Opened, batch: Batch) {
    opened.append(batch);
    opened.store.flush_now().expect("the flush succeeds");
}

// Of all rows, by their number: a column's texts.
fn texts(snapshot: &Snapshot, name: &str, wanted: &[&str]) -> Vec<(i64, Option<String>)> {
    let projection = Projection::Columns(wanted.iter().map(|name| (*name).to_owned()).collect());
    let mut texts = Vec::new();
    for granule in snapshot.granules(Table::Logs, TimeRange::ALL, &Narrow::All).expect("granules") {
        let rows = granule.read(&projection).expect("rows");
        assert_eq!(rows.num_columns(), wanted.len(), "{:?}", rows.schema());
        let all = granule.read(&Projection::All).expect("rows");
        let numbers = all["attr:n"].as_primitive::<arrow::datatypes::Int64Type>().values();
        let column: &StringArray = rows[name].as_string();
        assert_eq!(column, all[name].as_string::<i32>());
        texts.extend(
            numbers
                .iter()
                .enumerate()
                .map(|(row, number)| (*number, column.is_valid(row).then(|| column.value(row).to_owned()))),
        );
    }
    texts.sort_unstable();
    texts
}

fn expected(rows: std::ops::Range<usize>) -> Vec<(i64, Option<String>)> {
    rows.map(|row| (row as i64, (row % 3 > 0).then(|| format!("Order-{row}")))).collect()
}

#[test]
fn what_is_the_same_is_written_once_and_read_twice() {
    let opened = open();
    opened.store.pause_merges(true);
    (0..4).for_each(|part| flush(&opened, logs(part * 30, false)));
    let is_left_out = |snapshot: &Snapshot| -> Vec<bool> {
        let same = snapshot.parts().iter().map(|part| part.meta().same.get(ATTRIBUTE).cloned());
        same.map(|written| written.as_deref() == Some(column::CORRELATION_ID)).collect()
    };
    let check = |snapshot: &Snapshot, rows: usize| {
        for wanted in [&[ATTRIBUTE][..], &[ATTRIBUTE, column::CORRELATION_ID], &[column::BODY, ATTRIBUTE]] {
            assert_eq!(texts(snapshot, ATTRIBUTE, wanted), expected(0..rows), "{wanted:?}");
        }
        assert_eq!(texts(snapshot, column::CORRELATION_ID, &[column::CORRELATION_ID]), expected(0..rows));
        for (word, found) in [("order", true), ("31", true), ("99999", false)] {
            assert_eq!(!seqs(snapshot, Table::Logs, &token(ATTRIBUTE, word)).is_empty(), found, "{word}");
        }
    };
    let parts = opened.store.snapshot();
    assert_eq!(is_left_out(&parts), [true; 4]);
    assert!(parts.parts().iter().all(|part| part.meta().format == 2));
    check(&parts, 120);

    // Merged it still is.
    opened.store.pause_merges(false);
    opened.clock.advance(Duration::from_secs(3 * 86_400));
    opened.store.tidy_now().expect("the merges succeed");
    let merged = opened.store.snapshot();
    assert_eq!(is_left_out(&merged), [true]);
    check(&merged, 120);
}

#[test]
fn one_row_that_differs_has_it_written() {
    let opened = open();
    opened.store.pause_merges(true);
    (0..3).for_each(|part| flush(&opened, logs(part * 30, false)));
    flush(&opened, logs(90, true));
    let parts = opened.store.snapshot();
    assert_eq!(parts.parts().iter().filter(|part| part.meta().same.is_empty()).count(), 1);
    let mut all = expected(0..120);
    all[119].1 = Some("Order-119".to_owned());
    assert_eq!(texts(&parts, ATTRIBUTE, &[ATTRIBUTE]), all);

    opened.store.pause_merges(false);
    opened.clock.advance(Duration::from_secs(3 * 86_400));
    opened.store.tidy_now().expect("the merges succeed");
    let merged = opened.store.snapshot();
    assert_eq!(merged.parts().len(), 1);
    assert!(merged.parts()[0].meta().same.is_empty() && merged.parts()[0].meta().format == 1);
    assert_eq!(texts(&merged, ATTRIBUTE, &[ATTRIBUTE]), all);
    all[119].1 = Some("another".to_owned());
    assert_eq!(texts(&merged, column::CORRELATION_ID, &[column::CORRELATION_ID]), all);
}
