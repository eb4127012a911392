//! Series that rules yield, as points of the store, under exactly the names and labels the rules gave them.
//!
//! The points are gauges and histograms of Sextant's own service, in a scope that says that they were born with Prometheus's names. A series
//! that is no longer yielded ends with a point without a value: Prometheus's staleness marker.

use model::Timestamp;
use model::labels::{Labels, METRIC_NAME};
use model::names::{ORIGIN, ORIGIN_PROMETHEUS};
use store::Batch;
use store::schema::{
    PointColumns, PointRow, PointValue, ResourceRow, ScopeRow, SeriesKey, SeriesRow, ValueRef, metric_type,
};

use crate::promql::{Buckets, Element, Histogram, Whole};

/// The service that rules speak for.
pub const SERVICE: &str = "sextant";
/// The instrumentation scope of what rules write.
pub const SCOPE: &str = "sextant.rules";

// OTLP's flag of a point that says that there is no value any more.
const NO_RECORDED_VALUE: u32 = 1;
const TEMPORALITY_CUMULATIVE: i32 = 2;

/// What a recording rule makes of the elements of its expression: its name, and its labels over theirs.
pub fn series(
    name: &str,
    labels: &std::collections::BTreeMap<String, String>,
    elements: Vec<(Labels, Element)>,
    limit: usize,
) -> Result<Vec<(Labels, Element)>, String> {
    let mut series: Vec<(Labels, Element)> = Vec::with_capacity(elements.len());
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

/// The samples of `yielded` and the ends of `ended`, all at one moment. A histogram in which something is counted less than never is left
/// out, as Prometheus leaves it out.
pub fn batch<'a>(
    key: SeriesKey,
    at: Timestamp,
    yielded: &[(Labels, Element)],
    ended: impl IntoIterator<Item = &'a Labels>,
) -> Batch {
    let mut columns = PointColumns::new(key);
    for (labels, element) in yielded {
        match element {
            Element::Number(value) => {
                push(&mut columns, labels, metric_type::GAUGE, at, 0, PointValue::Double(*value));
            }
            Element::Histogram(histogram) => {
                if let Some(stored) = Stored::new(histogram) {
                    push(&mut columns, labels, stored.metric_type(), at, stored.flags, stored.value(histogram));
                }
            }
        }
    }
    for labels in ended {
        push(&mut columns, labels, metric_type::GAUGE, at, NO_RECORDED_VALUE, PointValue::None);
    }
    columns.finish()
}

// The buckets of a native histogram as a point has them.
struct Stored {
    flags: u32,
    count: u64,
    zero_count: u64,
    positive: Option<(i32, Vec<u64>)>,
    negative: Option<(i32, Vec<u64>)>,
    // All of a custom schema.
    explicit: Option<Vec<u64>>,
}

impl Stored {
    fn new(histogram: &Histogram) -> Option<Self> {
        let buckets = histogram.positive.iter().chain(histogram.negative.iter()).map(|(_, count)| count);
        let whole = Whole::of(buckets.chain([histogram.count, histogram.zero_count]))?;
        // OTLP numbers a bucket by where it begins, Prometheus by where it ends.
        let side = |buckets: &Buckets| {
            let (first, last) = (buckets.iter().next()?.0, buckets.iter().next_back()?.0);
            let counts = (first..=last).map(|index| whole.number(buckets.get(index)));
            Some((first.saturating_sub(1), counts.collect()))
        };
        let explicit = histogram.is_custom().then(|| {
            (0i32..=i32::try_from(histogram.bounds.len()).unwrap_or(i32::MAX))
                .map(|index| whole.number(histogram.positive.get(index)))
                .collect()
        });
        Some(Self {
            flags: whole.flags(),
            count: whole.number(histogram.count),
            zero_count: whole.number(histogram.zero_count),
            positive: side(&histogram.positive),
            negative: side(&histogram.negative),
            explicit,
        })
    }

    fn metric_type(&self) -> u8 {
        if self.explicit.is_some() { metric_type::HISTOGRAM } else { metric_type::EXPONENTIAL_HISTOGRAM }
    }

    fn value<'s>(&'s self, histogram: &'s Histogram) -> PointValue<'s> {
        let (count, sum, min, max) = (self.count, Some(histogram.sum), None, None);
        let side = |side: &'s Option<(i32, Vec<u64>)>| side.as_ref().map(|(offset, counts)| (*offset, &counts[..]));
        match &self.explicit {
            Some(counts) => PointValue::Histogram {
                count,
                sum,
                min,
                max,
                bucket_counts: counts,
                explicit_bounds: &histogram.bounds,
            },
            None => PointValue::ExponentialHistogram {
                count,
                sum,
                min,
                max,
                scale: histogram.schema,
                zero_count: self.zero_count,
                zero_threshold: histogram.zero_threshold,
                positive: side(&self.positive),
                negative: side(&self.negative),
            },
        }
    }
}

fn push(
    columns: &mut PointColumns,
    labels: &Labels,
    metric_type: u8,
    timestamp: Timestamp,
    flags: u32,
    value: PointValue<'_>,
) {
    let series = row(labels, metric_type, columns);
    columns.push(&PointRow { series, timestamp, derived_times: 0, start_timestamp: None, flags, value }, &[]);
}

fn row(labels: &Labels, metric_type: u8, columns: &mut PointColumns) -> u32 {
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
        metric_type,
        temporality: if metric_type == self::metric_type::GAUGE { 0 } else { TEMPORALITY_CUMULATIVE },
        monotonic: false,
        attributes: &attributes,
    })
}
