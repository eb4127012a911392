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

use super::translate::{BUCKET_LABEL, Shape, Translated};
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
    /// of classic histograms are with the bucket that they fall into.
    pub fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        range: MillisRange,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<StoredExemplar>)>, PromqlError> {
        let mut wanted: HashMap<u64, Wanted> = HashMap::new();
        // A series that has sent exemplars alone is there as well: it has points without a value.
        for matchers in selectors {
            for series in self.series(range)? {
                Wanted::add(&mut wanted, &series, matchers);
            }
        }
        let mut found = Found::new();
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
        let histograms = found.keys().copied().filter(|id| wanted.get(id).is_some_and(|series| series.is_histogram));
        let bounds = self.bounds(&histograms.collect(), range, budget)?;
        let mut by_labels: BTreeMap<Labels, Vec<StoredExemplar>> = BTreeMap::new();
        for (id, exemplars) in found {
            let Some(series) = wanted.get(&id) else { continue };
            for exemplar in exemplars {
                if let Some(labels) = series.labels_of(bounds.bucket(id, exemplar.millis, exemplar.value)) {
                    by_labels.entry(labels).or_default().push(exemplar);
                }
            }
        }
        for exemplars in by_labels.values_mut() {
            exemplars.sort_by_key(|exemplar| exemplar.millis);
            exemplars.dedup();
        }
        Ok(by_labels.into_iter().collect())
    }
}

type Found = HashMap<u64, Vec<StoredExemplar>>;

// A series whose exemplars are asked for.
struct Wanted {
    // Of a histogram without `le`.
    labels: Labels,
    is_histogram: bool,
    // What each selector that accepts the rest demands of `le`.
    of_buckets: Vec<Vec<Matcher>>,
}

impl Wanted {
    fn add(wanted: &mut HashMap<u64, Wanted>, series: &Arc<Translated>, matchers: &[Matcher]) {
        let is_histogram = series.shape == Shape::Histogram;
        let labels = if is_histogram { series.with_suffix("_bucket") } else { series.labels.clone() };
        let (of_buckets, others): (Vec<&Matcher>, Vec<&Matcher>) =
            matchers.iter().partition(|matcher| is_histogram && matcher.name == BUCKET_LABEL);
        let accepted = others.iter().all(|matcher| matcher.accepts(labels.get(&matcher.name).unwrap_or("")));
        if accepted && !series.name.is_empty() {
            let series = wanted.entry(series.id).or_insert(Wanted { labels, is_histogram, of_buckets: Vec::new() });
            series.of_buckets.push(of_buckets.into_iter().cloned().collect());
        }
    }

    // Nothing if no selector wants this bucket. Where no point tells the bounds, the exemplar is shown without one.
    fn labels_of(&self, bucket: Option<String>) -> Option<Labels> {
        let Some(bucket) = bucket.filter(|_| self.is_histogram) else { return Some(self.labels.clone()) };
        let wanted = self.of_buckets.iter().any(|matchers| matchers.iter().all(|matcher| matcher.accepts(&bucket)));
        wanted.then(|| self.labels.with(BUCKET_LABEL, &bucket))
    }
}

fn read(
    batch: &RecordBatch,
    wanted: &HashMap<u64, Wanted>,
    range: MillisRange,
    found: &mut Found,
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
        let id = series.number(row);
        let (true, Some(value)) = (wanted.contains_key(&id), value) else { continue };
        if millis < range.first || millis > range.last {
            continue;
        }
        let ids = [("trace_id", traces.hex(row)), ("span_id", spans.hex(row))];
        let ids = ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), id?)));
        let filtered = attributes.values(row, "").into_iter();
        let filtered = filtered.map(|(key, value): (String, AttributeValue)| (label_name(&key), value.to_text()));
        // The ids come last: they count before an attribute of their name.
        let labels_of_exemplar = Labels::new(filtered.chain(ids));
        found.entry(id).or_default().push(StoredExemplar { labels: labels_of_exemplar, value, millis });
    }
    Ok(())
}
