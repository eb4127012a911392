//! One version of everything that can be queried: the parts and the chunks of the head that were there at one moment.
//!
//! A flush publishes its part and retires the chunks it holds in one step, so that no snapshot sees a row twice or misses
//! one. A snapshot keeps what it refers to alive; it costs a few reference counts.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use model::{TimeRange, Timestamp};

use crate::head::Chunk;
use crate::part::{Part, PartName};
use crate::retention::Cutoffs;
use crate::scan::SeriesRows;
use crate::schema::{Table, column};
use crate::visible::Chunks;
use crate::{Granule, StoreError, scan};

/// A consistent view of the store.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) version: u64,
    pub(crate) last_seq: u64,
    pub(crate) chunks: Chunks,
    pub(crate) parts: Arc<Vec<Arc<Part>>>,
    pub(crate) cutoffs: Cutoffs,
    pub(crate) missing: Arc<Vec<Missing>>,
}

/// A damaged part that is out of use: an answer that covers its time may lack its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The part.
    pub name: PartName,
    /// Number of its rows.
    pub rows: u64,
    /// Their least and greatest `timestamp`.
    pub time: (Timestamp, Timestamp),
    /// Their least and greatest `ingest_seq`.
    pub seq: (u64, u64),
}

impl Snapshot {
    /// Grows with every commit and every flush.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The highest `ingest_seq` committed when the snapshot was taken; 0 if there is none.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Damaged parts that may have held rows of a table and range: if there are any, an answer is partial.
    pub fn missing(&self, table: Table, range: TimeRange) -> impl Iterator<Item = &Missing> {
        self.missing.iter().filter(move |part| part.name.table == table && range.overlaps(part.time.0, part.time.1))
    }

    /// What is expired: such rows are not shown, whether they are deleted yet or not.
    pub fn cutoffs(&self) -> &Cutoffs {
        &self.cutoffs
    }

    /// How many rows of a table are expired and not yet deleted. Reads the granules that hold some.
    pub fn expired_rows(&self, table: Table) -> Result<u64, StoreError> {
        let chunks = self.chunks_in(table, TimeRange::ALL).cloned().map(Granule::of_chunk);
        let parts = self.parts_in(table, TimeRange::ALL);
        let parts = parts.flat_map(|part| scan::pruned(part, TimeRange::ALL, (0, u64::MAX), &Narrow::All));
        let mut expired = 0;
        for granule in chunks.chain(parts) {
            let all = granule.rows();
            let shown = granule.unexpired(table, &self.cutoffs).map_or(Ok(0), |granule| granule.count())?;
            expired += (all - shown) as u64;
        }
        Ok(expired)
    }

    /// All parts, in no particular order.
    pub fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// The pieces of a table that may hold rows of `range` which meet `narrow`, in no particular order.
    pub fn granules(&self, table: Table, range: TimeRange, narrow: &Narrow) -> Result<Vec<Granule>, StoreError> {
        self.granules_between(table, range, (0, u64::MAX), narrow)
    }

    /// [`Snapshot::granules`] that may hold rows whose `ingest_seq` lies between these, both included. What lies outside is
    /// left out before its index is opened: a tail asks for the newest numbers many times a second.
    pub fn granules_between(
        &self,
        table: Table,
        range: TimeRange,
        seqs: (u64, u64),
        narrow: &Narrow,
    ) -> Result<Vec<Granule>, StoreError> {
        if *narrow == Narrow::Nothing {
            return Ok(Vec::new());
        }
        let overlaps = |(least, greatest): (u64, u64)| least <= seqs.1 && greatest >= seqs.0;
        let chunks = self.chunks_in(table, range).filter(|chunk| overlaps(chunk.seq_bounds()));
        let mut granules: Vec<Granule> = chunks.cloned().map(Granule::of_chunk).collect();
        for part in self.parts_in(table, range).filter(|part| overlaps(part.seq_bounds())) {
            granules.extend(scan::pruned(part, range, seqs, narrow));
        }
        Ok(granules.into_iter().filter_map(|granule| granule.unexpired(table, &self.cutoffs)).collect())
    }

    /// Tables of the series that may have points in `range`, each once. One series may stand in several of them.
    pub fn series(&self, range: TimeRange) -> Vec<SeriesTable> {
        let chunks = self.chunks_in(Table::Points, range).cloned().map(SeriesTable::Head);
        let parts = self.parts_in(Table::Points, range).cloned().map(SeriesTable::Part);
        let mut seen = HashSet::new();
        chunks.chain(parts).filter(|table| seen.insert(table.key())).collect()
    }

    /// The points of these series in `range`, in pieces of no particular order. The projection always has `timestamp`, and never `series_id`:
    /// runs say whose the rows are.
    pub fn samples(
        &self,
        series: &HashSet<u64>,
        range: TimeRange,
        projection: &Projection,
    ) -> Result<Vec<SeriesRows>, StoreError> {
        let mut pieces = Vec::new();
        self.samples_while(series, range, projection, |piece| {
            if !piece.runs.is_empty() {
                pieces.push(piece);
            }
            Ok::<(), StoreError>(())
        })?;
        Ok(pieces)
    }

    /// [`Snapshot::samples`] piece by piece, so that a query can end at the error of `take` before it has read everything.
    /// What was read and held none of the series has no runs.
    pub fn samples_while<E: From<StoreError>>(
        &self,
        series: &HashSet<u64>,
        range: TimeRange,
        projection: &Projection,
        take: impl FnMut(SeriesRows) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut ids: Vec<u64> = series.iter().copied().collect();
        ids.sort_unstable();
        let projection = &projection.with(column::TIMESTAMP);
        let granules = self.granules(Table::Points, range, &Narrow::All)?;
        scan::Wanted { series: &ids, range, projection }.read(granules, take)
    }

    fn chunks_in(&self, table: Table, range: TimeRange) -> impl Iterator<Item = &Arc<Chunk>> {
        self.chunks.iter().filter(move |chunk| {
            let (least, greatest) = chunk.time_bounds();
            chunk.table() == table && range.overlaps(least, greatest)
        })
    }

    fn parts_in(&self, table: Table, range: TimeRange) -> impl Iterator<Item = &Arc<Part>> {
        self.parts.iter().filter(move |part| {
            let (least, greatest) = part.time_bounds();
            part.table() == table && range.overlaps(least, greatest)
        })
    }
}

/// A table of series, read when it is asked for.
#[derive(Clone, Debug)]
pub enum SeriesTable {
    /// Of a batch in memory, and of all that share it.
    Head(Arc<Chunk>),
    /// Of a part.
    Part(Arc<Part>),
}

/// What tells tables of series apart. Those with one key hold the same for ever, in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeriesTableKey {
    /// Of [`SeriesTable::Head`].
    Head(u64),
    /// The number of the part.
    Part(u64),
}

impl SeriesTable {
    /// Told apart by.
    pub fn key(&self) -> SeriesTableKey {
        match self {
            SeriesTable::Head(chunk) => SeriesTableKey::Head(chunk.expanded_series().number()),
            SeriesTable::Part(part) => SeriesTableKey::Part(part.name().number),
        }
    }

    /// The series.
    pub fn read(&self) -> Result<Arc<RecordBatch>, StoreError> {
        match self {
            SeriesTable::Head(chunk) => chunk.series(),
            SeriesTable::Part(part) => part.series(),
        }
    }
}

/// What an index may leave out. Conservative: rows that meet the condition are never left out, others may come along.
#[derive(Clone, Debug, PartialEq)]
pub enum Narrow {
    /// Every row may match.
    All,
    /// No row can match.
    Nothing,
    /// Rows must match all of these.
    And(Vec<Narrow>),
    /// Rows must match one of these.
    Or(Vec<Narrow>),
    /// Rows whose column has this token.
    Token {
        /// A fixed column (`body`, `name`, `trace_id`, `correlation_id`, `service`, ...) or an attribute's (`attr:KEY`,
        /// `res:KEY`, `scope:KEY`), whether its values have a column of their own or live in the overflow. Values that
        /// are no text count with their text, see `model::attributes::AttributeValue::to_text`.
        column: String,
        /// One token of [`crate::text::tokenizer`], in lower case; for `trace_id` and its like all hexadecimal digits.
        token: String,
    },
}

/// Which columns a read returns. Columns that a granule does not have are left out; every value of theirs is null.
#[derive(Clone, Debug, PartialEq)]
pub enum Projection {
    /// All columns.
    All,
    /// These columns.
    Columns(Vec<String>),
}

impl Projection {
    /// Whether the column is wanted.
    pub fn wants(&self, name: &str) -> bool {
        match self {
            Projection::All => true,
            Projection::Columns(names) => names.iter().any(|wanted| wanted == name),
        }
    }

    /// The same and one more column.
    pub(crate) fn with(&self, name: &str) -> Projection {
        match self {
            Projection::Columns(names) if !self.wants(name) => {
                Projection::Columns(names.iter().cloned().chain([name.to_owned()]).collect())
            }
            _ => self.clone(),
        }
    }

    pub(crate) fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let schema: Arc<Schema> = rows.schema();
        let wanted: Vec<usize> = (0..schema.fields().len()).filter(|i| self.wants(schema.field(*i).name())).collect();
        rows.project(&wanted).map_err(columns_error("pick columns"))
    }
}

pub(crate) fn columns_error(operation: &'static str) -> impl Fn(arrow::error::ArrowError) -> StoreError {
    move |source| StoreError::Columns { operation, source }
}
