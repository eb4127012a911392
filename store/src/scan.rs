//! Granules: the pieces in which a snapshot hands out rows, and the choice of those that are worth reading.

mod points;
mod prune;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{AsArray as _, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::UInt64Type;
use arrow::error::ArrowError;
use model::Timestamp;

use crate::head::Chunk;
use crate::part::{GranuleMeta, Part, with_series};
use crate::retention::Cutoffs;
use crate::schema::{Table, column};
use crate::snapshot::columns_error;
use crate::{Projection, StoreError};

pub(crate) use points::Wanted;
pub use points::{Run, SeriesRows};
pub(crate) use prune::pruned;

/// A piece of a table that is read as a whole: a chunk of the head, or up to some thousand rows of a part.
#[derive(Clone, Debug)]
pub struct Granule {
    source: Source,
    // Only if rows of it may be expired.
    expiring: Option<Arc<Expiring>>,
}

// Which of a granule's rows are shown, found out when it is first asked.
#[derive(Debug)]
struct Expiring {
    cutoffs: Cutoffs,
    shown: OnceLock<Vec<u32>>,
}

#[derive(Clone, Debug)]
enum Source {
    Head(Arc<Chunk>),
    Part(PartGranule),
}

#[derive(Clone, Debug)]
struct PartGranule {
    part: Arc<Part>,
    granule: usize,
    // The blocks to read, a bit each; the lowest is the granule's first.
    blocks: u8,
    // The part's series, read once for all granules that one question selected.
    series: Arc<OnceLock<Arc<RecordBatch>>>,
}

impl Granule {
    pub(crate) fn of_chunk(chunk: Arc<Chunk>) -> Self {
        Self::of(Source::Head(chunk))
    }

    fn of(source: Source) -> Self {
        Self { source, expiring: None }
    }

    /// The same without the rows that are expired; `None` if all are.
    pub(crate) fn unexpired(mut self, table: Table, cutoffs: &Cutoffs) -> Option<Self> {
        let (least, greatest) = self.time_bounds();
        if greatest.as_nanos() < cutoffs.certain(table.signal()) {
            return None;
        }
        if least.as_nanos() < cutoffs.possible(table.signal()) {
            self.expiring = Some(Arc::new(Expiring { cutoffs: cutoffs.clone(), shown: OnceLock::new() }));
        }
        Some(self)
    }

    // Positions of the rows that are shown; `None` if all are.
    fn shown(&self) -> Result<Option<&[u32]>, StoreError> {
        let Some(expiring) = &self.expiring else { return Ok(None) };
        if let Some(shown) = expiring.shown.get() {
            return Ok(Some(shown));
        }
        let wanted = Projection::Columns(vec![column::TIMESTAMP.to_owned(), column::SERVICE.to_owned()]);
        let mask = expiring.cutoffs.mask(self.source.table().signal(), &self.source.read(&wanted)?);
        let shown = mask.values().set_indices().map(|row| row as u32).collect();
        Ok(Some(expiring.shown.get_or_init(|| shown)))
    }

    /// Number of rows that [`Granule::read`] returns.
    pub fn rows(&self) -> usize {
        match self.shown() {
            Ok(Some(shown)) => shown.len(),
            // An error is told by who reads.
            _ => self.source.rows(),
        }
    }

    /// [`Granule::rows`], or why that is not known.
    pub(crate) fn count(&self) -> Result<usize, StoreError> {
        Ok(self.shown()?.map_or_else(|| self.source.rows(), <[u32]>::len))
    }

    /// Least and greatest `timestamp` of the rows, or bounds around them.
    pub fn time_bounds(&self) -> (Timestamp, Timestamp) {
        match &self.source {
            Source::Head(chunk) => chunk.time_bounds(),
            Source::Part(granule) => {
                let meta = granule.meta();
                (Timestamp::from_nanos(meta.time_min), Timestamp::from_nanos(meta.time_max))
            }
        }
    }

    /// Least and greatest `ingest_seq` of the rows, or bounds around them.
    pub fn seq_bounds(&self) -> (u64, u64) {
        match &self.source {
            Source::Head(chunk) => chunk.seq_bounds(),
            Source::Part(granule) => (granule.meta().seq_min, granule.meta().seq_max),
        }
    }

    /// The rows as queries see them. Points come with the columns of their series. An attribute's column has the type that
    /// most of its values have in this chunk or part: elsewhere it may have another, or its values are in the overflow.
    pub fn read(&self, projection: &Projection) -> Result<RecordBatch, StoreError> {
        match self.shown()? {
            Some(shown) => self.source.read_rows(projection, shown),
            None => self.source.read(projection),
        }
    }

    /// Only these rows of what [`Granule::read`] returns: positions, ascending.
    pub fn read_rows(&self, projection: &Projection, rows: &[u32]) -> Result<RecordBatch, StoreError> {
        match self.shown()? {
            Some(shown) => {
                let rows: Vec<u32> = rows.iter().filter_map(|row| shown.get(*row as usize).copied()).collect();
                self.source.read_rows(projection, &rows)
            }
            None => self.source.read_rows(projection, rows),
        }
    }

    /// The rows as parts keep them: points without the columns of their series.
    pub(crate) fn read_flat(&self, projection: &Projection) -> Result<RecordBatch, StoreError> {
        match (&self.source, self.shown()?) {
            (Source::Head(chunk), shown) if chunk.table() == Table::Points => {
                let rows = chunk.flat().map_err(columns_error("number points"))?;
                let rows = projection.apply(&rows)?;
                shown.map_or(Ok(rows.clone()), |shown| picked(&rows, shown)).map_err(columns_error("pick rows"))
            }
            (Source::Part(granule), shown) => {
                let ranges = shown.map_or_else(|| granule.ranges(), |shown| granule.ranges_of(shown));
                granule.part.read(granule.granule, &ranges, projection)
            }
            _ => self.read(projection),
        }
    }

    /// Whether points of one of these series, ascending, may be among the rows. Of points only.
    pub(crate) fn may_have_series(&self, ids: &[u64]) -> bool {
        match &self.source {
            Source::Head(chunk) => {
                let known = chunk.batch().shared[column::SERIES_ID].as_primitive::<UInt64Type>();
                known.values().iter().any(|id| ids.binary_search(id).is_ok())
            }
            Source::Part(granule) => {
                let Some((least, greatest)) = granule.meta().series else { return true };
                ids.get(ids.partition_point(|id| *id < least)).is_some_and(|id| *id <= greatest)
            }
        }
    }
}

impl Source {
    fn table(&self) -> Table {
        match self {
            Source::Head(chunk) => chunk.table(),
            Source::Part(granule) => granule.part.table(),
        }
    }

    fn rows(&self) -> usize {
        match self {
            Source::Head(chunk) => chunk.rows(),
            Source::Part(granule) => granule.ranges().iter().map(|range| range.len()).sum(),
        }
    }

    fn read(&self, projection: &Projection) -> Result<RecordBatch, StoreError> {
        match self {
            Source::Head(chunk) => projection.apply(chunk.expanded()?),
            Source::Part(granule) => granule.read(&granule.ranges(), projection),
        }
    }

    fn read_rows(&self, projection: &Projection, rows: &[u32]) -> Result<RecordBatch, StoreError> {
        match self {
            Source::Head(chunk) => {
                let all = projection.apply(chunk.expanded()?)?;
                picked(&all, rows).map_err(columns_error("pick rows"))
            }
            Source::Part(granule) => granule.read(&granule.ranges_of(rows), projection),
        }
    }
}

// Unlike arrow's own, of a batch without columns too.
fn picked(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, ArrowError> {
    let places = UInt32Array::from(rows.to_vec());
    let arrays = batch.columns().iter().map(|array| take(array, &places, None)).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(batch.schema(), arrays, &options)
}

impl PartGranule {
    fn meta(&self) -> &GranuleMeta {
        &self.part.meta().granules[self.granule]
    }

    // The selected rows, counted from the granule's first; neighbouring blocks are one range.
    fn ranges(&self) -> Vec<Range<u32>> {
        let (rows, block_rows) = (self.meta().rows, self.part.block_rows());
        let mut ranges: Vec<Range<u32>> = Vec::new();
        for block in (0..u8::BITS).filter(|block| self.blocks & (1 << block) != 0) {
            let start = block * block_rows;
            let end = (start + block_rows).min(rows);
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ if start < rows => ranges.push(start..end),
                _ => {}
            }
        }
        ranges
    }

    // Ranges of rows that are given by their positions among the selected ones.
    fn ranges_of(&self, positions: &[u32]) -> Vec<Range<u32>> {
        let mut picked: Vec<Range<u32>> = Vec::new();
        let mut positions = positions.iter().copied().peekable();
        let mut before = 0;
        for range in self.ranges() {
            let len = range.end - range.start;
            while let Some(position) = positions.next_if(|position| *position < before + len) {
                let row = range.start + (position - before);
                match picked.last_mut() {
                    Some(last) if last.end == row => last.end += 1,
                    _ => picked.push(row..row + 1),
                }
            }
            before += len;
        }
        picked
    }

    fn read(&self, ranges: &[Range<u32>], projection: &Projection) -> Result<RecordBatch, StoreError> {
        if self.part.table() != Table::Points {
            return self.part.read(self.granule, ranges, projection);
        }
        let points = self.part.read(self.granule, ranges, &projection.with(column::SERIES_ID))?;
        let series = match self.series.get() {
            Some(series) => series,
            None => {
                let series = self.part.series()?;
                self.series.get_or_init(|| series)
            }
        };
        with_series(&points, series, projection)
    }
}
