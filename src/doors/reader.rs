//! The body of an answer over HTTP/2, in small pieces, so that it can be told how slowly they are taken: a stream has a window of
//! its own, which its reader may keep closed while the socket is fine.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::limits;
use super::pulse::{Pulse, Request, Stalled};

/// Who reads one answer.
#[derive(Debug, Default)]
pub struct Reader {
    // Something was handed over, and nothing more has been asked for since.
    waits: AtomicBool,
    taken: AtomicU64,
    stalled: Mutex<Stalled>,
}

impl Reader {
    /// A look at the reader: whether too little is taken.
    pub fn is_slow(&self, now: Instant) -> bool {
        let mut stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        stalled.look(self.waits.load(Ordering::Relaxed), self.taken.load(Ordering::Relaxed), now)
    }
}

/// A body that is watched. The request lives as long.
#[derive(Debug)]
pub struct Watched {
    body: Body,
    // What is left of the body's last piece.
    rest: Bytes,
    reader: Arc<Reader>,
    _request: Request,
}

impl Watched {
    /// Watches an answer of the connection with this pulse.
    pub fn new(body: Body, pulse: &Pulse, request: Request) -> Self {
        let reader = Arc::new(Reader::default());
        pulse.reads(&reader);
        Self { body, rest: Bytes::new(), reader, _request: request }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.rest.is_empty() {
            let frame = Pin::new(&mut self.body).poll_frame(cx);
            let handed = matches!(frame, Poll::Ready(Some(Ok(_))));
            self.reader.waits.store(handed, Ordering::Relaxed);
            match frame {
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => self.rest = frame.into_data().unwrap_or_default(),
                other => return other,
            }
        }
        let length = self.rest.len().min(limits::HTTP2_PIECE_BYTES);
        let piece = self.rest.split_to(length);
        self.reader.taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_comes_whole_in_pieces_and_who_does_not_ask_for_the_next_is_slow() {
        let bytes: Vec<u8> = (0..100_000u32).map(|number| number.to_le_bytes()[0]).collect();
        let pulse = Arc::new(Pulse::default());
        let mut body = Watched::new(Body::from(bytes.clone()), &pulse, pulse.request());
        assert_eq!(body.size_hint().exact(), Some(100_000));
        let (reader, began) = (Arc::clone(&body.reader), Instant::now());
        let window = limits::READER_WINDOW + Duration::from_secs(1);
        assert!(!reader.is_slow(began) && !reader.is_slow(began + window), "nothing was handed over yet");
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.expect("a frame").into_data().expect("data");
            assert!(data.len() <= limits::HTTP2_PIECE_BYTES);
            read.extend_from_slice(&data);
            assert_eq!(body.size_hint().exact(), Some(100_000 - read.len() as u64));
            assert_eq!(body.is_end_stream(), read.len() == 100_000);
            if read.len() == data.len() {
                assert!(!reader.is_slow(began) && reader.is_slow(began + window), "one piece in all that time");
            }
        }
        assert_eq!(read, bytes);
        assert!(!reader.is_slow(began + window * 2) && !reader.is_slow(began + window * 4), "it is over");
    }
}
