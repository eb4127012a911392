//! Finds the rows of a plan in a snapshot: the first so many of them in the order asked for, in two phases. First only the
//! columns the filter needs are read, and of the matching rows the keys are kept; then all columns, of these rows alone. An
//! endless answer takes turns: rows go out as soon as none can come before them, so that little waits in memory.

use std::ops::ControlFlow;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{TimestampNanosecondType, UInt64Type};
use model::TimeRange;
use store::schema::column;
use store::{Granule, Projection, Snapshot, StoreError, Table};

use crate::limits::{STATS_GROUPS_MAX, WINDOW_ROWS};
use crate::search::best::{Best, Ranked};
use crate::search::budget::{Budget, Partial};
use crate::search::plan::Plan;
use crate::search::scan::{Collect, Scan, Scanned};

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

/// How an answer ended whose rows were handed over.
#[derive(Clone, Debug)]
pub struct End {
    /// The last row of the answer.
    pub last: Option<Hit>,
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
        let scan = self.scan();
        let granules = self.granules(&scan, snapshot)?;
        let mut page = self.page();
        let scanned = scan.run(snapshot, &granules, &mut page, budget)?;
        let warnings = self.warnings(&scan, &scanned, snapshot, budget)?;
        let mut hits = self.order.hits(page.best.take_all());
        let more = hits.len() > self.limit;
        hits.truncate(self.limit);
        Ok(Found { hits, granules, more, partial: scanned.partial, warnings })
    }

    /// Finds the rows and hands them to `next` while it looks for more, in the order asked for, until there are no more or
    /// `next` breaks off. What `next` takes of time is not the budget's.
    pub fn stream(
        &self,
        snapshot: &Snapshot,
        budget: &mut Budget,
        next: impl FnMut(&[Granule], &[Hit]) -> ControlFlow<()>,
    ) -> Result<End, SearchError> {
        let scan = self.scan();
        let granules = self.granules(&scan, snapshot)?;
        let (page, left) = (self.page(), self.limit);
        let mut stream =
            Stream { page, granules: &granules, next, left, last: None, more: false, is_over: false, enough: 0 };
        let scanned = scan.run(snapshot, &granules, &mut stream, budget)?;
        let mut warnings = Vec::new();
        if !stream.is_over {
            warnings = self.warnings(&scan, &scanned, snapshot, budget)?;
            let rest = stream.page.best.take_all();
            // It is the end either way.
            let _ = stream.hand_over(rest);
        }
        Ok(End { last: stream.last, more: stream.more, partial: scanned.partial, warnings })
    }

    fn scan(&self) -> Scan<'_> {
        Scan::new(self.table, &self.plan, self.range, self.seqs).reading([column::INGEST_SEQ])
    }

    // Those that may have rows, in the order of their first ones.
    fn granules(&self, scan: &Scan<'_>, snapshot: &Snapshot) -> Result<Vec<Granule>, SearchError> {
        let mut granules = scan.granules(snapshot)?;
        granules.retain(|granule| self.may_have_rows(granule));
        granules.sort_by_key(|granule| self.order.best_rank(granule));
        Ok(granules)
    }

    fn page(&self) -> Page {
        // One more than asked for tells whether there is a next page.
        Page { order: self.order, after: self.after, best: Best::new(self.limit.saturating_add(1)) }
    }

    fn warnings<'a>(
        &self,
        scan: &Scan<'a>,
        scanned: &Scanned<'a>,
        snapshot: &Snapshot,
        budget: &mut Budget,
    ) -> Result<Vec<String>, SearchError> {
        // Who asks from a number or a row on has asked before, and was warned then.
        match scan.has_first_seq() || self.after.is_some() {
            true => Ok(Vec::new()),
            false => scan.warnings(scanned, self.order, snapshot, budget),
        }
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
    /// Ranks grow along the order: the complement turns a descending order around without overflow.
    pub(super) fn rank(self, time: i64, seq: u64) -> (i64, u64) {
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

    fn hits(self, ranked: Vec<Ranked>) -> Vec<Hit> {
        let hits = ranked.into_iter().map(|Ranked { rank, position }| {
            // A complement is its own inverse.
            let (timestamp, seq) = self.rank(rank.0, rank.1);
            Hit { timestamp, seq, granule: position.0, row: position.1 }
        });
        hits.collect()
    }
}

// Collects the keys of one page.
struct Page {
    order: Order,
    after: Option<(i64, u64)>,
    best: Best,
}

impl Collect for Page {
    fn before(&mut self, granule: &Granule) -> ControlFlow<()> {
        match self.best.is_complete_before(self.order.best_rank(granule)) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
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
            self.best.offer(Ranked { rank: self.order.rank(times[row], seqs[row]), position });
        }
        Ok(())
    }
}

// Collects rows, and hands over those that no granule to come can have any before.
struct Stream<'a, N> {
    page: Page,
    granules: &'a [Granule],
    next: N,
    // How many may still be handed over.
    left: usize,
    last: Option<Hit>,
    more: bool,
    // There are more rows than may be handed over, or nobody wants further ones.
    is_over: bool,
    // Rows collected from which on it is worth looking for such.
    enough: usize,
}

impl<N: FnMut(&[Granule], &[Hit]) -> ControlFlow<()>> Stream<'_, N> {
    fn hand_over(&mut self, rows: Vec<Ranked>) -> ControlFlow<()> {
        let mut hits = self.page.order.hits(rows);
        self.more |= hits.len() > self.left;
        hits.truncate(self.left);
        self.left -= hits.len();
        self.last = hits.last().copied().or(self.last);
        let flow = if hits.is_empty() { ControlFlow::Continue(()) } else { (self.next)(self.granules, &hits) };
        self.is_over = self.more || flow.is_break();
        if self.is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl<N: FnMut(&[Granule], &[Hit]) -> ControlFlow<()>> Collect for Stream<'_, N> {
    fn before(&mut self, granule: &Granule) -> ControlFlow<()> {
        if self.page.best.kept() > self.enough {
            let rows = self.page.best.take_before(self.page.order.best_rank(granule));
            // Where all granules overlap, nothing is final until the end: that is not looked for again and again.
            self.enough = (2 * self.page.best.kept()).max(WINDOW_ROWS);
            self.hand_over(rows)?;
        }
        self.page.before(granule)
    }

    fn wanted(&self, batch: &RecordBatch, rows: BooleanBuffer) -> BooleanBuffer {
        self.page.wanted(batch, rows)
    }

    fn take(&mut self, granule: usize, batch: &RecordBatch, rows: &BooleanBuffer) -> Result<(), SearchError> {
        self.page.take(granule, batch, rows)
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
        read(&self.granules, hits)
    }
}

/// All columns of the rows of `hits`, which must be hits in these granules.
pub fn read(granules: &[Granule], hits: &[Hit]) -> Result<Rows, StoreError> {
    let mut by_place: Vec<usize> = (0..hits.len()).collect();
    by_place.sort_unstable_by_key(|hit| (hits[*hit].granule, hits[*hit].row));
    let mut batches = Vec::new();
    let mut places = vec![(0, 0); hits.len()];
    for group in by_place.chunk_by(|left, right| hits[*left].granule == hits[*right].granule) {
        let granule = &granules[hits[group[0]].granule as usize];
        let rows: Vec<u32> = group.iter().map(|hit| hits[*hit].row).collect();
        for (row, hit) in group.iter().enumerate() {
            places[*hit] = (batches.len(), row);
        }
        batches.push(granule.read_rows(&Projection::All, &rows)?);
    }
    Ok(Rows { batches, places })
}
