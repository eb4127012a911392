//! The points of a query's series as they are read: which columns, whose rows, and which series belong together.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::error::ArrowError;
use model::Labels;
use store::SeriesRows;
use store::schema::column;

use super::decode::{Points, Unfit};
use super::translate::{Shape, Translated};
use crate::promql::source::Samples;

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
        let batch = self.batches.len();
        self.batches.push(Points::new(&piece.rows)?);
        for run in piece.runs {
            self.runs.entry(run.series).or_default().push(RunRef { batch, rows: run.rows });
        }
        Ok(())
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
/// that it becomes. In the order of their labels.
pub(super) fn groups(series: Vec<Arc<Translated>>) -> Vec<Vec<Arc<Translated>>> {
    let compound: HashSet<Labels> =
        series.iter().filter(|series| series.is_compound()).map(|series| series.group.clone()).collect();
    let keyed = series.into_iter().map(|series| {
        // A group never has a name, and so is no label set of a series.
        let is_shared = !compound.is_empty() && compound.contains(&series.group);
        (if is_shared { series.group.clone() } else { series.labels.clone() }, series)
    });
    let mut keyed: Vec<(Labels, Arc<Translated>)> = keyed.collect();
    keyed.sort_by(|one, other| one.0.cmp(&other.0));
    let groups = keyed.chunk_by(|one, other| one.0 == other.0);
    groups.map(|group| group.iter().map(|(_, series)| Arc::clone(series)).collect()).collect()
}

/// Whether these are one series of numbers as they were measured: mostly its points came in the order of their times, and nothing is to be sorted
/// or joined.
pub(super) fn is_simple(group: &[Arc<Translated>]) -> bool {
    matches!(group, [series] if series.shape == Shape::Number && !series.is_delta)
}

/// The samples of series of numbers, whose points mostly come in the order of their times.
#[derive(Default)]
pub(super) struct NumberSeries(HashMap<u64, (Vec<i64>, Vec<f64>)>);

impl NumberSeries {
    pub(super) fn add(&mut self, piece: &SeriesRows) -> Result<(), ArrowError> {
        let points = Points::new(&piece.rows)?;
        for run in &piece.runs {
            let (times, values) = self.0.entry(run.series).or_default();
            points.numbers(run.rows.clone(), times, values);
        }
        Ok(())
    }

    /// The samples of a series. `None` if two have one time: then it matters which came first.
    pub(super) fn take(&mut self, series: u64) -> Option<Samples> {
        let (times, values) = self.0.remove(&series).unwrap_or_default();
        if times.is_sorted_by(|one, other| one < other) {
            return Some(Samples::of_numbers(times, values));
        }
        // The times of parts that were merged overlap.
        let mut both: Vec<(i64, f64)> = times.into_iter().zip(values).collect();
        both.sort_by_key(|(time, _)| *time);
        let (times, values): (Vec<i64>, Vec<f64>) = both.into_iter().unzip();
        times.is_sorted_by(|one, other| one < other).then(|| Samples::of_numbers(times, values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_in_the_order_of_their_times() {
        for (times, expected) in [
            (vec![1, 2, 7, 3, 4, 20, 5, 10], Some(vec![1, 2, 3, 4, 5, 7, 10, 20])),
            (vec![1, 2, 3], Some(vec![1, 2, 3])),
            (vec![1, 2, 2], None),
            (vec![3, 1, 3], None),
            (vec![], Some(vec![])),
        ] {
            let values = times.iter().map(|time| *time as f64).collect();
            let mut series = NumberSeries(HashMap::from([(7, (times, values))]));
            let samples = series.take(7);
            assert_eq!(samples.as_ref().map(|samples| samples.times().to_vec()), expected);
            if let Some(samples) = samples {
                assert!(samples.times().iter().zip(samples.values()).all(|(time, value)| *time as f64 == *value));
            }
        }
    }
}
