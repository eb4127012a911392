//! The points of a query's series as they are read: which columns, whose rows, and which series belong together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::error::ArrowError;
use model::{Labels, Timestamp};
use store::SeriesRows;
use store::schema::column;

use super::decode::{Points, Unfit};
use super::translate::{Shape, Translated};

/// What puts points in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordered {
    /// Their times alone.
    ByTime,
    /// What came first, too.
    BySeq,
}

/// The columns that points of these series are decoded from.
pub(super) fn columns_of<'s>(
    series: impl Iterator<Item = &'s Arc<Translated>> + Clone,
    ordered: Ordered,
) -> Vec<String> {
    let mut names = vec![column::TIMESTAMP, column::FLAGS];
    if ordered == Ordered::BySeq {
        names.push(column::INGEST_SEQ);
    }
    let has = |shape| series.clone().any(|series| series.shape == shape);
    if has(Shape::Number) {
        names.extend([column::VALUE_INT, column::VALUE_DOUBLE]);
    }
    if [Shape::Histogram, Shape::Summary, Shape::Native, Shape::Custom].into_iter().any(has) {
        names.extend([column::COUNT, column::SUM]);
    }
    if has(Shape::Histogram) || has(Shape::Custom) {
        names.extend([column::BUCKET_COUNTS, column::EXPLICIT_BOUNDS]);
    }
    if has(Shape::Summary) {
        names.push(column::QUANTILES);
    }
    if series.clone().any(|series| series.is_delta) {
        names.push(column::TOTAL);
    }
    if has(Shape::Native) {
        names.extend([column::SCALE, column::ZERO_COUNT, column::ZERO_THRESHOLD]);
        names.extend([column::POSITIVE_OFFSET, column::POSITIVE_COUNTS]);
        names.extend([column::NEGATIVE_OFFSET, column::NEGATIVE_COUNTS]);
    }
    names.into_iter().map(str::to_owned).collect()
}

/// Rows of one of several batches that follow each other, all of one series.
#[derive(Clone, Debug)]
pub(super) struct RunRef {
    pub(super) batch: usize,
    pub(super) rows: Range<usize>,
}

/// Series whose label sets may meet, each with its points.
pub(super) type Group = Vec<(Arc<Translated>, Vec<RunRef>)>;

/// Points, and whose they are.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) batches: Vec<Points>,
    runs: HashMap<u64, Vec<RunRef>>,
}

impl Collected {
    pub(super) fn add(&mut self, piece: SeriesRows) -> Result<(), ArrowError> {
        if piece.runs.is_empty() {
            return Ok(());
        }
        let batch = self.batches.len();
        self.batches.push(Points::new(&piece.rows)?);
        for run in piece.runs {
            self.runs.entry(run.series).or_default().push(RunRef { batch, rows: run.rows });
        }
        Ok(())
    }

    /// Puts what there is of a series in the order of time; whether that can be done without further ado.
    pub(super) fn are_in_order(&mut self, series: &Translated) -> bool {
        let Some(runs) = self.runs.get_mut(&series.id) else { return true };
        runs.sort_by_key(|run| self.batches[run.batch].millis(run.rows.start));
        let mut last = i64::MIN;
        runs.iter().all(|run| {
            self.batches[run.batch].times(run).iter().all(|nanos| {
                let before = std::mem::replace(&mut last, Timestamp::from_nanos(*nanos).as_millis());
                before < last
            })
        })
    }

    /// Forgets these series.
    pub(super) fn forget(&mut self, series: &[&Arc<Translated>]) {
        series.iter().for_each(|series| _ = self.runs.remove(&series.id));
    }

    /// The points of a series, but for those that cannot be native histograms and should.
    pub(super) fn take(&mut self, series: &Translated, mut unfit: impl FnMut(Unfit)) -> Vec<RunRef> {
        let runs = self.runs.remove(&series.id).unwrap_or_default();
        if !series.is_native() {
            return runs;
        }
        let mut fit: Vec<RunRef> = Vec::with_capacity(runs.len());
        for RunRef { batch, rows } in runs {
            let mut open = false;
            for row in rows {
                match self.batches[batch].unfit(row) {
                    Some(why) => {
                        unfit(why);
                        open = false;
                    }
                    None => {
                        match fit.last_mut().filter(|_| open) {
                            Some(run) => run.rows.end = row + 1,
                            None => fit.push(RunRef { batch, rows: row..row + 1 }),
                        }
                        open = true;
                    }
                }
            }
        }
        fit
    }
}

/// Series whose label sets may meet, together: those of one label set, and a histogram or summary with all that may be named like one of the series
/// that it becomes.
pub(super) fn groups(series: Vec<Arc<Translated>>) -> BTreeMap<Labels, Vec<Arc<Translated>>> {
    let compound: HashSet<Labels> =
        series.iter().filter(|series| series.is_compound()).map(|series| series.group.clone()).collect();
    let mut groups: BTreeMap<Labels, Vec<Arc<Translated>>> = BTreeMap::new();
    for series in series {
        // A group never has a name, and so is no label set of a series.
        let key = if compound.contains(&series.group) { &series.group } else { &series.labels };
        groups.entry(key.clone()).or_default().push(series);
    }
    groups
}

/// Whether these are one series of numbers as they were measured: mostly its points came in the order of their times, and nothing is to be sorted
/// or joined.
pub(super) fn is_simple(group: &[Arc<Translated>]) -> bool {
    matches!(group, [series] if series.shape == Shape::Number && !series.is_delta)
}
