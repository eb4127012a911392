//! The points of a query's series as they are read: which columns, whose rows, and which series belong together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
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

    /// Puts what there is of a series in the order of time; whether that can be done without knowing what came first.
    pub(super) fn put_in_order(&mut self, series: &Translated) -> bool {
        let Some(runs) = self.runs.get_mut(&series.id) else { return true };
        let nanos = |run: &RunRef| self.batches[run.batch].times(run);
        runs.sort_by_key(|run| nanos(run).first().copied());
        if !runs.is_sorted_by(|one, other| nanos(one).last() < nanos(other).first()) {
            match interleaved(runs, nanos) {
                Some(in_order) => *runs = in_order,
                None => return false,
            }
        }
        let mut last = None;
        runs.iter().flat_map(nanos).all(|nanos| {
            let before = last.replace(millis(*nanos));
            before < last
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

fn millis(nanos: i64) -> i64 {
    Timestamp::from_nanos(nanos).as_millis()
}

// Pieces of runs whose times overlap, as those of parts that were merged do, in the order of time. `None` if two begin at one time.
fn interleaved<'p>(runs: &[RunRef], nanos: impl Fn(&RunRef) -> &'p [i64]) -> Option<Vec<RunRef>> {
    let mut left = runs.to_vec();
    let head = |run: &RunRef, number: usize| Some(Reverse((millis(*nanos(run).first()?), number)));
    let mut heads: BinaryHeap<Reverse<(i64, usize)>> =
        left.iter().zip(0..).filter_map(|(run, number)| head(run, number)).collect();
    let mut pieces = Vec::with_capacity(runs.len());
    while let Some(Reverse((first, number))) = heads.pop() {
        let run = &mut left[number];
        let len = match heads.peek() {
            None => run.rows.len(),
            Some(Reverse((next, _))) if *next == first => return None,
            Some(Reverse((next, _))) => nanos(run).partition_point(|time| millis(*time) < *next),
        };
        let middle = run.rows.start + len;
        pieces.push(RunRef { batch: run.batch, rows: run.rows.start..middle });
        run.rows.start = middle;
        heads.extend(head(run, number));
    }
    Some(pieces)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_interleaved_where_their_times_are() {
        const MILLI: i64 = 1_000_000;
        let batches: [Vec<i64>; 3] = [vec![1, 2, 7, 8, 9], vec![3, 4, 20], vec![5, 10]];
        let batches = batches.map(|times| times.into_iter().map(|time| time * MILLI).collect::<Vec<i64>>());
        let nanos = |run: &RunRef| &batches[run.batch][run.rows.clone()];
        let whole = |batch: usize| RunRef { batch, rows: 0..batches[batch].len() };
        let pieces = interleaved(&[whole(0), whole(1), whole(2)], nanos).expect("no two have one time");
        let pieces: Vec<(usize, Range<usize>)> = pieces.into_iter().map(|run| (run.batch, run.rows)).collect();
        assert_eq!(pieces, [(0, 0..2), (1, 0..2), (2, 0..1), (0, 2..5), (2, 1..2), (1, 2..3)]);
        assert!(interleaved(&[whole(0), whole(0)], nanos).is_none());
        assert_eq!(interleaved(&[], nanos).map(|pieces| pieces.len()), Some(0));
    }
}
