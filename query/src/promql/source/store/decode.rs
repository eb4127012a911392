//! From the store's points to samples: numbers, the buckets of histograms, the quantiles of summaries, native histograms.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BinaryArray, ListArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use model::{Labels, Timestamp};
use store::delta::{Total, TotalValue};
use store::schema::column;

use super::collect::Group;
use super::translate::{BUCKET_LABEL, QUANTILE_LABEL, Shape, Translated};
use crate::promql::histogram::{Buckets, CUSTOM_SCHEMA, Histogram, SCHEMA_MAX, SCHEMA_MIN, Whole};
use crate::promql::matcher::{Matcher, all_accept};
use crate::promql::source::{Samples, StoredSeries};
use crate::promql::staleness::stale_marker;
use crate::rows::columns::{Numbers, Times};

/// OTLP's flag of a point that says that there is no value any more.
const NO_RECORDED_VALUE: u32 = 1;

/// A batch of points.
pub(super) struct Points {
    seq: Numbers<UInt64Type>,
    time: Times,
    flags: Numbers<UInt32Type>,
    value_int: Numbers<Int64Type>,
    value_double: Numbers<Float64Type>,
    count: Numbers<UInt64Type>,
    sum: Numbers<Float64Type>,
    bucket_counts: Option<ListArray>,
    explicit_bounds: Option<ListArray>,
    quantiles: Option<ListArray>,
    scale: Numbers<Int32Type>,
    zero_count: Numbers<UInt64Type>,
    zero_threshold: Numbers<Float64Type>,
    positive: Exponential,
    negative: Exponential,
    totals: Option<BinaryArray>,
}

/// The buckets of exponential histograms on one side of zero.
struct Exponential {
    offset: Numbers<Int32Type>,
    counts: Option<ListArray>,
}

/// Why a point is no native histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unfit {
    /// Its buckets are wider than those of any schema.
    Scale,
    /// Without a sum there is no histogram in Prometheus.
    Sum,
}

impl Points {
    pub(super) fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let lists = |name: &str| batch.column_by_name(name).and_then(|array| array.as_list_opt::<i32>().cloned());
        Ok(Self {
            seq: Numbers::of(batch, column::INGEST_SEQ)?,
            time: Times::of(batch, column::TIMESTAMP)?,
            flags: Numbers::of(batch, column::FLAGS)?,
            value_int: Numbers::of(batch, column::VALUE_INT)?,
            value_double: Numbers::of(batch, column::VALUE_DOUBLE)?,
            count: Numbers::of(batch, column::COUNT)?,
            sum: Numbers::of(batch, column::SUM)?,
            bucket_counts: lists(column::BUCKET_COUNTS),
            explicit_bounds: lists(column::EXPLICIT_BOUNDS),
            quantiles: lists(column::QUANTILES),
            scale: Numbers::of(batch, column::SCALE)?,
            zero_count: Numbers::of(batch, column::ZERO_COUNT)?,
            zero_threshold: Numbers::of(batch, column::ZERO_THRESHOLD)?,
            positive: Exponential {
                offset: Numbers::of(batch, column::POSITIVE_OFFSET)?,
                counts: lists(column::POSITIVE_COUNTS),
            },
            negative: Exponential {
                offset: Numbers::of(batch, column::NEGATIVE_OFFSET)?,
                counts: lists(column::NEGATIVE_COUNTS),
            },
            totals: batch.column_by_name(column::TOTAL).and_then(|array| array.as_binary_opt::<i32>().cloned()),
        })
    }

    pub(super) fn millis(&self, row: usize) -> i64 {
        self.time.time(row).as_millis()
    }

    fn is_stale(&self, row: usize) -> bool {
        self.flags.number(row) & NO_RECORDED_VALUE != 0
    }

    /// Adds times in milliseconds and values of numbers to those that are there.
    pub(super) fn numbers(&self, rows: Range<usize>, times: &mut Vec<i64>, values: &mut Vec<f64>) {
        if let (Some(nanos), Some(doubles)) = (self.time.column(), self.doubles(rows.clone())) {
            times.extend(nanos.values()[rows].iter().map(|nanos| Timestamp::from_nanos(*nanos).as_millis()));
            values.extend_from_slice(doubles);
            return;
        }
        for (row, value) in rows.filter_map(|row| self.number(row).map(|value| (row, value))) {
            times.push(self.millis(row));
            values.push(value);
        }
    }

    // The values of some rows, if all of them have a double and none is stale.
    fn doubles(&self, rows: Range<usize>) -> Option<&[f64]> {
        if let Some(flags) = self.flags.column()
            && flags.values()[rows.clone()].iter().any(|flags| flags & NO_RECORDED_VALUE != 0)
        {
            return None;
        }
        let values = self.value_double.column()?;
        let are_there = values.nulls().is_none_or(|nulls| nulls.slice(rows.start, rows.len()).null_count() == 0);
        are_there.then(|| &values.values()[rows])
    }

    fn number(&self, row: usize) -> Option<f64> {
        if self.is_stale(row) {
            return Some(stale_marker());
        }
        self.value_double.get(row).or_else(|| self.value_int.get(row).map(|value| value as f64))
    }

    // Upper bounds, but for that of the last bucket, which is infinite, and the counts of all buckets.
    fn explicit(&self, row: usize) -> Option<(ArrayRef, ArrayRef)> {
        Some((entries(&self.explicit_bounds, row)?, entries(&self.bucket_counts, row)?))
    }

    /// The upper bounds of the buckets of a classic histogram, without the infinite one.
    pub(super) fn bounds(&self, row: usize) -> Option<Vec<f64>> {
        let bounds = entries(&self.explicit_bounds, row)?;
        let bounds = bounds.as_primitive_opt::<Float64Type>()?.values().iter().copied();
        Some(bounds.filter(|bound| *bound != f64::INFINITY).collect())
    }

    // Upper bounds with the counts up to them, without the last bucket.
    fn buckets(&self, row: usize) -> Vec<(f64, u64)> {
        let Some((bounds, counts)) = self.explicit(row) else { return Vec::new() };
        let (Some(counts), Some(bounds)) =
            (counts.as_primitive_opt::<UInt64Type>(), bounds.as_primitive_opt::<Float64Type>())
        else {
            return Vec::new();
        };
        let mut so_far = 0u64;
        let cumulative = counts.values().iter().map(|count| {
            so_far = so_far.saturating_add(*count);
            so_far
        });
        bounds.values().iter().copied().zip(cumulative).filter(|(bound, _)| *bound != f64::INFINITY).collect()
    }

    fn quantiles(&self, row: usize) -> Vec<(f64, f64)> {
        let Some(pairs) = entries(&self.quantiles, row) else { return Vec::new() };
        let Some(pairs) = pairs.as_struct_opt().filter(|pairs| pairs.num_columns() == 2) else { return Vec::new() };
        let child = |index: usize| pairs.column(index).as_primitive_opt::<Float64Type>();
        match (child(0), child(1)) {
            (Some(quantiles), Some(values)) => {
                quantiles.values().iter().copied().zip(values.values().iter().copied()).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Points {
    /// Why the point of an exponential histogram cannot be a native one, if it cannot.
    pub(super) fn unfit(&self, row: usize) -> Option<Unfit> {
        if self.is_stale(row) {
            None
        } else if self.scale.number(row) < SCHEMA_MIN {
            Some(Unfit::Scale)
        } else if self.sum.get(row).is_none() {
            Some(Unfit::Sum)
        } else {
            None
        }
    }

    fn native(&self, row: usize, exact: bool) -> Histogram {
        let zero_threshold = self.zero_threshold.number(row);
        let counts = self.counts(row, exact);
        let histogram = Histogram {
            schema: self.scale.number(row),
            count: counts.count(self.count.number(row)),
            sum: self.sum.number(row),
            // OTLP has none where nothing is said; what is that near to zero is zero, as Prometheus's own clients have it.
            zero_threshold: if zero_threshold > 0.0 || exact { zero_threshold } else { ZERO_THRESHOLD },
            zero_count: counts.count(self.zero_count.number(row)),
            positive: self.positive.buckets(row, counts),
            negative: self.negative.buckets(row, counts),
            ..Histogram::default()
        };
        histogram.in_schema(SCHEMA_MAX)
    }

    // What rules record may have fractions.
    fn counts(&self, row: usize, exact: bool) -> Whole {
        if exact { Whole::with_flags(self.flags.number(row)) } else { Whole::with_flags(0) }
    }
}

// Of deltas, what they add up to. Points that do not count have no total. A total says of which time it is: the point's own, but in overflow
// series, where a point that was committed late counts at the time of the one before.
impl Points {
    fn total(&self, row: usize) -> Option<Total> {
        let totals = self.totals.as_ref().filter(|totals| totals.is_valid(row))?;
        Total::decode(totals.value(row))
    }

    fn total_number(&self, row: usize) -> Option<RawSample> {
        if self.is_stale(row) {
            return Some(raw(self, row, stale_marker()));
        }
        let total = self.total(row)?;
        let value = match total.value {
            TotalValue::Int(value) => value as f64,
            TotalValue::Double(value) => value,
            TotalValue::Histogram(_) | TotalValue::Exponential(_) => return None,
        };
        Some(RawSample { time: total.last, ..raw(self, row, value) })
    }

    fn total_native(&self, row: usize) -> Option<(i64, Histogram)> {
        let Some(Total { value: TotalValue::Exponential(total), last, .. }) = self.total(row) else { return None };
        let buckets = |buckets: BTreeMap<i32, u64>| {
            Buckets::new(buckets.into_iter().map(|(index, count)| (index.saturating_add(1), count as f64)))
        };
        let histogram = Histogram {
            schema: total.scale,
            count: total.count as f64,
            sum: total.sum?,
            zero_threshold: if total.zero_threshold > 0.0 { total.zero_threshold } else { ZERO_THRESHOLD },
            zero_count: total.zero_count as f64,
            positive: buckets(total.positive),
            negative: buckets(total.negative),
            ..Histogram::default()
        };
        (total.scale >= SCHEMA_MIN).then(|| (last, histogram.in_schema(SCHEMA_MAX)))
    }

    fn nanos(&self, row: usize) -> i64 {
        self.time.time(row).as_nanos()
    }

    // Count and sum of a histogram, and its upper bounds with the counts up to them.
    fn classic(&self, row: usize, is_delta: bool) -> Option<Classic> {
        if !is_delta {
            let (count, sum) = (self.count.number(row) as f64, self.sum.get(row));
            return Some(Classic { time: self.nanos(row), count, sum, buckets: self.buckets(row) });
        }
        let Some(Total { value: TotalValue::Histogram(total), last, .. }) = self.total(row) else { return None };
        let mut so_far = 0u64;
        let cumulative = total.counts.iter().map(|count| {
            so_far = so_far.saturating_add(*count);
            so_far
        });
        let pairs = total.bounds.iter().copied().zip(cumulative);
        let buckets = pairs.filter(|(bound, _)| *bound != f64::INFINITY).collect();
        Some(Classic { time: last, count: total.count as f64, sum: total.sum, buckets })
    }
}

struct Classic {
    time: i64,
    count: f64,
    sum: Option<f64>,
    buckets: Vec<(f64, u64)>,
}

impl Points {
    fn custom(&self, row: usize) -> Histogram {
        let explicit = self.explicit(row);
        let parts = explicit.as_ref().and_then(|(bounds, counts)| {
            Some((bounds.as_primitive_opt::<Float64Type>()?, counts.as_primitive_opt::<UInt64Type>()?))
        });
        let (bounds, counts): (&[f64], &[u64]) = parts.map_or((&[], &[]), |(b, c)| (b.values(), c.values()));
        // Only Prometheus has them.
        let written = self.counts(row, true);
        Histogram {
            schema: CUSTOM_SCHEMA,
            count: written.count(self.count.number(row)),
            sum: self.sum.number(row),
            positive: Buckets::new((0i32..).zip(counts.iter().map(|count| written.count(*count)))),
            bounds: bounds.into(),
            ..Histogram::default()
        }
    }
}

const ZERO_THRESHOLD: f64 = 1e-128;

impl Exponential {
    // OTLP's bucket `i` begins at `base^i`, Prometheus's ends there.
    fn buckets(&self, row: usize, written: Whole) -> Buckets {
        let Some(counts) = entries(&self.counts, row) else { return Buckets::default() };
        let Some(counts) = counts.as_primitive_opt::<UInt64Type>() else { return Buckets::default() };
        let first = self.offset.number(row).saturating_add(1);
        let counts = counts.values().iter().map(|count| written.count(*count));
        Buckets::new(counts.zip(0i32..).map(|(count, index)| (first.saturating_add(index), count)))
    }
}

fn entries(lists: &Option<ListArray>, row: usize) -> Option<ArrayRef> {
    let lists = lists.as_ref()?;
    lists.is_valid(row).then(|| lists.value(row))
}

/// Decodes the points of series whose label sets may meet. Where they do, their samples are one series in the order of time;
/// of two at one millisecond the later received counts.
pub(super) fn group(batches: &[Points], series: Group, matchers: &[Matcher]) -> Vec<StoredSeries> {
    let mut decoded = Decoded { found: BTreeMap::new(), histograms: BTreeMap::new(), matchers };
    for (series, runs) in series {
        let rows = runs.into_iter().flat_map(|run| run.rows.map(move |row| (&batches[run.batch], row)));
        let mut rows: Vec<(&Points, usize)> = rows.collect();
        // By nanoseconds too, which milliseconds may hide.
        rows.sort_by_key(|(points, row)| (points.time.time(*row), points.seq.number(*row)));
        let rows = rows.into_iter();
        match series.shape {
            Shape::Number => decoded.numbers(&series, rows),
            Shape::Histogram => decoded.histogram(&series, rows),
            Shape::Summary => decoded.summary(&series, rows),
            Shape::Native if series.is_delta => decoded.native(&series, rows, Points::total_native),
            Shape::Native => {
                decoded
                    .native(&series, rows, |points, row| Some((points.nanos(row), points.native(row, series.exact))));
            }
            Shape::Custom => {
                decoded.native(&series, rows, |points, row| Some((points.nanos(row), points.custom(row))));
            }
        }
    }
    let Decoded { found, mut histograms, .. } = decoded;
    let mut series: Vec<StoredSeries> = Vec::with_capacity(found.len() + histograms.len());
    for (labels, raw) in found {
        let mut samples = in_order(raw);
        put_histograms(&mut samples, histograms.remove(&labels).unwrap_or_default());
        series.push(StoredSeries { labels, samples });
    }
    for (labels, raw) in histograms {
        let mut samples = Samples::default();
        put_histograms(&mut samples, raw);
        series.push(StoredSeries { labels, samples });
    }
    series
}

// A native histogram with its time and what orders it among others of that time.
type RawHistogram = (i64, u64, Arc<Histogram>);

fn put_histograms(samples: &mut Samples, mut raw: Vec<RawHistogram>) {
    raw.sort_by_key(|(time, seq, _)| (*time, *seq));
    for (time, _, histogram) in raw {
        samples.push_histogram(Timestamp::from_nanos(time).as_millis(), histogram);
    }
}

// A sample with what orders it among others of its millisecond.
struct RawSample {
    time: i64,
    seq: u64,
    value: f64,
}

struct Decoded<'m> {
    found: BTreeMap<Labels, Vec<RawSample>>,
    histograms: BTreeMap<Labels, Vec<RawHistogram>>,
    matchers: &'m [Matcher],
}

impl Decoded<'_> {
    fn numbers<'p>(&mut self, series: &Translated, rows: impl Iterator<Item = (&'p Points, usize)>) {
        let number = |points: &Points, row| match series.is_delta {
            true => points.total_number(row),
            false => points.number(row).map(|value| raw(points, row, value)),
        };
        let samples = rows.filter_map(|(points, row)| number(points, row));
        self.put(&series.labels, samples);
    }

    fn histogram<'p>(&mut self, series: &Translated, rows: impl Iterator<Item = (&'p Points, usize)>) {
        let mut counts = Vec::new();
        let mut sums = Vec::new();
        // By the bound's bits, for its text is made once only.
        let mut buckets: BTreeMap<u64, (f64, Vec<RawSample>)> = BTreeMap::new();
        for (points, row) in rows {
            if points.is_stale(row) {
                // Which buckets end is known from the points before.
                buckets.values_mut().for_each(|(_, bucket)| bucket.push(raw(points, row, stale_marker())));
                counts.push(raw(points, row, stale_marker()));
                sums.push(raw(points, row, stale_marker()));
                continue;
            }
            let Some(classic) = points.classic(row, series.is_delta) else { continue };
            let raw = |value| RawSample { time: classic.time, ..raw(points, row, value) };
            for (bound, count) in classic.buckets {
                let (_, bucket) = buckets.entry(bound.to_bits()).or_insert_with(|| (bound, Vec::new()));
                bucket.push(raw(count as f64));
            }
            counts.push(raw(classic.count));
            sums.extend(classic.sum.map(raw));
        }
        let bucket_labels = series.with_suffix("_bucket");
        for (bound, bucket) in buckets.into_values() {
            self.put(&bucket_labels.with(BUCKET_LABEL, &bound_text(bound)), bucket);
        }
        let infinite = counts.iter().map(|sample| RawSample { ..*sample });
        self.put(&bucket_labels.with(BUCKET_LABEL, "+Inf"), infinite);
        self.put(&series.with_suffix("_count"), counts);
        self.put(&series.with_suffix("_sum"), sums);
    }

    fn summary<'p>(&mut self, series: &Translated, rows: impl Iterator<Item = (&'p Points, usize)>) {
        let mut counts = Vec::new();
        let mut sums = Vec::new();
        let mut quantiles: BTreeMap<u64, (f64, Vec<RawSample>)> = BTreeMap::new();
        for (points, row) in rows {
            if points.is_stale(row) {
                quantiles.values_mut().for_each(|(_, samples)| samples.push(raw(points, row, stale_marker())));
                counts.push(raw(points, row, stale_marker()));
                sums.push(raw(points, row, stale_marker()));
                continue;
            }
            for (quantile, value) in points.quantiles(row) {
                let (_, samples) = quantiles.entry(quantile.to_bits()).or_insert_with(|| (quantile, Vec::new()));
                samples.push(raw(points, row, value));
            }
            counts.push(raw(points, row, points.count.number(row) as f64));
            sums.extend(points.sum.get(row).map(|sum| raw(points, row, sum)));
        }
        for (quantile, samples) in quantiles.into_values() {
            self.put(&series.labels.with(QUANTILE_LABEL, &bound_text(quantile)), samples);
        }
        self.put(&series.with_suffix("_count"), counts);
        self.put(&series.with_suffix("_sum"), sums);
    }

    fn native<'p>(
        &mut self,
        series: &Translated,
        rows: impl Iterator<Item = (&'p Points, usize)>,
        read: impl Fn(&Points, usize) -> Option<(i64, Histogram)>,
    ) {
        if !all_accept(self.matchers, &series.labels) {
            return;
        }
        let (stale, rows): (Vec<_>, Vec<_>) = rows.partition(|(points, row)| points.is_stale(*row));
        self.put(&series.labels, stale.into_iter().map(|(points, row)| raw(points, row, stale_marker())));
        let found = self.histograms.entry(series.labels.clone()).or_default();
        found.extend(rows.into_iter().filter_map(|(points, row)| {
            let (time, histogram) = read(points, row)?;
            Some((time, points.seq.number(row), Arc::new(histogram)))
        }));
    }

    fn put(&mut self, labels: &Labels, samples: impl IntoIterator<Item = RawSample>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_some() && all_accept(self.matchers, labels) {
            self.found.entry(labels.clone()).or_default().extend(samples);
        }
    }
}

fn raw(points: &Points, row: usize, value: f64) -> RawSample {
    RawSample { time: points.nanos(row), seq: points.seq.number(row), value }
}

fn in_order(mut raw: Vec<RawSample>) -> Samples {
    raw.sort_by_key(|sample| (sample.time, sample.seq));
    let mut samples = Samples::default();
    for sample in raw {
        samples.push(Timestamp::from_nanos(sample.time).as_millis(), sample.value);
    }
    samples
}

// As Prometheus writes bounds and quantiles of OTLP: decimal digits, never an exponent.
pub(super) fn bound_text(bound: f64) -> String {
    if bound == f64::NEG_INFINITY { "-Inf".to_owned() } else { bound.to_string() }
}
