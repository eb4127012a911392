//! One version of everything that can be queried: the parts and the chunks of the head that were there at one moment.
//!
//! A flush publishes its part and retires the chunks it holds in one step, so that no snapshot sees a row twice or misses
//! one. A snapshot keeps what it refers to alive; it costs a few reference counts.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::{Schema, UInt64Type};
use model::{TimeRange, Timestamp};

use crate::StoreError;
use crate::head::Chunk;
use crate::part::Part;
use crate::schema::{Table, column, flat_rows};

/// A consistent view of the store.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) version: u64,
    pub(crate) last_seq: u64,
    pub(crate) chunks: Vec<Arc<Chunk>>,
    pub(crate) parts: Vec<Arc<Part>>,
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

    /// All parts, in no particular order.
    pub fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// The pieces of a table that may hold rows of `range` which meet `narrow`, in no particular order.
    pub fn granules(&self, table: Table, range: TimeRange, narrow: &Narrow) -> Result<Vec<Granule>, StoreError> {
        if *narrow == Narrow::Nothing {
            return Ok(Vec::new());
        }
        let chunks = self.chunks.iter().filter(|chunk| chunk.table() == table);
        let in_range = chunks.filter(|chunk| {
            let (least, greatest) = chunk.time_bounds();
            range.overlaps(least, greatest)
        });
        Ok(in_range.map(|chunk| Granule { source: Source::Head(Arc::clone(chunk)) }).collect())
    }

    /// Tables of the series that may have points in `range`. One series may stand in several of them.
    pub fn series(&self, range: TimeRange) -> Result<Vec<Arc<RecordBatch>>, StoreError> {
        let chunks = self.chunks.iter().filter(|chunk| chunk.table() == Table::Points);
        let in_range = chunks.filter(|chunk| {
            let (least, greatest) = chunk.time_bounds();
            range.overlaps(least, greatest)
        });
        Ok(in_range.map(|chunk| Arc::new(chunk.batch().shared.clone())).collect())
    }

    /// The points of these series in `range` as parts keep them (with `series_id`, without the series' other columns), in
    /// batches of no particular order. Rows outside the range may be among them.
    pub fn samples(
        &self,
        series: &HashSet<u64>,
        range: TimeRange,
        projection: &Projection,
    ) -> Result<Vec<RecordBatch>, StoreError> {
        let mut batches = Vec::new();
        for granule in self.granules(Table::Points, range, &Narrow::All)? {
            let rows = granule.read_points(projection)?;
            let ids = rows[column::SERIES_ID].as_primitive::<UInt64Type>();
            let wanted: BooleanArray = ids.values().iter().map(|id| Some(series.contains(id))).collect();
            if wanted.true_count() > 0 {
                batches.push(filter_record_batch(&rows, &wanted).map_err(columns_error("pick the points of series"))?);
            }
        }
        Ok(batches)
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

    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let schema: Arc<Schema> = rows.schema();
        let wanted: Vec<usize> = (0..schema.fields().len()).filter(|i| self.wants(schema.field(*i).name())).collect();
        rows.project(&wanted).map_err(columns_error("pick columns"))
    }
}

/// A piece of a table that is read as a whole: a chunk of the head, or up to some thousand rows of a part.
#[derive(Clone, Debug)]
pub struct Granule {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Head(Arc<Chunk>),
}

impl Granule {
    /// Number of rows that [`Granule::read`] returns.
    pub fn rows(&self) -> usize {
        match &self.source {
            Source::Head(chunk) => chunk.rows(),
        }
    }

    /// Least and greatest `timestamp` of the rows, or bounds around them.
    pub fn time_bounds(&self) -> (Timestamp, Timestamp) {
        match &self.source {
            Source::Head(chunk) => chunk.time_bounds(),
        }
    }

    /// Least and greatest `ingest_seq` of the rows, or bounds around them.
    pub fn seq_bounds(&self) -> (u64, u64) {
        match &self.source {
            Source::Head(chunk) => chunk.seq_bounds(),
        }
    }

    /// The rows as queries see them. Points come with the columns of their series.
    pub fn read(&self, projection: &Projection) -> Result<RecordBatch, StoreError> {
        match &self.source {
            Source::Head(chunk) => projection.apply(chunk.expanded()?),
        }
    }

    /// Only these rows of what [`Granule::read`] returns: positions, ascending.
    pub fn read_rows(&self, projection: &Projection, rows: &[u32]) -> Result<RecordBatch, StoreError> {
        match &self.source {
            Source::Head(chunk) => {
                let all = projection.apply(chunk.expanded()?)?;
                take_record_batch(&all, &UInt32Array::from(rows.to_vec())).map_err(columns_error("pick rows"))
            }
        }
    }

    fn read_points(&self, projection: &Projection) -> Result<RecordBatch, StoreError> {
        match &self.source {
            Source::Head(chunk) => {
                let rows = flat_rows(chunk.batch(), chunk.seq_base()).map_err(columns_error("number points"))?;
                projection.apply(&rows)
            }
        }
    }
}

fn columns_error(operation: &'static str) -> impl Fn(arrow::error::ArrowError) -> StoreError {
    move |source| StoreError::Columns { operation, source }
}
