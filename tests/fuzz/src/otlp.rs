//! OTLP requests as anybody may send them: protobuf, JSON, and compressed.

use bytes::Bytes;
use collector::convert::{self, Context, Encoding, Limits};
use collector::receiver::decode::{Compression, decompress};
use collector::{DecodeError, Outcome, Refusal};
use model::Timestamp;
use store::Batch;
use store::schema::{LogColumns, PointColumns, SpanColumns};

use super::replay::Target;

/// The targets by the names of their corpora.
pub const TARGETS: [Target; 8] = [
    ("logs_protobuf", |bytes| logs(bytes, Encoding::Protobuf)),
    ("spans_protobuf", |bytes| spans(bytes, Encoding::Protobuf)),
    ("points_protobuf", |bytes| points(bytes, Encoding::Protobuf)),
    ("logs_json", |bytes| logs(bytes, Encoding::Json)),
    ("spans_json", |bytes| spans(bytes, Encoding::Json)),
    ("points_json", |bytes| points(bytes, Encoding::Json)),
    ("gzip", |bytes| compressed(Compression::Gzip, bytes)),
    ("zstd", |bytes| compressed(Compression::Zstd, bytes)),
];

/// What a decompressed body may have here.
const BYTES_MAX: u64 = 1 << 20;

fn logs(bytes: &[u8], encoding: Encoding) {
    let mut columns = LogColumns::default();
    let result = in_context(|context| convert::logs(bytes, encoding, context, &mut columns));
    judge(result, &columns.finish());
}

fn spans(bytes: &[u8], encoding: Encoding) {
    let mut columns = SpanColumns::default();
    let result = in_context(|context| convert::spans(bytes, encoding, context, &mut columns));
    judge(result, &columns.finish());
}

fn points(bytes: &[u8], encoding: Encoding) {
    let mut columns = PointColumns::new([7; 16]);
    let result = in_context(|context| convert::points(bytes, encoding, context, &mut columns));
    judge(result, &columns.finish());
}

fn in_context<T>(convert: impl FnOnce(&Context<'_>) -> T) -> T {
    let correlation_keys = ["correlation.id".to_owned()];
    let received = Timestamp::from_nanos(1_800_000_000_000_000_000);
    convert(&Context {
        received,
        correlation_keys: &correlation_keys,
        limits: Limits::default(),
        series: None,
        retention: None,
        is_repeated: false,
    })
}

// What is refused leaves nothing behind, and what is said to be accepted is there.
fn judge(result: Result<Outcome, DecodeError>, batch: &Batch) {
    match result {
        Ok(outcome) => assert_eq!(outcome.accepted, batch.len() as u64, "{outcome:?}"),
        Err(error) => assert!(batch.is_empty(), "{} rows after: {error}", batch.len()),
    }
}

fn compressed(compression: Compression, bytes: &[u8]) {
    let mut reserved = 0;
    let reserve = |more: usize| -> Result<(), Refusal> {
        reserved += more as u64;
        Ok(())
    };
    if let Ok(plain) = decompress(compression, Bytes::copy_from_slice(bytes), BYTES_MAX, reserve) {
        assert!(plain.len() as u64 <= BYTES_MAX, "{} bytes came out", plain.len());
        assert_eq!(plain.len() as u64, reserved, "every byte is reserved");
    }
}
