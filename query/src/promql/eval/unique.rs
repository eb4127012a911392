//! No two series of a vector may have one label set at one time. Where names are dropped that may happen; series that only
//! share labels, but never a step, become one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Evaluator, Result, SeriesStream, in_order, same_labels};
use crate::promql::value::Column;
use crate::promql::value::Series;

impl<'a> Evaluator<'a> {
    /// Joins series with equal labels. With `surely` (the caller knows that there are none) the stream stays one.
    pub(super) fn unique(self, stream: SeriesStream<'a>, surely: bool) -> Result<SeriesStream<'a>> {
        if surely {
            return Ok(stream);
        }
        let mut joined: HashMap<model::Labels, (Column, bool)> = HashMap::new();
        for series in stream {
            let Series { labels, column, name_goes } = series?;
            match joined.entry(labels) {
                Entry::Vacant(entry) => {
                    entry.insert((column, name_goes));
                }
                Entry::Occupied(mut entry) => {
                    for index in column.occupied() {
                        if entry.get().0.has(index) {
                            return Err(same_labels(entry.key()));
                        }
                        entry.get_mut().0.put(index, column.element(index));
                    }
                    entry.get_mut().1 |= name_goes;
                }
            }
        }
        let series = |(labels, (column, name_goes))| Ok(Series { labels, column, name_goes });
        Ok(Box::new(in_order(joined).into_iter().map(series)))
    }
}
