//! Metric data points to columns. Stateless: the point as it came is what is stored.

use std::borrow::Cow;

use model::{Signal, SpanId, Timestamp, TraceId};
use store::schema::{ExemplarRow, PointColumns, PointRow, PointValue, SeriesRow, SeriesStem, derived};

use super::any::{Attributes, Pair};
use super::overflow::{Folded, Overflows, Surplus};
use super::point::{Exemplar, Kind, Number, Point};
use super::request::{Items, Request, Under};
use super::resource::Envelope;
use super::series::Asked;
use super::weight::{self, Shape};
use super::wire::{Fields, Walk};
use super::{Context, Encoding, Expansion, Mistakes, Place, correlation, json, known_time, on_the_wire, optional_id};
use crate::{DecodeError, Fate, Outcome, Reason, Warning};

const REQUEST: weight::Request = weight::Request::Points;

/// OTLP's `AGGREGATION_TEMPORALITY_UNSPECIFIED`.
const TEMPORALITY_UNSPECIFIED: i32 = 0;

/// Adds the data points of an `ExportMetricsServiceRequest` to empty columns. After an error they are empty again.
pub fn points(
    bytes: &[u8],
    encoding: Encoding,
    context: &Context<'_>,
    columns: &mut PointColumns,
) -> Result<Outcome, DecodeError> {
    let mut outcome = Outcome::default();
    let wire = on_the_wire(bytes, encoding, REQUEST, json::metrics_request, context, &mut outcome)?;
    let mut request = Request::new(context, outcome);
    context.series.inspect(|gate| gate.turn());
    let mut metrics = Metrics { columns, point: Point::default(), overflows: Overflows::default() };
    match request.walk(&wire, &mut metrics) {
        Ok(()) => {
            metrics.overflows.finish(context.received, metrics.columns);
            Ok(request.outcome)
        }
        Err(stop) => {
            metrics.columns.clear();
            Err(REQUEST.refused(stop, &wire, context))
        }
    }
}

struct Metrics<'c, 'a> {
    columns: &'c mut PointColumns,
    // Of the point at hand.
    point: Point<'a>,
    overflows: Overflows,
}

// A `Metric` but for its points.
#[derive(Debug, Default)]
struct Metric<'a> {
    name: &'a str,
    description: &'a str,
    unit: &'a str,
    metadata: Attributes<'a>,
    metadata_bytes: usize,
    data: Option<Data<'a>>,
    temporality: i32,
    monotonic: bool,
}

// The points of a metric: mostly one piece. Pieces of another kind that came before count for nothing, but have to be sound.
#[derive(Debug)]
struct Data<'a> {
    kind: Kind,
    first: Fields<'a>,
    more: Vec<Fields<'a>>,
    overruled: Vec<(Kind, Fields<'a>)>,
}

impl<'a> Data<'a> {
    fn new(kind: Kind, first: Fields<'a>) -> Self {
        Self { kind, first, more: Vec::new(), overruled: Vec::new() }
    }

    fn add(&mut self, kind: Kind, piece: Fields<'a>) {
        if kind == self.kind {
            self.more.push(piece);
            return;
        }
        let before = std::mem::replace(self, Data::new(kind, piece));
        self.overruled = before.overruled;
        self.overruled.extend([before.first].into_iter().chain(before.more).map(|piece| (before.kind, piece)));
    }

    fn pieces(&self) -> impl Iterator<Item = Fields<'a>> {
        [self.first].into_iter().chain(self.more.iter().copied())
    }
}

impl<'a> Metric<'a> {
    fn read(mut fields: Fields<'a>, request: &mut Request<'_, 'a>) -> Walk<Self> {
        let mut metric = Self::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => metric.name = fields.text(key)?,
                2 => metric.description = fields.text(key)?,
                3 => metric.unit = fields.text(key)?,
                12 => {
                    let entry = fields.message(key)?;
                    metric.metadata_bytes += entry.rest().len();
                    metric.metadata.read(entry, &request.context.limits, &mut request.budget)?;
                }
                number => match Kind::of_field(number) {
                    Some(kind) => {
                        let piece = fields.message(key)?;
                        match &mut metric.data {
                            None => metric.data = Some(Data::new(kind, piece)),
                            Some(data) => data.add(kind, piece),
                        }
                    }
                    None => fields.skip(key)?,
                },
            }
        }
        Ok(metric)
    }
}

impl<'a> Items<'a> for Metrics<'_, 'a> {
    const SIGNAL: Signal = Signal::Points;
    const LISTS: [&'static str; 3] = ["resource_metrics", "scope_metrics", "metrics"];
    const SHAPE: &'static Shape = &weight::METRIC;

    fn item(&mut self, fields: Fields<'a>, under: &mut Under<'_>, request: &mut Request<'_, 'a>) -> Walk<()> {
        let mut metric = Metric::read(fields, request)?;
        let place = Place { lists: Self::LISTS, positions: under.positions, point: None, name: metric.name };
        let Some(data) = metric.data.take() else {
            request.outcome.warnings.note(Warning::MetricWithoutData, 1, || place.to_string());
            return Ok(());
        };
        for (kind, piece) in &data.overruled {
            self.each_point(*kind, *piece, request, |_, _| {})?;
        }
        for mut piece in data.pieces() {
            while let Some(key) = piece.key()? {
                match key.number {
                    1 => {
                        request.budget.take(data.kind.shape())?;
                        piece.bytes(key)?;
                    }
                    2 if data.kind.has_temporality() => metric.temporality = piece.i32(key)?,
                    3 if data.kind == Kind::Sum => metric.monotonic = piece.varint(key)? != 0,
                    _ => piece.skip(key)?,
                }
            }
        }
        let metadata = metric.metadata.to_pairs();
        let held = HeldMetric::new(&metric, data.kind, &metadata, under, request.context, self.columns);
        let mut position = 0;
        for piece in data.pieces() {
            self.each_point(data.kind, piece, request, |metrics, request| {
                let Metrics { columns, point, overflows } = metrics;
                let kept = held.push(point, request.context, &mut request.expansion, columns, overflows);
                count(kept, metric.name, &mut request.outcome, || Place { point: Some(position), ..place }.to_string());
                position += 1;
            })?;
        }
        Ok(())
    }
}

impl<'a> Metrics<'_, 'a> {
    // Reads one point after the other and hands it over.
    fn each_point<'c>(
        &mut self,
        kind: Kind,
        mut piece: Fields<'a>,
        request: &mut Request<'c, 'a>,
        mut each: impl FnMut(&mut Self, &mut Request<'c, 'a>),
    ) -> Walk<()> {
        while let Some(key) = piece.key()? {
            match key.number {
                1 => {
                    let fields = piece.message(key)?;
                    self.point.read(kind, fields, &request.context.limits, &mut request.budget)?;
                    each(self, request);
                }
                2 if kind.has_temporality() => _ = piece.varint(key)?,
                3 if kind == Kind::Sum => _ = piece.varint(key)?,
                _ => piece.skip(key)?,
            }
        }
        Ok(())
    }
}

// What became of a point that is kept.
struct Kept {
    mistakes: Mistakes,
    // It has no series of its own.
    folded: Option<Folded>,
}

// Counts a point. Of those that make one row of an overflow series the first is accepted, so that accepted is what is stored.
fn count(kept: Result<Kept, Reason>, metric: &str, outcome: &mut Outcome, place: impl Fn() -> String) {
    match kept {
        Ok(Kept { mistakes, folded }) => {
            *if folded == Some(Folded::Added) { &mut outcome.folded } else { &mut outcome.accepted } += 1;
            mistakes.note(outcome, &place);
            if folded.is_some() {
                outcome.warnings.note(Warning::SeriesFolded, 1, &place);
                outcome.limited.note(metric, Fate::Folded);
            }
        }
        Err(reason) => {
            if let Some(fate) = Fate::of(reason) {
                outcome.limited.note(metric, fate);
            }
            outcome.rejected.note(reason, 1, place);
        }
    }
}

// What the points of one metric share.
struct HeldMetric<'h> {
    envelope: &'h Envelope<'h>,
    // Older points are not kept.
    kept_from: Timestamp,
    // Without the attributes of a point.
    series: SeriesRow<'h>,
    stem: SeriesStem,
    fault: Option<Reason>,
    string_index: bool,
    bytes: usize,
}

impl<'h> HeldMetric<'h> {
    fn new(
        metric: &'h Metric<'h>,
        kind: Kind,
        metadata: &'h [Pair<'h>],
        under: &Under<'h>,
        context: &Context<'_>,
        columns: &PointColumns,
    ) -> Self {
        let envelope = under.envelope;
        let series = SeriesRow {
            resource: envelope.resource_row(),
            scope: envelope.scope_row(),
            metric: metric.name,
            description: metric.description,
            unit: metric.unit,
            metadata,
            metric_type: kind.metric_type(),
            temporality: metric.temporality,
            monotonic: metric.monotonic,
            attributes: &[],
        };
        let texts = metric.name.len() + metric.description.len() + metric.unit.len();
        Self {
            envelope,
            kept_from: under.kept_from,
            stem: columns.stem(&series),
            series,
            fault: Self::fault(metric, kind, envelope, context),
            string_index: metric.metadata.string_index || envelope.mistakes().string_index,
            bytes: envelope.bytes + texts + metric.metadata_bytes,
        }
    }

    // Why none of its points may be kept.
    fn fault(metric: &Metric<'_>, kind: Kind, envelope: &Envelope<'_>, context: &Context<'_>) -> Option<Reason> {
        if let Err(reason) = envelope.fault() {
            return Some(reason);
        }
        let unspecified = kind.has_temporality() && metric.temporality == TEMPORALITY_UNSPECIFIED;
        metric
            .metadata
            .fault(&context.limits)
            .or(metric.name.is_empty().then_some(Reason::MetricName))
            .or(unspecified.then_some(Reason::Temporality))
    }

    fn push(
        &self,
        point: &Point<'_>,
        context: &Context<'_>,
        expansion: &mut Expansion,
        columns: &mut PointColumns,
        overflows: &mut Overflows,
    ) -> Result<Kept, Reason> {
        self.fault.map_or(Ok(()), Err)?;
        let mut mistakes = Mistakes { string_index: self.string_index, ..Mistakes::default() };
        let value = point.value()?;
        let time = known_time(point.time_unix_nano)?;
        let start_timestamp = known_time(point.start_time_unix_nano)?;
        if point.attributes.len() > context.limits.labels_max {
            return Err(Reason::Labels);
        }
        for list in [&point.attributes].into_iter().chain(point.exemplars.iter().map(|exemplar| &exemplar.attributes)) {
            list.fault(&context.limits).map_or(Ok(()), Err)?;
            mistakes.string_index |= list.string_index;
        }
        let timestamp = time.unwrap_or(context.received);
        let derived_times = if time.is_none() { derived::TIMESTAMP } else { 0 };
        let mut scratch = Vec::new();
        let pairs = point.attributes.pairs(&mut scratch);
        let exemplar_pairs: Vec<Vec<Pair<'_>>> =
            point.exemplars.iter().map(|exemplar| exemplar.attributes.to_pairs()).collect();
        let correlation_ids = self.correlation_ids(pairs, &exemplar_pairs, context);
        let mut exemplars = Vec::with_capacity(point.exemplars.len());
        for (position, exemplar) in point.exemplars.iter().enumerate() {
            let correlation_id = correlation_ids[position].as_deref();
            exemplars.push(exemplar_row(
                exemplar,
                &exemplar_pairs[position],
                timestamp,
                correlation_id,
                &mut mistakes,
            )?);
        }
        if timestamp < self.kept_from {
            return Err(Reason::Expired);
        }
        expansion.take(self.bytes)?;
        let identity = self.stem.with(pairs);
        let flags = point.flags;
        if let Some(gate) = context.series {
            let (id, metric_id, metric) = (identity.id(), self.stem.metric_id(), self.series.metric);
            let asked = Asked { id, metric_id, metric, labels: pairs };
            match gate.admit(asked) {
                Ok(()) => {}
                Err(Reason::MetricSeries) => {
                    let (series, service) = (&self.series, self.envelope.service());
                    let (start, exemplars) = (start_timestamp, &exemplars[..]);
                    // One without a time of its own is as new as its request.
                    let is_repeated = context.is_repeated && time.is_some();
                    let surplus = Surplus { series, service, start, flags, value, exemplars, is_repeated };
                    let folded = Some(overflows.fold(&surplus, gate, columns)?);
                    return Ok(Kept { mistakes, folded });
                }
                Err(reason) => return Err(reason),
            }
        }
        let series = columns.series_of_stem(&self.stem, identity, &SeriesRow { attributes: pairs, ..self.series });
        columns.push(&PointRow { series, timestamp, derived_times, start_timestamp, flags, value }, &exemplars);
        Ok(Kept { mistakes, folded: None })
    }

    // One for each exemplar: its own, the point's, the resource's.
    fn correlation_ids<'p>(
        &'p self,
        pairs: &[Pair<'p>],
        exemplar_pairs: &[Vec<Pair<'p>>],
        context: &Context<'_>,
    ) -> Vec<Option<Cow<'p, str>>> {
        if exemplar_pairs.is_empty() {
            return Vec::new();
        }
        let of_point = correlation::find(context.correlation_keys, pairs);
        let inherited = of_point.as_deref().or(self.envelope.correlation_id.as_deref());
        let own = exemplar_pairs.iter().map(|pairs| correlation::find(context.correlation_keys, pairs));
        own.map(|own| own.or_else(|| inherited.map(|id| Cow::Owned(id.to_owned())))).collect()
    }
}

fn exemplar_row<'a>(
    exemplar: &Exemplar<'_>,
    attributes: &'a [Pair<'a>],
    of_point: Timestamp,
    correlation_id: Option<&'a str>,
    mistakes: &mut Mistakes,
) -> Result<ExemplarRow<'a>, Reason> {
    let time = known_time(exemplar.time_unix_nano)?;
    let trace_id = TraceId::from_slice(exemplar.trace_id);
    let span_id = SpanId::from_slice(exemplar.span_id);
    Ok(ExemplarRow {
        timestamp: time.unwrap_or(of_point),
        derived_times: if time.is_none() { derived::TIMESTAMP } else { 0 },
        value: match exemplar.value {
            Some(Number::Int(value)) => PointValue::Int(value),
            Some(Number::Double(value)) => PointValue::Double(value),
            None => PointValue::None,
        },
        trace_id: optional_id(exemplar.trace_id, TraceId::LEN, trace_id, mistakes),
        span_id: optional_id(exemplar.span_id, SpanId::LEN, span_id, mistakes),
        correlation_id,
        attributes,
    })
}
