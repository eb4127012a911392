//! Remote write's messages, versions 1 and 2, as far as tests send them.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use tui::Client;
use tui::client::Answer;

/// The value that says that a series has ended.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// The schema of bounds that are given.
const CUSTOM: i32 = -53;

#[derive(Clone, PartialEq, Message)]
struct Request1 {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<Series1>,
}

#[derive(Clone, PartialEq, Message)]
struct Series1 {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Request2 {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<Series2>,
}

#[derive(Clone, PartialEq, Message)]
struct Series2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Histogram>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(uint64, tag = "6")]
    zero_count: u64,
    #[prost(message, repeated, tag = "8")]
    negative_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "9")]
    negative_deltas: Vec<i64>,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    custom_values: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

/// A series with its samples in the order of their times.
pub struct Series {
    pub labels: BTreeMap<String, String>,
    pub samples: Vec<(i64, Value)>,
    /// Whether it is sent as a counter where that can be said.
    pub counts: bool,
}

/// What a sample is.
pub enum Value {
    Number(f64),
    Native(Native),
}

/// A native histogram; with bounds it is one with custom buckets.
#[derive(Clone, Default)]
pub struct Native {
    pub schema: i32,
    /// What its buckets add up to, if nothing is said.
    pub count: Option<u64>,
    pub sum: f64,
    pub zero_threshold: f64,
    pub zero_count: u64,
    pub positive: Vec<(i32, u64)>,
    pub negative: Vec<(i32, u64)>,
    pub bounds: Vec<f64>,
}

/// Some of a series' samples.
pub type Run<'a> = (&'a Series, &'a [(i64, Value)]);

/// What is sent one after the other, between `first` and `end`: the samples of a series in one message are all numbers or all
/// histograms, because Prometheus takes those of a message before these.
pub fn messages(series: &[Series], first: i64, end: i64) -> Vec<Vec<Run<'_>>> {
    let mut messages: Vec<Vec<Run<'_>>> = Vec::new();
    for series in series {
        let from = series.samples.partition_point(|(time, _)| *time < first);
        let to = series.samples.partition_point(|(time, _)| *time < end);
        let is_native = |(_, value): &(i64, Value)| matches!(value, Value::Native(_));
        for (turn, run) in series.samples[from..to].chunk_by(|a, b| is_native(a) == is_native(b)).enumerate() {
            if messages.len() == turn {
                messages.push(Vec::new());
            }
            messages[turn].push((series, run));
        }
    }
    messages
}

/// A body and its media type.
pub struct Written {
    pub content_type: &'static str,
    pub body: Bytes,
}

impl Written {
    /// Sends it to a door.
    pub async fn post(&self, client: &Client) -> Answer {
        client.post("/api/v1/write", self.content_type, self.body.clone()).await.expect("an answer")
    }
}

/// These series in version 1.
pub fn version_1(runs: &[Run<'_>]) -> Written {
    let timeseries = runs.iter().map(|(series, samples)| {
        let labels = series.labels.iter();
        let labels = labels.map(|(name, value)| Label { name: name.clone(), value: value.clone() }).collect();
        let (samples, histograms) = split(samples);
        Series1 { labels, samples, histograms }
    });
    packed(V1, &Request1 { timeseries: timeseries.collect() })
}

/// The same in version 2.
pub fn version_2(runs: &[Run<'_>]) -> Written {
    let mut symbols = vec![String::new()];
    let mut refer = |text: &str| {
        let position = symbols.iter().position(|symbol| symbol == text).unwrap_or_else(|| {
            symbols.push(text.to_owned());
            symbols.len() - 1
        });
        u32::try_from(position).expect("few texts")
    };
    let mut timeseries = Vec::new();
    for (series, samples) in runs {
        let labels_refs = series.labels.iter().flat_map(|(name, value)| [refer(name), refer(value)]).collect();
        let (samples, histograms) = split(samples);
        // 1 is a counter, 2 a gauge.
        let kind = if series.counts { 1 } else { 2 };
        timeseries.push(Series2 { labels_refs, samples, histograms, metadata: Some(Metadata { kind }) });
    }
    packed(V2, &Request2 { symbols, timeseries })
}

fn split(all: &[(i64, Value)]) -> (Vec<Sample>, Vec<Histogram>) {
    let (mut samples, mut histograms) = (Vec::new(), Vec::new());
    for (timestamp, value) in all {
        match value {
            Value::Number(value) => samples.push(Sample { value: *value, timestamp: *timestamp }),
            Value::Native(native) => histograms.push(histogram(native, *timestamp)),
        }
    }
    (samples, histograms)
}

fn histogram(native: &Native, timestamp: i64) -> Histogram {
    let (positive_spans, positive_deltas) = spans(&native.positive);
    let (negative_spans, negative_deltas) = spans(&native.negative);
    let buckets = native.positive.iter().chain(&native.negative);
    Histogram {
        count: native.count.unwrap_or_else(|| native.zero_count + buckets.map(|(_, count)| count).sum::<u64>()),
        sum: native.sum,
        schema: if native.bounds.is_empty() { native.schema } else { CUSTOM },
        zero_threshold: native.zero_threshold,
        zero_count: native.zero_count,
        negative_spans,
        negative_deltas,
        positive_spans,
        positive_deltas,
        timestamp,
        custom_values: native.bounds.clone(),
    }
}

fn spans(buckets: &[(i32, u64)]) -> (Vec<Span>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<Span>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut next, mut before) = (0, 0);
    for (index, count) in buckets {
        match spans.last_mut() {
            Some(span) if *index == next => span.length += 1,
            _ => spans.push(Span { offset: index - next, length: 1 }),
        }
        next = index + 1;
        let count = i64::try_from(*count).expect("a small count");
        deltas.push(count - before);
        before = count;
    }
    (spans, deltas)
}

fn packed(content_type: &'static str, message: &impl Message) -> Written {
    let body = snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()).expect("it is small");
    Written { content_type, body: body.into() }
}
