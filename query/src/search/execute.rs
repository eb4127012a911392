//! Finds the rows of a plan in a snapshot: the first so many of them in the order asked for, in two phases. First only the
//! columns the filter needs are read, and of the matching rows the keys are kept; then all columns, of these rows alone.

use arrow::array::{AsArray as _, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{TimestampNanosecondType, UInt64Type};
use model::TimeRange;
use store::schema::column;
use store::{Granule, Projection, Snapshot, StoreError, Table};

use crate::limits::{PAGE_ROWS_MAX, STATS_GROUPS_MAX};
use crate::search::budget::{Budget, Partial};
use crate::search::plan::Plan;
use crate::search::scan::{Collect, Scan};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Search {
    /// In which table.
    pub table: Table,
    /// Which rows.
    pub plan: Plan,
    /// Of which time.
    pub range: TimeRange,
    /// In which order.
    pub order: Order,
    /// How many at most.
    pub limit: usize,
    /// Only rows that come after this (timestamp, ingest_seq) in the order.
    pub after: Option<(i64, u64)>,
    /// Only rows whose `ingest_seq` lies between these, both included.
    pub seqs: (u64, u64),
}

/// The order of an answer: by (timestamp, ingest_seq).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    Descending,
    /// Oldest first.
    Ascending,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The store could not be read.
    #[error("cannot search the {}", table.as_str())]
    Store {
        /// Which table.
        table: Table,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// Nobody waits for the answer any more.
    #[error("the search was cancelled")]
    Cancelled,
    /// A count by fields of which there are too many values. A count of only some of its groups would be no answer.
    #[error("the count has too many groups: more than {STATS_GROUPS_MAX}, or their values are very long")]
    TooManyGroups,
}

/// Where the rows of an answer are.
#[derive(Debug)]
pub struct Found {
    /// In the order asked for.
    pub hits: Vec<Hit>,
    /// The pieces that the hits are in.
    pub granules: Vec<Granule>,
    /// Whether more rows match than were asked for.
    pub more: bool,
    /// Set if the search ended before it had looked everywhere.
    pub partial: Option<Partial>,
    /// What the asker may want to know.
    pub warnings: Vec<String>,
}

/// One row of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Nanoseconds since the Unix epoch.
    pub timestamp: i64,
    /// The number the row got when it was committed.
    pub seq: u64,
    /// Position in [`Found::granules`].
    pub granule: u32,
    /// Position in the granule.
    pub row: u32,
}

/// Rows with all their columns.
#[derive(Clone, Debug)]
pub struct Rows {
    /// In no particular order.
    pub batches: Vec<RecordBatch>,
    /// For each row its batch and its position there, in the order of the hits.
    pub places: Vec<Place>,
}

/// A batch, and a row in it.
pub type Place = (usize, usize);

impl Search {
    /// Everything in `range` that the plan matches, oldest first, as far as `limit` goes.
    pub fn all(table: Table, plan: Plan, range: TimeRange, limit: usize) -> Self {
        Self { table, plan, range, order: Order::Ascending, limit, after: None, seqs: (0, u64::MAX) }
    }

    /// Finds the rows.
    pub fn run(&self, snapshot: &Snapshot, budget: &mut Budget) -> Result<Found, SearchError> {
        let scan = Scan::new(self.table, &self.plan, self.range, self.seqs).reading([column::INGEST_SEQ]);
        let mut granules = scan.granules(snapshot)?;
        granules.retain(|granule| self.may_have_rows(granule));
        granules.sort_by_key(|granule| self.order.best_rank(granule));
        // One more than asked for tells whether there is a next page.
        let top = Top::new(self.limit.saturating_add(1));
        let mut page = Page { order: self.order, after: self.after, top };
        let scanned = scan.run(snapshot, &granules, &mut page, budget)?;
        // Who asks from a number or a row on has asked before, and was warned then.
        let warnings = match scan.has_first_seq() || self.after.is_some() {
            true => Vec::new(),
            false => scan.warnings(&scanned, self.order, snapshot, budget)?,
        };
        let mut hits = page.top.into_hits(self.order);
        let more = hits.len() > self.limit;
        hits.truncate(self.limit);
        Ok(Found { hits, granules, more, partial: scanned.partial, warnings })
    }

    fn may_have_rows(&self, granule: &Granule) -> bool {
        let (earliest, latest) = granule.time_bounds();
        let last = match self.order {
            Order::Descending => earliest,
            Order::Ascending => latest,
        };
        let time_rank = |time: i64| self.order.rank(time, 0).0;
        self.after.is_none_or(|after| time_rank(last.as_nanos()) >= time_rank(after.0))
    }
}

impl Order {
    // Ranks grow along the order: the complement turns a descending order around without overflow.
    fn rank(self, time: i64, seq: u64) -> (i64, u64) {
        match self {
            Order::Descending => (!time, !seq),
            Order::Ascending => (time, seq),
        }
    }

    /// The time rank of the granule's first row in the order, or less: what granules are sorted by.
    pub(super) fn best_rank(self, granule: &Granule) -> i64 {
        let (earliest, latest) = granule.time_bounds();
        let first = match self {
            Order::Descending => latest,
            Order::Ascending => earliest,
        };
        self.rank(first.as_nanos(), 0).0
    }
}

// Collects the keys of one page.
struct Page {
    order: Order,
    after: Option<(i64, u64)>,
    top: Top,
}

impl Collect for Page {
    fn is_complete_before(&mut self, granule: &Granule) -> bool {
        self.top.is_complete_before(self.order.best_rank(granule))
    }

    fn wanted(&self, batch: &RecordBatch, rows: BooleanBuffer) -> BooleanBuffer {
        let Some(after) = self.after else { return rows };
        let (times, seqs) = keys(batch);
        let after = self.order.rank(after.0, after.1);
        BooleanBuffer::collect_bool(rows.len(), |row| rows.value(row) && self.order.rank(times[row], seqs[row]) > after)
    }

    fn take(&mut self, granule: usize, batch: &RecordBatch, rows: &BooleanBuffer) -> Result<(), SearchError> {
        let (times, seqs) = keys(batch);
        for row in rows.set_indices() {
            let position = (granule as u32, row as u32);
            self.top.offer(Ranked { rank: self.order.rank(times[row], seqs[row]), position });
        }
        Ok(())
    }
}

fn keys(batch: &RecordBatch) -> (&[i64], &[u64]) {
    let times = batch[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
    let seqs = batch[column::INGEST_SEQ].as_primitive::<UInt64Type>().values();
    (times, seqs)
}

impl Found {
    /// All columns of the rows of `hits`, which must be hits of this answer.
    pub fn read(&self, hits: &[Hit]) -> Result<Rows, StoreError> {
        let mut by_place: Vec<usize> = (0..hits.len()).collect();
        by_place.sort_unstable_by_key(|hit| (hits[*hit].granule, hits[*hit].row));
        let mut batches = Vec::new();
        let mut places = vec![(0, 0); hits.len()];
        for group in by_place.chunk_by(|left, right| hits[*left].granule == hits[*right].granule) {
            let granule = &self.granules[hits[group[0]].granule as usize];
            let rows: Vec<u32> = group.iter().map(|hit| hits[*hit].row).collect();
            for (row, hit) in group.iter().enumerate() {
                places[*hit] = (batches.len(), row);
            }
            batches.push(granule.read_rows(&Projection::All, &rows)?);
        }
        Ok(Rows { batches, places })
    }
}

// The best so many rows seen, and some that were among them once.
struct Top {
    limit: usize,
    ranked: Vec<Ranked>,
    // The worst of the best at some moment: what is no better is none of them, nor will be.
    worst: Option<Ranked>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    rank: (i64, u64),
    // Granule and row: exemplars of one point may share time and number, and must not change places between two reads.
    position: (u32, u32),
}

impl Top {
    fn new(limit: usize) -> Self {
        Self { limit, ranked: Vec::new(), worst: None }
    }

    // Half as many more are kept before the best of them are chosen: a heap would move each row as often as it has levels.
    fn offer(&mut self, row: Ranked) {
        if self.worst.is_none_or(|worst| row < worst) {
            self.ranked.push(row);
            if self.ranked.len() > self.limit.saturating_add(self.limit / 2) {
                self.choose();
            }
        }
    }

    // Whether no row of this time rank or a later one can be among the best.
    fn is_complete_before(&mut self, time_rank: i64) -> bool {
        // Once a granule, of a small page: it spares reading the next one. Of a large one, what `offer` knows does.
        if self.ranked.len() >= self.limit && (self.worst.is_none() || self.limit <= PAGE_ROWS_MAX) {
            self.choose();
        }
        self.worst.is_some_and(|worst| worst.rank.0 < time_rank)
    }

    fn choose(&mut self) {
        let Some(last) = self.limit.checked_sub(1) else { return };
        if last < self.ranked.len() {
            let (_, worst, _) = self.ranked.select_nth_unstable(last);
            self.worst = Some(*worst);
            self.ranked.truncate(self.limit);
        }
    }

    fn into_hits(mut self, order: Order) -> Vec<Hit> {
        // Granules are in order already, or in the opposite one: such a sort only joins them.
        self.ranked.sort();
        self.ranked.truncate(self.limit);
        let hits = self.ranked.into_iter().map(|Ranked { rank: (time, seq), position }| {
            let (timestamp, seq) = match order {
                Order::Descending => (!time, !seq),
                Order::Ascending => (time, seq),
            };
            Hit { timestamp, seq, granule: position.0, row: position.1 }
        });
        hits.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Whatever comes in whatever order, the best are what sorting everything gives.
    #[test]
    fn the_best_rows_are_kept() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let (rows, limit, times) = (random.u32(0..400), random.usize(1..60), random.i64(1..50));
            let mut all = Vec::new();
            let mut top = Top::new(limit);
            for row in 0..rows {
                let granule = row / 10;
                let ranked = Ranked { rank: (random.i64(0..times), u64::from(row)), position: (granule, row % 10) };
                all.push(ranked);
                top.offer(ranked);
                let rank = random.i64(0..times);
                let mut best = all.clone();
                best.sort_unstable();
                let complete = best.get(limit - 1).is_some_and(|worst| worst.rank.0 < rank);
                assert_eq!(top.is_complete_before(rank), complete, "{limit} of {all:?} before {rank}");
            }
            all.sort_unstable();
            all.truncate(limit);
            let kept = top.into_hits(Order::Ascending);
            let kept: Vec<u64> = kept.iter().map(|hit| hit.seq).collect();
            assert_eq!(kept, all.iter().map(|row| row.rank.1).collect::<Vec<_>>());
        }
    }
}
