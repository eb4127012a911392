//! The walkers and the oracle read the same bytes: both refuse them, or both make the same rows and the same outcome of them.

use collector::Outcome;
use collector::convert::{Context, Encoding};
use fastrand::Rng;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use store::Batch;
use store::schema::{LogColumns, PointColumns, SpanColumns, expanded_rows};

use crate::equivalence::{Request, seed};
use crate::support::{context, correlation_keys};
use crate::{odd, oracle};

const REQUESTS: u64 = 10_000;

trait Judged: Request {
    const NAME: &'static str;
    fn judge(bytes: &[u8], context: &Context<'_>) -> Option<(Outcome, Batch)>;
}

impl Judged for ExportLogsServiceRequest {
    const NAME: &'static str = "logs";

    fn judge(bytes: &[u8], context: &Context<'_>) -> Option<(Outcome, Batch)> {
        let mut columns = LogColumns::default();
        let outcome = oracle::logs(bytes, context, &mut columns).ok()?;
        Some((outcome, columns.finish()))
    }
}

impl Judged for ExportTraceServiceRequest {
    const NAME: &'static str = "spans";

    fn judge(bytes: &[u8], context: &Context<'_>) -> Option<(Outcome, Batch)> {
        let mut columns = SpanColumns::default();
        let outcome = oracle::spans(bytes, context, &mut columns).ok()?;
        Some((outcome, columns.finish()))
    }
}

impl Judged for ExportMetricsServiceRequest {
    const NAME: &'static str = "points";

    fn judge(bytes: &[u8], context: &Context<'_>) -> Option<(Outcome, Batch)> {
        let mut columns = PointColumns::new([7; 16]);
        let outcome = oracle::points(bytes, context, &mut columns).ok()?;
        Some((outcome, columns.finish()))
    }
}

/// What was tried.
#[derive(Debug, Default)]
struct Tried {
    requests: u64,
    refused: u64,
    kept: u64,
    rejected: u64,
    warned: u64,
}

impl Tried {
    fn add(&mut self, other: &Tried) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.kept += other.kept;
        self.rejected += other.rejected;
        self.warned += other.warned;
    }
}

fn compare<R: Judged>(seed: u64, bytes: &[u8], tried: &mut Tried) {
    let keys = correlation_keys();
    let context = context(&keys);
    let walked = R::convert(bytes, Encoding::Protobuf, &context);
    let judged = R::judge(bytes, &context);
    tried.requests += 1;
    let (walked, judged) = match (walked, judged) {
        (Err(_), None) => {
            tried.refused += 1;
            return;
        }
        (Ok(walked), Some(judged)) => (walked, judged),
        (Ok(_), None) => panic!("seed {seed}: the oracle refuses {bytes:02x?}"),
        (Err(error), Some(_)) => panic!("seed {seed}: the walker refuses {bytes:02x?}: {error:?}"),
    };
    let ((outcome, batch), (expected, rows)) = (walked, judged);
    assert_eq!(outcome, expected, "seed {seed}: {bytes:02x?}");
    // Envelopes that came twice are kept once: rows are alike when they are expanded.
    let expand = |batch: &Batch| expanded_rows(batch, 1).expect("the batch is whole");
    assert_eq!(expand(&batch), expand(&rows), "seed {seed}: {bytes:02x?}");
    assert_eq!(batch.exemplars, rows.exemplars, "seed {seed}: {bytes:02x?}");
    tried.kept += outcome.accepted;
    tried.rejected += outcome.rejected.total();
    tried.warned += outcome.warnings.total();
}

fn one<R: Judged>(seed: u64, change: fn(&mut Rng, &'static str, &[u8]) -> Vec<u8>, tried: &mut Tried) {
    let mut rng = Rng::with_seed(seed);
    let mut request = R::random(&mut rng);
    request.shorten();
    if rng.u8(..4) == 0 {
        request.spoil();
    }
    let bytes = change(&mut rng, R::NAME, &request.encode_to_vec());
    compare::<R>(seed, &bytes, tried);
}

fn check(requests: u64, change: fn(&mut Rng, &'static str, &[u8]) -> Vec<u8>) -> Tried {
    let base = seed();
    let part = move |part: u64| {
        let mut tried = Tried::default();
        for number in 0..requests / 4 {
            let seed = base.wrapping_add(part * requests + number);
            match number % 3 {
                0 => one::<ExportLogsServiceRequest>(seed, change, &mut tried),
                1 => one::<ExportTraceServiceRequest>(seed, change, &mut tried),
                _ => one::<ExportMetricsServiceRequest>(seed, change, &mut tried),
            }
        }
        tried
    };
    let mut all = Tried::default();
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..4).map(|number| scope.spawn(move || part(number))).collect();
        parts.into_iter().for_each(|part| all.add(&part.join().expect("the walker and the oracle agree")));
    });
    println!("{all:?}");
    all
}

#[test]
fn requests_as_everybody_writes_them_are_read_alike() {
    let tried = check(REQUESTS / 5, |_, _, bytes| bytes.to_vec());
    assert!(tried.refused == 0 && tried.kept > tried.requests / 2 && tried.rejected > 0, "{tried:?}");
}

#[test]
fn requests_as_nobody_writes_them_are_read_alike() {
    let tried = check(REQUESTS, odd::rewrite);
    assert!(tried.kept > tried.requests / 3 && tried.refused > 10, "{tried:?}");
    assert!(tried.rejected > 10 && tried.warned > 10, "{tried:?}");
}

#[test]
fn damaged_requests_are_refused_or_read_alike() {
    let tried = check(REQUESTS, |rng, _, bytes| odd::damage(rng, bytes));
    assert!(tried.refused > tried.requests / 5 && tried.kept > tried.requests / 10, "{tried:?}");
}

#[test]
fn messages_nested_to_the_limit_and_beyond_are_refused_alike() {
    // A log record whose body is so many arrays in one another, or whose unknown field so many groups.
    let wrap = |number: u8, content: &[u8]| {
        let mut bytes = vec![number << 3 | 2];
        let length = content.len();
        bytes.extend([length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8]);
        bytes.extend_from_slice(content);
        bytes
    };
    let in_record = |field: Vec<u8>| wrap(1, &wrap(2, &wrap(2, &field)));
    let mut tried = Tried::default();
    for levels in 0..60 {
        let body = (0..levels).fold(Vec::new(), |content, _| wrap(5, &wrap(1, &content)));
        compare::<ExportLogsServiceRequest>(levels, &in_record(wrap(5, &body)), &mut tried);
        for unknown in [&[0xf8, 0x01, 0x01][..], &[0x22, 0x00]] {
            let body = (0..levels).fold(unknown.to_vec(), |content, _| wrap(5, &wrap(1, &content)));
            compare::<ExportLogsServiceRequest>(levels, &in_record(wrap(5, &body)), &mut tried);
        }
    }
    for levels in 90..102 {
        let groups = [[0xa3, 0x06].repeat(levels), [0xa4, 0x06].repeat(levels)].concat();
        compare::<ExportLogsServiceRequest>(levels as u64, &in_record(groups.clone()), &mut tried);
        compare::<ExportLogsServiceRequest>(levels as u64, &groups, &mut tried);
    }
    assert!(tried.refused > 20 && tried.kept > 20 && tried.rejected > 20, "{tried:?}");
}
