//! What a scrape yields as a request of remote write 2.0: what is scraped and what Prometheus sends come to the same rows, by one
//! conversion, and one request holds each text once.

use std::collections::HashMap;

use super::exposition::Kind;
use super::harvest::{Series, Taken, TakenExemplar};
use super::labels::LabelSet;

/// The value that says that a series has ended: a NaN that no calculation gives.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A request that is being written.
#[derive(Debug)]
pub(super) struct Request<'a> {
    symbols: HashMap<&'a str, u64>,
    // The message: its texts may stand behind the series that name them.
    message: Vec<u8>,
    texts: Vec<&'a str>,
    series: Vec<u8>,
    part: Vec<u8>,
    /// Samples so far, ends included.
    pub(super) samples: u64,
}

impl<'a> Request<'a> {
    /// An empty request.
    pub(super) fn new() -> Self {
        Self {
            // Number 0 is no text.
            symbols: HashMap::from([("", 0)]),
            texts: vec![""],
            message: Vec::new(),
            series: Vec::new(),
            part: Vec::new(),
            samples: 0,
        }
    }

    /// Adds a sample.
    pub(super) fn add(&mut self, taken: &'a Taken) {
        self.sample(&taken.series, taken.value, taken.millis, taken.exemplar.as_ref());
    }

    /// Adds the end of a series.
    pub(super) fn end(&mut self, series: &'a Series, millis: i64) {
        self.sample(series, STALE, millis, None);
    }

    /// Adds a sample of a series.
    pub(super) fn sample(&mut self, series: &'a Series, value: f64, millis: i64, exemplar: Option<&'a TakenExemplar>) {
        self.samples += 1;
        self.series.clear();
        self.labels(&series.labels);
        self.part.clear();
        double(&mut self.part, 1, value);
        number(&mut self.part, 2, millis.cast_unsigned());
        bytes(&mut self.series, 2, &self.part);
        if let Some(exemplar) = exemplar {
            let before = std::mem::take(&mut self.series);
            self.labels(&exemplar.labels);
            double(&mut self.series, 2, exemplar.value);
            number(&mut self.series, 3, exemplar.millis.cast_unsigned());
            let message = std::mem::replace(&mut self.series, before);
            bytes(&mut self.series, 4, &message);
        }
        let (help, unit) = (self.symbol(&series.family.help), self.symbol(&series.family.unit));
        self.part.clear();
        number(&mut self.part, 1, type_number(series.family.kind));
        number(&mut self.part, 3, help);
        number(&mut self.part, 4, unit);
        bytes(&mut self.series, 5, &self.part);
        bytes(&mut self.message, 5, &self.series);
    }

    /// The message.
    pub(super) fn finish(mut self) -> Vec<u8> {
        for text in &self.texts {
            bytes(&mut self.message, 4, text.as_bytes());
        }
        self.message
    }

    // Adds the numbers of names and values to the series at hand.
    fn labels(&mut self, labels: &'a LabelSet) {
        self.part.clear();
        for text in labels.iter().flat_map(|(name, value)| [name, value]) {
            let symbol = self.symbol(text);
            varint(&mut self.part, symbol);
        }
        bytes(&mut self.series, 1, &self.part);
    }

    fn symbol(&mut self, text: &'a str) -> u64 {
        let next = self.texts.len() as u64;
        let number = *self.symbols.entry(text).or_insert(next);
        if number == next {
            self.texts.push(text);
        }
        number
    }
}

fn type_number(kind: Kind) -> u64 {
    match kind {
        Kind::Unknown => 0,
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => 3,
        Kind::GaugeHistogram => 4,
        Kind::Summary => 5,
        Kind::Info => 6,
        Kind::StateSet => 7,
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    varint(out, field << 3 | 1);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}
