//! Random rows of every table, as odd as senders make them, and a form in which rows of the head and of parts can be compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, TimestampNanosecondType, UInt64Type};
use arrow::util::display::array_value_to_string;
use fastrand::Rng;
use model::attributes::AttributeValue;
use model::{SpanId, Timestamp, TraceId};
use store::Batch;
use store::schema::{
    EventRow, ExemplarRow, LinkRow, LogColumns, LogRow, PointColumns, PointRow, PointValue, ResourceRow, ScopeRow,
    SeriesKey, SeriesRow, SpanColumns, SpanRow, ValueRef, column, is_attribute, map_entries, metric_type, typed_value,
};

/// The time around which rows are made: 2026-01-31T12:00:00Z.
pub const NOW: Timestamp = Timestamp::from_nanos(1_769_860_800_000_000_000);
pub const SECOND: i64 = 1_000_000_000;
pub const DAY: i64 = 86_400 * SECOND;

const WORDS: [&str; 14] = [
    "Payment",
    "declined",
    "order",
    "checkout",
    "ÉTÉ",
    "東京",
    "timeout",
    "GET",
    "cache_miss",
    "user",
    "for",
    "the",
    "connection",
    "refused",
];

/// Some text: words, numbers, ids, odd characters, sometimes a token longer than the index keeps.
pub fn text(random: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..random.usize(0..9) {
        match random.u8(..12) {
            0 => text.push_str(&random.u32(..).to_string()),
            1 => text.push_str(&format!("{:016x}-{:04X}", random.u64(..), random.u16(..))),
            2 => text.push_str(&"Long".repeat(random.usize(10..30))),
            3 => text.push(random.char(..)),
            4 => text.extend((0..4).map(|_| random.lowercase())),
            _ => text.push_str(random.choice(WORDS).unwrap_or("word")),
        }
        text.push(*random.choice(&[' ', ' ', '=', '/', '\n']).unwrap_or(&' '));
    }
    text
}

/// Any value; `depth` bounds how deep arrays and maps nest.
pub fn value(random: &mut Rng, depth: usize) -> AttributeValue {
    match random.u8(..if depth == 0 { 8 } else { 10 }) {
        0..=2 => AttributeValue::String(text(random)),
        3 => AttributeValue::Bool(random.bool()),
        4 => AttributeValue::Int(if random.bool() { random.i64(..) } else { random.i64(-3..400) }),
        5 => AttributeValue::Double(*random.choice(&[0.5, -0.0, f64::NAN, f64::INFINITY, 1e300, 3.0]).unwrap_or(&1.5)),
        6 => AttributeValue::Bytes((0..random.usize(..20)).map(|_| random.u8(..)).collect()),
        7 => AttributeValue::Empty,
        8 => AttributeValue::Array((0..random.usize(..4)).map(|_| value(random, depth - 1)).collect()),
        _ => AttributeValue::Map((0..random.usize(..4)).map(|n| (format!("k{n}"), value(random, depth - 1))).collect()),
    }
}

/// Attributes with keys of `keys` kinds. A key mostly has values of one type, and may come twice.
pub fn attributes(random: &mut Rng, keys: usize) -> Vec<(String, AttributeValue)> {
    let count = random.usize(0..8.min(keys + 1));
    let attribute = |random: &mut Rng| {
        let key = random.usize(..keys);
        let value = match (random.u8(..10), key % 4) {
            (0, _) => value(random, 2),
            (_, 0) => AttributeValue::String(text(random)),
            (_, 1) => AttributeValue::Int(random.i64(-5..500)),
            (_, 2) => AttributeValue::Bool(random.bool()),
            _ => AttributeValue::Double(random.f64()),
        };
        (format!("key.{key}"), value)
    };
    (0..count).map(|_| attribute(random)).collect()
}

pub fn refs(attributes: &[(String, AttributeValue)]) -> Vec<(&str, ValueRef<'_>)> {
    attributes.iter().map(|(key, value)| (key.as_str(), ValueRef::from(value))).collect()
}

/// What attributes with one key mean: the last one counts.
pub fn distinct(attributes: &[(String, AttributeValue)]) -> BTreeMap<String, AttributeValue> {
    attributes.iter().cloned().collect()
}

pub fn trace_id(random: &mut Rng) -> TraceId {
    TraceId::from_slice(&random.u128(1..).to_be_bytes()).expect("it is not zero")
}

pub fn span_id(random: &mut Rng) -> SpanId {
    SpanId::from_slice(&random.u64(1..).to_be_bytes()).expect("it is not zero")
}

/// Runs `with` with a random resource and scope.
pub fn with_envelope<T>(random: &mut Rng, with: impl FnOnce(&ResourceRow<'_>, &ScopeRow<'_>) -> T) -> T {
    let mut resource = attributes(random, 6);
    if random.u8(..4) > 0 {
        let service = random.choice(["gateway", "orders", "payments"]).unwrap_or("none");
        resource.push(("service.name".into(), AttributeValue::String(service.into())));
    }
    let scope = attributes(random, 3);
    with(
        &ResourceRow {
            attributes: &refs(&resource),
            dropped_attributes_count: random.u32(..3),
            schema_url: random.choice(["", "https://opentelemetry.io/schemas/1.30.0"]).unwrap_or(""),
            entity_refs_json: random.choice(["", r#"[{"type":"service"}]"#]).unwrap_or(""),
        },
        &ScopeRow {
            name: "lib",
            version: "1.2",
            attributes: &refs(&scope),
            dropped_attributes_count: 0,
            schema_url: "",
        },
    )
}

/// Log records of the last `span` nanoseconds before [`NOW`].
pub fn logs(random: &mut Rng, rows: usize, keys: usize, span: i64) -> Batch {
    let mut columns = LogColumns::default();
    let envelopes: Vec<u32> =
        (0..3).map(|_| with_envelope(random, |resource, scope| columns.envelopes.push(resource, scope))).collect();
    for _ in 0..rows {
        let attributes = attributes(random, keys);
        let severity = text(random);
        let body = random.u8(..20) > 0;
        let other_body = value(random, 2);
        let text_body = text(random);
        let body =
            body.then(|| if random.u8(..10) == 0 { ValueRef::from(&other_body) } else { ValueRef::String(&text_body) });
        let correlation = format!("order-{}", random.u32(..500));
        let timestamp = NOW.saturating_add(-random.i64(0..span));
        let row = LogRow {
            envelope: *random.choice(&envelopes).unwrap_or(&0),
            timestamp,
            observed_timestamp: timestamp.saturating_add(random.i64(0..SECOND)),
            derived_times: random.u8(..4),
            trace_id: random.bool().then(|| trace_id(random)),
            span_id: random.bool().then(|| span_id(random)),
            correlation_id: random.bool().then_some(correlation.as_str()),
            severity_number: random.i32(0..25),
            severity_text: &severity,
            body,
            event_name: random.choice(["", "order.placed"]).unwrap_or(""),
            flags: random.u32(..),
            dropped_attributes_count: random.u32(..2),
        };
        columns.push(&row, &refs(&attributes));
    }
    columns.finish()
}

/// Spans of a few traces, in random order.
pub fn spans(random: &mut Rng, rows: usize, span: i64) -> Batch {
    let mut columns = SpanColumns::default();
    let envelopes: Vec<u32> =
        (0..3).map(|_| with_envelope(random, |resource, scope| columns.envelopes.push(resource, scope))).collect();
    let traces: Vec<TraceId> = (0..rows.div_ceil(5).max(1)).map(|_| trace_id(random)).collect();
    for _ in 0..rows {
        let (of_span, of_event) = (attributes(random, 10), attributes(random, 5));
        let timestamp = NOW.saturating_add(-random.i64(0..span));
        let message = text(random);
        let of_event = refs(&of_event);
        let event = EventRow { timestamp, name: "exception", attributes: &of_event, dropped_attributes_count: 1 };
        let link = LinkRow {
            trace_id: &[1; 16],
            span_id: &[2; 7],
            trace_state: "a=b",
            attributes: &of_event,
            dropped_attributes_count: 0,
            flags: 256,
        };
        let row = SpanRow {
            envelope: *random.choice(&envelopes).unwrap_or(&0),
            timestamp,
            end_timestamp: timestamp.saturating_add(random.i64(-5..SECOND)),
            trace_id: *random.choice(&traces).expect("there is one"),
            span_id: span_id(random),
            parent_span_id: random.bool().then(|| span_id(random)),
            correlation_id: random.bool().then_some("Req-77"),
            name: random.choice(["GET /orders", "charge", "SELECT orders"]).unwrap_or("x"),
            kind: random.i32(0..6),
            trace_state: random.choice(["", "vendor=1"]).unwrap_or(""),
            status_code: random.i32(0..3),
            status_message: &message,
            flags: 1,
            dropped_attributes_count: 0,
            dropped_events_count: 3,
            dropped_links_count: 0,
        };
        let (events, links) = (random.usize(..3), random.usize(..2));
        columns.push(&row, &refs(&of_span), &vec![event; events], &vec![link; links]);
    }
    columns.finish()
}

/// Points of every kind of metric, of `series` series, with exemplars.
pub fn points(random: &mut Rng, key: SeriesKey, rows: usize, series: usize, span: i64) -> Batch {
    let mut columns = PointColumns::new(key);
    for _ in 0..rows {
        let chosen = random.usize(..series);
        let kind = (chosen % 5) as u8 + 1;
        let of_series = [("series".to_owned(), AttributeValue::Int(chosen as i64))];
        let metadata = [("unit.of".to_owned(), AttributeValue::String("x".into()))];
        let resource = [("service.name", ValueRef::String("orders")), ("host", ValueRef::Int((chosen % 3) as i64))];
        let attributes = refs(&of_series);
        let metadata = refs(&metadata);
        let metric = format!("metric.{}", chosen % 7);
        let row = columns.series(&SeriesRow {
            resource: ResourceRow { attributes: &resource, ..ResourceRow::default() },
            scope: ScopeRow { name: "meter", ..ScopeRow::default() },
            metric: &metric,
            description: "what it counts",
            unit: "1",
            metadata: &metadata,
            metric_type: kind,
            temporality: if matches!(kind, metric_type::GAUGE | metric_type::SUMMARY) { 0 } else { 2 },
            monotonic: true,
            attributes: &attributes,
        });
        let timestamp = NOW.saturating_add(-random.i64(0..span));
        let counts: Vec<u64> = (0..4).map(|_| random.u64(..100)).collect();
        let quantiles = [(0.5, random.f64()), (0.99, random.f64())];
        let (sum, min, max) = (random.bool().then(|| random.f64()), None, random.bool().then_some(9.5));
        let value = match kind {
            metric_type::GAUGE if random.bool() => PointValue::Int(random.i64(..)),
            metric_type::GAUGE | metric_type::SUM => PointValue::Double(random.f64()),
            metric_type::HISTOGRAM => PointValue::Histogram {
                count: 7,
                sum,
                min,
                max,
                bucket_counts: &counts,
                explicit_bounds: &[0.1, 1.0, 10.0],
            },
            metric_type::EXPONENTIAL_HISTOGRAM => PointValue::ExponentialHistogram {
                count: 7,
                sum,
                min,
                max,
                scale: -3,
                zero_count: 2,
                zero_threshold: 0.001,
                positive: Some((-4, &counts)),
                negative: None,
            },
            _ => PointValue::Summary { count: 3, sum: 1.5, quantiles: &quantiles },
        };
        let value = if random.u8(..20) == 0 { PointValue::None } else { value };
        let of_exemplar = attributes_of_exemplar(random);
        let of_exemplar = refs(&of_exemplar);
        let exemplar = ExemplarRow {
            timestamp,
            derived_times: 0,
            value: PointValue::Double(random.f64()),
            trace_id: Some(trace_id(random)),
            span_id: random.bool().then(|| span_id(random)),
            correlation_id: Some("order-42"),
            attributes: &of_exemplar,
        };
        let exemplars = if random.u8(..4) == 0 { vec![exemplar; random.usize(1..3)] } else { Vec::new() };
        let point = PointRow {
            series: row,
            timestamp,
            derived_times: 0,
            start_timestamp: random.bool().then(|| timestamp.saturating_add(-SECOND)),
            flags: 0,
            value,
        };
        columns.push(&point, &exemplars);
    }
    columns.finish()
}

fn attributes_of_exemplar(random: &mut Rng) -> Vec<(String, AttributeValue)> {
    vec![("Zone".to_owned(), AttributeValue::String(random.choice(WORDS).unwrap_or("a").to_owned()))]
}

/// A row by the names of its columns, wherever its attributes are kept. Columns that are null are left out.
pub type Row = BTreeMap<String, String>;

/// The rows of a batch, in order.
pub fn rows(batch: &RecordBatch) -> Vec<Row> {
    let mut rows = vec![Row::new(); batch.num_rows()];
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let name = field.name().as_str();
        if name == column::OVERFLOW || name == column::ENVELOPE_OVERFLOW {
            for (row, key, json) in map_entries(array) {
                // A body that is no text is there as well as the text it is shown as.
                let key = if is_attribute(key) { key.to_owned() } else { format!("overflow {key}") };
                let replaced = rows[row].insert(key.clone(), json.to_owned());
                assert_eq!(replaced, None, "{key} is there twice");
            }
            continue;
        }
        for (row, known) in rows.iter_mut().enumerate().filter(|(row, _)| array.is_valid(*row)) {
            let text = if is_attribute(name) {
                typed_value(array, row).expect("attribute columns have types of attributes").to_otlp_json_text()
            } else {
                value_text(array, row)
            };
            let replaced = known.insert(name.to_owned(), text);
            assert_eq!(replaced, None, "{name} is there twice");
        }
    }
    rows
}

// Arrow can write zoned times only with a database of time zones.
fn value_text(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_owned();
    }
    let all =
        |values: &ArrayRef| (0..values.len()).map(|place| value_text(values, place)).collect::<Vec<_>>().join(", ");
    match array.data_type() {
        DataType::Timestamp(..) => array.as_primitive::<TimestampNanosecondType>().value(row).to_string(),
        DataType::List(_) => format!("[{}]", all(&array.as_list::<i32>().value(row))),
        DataType::Map(..) => {
            let entry: ArrayRef = Arc::new(array.as_map().value(row));
            format!("[{}]", all(&entry))
        }
        DataType::Struct(_) => {
            let fields = array.as_struct().columns().iter();
            format!("{{{}}}", fields.map(|field| value_text(field, row)).collect::<Vec<_>>().join(", "))
        }
        _ => array_value_to_string(array, row).expect("every other column has a text"),
    }
}

/// The rows of several batches, sorted.
pub fn sorted_rows<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Vec<Row> {
    let mut all: Vec<Row> = batches.into_iter().flat_map(rows).collect();
    all.sort();
    all
}

/// A column of 64-bit numbers without nulls.
pub fn numbers(batch: &RecordBatch, name: &str) -> Vec<u64> {
    batch[name].as_primitive::<UInt64Type>().values().to_vec()
}

/// The timestamps of a batch.
pub fn times(batch: &RecordBatch) -> Vec<i64> {
    batch[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values().to_vec()
}
