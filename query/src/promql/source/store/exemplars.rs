//! Exemplars of series, as Prometheus's `query_exemplars` has them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::UInt64Type;
use model::Labels;
use model::attributes::AttributeValue;
use model::names::label_name;
use store::schema::column;
use store::{Narrow, Projection, Table};

use super::translate::{Shape, Translated};
use super::{MillisRange, StoreSource, StoreSourceError, nanos};
use crate::promql::error::PromqlError;
use crate::promql::eval::Budget;
use crate::promql::matcher::Matcher;
use crate::rows::columns::{Ids, Maps, Numbers, Times};

/// A measurement that stands for many.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredExemplar {
    /// `trace_id`, `span_id`, and what else it carries.
    pub labels: Labels,
    /// What was measured.
    pub value: f64,
    /// Milliseconds since the Unix epoch.
    pub millis: i64,
}

impl StoreSource {
    /// The exemplars in `range` of the series that any of these selectors accepts, by their series' labels, each in the order of time. Those
    /// of histograms are their buckets', without `le`: the store keeps them for the histogram as a whole.
    pub fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        range: MillisRange,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<StoredExemplar>)>, PromqlError> {
        let mut wanted: HashMap<u64, Labels> = HashMap::new();
        // A series that has sent exemplars alone is there as well: it has points without a value.
        for matchers in selectors {
            for series in self.series(range)? {
                if let Some(labels) = of_series(&series, matchers) {
                    wanted.insert(series.id, labels);
                }
            }
        }
        let mut found: BTreeMap<Labels, Vec<StoredExemplar>> = BTreeMap::new();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let ids = Projection::Columns(vec![column::SERIES_ID.to_owned()]);
        for granule in self.snapshot.granules(Table::Exemplars, nanos(range), &Narrow::All)? {
            budget.charge(granule.rows())?;
            let batch = granule.read(&ids)?;
            let series = batch[column::SERIES_ID].as_primitive::<UInt64Type>();
            let rows: Vec<u32> =
                (0..).zip(series.values()).filter(|(_, id)| wanted.contains_key(*id)).map(|(row, _)| row).collect();
            if !rows.is_empty() {
                let batch = granule.read_rows(&Projection::All, &rows)?;
                read(&batch, &wanted, range, &mut found).map_err(StoreSourceError::Columns)?;
            }
        }
        for exemplars in found.values_mut() {
            exemplars.sort_by_key(|exemplar| exemplar.millis);
            exemplars.dedup();
        }
        Ok(found.into_iter().collect())
    }
}

// The labels that its exemplars are shown under, if the matchers accept them.
fn of_series(series: &Arc<Translated>, matchers: &[Matcher]) -> Option<Labels> {
    let labels = match series.shape {
        Shape::Histogram => series.with_suffix("_bucket"),
        _ => series.labels.clone(),
    };
    // A bucket's bound is not known here.
    let accepted = matchers
        .iter()
        .filter(|matcher| series.shape != Shape::Histogram || matcher.name != super::translate::BUCKET_LABEL)
        .all(|matcher| matcher.accepts(labels.get(&matcher.name).unwrap_or("")));
    (accepted && !series.name.is_empty()).then_some(labels)
}

fn read(
    batch: &RecordBatch,
    wanted: &HashMap<u64, Labels>,
    range: MillisRange,
    found: &mut BTreeMap<Labels, Vec<StoredExemplar>>,
) -> Result<(), arrow::error::ArrowError> {
    let series = Numbers::<UInt64Type>::of(batch, column::SERIES_ID)?;
    let times = Times::of(batch, column::TIMESTAMP)?;
    let ints = Numbers::<arrow::datatypes::Int64Type>::of(batch, column::VALUE_INT)?;
    let doubles = Numbers::<arrow::datatypes::Float64Type>::of(batch, column::VALUE_DOUBLE)?;
    let (traces, spans) = (Ids::of(batch, column::TRACE_ID), Ids::of(batch, column::SPAN_ID));
    let attributes = Maps::of(batch, column::ATTRIBUTES);
    for row in 0..batch.num_rows() {
        let millis = times.time(row).as_millis();
        let value = doubles.get(row).or_else(|| ints.get(row).map(|value| value as f64));
        let (Some(labels), Some(value)) = (wanted.get(&series.number(row)), value) else { continue };
        if millis < range.first || millis > range.last {
            continue;
        }
        let ids = [("trace_id", traces.hex(row)), ("span_id", spans.hex(row))];
        let ids = ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), id?)));
        let filtered = attributes.values(row, "").into_iter();
        let filtered = filtered.map(|(key, value): (String, AttributeValue)| (label_name(&key), value.to_text()));
        // The ids come last: they count before an attribute of their name.
        let labels_of_exemplar = Labels::new(filtered.chain(ids));
        found.entry(labels.clone()).or_default().push(StoredExemplar { labels: labels_of_exemplar, value, millis });
    }
    Ok(())
}
