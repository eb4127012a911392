//! The log records a list holds, oldest first, and what is held back while it is paused. Bounded by rows and by bytes: the
//! newest stay, the others are counted.

use std::collections::VecDeque;

use model::wire::logs::LogRow;
use serde_json::Value;

use crate::limits::{LOGS_KEPT_BYTES_MAX, LOGS_KEPT_MAX};

/// Log records, oldest first.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: VecDeque<LogRow>,
    bytes: usize,
}

impl Rows {
    /// These rows, newest first as the server gives them.
    pub(super) fn of_page(page: Vec<LogRow>) -> Self {
        let mut rows = Self::default();
        for row in page.into_iter().rev() {
            rows.push(row);
        }
        rows
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Row number `index`.
    pub(super) fn get(&self, index: usize) -> Option<&LogRow> {
        self.rows.get(index)
    }

    /// The identity of row number `index`.
    pub(super) fn key(&self, index: usize) -> u64 {
        self.rows.get(index).map_or(0, |row| row.ingest_seq)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &LogRow> {
        self.rows.iter()
    }

    /// The greatest `ingest_seq`: where following goes on.
    pub(super) fn newest_seq(&self) -> Option<u64> {
        self.rows.iter().map(|row| row.ingest_seq).max()
    }

    /// Adds a newer row; gives how many of the oldest went for it.
    pub(super) fn push(&mut self, row: LogRow) -> u64 {
        self.bytes += weight(&row);
        self.rows.push_back(row);
        let mut gone = 0;
        while self.rows.len() > LOGS_KEPT_MAX || (self.bytes > LOGS_KEPT_BYTES_MAX && self.rows.len() > 1) {
            if let Some(oldest) = self.rows.pop_front() {
                self.bytes -= weight(&oldest);
                gone += 1;
            }
        }
        gone
    }

    /// Adds older rows, newest first, as far as there is room.
    pub(super) fn prepend(&mut self, page: Vec<LogRow>) {
        for row in page {
            self.bytes += weight(&row);
            if self.rows.len() >= LOGS_KEPT_MAX || self.bytes > LOGS_KEPT_BYTES_MAX {
                self.bytes -= weight(&row);
                return;
            }
            self.rows.push_front(row);
        }
    }
}

/// Rows that came while the list was paused.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) rows: Rows,
    /// All that came, those that are not kept too.
    pub(super) count: u64,
    /// Those that are not kept.
    pub(super) not_shown: u64,
}

impl Held {
    /// Takes what came.
    pub(super) fn add(&mut self, rows: Vec<LogRow>, not_shown: u64) {
        self.count += rows.len() as u64 + not_shown;
        self.not_shown += not_shown;
        for row in rows {
            self.not_shown += self.rows.push(row);
        }
    }
}

// A row's bytes, roughly: its texts, and a fixed price for the rest.
fn weight(row: &LogRow) -> usize {
    let maps = [&row.attributes, &row.resource, &row.scope.attributes, &row.other];
    let of_maps: usize =
        maps.iter().flat_map(|map| map.iter()).map(|(key, value)| key.len() + 64 + of_value(value)).sum();
    512 + of_maps + of_value(&row.body) + row.severity_text.len() + row.event_name.len()
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|value| 32 + of_value(value)).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| 64 + key.len() + of_value(value)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ingest_seq: u64, body: &str) -> LogRow {
        LogRow { ingest_seq, body: body.into(), ..LogRow::default() }
    }

    #[test]
    fn keeps_the_newest_within_both_bounds() {
        let mut rows = Rows::of_page((0..10).rev().map(|seq| row(seq, "x")).collect());
        assert_eq!((rows.key(0), rows.newest_seq()), (0, Some(9)));
        let gone: u64 = (10..LOGS_KEPT_MAX as u64 + 20).map(|seq| rows.push(row(seq, "x"))).sum();
        assert_eq!((gone, rows.len(), rows.key(0)), (20, LOGS_KEPT_MAX, 20));
        let megabyte = "x".repeat(1 << 20);
        for seq in 0..200 {
            rows.push(row(seq, &megabyte));
            assert!(rows.bytes <= LOGS_KEPT_BYTES_MAX);
        }
        assert!(rows.len() < 50);
        assert_eq!(rows.bytes, rows.iter().map(weight).sum::<usize>());
    }

    #[test]
    fn counts_what_is_held() {
        let mut held = Held::default();
        held.add((0..3).map(|seq| row(seq, "x")).collect(), 12_428);
        assert_eq!((held.count, held.not_shown, held.rows.len()), (12_431, 12_428, 3));
    }
}
