//! Random batches of every signal. Each item carries an id of its own, by which a test finds it again.

use fastrand::Rng;
use model::attributes::AttributeValue;
use model::{Signal, SpanId, Timestamp, TraceId};
use store_under_test::Batch;
use store_under_test::schema::{
    EnvelopeColumns, EventRow, ExemplarRow, LinkRow, LogColumns, LogRow, PointColumns, PointRow, PointValue,
    ResourceRow, ScopeRow, SeriesKey, SeriesRow, SpanColumns, SpanRow, ValueRef, metric_type,
};

/// A batch with one item per id: of logs the body, of spans the name, of points the service of a series of its own.
pub fn batch(rng: &mut Rng, signal: Signal, key: SeriesKey, ids: &[String]) -> Batch {
    match signal {
        Signal::Logs => logs(rng, ids),
        Signal::Spans => spans(rng, ids),
        Signal::Points => points(rng, key, ids),
    }
}

fn time(rng: &mut Rng) -> Timestamp {
    Timestamp::from_nanos(1_769_817_600_000_000_000 + rng.i64(0..3_600_000_000_000))
}

fn text(rng: &mut Rng) -> String {
    let words = ["payment", "declined", "ünïcödé", "", "order 4711", "{\"a\": 1}", "SxR1"];
    (0..rng.usize(0..6)).map(|_| words[rng.usize(..words.len())]).collect::<Vec<_>>().join(" ")
}

fn trace_id(rng: &mut Rng) -> TraceId {
    TraceId::from_slice(&rng.u128(1..).to_be_bytes()).expect("it is not zero")
}

fn span_id(rng: &mut Rng) -> SpanId {
    SpanId::from_slice(&rng.u64(1..).to_be_bytes()).expect("it is not zero")
}

fn attributes(rng: &mut Rng) -> Vec<(String, AttributeValue)> {
    let keys = ["http.route", "user", "n", "ok", "ratio", "blob", "nested", "ключ"];
    let count = rng.usize(0..keys.len());
    (0..count)
        .map(|_| {
            let value = match rng.u8(0..7) {
                0 => AttributeValue::Bool(rng.bool()),
                1 => AttributeValue::Int(rng.i64(..)),
                2 => AttributeValue::Double(rng.f64()),
                3 => AttributeValue::Bytes((0..rng.usize(0..20)).map(|_| rng.u8(..)).collect()),
                4 => AttributeValue::Array(vec![AttributeValue::Int(1), AttributeValue::Empty]),
                _ => AttributeValue::String(text(rng)),
            };
            (keys[rng.usize(..keys.len())].to_owned(), value)
        })
        .collect()
}

fn borrowed(attributes: &[(String, AttributeValue)]) -> Vec<(&str, ValueRef<'_>)> {
    attributes.iter().map(|(key, value)| (key.as_str(), value.into())).collect()
}

fn envelope(rng: &mut Rng, envelopes: &mut EnvelopeColumns) -> u32 {
    let attributes = attributes(rng);
    let mut attributes = borrowed(&attributes);
    attributes.push(("service.name", ValueRef::String("checkout")));
    let resource =
        ResourceRow { attributes: &attributes, schema_url: "https://example.com/1", ..ResourceRow::default() };
    let scope = ScopeRow { name: "scope", version: "1.0", ..ScopeRow::default() };
    envelopes.push(&resource, &scope)
}

fn logs(rng: &mut Rng, ids: &[String]) -> Batch {
    let mut columns = LogColumns::default();
    let envelope = envelope(rng, &mut columns.envelopes);
    for id in ids {
        let (attributes, severity_text) = (attributes(rng), text(rng));
        let row = LogRow {
            envelope,
            timestamp: time(rng),
            observed_timestamp: time(rng),
            trace_id: rng.bool().then(|| trace_id(rng)),
            span_id: rng.bool().then(|| span_id(rng)),
            correlation_id: rng.bool().then_some("order-1"),
            severity_number: rng.i32(0..25),
            severity_text: &severity_text,
            body: Some(ValueRef::String(id)),
            ..LogRow::default()
        };
        columns.push(&row, &borrowed(&attributes));
    }
    columns.finish()
}

fn spans(rng: &mut Rng, ids: &[String]) -> Batch {
    let mut columns = SpanColumns::default();
    let envelope = envelope(rng, &mut columns.envelopes);
    for id in ids {
        let (first, second) = (attributes(rng), attributes(rng));
        let (first, second) = (borrowed(&first), borrowed(&second));
        let start = time(rng);
        let row = SpanRow {
            envelope,
            timestamp: start,
            end_timestamp: Timestamp::from_nanos(start.as_nanos() + rng.i64(0..1_000_000_000)),
            trace_id: trace_id(rng),
            span_id: span_id(rng),
            parent_span_id: rng.bool().then(|| span_id(rng)),
            correlation_id: rng.bool().then_some("order-1"),
            name: id,
            kind: rng.i32(0..6),
            trace_state: "",
            status_code: rng.i32(0..3),
            status_message: "",
            flags: 1,
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
        };
        let events: Vec<EventRow<'_>> = (0..rng.usize(0..3))
            .map(|_| EventRow { timestamp: time(rng), name: "event", attributes: &second, dropped_attributes_count: 1 })
            .collect();
        let links: Vec<LinkRow<'_>> = (0..rng.usize(0..3))
            .map(|_| LinkRow {
                trace_id: &[1; 16],
                span_id: &[2; 8],
                trace_state: "a=b",
                attributes: &first,
                dropped_attributes_count: 0,
                flags: 0,
            })
            .collect();
        columns.push(&row, &first, &events, &links);
    }
    columns.finish()
}

fn points(rng: &mut Rng, key: SeriesKey, ids: &[String]) -> Batch {
    let mut columns = PointColumns::new(key);
    for id in ids {
        let own = attributes(rng);
        let service = [("service.name", ValueRef::String(id.as_str()))];
        let series = columns.series(&SeriesRow {
            resource: ResourceRow { attributes: &service, ..ResourceRow::default() },
            scope: ScopeRow { name: "scope", ..ScopeRow::default() },
            metric: "requests",
            description: "",
            unit: "1",
            metadata: &[("origin", ValueRef::String("test"))],
            metric_type: metric_type::SUM,
            temporality: 2,
            monotonic: rng.bool(),
            attributes: &borrowed(&own),
        });
        let exemplars: Vec<ExemplarRow<'_>> = (0..rng.usize(0..3))
            .map(|_| ExemplarRow {
                timestamp: time(rng),
                derived_times: 0,
                value: PointValue::Double(rng.f64()),
                trace_id: Some(trace_id(rng)),
                span_id: None,
                correlation_id: Some("order-1"),
                attributes: &[("k", ValueRef::Int(5))],
            })
            .collect();
        let (counts, bounds) = ([1, 2, rng.u64(..)], [0.5, 1.5]);
        let value = match rng.u8(0..6) {
            0 => PointValue::Int(rng.i64(..)),
            1 => PointValue::Double(rng.f64()),
            2 => PointValue::None,
            3 => PointValue::Summary { count: 4, sum: 2.5, quantiles: &[(0.5, 1.0), (0.99, 2.0)] },
            4 => PointValue::Histogram {
                count: 9,
                sum: Some(1.0),
                min: None,
                max: Some(2.0),
                bucket_counts: &counts,
                explicit_bounds: &bounds,
            },
            _ => PointValue::ExponentialHistogram {
                count: 9,
                sum: None,
                min: None,
                max: None,
                scale: 3,
                zero_count: 1,
                zero_threshold: 0.0,
                positive: Some((-2, &counts)),
                negative: None,
            },
        };
        let row = PointRow {
            series,
            timestamp: time(rng),
            derived_times: 0,
            start_timestamp: rng.bool().then(|| time(rng)),
            flags: 0,
            value,
        };
        columns.push(&row, &exemplars);
    }
    columns.finish()
}
