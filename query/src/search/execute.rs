//! Finds the rows of a plan in a snapshot: the first so many of them in the order asked for, in two phases. First only the
//! columns the filter needs are read, and of the matching rows the keys are kept; then all columns, of these rows alone.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{TimestampNanosecondType, UInt64Type};
use model::TimeRange;
use store::schema::column;
use store::{Granule, Projection, Snapshot, StoreError, Table};

use crate::limits::FIELD_LOOKUP_GRANULES_MAX;
use crate::search::budget::{Budget, Cancelled, Partial};
use crate::search::evaluate::evaluate;
use crate::search::layers;
use crate::search::narrow::{key_bounds, narrow};
use crate::search::plan::{Field, Plan};

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
        let (range, seqs) = key_bounds(&self.plan);
        let range = TimeRange { start: self.range.start.max(range.start), end: self.range.end.min(range.end) };
        let seqs = (self.seqs.0.max(seqs.0), self.seqs.1.min(seqs.1));
        Self { range, seqs, ..self.clone() }.run_bounded(snapshot, budget)
    }

    fn run_bounded(&self, snapshot: &Snapshot, budget: &mut Budget) -> Result<Found, SearchError> {
        let failed = |source| SearchError::Store { table: self.table, source };
        let narrow = narrow(self.table, &self.plan);
        let mut granules = snapshot.granules_between(self.table, self.range, self.seqs, &narrow).map_err(failed)?;
        granules.retain(|granule| self.may_have_rows(granule));
        granules.sort_by_key(|granule| self.best_rank(granule));
        let mut unseen: Vec<&Field> = self.plan.fields();
        unseen.retain(|field| matches!(field, Field::Attribute(..)));
        // One more than asked for tells whether there is a next page.
        let mut top = Top { limit: self.limit.saturating_add(1), ranked: BinaryHeap::new() };
        let mut partial = None;
        let projection = self.filter_columns();
        for (number, granule) in granules.iter().enumerate() {
            if top.is_complete_before(self.best_rank(granule)) {
                break;
            }
            partial = budget.exhausted().map_err(|Cancelled| SearchError::Cancelled)?;
            if partial.is_some() {
                break;
            }
            let batch = granule.read(&projection).map_err(failed)?;
            budget.spend(batch.num_rows(), batch.get_array_memory_size());
            unseen.retain(|field| !layers::is_known(self.table, field, &batch));
            self.collect(&batch, number, &mut top).map_err(failed)?;
        }
        // Who asks from a number or a row on has asked before, and was warned then.
        let goes_on = self.seqs.0 > 0 || self.after.is_some();
        let warnings = match unseen.is_empty() || partial.is_some() || goes_on {
            true => Vec::new(),
            false => self.look_for_fields(snapshot, unseen, budget).map_err(failed)?,
        };
        let mut hits = top.into_hits(self.order);
        let more = hits.len() > self.limit;
        hits.truncate(self.limit);
        Ok(Found { hits, granules, more, partial, warnings })
    }

    fn collect(&self, batch: &RecordBatch, granule: usize, top: &mut Top) -> Result<(), StoreError> {
        let operation = "evaluate a filter";
        let failed = |source| StoreError::Columns { operation, source };
        let times = batch[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
        let seqs = batch[column::INGEST_SEQ].as_primitive::<UInt64Type>().values();
        let (least, greatest) = self.seqs;
        let wanted = BooleanBuffer::collect_bool(batch.num_rows(), |row| {
            let (time, seq) = (times[row], seqs[row]);
            self.range.contains(model::Timestamp::from_nanos(time))
                && (least..=greatest).contains(&seq)
                && self.after.is_none_or(|after| self.rank(time, seq) > self.rank(after.0, after.1))
        });
        let matched = evaluate(&self.plan, self.table, batch, &wanted).map_err(failed)?;
        for row in matched.set_indices() {
            let position = (granule as u32, row as u32);
            top.offer(Ranked { rank: self.rank(times[row], seqs[row]), position });
        }
        Ok(())
    }

    // Whether any field of the plan that no row had is in the rows that the index, the limit or the order left out.
    fn look_for_fields(
        &self,
        snapshot: &Snapshot,
        mut unseen: Vec<&Field>,
        budget: &mut Budget,
    ) -> Result<Vec<String>, StoreError> {
        let names = unseen.iter().flat_map(|field| layers::columns(self.table, field)).collect();
        let projection = Projection::Columns(names);
        let mut granules = snapshot.granules(self.table, self.range, &store::Narrow::All)?;
        granules.sort_by_key(|granule| self.best_rank(granule));
        let mut looked = 0;
        for granule in granules.iter().take(FIELD_LOOKUP_GRANULES_MAX) {
            if unseen.is_empty() {
                break;
            }
            if budget.is_spent() {
                // The answer is whole; only the advice would cost too much.
                return Ok(Vec::new());
            }
            let batch = granule.read(&projection)?;
            budget.spend(batch.num_rows(), batch.get_array_memory_size());
            looked += granule.rows();
            unseen.retain(|field| !layers::is_known(self.table, field, &batch));
        }
        if looked == 0 {
            // No rows, no judgement.
            return Ok(Vec::new());
        }
        let mut warnings: Vec<String> =
            unseen.iter().map(|field| format!("no row looked at has the field `{}`", name_of(field))).collect();
        warnings.sort();
        warnings.dedup();
        Ok(warnings)
    }

    fn filter_columns(&self) -> Projection {
        let always = [column::TIMESTAMP, column::INGEST_SEQ].map(String::from);
        let fields = self.plan.fields().into_iter().flat_map(|field| layers::columns(self.table, field));
        Projection::Columns(always.into_iter().chain(fields).collect())
    }

    fn may_have_rows(&self, granule: &Granule) -> bool {
        let (earliest, latest) = granule.time_bounds();
        let last = match self.order {
            Order::Descending => earliest,
            Order::Ascending => latest,
        };
        self.after.is_none_or(|after| self.time_rank(last.as_nanos()) >= self.time_rank(after.0))
    }

    // The time rank of the granule's first row in the order, or less.
    fn best_rank(&self, granule: &Granule) -> i64 {
        let (earliest, latest) = granule.time_bounds();
        match self.order {
            Order::Descending => self.time_rank(latest.as_nanos()),
            Order::Ascending => self.time_rank(earliest.as_nanos()),
        }
    }

    // Ranks grow along the order: the complement turns a descending order around without overflow.
    fn rank(&self, time: i64, seq: u64) -> (i64, u64) {
        match self.order {
            Order::Descending => (!time, !seq),
            Order::Ascending => (time, seq),
        }
    }

    fn time_rank(&self, time: i64) -> i64 {
        self.rank(time, 0).0
    }
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

fn name_of(field: &Field) -> String {
    use crate::search::plan::Place;
    match field {
        Field::Column(column) => column.name.to_owned(),
        Field::Attribute(Place::RecordOrResource, key) => key.clone(),
        Field::Attribute(Place::Record, key) => format!("attr.{key}"),
        Field::Attribute(Place::Resource, key) => format!("res.{key}"),
        Field::Attribute(Place::Scope, key) => format!("scope.{key}"),
    }
}

// The best so many rows seen. The heap's greatest element is the worst of them.
struct Top {
    limit: usize,
    ranked: BinaryHeap<Ranked>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    rank: (i64, u64),
    // Granule and row: exemplars of one point may share time and number, and must not change places between two reads.
    position: (u32, u32),
}

impl Top {
    fn offer(&mut self, row: Ranked) {
        if self.ranked.len() < self.limit {
            self.ranked.push(row);
            return;
        }
        if let Some(mut worst) = self.ranked.peek_mut()
            && row.cmp(&worst) == Ordering::Less
        {
            *worst = row;
        }
    }

    // Whether no row of this time rank or a later one can be among the best.
    fn is_complete_before(&self, time_rank: i64) -> bool {
        self.ranked.len() >= self.limit && self.ranked.peek().is_none_or(|worst| worst.rank.0 < time_rank)
    }

    fn into_hits(self, order: Order) -> Vec<Hit> {
        let hits = self.ranked.into_sorted_vec().into_iter().map(|Ranked { rank: (time, seq), position }| {
            let (timestamp, seq) = match order {
                Order::Descending => (!time, !seq),
                Order::Ascending => (time, seq),
            };
            Hit { timestamp, seq, granule: position.0, row: position.1 }
        });
        hits.collect()
    }
}
