//! The loop that searching and counting have in common: granules that time, numbers and words leave, read for the columns that
//! are needed and evaluated one by one, until the budget ends or whoever collects the rows has enough.

use std::ops::ControlFlow;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{TimestampNanosecondType, UInt64Type};
use arrow::error::ArrowError;
use model::{TimeRange, Timestamp};
use store::schema::column;
use store::{Granule, Narrow, Projection, Snapshot, StoreError, Table};

use crate::limits::FIELD_LOOKUP_GRANULES_MAX;
use crate::search::budget::{Budget, Cancelled, Partial};
use crate::search::evaluate::evaluate;
use crate::search::execute::{Order, SearchError};
use crate::search::layers;
use crate::search::narrow::{key_bounds, narrow};
use crate::search::plan::{Field, Place, Plan};

/// Which rows are looked for, and which of their columns.
#[derive(Debug)]
pub struct Scan<'a> {
    table: Table,
    plan: &'a Plan,
    range: TimeRange,
    seqs: (u64, u64),
    columns: Vec<String>,
    // Attributes that the asker named.
    fields: Vec<&'a Field>,
}

/// Takes the rows that match.
pub trait Collect {
    /// Called before each granule is read. Breaks off where its rows and those of all behind it can be left out.
    fn before(&mut self, _granule: &Granule) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Those of `rows` (of the right time) that are worth evaluating.
    fn wanted(&self, _batch: &RecordBatch, rows: BooleanBuffer) -> BooleanBuffer {
        rows
    }

    /// Takes rows that match. `granule` is the position of the granule that `batch` was read from.
    fn take(&mut self, granule: usize, batch: &RecordBatch, rows: &BooleanBuffer) -> Result<(), SearchError>;
}

/// How a scan ended.
#[derive(Debug)]
pub struct Scanned<'a> {
    /// Set if it ended before it had looked everywhere, or could not.
    pub partial: Option<Partial>,
    /// Attributes that no row looked at has.
    pub unseen: Vec<&'a Field>,
}

impl Scanned<'_> {
    /// Whether it ended before it had looked everywhere.
    pub fn is_cut(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| partial.is_cut)
    }
}

impl<'a> Scan<'a> {
    /// Looks for the rows of `plan` in this time, with these numbers (both included).
    pub fn new(table: Table, plan: &'a Plan, range: TimeRange, seqs: (u64, u64)) -> Self {
        let (of_plan, numbers) = key_bounds(plan);
        let range = TimeRange { start: range.start.max(of_plan.start), end: range.end.min(of_plan.end) };
        let seqs = (seqs.0.max(numbers.0), seqs.1.min(numbers.1));
        let mut scan = Self { table, plan, range, seqs, columns: Vec::new(), fields: Vec::new() };
        scan = scan.reading([column::TIMESTAMP]);
        if seqs != (0, u64::MAX) {
            scan = scan.reading([column::INGEST_SEQ]);
        }
        plan.fields().into_iter().fold(scan, Self::reading_field)
    }

    /// Reads these columns, too.
    pub fn reading(mut self, columns: impl IntoIterator<Item = &'static str>) -> Self {
        self.columns.extend(columns.into_iter().map(String::from));
        self
    }

    /// Reads the columns of this field, too.
    pub fn reading_field(mut self, field: &'a Field) -> Self {
        self.columns.extend(layers::columns(self.table, field));
        if matches!(field, Field::Attribute(..)) {
            self.fields.push(field);
        }
        self
    }

    /// Whether rows are looked for only from some number on.
    pub fn has_first_seq(&self) -> bool {
        self.seqs.0 > 0
    }

    /// The pieces that may have such rows, in no particular order.
    pub fn granules(&self, snapshot: &Snapshot) -> Result<Vec<Granule>, SearchError> {
        let narrow = narrow(self.table, self.plan);
        snapshot.granules_between(self.table, self.range, self.seqs, &narrow).map_err(failed(self.table))
    }

    /// The same, those with the newest rows first: what ends early has then seen the newest.
    pub fn newest_first(&self, snapshot: &Snapshot) -> Result<Vec<Granule>, SearchError> {
        let mut granules = self.granules(snapshot)?;
        granules.sort_by_key(|granule| Order::Descending.best_rank(granule));
        Ok(granules)
    }

    /// Goes through the granules in their order. Rows of `snapshot` that are damaged are left out, and the answer is partial.
    pub fn run(
        &self,
        snapshot: &Snapshot,
        granules: &[Granule],
        collect: &mut impl Collect,
        budget: &mut Budget,
    ) -> Result<Scanned<'a>, SearchError> {
        let projection = Projection::Columns(self.columns.clone());
        let overlaps = |seq: (u64, u64)| seq.0 <= self.seqs.1 && seq.1 >= self.seqs.0;
        let missing = snapshot.missing(self.table, self.range).filter(|part| overlaps(part.seq));
        let missing: u64 = missing.map(|part| part.rows).sum();
        let mut scanned =
            Scanned { partial: (missing > 0).then(|| Partial::damaged(missing)), unseen: self.fields.clone() };
        for (number, granule) in granules.iter().enumerate() {
            if budget.rest(|| collect.before(granule)).is_break() {
                break;
            }
            if let Some(partial) = budget.exhausted().map_err(|Cancelled| SearchError::Cancelled)? {
                scanned.partial = Some(partial);
                break;
            }
            // Scans take a core for long. Who waits for it meanwhile need not wait until the system takes it away.
            if number > 0 {
                std::thread::yield_now();
            }
            let batch = match granule.read(&projection) {
                Ok(batch) => batch,
                Err(error @ StoreError::Damaged { .. }) => {
                    tracing::error!(%error, "a query leaves out rows that are damaged");
                    scanned.partial = Some(Partial::damaged(granule.rows() as u64));
                    continue;
                }
                Err(error) => return Err(failed(self.table)(error)),
            };
            budget.spend(batch.num_rows(), batch.get_array_memory_size());
            scanned.unseen.retain(|field| !layers::is_known(self.table, field, &batch));
            let wanted = collect.wanted(&batch, self.in_bounds(&batch));
            let matched = evaluate(self.plan, self.table, &batch, &wanted)
                .map_err(unreadable(self.table, "evaluate a filter"))?;
            collect.take(number, &batch, &matched)?;
        }
        Ok(scanned)
    }

    fn in_bounds(&self, batch: &RecordBatch) -> BooleanBuffer {
        let times = batch[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
        let in_time = |row: usize| self.range.contains(Timestamp::from_nanos(times[row]));
        let (least, greatest) = self.seqs;
        if (least, greatest) == (0, u64::MAX) {
            return BooleanBuffer::collect_bool(batch.num_rows(), in_time);
        }
        let seqs = batch[column::INGEST_SEQ].as_primitive::<UInt64Type>().values();
        BooleanBuffer::collect_bool(batch.num_rows(), |row| in_time(row) && (least..=greatest).contains(&seqs[row]))
    }

    /// What to tell the asker: which of the attributes that no row had are not in the rows either that the index, the limit or
    /// the order left out.
    pub fn warnings(
        &self,
        scanned: &Scanned<'a>,
        order: Order,
        snapshot: &Snapshot,
        budget: &mut Budget,
    ) -> Result<Vec<String>, SearchError> {
        if scanned.unseen.is_empty() || scanned.is_cut() {
            return Ok(Vec::new());
        }
        self.look_for_fields(scanned.unseen.clone(), order, snapshot, budget).map_err(failed(self.table))
    }

    fn look_for_fields(
        &self,
        mut unseen: Vec<&Field>,
        order: Order,
        snapshot: &Snapshot,
        budget: &mut Budget,
    ) -> Result<Vec<String>, StoreError> {
        let names = unseen.iter().flat_map(|field| layers::columns(self.table, field)).collect();
        let projection = Projection::Columns(names);
        let mut granules = snapshot.granules(self.table, self.range, &Narrow::All)?;
        granules.sort_by_key(|granule| order.best_rank(granule));
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
}

/// Says which table could not be read.
pub fn failed(table: Table) -> impl Fn(StoreError) -> SearchError {
    move |source| SearchError::Store { table, source }
}

/// Says which table's columns could not be read.
pub fn unreadable(table: Table, operation: &'static str) -> impl Fn(ArrowError) -> SearchError {
    move |source| failed(table)(StoreError::Columns { operation, source })
}

fn name_of(field: &Field) -> String {
    match field {
        Field::Column(column) => column.name.to_owned(),
        Field::Attribute(Place::RecordOrResource, key) => key.clone(),
        Field::Attribute(Place::Record, key) => format!("attr.{key}"),
        Field::Attribute(Place::Resource, key) => format!("res.{key}"),
        Field::Attribute(Place::Scope, key) => format!("scope.{key}"),
    }
}
