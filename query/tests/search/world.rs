//! Made-up telemetry, once as plain values that the oracle looks at, and once in a store.

use std::path::Path;
use std::sync::Arc;

use model::attributes::AttributeValue;
use model::stats::Stats;
use model::{ManualClock, SpanId, Timestamp, TraceId};
use store::disk::RealDisk;
use store::schema::{LogColumns, LogRow, ResourceRow, ScopeRow, SpanColumns, SpanRow, ValueRef};
use store::{Batch, Config, Setup, Store};

/// Attributes as they were sent, each key once.
pub type Attributes = Vec<(String, AttributeValue)>;

/// What a log or a span has besides its own fields.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    pub resource: Attributes,
    pub resource_schema_url: String,
    pub scope_name: String,
    pub scope_version: String,
    pub scope: Attributes,
}

#[derive(Clone, Debug)]
pub struct Log {
    pub envelope: Envelope,
    pub time: i64,
    pub observed: i64,
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    pub correlation_id: Option<String>,
    pub severity_number: i32,
    pub severity_text: String,
    pub body: Option<AttributeValue>,
    pub event_name: String,
    pub flags: u32,
    pub attributes: Attributes,
}

#[derive(Clone, Debug)]
pub struct Span {
    pub envelope: Envelope,
    pub start: i64,
    pub end: i64,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent: Option<[u8; 8]>,
    pub correlation_id: Option<String>,
    pub name: String,
    pub kind: i32,
    pub status: i32,
    pub status_message: String,
    pub attributes: Attributes,
}

/// The wall clock of all tests.
pub fn now() -> Timestamp {
    Timestamp::parse("2026-01-31T12:00:00Z", Timestamp::default()).expect("a time")
}

/// An empty store in a directory.
pub fn open(directory: &Path) -> Store {
    let setup = Setup {
        directory: directory.to_owned(),
        config: Config::default(),
        clock: Arc::new(ManualClock::new(now())),
        disk: Arc::new(RealDisk),
        stats: Stats::new(),
    };
    Store::open(setup).expect("a store opens")
}

/// Appends a batch; answers the number of its first row.
pub fn append(store: &Store, batch: Batch) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(store.writer().append(batch)).expect("committed").first_seq
}

pub fn log_batch(logs: &[Log]) -> Batch {
    let mut columns = LogColumns::default();
    for log in logs {
        let envelope = push_envelope(&mut columns.envelopes, &log.envelope);
        let row = LogRow {
            envelope,
            timestamp: Timestamp::from_nanos(log.time),
            observed_timestamp: Timestamp::from_nanos(log.observed),
            derived_times: 0,
            trace_id: log.trace_id.and_then(|id| TraceId::from_slice(&id)),
            span_id: log.span_id.and_then(|id| SpanId::from_slice(&id)),
            correlation_id: log.correlation_id.as_deref(),
            severity_number: log.severity_number,
            severity_text: &log.severity_text,
            body: log.body.as_ref().map(ValueRef::from),
            event_name: &log.event_name,
            flags: log.flags,
            dropped_attributes_count: 0,
        };
        columns.push(&row, &refs(&log.attributes));
    }
    columns.finish()
}

pub fn span_batch(spans: &[Span]) -> Batch {
    let mut columns = SpanColumns::default();
    for span in spans {
        let envelope = push_envelope(&mut columns.envelopes, &span.envelope);
        let row = SpanRow {
            envelope,
            timestamp: Timestamp::from_nanos(span.start),
            end_timestamp: Timestamp::from_nanos(span.end),
            trace_id: TraceId::from_slice(&span.trace_id).expect("a trace id"),
            span_id: SpanId::from_slice(&span.span_id).expect("a span id"),
            parent_span_id: span.parent.and_then(|id| SpanId::from_slice(&id)),
            correlation_id: span.correlation_id.as_deref(),
            name: &span.name,
            kind: span.kind,
            trace_state: "",
            status_code: span.status,
            status_message: &span.status_message,
            flags: 0,
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
        };
        columns.push(&row, &refs(&span.attributes), &[], &[]);
    }
    columns.finish()
}

fn push_envelope(columns: &mut store::schema::EnvelopeColumns, envelope: &Envelope) -> u32 {
    let resource = ResourceRow {
        attributes: &refs(&envelope.resource),
        schema_url: &envelope.resource_schema_url,
        ..ResourceRow::default()
    };
    let scope = ScopeRow {
        name: &envelope.scope_name,
        version: &envelope.scope_version,
        attributes: &refs(&envelope.scope),
        ..ScopeRow::default()
    };
    columns.push(&resource, &scope)
}

fn refs(attributes: &Attributes) -> Vec<(&str, ValueRef<'_>)> {
    attributes.iter().map(|(key, value)| (key.as_str(), ValueRef::from(value))).collect()
}

/// Telemetry that a seed decides: few words and keys, so that they repeat; every type of value; every field missing somewhere.
pub struct Maker {
    pub random: fastrand::Rng,
}

const WORDS: [&str; 28] = [
    "payment",
    "declined",
    "card",
    "order",
    "timeout",
    "connection",
    "reset",
    "by",
    "peer",
    "retry",
    "user",
    "login",
    "Failed",
    "GET",
    "POST",
    "cache",
    "miss",
    "étage",
    "İstanbul",
    "straße",
    "東京",
    "node_7",
    "x1",
    "42",
    "db",
    "a",
    "ΣΑΣ",
    "ok",
];

const SEPARATORS: [&str; 10] = [" ", " ", " ", " ", "-", ".", "/", ": ", "\"", " | "];

const KEYS: [&str; 12] = [
    "http.method",
    "status",
    "code",
    "user.id",
    "odd key",
    "a:b",
    "latency",
    "flag",
    "tags",
    "when",
    "service.name",
    "nested",
];

impl Maker {
    pub fn text(&mut self) -> String {
        let mut text = self.word();
        for _ in 0..self.random.usize(0..5) {
            text.push_str(self.pick(&SEPARATORS));
            text.push_str(&self.word());
        }
        text
    }

    pub fn word(&mut self) -> String {
        match self.random.u8(0..20) {
            0 => format!("id{}", self.random.u32(0..500)),
            1 => self.random.u32(0..2_000).to_string(),
            2 => "x".repeat(self.random.usize(60..70)) + self.pick(&["y", "z"]),
            _ => self.pick(&WORDS).to_owned(),
        }
    }

    pub fn value(&mut self) -> AttributeValue {
        match self.random.u8(0..24) {
            0..=8 => AttributeValue::String(self.text()),
            9 => AttributeValue::String(String::new()),
            10 => AttributeValue::String(self.number().to_string()),
            11 => AttributeValue::String(format!("{}ms", self.random.u32(0..500))),
            12 => AttributeValue::String(Timestamp::from_nanos(self.time()).to_string()),
            13..=16 => AttributeValue::Int(self.number()),
            17 => AttributeValue::Int(self.pick(&[i64::MAX, i64::MIN, (1 << 53) + 1, 0, -7])),
            18 => AttributeValue::Double(self.number() as f64 / self.pick(&[1.0, 2.0, 4.0, 8.0])),
            19 => AttributeValue::Double(self.pick(&[f64::NAN, f64::INFINITY, -0.0, 1e21, 9_007_199_254_740_993.0])),
            20 => AttributeValue::Bool(self.random.bool()),
            21 => AttributeValue::Bytes((0..self.random.u8(0..6)).collect()),
            22 => AttributeValue::Array(vec![AttributeValue::String(self.word()), AttributeValue::Int(self.number())]),
            _ => self.pick(&[
                AttributeValue::Empty,
                AttributeValue::Map(vec![("k".into(), AttributeValue::Bool(true))]),
                AttributeValue::Array(vec![]),
            ]),
        }
    }

    pub fn attributes(&mut self, most: usize) -> Attributes {
        let mut attributes = Attributes::new();
        for _ in 0..self.random.usize(0..=most) {
            let key = self.pick(&KEYS).to_owned();
            if !attributes.iter().any(|(known, _)| *known == key) {
                let value = self.value();
                attributes.push((key, value));
            }
        }
        attributes
    }

    pub fn envelope(&mut self) -> Envelope {
        let mut resource = self.attributes(3);
        resource.retain(|(key, _)| key != "service.name");
        if self.random.u8(0..5) > 0 {
            let name = self.pick(&["gateway", "orders", "payments-eu", "Payments", ""]).to_owned();
            resource.push(("service.name".to_owned(), AttributeValue::String(name)));
        } else if self.random.bool() {
            resource.push(("service.name".to_owned(), AttributeValue::Int(7)));
        }
        Envelope {
            resource,
            resource_schema_url: self.pick(&["", "https://example.com/1"]).to_owned(),
            scope_name: self.pick(&["", "tokio", "my.lib"]).to_owned(),
            scope_version: self.pick(&["", "1.0", "2"]).to_owned(),
            scope: self.attributes(2),
        }
    }

    pub fn logs(&mut self, count: usize) -> Vec<Log> {
        let envelopes: Vec<Envelope> = (0..3).map(|_| self.envelope()).collect();
        (0..count).map(|_| self.log(&envelopes)).collect()
    }

    fn log(&mut self, envelopes: &[Envelope]) -> Log {
        let time = self.time();
        Log {
            envelope: self.pick(envelopes),
            time,
            observed: time + self.random.i64(0..1_000_000_000),
            trace_id: self.maybe(|maker| maker.id()),
            span_id: self.maybe(|maker| maker.id()),
            correlation_id: self.maybe(Self::correlation_id),
            severity_number: self.random.i32(0..25),
            severity_text: self.pick(&["", "WARN", "Error", "info"]).to_owned(),
            body: match self.random.u8(0..10) {
                0 => None,
                1 => Some(self.value()),
                _ => Some(AttributeValue::String(self.text())),
            },
            event_name: self.pick(&["", "", "login.ok", "order placed"]).to_owned(),
            flags: self.random.u32(0..3),
            attributes: self.attributes(5),
        }
    }

    pub fn spans(&mut self, count: usize) -> Vec<Span> {
        let envelopes: Vec<Envelope> = (0..3).map(|_| self.envelope()).collect();
        (0..count).map(|_| self.span(&envelopes)).collect()
    }

    fn span(&mut self, envelopes: &[Envelope]) -> Span {
        let start = self.time();
        Span {
            envelope: self.pick(envelopes),
            start,
            end: start + self.random.i64(-1_000_000..600_000_000),
            trace_id: self.id(),
            span_id: self.id(),
            parent: self.maybe(|maker| maker.id()),
            correlation_id: self.maybe(Self::correlation_id),
            name: self.text(),
            kind: self.random.i32(0..7),
            status: self.random.i32(0..4),
            status_message: self.pick(&["", "card declined", "Timeout"]).to_owned(),
            attributes: self.attributes(5),
        }
    }

    // Over one day and two dates, with many ties.
    fn time(&mut self) -> i64 {
        now().as_nanos() - self.random.i64(0..24 * 60) * 60_000_000_000
    }

    fn number(&mut self) -> i64 {
        self.random.i64(-20..600)
    }

    fn correlation_id(&mut self) -> String {
        let number = self.random.u16(0..50);
        self.pick(&[format!("order-{number}"), format!("7a{number:02}b9c0-aa00-4bbb-8ccc-000000000001")])
    }

    fn id<const N: usize>(&mut self) -> [u8; N] {
        let mut id = [self.random.u8(0..40); N];
        id[N - 1] = 1;
        id
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.random.u8(0..4) > 0).then(|| make(self))
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.random.usize(0..from.len())].clone()
    }
}
