//! Series that rules yield, as points of the store, under exactly the names and labels the rules gave them.
//!
//! The points are gauges of Sextant's own service, in a scope that says that they were born with Prometheus's names. A series
//! that is no longer yielded ends with a point without a value: Prometheus's staleness marker.

use model::Timestamp;
use model::labels::{Labels, METRIC_NAME};
use model::names::{ORIGIN, ORIGIN_PROMETHEUS};
use store::Batch;
use store::schema::{
    PointColumns, PointRow, PointValue, ResourceRow, ScopeRow, SeriesKey, SeriesRow, ValueRef, metric_type,
};

/// The service that rules speak for.
pub const SERVICE: &str = "sextant";
/// The instrumentation scope of what rules write.
pub const SCOPE: &str = "sextant.rules";

// OTLP's flag of a point that says that there is no value any more.
const NO_RECORDED_VALUE: u32 = 1;

/// What a recording rule makes of the elements of its expression: its name, and its labels over theirs.
pub fn series(
    name: &str,
    labels: &std::collections::BTreeMap<String, String>,
    elements: Vec<(Labels, f64)>,
    limit: usize,
) -> Result<Vec<(Labels, f64)>, String> {
    let mut series: Vec<(Labels, f64)> = Vec::with_capacity(elements.len());
    for (element, value) in elements {
        let own = element.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let given = labels.iter().map(|(name, value)| (name.clone(), value.clone()));
        let named = [(METRIC_NAME.to_owned(), name.to_owned())];
        series.push((Labels::new(own.chain(given).chain(named)), value));
    }
    series.sort_by(|one, other| one.0.cmp(&other.0));
    if series.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err("vector contains metrics with the same labelset after applying rule labels".to_owned());
    }
    if limit > 0 && series.len() > limit {
        return Err(format!("exceeded limit of {limit} with {} series", series.len()));
    }
    Ok(series)
}

/// The samples of `yielded` and the ends of `ended`, all at one moment.
pub fn batch<'a>(
    key: SeriesKey,
    at: Timestamp,
    yielded: impl IntoIterator<Item = (&'a Labels, f64)>,
    ended: impl IntoIterator<Item = &'a Labels>,
) -> Batch {
    let mut columns = PointColumns::new(key);
    let values = yielded.into_iter().map(|(labels, value)| (labels, PointValue::Double(value), 0));
    let ends = ended.into_iter().map(|labels| (labels, PointValue::None, NO_RECORDED_VALUE));
    for (labels, value, flags) in values.chain(ends) {
        let series = row(labels, &mut columns);
        let point = PointRow { series, timestamp: at, derived_times: 0, start_timestamp: None, flags, value };
        columns.push(&point, &[]);
    }
    columns.finish()
}

fn row(labels: &Labels, columns: &mut PointColumns) -> u32 {
    let attributes: Vec<(&str, ValueRef<'_>)> =
        labels.iter().filter(|(name, _)| *name != METRIC_NAME).map(|(n, v)| (n, ValueRef::String(v))).collect();
    columns.series(&SeriesRow {
        resource: ResourceRow { attributes: &[("service.name", ValueRef::String(SERVICE))], ..ResourceRow::default() },
        scope: ScopeRow {
            name: SCOPE,
            attributes: &[(ORIGIN, ValueRef::String(ORIGIN_PROMETHEUS))],
            ..ScopeRow::default()
        },
        metric: labels.metric_name().unwrap_or_default(),
        description: "",
        unit: "",
        metadata: &[],
        metric_type: metric_type::GAUGE,
        temporality: 0,
        monotonic: false,
        attributes: &attributes,
    })
}
