//! Bodies that grow, lie and nest: their bytes, and what answers to them are right.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::raw;

/// A shape of bomb.
#[derive(Clone, Debug)]
pub struct Bomb {
    /// For people.
    pub name: &'static str,
    /// How it says it is encoded.
    pub encoding: Option<&'static str>,
    /// And what it says it is.
    pub media_type: &'static str,
    /// Its bytes.
    pub body: Bytes,
    /// What it says of its own length, if that is not the truth.
    pub declared: Option<u64>,
    /// Whether it comes in chunks over HTTP/1.1, without a length.
    pub chunked: bool,
    /// Bytes at a time, and the pause after them.
    pub pieces: (usize, Duration),
    /// Whether the server waits for what never comes, so that many have to be sent at a time.
    pub waits: bool,
    /// Statuses of HTTP that are right.
    pub http: &'static [u16],
    /// Codes of gRPC that are right; none if it is nothing for gRPC.
    pub grpc: &'static [i32],
}

/// Bytes that are sent at a time: the kernel does not take a core away from a thread that hands it more, and attackers on other
/// machines would not keep one from the server.
const PIECE_BYTES: usize = 64 << 10;

/// All shapes. `request_bytes_max` is the server's limit; the largest grow to `large_mib`.
pub fn all(request_bytes_max: usize, large_mib: usize) -> anyhow::Result<Vec<Bomb>> {
    let mib = 1 << 20;
    let above = request_bytes_max + request_bytes_max / 4;
    let member = gzip_zeros(16 * mib)?;
    let large = Bytes::from(gzip_zeros(large_mib * mib)?);
    let plain = |name, body: Bytes| Bomb {
        name,
        encoding: None,
        media_type: "application/x-protobuf",
        body,
        declared: None,
        chunked: false,
        pieces: (PIECE_BYTES, Duration::ZERO),
        waits: false,
        http: &[413],
        grpc: &[8],
    };
    Ok(vec![
        Bomb { encoding: Some("gzip"), ..plain("gzip", large.clone()) },
        Bomb { encoding: Some("gzip"), ..plain("many gzip members", member.repeat(large_mib / 16 + 1).into()) },
        // Inside is another gzip, which is no protobuf.
        Bomb {
            encoding: Some("gzip"),
            http: &[400],
            grpc: &[3],
            ..plain("gzip in gzip", gzip(&gzip(&member)?)?.into())
        },
        Bomb { encoding: Some("deflate"), http: &[415], grpc: &[12], ..plain("deflate", large.clone()) },
        Bomb { chunked: true, ..plain("chunked, without a length", vec![0; above].into()) },
        Bomb {
            encoding: Some("gzip"),
            http: &[400],
            grpc: &[3],
            ..plain("1000-fold below the limit", gzip_zeros(request_bytes_max / 5 * 4)?.into())
        },
        Bomb { declared: Some(u64::from(u32::MAX)), waits: true, ..plain("length that lies", vec![0; above].into()) },
        Bomb {
            encoding: Some("gzip"),
            pieces: (200, Duration::from_millis(500)),
            waits: true,
            http: &[503],
            grpc: &[14],
            ..plain("slow gzip", large)
        },
        Bomb { encoding: Some("zstd"), ..plain("zstd", zstd_zeros(large_mib * mib)?.into()) },
        Bomb { http: &[400], grpc: &[3], ..plain("values 100,000 deep", deep_protobuf(100_000).into()) },
        Bomb {
            encoding: Some("gzip"),
            http: &[400],
            grpc: &[3],
            ..plain("values 100,000 deep, gzip", gzip(&deep_protobuf(100_000))?.into())
        },
        Bomb {
            media_type: "application/json",
            http: &[400],
            grpc: &[],
            ..plain("JSON 100,000 deep", deep_json(100_000).into())
        },
    ])
}

impl Bomb {
    /// Its bytes as one transport sends them.
    pub fn wire(&self, over_grpc: bool) -> anyhow::Result<Bytes> {
        if over_grpc {
            let length = u32::try_from(self.declared.unwrap_or(self.body.len() as u64))?;
            return Ok(raw::frame(self.encoding.is_some(), length, &self.body).into());
        }
        Ok(if self.chunked { raw::chunked(&self.body).into() } else { self.body.clone() })
    }

    /// The head of its request over HTTP/1.1.
    pub fn head(&self) -> String {
        let mut head = format!("POST /v1/logs HTTP/1.1\r\nContent-Type: {}", self.media_type);
        if let Some(encoding) = self.encoding {
            head.push_str(&format!("\r\nContent-Encoding: {encoding}"));
        }
        if self.chunked {
            head.push_str("\r\nTransfer-Encoding: chunked");
        } else {
            head.push_str(&format!("\r\nContent-Length: {}", self.declared.unwrap_or(self.body.len() as u64)));
        }
        head
    }
}

fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn gzip_zeros(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    write_zeros(&mut encoder, bytes)?;
    Ok(encoder.finish()?)
}

fn zstd_zeros(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
    write_zeros(&mut encoder, bytes)?;
    Ok(encoder.finish()?)
}

fn write_zeros(writer: &mut impl std::io::Write, bytes: usize) -> std::io::Result<()> {
    let zeros = vec![0; 1 << 20];
    for from in (0..bytes).step_by(zeros.len()) {
        writer.write_all(&zeros[..zeros.len().min(bytes - from)])?;
    }
    Ok(())
}

// A log record whose body is an array in an array in an array. Built from the inside, and so from its end.
fn deep_protobuf(depth: usize) -> Vec<u8> {
    let mut reversed: Vec<u8> = Vec::new();
    // AnyValue{array_value: ArrayValue{values: [AnyValue...]}}.
    for _ in 0..depth {
        wrap(0x0a, &mut reversed);
        wrap(0x2a, &mut reversed);
    }
    // The body of a LogRecord, in ScopeLogs, in ResourceLogs, in the request.
    for tag in [0x2a, 0x12, 0x12, 0x0a] {
        wrap(tag, &mut reversed);
    }
    reversed.reverse();
    reversed
}

// Puts what is there already into a field with this tag.
fn wrap(tag: u8, reversed: &mut Vec<u8>) {
    let mut head = vec![tag];
    let mut rest = reversed.len();
    while rest > 0x7f {
        head.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
        rest >>= 7;
    }
    head.push(u8::try_from(rest).unwrap_or_default());
    reversed.extend(head.into_iter().rev());
}

fn deep_json(depth: usize) -> String {
    let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{open}{close}}}]}}]}}]}}"#)
}
