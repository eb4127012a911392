//! What a connection does, and whether it does enough: its bytes, its requests, and how long it keeps others waiting.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::limits;

/// Counts of one connection. Shared by its socket, its requests and who watches it.
#[derive(Debug, Default)]
pub struct Pulse {
    reads: AtomicU64,
    // As many when a request last ended: its body's do not belong to the next head.
    reads_of_requests: AtomicU64,
    written: AtomicU64,
    blocked: AtomicU64,
    requests: AtomicU64,
    active: AtomicUsize,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    requests: u64,
    // Reads when a request last ended or began.
    reads_before: u64,
    quiet_since: Option<Instant>,
    head_since: Option<Instant>,
    blocked_since: Option<(Instant, u64)>,
}

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Fine,
    /// It has asked nothing for long: it is told to go.
    Idle,
    /// It takes too long to say what it wants.
    SlowHead,
    /// It takes too long to read what it asked for.
    SlowReader,
}

/// Protocols differ in what a quiet connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// One request after the other.
    Http1,
    /// Streams, pings and settings.
    Http2,
}

impl Pulse {
    /// A request has begun; it is over when the guard is dropped.
    pub fn request(self: &Arc<Self>) -> Request {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        Request(Arc::clone(self))
    }

    /// A look at the connection, which began at `began`.
    pub fn look(&self, protocol: Protocol, began: Instant, now: Instant) -> Verdict {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if self.reads_too_slowly(&mut watched, now) {
            return Verdict::SlowReader;
        }
        let (requests, reads) = (self.requests.load(Ordering::Relaxed), self.reads.load(Ordering::Relaxed));
        if self.active.load(Ordering::Relaxed) > 0 || requests != watched.requests {
            (watched.requests, watched.reads_before) = (requests, reads);
            (watched.quiet_since, watched.head_since) = (None, None);
            return Verdict::Fine;
        }
        let quiet_since = *watched.quiet_since.get_or_insert(if requests == 0 { began } else { now });
        let before = watched.reads_before.max(self.reads_of_requests.load(Ordering::Relaxed));
        let arrived = reads.saturating_sub(before);
        let head_begun = match protocol {
            // The first request is expected at once, the next whenever its first byte is there.
            Protocol::Http1 => requests == 0 || arrived > 0,
            // Settings and pings come whole; a head that comes byte by byte does not.
            Protocol::Http2 => arrived > limits::READS_BESIDE_REQUESTS_MAX || (requests == 0 && arrived < 1),
        };
        if head_begun {
            let head_since = *watched.head_since.get_or_insert(if requests == 0 { began } else { now });
            if now.duration_since(head_since) >= limits::HEAD_TIMEOUT {
                return Verdict::SlowHead;
            }
        }
        if now.duration_since(quiet_since) >= limits::IDLE_TIMEOUT { Verdict::Idle } else { Verdict::Fine }
    }

    // Whether the socket takes nothing, or next to nothing, of what is there to be sent.
    fn reads_too_slowly(&self, watched: &mut Watched, now: Instant) -> bool {
        let (blocked, written) = (self.blocked.load(Ordering::Relaxed), self.written.load(Ordering::Relaxed));
        if blocked == 0 {
            watched.blocked_since = None;
            return false;
        }
        let (since, before) = *watched.blocked_since.get_or_insert((now, written));
        if now.duration_since(since) < limits::READER_WINDOW {
            return false;
        }
        watched.blocked_since = Some((now, written));
        written - before < limits::READER_WINDOW_BYTES_MIN
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Request(Arc<Pulse>);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.reads_of_requests.fetch_max(self.0.reads.load(Ordering::Relaxed), Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket that counts.
#[derive(Debug)]
pub struct Counted<S> {
    socket: S,
    pulse: Arc<Pulse>,
}

impl<S> Counted<S> {
    /// Counts into `pulse`.
    pub fn new(socket: S, pulse: Arc<Pulse>) -> Self {
        Self { socket, pulse }
    }

    fn wrote(&self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &wrote {
            Poll::Pending => self.pulse.blocked.store(1, Ordering::Relaxed),
            Poll::Ready(Ok(bytes)) => {
                self.pulse.written.fetch_add(*bytes as u64, Ordering::Relaxed);
                // A socket that took less than it was given is full again: the next attempt would wait.
                self.pulse.blocked.store(0, Ordering::Relaxed);
            }
            Poll::Ready(Err(_)) => {}
        }
        wrote
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        if read.is_ready() && buf.filled().len() > before {
            self.pulse.reads.fetch_add(1, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.wrote(wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.wrote(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// How often a connection is looked at.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    #[test]
    fn a_head_has_its_time_and_a_quiet_connection_more() {
        let began = Instant::now();
        let pulse = Arc::new(Pulse::default());
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 9)), Verdict::Fine);
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 10)), Verdict::SlowHead);

        let pulse = Arc::new(Pulse::default());
        let request = pulse.request();
        pulse.reads.fetch_add(1, Ordering::Relaxed);
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 100)), Verdict::Fine, "an answer may take its time");
        drop(request);
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 101)), Verdict::Fine);
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 130)), Verdict::Fine, "quiet between two requests");
        pulse.reads.fetch_add(1, Ordering::Relaxed);
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 131)), Verdict::Fine, "a head begins");
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 141)), Verdict::SlowHead);

        let pulse = Arc::new(Pulse::default());
        drop(pulse.request());
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 0)), Verdict::Fine);
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 1)), Verdict::Fine);
        let late = began + Duration::from_secs(1) + limits::IDLE_TIMEOUT;
        assert_eq!(pulse.look(Protocol::Http1, began, late), Verdict::Idle);
    }

    #[test]
    fn pings_are_no_head_but_drops_are() {
        let began = Instant::now();
        let pulse = Arc::new(Pulse::default());
        pulse.reads.fetch_add(2, Ordering::Relaxed);
        assert_eq!(pulse.look(Protocol::Http2, began, at(began, 60)), Verdict::Fine);
        pulse.reads.fetch_add(limits::READS_BESIDE_REQUESTS_MAX, Ordering::Relaxed);
        assert_eq!(pulse.look(Protocol::Http2, began, at(began, 61)), Verdict::SlowHead);
        let silent = Pulse::default();
        assert_eq!(silent.look(Protocol::Http2, began, at(began, 10)), Verdict::SlowHead, "not even a preface");
    }

    #[test]
    fn a_reader_must_take_something() {
        let began = Instant::now();
        let pulse = Arc::new(Pulse::default());
        let _request = pulse.request();
        pulse.blocked.store(1, Ordering::Relaxed);
        let window = limits::READER_WINDOW.as_secs();
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 1)), Verdict::Fine);
        pulse.written.fetch_add(limits::READER_WINDOW_BYTES_MIN, Ordering::Relaxed);
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 1 + window)), Verdict::Fine, "slow, but not too slow");
        pulse.written.fetch_add(10, Ordering::Relaxed);
        assert_eq!(pulse.look(Protocol::Http1, began, at(began, 1 + 2 * window)), Verdict::SlowReader);
    }
}
