//! Prometheus's remote write, versions 1 (`prometheus.WriteRequest`) and 2 (`io.prometheus.write.v2.Request`), to columns of points.
//!
//! A series keeps the name and the labels that it has in Prometheus, as attributes; its scope says so ([`ORIGIN_PROMETHEUS`]), and nothing
//! translates them. The labels `job` and `instance` are its service's name and instance besides, as OpenTelemetry's own receivers have
//! them. An item is a sample or a histogram. Exemplars, which Prometheus sends without a sample, hang on a point without a value.

mod histogram;
mod series;

use model::names::{ORIGIN, ORIGIN_PROMETHEUS};
use model::{Signal, SpanId, Timestamp, TraceId};
use store::schema::{
    ExemplarRow, PointColumns, PointRow, PointValue, ResourceRow, ScopeRow, SeriesRow, SeriesStem, ValueRef,
    metric_type,
};

use self::histogram::Histogram;
use self::series::{Exemplar, Kind, Sample, Series};
use super::any::Pair;
use super::series::Asked;
use super::weight::{self, Budget};
use super::wire::{Fields, Walk};
use super::{Context, Expansion};
use crate::{DecodeError, Fate, Outcome, Reason, limits};

/// The value that says that a series has ended: a NaN that no calculation gives.
const STALE: u64 = 0x7ff0_0000_0000_0002;
/// OTLP's flag `NO_RECORDED_VALUE`.
const NO_RECORDED_VALUE: u32 = 1;
const TEMPORALITY_CUMULATIVE: i32 = 2;

const NAME: &str = "__name__";

/// Which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    One,
    /// `io.prometheus.write.v2.Request`.
    Two,
}

impl Version {
    /// The name of the message.
    pub fn message(self) -> &'static str {
        match self {
            Version::One => "prometheus.WriteRequest",
            Version::Two => "io.prometheus.write.v2.Request",
        }
    }
}

/// Adds the samples of a request to empty columns. After an error they are empty again.
pub fn remote_write(
    bytes: &[u8],
    version: Version,
    context: &Context<'_>,
    columns: &mut PointColumns,
) -> Result<Outcome, DecodeError> {
    context.series.inspect(|gate| gate.turn());
    let mut writer = SeriesWriter {
        context,
        columns,
        outcome: Outcome::default(),
        budget: Budget::new(context.limits.decoded_bytes_max),
        expansion: Expansion::new(context.limits),
    };
    match walk(bytes, version, &mut writer) {
        Ok(()) => {
            writer.outcome.settle();
            Ok(writer.outcome)
        }
        Err(stop) => {
            writer.columns.clear();
            Err(weight::refused(version.message(), stop, bytes, context))
        }
    }
}

fn walk(bytes: &[u8], version: Version, writer: &mut SeriesWriter<'_, '_>) -> Walk<()> {
    let whole = Fields::of_request(bytes);
    // Texts may stand behind the series that name them.
    let symbols = match version {
        Version::One => Vec::new(),
        Version::Two => symbols(whole, &mut writer.budget)?,
    };
    let list = if version == Version::One { 1 } else { 5 };
    let (mut fields, mut position, mut series) = (whole, 0, Series::default());
    while let Some(key) = fields.key()? {
        if key.number != list {
            fields.skip(key)?;
            continue;
        }
        let message = fields.message(key)?;
        series.clear();
        match version {
            Version::One => series.read_one(message, &mut writer.budget)?,
            Version::Two => series.read_two(message, &symbols, &mut writer.budget)?,
        }
        writer.write(&series, position);
        position += 1;
    }
    Ok(())
}

fn symbols<'a>(mut fields: Fields<'a>, budget: &mut Budget) -> Walk<Vec<&'a str>> {
    let mut symbols = Vec::new();
    while let Some(key) = fields.key()? {
        if key.number == 4 {
            budget.take(&weight::TEXT)?;
            symbols.push(fields.text(key)?);
        } else {
            fields.skip(key)?;
        }
    }
    Ok(symbols)
}

// From series to rows.
struct SeriesWriter<'c, 'w> {
    context: &'c Context<'c>,
    columns: &'w mut PointColumns,
    outcome: Outcome,
    budget: Budget,
    expansion: Expansion,
}

// What the points of one series share.
struct Rows<'s> {
    stem: SeriesStem,
    series: SeriesRow<'s>,
    kept_from: Timestamp,
    created: Option<Timestamp>,
    bytes: usize,
}

impl SeriesWriter<'_, '_> {
    fn write(&mut self, series: &Series<'_>, position: usize) {
        let (job, instance) = (series.labels.get("job"), series.labels.get("instance"));
        self.outcome.begin(job.unwrap_or_default());
        let metric = series.labels.get(NAME).unwrap_or_default();
        let fault = series.labels.fault(&self.context.limits).or(metric.is_empty().then_some(Reason::MetricName));
        if let Some(reason) = fault {
            let items = (series.samples.len() + series.histograms.len()) as u64;
            self.outcome.rejected.note(reason, items, || place(position, metric));
            return;
        }
        let resource: Vec<Pair<'_>> = [("service.name", job), ("service.instance.id", instance)]
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key, ValueRef::String(value))))
            .collect();
        let scope = [(ORIGIN, ValueRef::String(ORIGIN_PROMETHEUS))];
        let attributes = series.labels.pairs();
        let of_type = |metric_type, temporality, monotonic| SeriesRow {
            resource: ResourceRow { attributes: &resource, ..ResourceRow::default() },
            scope: ScopeRow { attributes: &scope, ..ScopeRow::default() },
            metric,
            description: series.description,
            unit: series.unit,
            metadata: &[],
            metric_type,
            temporality,
            monotonic,
            attributes: &attributes,
        };
        let numbers = match series.kind {
            Kind::Counter => of_type(metric_type::SUM, TEMPORALITY_CUMULATIVE, true),
            Kind::Other => of_type(metric_type::GAUGE, 0, false),
        };
        if !series.samples.is_empty() {
            let of_numbers = self.rows(series, numbers);
            for sample in &series.samples {
                let written = self.sample(&of_numbers, sample);
                self.outcome.written.samples += u64::from(written.is_ok());
                self.count(written, position, metric);
            }
        }
        for histogram in &series.histograms {
            let kind = if histogram.is_custom() { metric_type::HISTOGRAM } else { metric_type::EXPONENTIAL_HISTOGRAM };
            let of_histograms = self.rows(series, of_type(kind, TEMPORALITY_CUMULATIVE, false));
            let written = self.histogram(&of_histograms, histogram);
            self.outcome.written.histograms += u64::from(written.is_ok());
            self.count(written, position, metric);
        }
        for exemplar in &series.exemplars {
            let of_numbers = self.rows(series, numbers);
            // Not an item: that it could not be kept is no reason to refuse what was.
            self.outcome.written.exemplars += u64::from(self.exemplar(&of_numbers, exemplar).is_ok());
        }
    }

    fn rows<'s>(&self, series: &Series<'_>, row: SeriesRow<'s>) -> Rows<'s> {
        let job = series.labels.get("job").unwrap_or_default();
        Rows {
            stem: self.columns.stem(&row),
            kept_from: self.context.kept_from(Signal::Points, job),
            created: millis(series.created_millis).ok().filter(|_| series.created_millis != 0),
            bytes: series.labels.bytes() + row.metric.len() + row.description.len() + row.unit.len(),
            series: row,
        }
    }

    fn count(&mut self, written: Result<(), Reason>, position: usize, metric: &str) {
        match written {
            Ok(()) => self.outcome.accepted += 1,
            Err(reason) => {
                if let Some(fate) = Fate::of(reason) {
                    self.outcome.limited.note(metric, fate);
                }
                self.outcome.rejected.note(reason, 1, || place(position, metric));
            }
        }
    }

    fn sample(&mut self, rows: &Rows<'_>, sample: &Sample) -> Result<(), Reason> {
        let start = if sample.start_millis == 0 { rows.created } else { Some(millis(sample.start_millis)?) };
        match sample.is_stale() {
            true => self.push(rows, sample.millis, start, NO_RECORDED_VALUE, PointValue::None, &[]),
            false => self.push(rows, sample.millis, start, 0, PointValue::Double(sample.value), &[]),
        }
    }

    fn histogram(&mut self, rows: &Rows<'_>, histogram: &Histogram) -> Result<(), Reason> {
        if histogram.sum.to_bits() == STALE {
            return self.push(rows, histogram.millis, rows.created, NO_RECORDED_VALUE, PointValue::None, &[]);
        }
        let buckets = histogram.buckets()?;
        self.push(rows, histogram.millis, rows.created, 0, buckets.value(histogram), &[])
    }

    fn exemplar(&mut self, rows: &Rows<'_>, exemplar: &Exemplar<'_>) -> Result<(), Reason> {
        exemplar.labels.fault(&self.context.limits).map_or(Ok(()), Err)?;
        let id = |name: &str| exemplar.labels.get(name).and_then(unhex);
        let (trace, span) = (id("trace_id"), id("span_id"));
        let (trace_id, span_id) =
            (trace.as_deref().and_then(TraceId::from_slice), span.as_deref().and_then(SpanId::from_slice));
        let mut attributes = exemplar.labels.pairs();
        attributes.retain(|(name, _)| {
            !(*name == "trace_id" && trace_id.is_some() || *name == "span_id" && span_id.is_some())
        });
        let correlation_id = super::correlation::find(self.context.correlation_keys, &attributes);
        let row = ExemplarRow {
            timestamp: millis(exemplar.millis)?,
            derived_times: 0,
            value: PointValue::Double(exemplar.value),
            trace_id,
            span_id,
            correlation_id: correlation_id.as_deref(),
            attributes: &attributes,
        };
        self.push(rows, exemplar.millis, None, 0, PointValue::None, &[row])
    }

    fn push(
        &mut self,
        rows: &Rows<'_>,
        at_millis: i64,
        start_timestamp: Option<Timestamp>,
        flags: u32,
        value: PointValue<'_>,
        exemplars: &[ExemplarRow<'_>],
    ) -> Result<(), Reason> {
        let timestamp = millis(at_millis)?;
        if timestamp < rows.kept_from {
            return Err(Reason::Expired);
        }
        self.expansion.take(rows.bytes)?;
        let identity = rows.stem.with(rows.series.attributes);
        if let Some(gate) = self.context.series {
            // Prometheus has no deltas: nothing could be added up.
            let (id, metric_id, metric) = (identity.id(), rows.stem.metric_id(), rows.series.metric);
            gate.admit(Asked { id, metric_id, metric, labels: rows.series.attributes })?;
        }
        let series = self.columns.series_of_stem(&rows.stem, identity, &rows.series);
        self.columns.push(&PointRow { series, timestamp, derived_times: 0, start_timestamp, flags, value }, exemplars);
        Ok(())
    }
}

fn place(position: usize, metric: &str) -> String {
    let name: String = metric.chars().take(limits::NAME_ECHO_CHARS_MAX).collect();
    format!("timeseries[{position}] {name:?}")
}

fn millis(millis: i64) -> Result<Timestamp, Reason> {
    millis.checked_mul(1_000_000).map(Timestamp::from_nanos).ok_or(Reason::TimeRange)
}

// The bytes of hexadecimal digits, as exemplars carry ids.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok());
    rest.is_empty().then(|| bytes.collect()).flatten()
}
