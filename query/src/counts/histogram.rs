//! How many records there are over time, split by severity (logs) or status (spans).

use arrow::array::{AsArray as _, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Int32Type, TimestampNanosecondType};
use model::wire::counts::{Histogram, HistogramSeries};
use model::wire::logs::severity_word;
use model::wire::spans::status_word;
use store::schema::column;
use store::{Snapshot, Table};

use crate::counts::Buckets;
use crate::rows::columns::Numbers;
use crate::search::budget::Budget;
use crate::search::execute::{Order, SearchError};
use crate::search::plan::Plan;
use crate::search::scan::{Collect, Scan, unreadable};

// Worst first.
const LOGS: &[&str] = &["fatal", "error", "warn", "info", "debug", "trace", "unspecified"];
const SPANS: &[&str] = &["error", "ok", "unset"];

/// Counts the rows of the plan in each bucket. Newest buckets first, so that a count that ends early lacks the oldest ones.
pub fn histogram(
    table: Table,
    plan: &Plan,
    buckets: Buckets,
    snapshot: &Snapshot,
    budget: &mut Budget,
) -> Result<Histogram, SearchError> {
    let (words, kind) = match table {
        Table::Logs => (LOGS, column::SEVERITY_NUMBER),
        _ => (SPANS, column::STATUS_CODE),
    };
    let scan = Scan::new(table, plan, buckets.range(), (0, u64::MAX)).reading([kind]);
    let granules = scan.newest_first(snapshot)?;
    let counts = vec![vec![0; buckets.count()]; words.len()];
    let mut counting = Counting { table, buckets, kind, words, counts };
    let scanned = scan.run(snapshot, &granules, &mut counting, budget)?;
    let warnings = scan.warnings(&scanned, Order::Descending, snapshot, budget)?;
    let series = words.iter().zip(counting.counts).filter(|(_, counts)| counts.iter().any(|count| *count > 0));
    let series: Vec<HistogramSeries> =
        series.map(|(word, counts)| HistogramSeries { key: (*word).to_owned(), counts }).collect();
    Ok(Histogram {
        start: buckets.range().start.to_string(),
        end: buckets.range().end.to_string(),
        step_ns: buckets.step(),
        total: series.iter().flat_map(|series| &series.counts).sum(),
        series,
        partial: scanned.partial.is_some(),
        reason: scanned.partial.map(|partial| partial.reason),
        warnings,
    })
}

struct Counting {
    table: Table,
    buckets: Buckets,
    kind: &'static str,
    words: &'static [&'static str],
    // By word, then by bucket.
    counts: Vec<Vec<u64>>,
}

impl Counting {
    // Whatever has no word of its own is counted with the last one: unspecified, unset.
    fn series(&self, number: i32) -> usize {
        let word = match self.table {
            Table::Logs => severity_word(number).map(String::from),
            _ => Some(status_word(number)),
        };
        let place = word.and_then(|word| self.words.iter().position(|known| *known == word));
        place.unwrap_or(self.words.len() - 1)
    }
}

impl Collect for Counting {
    fn take(&mut self, _granule: usize, batch: &RecordBatch, rows: &BooleanBuffer) -> Result<(), SearchError> {
        let times = batch[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
        let numbers: Numbers<Int32Type> =
            Numbers::of(batch, self.kind).map_err(unreadable(self.table, "count records"))?;
        let mut last = (0, self.series(0));
        for row in rows.set_indices() {
            let number = numbers.number(row);
            // Neighbours are often of one kind.
            if number != last.0 {
                last = (number, self.series(number));
            }
            self.counts[last.1][self.buckets.place(times[row])] += 1;
        }
        Ok(())
    }
}
