//! From a body on the network to bytes: gathered and decompressed, both within bounds.

use std::io::Read as _;

use axum::body::Body;
use flate2::bufread::MultiGzDecoder;
use http_body_util::BodyExt as _;

use crate::pipeline::Reservation;
use crate::{Intake, Refusal, limits};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Identity,
    /// gzip, one member or several.
    Gzip,
}

impl Compression {
    /// The compression that a `Content-Encoding` or `grpc-encoding` names.
    pub fn of_header(encoding: &str) -> Option<Self> {
        match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Compression::Identity),
            "gzip" | "x-gzip" => Some(Compression::Gzip),
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
    let clock = intake.clock();
    let deadline = clock.sleep_until(clock.monotonic() + std::time::Duration::from_secs(seconds));
    tokio::select! {
        gathered = gather_all(body, bytes_max, drain, reservation) => gathered,
        () = deadline => Err(Refusal::Slow { seconds }),
    }
}

async fn gather_all(
    mut body: Body,
    bytes_max: u64,
    drain: u64,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, Refusal> {
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::Broken { what: format!("it ended early ({error})") })?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if (bytes.len() + data.len()) as u64 > bytes_max {
            drop(bytes);
            drop_rest(body, drain).await;
            return Err(Refusal::TooLarge { bytes_max });
        }
        if let Err(refusal) = reservation.grow(data.len()) {
            drop(bytes);
            drop_rest(body, drain).await;
            return Err(refusal);
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

/// Reads and throws away what is left of a body, up to `bytes_max`.
pub async fn drop_rest(mut body: Body, bytes_max: u64) {
    let mut left = bytes_max;
    while left > 0 {
        let Some(Ok(frame)) = body.frame().await else {
            return;
        };
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
    }
}

/// Decompresses gzip, up to `bytes_max` bytes.
pub fn inflate(compressed: &[u8], bytes_max: u64, reservation: &mut Reservation) -> Result<Vec<u8>, Refusal> {
    let mut decoder = MultiGzDecoder::new(compressed);
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let filled = bytes.len();
        // One byte more than allowed is asked for, to tell the end from too much.
        let room = bytes_max.saturating_sub(filled as u64).saturating_add(1);
        let step = usize::try_from(room).unwrap_or(usize::MAX).min(limits::INFLATE_STEP_BYTES);
        bytes.resize(filled + step, 0);
        let read = decoder.read(&mut bytes[filled..]).map_err(Refusal::Compression)?;
        bytes.truncate(filled + read);
        if read == 0 {
            return Ok(bytes);
        }
        if bytes.len() as u64 > bytes_max {
            return Err(Refusal::TooLarge { bytes_max });
        }
        reservation.grow(read)?;
    }
}
