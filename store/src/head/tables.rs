//! Tables of series that batches of points have in common. A sender sends the same series again and again: chunks whose series are
//! the same share one table, and it is looked through for collisions, expanded for queries and taken by a flush once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::{AsArray as _, RecordBatch, UInt64Array};
use arrow::datatypes::UInt64Type;
use model::Signal;

use crate::limits;
use crate::schema::hash::ByItself;
use crate::schema::{Batch, column};

/// The series of a chunk with their envelopes, made when a query first asks.
#[derive(Clone, Debug)]
pub(crate) struct Expanded {
    number: u64,
    table: Arc<OnceLock<Arc<RecordBatch>>>,
}

impl Default for Expanded {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), table: Arc::default() }
    }
}

impl Expanded {
    /// Told apart by, in this process.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The table, made by `make` if it is not there yet.
    pub(crate) fn get<E>(&self, make: impl FnOnce() -> Result<RecordBatch, E>) -> Result<Arc<RecordBatch>, E> {
        if let Some(table) = self.table.get() {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(make()?);
        Ok(Arc::clone(self.table.get_or_init(|| table)))
    }
}

/// The tables of the newest batches.
#[derive(Debug, Default)]
pub(crate) struct SeriesTables {
    // By a hash of their ids, which are keyed hashes.
    known: HashMap<u64, Known, ByItself>,
    bytes: usize,
}

#[derive(Debug)]
struct Known {
    series: RecordBatch,
    envelopes: Option<RecordBatch>,
    expanded: Expanded,
}

impl SeriesTables {
    /// If an earlier batch had the same series in the same order, the batch gets that one's table.
    pub(crate) fn share(&self, batch: &mut Batch) -> Option<Expanded> {
        let known = self.known.get(&key(batch)?)?;
        let is_same = [column::SERIES_ID, column::SERIES_CHECK]
            .into_iter()
            .all(|name| batch.shared.column_by_name(name) == known.series.column_by_name(name));
        // Ids and checks are a hash of everything else.
        is_same.then(|| {
            batch.shared = known.series.clone();
            batch.envelopes = known.envelopes.clone();
            known.expanded.clone()
        })
    }

    /// Knows the table of a batch from here on.
    pub(crate) fn learn(&mut self, batch: &Batch, expanded: &Expanded) {
        let Some(key) = key(batch) else { return };
        let bytes = table_bytes(batch);
        if self.bytes.saturating_add(bytes) > limits::SERIES_TABLES_BYTES_MAX {
            (self.known, self.bytes) = (HashMap::default(), 0);
        }
        if bytes <= limits::SERIES_TABLES_BYTES_MAX {
            let (series, envelopes) = (batch.shared.clone(), batch.envelopes.clone());
            let known = Known { series, envelopes, expanded: expanded.clone() };
            // Two tables with one hash: the newer is asked for sooner.
            if self.known.insert(key, known).is_none() {
                self.bytes += bytes;
            }
        }
    }
}

/// Bytes of the series of a batch of points.
pub(super) fn table_bytes(batch: &Batch) -> usize {
    let envelopes = batch.envelopes.as_ref().map_or(0, RecordBatch::get_array_memory_size);
    batch.shared.get_array_memory_size() + envelopes
}

fn key(batch: &Batch) -> Option<u64> {
    if batch.signal != Signal::Points {
        return None;
    }
    let ids: &UInt64Array = batch.shared.column_by_name(column::SERIES_ID)?.as_primitive_opt::<UInt64Type>()?;
    (!ids.values().is_empty()).then(|| ids.values().iter().fold(0, |hash: u64, id| hash.rotate_left(5) ^ id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::columns::sample;

    fn points(seed: u64) -> Batch {
        let ids: Vec<String> = (0..9).map(|id| format!("{seed}-{id}")).collect();
        sample::batch(&mut fastrand::Rng::with_seed(seed), Signal::Points, [7; 16], &ids)
    }

    #[test]
    fn equal_tables_are_shared_and_others_are_not() {
        let mut tables = SeriesTables::default();
        let expanded = Expanded::default();
        let first = points(1);
        assert!(tables.share(&mut first.clone()).is_none());
        tables.learn(&first, &expanded);
        let mut again = points(1);
        let shared = tables.share(&mut again).expect("it is known");
        assert_eq!(shared.number(), expanded.number());
        assert_eq!(again.shared, first.shared);
        let place = |batch: &Batch| batch.shared[column::SERIES_ID].as_primitive::<UInt64Type>().values().as_ptr();
        assert_eq!(place(&again), place(&first), "it is the same memory");
        assert!(tables.share(&mut points(2)).is_none());
        let mut shorter = points(1);
        shorter.shared = shorter.shared.slice(0, 3);
        assert!(tables.share(&mut shorter).is_none());
    }
}
