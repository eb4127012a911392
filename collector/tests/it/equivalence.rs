//! The same request in both encodings makes the same rows (the checklist's J25), and what only JSON can say is judged as it
//! should be.

use collector::convert::{self, Context, Encoding};
use collector::{DecodeError, Outcome};
use fastrand::Rng;
use model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use store::Batch;
use store::schema::{LogColumns, PointColumns, SpanColumns};

use crate::generate;
use crate::json::Writer;
use crate::support::{context, correlation_keys};

const REQUESTS: u64 = 10_000;

/// A kind of request, with the ways to make, write and convert one.
pub trait Request: Message + Default {
    const SIGNAL: Signal;
    fn random(rng: &mut Rng) -> Self;
    /// Makes some items such that must be rejected or warned about.
    fn spoil(&mut self);
    /// Leaves so few items that ten thousand requests are tried in reasonable time.
    fn shorten(&mut self);
    fn json(&self, writer: &mut Writer) -> String;
    fn convert(bytes: &[u8], encoding: Encoding, context: &Context<'_>) -> Result<(Outcome, Batch), DecodeError>;
}

impl Request for ExportLogsServiceRequest {
    const SIGNAL: Signal = Signal::Logs;

    fn random(rng: &mut Rng) -> Self {
        generate::logs(rng)
    }

    fn spoil(&mut self) {
        for record in self.resource_logs.iter_mut().flat_map(|r| &mut r.scope_logs).flat_map(|s| &mut s.log_records) {
            record.trace_id = vec![1; 7];
            record.time_unix_nano |= 1 << 63;
        }
    }

    fn shorten(&mut self) {
        self.resource_logs.truncate(1);
        for scope in self.resource_logs.iter_mut().flat_map(|resource| &mut resource.scope_logs) {
            scope.log_records.truncate(2);
        }
    }

    fn json(&self, writer: &mut Writer) -> String {
        writer.logs(self)
    }

    fn convert(bytes: &[u8], encoding: Encoding, context: &Context<'_>) -> Result<(Outcome, Batch), DecodeError> {
        let mut columns = LogColumns::default();
        let outcome = convert::logs(bytes, encoding, context, &mut columns)?;
        Ok((outcome, columns.finish()))
    }
}

impl Request for ExportTraceServiceRequest {
    const SIGNAL: Signal = Signal::Spans;

    fn random(rng: &mut Rng) -> Self {
        generate::spans(rng)
    }

    fn spoil(&mut self) {
        for span in self.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans) {
            span.trace_id.truncate(usize::from(span.trace_id[0]) % 17);
        }
    }

    fn shorten(&mut self) {
        self.resource_spans.truncate(1);
        for scope in self.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans) {
            scope.spans.truncate(2);
        }
    }

    fn json(&self, writer: &mut Writer) -> String {
        writer.spans(self)
    }

    fn convert(bytes: &[u8], encoding: Encoding, context: &Context<'_>) -> Result<(Outcome, Batch), DecodeError> {
        let mut columns = SpanColumns::default();
        let outcome = convert::spans(bytes, encoding, context, &mut columns)?;
        Ok((outcome, columns.finish()))
    }
}

impl Request for ExportMetricsServiceRequest {
    const SIGNAL: Signal = Signal::Points;

    fn random(rng: &mut Rng) -> Self {
        generate::points(rng)
    }

    fn spoil(&mut self) {
        for metric in self.resource_metrics.iter_mut().flat_map(|r| &mut r.scope_metrics).flat_map(|s| &mut s.metrics) {
            metric.name.truncate(1);
        }
    }

    fn shorten(&mut self) {
        self.resource_metrics.truncate(1);
        for scope in self.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics) {
            scope.metrics.truncate(2);
        }
    }

    fn json(&self, writer: &mut Writer) -> String {
        writer.points(self)
    }

    fn convert(bytes: &[u8], encoding: Encoding, context: &Context<'_>) -> Result<(Outcome, Batch), DecodeError> {
        let mut columns = PointColumns::new([7; 16]);
        let outcome = convert::points(bytes, encoding, context, &mut columns)?;
        Ok((outcome, columns.finish()))
    }
}

/// The outcome and the rows of a request in JSON.
pub fn from_json<R: Request>(text: &str) -> Result<(Outcome, Batch), DecodeError> {
    R::convert(text.as_bytes(), Encoding::Json, &context(&correlation_keys()))
}

/// The outcome and the rows of a request in protobuf.
pub fn from_protobuf<R: Request>(request: &R) -> (Outcome, Batch) {
    let converted = R::convert(&request.encode_to_vec(), Encoding::Protobuf, &context(&correlation_keys()));
    converted.expect("the request is sound")
}

// Sends one random request both ways; gives how many items were kept and rejected.
fn one<R: Request>(seed: u64) -> (u64, u64) {
    let mut rng = Rng::with_seed(seed);
    let mut request = R::random(&mut rng);
    request.shorten();
    if rng.u8(..4) == 0 {
        request.spoil();
    }
    // Protobuf does not carry everything, -0.0 for instance: what it carries is what both must say.
    let request = R::decode(&request.encode_to_vec()[..]).expect("prost reads what it wrote");
    let text = request.json(&mut Writer::whimsical(seed));
    let (outcome, batch) = from_protobuf(&request);
    let (json_outcome, json_batch) =
        from_json::<R>(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}: {text}"));
    assert_eq!(json_outcome, outcome, "seed {seed}: {text}");
    assert_eq!(json_batch.rows, batch.rows, "seed {seed}: {text}");
    assert_eq!(json_batch.shared, batch.shared, "seed {seed}: {text}");
    assert_eq!(json_batch.exemplars, batch.exemplars, "seed {seed}: {text}");
    (outcome.accepted, outcome.rejected.total())
}

/// Sends so many random requests both ways.
pub fn check(base: u64, requests: u64) {
    let (mut accepted, mut rejected) = (0, 0);
    for number in 0..requests {
        let seed = base.wrapping_add(number);
        let counts = match number % 3 {
            0 => one::<ExportLogsServiceRequest>(seed),
            1 => one::<ExportTraceServiceRequest>(seed),
            _ => one::<ExportMetricsServiceRequest>(seed),
        };
        accepted += counts.0;
        rejected += counts.1;
    }
    println!("{requests} requests, {accepted} items kept, {rejected} rejected: the same both ways");
    assert!(accepted > requests / 2 && rejected > requests / 50, "{accepted} kept, {rejected} rejected");
}

/// A seed that is printed, and can be given to repeat a run.
pub fn seed() -> u64 {
    let base = std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().expect("SEED is a number"));
    println!("seed {base} (SEED={base} repeats it)");
    base
}

#[test]
fn random_requests_are_the_same_rows_in_both_encodings() {
    let base = seed();
    std::thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || check(base.wrapping_add(part * REQUESTS), REQUESTS / 4));
        }
    });
}

#[test]
fn damaged_json_is_refused_or_read_but_never_more() {
    const STRUCTURE: &[u8] = b"{}[]\",:\\u0e-.ntf \xff\xed";
    let base = seed();
    let mut refused = 0;
    for seed in (0..2000).map(|number| base.wrapping_add(number)) {
        let mut rng = Rng::with_seed(seed);
        let mut request = ExportTraceServiceRequest::random(&mut rng);
        request.shorten();
        let mut text = request.json(&mut Writer::whimsical(seed)).into_bytes();
        for _ in 0..rng.usize(1..4) {
            let (at, to) = (rng.usize(..text.len()), rng.usize(..text.len()));
            match rng.u8(..3) {
                0 => text[at] = rng.choice(STRUCTURE.iter().copied()).unwrap_or(b'x'),
                1 => text.truncate(at + 1),
                _ => text = [&text[..at.max(to)], &text[at.min(to)..]].concat(),
            }
        }
        let converted = ExportTraceServiceRequest::convert(&text, Encoding::Json, &context(&correlation_keys()));
        // The judge is another parser: what it takes for no JSON is refused. (It stops at fewer levels, and at numbers that no
        // double holds even where nobody wants them.)
        let judged = serde_json::from_slice::<serde_json::Value>(&text).map_err(|error| error.to_string());
        if judged.is_err_and(|error| !error.contains("recursion limit") && !error.contains("out of range")) {
            assert!(converted.is_err(), "seed {seed}: {}", String::from_utf8_lossy(&text));
        }
        refused += u64::from(converted.is_err());
    }
    assert!(refused > 1000, "only {refused} were refused");
}
