//! The bounds of classic histograms over time: which of its buckets an exemplar belongs to. The store keeps exemplars for the histogram as a
//! whole, Prometheus with the series of a bucket.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use store::Projection;
use store::schema::column;

use super::decode::{Points, bound_text};
use super::{MillisRange, StoreSource, StoreSourceError, nanos};
use crate::promql::error::PromqlError;
use crate::promql::eval::Budget;
use crate::promql::limits;

/// Of some histograms.
#[derive(Debug, Default)]
pub(super) struct Bounds(HashMap<u64, Vec<Moment>>);

// Bounds and the millisecond of a point that has them.
type Moment = (i64, Arc<[f64]>);

impl StoreSource {
    /// The bounds that these histograms have in `range`, and shortly after it: a point brings exemplars from before its time.
    pub(super) fn bounds(
        &self,
        histograms: &HashSet<u64>,
        range: MillisRange,
        budget: &Budget,
    ) -> Result<Bounds, PromqlError> {
        let mut bounds = Bounds::default();
        if histograms.is_empty() {
            return Ok(bounds);
        }
        let last = range.last.saturating_add(limits::LOOKBACK_MS);
        let columns = Projection::Columns(vec![column::EXPLICIT_BOUNDS.to_owned()]);
        self.snapshot.samples_while(histograms, nanos(MillisRange { last, ..range }), &columns, |piece| {
            budget.charge(piece.rows.num_rows())?;
            let points = Points::new(&piece.rows).map_err(StoreSourceError::Columns)?;
            for run in piece.runs {
                for row in run.rows {
                    if let Some(of_point) = points.bounds(row) {
                        bounds.add(run.series, points.millis(row), of_point);
                    }
                }
            }
            Ok::<(), PromqlError>(())
        })?;
        bounds.0.values_mut().for_each(|times| times.sort_by_key(|(time, _)| *time));
        Ok(bounds)
    }
}

impl Bounds {
    // They hardly ever change: what is the same is kept once.
    fn add(&mut self, histogram: u64, millis: i64, bounds: Vec<f64>) {
        let times = self.0.entry(histogram).or_default();
        let same = times.last().filter(|(_, other)| **other == *bounds).map(|(_, other)| Arc::clone(other));
        times.push((millis, same.unwrap_or_else(|| bounds.into())));
    }

    /// The label `le` of the bucket that a value of a time belongs to; nothing if no point says what buckets there are.
    pub(super) fn bucket(&self, histogram: u64, millis: i64, value: f64) -> Option<String> {
        let times = self.0.get(&histogram)?;
        // Of the point that has brought it, or else of the last one.
        let after = times.partition_point(|(time, _)| *time < millis).min(times.len() - 1);
        let bound = times[after].1.iter().find(|bound| value <= **bound);
        Some(bound.map_or_else(|| "+Inf".to_owned(), |bound| bound_text(*bound)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_that_reaches_it() {
        let mut bounds = Bounds::default();
        bounds.add(1, 10, vec![0.5, 1.0]);
        bounds.add(1, 20, vec![0.5, 1.0]);
        bounds.add(1, 30, vec![2.0]);
        for (millis, value, expected) in [
            (5, 0.2, "0.5"),
            (10, 0.5, "0.5"),
            (11, 0.7, "1"),
            (20, 1.1, "+Inf"),
            (21, 1.1, "2"),
            (40, 3.0, "+Inf"),
            (40, f64::NAN, "+Inf"),
        ] {
            assert_eq!(bounds.bucket(1, millis, value).as_deref(), Some(expected), "{value} at {millis}");
        }
        assert_eq!(bounds.bucket(2, 10, 0.2), None);
    }
}
