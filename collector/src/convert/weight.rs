//! How much memory a request will take once it is decoded, told before any of it is taken.
//!
//! Two bytes on the wire can stand for a whole empty record, so a limit on the size of a request alone would let 64 MiB of
//! them grow to gigabytes. The walk follows the nesting of the messages and nothing else: it copies nothing, and what it
//! cannot read it leaves to the decoder to refuse. `json/weigh.rs` does the same for the other encoding.

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

    /// What it is made of.
    pub(super) fn shape(self) -> &'static Shape {
        match self {
            Request::Logs => &LOGS,
            Request::Spans => &SPANS,
            Request::Points => &POINTS,
        }
    }
}

static TEXT: Shape = Shape { bytes: Shape::TEXT_BYTES, fields: &[] };
static ANY_VALUE: Shape =
    Shape { bytes: 160, fields: &[(5, "arrayValue", &ARRAY_VALUE), (6, "kvlistValue", &KEY_VALUE_LIST)] };
static ARRAY_VALUE: Shape = Shape { bytes: 0, fields: &[(1, "values", &ANY_VALUE)] };
static KEY_VALUE_LIST: Shape = Shape { bytes: 0, fields: &[(1, "values", &KEY_VALUE)] };
static KEY_VALUE: Shape = Shape { bytes: 64, fields: &[(2, "value", &ANY_VALUE)] };
static ENTITY_REF: Shape = Shape { bytes: 256, fields: &[(3, "idKeys", &TEXT), (4, "descriptionKeys", &TEXT)] };
static RESOURCE: Shape = Shape { bytes: 256, fields: &[(1, "attributes", &KEY_VALUE), (3, "entityRefs", &ENTITY_REF)] };
static SCOPE: Shape = Shape { bytes: 256, fields: &[(3, "attributes", &KEY_VALUE)] };

static LOGS: Shape = Shape { bytes: 0, fields: &[(1, "resourceLogs", &RESOURCE_LOGS)] };
static RESOURCE_LOGS: Shape =
    Shape { bytes: 256, fields: &[(1, "resource", &RESOURCE), (2, "scopeLogs", &SCOPE_LOGS)] };
static SCOPE_LOGS: Shape = Shape { bytes: 256, fields: &[(1, "scope", &SCOPE), (2, "logRecords", &LOG_RECORD)] };
static LOG_RECORD: Shape = Shape { bytes: 512, fields: &[(5, "body", &ANY_VALUE), (6, "attributes", &KEY_VALUE)] };

static SPANS: Shape = Shape { bytes: 0, fields: &[(1, "resourceSpans", &RESOURCE_SPANS)] };
static RESOURCE_SPANS: Shape =
    Shape { bytes: 256, fields: &[(1, "resource", &RESOURCE), (2, "scopeSpans", &SCOPE_SPANS)] };
static SCOPE_SPANS: Shape = Shape { bytes: 256, fields: &[(1, "scope", &SCOPE), (2, "spans", &SPAN)] };
static SPAN: Shape =
    Shape { bytes: 768, fields: &[(9, "attributes", &KEY_VALUE), (11, "events", &EVENT), (13, "links", &LINK)] };
static EVENT: Shape = Shape { bytes: 256, fields: &[(3, "attributes", &KEY_VALUE)] };
static LINK: Shape = Shape { bytes: 384, fields: &[(4, "attributes", &KEY_VALUE)] };

static POINTS: Shape = Shape { bytes: 0, fields: &[(1, "resourceMetrics", &RESOURCE_METRICS)] };
static RESOURCE_METRICS: Shape =
    Shape { bytes: 256, fields: &[(1, "resource", &RESOURCE), (2, "scopeMetrics", &SCOPE_METRICS)] };
static SCOPE_METRICS: Shape = Shape { bytes: 256, fields: &[(1, "scope", &SCOPE), (2, "metrics", &METRIC)] };
// Every kind of data has its points in field 1, and every kind of point but the summary's its exemplars in a field of its own.
static METRIC: Shape = Shape {
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
static NUMBER_POINT: Shape =
    Shape { bytes: 640, fields: &[(5, "exemplars", &EXEMPLAR), (7, "attributes", &KEY_VALUE)] };
static HISTOGRAMS: Shape = Shape { bytes: 0, fields: &[(1, "dataPoints", &HISTOGRAM_POINT)] };
static HISTOGRAM_POINT: Shape =
    Shape { bytes: 768, fields: &[(8, "exemplars", &EXEMPLAR), (9, "attributes", &KEY_VALUE)] };
static EXPONENTIAL_HISTOGRAMS: Shape = Shape { bytes: 0, fields: &[(1, "dataPoints", &EXPONENTIAL_POINT)] };
static EXPONENTIAL_POINT: Shape =
    Shape { bytes: 768, fields: &[(1, "attributes", &KEY_VALUE), (11, "exemplars", &EXEMPLAR)] };
static SUMMARIES: Shape = Shape { bytes: 0, fields: &[(1, "dataPoints", &SUMMARY_POINT)] };
static SUMMARY_POINT: Shape =
    Shape { bytes: 640, fields: &[(6, "quantileValues", &QUANTILE), (7, "attributes", &KEY_VALUE)] };
static QUANTILE: Shape = Shape { bytes: 48, fields: &[] };
static EXEMPLAR: Shape = Shape { bytes: 384, fields: &[(7, "filteredAttributes", &KEY_VALUE)] };

// Deeper than the decoder goes; what is there will be refused anyway.
const DEPTH_MAX: usize = 100;

/// Whether the request will take at most `bytes_max` bytes, as far as it can be read.
pub(super) fn fits(request: Request, bytes: &[u8], bytes_max: u64) -> bool {
    let mut left = bytes_max;
    walk(bytes, request.shape(), DEPTH_MAX, &mut left).is_some()
}

// `None` when nothing is left.
fn walk(mut bytes: &[u8], shape: &Shape, depth: usize, left: &mut u64) -> Option<()> {
    while let Some((field, content, rest)) = next_field(bytes) {
        bytes = rest;
        let Some((.., child)) = shape.fields.iter().find(|(number, ..)| *number == field) else { continue };
        *left = left.checked_sub(child.bytes)?;
        if depth > 0 && !child.fields.is_empty() {
            walk(content, child, depth - 1, left)?;
        }
    }
    Some(())
}

// The number of the first field, its content if it is length-delimited, and what follows it. `None` at the end, and where
// the bytes are no protobuf.
fn next_field(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let field = u32::try_from(tag >> 3).ok()?;
    let (content, rest): (&[u8], &[u8]) = match tag & 7 {
        0 => (&[], varint(rest)?.1),
        1 => (&[], rest.get(8..)?),
        2 => {
            let (length, rest) = varint(rest)?;
            rest.split_at_checked(usize::try_from(length).ok()?)?
        }
        // Groups are flattened: their start and end have no content.
        3 | 4 => (&[], rest),
        5 => (&[], rest.get(4..)?),
        _ => return None,
    };
    Some((field, content, rest))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (position, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[position + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_is_no_protobuf_is_left_to_the_decoder() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let bytes: Vec<u8> = (0..rng.usize(..40)).map(|_| rng.u8(..)).collect();
            // It ends, without a panic, and so little cannot weigh much.
            assert!(fits(Request::Points, &bytes, 40 * 1024), "{bytes:?}");
        }
    }
}
