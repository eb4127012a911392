//! From a body on the network to bytes: gathered and decompressed, both within bounds.

use std::io::{self, Read};
use std::time::Duration;

use axum::body::Body;
use axum::body::HttpBody as _;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http_body_util::BodyExt as _;

use super::pace::Pace;
use crate::pipeline::Reservation;
use crate::{Intake, Refusal, limits};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Identity,
    /// gzip, one member or several.
    Gzip,
    /// Zstandard, one frame or several.
    Zstd,
    /// Snappy's block format, of remote write.
    Snappy,
}

impl Compression {
    /// The compression that a `Content-Encoding` or `grpc-encoding` names.
    pub fn of_header(encoding: &str) -> Option<Self> {
        match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Compression::Identity),
            "gzip" | "x-gzip" => Some(Compression::Gzip),
            "zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }
}

/// Reads a body of at most `bytes_max` bytes, in the time that the configuration gives. Of one that is longer `drain` bytes
/// more are read and thrown away, so that a client that writes before it reads sees the answer.
pub async fn gather(
    intake: &Intake,
    body: Body,
    bytes_max: u64,
    drain: u64,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, Refusal> {
    let seconds = intake.config().body_timeout_s;
    let pace = Pace::new(intake.config().body_bytes_per_s_min);
    tokio::select! {
        gathered = gather_all(intake, body, bytes_max, drain, reservation, &pace) => gathered,
        refusal = pace.broken(intake.clock()) => Err(pace.verdict(refusal)),
        () = body_deadline(intake) => Err(pace.verdict(Refusal::Slow { seconds })),
    }
}

/// Reads and throws away a body that is refused without a look at it, in the same bounds as one that is wanted: over HTTP/1.1
/// a client that is still writing would find the connection reset and never see the answer.
pub async fn discard(intake: &Intake, body: Body) {
    tokio::select! {
        () = intake.drain().drop_rest(intake.clock(), body, limits::DRAIN_BYTES_MAX) => {}
        () = body_deadline(intake) => {}
    }
}

async fn body_deadline(intake: &Intake) {
    let clock = intake.clock();
    clock.sleep_until(clock.monotonic() + Duration::from_secs(intake.config().body_timeout_s)).await;
}

async fn gather_all(
    intake: &Intake,
    mut body: Body,
    bytes_max: u64,
    drain: u64,
    reservation: &mut Reservation,
    pace: &Pace,
) -> Result<Vec<u8>, Refusal> {
    // What is announced is not there yet: only so much is believed.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut bytes: Vec<u8> = Vec::with_capacity(announced.min(limits::ANNOUNCED_BYTES_MAX));
    let refusal = loop {
        let Some(frame) = body.frame().await else {
            return Ok(bytes);
        };
        let frame = frame.map_err(|error| Refusal::Broken { what: format!("it ended early ({error})") })?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        pace.arrived(data.len());
        if (bytes.len() + data.len()) as u64 > bytes_max {
            pace.exceeds(bytes_max);
            break Refusal::TooLarge { bytes_max };
        }
        if let Err(refusal) = reservation.grow(data.len()) {
            break refusal;
        }
        make_room(&mut bytes, data.len(), bytes_max);
        bytes.extend_from_slice(data);
    };
    drop(bytes);
    reservation.give_back();
    intake.drain().drop_rest(intake.clock(), body, drain).await;
    Err(refusal)
}

// Room for `more` bytes. What has become large gets room for all that may come: memory that nothing is written to costs nothing, and to
// double a vector again and again is to copy it, milliseconds in which nobody else has the core.
fn make_room(bytes: &mut Vec<u8>, more: usize, bytes_max: u64) {
    let needed = bytes.len() + more;
    if needed > bytes.capacity() && needed > limits::ANNOUNCED_BYTES_MAX {
        let all = usize::try_from(bytes_max.saturating_add(1)).unwrap_or(usize::MAX).max(needed);
        bytes.reserve_exact(all - bytes.len());
    }
}

/// Decompresses a body to at most `bytes_max` bytes, whatever it says about its own size. Asks `reserve` for the bytes as they
/// appear; what it refuses is the answer.
pub fn decompress(
    compression: Compression,
    body: Bytes,
    bytes_max: u64,
    reserve: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Bytes, Refusal> {
    match compression {
        Compression::Identity => Ok(body),
        Compression::Gzip => inflate(MultiGzDecoder::new(&body[..]), bytes_max, reserve),
        Compression::Zstd => inflate(zstd_decoder(&body).map_err(Refusal::Compression)?, bytes_max, reserve),
        Compression::Snappy => unsnap(&body, bytes_max, reserve),
    }
}

// A block says how long it will be, and is not longer.
fn unsnap(
    block: &[u8],
    bytes_max: u64,
    mut reserve: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Bytes, Refusal> {
    let damaged = |error: snap::Error| Refusal::Compression(io::Error::new(io::ErrorKind::InvalidData, error));
    let bytes = snap::raw::decompress_len(block).map_err(damaged)?;
    if bytes as u64 > bytes_max {
        return Err(Refusal::TooLarge { bytes_max });
    }
    // Three bytes of a block make 64 at most: who announces more than can come is not given memory for it.
    if bytes > block.len().saturating_mul(limits::SNAPPY_GROWTH_MAX) {
        let what = "its length is more than its bytes can make";
        return Err(Refusal::Compression(io::Error::new(io::ErrorKind::InvalidData, what)));
    }
    reserve(bytes)?;
    snap::raw::Decoder::new().decompress_vec(block).map(Bytes::from).map_err(damaged)
}

fn zstd_decoder(frames: &[u8]) -> io::Result<impl Read + '_> {
    if frames.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there is no frame"));
    }
    let mut decoder = zstd::stream::read::Decoder::with_buffer(frames)?;
    decoder.window_log_max(limits::ZSTD_WINDOW_LOG_MAX)?;
    Ok(decoder)
}

fn inflate(
    mut decoder: impl Read,
    bytes_max: u64,
    mut reserve: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Bytes, Refusal> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let filled = bytes.len();
        // One byte more than allowed is asked for, to tell the end from too much.
        let room = bytes_max.saturating_sub(filled as u64).saturating_add(1);
        let step = usize::try_from(room).unwrap_or(usize::MAX).min(limits::INFLATE_STEP_BYTES);
        make_room(&mut bytes, step, bytes_max);
        bytes.resize(filled + step, 0);
        let read = decoder.read(&mut bytes[filled..]).map_err(Refusal::Compression)?;
        bytes.truncate(filled + read);
        if read == 0 {
            return Ok(bytes.into());
        }
        if bytes.len() as u64 > bytes_max {
            return Err(Refusal::TooLarge { bytes_max });
        }
        reserve(read)?;
        // What is large takes a core for long. Who waits for it meanwhile need not wait until the system takes it away.
        if filled > 0 {
            std::thread::yield_now();
        }
    }
}
