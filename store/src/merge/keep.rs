//! Which rows a merge keeps: those that are not expired, and, where the disk is nearly full, those that are worth most.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::and;
use arrow::datatypes::{Int32Type, TimestampNanosecondType, UInt64Type};

use crate::part::Part;
use crate::retention::Cutoffs;
use crate::schema::{Table, column};
use crate::{Projection, StoreError};

/// OTLP's severities of trace and debug records. Records without one are neither.
const LOW_SEVERITIES: std::ops::RangeInclusive<i32> = 1..=8;
/// OTLP's status of a span that failed.
const STATUS_ERROR: i32 = 2;

/// Which rows are kept.
pub(crate) struct Keep {
    table: Table,
    // `None`: none can be expired.
    cutoffs: Option<Cutoffs>,
    // Of points, if services differ: what is expired of each series.
    series: HashMap<u64, i64>,
    worth: Worth,
}

enum Worth {
    Any,
    Logs,
    // Those of a span that failed.
    Traces(HashSet<[u8; 16]>),
}

impl Keep {
    /// All rows that are not expired.
    pub(crate) fn unexpired(cutoffs: &Cutoffs, parts: &[Arc<Part>]) -> Result<Keep, StoreError> {
        let table = parts[0].table();
        let signal = table.signal();
        let least = parts.iter().map(|part| part.meta().time_min).min().unwrap_or(i64::MAX);
        let mut keep = Keep { table, cutoffs: None, series: HashMap::new(), worth: Worth::Any };
        if least >= cutoffs.possible(signal) {
            return Ok(keep);
        }
        keep.cutoffs = Some(cutoffs.clone());
        if table == Table::Points && cutoffs.by_service(signal) {
            for part in parts {
                let series = part.series()?;
                let ids = series[column::SERIES_ID].as_primitive::<UInt64Type>().values();
                let services = series[column::SERVICE].as_string::<i32>();
                for (row, id) in ids.iter().enumerate() {
                    let service = services.is_valid(row).then(|| services.value(row));
                    keep.series.insert(*id, cutoffs.of(signal, service));
                }
            }
        }
        Ok(keep)
    }

    /// Of the rows that are not expired, those that stay longest when there is no room for all: logs above debug, traces with a span
    /// that failed. `None` for tables whose rows are all worth the same. `goes_on` is asked between granules.
    pub(crate) fn valuable(
        cutoffs: &Cutoffs,
        part: &Arc<Part>,
        goes_on: &dyn Fn() -> Result<(), StoreError>,
    ) -> Result<Option<Keep>, StoreError> {
        let worth = match part.table() {
            Table::Logs => Worth::Logs,
            Table::Spans => Worth::Traces(failed_traces(part, goes_on)?),
            Table::Points | Table::Exemplars => return Ok(None),
        };
        Ok(Some(Keep { worth, ..Keep::unexpired(cutoffs, std::slice::from_ref(part))? }))
    }

    /// Which rows of a granule are kept; `None` if all are.
    pub(crate) fn mask(&self, rows: &RecordBatch) -> Result<Option<BooleanArray>, StoreError> {
        let worth = match &self.worth {
            Worth::Any => None,
            Worth::Logs => {
                let severities = rows[column::SEVERITY_NUMBER].as_primitive::<Int32Type>();
                Some(severities.iter().map(|number| Some(!LOW_SEVERITIES.contains(&number.unwrap_or(0)))).collect())
            }
            Worth::Traces(failed) => {
                let traces = rows[column::TRACE_ID].as_fixed_size_binary();
                Some((0..traces.len()).map(|row| Some(failed.contains(&id(traces.value(row))))).collect())
            }
        };
        let unexpired = self.cutoffs.as_ref().map(|cutoffs| self.unexpired_mask(cutoffs, rows));
        Ok(match (worth, unexpired) {
            (Some(worth), Some(unexpired)) => Some(and(&worth, &unexpired).map_err(super::merger::failed)?),
            (worth, unexpired) => worth.or(unexpired),
        })
    }

    fn unexpired_mask(&self, cutoffs: &Cutoffs, rows: &RecordBatch) -> BooleanArray {
        let signal = self.table.signal();
        if self.series.is_empty() {
            return cutoffs.mask(signal, rows);
        }
        let ids = rows[column::SERIES_ID].as_primitive::<UInt64Type>().values();
        let times = rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
        let default = cutoffs.of(signal, None);
        let kept = ids.iter().zip(times).map(|(id, time)| *time >= *self.series.get(id).unwrap_or(&default));
        kept.map(Some).collect()
    }

    /// How many rows of a part are not kept.
    pub(crate) fn count_dropped(
        &self,
        part: &Part,
        goes_on: &dyn Fn() -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let names = [column::TIMESTAMP, column::SERVICE, column::SERIES_ID, column::SEVERITY_NUMBER, column::TRACE_ID];
        let wanted = Projection::Columns(names.map(str::to_owned).to_vec());
        let mut dropped = 0;
        for granule in 0..part.meta().granules.len() {
            goes_on()?;
            if let Some(mask) = self.mask(&part.read_granule(granule, &wanted)?)? {
                dropped += mask.false_count() as u64;
            }
        }
        Ok(dropped)
    }
}

fn failed_traces(part: &Part, goes_on: &dyn Fn() -> Result<(), StoreError>) -> Result<HashSet<[u8; 16]>, StoreError> {
    let wanted = Projection::Columns(vec![column::TRACE_ID.to_owned(), column::STATUS_CODE.to_owned()]);
    let mut failed = HashSet::new();
    for granule in 0..part.meta().granules.len() {
        goes_on()?;
        let rows = part.read_granule(granule, &wanted)?;
        let traces = rows[column::TRACE_ID].as_fixed_size_binary();
        let codes = rows[column::STATUS_CODE].as_primitive::<Int32Type>();
        let of_failed = (0..rows.num_rows()).filter(|row| codes.value(*row) == STATUS_ERROR);
        failed.extend(of_failed.map(|row| id(traces.value(row))));
    }
    Ok(failed)
}

fn id(bytes: &[u8]) -> [u8; 16] {
    bytes.try_into().unwrap_or_default()
}
