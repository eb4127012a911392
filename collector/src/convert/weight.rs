//! How much memory a request takes once it is columns.
//!
//! Two bytes on the wire can stand for a whole empty record, so a limit on the size of a request alone would let 64 MiB of
//! them grow to gigabytes. The walkers count what they meet, and stop where it is too much. For JSON `json/weigh.rs` counts
//! beforehand, because there messages are made in between.

use super::Context;
use super::wire::{Stop, Walk};
use crate::DecodeError;

/// A kind of message: what one takes, and which of its fields hold messages (or texts that are counted alone).
pub(super) struct Shape {
    /// Bytes of one in memory, decoded and as a row of columns together, without its texts; rounded up generously.
    pub bytes: u64,
    /// The number of a field, its key in JSON, and what it holds.
    pub fields: &'static [(u32, &'static str, &'static Shape)],
}

impl Shape {
    /// The most that any message takes.
    pub(super) const BYTES_MAX: u64 = 768;
    /// What a text takes that is counted alone.
    pub(super) const TEXT_BYTES: u64 = 96;
}

/// The requests that can be weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Logs,
    Spans,
    Points,
}

impl Request {
    /// The name of the message.
    pub(super) fn message(self) -> &'static str {
        match self {
            Request::Logs => "ExportLogsServiceRequest",
            Request::Spans => "ExportTraceServiceRequest",
            Request::Points => "ExportMetricsServiceRequest",
        }
    }

    /// Why a walk over a request of this kind ended early, as its sender is told.
    pub(super) fn refused(self, stop: Stop, bytes: &[u8], context: &Context<'_>) -> DecodeError {
        refused(self.message(), stop, bytes, context)
    }

    /// What it is made of.
    pub(super) fn shape(self) -> &'static Shape {
        match self {
            Request::Logs => &LOGS,
            Request::Spans => &SPANS,
            Request::Points => &POINTS,
        }
    }
}

/// Why a walk over the bytes of a message ended early, as its sender is told.
pub(super) fn refused(message: &'static str, stop: Stop, bytes: &[u8], context: &Context<'_>) -> DecodeError {
    match stop {
        Stop::Malformed(source) => DecodeError::Protobuf { message, source: source.within(bytes) },
        Stop::TooManyParts => DecodeError::TooManyParts { bytes_max: context.limits.decoded_bytes_max },
    }
}

/// A series of remote write.
pub(super) static REMOTE_SERIES: Shape = Shape { bytes: 128, fields: &[] };

pub(super) static TEXT: Shape = Shape { bytes: Shape::TEXT_BYTES, fields: &[] };
pub(super) static ANY_VALUE: Shape =
    Shape { bytes: 160, fields: &[(5, "arrayValue", &ARRAY_VALUE), (6, "kvlistValue", &KEY_VALUE_LIST)] };
static ARRAY_VALUE: Shape = Shape { bytes: 0, fields: &[(1, "values", &ANY_VALUE)] };
static KEY_VALUE_LIST: Shape = Shape { bytes: 0, fields: &[(1, "values", &KEY_VALUE)] };
pub(super) static KEY_VALUE: Shape = Shape { bytes: 64, fields: &[(2, "value", &ANY_VALUE)] };
pub(super) static ENTITY_REF: Shape =
    Shape { bytes: 256, fields: &[(3, "idKeys", &TEXT), (4, "descriptionKeys", &TEXT)] };
pub(super) static RESOURCE: Shape =
    Shape { bytes: 256, fields: &[(1, "attributes", &KEY_VALUE), (3, "entityRefs", &ENTITY_REF)] };
pub(super) static SCOPE: Shape = Shape { bytes: 256, fields: &[(3, "attributes", &KEY_VALUE)] };

static LOGS: Shape = Shape { bytes: 0, fields: &[(1, "resourceLogs", &RESOURCE_LOGS)] };
pub(super) static RESOURCE_LOGS: Shape =
    Shape { bytes: 256, fields: &[(1, "resource", &RESOURCE), (2, "scopeLogs", &SCOPE_LOGS)] };
pub(super) static SCOPE_LOGS: Shape =
    Shape { bytes: 256, fields: &[(1, "scope", &SCOPE), (2, "logRecords", &LOG_RECORD)] };
pub(super) static LOG_RECORD: Shape =
    Shape { bytes: 512, fields: &[(5, "body", &ANY_VALUE), (6, "attributes", &KEY_VALUE)] };

static SPANS: Shape = Shape { bytes: 0, fields: &[(1, "resourceSpans", &RESOURCE_SPANS)] };
static RESOURCE_SPANS: Shape =
    Shape { bytes: 256, fields: &[(1, "resource", &RESOURCE), (2, "scopeSpans", &SCOPE_SPANS)] };
static SCOPE_SPANS: Shape = Shape { bytes: 256, fields: &[(1, "scope", &SCOPE), (2, "spans", &SPAN)] };
pub(super) static SPAN: Shape =
    Shape { bytes: 768, fields: &[(9, "attributes", &KEY_VALUE), (11, "events", &EVENT), (13, "links", &LINK)] };
pub(super) static EVENT: Shape = Shape { bytes: 256, fields: &[(3, "attributes", &KEY_VALUE)] };
pub(super) static LINK: Shape = Shape { bytes: 384, fields: &[(4, "attributes", &KEY_VALUE)] };

static POINTS: Shape = Shape { bytes: 0, fields: &[(1, "resourceMetrics", &RESOURCE_METRICS)] };
static RESOURCE_METRICS: Shape =
    Shape { bytes: 256, fields: &[(1, "resource", &RESOURCE), (2, "scopeMetrics", &SCOPE_METRICS)] };
static SCOPE_METRICS: Shape = Shape { bytes: 256, fields: &[(1, "scope", &SCOPE), (2, "metrics", &METRIC)] };
// Every kind of data has its points in field 1, and every kind of point but the summary's its exemplars in a field of its own.
pub(super) static METRIC: Shape = Shape {
    bytes: 384,
    fields: &[
        (5, "gauge", &NUMBERS),
        (7, "sum", &NUMBERS),
        (9, "histogram", &HISTOGRAMS),
        (10, "exponentialHistogram", &EXPONENTIAL_HISTOGRAMS),
        (11, "summary", &SUMMARIES),
        (12, "metadata", &KEY_VALUE),
    ],
};
static NUMBERS: Shape = Shape { bytes: 0, fields: &[(1, "dataPoints", &NUMBER_POINT)] };
pub(super) static NUMBER_POINT: Shape =
    Shape { bytes: 640, fields: &[(5, "exemplars", &EXEMPLAR), (7, "attributes", &KEY_VALUE)] };
static HISTOGRAMS: Shape = Shape { bytes: 0, fields: &[(1, "dataPoints", &HISTOGRAM_POINT)] };
pub(super) static HISTOGRAM_POINT: Shape =
    Shape { bytes: 768, fields: &[(8, "exemplars", &EXEMPLAR), (9, "attributes", &KEY_VALUE)] };
static EXPONENTIAL_HISTOGRAMS: Shape = Shape { bytes: 0, fields: &[(1, "dataPoints", &EXPONENTIAL_POINT)] };
pub(super) static EXPONENTIAL_POINT: Shape =
    Shape { bytes: 768, fields: &[(1, "attributes", &KEY_VALUE), (11, "exemplars", &EXEMPLAR)] };
static SUMMARIES: Shape = Shape { bytes: 0, fields: &[(1, "dataPoints", &SUMMARY_POINT)] };
pub(super) static SUMMARY_POINT: Shape =
    Shape { bytes: 640, fields: &[(6, "quantileValues", &QUANTILE), (7, "attributes", &KEY_VALUE)] };
pub(super) static QUANTILE: Shape = Shape { bytes: 48, fields: &[] };
pub(super) static EXEMPLAR: Shape = Shape { bytes: 384, fields: &[(7, "filteredAttributes", &KEY_VALUE)] };

/// Counts down what the parts of one request may take.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    /// All parts together may take so many bytes.
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { left: bytes_max }
    }

    /// One more message of this shape.
    #[inline]
    pub(super) fn take(&mut self, shape: &Shape) -> Walk<()> {
        self.left = self.left.checked_sub(shape.bytes).ok_or(Stop::TooManyParts)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use store::schema::{LogColumns, PointColumns, SpanColumns};

    use super::*;
    use crate::convert::{self, Context, Encoding, Limits};

    // A field with content of any length.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        [bytes, content.to_vec()].concat()
    }

    fn fits(request: Request, bytes: &[u8], decoded_bytes_max: u64) -> bool {
        let limits = Limits { decoded_bytes_max, ..Limits::default() };
        let context = Context {
            received: Timestamp::default(),
            correlation_keys: &[],
            limits,
            series: None,
            retention: None,
            is_repeated: false,
        };
        let protobuf = Encoding::Protobuf;
        let converted = match request {
            Request::Logs => convert::logs(bytes, protobuf, &context, &mut LogColumns::default()),
            Request::Spans => convert::spans(bytes, protobuf, &context, &mut SpanColumns::default()),
            Request::Points => convert::points(bytes, protobuf, &context, &mut PointColumns::new([0; 16])),
        };
        !matches!(converted, Err(DecodeError::TooManyParts { .. }))
    }

    #[test]
    fn every_part_is_weighed() {
        let empty = |number, times: usize| field(number, &[]).repeat(times);
        let in_request = |content: &[u8]| field(1, &field(2, content));
        let in_number_point = |content: &[u8]| field(2, &field(5, &field(1, content)));
        let list = field(9, &field(2, &field(5, &empty(1, 3))));
        // A request, its resource and its scope take 512 bytes together.
        for (name, request, bytes, weight) in [
            ("no request", Request::Logs, vec![], 0),
            ("envelopes", Request::Logs, in_request(&[]), 512),
            ("records", Request::Logs, in_request(&empty(2, 10)), 512 + 10 * 512),
            ("a span's events", Request::Spans, in_request(&field(2, &empty(11, 4))), 512 + 768 + 4 * 256),
            ("a nested list", Request::Spans, in_request(&field(2, &list)), 512 + 768 + 64 + 160 + 3 * 160),
            ("exemplars", Request::Points, in_request(&in_number_point(&empty(5, 2))), 512 + 384 + 640 + 2 * 384),
            ("unknown fields", Request::Points, in_request(&empty(15, 100)), 512),
        ] {
            assert!(fits(request, &bytes, weight), "{name} takes more");
            assert!(weight == 0 || !fits(request, &bytes, weight - 1), "{name} takes less");
        }
    }
}
